//! The sessions of one HTTP thread, for what concerns many of them at once: draining the node, moving some to other nodes,
//! and apps that go.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
    vec,
};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, WeakRecipient};

use super::page::SendAway;
use crate::{
    app::Registry,
    outbox::{
        Outbox,
        closing::{ClientProtocol, SentAway},
    },
    protocol::{Close, SocketId},
    revocations::{Bearer, Revocations},
};

/// For how long a session is left where it is that has just come: other nodes must know by then that its page is here.
const YOUNG_FOR: Duration = Duration::from_secs(10);

/// How often a drain closes some sessions.
const STEP: Duration = Duration::from_millis(50);

/// The sessions of one thread. A session that enters late, while its node drains or after its app has gone, is closed
/// as it enters: it was not there when the others were closed.
pub struct SessionRegistry {
    sessions: HashMap<SocketId, RegisteredSession>,
    registry: Registry,
    revocations: Revocations,
    is_draining: bool,
    /// Those that have just come, in this order, and for how long they count as such.
    young: VecDeque<(Instant, SocketId)>,
    young_for: Duration,
    /// Those that were closed because other nodes have fewer, and have not gone yet.
    moving: HashSet<SocketId>,
    /// The part of a session that is still to be closed for that.
    rest: f64,
}

/// The registries of the HTTP threads, which enter when they start.
pub type SessionRegistries = Arc<Mutex<Vec<Addr<SessionRegistry>>>>;

/// A session as the registry knows it.
#[derive(Clone)]
pub struct RegisteredSession {
    pub app_id: Arc<str>,
    /// Where its close frame goes.
    pub outbox: Arc<Outbox>,
    /// How it is told.
    pub protocol: ClientProtocol,
    /// The session, if a page is behind it that is to prove what it has heard before it is closed.
    pub page: Option<WeakRecipient<SendAway>>,
    /// Whoever came with a token.
    pub bearer: Option<Arc<Bearer>>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Enter(pub SocketId, pub RegisteredSession);

#[derive(Message)]
#[rtype(result = "()")]
pub struct Exit(pub SocketId, pub Arc<Outbox>);

/// A session has a newer token.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Renewed(pub SocketId, pub Arc<Bearer>);

/// Close all sessions whose tokens were revoked.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct EndRevoked;

/// Close all sessions of an app.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct CloseApp {
    pub app_id: Arc<str>,
    pub close: Close,
}

/// Close all sessions, spread evenly over a time.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct Drain(pub Duration);

/// Close this part of the sessions, because other nodes have fewer.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct MoveSome(pub f64);

/// The sessions that a drain has still to close, in the random order of their ids.
struct ClosingSchedule {
    waiting: vec::IntoIter<RegisteredSession>,
    total: usize,
    step: usize,
    steps: usize,
}

impl ClosingSchedule {
    fn new(sessions: Vec<RegisteredSession>, window: Duration) -> Self {
        let steps = (window.as_millis() / STEP.as_millis()).max(1) as usize;
        Self { total: sessions.len(), waiting: sessions.into_iter(), step: 0, steps }
    }

    /// Whose turn it is now: the first of them at once, the others evenly over the steps.
    fn next_step(&mut self) -> Vec<RegisteredSession> {
        self.step += 1;
        let due = (self.total * self.step).div_ceil(self.steps);
        let closed = self.total - self.waiting.len();
        self.waiting.by_ref().take(due - closed).collect()
    }
}

impl SessionRegistry {
    pub fn new(registry: Registry, revocations: Revocations) -> Self {
        Self {
            sessions: HashMap::new(),
            registry,
            revocations,
            is_draining: false,
            young: VecDeque::new(),
            young_for: YOUNG_FOR,
            moving: HashSet::new(),
            rest: 0.0,
        }
    }

    /// Why a session that enters now may not stay.
    fn objection(&self, session: &RegisteredSession) -> Option<Close> {
        match self.registry.by_id(&session.app_id) {
            _ if self.is_draining => Some(session.protocol.sent_away(SentAway::NodeEnds)),
            None => Some(Close::AppUnknown),
            Some(_) if self.is_revoked(session) => Some(Close::TokenRevoked),
            Some(app) => (!app.settings().enabled).then_some(Close::AppDisabled),
        }
    }

    fn is_revoked(&self, session: &RegisteredSession) -> bool {
        session.bearer.as_ref().is_some_and(|bearer| self.revocations.concern(bearer))
    }

    /// Sessions that closed themselves and sockets that do not answer are no reason to hurry or to wait.
    fn drain(&mut self, mut schedule: ClosingSchedule, ctx: &mut Context<Self>) {
        schedule.next_step().iter().for_each(|session| session.send_away(SentAway::NodeEnds));
        if schedule.waiting.len() > 0 {
            ctx.run_later(STEP, |sessions, ctx| sessions.drain(schedule, ctx));
        }
    }
}

impl SessionRegistry {
    fn grow_up(&mut self, now: Instant) {
        let is_grown = |(came, _): &mut (Instant, SocketId)| now.saturating_duration_since(*came) >= self.young_for;
        while self.young.pop_front_if(is_grown).is_some() {}
    }

    /// In the random order of their ids; those first that lose nothing by it.
    fn move_some(&mut self, part: f64) {
        self.rest += part * self.sessions.len() as f64;
        let count = self.rest as usize;
        self.rest -= count as f64;
        self.grow_up(Instant::now());
        let young: HashSet<SocketId> = self.young.iter().map(|(_, id)| *id).collect();
        let may_move = |id: &SocketId| !self.moving.contains(id) && !young.contains(id);
        let staying = || self.sessions.iter().filter(|(id, _)| may_move(id));
        let (pages, others) = (
            staying().filter(|(_, session)| session.page.is_some()),
            staying().filter(|(_, session)| session.page.is_none()),
        );
        let moving: Vec<SocketId> = pages.chain(others).take(count).map(|(id, _)| *id).collect();
        for id in moving {
            self.moving.insert(id);
            self.sessions.get(&id).into_iter().for_each(|session| session.send_away(SentAway::Rebalanced));
        }
    }
}

impl RegisteredSession {
    fn send_away(&self, why: SentAway) {
        if let Some(page) = &self.page {
            return page.upgrade().into_iter().for_each(|page| page.do_send(SendAway(why)));
        }
        self.protocol.close(&self.outbox, self.protocol.sent_away(why));
    }
}

impl Actor for SessionRegistry {
    type Context = Context<Self>;
}

impl Handler<Enter> for SessionRegistry {
    type Result = ();

    fn handle(&mut self, Enter(id, session): Enter, _: &mut Context<Self>) {
        if let Some(close) = self.objection(&session) {
            session.protocol.close(&session.outbox, close);
        }
        let now = Instant::now();
        self.grow_up(now);
        self.young.push_back((now, id));
        self.sessions.insert(id, session);
    }
}

impl Handler<Exit> for SessionRegistry {
    type Result = ();

    /// A page's next session has the same id, and may have entered already.
    fn handle(&mut self, Exit(id, outbox): Exit, _: &mut Context<Self>) {
        if self.sessions.get(&id).is_some_and(|session| Arc::ptr_eq(&session.outbox, &outbox)) {
            self.sessions.remove(&id);
            self.moving.remove(&id);
        }
    }
}

impl Handler<Renewed> for SessionRegistry {
    type Result = ();

    fn handle(&mut self, Renewed(id, bearer): Renewed, _: &mut Context<Self>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.bearer = Some(bearer);
        // It may have been revoked since it was checked.
        if let Some(session) = self.sessions.get(&id).filter(|session| self.is_revoked(session)) {
            session.protocol.close(&session.outbox, Close::TokenRevoked);
        }
    }
}

impl Handler<EndRevoked> for SessionRegistry {
    type Result = ();

    fn handle(&mut self, EndRevoked: EndRevoked, _: &mut Context<Self>) {
        for session in self.sessions.values().filter(|session| self.is_revoked(session)) {
            session.protocol.close(&session.outbox, Close::TokenRevoked);
        }
    }
}

impl Handler<CloseApp> for SessionRegistry {
    type Result = ();

    fn handle(&mut self, CloseApp { app_id, close }: CloseApp, _: &mut Context<Self>) {
        for session in self.sessions.values().filter(|session| session.app_id == app_id) {
            session.protocol.close(&session.outbox, close);
        }
    }
}

impl Handler<MoveSome> for SessionRegistry {
    type Result = ();

    fn handle(&mut self, MoveSome(part): MoveSome, _: &mut Context<Self>) {
        if !self.is_draining {
            self.move_some(part);
        }
    }
}

impl Handler<Drain> for SessionRegistry {
    type Result = ();

    fn handle(&mut self, Drain(window): Drain, ctx: &mut Context<Self>) {
        self.is_draining = true;
        self.drain(ClosingSchedule::new(self.sessions.values().cloned().collect(), window), ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AppSettings;

    fn listed() -> RegisteredSession {
        RegisteredSession {
            app_id: "1".into(),
            outbox: Outbox::new(1_000),
            protocol: ClientProtocol::Pusher,
            page: None,
            bearer: None,
        }
    }

    fn check(sessions: usize, window: Duration, expected: &[usize]) {
        let mut schedule = ClosingSchedule::new((0..sessions).map(|_| listed()).collect(), window);
        let closed: Vec<_> = expected.iter().map(|_| schedule.next_step().len()).collect();
        assert_eq!((closed.as_slice(), schedule.waiting.len()), (expected, 0));
    }

    #[test]
    fn a_drain_closes_evenly_over_its_window_and_begins_at_once() {
        check(6, STEP * 3, &[2, 2, 2]);
        check(7, STEP * 3, &[3, 2, 2]);
        check(2, STEP * 6, &[1, 0, 0, 1, 0, 0]);
        check(5, Duration::ZERO, &[5]);
        check(0, STEP * 2, &[0]);
    }

    #[actix::test]
    async fn a_part_of_the_sessions_moves_and_none_is_told_twice() {
        let apps = vec![("1".to_owned(), AppSettings::new("key", "secret"))];
        let young = SessionRegistry::new(Registry::new(apps.clone()), Revocations::new(None)).start();
        young.send(Enter(SocketId::random(), listed())).await.unwrap();
        let sessions = SessionRegistry {
            young_for: Duration::ZERO,
            ..SessionRegistry::new(Registry::new(apps), Revocations::new(None))
        }
        .start();
        let all: Vec<RegisteredSession> = (0..100).map(|_| listed()).collect();
        let ids: Vec<SocketId> = all.iter().map(|_| SocketId::random()).collect();
        for (id, session) in ids.iter().zip(&all) {
            sessions.send(Enter(*id, session.clone())).await.unwrap();
        }
        let moved = || all.iter().filter(|session| session.outbox.closing() == Some(Close::Rebalanced)).count();
        for expected in [0, 1, 1, 2] {
            sessions.send(MoveSome(0.005)).await.unwrap();
            assert_eq!(moved(), expected);
        }
        sessions.send(MoveSome(2.0)).await.unwrap();
        assert_eq!(moved(), 100);
    }

    #[actix::test]
    async fn a_session_that_enters_during_a_drain_is_closed_on_arrival() {
        let apps = vec![("1".to_owned(), AppSettings::new("key", "secret"))];
        let sessions = SessionRegistry::new(Registry::new(apps), Revocations::new(None)).start();
        let late = listed();
        sessions.send(Drain(Duration::from_secs(60))).await.unwrap();
        sessions.send(Enter(SocketId::random(), late.clone())).await.unwrap();
        assert_eq!(late.outbox.closing(), Some(Close::Draining));
    }

    #[actix::test]
    async fn a_session_that_enters_after_its_app_has_gone_is_closed_on_arrival() {
        let late = listed();
        let sessions = SessionRegistry::new(Registry::default(), Revocations::new(None)).start();
        sessions.send(Enter(SocketId::random(), late.clone())).await.unwrap();
        assert_eq!(late.outbox.closing(), Some(Close::AppUnknown));
    }
}
