//! The actor of one WebSocket connection: hears its client, keeps track of what it holds, and gives everything back.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, StreamHandler};

use super::{
    liveness::{self, Check},
    pusher_protocol::PusherProtocol,
    reader::{Incoming, json_of},
    registry::{Enter, Exit, RegisteredSession},
    services::Services,
    subscriptions::Subscriptions,
    tenant_protocol::TenantProtocol,
};
use crate::{
    activity::{ActivityEvent, ActivityKind, Asked, Refusal},
    app::{App, counters::AppPermit},
    capacity::SocketPermit,
    connection::address::AddressPermit,
    metrics::MessageRefusal,
    outbox::{Outbox, closing::ClientProtocol},
    protocol::{ChannelName, Close, SocketId, frame, outbound, presence::MemberClaim},
    room::{Dialect, Join, JoinAs, Subscriber},
    tenant,
};

/// One WebSocket connection.
pub(super) struct Session {
    pub(super) id: SocketId,
    pub(super) outbox: Arc<Outbox>,
    pub(super) services: Rc<Services>,
    pub(super) subscriptions: Subscriptions,
    /// Signed in, or subscribed to a channel that needed a signature.
    pub(super) is_authorised: bool,
    app_permit: AppPermit,
    _address: Option<AddressPermit>,
    _permit: Option<SocketPermit>,
    client_protocol: ClientProtocol,
    /// `None` only while it hears a message.
    protocol: Option<SessionProtocol>,
    heard: Instant,
    /// When this silence was answered by a ping.
    pinged: Option<Instant>,
    /// Whether the client ever answered a WebSocket ping; if so, it needs no `pusher:ping`.
    answers_pings: bool,
}

/// How the client speaks, and what only that dialect remembers.
pub(super) enum SessionProtocol {
    Pusher(PusherProtocol),
    /// The plain tenant dialect.
    Tenant(TenantProtocol),
}

impl SessionProtocol {
    fn client_protocol(&self) -> ClientProtocol {
        match self {
            Self::Pusher(_) => ClientProtocol::Pusher,
            Self::Tenant(_) => ClientProtocol::Tenant,
        }
    }
}

/// What an admission gives to a session.
pub(super) struct Admission {
    pub app_permit: AppPermit,
    pub address: Option<AddressPermit>,
    pub permit: Option<SocketPermit>,
    /// Where the client is; not kept.
    pub client: Option<IpAddr>,
    pub protocol: SessionProtocol,
}

impl Session {
    /// A session that has just been admitted.
    pub(super) fn new(outbox: Arc<Outbox>, admission: Admission, services: Rc<Services>) -> Self {
        let session = Self {
            id: SocketId::random(),
            outbox,
            services,
            subscriptions: Subscriptions::default(),
            is_authorised: false,
            app_permit: admission.app_permit,
            _address: admission.address,
            _permit: admission.permit,
            client_protocol: admission.protocol.client_protocol(),
            protocol: Some(admission.protocol),
            heard: Instant::now(),
            pinged: None,
            answers_pings: false,
        };
        session.report(|| ActivityKind::Connected { socket: session.id, address: admission.client });
        session
    }

    pub(super) fn app(&self) -> &Arc<App> {
        self.app_permit.app()
    }

    pub(super) fn as_subscriber(&self, dialect: Dialect) -> Subscriber {
        Subscriber { id: self.id, outbox: self.outbox.clone(), dialect }
    }

    pub(super) fn close(&self, close: Close) {
        self.client_protocol.close(&self.outbox, close);
    }

    /// Time for rate limits.
    pub(super) fn clock(&self) -> Duration {
        self.services.shared.started.elapsed()
    }

    /// Counts a message that is refused, and tells consoles what the client is told.
    pub(super) fn count_refusal(&self, reason: MessageRefusal, text: &str, channel: Option<&str>) {
        let refusal = || Refusal::new(Asked::Message, reason.label(), text).by(self.id, channel);
        self.services.shared.metrics.refuse(self.app().id(), reason, refusal);
    }

    pub(super) fn report(&self, kind: impl FnOnce() -> ActivityKind) {
        let activity = &self.services.shared.metrics.activity;
        activity.report(|| ActivityEvent::of(self.app().id().clone(), kind()));
    }

    /// Joins a channel that the socket may join as far as the session can tell; the room decides.
    pub(super) fn join(&mut self, channel: ChannelName, dialect: Dialect, claim: Option<MemberClaim>) {
        let attempt = self.subscriptions.begin(channel.clone());
        let join = Join { subscriber: self.as_subscriber(dialect), claim: claim.map(JoinAs::Member), attempt };
        self.services.shared.rooms.join(self.app(), channel, join);
    }

    pub(super) fn leave(&mut self, channel: &ChannelName) {
        if self.subscriptions.end(channel) {
            self.services.shared.rooms.leave(self.app(), channel.clone(), self.id);
        }
    }

    fn hear(&mut self, text: &str) {
        self.app().counters.bytes_in.fetch_add(text.len() as u64, Relaxed);
        self.outbox.take_refused().iter().for_each(|refused| self.subscriptions.refuse(refused));
        // The protocol is taken out so that it and the session can be changed side by side.
        let Some(mut protocol) = self.protocol.take() else { return };
        match &mut protocol {
            SessionProtocol::Pusher(pusher) => pusher.hear(text, self),
            SessionProtocol::Tenant(tenant) => tenant.hear(text, self),
        }
        self.protocol = Some(protocol);
    }

    /// Gives back what the session holds; the rooms tell who has to know. Happens as soon as a close is decided, not when
    /// the client has answered it.
    fn give_back(&mut self) {
        let shared = &self.services.shared;
        for channel in self.subscriptions.end_all() {
            shared.rooms.leave(self.app_permit.app(), channel, self.id);
        }
        if let Some(SessionProtocol::Pusher(pusher)) = &mut self.protocol {
            pusher.sign_out(self.id, self.app_permit.app(), &shared.rooms);
        }
    }

    fn check_liveness(&mut self, ctx: &mut Context<Self>) {
        let limits = &self.services.shared.limits;
        let pinged = self.pinged.map(|pinged| pinged.elapsed());
        let again = match liveness::check(self.heard.elapsed(), pinged, limits.ping_interval, limits.pong_timeout) {
            Check::Silent => return self.close(Close::Silent),
            Check::Later(rest) => rest,
            Check::Ping(rest) => {
                self.ping();
                rest
            }
        };
        ctx.run_later(again, Self::check_liveness);
    }

    fn ping(&mut self) {
        self.pinged = Some(Instant::now());
        self.outbox.send(&frame::ping(&[]));
        if self.client_protocol == ClientProtocol::Pusher && !self.answers_pings {
            self.outbox.send(&outbound::ping());
        }
    }

    fn watch_authorisation(&self, ctx: &mut Context<Self>) {
        let Some(patience) = self.app().settings().authorised_within else { return };
        ctx.run_later(patience, |session, _| {
            if !session.is_authorised {
                session.close(Close::NotAuthorisedInTime);
            }
        });
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let protocol = self.client_protocol;
        // Enters before it greets: a client that was greeted is one that a drain closes.
        let listed = RegisteredSession { app_id: self.app().id().clone(), outbox: self.outbox.clone(), protocol };
        self.services.sessions.do_send(Enter(self.id, listed));
        self.outbox.send(&match protocol {
            ClientProtocol::Tenant => tenant::outbound::connected(self.id),
            ClientProtocol::Pusher => outbound::connection_established(self.id, self.app().settings().activity_timeout),
        });
        if protocol == ClientProtocol::Pusher {
            self.watch_authorisation(ctx);
        }
        ctx.run_later(self.services.shared.limits.ping_interval, Self::check_liveness);
    }

    /// Every end comes through here, closed or lost.
    fn stopped(&mut self, _: &mut Context<Self>) {
        self.give_back();
        self.services.sessions.do_send(Exit(self.id));
        let closing = self.outbox.closing();
        let shared = &self.services.shared;
        shared.metrics.closes.with_label_values(&[closing.map_or("lost", Close::name)]).inc();
        if closing == Some(Close::SlowConsumer) {
            shared.metrics.slow_consumers.inc();
        }
        self.report(|| ActivityKind::Closed { socket: self.id, close: closing });
        tracing::debug!(socket = %self.id, app = %self.app_permit.app().id(), close = ?closing, "session ended");
    }
}

impl StreamHandler<Incoming> for Session {
    fn handle(&mut self, incoming: Incoming, _: &mut Context<Self>) {
        self.heard = Instant::now();
        self.pinged = None;
        match incoming {
            Incoming::Text(text) => self.hear(&text),
            Incoming::Binary(payload) => json_of(&payload).into_iter().for_each(|text| self.hear(text)),
            Incoming::Ping(payload) => self.outbox.send(&frame::pong(&payload)),
            Incoming::Pong => self.answers_pings = true,
            Incoming::Close(code) => self.outbox.close(Close::Echo(code)),
            Incoming::Broken(close) => self.close(close),
            Incoming::Closing => self.give_back(),
            Incoming::Held(held) => {
                self.services.shared.metrics.reading_pauses.with_label_values(&[held.name()]).inc();
            }
            Incoming::Part => {}
        }
    }
}
