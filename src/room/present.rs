//! In which presence channels the users of one shard's rooms are with sockets of this node, or may be about to. Pure.

use std::{collections::BTreeSet, sync::Arc};

use crate::protocol::ChannelName;

/// Who is where.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// App, user and channel, in an order in which the channels of one user stand together.
    members: BTreeSet<(Arc<str>, Arc<str>, Arc<str>)>,
    /// App and channel of rooms that do not know yet how things stand on other nodes. Anybody may wait there.
    opening: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl Present {
    /// The channel's room is opening: sockets that join wait.
    pub(super) fn opens(&mut self, app_id: &Arc<str>, channel: &ChannelName) {
        self.opening.insert((app_id.clone(), channel.as_str().into()));
    }

    /// Nobody waits there any more.
    pub(super) fn has_opened(&mut self, app_id: &Arc<str>, channel: &ChannelName) {
        self.opening.remove(&(app_id.clone(), channel.as_str().into()));
    }

    /// The user has a socket in the channel.
    pub(super) fn enter(&mut self, app_id: &Arc<str>, user: &Arc<str>, channel: &ChannelName) {
        self.members.insert((app_id.clone(), user.clone(), channel.as_str().into()));
    }

    /// The user has none there any more.
    pub(super) fn leave(&mut self, app_id: &Arc<str>, user: &Arc<str>, channel: &ChannelName) {
        self.members.remove(&(app_id.clone(), user.clone(), channel.as_str().into()));
    }

    /// Where the user is, or may wait.
    pub(super) fn channels(&self, app_id: &Arc<str>, user: &str) -> Vec<ChannelName> {
        let first = (app_id.clone(), Arc::from(user), Arc::from(""));
        let of_user = self.members.range(first..).take_while(|(app, known, _)| app == app_id && **known == *user);
        let of_app = self.opening.range((app_id.clone(), Arc::from(""))..).take_while(|(app, _)| app == app_id);
        let channels: BTreeSet<_> =
            of_user.map(|(_, _, channel)| channel).chain(of_app.map(|(_, channel)| channel)).collect();
        // Every name was one when it was entered.
        channels.into_iter().filter_map(|channel| ChannelName::parse(channel, usize::MAX).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_where_it_entered_and_did_not_leave_in_its_own_app_alone() {
        let [shop, blog, ada, adam] = ["shop", "blog", "ada", "adam"].map(Arc::<str>::from);
        let [a, b] = ["presence-a", "presence-b"].map(|name| ChannelName::parse(name, 200).unwrap());
        let mut present = Present::default();
        for (app, user, channel) in [(&shop, &ada, &b), (&shop, &ada, &a), (&shop, &adam, &a), (&blog, &ada, &a)] {
            present.enter(app, user, channel);
            present.enter(app, user, channel);
        }
        assert_eq!(present.channels(&shop, "ada"), [a.clone(), b.clone()]);
        present.leave(&shop, &ada, &a);
        assert_eq!(present.channels(&shop, "ada"), [b]);
        assert_eq!(present.channels(&blog, "ada"), [a]);
        assert_eq!(present.channels(&shop, "ad"), []);
    }

    #[test]
    fn a_user_may_wait_in_every_room_of_its_app_that_opens() {
        let [shop, blog, ada] = ["shop", "blog", "ada"].map(Arc::<str>::from);
        let [a, b] = ["presence-a", "presence-b"].map(|name| ChannelName::parse(name, 200).unwrap());
        let mut present = Present::default();
        present.opens(&shop, &b);
        present.opens(&blog, &a);
        present.enter(&shop, &ada, &b);
        assert_eq!(present.channels(&shop, "ada"), std::slice::from_ref(&b));
        present.enter(&shop, &ada, &a);
        assert_eq!(present.channels(&shop, "bob"), std::slice::from_ref(&b));
        assert_eq!(present.channels(&shop, "ada"), [a.clone(), b.clone()]);
        present.has_opened(&shop, &b);
        assert_eq!(present.channels(&shop, "bob"), []);
        assert_eq!(present.channels(&shop, "ada"), [a, b]);
    }
}
