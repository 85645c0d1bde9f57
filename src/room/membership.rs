//! Who is in a presence channel (protocol.md §1.9). Pure: every change returns its difference.
//!
//! Invariant: a member is listed exactly while at least one of its sockets is; the first socket's `user_info` stays.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use crate::protocol::{SocketId, presence::MemberClaim};

/// The members of one room and the sockets behind them.
#[derive(Debug, Default)]
pub struct Membership {
    members: BTreeMap<Rc<str>, Entry>,
    sockets: HashMap<SocketId, Rc<str>>,
}

#[derive(Debug)]
struct Entry {
    user: Rc<str>,
    info: String,
    sockets: usize,
}

/// What a join changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// A new member, of whom the others hear.
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
}

/// What a leave changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// The member's last socket: the others hear of it.
    Removed(Rc<str>),
    /// The member has more sockets here.
    Stays,
}

impl Membership {
    /// Adds a socket of a user. A user who is here already never counts as new, so a full channel takes a second tab.
    pub fn join(&mut self, socket: SocketId, claim: &MemberClaim, limit: usize) -> Result<Joined, JoinRefusal> {
        if let Some(user) = self.sockets.get(&socket) {
            return if **user == *claim.id { Ok(Joined::Known) } else { Err(JoinRefusal::OtherUser) };
        }
        if let Some(entry) = self.members.get_mut(claim.id.as_str()) {
            entry.sockets += 1;
            self.sockets.insert(socket, entry.user.clone());
            return Ok(Joined::Known);
        }
        if self.members.len() >= limit {
            return Err(JoinRefusal::Full);
        }
        let user: Rc<str> = claim.id.as_str().into();
        self.members.insert(user.clone(), Entry { user: user.clone(), info: claim.info.clone(), sockets: 1 });
        self.sockets.insert(socket, user);
        Ok(Joined::Added)
    }

    /// Takes a socket away; `None` if it was not here.
    pub fn leave(&mut self, socket: SocketId) -> Option<Left> {
        let user = self.sockets.remove(&socket)?;
        let entry = self.members.get_mut(&user)?;
        entry.sockets -= 1;
        if entry.sockets > 0 {
            return Some(Left::Stays);
        }
        self.members.remove(&user);
        Some(Left::Removed(user))
    }

    /// The user behind a socket.
    pub fn user_of(&self, socket: SocketId) -> Option<&str> {
        self.sockets.get(&socket).map(|user| &**user)
    }

    /// Every member once: id and `user_info` as JSON text, ordered by id.
    pub fn snapshot(&self) -> Vec<(&str, &str)> {
        self.members.iter().map(|(id, entry)| (&**id, entry.info.as_str())).collect()
    }

    /// How many distinct users are here.
    pub fn len(&self) -> usize {
        self.members.len()
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

    #[test]
    fn second_tab_of_a_user_is_not_announced_and_keeps_the_first_info() {
        let mut room = Membership::default();
        assert_eq!(room.join(A, &claim("7", "1"), 100), Ok(Joined::Added));
        assert_eq!(room.join(B, &claim("7", "2"), 100), Ok(Joined::Known));
        assert_eq!(room.snapshot(), [("7", "1")]);
        assert_eq!(room.leave(A), Some(Left::Stays));
        assert_eq!(room.leave(B), Some(Left::Removed("7".into())));
        assert_eq!(room.len(), 0);
    }

    #[test]
    fn the_same_socket_may_join_again_as_the_same_user_only() {
        let mut room = Membership::default();
        assert_eq!(room.join(A, &claim("7", "{}"), 100), Ok(Joined::Added));
        assert_eq!(room.join(A, &claim("7", "{}"), 100), Ok(Joined::Known));
        assert_eq!(room.join(A, &claim("8", "{}"), 100), Err(JoinRefusal::OtherUser));
        assert_eq!(room.leave(A), Some(Left::Removed("7".into())));
        assert_eq!(room.leave(A), None);
    }

    #[test]
    fn a_full_channel_takes_only_users_it_knows() {
        let mut room = Membership::default();
        assert_eq!(room.join(A, &claim("7", "{}"), 1), Ok(Joined::Added));
        assert_eq!(room.join(B, &claim("8", "{}"), 1), Err(JoinRefusal::Full));
        assert_eq!(room.join(C, &claim("7", "{}"), 1), Ok(Joined::Known));
        assert_eq!(room.user_of(B), None);
    }
}
