//! An edge on its way to the endpoints of its app, and the count of what is on its way. Pure.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gaung_cluster::receipt::Receipt;
use tokio::sync::Notify;

use super::Edge;
use crate::app::App;

/// What an edge takes beside its texts: its notice, its id, its place among those that settle, its ticket.
const OVERHEAD: usize = 640;

/// An edge, whose it is, and its place in the count.
#[derive(Debug)]
pub struct Notice {
    /// Whose endpoints hear of it.
    pub app: Arc<App>,
    /// What happened.
    pub edge: Edge,
    /// The event's id, the same at each repeat.
    pub id: String,
    /// Counts it as waiting.
    pub ticket: Ticket,
}

/// What waits: for its delay, in a batch or for an endpoint, in number and in bytes. An event for two endpoints counts
/// twice. Whatever holds an event holds its ticket, so that the bound of the tickets bounds all memory of the webhooks.
#[derive(Debug, Clone)]
pub struct Waiting(Arc<Count>);

#[derive(Debug)]
struct Count {
    max_bytes: usize,
    tickets: Mutex<Tickets>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Tickets {
    /// Which wait, the oldest first.
    waiting: BTreeSet<Number>,
    issued: u64,
    bytes: usize,
}

/// A ticket's: since when it waits, and what tells it from all others.
type Number = (Instant, u64);

/// One waiting event; it stops waiting when the ticket is dropped, so that the count cannot drift. May carry a receipt
/// for whoever wants to know that the event was done with.
#[derive(Debug)]
pub struct Ticket {
    waiting: Waiting,
    number: Number,
    bytes: usize,
    receipt: Option<Receipt>,
}

impl Notice {
    /// The bytes that an edge takes while it waits, settling included.
    pub fn cost(edge: &Edge) -> usize {
        // Its texts stand once in the notice and once in the index of what settles.
        OVERHEAD + 2 * edge.text_bytes()
    }
}

impl Waiting {
    /// Nothing waits yet, and at most `max_bytes` may.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Count { max_bytes, tickets: Mutex::default(), emptied: Notify::new() }))
    }

    /// Counts one more of so many bytes; `None` where there is no room for it.
    pub fn ticket(&self, bytes: usize) -> Option<Ticket> {
        let since = Instant::now();
        let mut tickets = self.tickets();
        if tickets.bytes + bytes > self.0.max_bytes {
            return None;
        }
        Some(self.issue(&mut tickets, since, bytes))
    }

    /// Counts one more whatever the bound: for what is asked for its [`Ticket::room`] later.
    pub fn ticket_beyond(&self, bytes: usize) -> Ticket {
        self.issue(&mut self.tickets(), Instant::now(), bytes)
    }

    /// How many wait now.
    pub fn count(&self) -> usize {
        self.tickets().waiting.len()
    }

    /// For how long the oldest has been waiting.
    pub fn oldest_age(&self) -> Option<Duration> {
        self.tickets().waiting.first().map(|(since, _)| since.elapsed())
    }

    /// Returns when nothing waits any more.
    pub async fn emptied(&self) {
        loop {
            // Registered before the count is read, so that the last ticket cannot slip through in between.
            let emptied = self.0.emptied.notified();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn issue(&self, tickets: &mut Tickets, since: Instant, bytes: usize) -> Ticket {
        tickets.issued += 1;
        tickets.bytes += bytes;
        let number = (since, tickets.issued);
        tickets.waiting.insert(number);
        Ticket { waiting: self.clone(), number, bytes, receipt: None }
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.0.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The same ticket, which carries a receipt from now on.
    pub fn with(mut self, receipt: Receipt) -> Self {
        self.receipt = Some(receipt);
        self
    }

    /// Counts one more, as old as this, of so many bytes. It is counted whatever the bound: who takes it into a queue
    /// asks for the [`Ticket::room`] first.
    pub fn copy(&self, bytes: usize) -> Self {
        let mut tickets = self.waiting.tickets();
        let copy = self.waiting.issue(&mut tickets, self.number.0, bytes);
        drop(tickets);
        match &self.receipt {
            Some(receipt) => copy.with(receipt.clone()),
            None => copy,
        }
    }

    /// The bytes that are counted for it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that nobody holds now.
    pub fn room(&self) -> usize {
        self.waiting.0.max_bytes.saturating_sub(self.waiting.tickets().bytes)
    }

    /// The event arrived, or it was given up for good; either way it need not be done again. A ticket that is dropped
    /// instead voids its receipt.
    pub fn redeem(mut self) {
        let receipt = self.receipt.take();
        // Counted no longer before anybody is told: who hears of it may look at the count.
        drop(self);
        if let Some(receipt) = receipt {
            receipt.redeem();
        }
    }

    /// Whether the event is another node's by now.
    pub fn is_revoked(&self) -> bool {
        self.receipt.as_ref().is_some_and(Receipt::is_revoked)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut tickets = self.waiting.tickets();
        tickets.waiting.remove(&self.number);
        tickets.bytes -= self.bytes;
        if tickets.waiting.is_empty() {
            self.waiting.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_a_ticket_counts_until_it_is_dropped() {
        let waiting = Waiting::new(100);
        let ticket = waiting.ticket(1).unwrap();
        let copy = ticket.copy(1);
        drop(ticket);
        assert_eq!(waiting.count(), 1);
        drop(copy);
        assert_eq!(waiting.count(), 0);
    }

    #[test]
    fn bytes_are_given_out_up_to_the_bound_and_come_back() {
        let waiting = Waiting::new(100);
        let ticket = waiting.ticket(60).unwrap();
        assert_eq!((ticket.room(), waiting.ticket(41).is_none()), (40, true));
        let copy = ticket.copy(60);
        assert_eq!((copy.bytes(), copy.room()), (60, 0));
        drop(ticket);
        assert_eq!(copy.room(), 40);
        assert!(waiting.ticket(40).is_some());
    }

    #[test]
    fn a_copy_is_as_old_as_the_ticket() {
        let waiting = Waiting::new(100);
        assert_eq!(waiting.oldest_age(), None);
        let ticket = waiting.ticket(1).unwrap();
        while waiting.oldest_age().is_some_and(|age| age.is_zero()) {}
        let copy = ticket.copy(1);
        drop(ticket);
        assert!(waiting.oldest_age().is_some_and(|age| !age.is_zero()));
        drop(copy);
        assert_eq!(waiting.oldest_age(), None);
    }

    #[actix_web::test]
    async fn whoever_waits_for_none_wakes_with_the_last_ticket() {
        let waiting = Waiting::new(100);
        waiting.emptied().await;
        let ticket = waiting.ticket(1).unwrap();
        tokio::join!(waiting.emptied(), async move { drop(ticket) });
    }
}
