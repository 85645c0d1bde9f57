//! The socket of one session as a stream of messages. The task that polls it also writes what its outbox could not.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{
    outbox::{Flushed, Outbox},
    reader::{FrameReader, Incoming},
};

/// How long a closing socket may take to send what waits and to answer our close frame.
const LINGER: Duration = Duration::from_secs(3);

/// What one read may bring. One buffer serves all sessions of a thread.
const SCRATCH_BYTES: usize = 65_536;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Reads messages from `socket` and flushes `outbox` to it. Ends when the socket has ended, or some seconds after the
/// outbox was closed; the peer's answer to a close frame is awaited, so that the kernel does not reset the connection
/// and lose the frame.
pub struct Wire<S> {
    socket: S,
    outbox: Arc<Outbox>,
    reader: FrameReader,
    ready: VecDeque<Incoming>,
    linger: Option<Pin<Box<Sleep>>>,
    half_closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// `early` are bytes that came with the handshake; a message may have `max_message_bytes`.
    pub fn new(socket: S, outbox: Arc<Outbox>, max_message_bytes: usize, early: &[u8]) -> Self {
        let mut wire = Self {
            socket,
            outbox,
            reader: FrameReader::new(max_message_bytes),
            ready: VecDeque::new(),
            linger: None,
            half_closed: false,
        };
        wire.reader.read(early, &mut wire.ready);
        wire
    }

    /// Ready when nothing more is to be awaited of the socket.
    fn poll_end(&mut self, flushed: Flushed, ctx: &mut Context<'_>) -> Poll<()> {
        match flushed {
            Flushed::Open => return Poll::Pending,
            Flushed::Dead => return Poll::Ready(()),
            Flushed::Closing => {}
            Flushed::Closed if self.half_closed => {}
            Flushed::Closed => {
                self.half_closed = Pin::new(&mut self.socket).poll_shutdown(ctx).is_ready();
            }
        }
        if self.linger.is_none() {
            self.ready.push_back(Incoming::Closing);
        }
        self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER))).as_mut().poll(ctx)
    }

    fn poll_read(&mut self, ctx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.socket).poll_read(ctx, &mut buffer))?;
            if self.linger.is_none() {
                self.reader.read(buffer.filled(), &mut self.ready);
            }
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Wire<S> {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        let this = &mut *self;
        loop {
            if let Some(incoming) = this.ready.pop_front() {
                return Poll::Ready(Some(incoming));
            }
            this.ready = VecDeque::new();
            let flushed = this.outbox.flush(&mut this.socket, ctx);
            if this.poll_end(flushed, ctx).is_ready() {
                return Poll::Ready(None);
            }
            if !this.ready.is_empty() {
                continue;
            }
            match ready!(this.poll_read(ctx)) {
                Ok(0) | Err(_) => return Poll::Ready(None),
                Ok(_) => {}
            }
        }
    }
}

/// A TCP socket whose write half is shared with an outbox.
pub struct SharedSocket(pub Arc<TcpStream>);

impl AsyncRead for SharedSocket {
    fn poll_read(self: Pin<&mut Self>, ctx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(ctx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SharedSocket {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(ctx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}
