//! An accepted connection that speaks TLS. What carries the bytes stands beside it and not in it, so that an outbox can have
//! both apart. Knows no certificate: whoever accepts says what is presented.

mod records;

use std::{
    cell::RefCell,
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::poll_fn;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use records::Records;

/// Text that is encrypted before the socket is asked again whether it takes more: so much a socket that takes nothing may
/// leave here, encrypted for it alone.
const PIECE_BYTES: usize = 32_768;

/// What one read may bring.
const SCRATCH_BYTES: usize = 16_384;

thread_local! {
    static RECEIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
    static SEALED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// TLS of a connection, and what its socket has not taken yet.
#[derive(Debug)]
pub struct Tls {
    records: Records,
    unsent: Vec<u8>,
}

impl Tls {
    /// Encrypted bytes that wait for the socket.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Encrypts text and writes it, as far as the socket takes it; returns how much was encrypted. Some of that may be left,
    /// and waits for [`Tls::flush`] or the next text.
    ///
    /// `send` offers bytes to the socket, and fails with `WouldBlock` where it takes none.
    pub fn write(&mut self, text: &[u8], mut send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        let mut written = 0;
        while written < text.len() && self.flush(&mut send)? {
            let piece = &text[written..text.len().min(written + PIECE_BYTES)];
            self.write_piece(piece, &mut send)?;
            written += piece.len();
        }
        Ok(written)
    }

    fn write_piece(&mut self, piece: &[u8], send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        SEALED.with_borrow_mut(|sealed| {
            sealed.clear();
            self.records.seal(piece, sealed).map_err(broken)?;
            let sent = send_all(sealed, send)?;
            self.unsent.extend_from_slice(&sealed[sent..]);
            Ok(())
        })
    }

    /// Writes what is left of what was encrypted, as far as the socket takes it; returns whether that was all.
    pub fn flush(&mut self, send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<bool> {
        let sent = send_all(&self.unsent, send)?;
        if sent < self.unsent.len() {
            self.unsent.drain(..sent);
            return Ok(false);
        }
        // An idle connection keeps no buffer.
        self.unsent = Vec::new();
        Ok(true)
    }

    /// Encrypts text and writes it, as far as the socket takes it.
    pub fn poll_write<S>(&mut self, socket: &mut S, ctx: &mut Context<'_>, text: &[u8]) -> Poll<io::Result<usize>>
    where
        S: AsyncWrite + Unpin,
    {
        match self.write(text, |bytes| offer(socket, ctx, bytes))? {
            0 if !text.is_empty() => Poll::Pending,
            written => Poll::Ready(Ok(written)),
        }
    }

    /// Writes what is left of what was encrypted.
    pub fn poll_flush<S>(&mut self, socket: &mut S, ctx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        match self.flush(|bytes| offer(socket, ctx, bytes))? {
            true => Pin::new(socket).poll_flush(ctx),
            false => Poll::Pending,
        }
    }

    /// Tells the client, behind everything else, that nothing more is sent. May be called again, until it is ready.
    pub fn poll_close<S>(&mut self, socket: &mut S, ctx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        self.records.close(&mut self.unsent).map_err(broken)?;
        self.poll_flush(socket, ctx)
    }

    /// Reads what the client said. TLS's own answers, if any are due, are written as far as the socket takes them.
    pub fn poll_read<S>(
        &mut self,
        socket: &mut S,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let taken = self.records.take_text(buffer.remaining(), |text| buffer.put_slice(text));
            if taken > 0 || buffer.remaining() == 0 || self.records.has_ended() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(socket, ctx))? == 0 {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Takes bytes from the socket; returns how many.
    fn poll_receive<S>(&mut self, socket: &mut S, ctx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        RECEIVED.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *socket).poll_read(ctx, &mut buffer))?;
            let received = self.records.receive(buffer.filled(), &mut self.unsent);
            let flushed = self.flush(|bytes| offer(socket, ctx, bytes));
            received.map_err(broken)?;
            flushed?;
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }
}

/// A connection: TLS and what carries it.
#[derive(Debug)]
pub struct TlsStream<S> {
    socket: S,
    tls: Box<Tls>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Shakes hands with a client. What it does wrong is told it, and is the error's inner one ([`rustls::Error`]).
    pub async fn accept(config: Arc<ServerConfig>, mut socket: S) -> io::Result<Self> {
        let records = Records::new(config).map_err(broken)?;
        let mut tls = Box::new(Tls { records, unsent: Vec::new() });
        while tls.records.is_handshaking() {
            if poll_fn(|ctx| tls.poll_receive(&mut socket, ctx)).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            poll_fn(|ctx| tls.poll_flush(&mut socket, ctx)).await?;
        }
        Ok(Self { socket, tls })
    }

    /// The protocol that both have agreed on, if the client named some.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.tls.records.protocol()
    }

    /// Both by themselves.
    pub fn into_parts(self) -> (S, Box<Tls>) {
        (self.socket, self.tls)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.tls.poll_read(&mut this.socket, ctx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, text: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.tls.poll_write(&mut this.socket, ctx, text)
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.tls.poll_flush(&mut this.socket, ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.tls.poll_close(&mut this.socket, ctx))?;
        Pin::new(&mut this.socket).poll_shutdown(ctx)
    }
}

/// Sends bytes until the socket takes no more; returns how many it took.
fn send_all(bytes: &[u8], mut send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send(&bytes[sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// Offers bytes to a socket; the task is woken when one that takes none takes some.
fn offer<S: AsyncWrite + Unpin>(socket: &mut S, ctx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
    match Pin::new(socket).poll_write(ctx, bytes) {
        Poll::Ready(sent) => sent,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
