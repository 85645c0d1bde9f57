//! An event on its way to the endpoints of its app, and the count of what is on its way. Pure.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gaung_cluster::ack::Ack;
use tokio::sync::Notify;

use crate::{app::App, protocol::WebhookEvent};

/// What an event takes beside its texts: its entry, its id, its key among those that wait, its permit.
const OVERHEAD: usize = 640;

/// An event, whose it is, and its place in the count.
#[derive(Debug)]
pub struct PendingEvent {
    /// Whose endpoints hear of it.
    pub app: Arc<App>,
    /// What happened.
    pub event: WebhookEvent,
    /// The event's id, the same at each repeat.
    pub id: String,
    /// Counts it as waiting.
    pub permit: PendingPermit,
}

/// What waits: for its delay, in a batch or for an endpoint, in number and in bytes. An event for two endpoints counts
/// twice. Whatever holds an event holds its permit, so that the bound of the permits bounds all memory of the webhooks.
#[derive(Debug, Clone)]
pub struct Waiting(Arc<Count>);

/// What waits of one app.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct WaitingOfApp {
    pub count: usize,
    pub oldest_age: Duration,
}

#[derive(Debug)]
struct Count {
    max_bytes: usize,
    permits: Mutex<PermitTable>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct PermitTable {
    /// Which wait of each app, the oldest first. No app is there of which none waits.
    waiting: HashMap<Arc<str>, BTreeSet<Number>>,
    count: usize,
    issued: u64,
    bytes: usize,
}

/// A permit's number: since when it waits, and what tells it from all others.
type Number = (Instant, u64);

/// One waiting event; it stops waiting when the permit is dropped, so that the count cannot drift. It may carry the ack
/// of its delivery, which is confirmed by [`PendingPermit::confirm`] alone: an event that is dropped, or lost in a panic,
/// is not acknowledged.
#[derive(Debug)]
pub struct PendingPermit {
    waiting: Waiting,
    app_id: Arc<str>,
    number: Number,
    bytes: usize,
    ack: Option<Ack>,
}

impl PendingEvent {
    /// The bytes that an event takes while it waits, for its delay too.
    pub fn cost(event: &WebhookEvent) -> usize {
        // Its texts stand once in the event and once in the index of what waits.
        OVERHEAD + 2 * event.text_bytes()
    }
}

impl Waiting {
    /// Nothing waits yet, and at most `max_bytes` may.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Count { max_bytes, permits: Mutex::default(), emptied: Notify::new() }))
    }

    /// Counts one more of an app, of so many bytes; `None` where there is no room for it.
    pub fn permit(&self, app_id: &Arc<str>, bytes: usize) -> Option<PendingPermit> {
        let since = Instant::now();
        let mut permits = self.permits();
        if permits.bytes + bytes > self.0.max_bytes {
            return None;
        }
        Some(self.issue(&mut permits, app_id, since, bytes))
    }

    /// Counts one more whatever the bound: for what is asked for its [`PendingPermit::room`] later.
    pub fn permit_beyond(&self, app_id: &Arc<str>, bytes: usize) -> PendingPermit {
        self.issue(&mut self.permits(), app_id, Instant::now(), bytes)
    }

    /// How many wait now.
    pub fn count(&self) -> usize {
        self.permits().count
    }

    /// How many of each app wait, and for how long the oldest of them has been waiting. Apps of which none waits are absent.
    pub fn by_app(&self) -> Vec<(Arc<str>, WaitingOfApp)> {
        let permits = self.permits();
        let of_app = |(app_id, waiting): (&Arc<str>, &BTreeSet<Number>)| {
            let oldest_age = waiting.first().map(|(since, _)| since.elapsed()).unwrap_or_default();
            (app_id.clone(), WaitingOfApp { count: waiting.len(), oldest_age })
        };
        permits.waiting.iter().map(of_app).collect()
    }

    /// Returns when nothing waits any more.
    pub async fn emptied(&self) {
        loop {
            // Registered before the count is read, so that the last permit cannot slip through in between.
            let emptied = self.0.emptied.notified();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn issue(&self, permits: &mut PermitTable, app_id: &Arc<str>, since: Instant, bytes: usize) -> PendingPermit {
        permits.issued += 1;
        permits.bytes += bytes;
        let number = (since, permits.issued);
        permits.enter(app_id, number);
        PendingPermit { waiting: self.clone(), app_id: app_id.clone(), number, bytes, ack: None }
    }

    fn permits(&self) -> MutexGuard<'_, PermitTable> {
        self.0.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PermitTable {
    fn enter(&mut self, app_id: &Arc<str>, number: Number) {
        self.waiting.entry(app_id.clone()).or_default().insert(number);
        self.count += 1;
    }

    fn leave(&mut self, app_id: &Arc<str>, number: Number) {
        let Some(of_app) = self.waiting.get_mut(app_id) else { return };
        self.count -= usize::from(of_app.remove(&number));
        if of_app.is_empty() {
            self.waiting.remove(app_id);
        }
    }
}

impl PendingPermit {
    /// The same permit, which carries an ack from now on.
    pub fn with(mut self, ack: Ack) -> Self {
        self.ack = Some(ack);
        self
    }

    /// Counts one more, as old as this, of so many bytes. It is counted whatever the bound: who takes it into a queue
    /// asks for the [`PendingPermit::room`] first.
    pub fn copy(&self, bytes: usize) -> Self {
        let mut permits = self.waiting.permits();
        let mut copy = self.waiting.issue(&mut permits, &self.app_id, self.number.0, bytes);
        drop(permits);
        copy.ack = self.ack.as_ref().map(Ack::copy);
        copy
    }

    /// The bytes that are counted for it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that nobody holds now.
    pub fn room(&self) -> usize {
        self.waiting.0.max_bytes.saturating_sub(self.waiting.permits().bytes)
    }

    /// The event arrived, or it was given up for good; either way it need not be posted again.
    pub fn confirm(mut self) {
        let ack = self.ack.take();
        // First counted no longer: what the ack calls may look at the count.
        drop(self);
        if let Some(ack) = ack {
            ack.confirm();
        }
    }

    /// Whether the event is another node's by now.
    pub fn is_revoked(&self) -> bool {
        self.ack.as_ref().is_some_and(Ack::is_revoked)
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        let mut permits = self.waiting.permits();
        permits.leave(&self.app_id, self.number);
        permits.bytes -= self.bytes;
        if permits.count == 0 {
            self.waiting.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(waiting: &Waiting, app_id: &str, bytes: usize) -> PendingPermit {
        waiting.permit(&app_id.into(), bytes).unwrap()
    }

    #[test]
    fn every_copy_of_a_permit_counts_until_it_is_dropped() {
        let waiting = Waiting::new(100);
        let permit = permit(&waiting, "a", 1);
        let copy = permit.copy(1);
        drop(permit);
        assert_eq!(waiting.count(), 1);
        drop(copy);
        assert_eq!(waiting.count(), 0);
    }

    #[test]
    fn bytes_are_given_out_up_to_the_bound_and_come_back() {
        let waiting = Waiting::new(100);
        let permit = permit(&waiting, "a", 60);
        assert_eq!((permit.room(), waiting.permit(&"a".into(), 41).is_none()), (40, true));
        let copy = permit.copy(60);
        assert_eq!((copy.bytes(), copy.room()), (60, 0));
        drop(permit);
        assert_eq!(copy.room(), 40);
        assert!(waiting.permit(&"a".into(), 40).is_some());
    }

    #[test]
    fn a_copy_is_as_old_as_the_permit() {
        let waiting = Waiting::new(100);
        let ages = || waiting.by_app().into_iter().map(|(_, waiting)| waiting.oldest_age).collect::<Vec<_>>();
        assert!(ages().is_empty());
        let permit = permit(&waiting, "a", 1);
        while ages().iter().any(Duration::is_zero) {}
        let copy = permit.copy(1);
        drop(permit);
        assert!(ages().iter().all(|age| !age.is_zero()) && ages().len() == 1);
        drop(copy);
        assert!(ages().is_empty());
    }

    #[test]
    fn what_waits_is_counted_for_each_app_and_a_copy_for_the_same() {
        let waiting = Waiting::new(100);
        let counts = || {
            let of_app = |(app, waiting): (Arc<str>, WaitingOfApp)| (app.to_string(), waiting.count);
            waiting.by_app().into_iter().map(of_app).collect::<std::collections::BTreeMap<_, _>>()
        };
        let (of_a, of_b) = (permit(&waiting, "a", 1), permit(&waiting, "b", 1));
        let copy = of_a.copy(1);
        assert_eq!(counts(), [("a".to_owned(), 2), ("b".to_owned(), 1)].into());
        drop(of_b);
        drop(of_a);
        assert_eq!(counts(), [("a".to_owned(), 1)].into());
        drop(copy);
        assert_eq!(counts(), [].into());
    }

    #[actix_web::test]
    async fn who_waits_for_none_wakes_with_the_last_permit() {
        let waiting = Waiting::new(100);
        waiting.emptied().await;
        let permit = permit(&waiting, "a", 1);
        tokio::join!(waiting.emptied(), async move { drop(permit) });
    }
}
