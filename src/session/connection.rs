//! What a session and the dialect of its client work with side by side: the socket that is written to, the channels, and
//! the node's services. Knows neither dialects nor the actor.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{services::Services, subscriptions::Subscriptions};
use crate::{
    activity::{ActivityEvent, ActivityKind, Asked, Refusal},
    app::{App, permit::AppPermit},
    metrics::MessageRefusal,
    outbox::{Outbox, closing::ClientProtocol},
    protocol::{ChannelName, Close, Position, SocketId, presence::MemberClaim},
    room::{Dialect, Join, JoinAs, Subscriber},
};

/// The connection of one session.
pub(super) struct SessionConnection {
    pub(super) id: SocketId,
    pub(super) outbox: Arc<Outbox>,
    pub(super) services: Rc<Services>,
    pub(super) subscriptions: Subscriptions,
    /// Signed in, or subscribed to a channel that needed a signature.
    pub(super) is_authorised: bool,
    pub(super) client_protocol: ClientProtocol,
    app_permit: AppPermit,
}

impl SessionConnection {
    /// A connection without channels, under a random id.
    pub(super) fn new(
        outbox: Arc<Outbox>,
        app_permit: AppPermit,
        client_protocol: ClientProtocol,
        services: Rc<Services>,
    ) -> Self {
        let (id, subscriptions) = (SocketId::random(), Subscriptions::default());
        Self { id, outbox, services, subscriptions, is_authorised: false, client_protocol, app_permit }
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
    pub(super) fn join(
        &mut self,
        channel: ChannelName,
        dialect: Dialect,
        claim: Option<MemberClaim>,
        since: Option<Position>,
    ) {
        let attempt = self.subscriptions.begin(channel.clone());
        let join = Join { subscriber: self.as_subscriber(dialect), claim: claim.map(JoinAs::Member), since, attempt };
        self.services.shared.rooms.join(self.app(), channel, join);
    }

    pub(super) fn leave(&mut self, channel: &ChannelName) {
        if self.subscriptions.end(channel) {
            self.services.shared.rooms.leave(self.app(), channel.clone(), self.id);
        }
    }

    pub(super) fn leave_all(&mut self) {
        for channel in self.subscriptions.end_all() {
            self.services.shared.rooms.leave(self.app_permit.app(), channel, self.id);
        }
    }

    /// Channels whose rooms did not take the socket count no more.
    pub(super) fn forget_refused(&mut self) {
        self.outbox.take_refused().iter().for_each(|refused| self.subscriptions.refuse(refused));
    }
}
