//! Who is in a presence channel (protocol.md §1.9), here and on other nodes. Pure: every change returns its difference.
//!
//! Invariant: a member is listed exactly while at least one of its sockets is, on any node; of each member the oldest
//! `user_info` is shown.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use gaung_cluster::fact::Member;

use crate::{
    app::usage::Reached,
    protocol::{SocketId, presence::MemberClaim},
};

/// The members of one room and the sockets behind those of this node.
#[derive(Debug, Default)]
pub(super) struct Membership {
    members: BTreeMap<Arc<str>, Entry>,
    sockets: HashMap<SocketId, Arc<str>>,
    /// How many members have a socket here.
    here: usize,
}

/// One member; at least one of the two is there.
#[derive(Debug, Default)]
struct Entry {
    here: Option<Member>,
    remote: Option<Member>,
}

/// What a join changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// A new member, announced to the others.
    Added,
    /// One more socket of a member, or the same socket once more: nobody hears of it.
    Known,
}

/// Why a join was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum JoinRefusal {
    /// The channel has the app's `max_presence_members`.
    Full,
    /// This socket is in the channel as another user.
    OtherUser,
    /// The app or the channel's tenant may have no more.
    LimitReached(Reached),
}

/// What a leave changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Whose socket it was.
    pub user: Arc<str>,
    /// What it means for the member.
    pub change: Change,
}

/// What happened to a member.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The member's first socket anywhere: the others hear of it. The `user_info` that is shown.
    Added(Arc<str>),
    /// The member's last socket anywhere: the others hear of it. The `user_info` that was shown.
    Removed(Arc<str>),
    /// The member was here before and still is.
    Stays,
}

impl Membership {
    /// Whether the user is a member, here or elsewhere.
    pub(super) fn has(&self, user: &str) -> bool {
        self.members.contains_key(user)
    }

    /// Adds a socket of a user at `now`, in milliseconds of the Unix epoch. A user who is known never counts as new, so a
    /// full channel takes a second tab.
    pub(super) fn join(
        &mut self,
        socket: SocketId,
        claim: &MemberClaim,
        limit: usize,
        now: u64,
    ) -> Result<Joined, JoinRefusal> {
        if let Some(user) = self.sockets.get(&socket) {
            return if **user == *claim.id { Ok(Joined::Known) } else { Err(JoinRefusal::OtherUser) };
        }
        let is_known = self.members.contains_key(claim.id.as_str());
        if !is_known && self.members.len() >= limit {
            return Err(JoinRefusal::Full);
        }
        let user: Arc<str> = claim.id.as_str().into();
        let entry = self.members.entry(user.clone()).or_default();
        let here = entry.here.get_or_insert_with(|| {
            self.here += 1;
            Member { user: user.clone(), info: claim.info.as_str().into(), since: now, sockets: 0 }
        });
        here.sockets += 1;
        self.sockets.insert(socket, here.user.clone());
        Ok(if is_known { Joined::Known } else { Joined::Added })
    }

    /// Takes a socket away; `None` if it was not here.
    pub(super) fn leave(&mut self, socket: SocketId) -> Option<Left> {
        let user = self.sockets.remove(&socket)?;
        let entry = self.members.get_mut(&user)?;
        let shown = entry.info();
        let here = entry.here.as_mut()?;
        here.sockets -= 1;
        if here.sockets == 0 {
            entry.here = None;
            self.here -= 1;
        }
        Some(Left { change: self.settle(&user, shown), user })
    }

    /// Takes a socket away, but keeps its user: this node is about to go, and the user on the way to another.
    pub(super) fn hold(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
    }

    /// Says how a user is in this channel on all other nodes together; `None` if it is not.
    pub(super) fn set_remote(&mut self, user: &Arc<str>, member: Option<Member>) -> Change {
        let is_known = self.members.contains_key(user);
        let Some(member) = member else {
            let Some(entry) = self.members.get_mut(user) else { return Change::Stays };
            let shown = entry.info();
            entry.remote = None;
            return self.settle(user, shown);
        };
        let info = member.info.clone();
        self.members.entry(user.clone()).or_default().remote = Some(member);
        if is_known { Change::Stays } else { Change::Added(info) }
    }

    /// The user behind a socket of this node.
    pub(super) fn user_of(&self, socket: SocketId) -> Option<&Arc<str>> {
        self.sockets.get(&socket)
    }

    /// How a user is here, for the other nodes: without sockets if it is not.
    pub(super) fn here(&self, user: &Arc<str>) -> Member {
        let here = self.members.get(user).and_then(|entry| entry.here.clone());
        here.unwrap_or_else(|| Member { user: user.clone(), info: "null".into(), since: 0, sockets: 0 })
    }

    /// Every member once: id and `user_info` as JSON text, ordered by id.
    pub(super) fn snapshot(&self) -> Vec<(&str, &str)> {
        self.members.iter().map(|(id, entry)| (&**id, entry.shown())).collect()
    }

    /// How many distinct users have a socket here.
    pub(super) fn count_here(&self) -> usize {
        self.here
    }

    /// Forgets a member that is nowhere.
    fn settle(&mut self, user: &Arc<str>, shown: Arc<str>) -> Change {
        match self.members.get(user) {
            Some(entry) if entry.here.is_none() && entry.remote.is_none() => {
                self.members.remove(user);
                Change::Removed(shown)
            }
            Some(_) | None => Change::Stays,
        }
    }
}

impl Entry {
    /// The oldest `user_info`; equally old ones are told apart so that every node shows the same.
    fn oldest(&self) -> Option<&Arc<str>> {
        let members = self.here.iter().chain(&self.remote);
        members.min_by_key(|member| (member.since, &member.info)).map(|member| &member.info)
    }

    fn shown(&self) -> &str {
        self.oldest().map_or("null", |info| info)
    }

    fn info(&self) -> Arc<str> {
        self.oldest().cloned().unwrap_or_else(|| "null".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SocketId = SocketId::from_bits(1);
    const B: SocketId = SocketId::from_bits(2);
    const C: SocketId = SocketId::from_bits(3);

    fn claim(id: &str, info: &str) -> MemberClaim {
        MemberClaim { id: id.to_owned(), info: info.to_owned() }
    }

    fn remote(id: &str, info: &str, since: u64) -> Option<Member> {
        Some(Member { user: id.into(), info: info.into(), since, sockets: 1 })
    }

    fn left(user: &str, change: Change) -> Option<Left> {
        Some(Left { user: user.into(), change })
    }

    #[test]
    fn second_tab_of_a_user_is_not_announced_and_keeps_the_first_info() {
        let mut room = Membership::default();
        assert_eq!(room.join(A, &claim("7", "1"), 100, 5), Ok(Joined::Added));
        assert_eq!(room.join(B, &claim("7", "2"), 100, 6), Ok(Joined::Known));
        assert_eq!(room.snapshot(), [("7", "1")]);
        assert_eq!(room.leave(A), left("7", Change::Stays));
        assert_eq!(room.leave(B), left("7", Change::Removed("1".into())));
        assert_eq!((room.snapshot().len(), room.count_here()), (0, 0));
    }

    #[test]
    fn the_same_socket_may_join_again_as_the_same_user_only() {
        let mut room = Membership::default();
        assert_eq!(room.join(A, &claim("7", "{}"), 100, 5), Ok(Joined::Added));
        assert_eq!(room.join(A, &claim("7", "{}"), 100, 6), Ok(Joined::Known));
        assert_eq!(room.join(A, &claim("8", "{}"), 100, 7), Err(JoinRefusal::OtherUser));
        assert_eq!(room.leave(A), left("7", Change::Removed("{}".into())));
        assert_eq!(room.leave(A), None);
    }

    #[test]
    fn a_full_channel_takes_only_users_it_knows() {
        let mut room = Membership::default();
        assert_eq!(room.join(A, &claim("7", "{}"), 1, 5), Ok(Joined::Added));
        assert_eq!(room.join(B, &claim("8", "{}"), 1, 6), Err(JoinRefusal::Full));
        assert_eq!(room.join(C, &claim("7", "{}"), 1, 7), Ok(Joined::Known));
        assert_eq!(room.user_of(B), None);
    }

    #[test]
    fn members_on_other_nodes_count_toward_the_limit_and_may_come_here_too() {
        let mut room = Membership::default();
        assert_eq!(room.set_remote(&"7".into(), remote("7", "{}", 1)), Change::Added("{}".into()));
        assert_eq!(room.join(A, &claim("8", "{}"), 1, 5), Err(JoinRefusal::Full));
        assert_eq!(room.join(B, &claim("7", "{}"), 1, 6), Ok(Joined::Known));
    }

    #[test]
    fn a_user_on_two_nodes_comes_once_and_goes_once() {
        let mut room = Membership::default();
        assert_eq!(room.join(A, &claim("7", "{}"), 100, 5), Ok(Joined::Added));
        assert_eq!(room.set_remote(&"7".into(), remote("7", "{}", 6)), Change::Stays);
        assert_eq!(room.leave(A), left("7", Change::Stays));
        assert_eq!(room.set_remote(&"7".into(), None), Change::Removed("{}".into()));
        assert_eq!(room.set_remote(&"7".into(), None), Change::Stays);
    }

    #[test]
    fn the_oldest_info_wins_wherever_it_came() {
        let mut room = Membership::default();
        room.join(A, &claim("7", "here"), 100, 5).unwrap();
        room.set_remote(&"7".into(), remote("7", "older", 4));
        assert_eq!(room.snapshot(), [("7", "older")]);
        room.set_remote(&"7".into(), remote("7", "younger", 6));
        assert_eq!(room.snapshot(), [("7", "here")]);
        room.set_remote(&"7".into(), remote("7", "as old", 5));
        assert_eq!(room.snapshot(), [("7", "as old")]);
    }

    #[test]
    fn a_user_who_is_held_neither_leaves_nor_comes_again() {
        let mut room = Membership::default();
        room.join(A, &claim("7", "{}"), 100, 5).unwrap();
        room.hold(A);
        assert_eq!(room.set_remote(&"7".into(), remote("7", "{}", 6)), Change::Stays);
        assert_eq!(room.snapshot(), [("7", "{}")]);
        assert_eq!(room.leave(A), None);
    }

    #[test]
    fn other_nodes_hear_of_the_sockets_here_only() {
        let mut room = Membership::default();
        room.set_remote(&"7".into(), remote("7", "{}", 1));
        assert_eq!((room.here(&"7".into()).sockets, room.count_here()), (0, 0));
        room.join(A, &claim("7", "{}"), 100, 5).unwrap();
        room.join(B, &claim("7", "{}"), 100, 6).unwrap();
        assert_eq!((room.here(&"7".into()).sockets, room.count_here()), (2, 1));
    }
}
