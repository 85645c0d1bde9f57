//! What the subscribers of a presence channel are told of its members, and when (protocol.md §1.9). Pure.
//!
//! Invariants: all subscribers have been told the same, so that what waits is new to all of them alike; of a user they
//! hear one change in [`PAUSE`], and nothing where the user is in the end as they were told.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::protocol::SocketId;

/// After a change of a user was told, the next one of the same user waits for so long. A page that is loaded anew takes
/// longer; one that joins and leaves all the time costs the others ten frames a second.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Changes of members that were not told yet.
#[derive(Debug, Default)]
pub(super) struct MemberNotices {
    waiting: BTreeMap<Arc<str>, Waiting>,
    /// When users' changes were told, as far as that was less than a pause ago.
    told: BTreeMap<Arc<str>, Instant>,
    /// No change is due before this. It may be too early, never too late.
    earliest: Option<Instant>,
    /// How many changes have begun to wait; gives them their order.
    begun: u64,
}

/// A change of one user.
#[derive(Debug)]
struct Waiting {
    number: u64,
    /// The `user_info` that was told; `None` if the user was not there.
    told: Option<Arc<str>>,
    /// The `user_info` that is true now; `None` if the user is not there.
    now: Option<Arc<str>>,
    /// The socket by which the user came: it knows of itself.
    except: Option<SocketId>,
    due: Instant,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// A user came: id and `user_info`, and the socket that is not told.
    Added(Arc<str>, Arc<str>, Option<SocketId>),
    /// A user went. The socket by which it has come back meanwhile is not told.
    Removed(Arc<str>, Option<SocketId>),
}

impl MemberNotices {
    /// A user came. Where it had gone a moment ago, and nobody was told yet, nobody hears of either, but for a user that
    /// came back with another `user_info`: that is told as a removal and an arrival, since clients show the first
    /// `user_info` of a member until it goes.
    pub(super) fn added(&mut self, user: &Arc<str>, info: Arc<str>, except: Option<SocketId>, now: Instant) {
        let waiting = self.waiting(user, None, now);
        (waiting.now, waiting.except) = (Some(info), except);
        self.drop_if_nothing_changed(user);
    }

    /// A user went, after this `user_info` was shown.
    pub(super) fn removed(&mut self, user: &Arc<str>, info: Arc<str>, now: Instant) {
        let waiting = self.waiting(user, Some(info), now);
        (waiting.now, waiting.except) = (None, None);
        self.drop_if_nothing_changed(user);
    }

    /// Takes what is to be told now, in the order in which it happened.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Notice> {
        if self.next().is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut due: Vec<_> = self.waiting.extract_if(.., |_, waiting| waiting.due <= now).collect();
        due.sort_unstable_by_key(|(_, waiting)| waiting.number);
        self.earliest = self.waiting.values().map(|waiting| waiting.due).min();
        self.told.retain(|_, told| *told + PAUSE > now);
        self.told.extend(due.iter().map(|(user, _)| (user.clone(), now)));
        due.into_iter().flat_map(|(user, waiting)| waiting.notices(&user)).collect()
    }

    /// Takes what was not told of one user, who is about to be heard of otherwise.
    pub(super) fn take(&mut self, user: &str, now: Instant) -> Vec<Notice> {
        let Some((user, waiting)) = self.waiting.remove_entry(user) else { return Vec::new() };
        self.told.insert(user.clone(), now);
        waiting.notices(&user).collect()
    }

    /// When to look again; `None` if nothing waits.
    pub(super) fn next(&self) -> Option<Instant> {
        self.earliest.filter(|_| !self.waiting.is_empty())
    }

    /// Nobody is there any more who could be told.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The members as a new subscriber is to see them: as all others were told, but for the subscriber's own user.
    pub(super) fn as_told<'a>(
        &'a self,
        members: Vec<(&'a str, &'a str)>,
        own: Option<&str>,
    ) -> Vec<(&'a str, &'a str)> {
        if self.waiting.is_empty() {
            return members;
        }
        let is_told = |(user, _): &(&str, &str)| Some(*user) == own || !self.waiting.contains_key(*user);
        let mut shown: Vec<_> = members.into_iter().filter(is_told).collect();
        let waiting = self.waiting.iter().filter(|(user, _)| Some(&***user) != own);
        shown.extend(waiting.filter_map(|(user, waiting)| Some((&**user, waiting.told.as_deref()?))));
        shown.sort_unstable();
        shown
    }

    /// The change of a user that waits, or a new one.
    fn waiting(&mut self, user: &Arc<str>, told: Option<Arc<str>>, now: Instant) -> &mut Waiting {
        let due = self.told.get(user).map_or(now, |told| now.max(*told + PAUSE));
        self.waiting.entry(user.clone()).or_insert_with(|| {
            self.earliest = Some(self.earliest.map_or(due, |earliest| earliest.min(due)));
            self.begun += 1;
            Waiting { number: self.begun, told, now: None, except: None, due }
        })
    }

    fn drop_if_nothing_changed(&mut self, user: &Arc<str>) {
        if self.waiting.get(user).is_some_and(|waiting| waiting.told == waiting.now) {
            self.waiting.remove(user);
        }
    }
}

impl Waiting {
    fn notices(self, user: &Arc<str>) -> impl Iterator<Item = Notice> + use<> {
        let Self { told, now, except, .. } = self;
        let removed = told.map(|_| Notice::Removed(user.clone(), except));
        let added = now.map(|info| Notice::Added(user.clone(), info, except));
        removed.into_iter().chain(added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: Option<SocketId> = Some(SocketId::from_bits(1));

    /// A story: what a user does, after how many milliseconds.
    enum Did {
        Came(&'static str, &'static str),
        Went(&'static str, &'static str),
        /// What was due by then.
        Told(&'static [&'static str]),
        /// What a new subscriber is shown of these members.
        Shown(&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]),
    }
    use Did::{Came, Shown, Told, Went};

    fn word(notice: &Notice) -> String {
        match notice {
            Notice::Added(user, info, _) => format!("+{user} {info}"),
            Notice::Removed(user, _) => format!("-{user}"),
        }
    }

    fn check(story: &[(u64, Did)]) {
        let (mut notices, start) = (MemberNotices::default(), Instant::now());
        for (at, did) in story {
            let now = start + Duration::from_millis(*at);
            match did {
                Came(user, info) => notices.added(&(*user).into(), (*info).into(), SOCKET, now),
                Went(user, info) => notices.removed(&(*user).into(), (*info).into(), now),
                Told(expected) => {
                    let told: Vec<_> = notices.take_due(now).iter().map(word).collect();
                    assert_eq!(told, *expected, "at {at}");
                }
                Shown(members, expected) => {
                    assert_eq!(notices.as_told(members.to_vec(), Some("me")), *expected, "at {at}");
                }
            }
        }
    }

    #[test]
    fn a_change_is_told_at_once_and_in_order() {
        check(&[
            (0, Came("b", "1")),
            (0, Came("a", "1")),
            (0, Went("c", "1")),
            (0, Told(&["+b 1", "+a 1", "-c"])),
            (9, Told(&[])),
        ]);
    }

    #[test]
    fn a_user_who_is_as_the_others_were_told_is_no_news() {
        check(&[(0, Went("a", "1")), (0, Came("a", "1")), (0, Told(&[]))]);
        check(&[(0, Came("a", "1")), (0, Went("a", "1")), (0, Told(&[]))]);
        check(&[(0, Came("a", "1")), (0, Went("a", "1")), (0, Came("a", "2")), (0, Told(&["+a 2"]))]);
    }

    #[test]
    fn a_user_who_comes_back_with_another_info_goes_and_comes() {
        check(&[(0, Went("a", "1")), (0, Came("a", "2")), (0, Told(&["-a", "+a 2"]))]);
    }

    #[test]
    fn the_next_change_of_a_user_waits_for_the_pause_and_others_do_not() {
        check(&[
            (0, Went("a", "1")),
            (0, Told(&["-a"])),
            (10, Came("a", "1")),
            (20, Went("b", "1")),
            (20, Told(&["-b"])),
            (99, Told(&[])),
            (100, Told(&["+a 1"])),
            (150, Went("a", "1")),
            (199, Told(&[])),
            (200, Told(&["-a"])),
            (900, Came("a", "1")),
            (900, Told(&["+a 1"])),
        ]);
    }

    #[test]
    fn one_who_comes_and_goes_all_the_time_is_told_ten_times_a_second() {
        let (mut notices, start, mut told) = (MemberNotices::default(), Instant::now(), 0);
        let user: Arc<str> = "a".into();
        for turn in 0..1_000_u64 {
            let now = start + Duration::from_millis(turn);
            match turn % 3 {
                0 => notices.added(&user, "1".into(), SOCKET, now),
                1 => notices.removed(&user, "1".into(), now),
                _ => {}
            }
            told += notices.take_due(now).len();
        }
        assert!((1..=11).contains(&told), "{told}");
    }

    #[test]
    fn a_new_subscriber_sees_the_members_that_the_others_were_told() {
        check(&[
            (0, Went("a", "1")),
            (0, Told(&["-a"])),
            (1, Came("a", "2")),
            (1, Shown(&[("a", "2"), ("b", "1")], &[("b", "1")])),
            (2, Went("b", "1")),
            (2, Shown(&[("a", "2")], &[("b", "1")])),
            (2, Came("me", "1")),
            (2, Shown(&[("a", "2"), ("me", "1")], &[("b", "1"), ("me", "1")])),
        ]);
    }

    #[test]
    fn the_socket_by_which_a_user_came_is_not_told() {
        let (mut notices, now) = (MemberNotices::default(), Instant::now());
        let user: Arc<str> = "a".into();
        notices.removed(&user, "1".into(), now);
        notices.added(&user, "2".into(), SOCKET, now);
        let expected = [Notice::Removed(user.clone(), SOCKET), Notice::Added(user.clone(), "2".into(), SOCKET)];
        assert_eq!(notices.take("a", now), expected);
        assert_eq!(notices.take("a", now), []);
    }

    #[test]
    fn it_says_when_to_look_again() {
        let (mut notices, now) = (MemberNotices::default(), Instant::now());
        let user: Arc<str> = "a".into();
        assert_eq!(notices.next(), None);
        notices.added(&user, "1".into(), SOCKET, now);
        assert_eq!(notices.next(), Some(now));
        notices.take_due(now);
        assert_eq!(notices.next(), None);
        notices.removed(&user, "1".into(), now);
        assert_eq!(notices.next(), Some(now + PAUSE));
        notices.added(&user, "1".into(), SOCKET, now);
        assert_eq!(notices.next(), None);
    }
}
