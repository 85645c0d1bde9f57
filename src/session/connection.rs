//! What a session and the dialect of its client work with side by side: the socket that is written to, the channels, and
//! the node's services. Knows neither dialects nor the actor.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{pace::Penalties, page_session::PageSession, services::Services, subscriptions::Subscriptions};
use crate::{
    activity::{ActivityEvent, ActivityKind, Asked, Refusal},
    app::{
        App,
        permit::{AppPermit, SubscriptionPermit, TenantPermit},
        usage::Reached,
    },
    metrics::MessageRefusal,
    outbox::{Outbox, closing::ClientProtocol},
    page::Departure,
    protocol::{ChannelName, Close, Since, SocketId, outbound, presence::MemberClaim},
    room::{Dialect, Join, JoinAs, Parting, Subscriber},
    tenant,
};

/// The connection of one session.
pub(super) struct SessionConnection {
    pub(super) id: SocketId,
    pub(super) outbox: Arc<Outbox>,
    pub(super) services: Rc<Services>,
    pub(super) subscriptions: Subscriptions<SubscriptionPermit>,
    /// Signed in, or subscribed to a channel that needed a signature.
    pub(super) is_authorised: bool,
    pub(super) client_protocol: ClientProtocol,
    /// The page behind it, if it names itself by a resume id.
    pub(super) page: Option<Box<PageSession>>,
    app_permit: AppPermit,
    /// Its place among the sockets of the tenant that it was admitted to.
    tenant_permit: Option<Rc<TenantPermit>>,
    /// What the client is read more slowly for.
    penalties: Penalties,
}

impl SessionConnection {
    /// A connection without channels, under a random id.
    pub(super) fn new(
        outbox: Arc<Outbox>,
        (app_permit, tenant_permit): (AppPermit, Option<TenantPermit>),
        penalties: Penalties,
        client_protocol: ClientProtocol,
        services: Rc<Services>,
    ) -> Self {
        let (id, subscriptions) = (SocketId::random(), Subscriptions::default());
        Self {
            id,
            outbox,
            services,
            subscriptions,
            is_authorised: false,
            client_protocol,
            page: None,
            app_permit,
            tenant_permit: tenant_permit.map(Rc::new),
            penalties,
        }
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
        self.app().refuse(reason, &self.services.shared.metrics.activity, refusal);
    }

    pub(super) fn report(&self, kind: impl FnOnce() -> ActivityKind) {
        let activity = &self.services.shared.metrics.activity;
        activity.report(|| ActivityEvent::of(self.app().id().clone(), kind()));
    }

    /// Joins a channel that the socket may join as far as the session can tell; the room decides. Refused where the app or
    /// the channel's tenant may have no more: who goes on asking is read more slowly.
    pub(super) fn join(
        &mut self,
        channel: ChannelName,
        dialect: Dialect,
        claim: Option<MemberClaim>,
        since: Option<Since>,
    ) -> Result<(), Reached> {
        let attempt = match self.subscriptions.repeat(&channel) {
            Some(attempt) => attempt,
            None => {
                let permit = self.take_subscription(&channel).inspect_err(|_| self.penalties.add())?;
                self.subscriptions.begin(channel.clone(), permit)
            }
        };
        let (claimed, page) = self.page.as_mut().map(|page| page.claim(&channel, Instant::now())).unzip();
        let since = since.or(claimed.flatten());
        let join =
            Join { subscriber: self.as_subscriber(dialect), claim: claim.map(JoinAs::Member), since, page, attempt };
        self.services.shared.rooms.join(self.app(), channel, join);
        Ok(())
    }

    /// The socket counts once for each tenant that it has to do with.
    fn take_subscription(&self, channel: &ChannelName) -> Result<SubscriptionPermit, Reached> {
        let by_subscriptions = self.subscriptions.permits().filter_map(SubscriptionPermit::tenant);
        SubscriptionPermit::take(self.app(), channel, self.tenant_permit.iter().chain(by_subscriptions))
    }

    pub(super) fn leave(&mut self, channel: &ChannelName) {
        if let Some(page) = &mut self.page {
            page.forget(channel);
        }
        if self.subscriptions.end(channel) {
            self.services.shared.rooms.leave(self.app(), channel.clone(), self.id);
        }
    }

    pub(super) fn leave_all(&mut self) {
        for channel in self.subscriptions.end_all() {
            self.services.shared.rooms.leave(self.app_permit.app(), channel, self.id);
        }
    }

    /// The session of a page is over, which may come back: its rooms let it go, and say how far it has heard them.
    pub(super) fn depart(
        &mut self,
        grace: Duration,
        depart: impl FnOnce(&mut PageSession, Vec<ChannelName>) -> Option<Departure>,
    ) {
        let Some(page) = &mut self.page else { return };
        let (channels, proven): (Vec<_>, _) = (self.subscriptions.end_all().collect(), page.receipts().proven());
        let Some(departure) = depart(page, channels.clone()) else { return };
        let (rooms, visit) = (&self.services.shared.rooms, departure.visit.clone());
        rooms.pages().depart(departure);
        for channel in channels {
            let parting = Parting { socket: self.id, visit: visit.clone(), proven, grace };
            rooms.part(self.app_permit.app(), channel, parting);
        }
    }

    /// Asks a page whether it has heard everything so far.
    pub(super) fn ask_receipt(&mut self) {
        let Some(page) = &mut self.page else { return };
        // Read before the question is sent: what is sent meanwhile is not proven by the answer.
        let owed = self.services.shared.rooms.pages().owe_receipt();
        page.ask_receipt(Instant::now(), self.outbox.sends(), owed);
        self.outbox.send(&match self.client_protocol {
            ClientProtocol::Pusher => outbound::ping(),
            ClientProtocol::Tenant => tenant::outbound::ping(),
            // A stream names no page, and could not answer.
            ClientProtocol::Stream => Bytes::from_static(tenant::stream::HEARTBEAT),
        });
    }

    /// The page answered.
    pub(super) fn hear_receipt(&mut self) {
        if let Some(page) = &mut self.page {
            page.hear_receipt();
        }
    }

    /// Whether what the client says is not heard any more.
    pub(super) fn has_departed(&self) -> bool {
        self.page.as_ref().is_some_and(|page| page.has_departed())
    }

    /// Channels whose rooms did not take the socket count no more.
    pub(super) fn forget_refused(&mut self) {
        self.outbox.take_refused().iter().for_each(|refused| self.subscriptions.refuse(refused));
    }
}
