//! The bytes of a connection on their way to the HTTP dispatcher and back. actix-http keeps no time but the first head's, makes
//! requests of all that it can read, and spins while answers are not taken; so it is given only what `Progress` allows, and
//! the connection ends where something is overdue.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Connection, progress::Overdue};

/// What a client is told whose head is overdue, as the dispatcher tells it of the first.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A connection, below the dispatcher and above TLS.
pub struct Guarded<T> {
    io: T,
    connection: Rc<Connection>,
}

impl<T> Guarded<T> {
    /// A connection on which nothing was read yet.
    pub fn new(io: T, connection: Connection) -> Self {
        Self { io, connection: Rc::new(connection) }
    }

    /// What the application and the upgrade may know of it.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// The connection for itself. Whether it still counts as one of HTTP is up to those who know its [`Connection`].
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guarded<T> {
    fn poll_time(&mut self, ctx: &mut Context<'_>) -> Poll<io::Error> {
        let overdue = ready!(self.connection.poll_overdue(ctx));
        if overdue == Overdue::Head {
            // Told as far as the socket takes it at once: nothing more is waited for.
            let _ = Pin::new(&mut self.io).poll_write(ctx, TIMED_OUT);
            let _ = Pin::new(&mut self.io).poll_flush(ctx);
        }
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Notes whether the socket took something, and ends a connection that takes nothing for too long. After an answer the
    /// dispatcher may wait for a head that has begun, without reading again.
    fn settle<R>(&mut self, polled: Poll<io::Result<R>>, ctx: &mut Context<'_>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.connection.taken();
        } else {
            self.connection.refused();
        }
        match self.poll_time(ctx) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => polled,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(error) = this.poll_time(ctx) {
            return Poll::Ready(Err(error));
        }
        let most = ready!(this.connection.poll_allowance(ctx)).min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let polled = Pin::new(&mut this.io).poll_read(ctx, &mut part);
        if polled.is_pending() {
            this.connection.drained();
            // The dispatcher waits now, and is to be woken by the clock as well.
            return this.poll_time(ctx).map(Err);
        }
        let count = part.filled().len();
        if count == 0 && polled.is_ready() && this.connection.ends_with_its_client() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        this.connection.read(part.filled());
        buffer.advance(count);
        polled
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(ctx, bytes);
        self.settle(polled, ctx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(ctx, slices);
        self.settle(polled, ctx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(ctx);
        self.settle(polled, ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(ctx);
        self.settle(polled, ctx)
    }
}
