//! Clients that speak TLS to a plain port, or plain HTTP to a port with TLS. Both sides see only a connection that ends, so
//! that the log says what it was.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::seldom::Seldom;

/// The first byte of a TLS connection: a record of the handshake (RFC 8446 §5.1). No method of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 22;

/// Which mistake a port's clients can make.
#[derive(Debug, Clone, Copy)]
pub enum Mistake {
    /// The port is plain.
    Tls,
    /// The port wants TLS.
    Plain,
}

/// The mistakes of all clients of one port.
#[derive(Debug)]
pub struct Mistakes {
    mistake: Mistake,
    seldom: Seldom,
}

impl Mistakes {
    /// None yet.
    pub fn of(mistake: Mistake) -> Arc<Self> {
        Arc::new(Self { mistake, seldom: Seldom::new() })
    }

    fn count(&self) {
        let Some(connections) = self.seldom.count() else { return };
        match self.mistake {
            Mistake::Tls => tracing::warn!(
                connections,
                "TLS was spoken to the public port, which is plain: let clients use http:// and ws://, or set \
                 GAUNG_TLS_CERT and GAUNG_TLS_KEY"
            ),
            Mistake::Plain => tracing::warn!(
                connections,
                "plain HTTP was spoken to the public port, which wants TLS: let clients use https:// and wss://"
            ),
        }
    }

    /// Counts a handshake that failed because what came was no TLS.
    pub fn look_at(&self, error: &io::Error) {
        let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) = error {
            self.count();
        }
    }
}

/// A plain connection whose first byte is looked at when it arrives: no byte is waited for and none is read twice.
pub struct Sniffed {
    /// The connection.
    pub socket: TcpStream,
    /// Until the first byte.
    fresh: Option<Arc<Mistakes>>,
}

impl Sniffed {
    /// A connection on which nothing was read yet.
    pub fn new(socket: TcpStream, mistakes: Arc<Mistakes>) -> Self {
        Self { socket, fresh: Some(mistakes) }
    }
}

impl AsyncRead for Sniffed {
    fn poll_read(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(ctx, buffer);
        if self.fresh.is_some()
            && let Some(first) = buffer.filled().get(before)
        {
            let mistakes = self.fresh.take();
            if *first == TLS_HANDSHAKE {
                mistakes.iter().for_each(|mistakes| mistakes.count());
            }
        }
        polled
    }
}

impl AsyncWrite for Sniffed {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(ctx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(ctx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(ctx)
    }
}
