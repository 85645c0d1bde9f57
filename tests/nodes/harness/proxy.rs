//! A TCP proxy between a node and the nats-server that can be cut, healed and slowed down.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::spawn;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::sleep,
};

use super::free_port;

/// What the proxy does with bytes and with new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Both go through.
    Open,
    /// Neither goes through and nobody is told, as on a link that was cut; TCP keeps what is under way.
    Silent,
    /// Connections are ended and no new one is taken.
    Refusing,
}

/// A way to the nats-server that the test commands.
pub struct Proxy {
    port: u16,
    mode: Rc<watch::Sender<Mode>>,
    delay: Rc<Cell<Duration>>,
}

impl Proxy {
    pub async fn start(target: u16) -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let mode = Rc::new(watch::Sender::new(Mode::Open));
        let delay = Rc::new(Cell::new(Duration::ZERO));
        let (modes, wait) = (mode.clone(), delay.clone());
        spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                spawn(carry(inner, target, modes.subscribe(), wait.clone()));
            }
        });
        Self { port, mode, delay }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on nothing goes through and nobody is told.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// From now on connections are ended.
    pub fn refuse(&self) {
        self.mode.send_replace(Mode::Refusing);
    }

    /// From now on everything goes through, first of all what was held back on connections that still stand.
    pub fn heal(&self) {
        self.mode.send_replace(Mode::Open);
    }

    /// From now on each byte takes so long, in each direction.
    pub fn slow_down(&self, delay: Duration) {
        self.delay.set(delay);
    }
}

/// Carries one connection to its end.
async fn carry(inner: TcpStream, target: u16, mut mode: watch::Receiver<Mode>, delay: Rc<Cell<Duration>>) {
    if wait_until_open(&mut mode).await.is_err() {
        return;
    }
    let Ok(outer) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let ((inner_read, inner_write), (outer_read, outer_write)) = (inner.into_split(), outer.into_split());
    tokio::select! {
        () = pump(inner_read, outer_write, mode.clone(), delay.clone()) => {}
        () = pump(outer_read, inner_write, mode.clone(), delay) => {}
        () = refused(mode) => {}
    }
}

/// Ends when the proxy refuses.
async fn refused(mut mode: watch::Receiver<Mode>) {
    // The proxy is gone, which refuses as well.
    let _ = mode.wait_for(|mode| *mode == Mode::Refusing).await;
}

/// Holds a silent connection; an error means that it is refused.
async fn wait_until_open(mode: &mut watch::Receiver<Mode>) -> Result<(), ()> {
    let mode = mode.wait_for(|mode| *mode != Mode::Silent).await.map_err(drop)?;
    if *mode == Mode::Open { Ok(()) } else { Err(()) }
}

/// Carries bytes in one direction, each after its delay. The end of one side is news too and waits like them.
async fn pump(mut from: OwnedReadHalf, to: OwnedWriteHalf, mode: watch::Receiver<Mode>, delay: Rc<Cell<Duration>>) {
    let (queue, queued) = mpsc::channel(1_024);
    let writing = spawn(write(to, queued, mode));
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if queue.send((Instant::now() + delay.get(), bytes[..count].to_vec())).await.is_err() {
            break;
        }
    }
    drop(queue);
    // A task that panicked has ended as well.
    let _ = writing.await;
}

async fn write(
    mut to: OwnedWriteHalf,
    mut queued: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut mode: watch::Receiver<Mode>,
) {
    while let Some((due, bytes)) = queued.recv().await {
        sleep(due.saturating_duration_since(Instant::now())).await;
        if wait_until_open(&mut mode).await.is_err() || to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // Held back like the bytes; a proxy that refuses has ended the connection anyway.
    let _ = wait_until_open(&mut mode).await;
}
