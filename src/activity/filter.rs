//! Which activity a watcher wants. Pure.

use super::ActivityEvent;

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

    /// Whether the watcher wants this event.
    pub fn admits(&self, event: &ActivityEvent) -> bool {
        let is_of_app = self.app.as_deref().is_none_or(|app| event.app.as_deref() == Some(app));
        let is_of_channel =
            self.channel.as_ref().is_none_or(|pattern| event.channel().is_some_and(|name| pattern.admits(name)));
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
        activity::ActivityKind,
        protocol::{ChannelName, SocketId},
    };

    fn check(app: Option<&str>, channel: Option<&str>, event: &ActivityEvent, admitted: bool) {
        let filter = Filter::new(app.map(str::to_owned), channel.map(str::to_owned));
        assert_eq!(filter.admits(event), admitted, "{app:?} {channel:?}");
    }

    fn subscribed(app: &str, channel: &str) -> ActivityEvent {
        let channel = ChannelName::parse(channel, 200).unwrap();
        ActivityEvent::of(app.into(), ActivityKind::Subscribed { socket: SocketId::from_bits(1), channel })
    }

    #[test]
    fn an_app_is_chosen_by_its_whole_id() {
        let event = subscribed("12", "a");
        check(None, None, &event, true);
        check(Some("12"), None, &event, true);
        check(Some("1"), None, &event, false);
        check(Some("*"), None, &event, false);
    }

    #[test]
    fn a_channel_is_chosen_by_its_name_or_its_beginning() {
        let event = subscribed("1", "private-orders.7");
        for pattern in ["private-orders.7", "private-orders.7*", "private-*", "*"] {
            check(None, Some(pattern), &event, true);
        }
        for pattern in ["private-orders", "orders*", "private-*7", "", "private-orders.77*"] {
            check(None, Some(pattern), &event, false);
        }
        check(Some("2"), Some("*"), &event, false);
    }

    #[test]
    fn what_belongs_to_no_channel_or_no_app_passes_only_where_none_is_asked_for() {
        let socket = SocketId::from_bits(1);
        let connected = ActivityEvent::of("1".into(), ActivityKind::Connected { socket, address: None });
        check(Some("1"), None, &connected, true);
        check(Some("1"), Some("*"), &connected, false);
        let nobodys = ActivityEvent { app: None, ..connected };
        check(None, None, &nobodys, true);
        check(Some("1"), None, &nobodys, false);
    }
}
