//! The socket of one session as a stream of messages. The task that polls it also writes what its outbox could not.

use std::{
    cell::RefCell,
    io,
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    pace::{Held, Pace},
    reader::{FrameReader, Incoming},
};
use crate::outbox::{Flushed, Outbox};
use futures_util::{FutureExt, Stream};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// How long a closing socket may take to send what waits and to answer our close frame.
const LINGER: Duration = Duration::from_secs(3);

/// What one read may bring, and so what a socket that is held may leave here. One buffer serves all sessions of a thread.
const SCRATCH_BYTES: usize = 16_384;

/// What one socket may bring, in frames and in bytes, before the thread's others have their turn.
const TURN: Turn = Turn { frames: 4, bytes: 65_536 };

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Reads messages from a socket at its pace and flushes its outbox to it. Ends when the socket has ended, or some seconds
/// after the outbox was closed; the peer's answer to a close frame is awaited, so that the kernel does not reset the
/// connection and lose the frame.
pub struct Wire {
    socket: SharedSocket,
    outbox: Arc<Outbox>,
    reader: FrameReader,
    /// `None` while it may bring as much as it likes.
    pace: Option<Pace>,
    linger: Option<Pin<Box<Sleep>>>,
    half_closed: bool,
    turn: Turn,
}

/// What came in this turn.
#[derive(Debug, Default)]
struct Turn {
    frames: usize,
    bytes: usize,
}

impl Wire {
    /// The socket is that of the outbox. `early` are bytes that came with the handshake; a message may have
    /// `max_message_bytes`.
    pub fn new(socket: Arc<TcpStream>, outbox: Arc<Outbox>, max_message_bytes: usize, early: &[u8]) -> Self {
        let socket = SharedSocket(socket);
        let mut reader = FrameReader::new(max_message_bytes);
        reader.push(early);
        Self { socket, outbox, reader, pace: None, linger: None, half_closed: false, turn: Turn::default() }
    }

    /// Takes compressed messages from now on.
    pub fn inflate(&mut self) {
        self.reader.inflate();
    }

    /// Reads no faster than this from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = Some(pace);
    }

    /// Writes what waits. Ready when it learns that the outbox was closed, and when nothing more is to be awaited.
    fn poll_write(&mut self, ctx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        match self.outbox.flush(&mut self.socket, ctx) {
            Flushed::Open => return Poll::Pending,
            Flushed::Revoked => return Poll::Ready(Some(Incoming::Revoked(self.outbox.take_revoked()))),
            Flushed::Dead => return Poll::Ready(None),
            Flushed::Closing => {}
            Flushed::Closed if self.half_closed => {}
            Flushed::Closed => {
                self.half_closed = Pin::new(&mut self.socket).poll_shutdown(ctx).is_ready();
            }
        }
        match &mut self.linger {
            Some(linger) => linger.as_mut().poll(ctx).map(|()| None),
            None => {
                self.linger = Some(Box::pin(sleep(LINGER)));
                Poll::Ready(Some(Incoming::Closing))
            }
        }
    }

    /// The next message that may be taken; `None` at the end of the socket.
    fn poll_message(&mut self, ctx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        loop {
            if self.turn.is_over() {
                ctx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.linger.is_none() {
                if let Err(held) = ready!(self.poll_pace(ctx)) {
                    // Nobody waits for what it sent beyond its rate.
                    let is_over = held == Held::ByItsRate && self.socket.is_hung_up();
                    return Poll::Ready((!is_over).then_some(Incoming::Held(held)));
                }
                if let Some(incoming) = self.reader.next() {
                    self.turn.frames += 1;
                    self.pace.iter_mut().for_each(Pace::count);
                    return Poll::Ready(Some(incoming));
                }
            }
            match ready!(self.poll_read(ctx)) {
                Ok(0) | Err(_) => return Poll::Ready(None),
                Ok(count) => self.turn.bytes += count,
            }
        }
    }

    fn poll_pace(&mut self, ctx: &mut Context<'_>) -> Poll<Result<(), Held>> {
        self.pace.as_mut().map_or(Poll::Ready(Ok(())), |pace| pace.poll_take(ctx))
    }

    fn poll_read(&mut self, ctx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.outbox.poll_read(&mut self.socket, ctx, &mut buffer))?;
            if self.linger.is_none() {
                self.reader.push(buffer.filled());
            }
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }
}

impl Turn {
    fn is_over(&self) -> bool {
        self.frames >= TURN.frames || self.bytes >= TURN.bytes
    }
}

impl Stream for Wire {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        let this = &mut *self;
        if let Poll::Ready(ended) = this.poll_write(ctx) {
            return Poll::Ready(ended);
        }
        let next = this.poll_message(ctx);
        if next.is_pending() {
            this.turn = Turn::default();
        }
        next
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.outbox.abandon();
    }
}

/// A TCP socket whose write half is shared with an outbox.
struct SharedSocket(Arc<TcpStream>);

impl SharedSocket {
    /// Whether the client has ended its half, behind whatever it sent that was not read.
    fn is_hung_up(&self) -> bool {
        let ready = self.0.ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(tokio::io::Ready::is_read_closed))
    }
}

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
