//! Which happenings a watcher wants. Pure.

use super::Happening;

/// Those of one app and of some channels; the default takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    app: Option<String>,
    channel: Option<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Name(String),
    /// A name that ended in `*`, without it.
    Prefix(String),
}

impl Filter {
    /// The app by its id; the channel by its name, or by its beginning and a `*`. What belongs to no app, or to no channel,
    /// passes no filter that asks for one.
    pub fn new(app: Option<String>, channel: Option<String>) -> Self {
        let pattern = |name: String| match name.strip_suffix('*') {
            Some(prefix) => Pattern::Prefix(prefix.to_owned()),
            None => Pattern::Name(name),
        };
        Self { app, channel: channel.map(pattern) }
    }

    /// Whether the watcher wants to hear of it.
    pub fn admits(&self, happening: &Happening) -> bool {
        let is_of_app = self.app.as_deref().is_none_or(|app| happening.app.as_deref() == Some(app));
        let is_of_channel =
            self.channel.as_ref().is_none_or(|pattern| happening.channel().is_some_and(|name| pattern.admits(name)));
        is_of_app && is_of_channel
    }
}

impl Pattern {
    fn admits(&self, channel: &str) -> bool {
        match self {
            Self::Name(name) => channel == name,
            Self::Prefix(prefix) => channel.starts_with(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        activity::What,
        protocol::{ChannelName, SocketId},
    };

    fn check(app: Option<&str>, channel: Option<&str>, happening: &Happening, admitted: bool) {
        let filter = Filter::new(app.map(str::to_owned), channel.map(str::to_owned));
        assert_eq!(filter.admits(happening), admitted, "{app:?} {channel:?}");
    }

    fn subscribed(app: &str, channel: &str) -> Happening {
        let channel = ChannelName::parse(channel, 200).unwrap();
        Happening::of(app.into(), What::Subscribed { socket: SocketId::from_bits(1), channel })
    }

    #[test]
    fn an_app_is_chosen_by_its_whole_id() {
        let happening = subscribed("12", "a");
        check(None, None, &happening, true);
        check(Some("12"), None, &happening, true);
        check(Some("1"), None, &happening, false);
        check(Some("*"), None, &happening, false);
    }

    #[test]
    fn a_channel_is_chosen_by_its_name_or_its_beginning() {
        let happening = subscribed("1", "private-orders.7");
        for pattern in ["private-orders.7", "private-orders.7*", "private-*", "*"] {
            check(None, Some(pattern), &happening, true);
        }
        for pattern in ["private-orders", "orders*", "private-*7", "", "private-orders.77*"] {
            check(None, Some(pattern), &happening, false);
        }
        check(Some("2"), Some("*"), &happening, false);
    }

    #[test]
    fn what_belongs_to_no_channel_or_no_app_passes_only_where_none_is_asked_for() {
        let socket = SocketId::from_bits(1);
        let connected = Happening::of("1".into(), What::Connected { socket, address: None });
        check(Some("1"), None, &connected, true);
        check(Some("1"), Some("*"), &connected, false);
        let nobodys = Happening { app: None, ..connected };
        check(None, None, &nobodys, true);
        check(Some("1"), None, &nobodys, false);
    }
}
