//! Who joins and leaves, and what subscribers, webhooks and other nodes learn of how many they are.

use std::{mem, time::Duration};

use bytes::Bytes;

use super::{Clock, Effect, RoomState, Surroundings, Task};
use crate::{
    app::usage::Resource,
    protocol::{Recovery, SocketId, WebhookDetail},
    room::{
        Join, Subscriber,
        count_notice::Notice,
        dialect::Announcement,
        membership::{self, JoinRefusal, Joined},
        messages::{JoinAs, SignIn},
    },
};

/// Where the number of subscribers changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// On this node, which tells the webhooks.
    Here,
    /// On another node.
    Remote,
}

impl RoomState {
    pub(super) fn join(&mut self, join: Join, around: &Surroundings, effects: &mut Vec<Effect>) {
        if let Some(join) = self.wait_for_peers(join, around, effects) {
            self.join_now(join, around, effects);
        }
    }

    fn join_now(&mut self, join: Join, around: &Surroundings, effects: &mut Vec<Effect>) {
        let joined = match self.admit(&join, around, effects) {
            Ok(joined) => joined,
            Err(refusal) => {
                let is_subscribed = self.fanout.contains(join.subscriber.id);
                return effects.push(Effect::RefuseJoin { join, refusal, is_subscribed });
            }
        };
        let Join { subscriber, claim, since, page, .. } = join;
        let id = subscriber.id;
        if let (Some(Joined::Known), Some(JoinAs::Member(member))) = (&joined, &claim) {
            // One more socket of a user must not be told later that this user has come.
            self.announce_member_now(&member.id, around);
        }
        let is_new = self.fanout.insert(subscriber.clone());
        let user = self.membership.user_of(id).cloned();
        // Told before the answer, so that a question asked after it counts this subscriber.
        self.share_count(effects);
        if let (true, Some(user)) = (is_new, &user) {
            self.share_member(user, effects);
        }
        let member = match claim {
            Some(JoinAs::User(sign_in)) => return welcome_user(subscriber, sign_in, effects),
            Some(JoinAs::Member(member)) => Some(member),
            None => None,
        };
        // Who is subscribed already has missed nothing.
        let missed = if is_new { self.recover(&subscriber, since.as_ref(), page, around, effects) } else { None };
        self.welcome(&subscriber, missed, around, effects);
        if is_new {
            effects.push(Effect::Subscribed(id));
        }
        if is_new && self.fanout.len() == 1 {
            self.notify_transition(WebhookDetail::ChannelOccupied, effects);
        }
        if let (Some(Joined::Added), Some(member), Some(user)) = (joined, member, user) {
            self.notify_transition(WebhookDetail::MemberAdded { user_id: member.id }, effects);
            self.notices.added(&user, member.info.into(), Some(id), around.now());
        }
        if is_new {
            self.count_changed(Cause::Here, around, effects);
        }
    }

    /// Whether the app and the channel's tenant may have one more channel, or one more member, where this is one.
    fn check_limits(&self, join: &Join, around: &Surroundings) -> Result<(), JoinRefusal> {
        let check = |resource| around.app.check_resource(resource, around.tenant).map_err(JoinRefusal::LimitReached);
        let is_new = self.fanout.len() == 0 && self.remote == 0;
        if is_new && !self.kind.is_server_to_user() {
            check(Resource::Channels)?;
        }
        match &join.claim {
            Some(JoinAs::Member(claim)) if !self.membership.has(&claim.id) => check(Resource::Members),
            Some(JoinAs::Member(_) | JoinAs::User(_)) | None => Ok(()),
        }
    }

    /// Makes the socket a member, where the channel has members.
    fn admit(
        &mut self,
        join: &Join,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Joined>, JoinRefusal> {
        self.check_limits(join, around)?;
        let Some(JoinAs::Member(claim)) = &join.claim else { return Ok(None) };
        let is_back = self.graces.end(join.subscriber.id);
        if is_back && self.membership.user_of(join.subscriber.id).is_some_and(|user| **user != *claim.id) {
            // The page comes back as another user.
            self.remove_member(join.subscriber.id, around, effects);
        }
        let limit = around.app.settings().max_presence_members;
        let now = u64::try_from(around.moment().1.as_millis()).unwrap_or(u64::MAX);
        self.membership.join(join.subscriber.id, claim, limit, now).map(Some)
    }

    /// Success first, then what was missed and the cached event; nothing that is announced later can overtake them.
    fn welcome(
        &self,
        subscriber: &Subscriber,
        missed: Option<(Recovery, Bytes)>,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        let own = self.membership.user_of(subscriber.id).map(|user| &**user);
        let members = || self.notices.as_told(self.membership.snapshot(), own);
        let members = self.kind.is_presence().then(members);
        let (recovery, missed) = missed.unzip();
        let mut frames = subscriber.dialect.subscribed(&self.channel, members.as_deref(), recovery.as_ref());
        frames.extend(missed.filter(|missed| !missed.is_empty()));
        if self.kind.is_cached() {
            frames.extend(self.show_cached(subscriber, recovery.as_ref(), around, effects));
        }
        frames.extend(recovery.and_then(|recovery| subscriber.dialect.resumed(&self.channel, &recovery)));
        effects.push(Effect::Answer(subscriber.outbox.clone(), frames));
    }

    /// Who was sent all that was missed has heard the cached event, if it has a name.
    fn show_cached(
        &self,
        subscriber: &Subscriber,
        recovery: Option<&Recovery>,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) -> Option<Bytes> {
        match self.cache.fresh(around.now()) {
            Some(cached) if cached.event.id().is_some() && matches!(recovery, Some(Recovery::Whole { .. })) => None,
            Some(cached) => subscriber.dialect.event(&cached.event),
            None => {
                effects.push(Effect::Webhook(WebhookDetail::CacheMiss));
                subscriber.dialect.cache_miss(&self.channel)
            }
        }
    }

    pub(super) fn leave(&mut self, socket: SocketId, around: &Surroundings, effects: &mut Vec<Effect>) {
        self.pages.forget(socket);
        self.let_go(socket, Duration::ZERO, around, effects);
    }

    /// A socket hears nothing more. Its user stays a member for the grace.
    pub(super) fn let_go(
        &mut self,
        socket: SocketId,
        grace: Duration,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        if !self.fanout.remove(socket) {
            return;
        }
        if self.kind.is_server_to_user() {
            return effects.push(Effect::EndWatch(socket));
        }
        effects.push(Effect::Unsubscribed(socket));
        if around.is_leaving {
            self.membership.hold(socket);
        } else if self.kind.is_presence() && !grace.is_zero() {
            self.graces.begin(socket, around.now() + grace);
        } else {
            self.remove_member(socket, around, effects);
        }
        self.count_changed(Cause::Here, around, effects);
        if self.fanout.len() == 0 {
            self.notify_transition(WebhookDetail::ChannelVacated, effects);
            self.await_return(around, effects);
        }
    }

    /// A socket's user is a member no longer, unless by another socket.
    pub(super) fn remove_member(&mut self, socket: SocketId, around: &Surroundings, effects: &mut Vec<Effect>) {
        let Some(left) = self.membership.leave(socket) else { return };
        self.share_member(&left.user, effects);
        if let membership::Change::Removed(info) = left.change {
            self.notify_transition(WebhookDetail::MemberRemoved { user_id: left.user.to_string() }, effects);
            self.notices.removed(&left.user, info, around.now());
        }
    }

    pub(super) fn count_changed(&mut self, cause: Cause, around: &Surroundings, effects: &mut Vec<Effect>) {
        if self.kind.is_presence() || !around.app.settings().subscription_counts {
            return;
        }
        self.count_is_ours |= cause == Cause::Here;
        match self.count_notice.changed(self.subscriptions(), around.now()) {
            Notice::Now => self.announce_count(effects),
            Notice::Waiting => {}
            Notice::After(pause) => effects.push(Effect::Schedule(Task::WakeAfter(Clock::Count, pause))),
        }
    }

    pub(super) fn end_count_pause(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        self.count_notice.told(around.now());
        self.announce_count(effects);
    }

    /// Of a change the node tells the webhooks that it happened on, so that they hear of it once.
    fn announce_count(&mut self, effects: &mut Vec<Effect>) {
        let count = self.subscriptions();
        if mem::take(&mut self.count_is_ours) {
            effects.push(Effect::Webhook(WebhookDetail::SubscriptionCount { count }));
        }
        self.announce(Announcement::SubscriptionCount(count), None, None);
    }

    /// Tells how many sockets are here, if that has changed: the other nodes, and of a user those who watch.
    pub(super) fn share_count(&mut self, effects: &mut Vec<Effect>) {
        let count = self.fanout.len();
        if mem::replace(&mut self.shared_count, count) == count {
            return;
        }
        if self.kind.is_server_to_user() {
            effects.push(Effect::ShareUser(count));
        } else if self.is_clustered {
            effects.push(Effect::ShareCount(count));
        }
    }

    /// How many are subscribed on all nodes.
    fn subscriptions(&self) -> usize {
        self.fanout.len() + self.remote
    }

    /// In a cluster the transitions of one node are not reported: webhooks get those of all nodes together.
    fn notify_transition(&self, detail: WebhookDetail, effects: &mut Vec<Effect>) {
        if !self.is_clustered {
            effects.push(Effect::Webhook(detail));
        }
    }
}

/// A sign-in is answered by what the session has prepared. Nobody hears of the socket, but watchers of the user.
fn welcome_user(subscriber: Subscriber, SignIn { welcome, watchlist }: SignIn, effects: &mut Vec<Effect>) {
    effects.push(Effect::Answer(subscriber.outbox.clone(), welcome));
    effects.extend(watchlist.map(|watchlist| Effect::BeginWatch(subscriber, watchlist)));
}
