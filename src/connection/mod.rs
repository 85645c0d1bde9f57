//! One connection of the public listener until it is a socket: its permit among the others, how long it may take over what,
//! and what the log is told where it makes no sense. Everything here is of one thread.

pub mod address;
pub mod arrivals;
pub mod guard;
pub mod malformed;
pub mod permits;
mod progress;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::{Sleep, sleep_until},
};

pub use progress::Patience;

use address::{AddressPermit, OverLimit};
use permits::ConnectionPermit;
use progress::{Allowance, Overdue, Progress};

/// What is known of a connection. The dispatcher's IO and the application share it.
pub struct Connection {
    peer: Option<SocketAddr>,
    patience: Patience,
    progress: RefCell<Progress>,
    permit: RefCell<Option<ConnectionPermit>>,
    /// The task that was told to read later.
    reader: Cell<Option<Waker>>,
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
    session: Cell<Carrying>,
    carried: Notify,
    /// What a session gave it, whose answer it carries and which may have others.
    session_permit: Cell<Option<OwnedSemaphorePermit>>,
}

/// Whether the answer to a request carries a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrying {
    Nothing,
    /// It does not, and the client waits for something to happen.
    Wait,
    Session,
    /// It did, and nothing more is to be sent.
    Ended,
}

/// A request that the application has; answered when dropped.
pub struct Exchange(Rc<Connection>);

/// A body that the application reads; read, or given up, when dropped.
pub struct Reading<'a>(&'a Connection);

impl Connection {
    /// A connection that was accepted.
    pub fn new(peer: Option<SocketAddr>, permit: ConnectionPermit, patience: Patience) -> Self {
        Self {
            peer,
            patience,
            progress: RefCell::default(),
            permit: RefCell::new(Some(permit)),
            reader: Cell::default(),
            timer: RefCell::default(),
            session: Cell::new(Carrying::Nothing),
            carried: Notify::new(),
            session_permit: Cell::default(),
        }
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// From now on it speaks HTTP/2.
    pub fn frames(&self) {
        self.progress.borrow_mut().frames();
    }

    /// It has asked for something over HTTP, and counts as one of its client's.
    pub fn settle(&self) -> Result<(), OverLimit> {
        self.permit.borrow_mut().as_mut().map_or(Ok(()), ConnectionPermit::settle)
    }

    /// Whether it may not stay for a next request.
    pub fn is_in_the_way(&self) -> bool {
        self.permit.borrow().as_ref().is_some_and(|permit| permit.permits().are_scarce())
    }

    /// Whether it counts among the sockets and used connections of its client already.
    pub fn is_held_by_address(&self) -> bool {
        self.permit.borrow().as_ref().is_some_and(ConnectionPermit::is_held_by_address)
    }

    /// It is a socket from now on, and no connection of HTTP any more. Its permit among those of its client, where it has one.
    pub fn leave(&self) -> Option<AddressPermit> {
        self.permit.take()?.into_address_permit()
    }

    /// From now on an answer carries a session: the end of what the client sends is the end of it.
    pub fn carry(&self) {
        self.session.set(Carrying::Session);
        self.carried.notify_one();
    }

    /// The same for one of the connections of a session, which counts as such as long as it is there.
    pub fn carry_for(&self, permit: OwnedSemaphorePermit) {
        self.session_permit.set(Some(permit));
        self.carry();
        // The session has its own.
        drop(self.leave());
    }

    /// The answer to a request may take its time: a client that sends nothing more is gone meanwhile.
    pub fn await_answer(&self) {
        if self.session.get() == Carrying::Nothing {
            self.session.set(Carrying::Wait);
        }
    }

    /// It took its time.
    pub fn has_answered(&self) {
        if self.session.get() == Carrying::Wait {
            self.session.set(Carrying::Nothing);
        }
    }

    /// Whether a client that sends nothing more has gone: nobody else would notice it before the next write.
    fn ends_with_its_client(&self) -> bool {
        self.session.get() != Carrying::Nothing
    }

    /// Ends when an answer carries a session.
    pub async fn carries(&self) {
        self.carried.notified().await;
    }

    /// Ends a connection that carried a session, whatever its client has still to take.
    pub fn end(&self) {
        self.session.set(Carrying::Ended);
        self.wake_reader();
    }

    /// The application has a request.
    pub fn begin(self: &Rc<Self>) -> Exchange {
        self.progress.borrow_mut().begin();
        Exchange(self.clone())
    }

    /// The application reads the body of its request.
    pub fn read_body(&self) -> Reading<'_> {
        self.progress.borrow_mut().body_begins();
        self.wake_reader();
        Reading(self)
    }

    fn poll_allowance(&self, ctx: &mut Context<'_>) -> Poll<usize> {
        match self.progress.borrow_mut().allowance() {
            Allowance::Bytes(bytes) => return Poll::Ready(bytes),
            Allowance::NextTurn => ctx.waker().wake_by_ref(),
            Allowance::Later => self.reader.set(Some(ctx.waker().clone())),
        }
        Poll::Pending
    }

    fn read(&self, bytes: &[u8]) {
        malformed::remember(bytes);
        self.progress.borrow_mut().read(bytes, Instant::now);
    }

    fn drained(&self) {
        self.progress.borrow_mut().drained();
    }

    fn refused(&self) {
        self.progress.borrow_mut().refused(Instant::now);
    }

    fn taken(&self) {
        let was_blocked = self.progress.borrow_mut().taken();
        if was_blocked {
            self.wake_reader();
        }
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// What is overdue; else the task is woken when something will be. The timer is made where it is needed, and one that
    /// wakes too early is set again: most requests are over long before.
    fn poll_overdue(&self, ctx: &mut Context<'_>) -> Poll<Overdue> {
        if self.session.get() == Carrying::Ended {
            return Poll::Ready(Overdue::Answer);
        }
        let Some((deadline, overdue)) = self.progress.borrow().deadline(self.patience) else { return Poll::Pending };
        let mut slot = self.timer.borrow_mut();
        let timer = slot.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        while timer.as_mut().poll(ctx).is_ready() || timer.deadline() > deadline.into() {
            if Instant::now() >= deadline {
                return Poll::Ready(overdue);
            }
            timer.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.progress.borrow_mut().end(Instant::now);
        self.0.wake_reader();
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.progress.borrow_mut().body_ends();
    }
}
