//! An edge on its way to the endpoints of its app, and the count of what is on its way. Pure.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
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
    tickets: AtomicUsize,
    emptied: Notify,
}

/// One waiting event; it stops waiting when the ticket is dropped, so that the count cannot drift. May carry a receipt
/// for whoever wants to know that the event was done with.
#[derive(Debug)]
pub struct Ticket {
    waiting: Waiting,
    receipt: Option<Receipt>,
}

impl Waiting {
    /// Counts one more.
    pub fn ticket(&self) -> Ticket {
        self.ticket_for(None)
    }

    /// Counts one more, which carries a receipt.
    pub fn ticket_for(&self, receipt: Option<Receipt>) -> Ticket {
        self.0.tickets.fetch_add(1, Ordering::Relaxed);
        Ticket { waiting: self.clone(), receipt }
    }

    /// How many wait now.
    pub fn count(&self) -> usize {
        self.0.tickets.load(Ordering::Acquire)
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
        self.waiting.ticket_for(self.receipt.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let count = &self.waiting.0;
        if count.tickets.fetch_sub(1, Ordering::AcqRel) == 1 {
            count.emptied.notify_waiters();
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

    #[actix_web::test]
    async fn whoever_waits_for_none_wakes_with_the_last_ticket() {
        let waiting = Waiting::default();
        waiting.emptied().await;
        let ticket = waiting.ticket();
        tokio::join!(waiting.emptied(), async move { drop(ticket) });
    }
}
