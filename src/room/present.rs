//! In which presence channels the users of one shard's rooms are with sockets of this node. Pure.

use std::{collections::BTreeSet, sync::Arc};

use crate::protocol::ChannelName;

/// App, user and channel, in an order in which the channels of one user stand together.
#[derive(Debug, Default)]
pub struct Present(BTreeSet<(Arc<str>, Arc<str>, Arc<str>)>);

impl Present {
    /// The user has a socket in the channel.
    pub fn enter(&mut self, app_id: &Arc<str>, user: &Arc<str>, channel: &ChannelName) {
        self.0.insert((app_id.clone(), user.clone(), channel.as_str().into()));
    }

    /// The user has none there any more.
    pub fn leave(&mut self, app_id: &Arc<str>, user: &Arc<str>, channel: &ChannelName) {
        self.0.remove(&(app_id.clone(), user.clone(), channel.as_str().into()));
    }

    /// Where the user is.
    pub fn channels(&self, app_id: &Arc<str>, user: &str) -> Vec<ChannelName> {
        let first = (app_id.clone(), Arc::from(user), Arc::from(""));
        let of_user = self.0.range(first..).take_while(|(app, known, _)| app == app_id && **known == *user);
        // Every name was one when it was entered.
        of_user.filter_map(|(_, _, channel)| ChannelName::parse(channel, usize::MAX).ok()).collect()
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
}
