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

/// How many events wait: for their delay, in a batch or for an endpoint. An event for two endpoints counts twice.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    tickets: Mutex<Tickets>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Tickets {
    /// Which wait, the oldest first.
    waiting: BTreeSet<Number>,
    issued: u64,
}

/// A ticket's: since when it waits, and what tells it from all others.
type Number = (Instant, u64);

/// One waiting event; it stops waiting when the ticket is dropped, so that the count cannot drift. May carry a receipt
/// for whoever wants to know that the event was done with.
#[derive(Debug)]
pub struct Ticket {
    waiting: Waiting,
    number: Number,
    receipt: Option<Receipt>,
}

impl Waiting {
    /// Counts one more.
    pub fn ticket(&self) -> Ticket {
        self.ticket_for(None)
    }

    /// Counts one more, which carries a receipt.
    pub fn ticket_for(&self, receipt: Option<Receipt>) -> Ticket {
        self.issue(Instant::now(), receipt)
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

    fn issue(&self, since: Instant, receipt: Option<Receipt>) -> Ticket {
        let mut tickets = self.tickets();
        tickets.issued += 1;
        let number = (since, tickets.issued);
        tickets.waiting.insert(number);
        Ticket { waiting: self.clone(), number, receipt }
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.0.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The event arrived, or it was given up for good; either way it need not be done again. A ticket that is dropped
    /// instead voids its receipt.
    pub fn redeem(mut self) {
        if let Some(receipt) = self.receipt.take() {
            receipt.redeem();
        }
    }

    /// Whether the event is another node's by now.
    pub fn is_revoked(&self) -> bool {
        self.receipt.as_ref().is_some_and(Receipt::is_revoked)
    }
}

impl Clone for Ticket {
    fn clone(&self) -> Self {
        self.waiting.issue(self.number.0, self.receipt.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut tickets = self.waiting.tickets();
        tickets.waiting.remove(&self.number);
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
        let waiting = Waiting::default();
        let ticket = waiting.ticket();
        let copy = ticket.clone();
        drop(ticket);
        assert_eq!(waiting.count(), 1);
        drop(copy);
        assert_eq!(waiting.count(), 0);
    }

    #[test]
    fn a_copy_is_as_old_as_the_ticket() {
        let waiting = Waiting::default();
        assert_eq!(waiting.oldest_age(), None);
        let ticket = waiting.ticket();
        while waiting.oldest_age().is_some_and(|age| age.is_zero()) {}
        let copy = ticket.clone();
        drop(ticket);
        assert!(waiting.oldest_age().is_some_and(|age| !age.is_zero()));
        drop(copy);
        assert_eq!(waiting.oldest_age(), None);
    }

    #[actix_web::test]
    async fn whoever_waits_for_none_wakes_with_the_last_ticket() {
        let waiting = Waiting::default();
        waiting.emptied().await;
        let ticket = waiting.ticket();
        tokio::join!(waiting.emptied(), async move { drop(ticket) });
    }
}
