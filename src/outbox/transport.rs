//! What carries a session's bytes: a socket, and TLS where the client speaks it. That stands in the queue of the outbox, under
//! its lock, so that a room's thread can encrypt and write at once; the session's task, which reads, takes it for that.

use std::{
    fmt,
    io::{self, ErrorKind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Outbox, Queue, State};
use crate::{
    protocol::deflate::Encoding,
    tls_stream::{Tls, TlsStream},
};

/// An accepted connection, for an outbox and a session.
pub struct Transport {
    /// What both have of it.
    pub socket: Arc<TcpStream>,
    tls: Option<Box<Tls>>,
}

impl From<TcpStream> for Transport {
    fn from(socket: TcpStream) -> Self {
        Self { socket: Arc::new(socket), tls: None }
    }
}

impl From<TlsStream<TcpStream>> for Transport {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        let (socket, tls) = stream.into_parts();
        Self { socket: Arc::new(socket), tls: Some(tls) }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Outbox {
    /// An outbox that writes to this connection as it is sent something, for a client that wants its events in this encoding;
    /// whoever sends them encodes them. What the socket refuses waits, `limit` bytes at most.
    pub fn of(transport: Transport, limit: usize, encoding: Encoding) -> Arc<Self> {
        let queue = Queue { tls: transport.tls, ..Queue::default() };
        Arc::new(Self { direct: Some(transport.socket), encoding, limit, queue: Mutex::new(queue) })
    }

    /// Reads what the client has sent, from the socket of the connection.
    pub fn poll_read<S>(&self, socket: &mut S, ctx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut queue = self.lock();
        if let State::Dead(_) = queue.state {
            // TLS is gone already.
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        if let Some(tls) = &mut queue.tls {
            return tls.poll_read(socket, ctx, buffer);
        }
        drop(queue);
        Pin::new(socket).poll_read(ctx, buffer)
    }
}

impl Queue {
    /// Bytes that wait for the socket.
    pub(super) fn waiting(&self) -> usize {
        self.bytes + self.tls.as_ref().map_or(0, |tls| tls.unsent())
    }

    /// Writes frames, as far as the socket takes them now.
    pub(super) fn try_write(&mut self, socket: &TcpStream, frames: &Bytes) -> io::Result<usize> {
        let written = match &mut self.tls {
            Some(tls) => tls.write(frames, |bytes| socket.try_write(bytes)),
            None => socket.try_write(frames),
        };
        match written {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    pub(super) fn poll_write<S>(&mut self, socket: &mut S, ctx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        while let Some(chunk) = self.chunks.front() {
            let written = match &mut self.tls {
                Some(tls) => tls.poll_write(socket, ctx, chunk),
                None => Pin::new(&mut *socket).poll_write(ctx, chunk),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.advance(written),
            }
        }
        match &mut self.tls {
            Some(tls) if matches!(self.state, State::Closing(_)) => tls.poll_close(socket, ctx),
            Some(tls) => tls.poll_flush(socket, ctx),
            None => Pin::new(socket).poll_flush(ctx),
        }
    }
}
