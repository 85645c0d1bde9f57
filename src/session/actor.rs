//! The actor of one connection, of WebSocket or of an answer that goes on: hears its client, keeps track of what it holds, and gives everything back.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, StreamHandler};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::sleep;

use super::{
    connection::SessionConnection,
    liveness::{self, Check},
    pace::Penalties,
    pusher_protocol::PusherProtocol,
    reader::{Incoming, json_of},
    registry::{Enter, Exit, RegisteredSession},
    rights::TokenWatch,
    services::Services,
    stream_protocol::StreamProtocol,
    tenant_protocol::TenantProtocol,
};
use crate::{
    activity::ActivityKind,
    app::permit::{AppPermit, TenantPermit},
    capacity::SocketPermit,
    connection::address::AddressPermit,
    outbox::{
        Outbox,
        closing::{ClientProtocol, SentAway},
    },
    page::PageKey,
    protocol::{ChannelPattern, Close, deflate::Encoding, frame, outbound},
    tenant,
};

/// One WebSocket connection.
pub(super) struct Session {
    pub(super) connection: SessionConnection,
    pub(super) protocol: SessionProtocol,
    _address: Option<AddressPermit>,
    _permit: Option<SocketPermit>,
    heard: Instant,
    /// Where the client is, until the session has begun.
    client: Option<IpAddr>,
    /// When this silence was answered by a ping.
    pinged: Option<Instant>,
    /// The page that names itself by a resume id, until the session has begun.
    page: Option<PageKey>,
    /// Whether the page that was sent away has only to say whether it has heard everything.
    pub(super) is_sent_away: bool,
    /// Why it is to come back to another node, if it is.
    pub(super) why_sent_away: SentAway,
    /// Whether the client ever answered a WebSocket ping; if so, it needs no `pusher:ping`.
    answers_pings: bool,
    /// Of a client that was admitted by a token.
    pub(super) token: Option<Box<TokenWatch>>,
    /// Whether it will be looked which subscriptions have waited too long for the sign-in.
    is_timing_sign_in: bool,
}

/// How the client speaks, and what only that dialect remembers.
pub(super) enum SessionProtocol {
    Pusher(PusherProtocol),
    /// The plain tenant dialect.
    Tenant(TenantProtocol),
    /// The same in an answer of HTTP.
    Stream(StreamProtocol),
}

impl SessionProtocol {
    /// Ends the sign-in of a session that is going. Returns who was signed in.
    pub(super) fn sign_out(&mut self, connection: &SessionConnection) -> Option<String> {
        match self {
            Self::Pusher(pusher) => pusher.sign_out(connection),
            Self::Tenant(_) | Self::Stream(_) => None,
        }
    }

    /// Whether the sign-in names channels of which one may match.
    fn may_have(&self, patterns: &[ChannelPattern]) -> bool {
        match self {
            Self::Pusher(pusher) => pusher.may_have(patterns),
            Self::Tenant(_) | Self::Stream(_) => false,
        }
    }

    fn client_protocol(&self) -> ClientProtocol {
        match self {
            Self::Pusher(_) => ClientProtocol::Pusher,
            Self::Tenant(_) => ClientProtocol::Tenant,
            Self::Stream(_) => ClientProtocol::Stream,
        }
    }

    /// What the client is told first.
    fn greet(&mut self, connection: &mut SessionConnection) {
        match self {
            Self::Pusher(_) => {
                let timeout = connection.app().settings().activity_timeout;
                connection.outbox.send(&outbound::connection_established(connection.id, timeout));
            }
            Self::Tenant(_) => connection.outbox.send(&tenant::outbound::connected(connection.id)),
            Self::Stream(stream) => stream.begin(connection),
        }
    }
}

/// What an admission gives to a session.
pub(super) struct Admission {
    pub app_permit: AppPermit,
    /// Of a socket that was admitted to a tenant.
    pub tenant_permit: Option<TenantPermit>,
    pub penalties: Penalties,
    pub address: Option<AddressPermit>,
    pub permit: Option<SocketPermit>,
    /// Where the client is; not kept.
    pub client: Option<IpAddr>,
    pub protocol: SessionProtocol,
    /// The page that names itself by a resume id.
    pub page: Option<PageKey>,
    /// How events go to the client.
    pub encoding: Encoding,
    /// When the session may begin, of many that come at once.
    pub turn_in: Duration,
}

impl Session {
    /// A session that has just been admitted.
    pub(super) fn new(outbox: Arc<Outbox>, admission: Admission, services: Rc<Services>) -> Self {
        let Admission { app_permit, tenant_permit, penalties, address, permit, client, protocol, page, .. } = admission;
        let connection = SessionConnection::new(
            outbox,
            (app_permit, tenant_permit),
            penalties,
            protocol.client_protocol(),
            services,
        );
        Self {
            connection,
            protocol,
            _address: address,
            _permit: permit,
            heard: Instant::now(),
            pinged: None,
            client,
            page,
            is_sent_away: false,
            why_sent_away: SentAway::NodeEnds,
            answers_pings: false,
            token: None,
            is_timing_sign_in: false,
        }
    }

    /// Starts a session when its turn comes. Until then it has its connection, and nobody waits for it.
    pub(super) fn start_in(turn_in: Duration, create: impl FnOnce(&mut Context<Self>) -> Self + 'static) {
        let start = move || Self::create(create);
        if turn_in.is_zero() {
            start();
        } else {
            actix::spawn(sleep(turn_in).map(|()| drop(start())));
        }
    }

    fn hear(&mut self, text: &str, ctx: &mut Context<Self>) {
        let Self { connection, protocol, .. } = self;
        connection.app().counters.bytes_in.fetch_add(text.len() as u64, Relaxed);
        connection.forget_refused();
        match protocol {
            SessionProtocol::Pusher(pusher) => pusher.hear(text, connection),
            SessionProtocol::Tenant(tenant) => {
                if let Some(token) = tenant.hear(text, connection) {
                    self.renew(token, ctx);
                }
            }
            SessionProtocol::Stream(_) => {}
        }
        self.time_sign_in(ctx);
        if self.connection.page.is_some() {
            self.restand_after_receipt();
        }
        if self.is_sent_away {
            self.settle_away();
        }
    }

    /// A back end has taken channels from the user. A client that had one of them, or may have it by its sign-in, comes back
    /// as another socket: no signature that it may have stored holds for that.
    fn lose_channels(&self, revoked: &[Arc<[ChannelPattern]>]) {
        let had = |patterns: &Arc<[ChannelPattern]>| {
            self.connection.subscriptions.match_any(patterns) || self.protocol.may_have(patterns)
        };
        if revoked.iter().any(had) {
            self.connection.close(Close::RightsChanged);
        }
    }

    /// Sees to it that no subscription waits too long for the sign-in.
    fn time_sign_in(&mut self, ctx: &mut Context<Self>) {
        let SessionProtocol::Pusher(pusher) = &self.protocol else { return };
        let Some(patience) = pusher.is_overdue_in().filter(|_| !self.is_timing_sign_in) else { return };
        self.is_timing_sign_in = true;
        ctx.run_later(patience, |session, ctx| {
            session.is_timing_sign_in = false;
            if let SessionProtocol::Pusher(pusher) = &mut session.protocol {
                pusher.refuse_overdue(&session.connection);
            }
            session.time_sign_in(ctx);
        });
    }

    /// Gives back what the session holds; the rooms tell who has to know. Happens as soon as a close is decided, not when
    /// the client has answered it.
    fn give_back(&mut self) {
        if self.connection.page.is_some() {
            return self.give_back_page();
        }
        self.connection.leave_all();
        self.protocol.sign_out(&self.connection);
    }

    /// Does what is due with time, and again when the next is. There is one timer for all of it: another one would cost a
    /// page as much as all that its session knows of it.
    fn watch(&mut self, ctx: &mut Context<Self>) {
        let receipt = self.await_receipt();
        let limits = &self.connection.services.shared.limits;
        let pinged = self.pinged.map(|pinged| pinged.elapsed());
        let again = match liveness::check(self.heard.elapsed(), pinged, limits.ping_interval, limits.pong_timeout) {
            Check::Silent => return self.connection.close(Close::Silent),
            Check::Later(rest) => rest,
            Check::Ping(rest) => {
                self.ping();
                rest
            }
        };
        ctx.run_later(again.min(receipt), Self::watch);
    }

    fn ping(&mut self) {
        self.pinged = Some(Instant::now());
        self.connection.outbox.send(&frame::ping(&[]));
        if let Some(page) = &self.connection.page {
            if page.receipts().is_settled() {
                self.connection.ask_receipt();
            }
        } else if self.connection.client_protocol == ClientProtocol::Pusher && !self.answers_pings {
            self.connection.outbox.send(&outbound::ping());
        }
    }

    /// Greets the client, under the id that it has from now on.
    pub(super) fn begin(&mut self, ctx: &mut Context<Self>) {
        let connection = &self.connection;
        let client = self.client.take();
        connection.report(|| ActivityKind::Connected { socket: connection.id, address: client });
        let protocol = connection.client_protocol;
        // Enters before it greets: a client that was greeted is one that a drain closes.
        let page = connection.page.is_some().then(|| ctx.address().downgrade().recipient());
        let listed = RegisteredSession {
            app_id: connection.app().id().clone(),
            outbox: connection.outbox.clone(),
            protocol,
            page,
            bearer: self.protocol.bearer(connection.app().id()),
        };
        connection.services.sessions.do_send(Enter(connection.id, listed));
        let limits = &connection.services.shared.limits;
        let first_watch = limits.ping_interval.min(self.await_receipt());
        self.protocol.greet(&mut self.connection);
        match protocol {
            ClientProtocol::Pusher => {
                self.watch_authorisation(ctx);
                ctx.run_later(first_watch, Self::watch);
            }
            ClientProtocol::Tenant => {
                ctx.run_later(first_watch, Self::watch);
            }
            ClientProtocol::Stream => self.beat_later(ctx),
        }
        self.follow_token(ctx);
    }

    /// A client that says nothing shows by nothing that it is there; the kernel gives up one that does not acknowledge this.
    fn beat_later(&self, ctx: &mut Context<Self>) {
        ctx.run_later(self.connection.services.shared.tenant.heartbeat, |session, ctx| {
            session.connection.outbox.send(&Bytes::from_static(tenant::stream::HEARTBEAT));
            session.beat_later(ctx);
        });
    }

    fn watch_authorisation(&self, ctx: &mut Context<Self>) {
        let Some(patience) = self.connection.app().settings().authorised_within else { return };
        ctx.run_later(patience, |session, _| {
            if !session.connection.is_authorised {
                session.connection.close(Close::NotAuthorisedInTime);
            }
        });
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        match self.page.take() {
            Some(page) => self.await_start(page, ctx),
            None => self.begin(ctx),
        }
    }

    /// Every end comes through here, closed or lost.
    fn stopped(&mut self, _: &mut Context<Self>) {
        self.give_back();
        let connection = &self.connection;
        connection.services.sessions.do_send(Exit(connection.id, connection.outbox.clone()));
        let closing = connection.outbox.closing();
        connection.app().counters.outcomes.count_close(closing);
        connection.report(|| ActivityKind::Closed { socket: connection.id, close: closing });
        tracing::debug!(socket = %connection.id, app = %connection.app().id(), close = ?closing, "session ended");
    }
}

impl StreamHandler<Incoming> for Session {
    fn handle(&mut self, incoming: Incoming, ctx: &mut Context<Self>) {
        // A browser answers for pages that hear nothing.
        let is_automatic = matches!(incoming, Incoming::Ping(_) | Incoming::Pong | Incoming::Revoked(_));
        if !(is_automatic && self.connection.page.is_some()) {
            self.heard = Instant::now();
            self.pinged = None;
        }
        match incoming {
            Incoming::Text(text) => self.hear(&text, ctx),
            Incoming::Binary(payload) => json_of(&payload).into_iter().for_each(|text| self.hear(text, ctx)),
            Incoming::Ping(payload) => self.connection.outbox.send(&frame::pong(&payload)),
            Incoming::Pong => self.answers_pings = true,
            Incoming::Close(code) => self.connection.outbox.close(Close::Echo(code)),
            Incoming::Broken(close) => self.connection.close(close),
            Incoming::Closing => self.give_back(),
            Incoming::Held(held) => {
                self.connection.services.shared.metrics.reading_pauses.with_label_values(&[held.name()]).inc();
            }
            Incoming::Revoked(revoked) => self.lose_channels(&revoked),
            Incoming::Part => {}
        }
    }
}
