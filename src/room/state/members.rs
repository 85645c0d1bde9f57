//! What other nodes and subscribers learn of the members, and when.

use std::{mem, sync::Arc};

use gaung_cluster::fact::Member;

use super::{Clock, Effect, RoomState, Surroundings, Task, opening::Phase};
use crate::event::UserAction;
use crate::room::{
    Join, dialect::Announcement, held::Held, member_notices::Notice, membership::Change, messages::JoinAs,
};

impl RoomState {
    /// Before the room is open nobody is there to be told. Of very many members the first come before the opening.
    pub(super) fn hear_member(&mut self, user: &Arc<str>, member: Option<Member>, around: &Surroundings) {
        let change = self.membership.set_remote(user, member);
        if matches!(self.phase, Phase::Opening(_)) {
            return;
        }
        match change {
            Change::Added(info) => self.notices.added(user, info, None, around.now()),
            Change::Removed(info) => self.notices.removed(user, info, around.now()),
            Change::Stays => {}
        }
    }

    /// Tells the shard and the other nodes how a user is in this channel here.
    pub(super) fn share_member(&self, user: &Arc<str>, effects: &mut Vec<Effect>) {
        effects.push(Effect::ShareMember(self.membership.here(user)));
    }

    /// Acts on the sockets that are in the channel as a user, or wait to join as one; in a user's own channel on all of them.
    /// Those that are closed leave it when they are gone.
    pub(super) fn act_on_member(&self, user: &str, action: &UserAction, effects: &mut Vec<Effect>) {
        let is_own = self.kind.is_server_to_user();
        let is_user = |id| is_own || self.membership.user_of(id).is_some_and(|known| **known == *user);
        let is_claimed = |join: &&Join| match &join.claim {
            Some(JoinAs::Member(claim)) => *claim.id == *user,
            Some(JoinAs::User(_)) => true,
            None => false,
        };
        let held = match &self.phase {
            Phase::Opening(held) | Phase::CatchingUp(held, _) => Some(held),
            Phase::Open => None,
        };
        let waiting = held
            .into_iter()
            .flat_map(Held::joins)
            .chain(self.asking.joins())
            .filter(is_claimed)
            .map(|join| &join.subscriber);
        let members = self.fanout.subscribers().filter(|subscriber| is_user(subscriber.id));
        let sockets = members.chain(waiting).cloned();
        match action {
            // Which channels a socket of the user has its session knows.
            UserAction::Unsubscribe(patterns) if is_own => {
                effects.extend(sockets.map(|socket| Effect::Revoke(socket, patterns.clone())));
            }
            action if is_own || action.concerns(&self.channel) => {
                effects.extend(sockets.map(|socket| Effect::Close(socket, action.close())));
            }
            _ => {}
        }
    }

    /// Asks for a turn that announces what is due of the members, or for a clock where nothing is due yet.
    pub(super) fn schedule_notices(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        let Some(next) = self.notices.next() else { return };
        let pause = next.saturating_duration_since(around.now());
        if pause.is_zero() && !mem::replace(&mut self.is_announcing, true) {
            effects.push(Effect::Schedule(Task::Announce));
        } else if !pause.is_zero() && !mem::replace(&mut self.is_pausing, true) {
            effects.push(Effect::Schedule(Task::WakeAfter(Clock::Members, pause)));
        }
    }

    /// Announces the members whose change is due.
    pub(super) fn announce_due(&mut self, around: &Surroundings) {
        if self.notices.next().is_some() {
            let due = self.notices.take_due(around.now());
            self.announce_members(due);
        }
    }

    /// Announces what was not told of one user yet.
    pub(super) fn announce_member_now(&mut self, user: &str, around: &Surroundings) {
        let waiting = self.notices.take(user, around.now());
        self.announce_members(waiting);
    }

    fn announce_members(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Added(user, info, except) => {
                    self.announce(Announcement::MemberAdded(user, info), except, None);
                }
                Notice::Removed(user, except) => self.announce(Announcement::MemberRemoved(user), except, None),
            }
        }
    }
}
