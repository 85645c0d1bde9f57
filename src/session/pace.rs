//! How fast one socket is read: not faster than its app allows, and not while the node is behind with what sockets sent
//! before. What is not read waits in the client's TCP window.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    app::{App, rate::Bucket},
    room::Inflow,
};

/// How many messages a socket may send at once beside its subscriptions.
const BESIDE_SUBSCRIPTIONS: usize = 100;

/// Messages in a second that are much where the app has no rate.
const MUCH: u32 = 50;

/// Decides when the next message of a socket is taken.
pub struct Pace {
    app: Arc<App>,
    inflow: Arc<Inflow>,
    /// Zero of the bucket's clock.
    started: Instant,
    bucket: Bucket,
    /// Whether a token is in hand for the next message.
    has_token: bool,
    penalties: Penalties,
    /// Until when nothing is taken.
    pause: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// What a client did that was refused at some cost, and for which it is read more slowly.
#[derive(Clone, Default)]
pub struct Penalties(Rc<Cell<u32>>);

impl Penalties {
    /// So much as if it had sent ten messages.
    pub fn add(&self) {
        self.0.set(self.0.get().saturating_add(10));
    }
}

/// Why nothing is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The socket has sent more than its app allows.
    ByItsRate,
    /// The node is behind.
    ByTheNode,
}

impl Held {
    /// The label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ByItsRate => "rate",
            Self::ByTheNode => "node",
        }
    }
}

impl Pace {
    /// A pace for a new socket of the app, with all that it may send at once.
    pub fn new(app: Arc<App>, inflow: Arc<Inflow>, started: Instant, penalties: Penalties) -> Self {
        Self { app, inflow, started, bucket: Bucket::default(), has_token: false, penalties, pause: None }
    }

    /// Whether one more message may be taken. Where a pause begins it says so and is to be asked again at once.
    pub fn poll_take(&mut self, ctx: &mut Context<'_>) -> Poll<Result<(), Held>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(ctx));
            self.pause = None;
        }
        let Rate { per_second, at_once, is_limit } = self.rate();
        let now = self.started.elapsed();
        if self.inflow.is_behind(self.bucket.spare(at_once, per_second, now)) {
            self.pause = Some(Box::pin(self.inflow.pause()));
            return Poll::Ready(Err(Held::ByTheNode));
        }
        if let Err(rest) = self.pay(at_once, per_second, now)
            && is_limit
        {
            self.pause = Some(Box::pin(sleep(rest)));
            return Poll::Ready(Err(Held::ByItsRate));
        }
        self.has_token = true;
        Poll::Ready(Ok(()))
    }

    /// Takes what the penalties cost, and the token of the next message.
    fn pay(&mut self, at_once: u32, per_second: u32, now: Duration) -> Result<(), Duration> {
        let Penalties(penalties) = &self.penalties;
        while penalties.get() > 0 {
            self.bucket.take(at_once, per_second, now)?;
            penalties.set(penalties.get() - 1);
        }
        if self.has_token { Ok(()) } else { self.bucket.take(at_once, per_second, now) }
    }

    /// A message was taken.
    pub fn count(&mut self) {
        self.has_token = false;
    }

    /// As the app has it now.
    fn rate(&self) -> Rate {
        let settings = self.app.settings();
        let at_once = settings.max_subscriptions.saturating_add(BESIDE_SUBSCRIPTIONS);
        Rate {
            per_second: settings.messages_per_second.unwrap_or(MUCH),
            at_once: u32::try_from(at_once).unwrap_or(u32::MAX),
            is_limit: settings.messages_per_second.is_some(),
        }
    }
}

/// What a socket may send.
#[derive(Clone, Copy)]
struct Rate {
    per_second: u32,
    /// A page that comes back sends all its subscriptions together.
    at_once: u32,
    /// Whether it may send no more. Where it may, it is the first that waits all the same while the node is behind.
    is_limit: bool,
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::poll_fn};

    use super::*;
    use crate::config::AppSettings;

    fn pace(per_second: Option<u32>, inflow: &Arc<Inflow>) -> Pace {
        let settings =
            AppSettings { messages_per_second: per_second, max_subscriptions: 1, ..AppSettings::new("k", "s") };
        Pace::new(App::new("1", settings), inflow.clone(), Instant::now(), Penalties::default())
    }

    /// Whether a message may be taken at once; it is taken if so.
    fn take(pace: &mut Pace) -> Option<Result<(), Held>> {
        let taken = poll_fn(|ctx| pace.poll_take(ctx)).now_or_never();
        if taken == Some(Ok(())) {
            pace.count();
        }
        taken
    }

    #[actix::test]
    async fn what_was_refused_at_some_cost_takes_as_much_as_ten_messages() {
        let mut pace = pace(Some(1), &Inflow::new(10, None));
        let penalties = pace.penalties.clone();
        (0..10).for_each(|_| penalties.add());
        assert_eq!(poll_fn(|ctx| pace.poll_take(ctx)).now_or_never(), Some(Ok(())));
        pace.count();
        assert_eq!(poll_fn(|ctx| pace.poll_take(ctx)).now_or_never(), Some(Err(Held::ByItsRate)));
    }

    #[actix::test]
    async fn a_socket_may_send_its_subscriptions_and_a_hundred_at_once_and_then_its_rate() {
        let mut pace = pace(Some(1), &Inflow::new(4, None));
        assert!((0..101).all(|_| take(&mut pace) == Some(Ok(()))));
        assert_eq!(take(&mut pace), Some(Err(Held::ByItsRate)));
        assert_eq!(take(&mut pace), None);
    }

    #[actix::test]
    async fn a_client_that_only_asks_pays_nothing() {
        let mut pace = pace(Some(1), &Inflow::new(4, None));
        for _ in 0..1_000 {
            assert_eq!(poll_fn(|ctx| pace.poll_take(ctx)).now_or_never(), Some(Ok(())));
        }
    }

    #[actix::test]
    async fn an_app_without_a_rate_holds_nobody() {
        let mut pace = pace(None, &Inflow::new(4, None));
        assert!((0..10_000).all(|_| take(&mut pace) == Some(Ok(()))));
    }

    #[actix::test]
    async fn nothing_is_taken_while_the_node_is_behind_and_all_hear_when_it_no_longer_is() {
        let inflow = Inflow::new(4, None);
        let mut paces = [pace(Some(1), &inflow), pace(None, &inflow)];
        let underway: Vec<_> = (0..6).map(|_| inflow.begin()).collect();
        for pace in &mut paces {
            assert_eq!(take(pace), Some(Err(Held::ByTheNode)));
            assert_eq!(take(pace), None);
        }
        drop(underway);
        for pace in &mut paces {
            assert_eq!(take(pace), Some(Ok(())));
        }
    }

    #[actix::test]
    async fn a_socket_that_has_sent_much_waits_where_one_that_has_sent_little_does_not() {
        let inflow = Inflow::new(4, None);
        let [mut much, mut little] = [pace(Some(1), &inflow), pace(Some(1), &inflow)];
        assert!((0..100).all(|_| take(&mut much) == Some(Ok(()))));
        let _underway: Vec<_> = (0..3).map(|_| inflow.begin()).collect();
        assert_eq!(take(&mut much), Some(Err(Held::ByTheNode)));
        assert_eq!(take(&mut little), Some(Ok(())));
    }

    #[actix::test]
    async fn a_socket_that_may_send_what_it_likes_waits_before_others_if_it_does() {
        let inflow = Inflow::new(4, None);
        let [mut much, mut little] = [pace(None, &inflow), pace(None, &inflow)];
        assert!((0..1_000).all(|_| take(&mut much) == Some(Ok(()))));
        let _underway: Vec<_> = (0..3).map(|_| inflow.begin()).collect();
        assert_eq!(take(&mut much), Some(Err(Held::ByTheNode)));
        assert_eq!(take(&mut little), Some(Ok(())));
    }

    #[actix::test]
    async fn a_socket_that_is_held_for_long_says_so_again() {
        let inflow = Inflow::new(4, None);
        let _underway: Vec<_> = (0..6).map(|_| inflow.begin()).collect();
        let mut pace = pace(None, &inflow);
        for _ in 0..2 {
            assert_eq!(poll_fn(|ctx| pace.poll_take(ctx)).await, Err(Held::ByTheNode));
        }
    }
}
