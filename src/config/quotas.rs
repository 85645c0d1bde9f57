//! What an app, or one tenant of it, may have and do: `max_connections=100,events_per_second=50`.

use serde_json::{Map, Value};

use super::text;

/// What is wrong with a text of limits.
pub(super) const FORM: &str = "limits of each tenant, for example max_connections=100,events_per_second=50, each a whole \
    number from 1 to 4294967295, or 0 for no limit; there are max_connections, max_total_subscriptions, max_channels, \
    max_members, max_event_bytes, events_per_second, deliveries_per_second, bytes_per_second and joins_per_second";

/// Limits of one app or of one tenant; `None` is unlimited. Counts are over all nodes, and so are rates, of which each
/// node grants its share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Open sockets.
    pub max_connections: Option<u32>,
    /// Subscriptions of all sockets.
    pub max_total_subscriptions: Option<u32>,
    /// Channels with subscribers.
    pub max_channels: Option<u32>,
    /// Members of all presence channels, a user counted once per channel.
    pub max_members: Option<u32>,
    /// Bytes of one event's `data`.
    pub max_event_bytes: Option<u32>,
    /// Events from back ends and clients, counted once per channel.
    pub events_per_second: Option<u32>,
    /// Events handed to sockets: one per event and subscriber.
    pub deliveries_per_second: Option<u32>,
    /// WebSocket bytes of these.
    pub bytes_per_second: Option<u32>,
    /// Subscriptions that begin.
    pub joins_per_second: Option<u32>,
}

impl Quotas {
    /// Reads `name=number` several times, separated by commas. `None` if the text is anything else, or names one twice.
    pub fn parse(text: &str) -> Option<Self> {
        let mut quotas = Self::default();
        let mut named = Vec::new();
        for piece in text::pieces(text) {
            let (name, number) = piece.split_once('=')?;
            let number: u32 = number.trim().parse().ok()?;
            *quotas.field(name.trim())? = (number > 0).then_some(number);
            if named.contains(&name.trim()) {
                return None;
            }
            named.push(name.trim());
        }
        Some(quotas)
    }

    /// The same text for the JSON object of the apps file; JSON that is no such object comes back as it is.
    pub(super) fn text_of(object: &Map<String, Value>) -> String {
        let texts = object.iter().map(|(name, value)| match value {
            Value::Null => format!("{name}=0"),
            value => format!("{name}={value}"),
        });
        texts.collect::<Vec<_>>().join(",")
    }

    /// The limits as they are set.
    pub fn text(&self) -> String {
        let mut quotas = *self;
        let set = NAMES.iter().filter_map(|name| Some(format!("{name}={}", (*quotas.field(name)?)?)));
        set.collect::<Vec<_>>().join(",")
    }

    /// Whether nothing is limited.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<u32>> {
        Some(match name {
            "max_connections" => &mut self.max_connections,
            "max_total_subscriptions" => &mut self.max_total_subscriptions,
            "max_channels" => &mut self.max_channels,
            "max_members" => &mut self.max_members,
            "max_event_bytes" => &mut self.max_event_bytes,
            "events_per_second" => &mut self.events_per_second,
            "deliveries_per_second" => &mut self.deliveries_per_second,
            "bytes_per_second" => &mut self.bytes_per_second,
            "joins_per_second" => &mut self.joins_per_second,
            _ => return None,
        })
    }
}

/// As the settings of an app are called that limit the same of the whole app.
const NAMES: [&str; 9] = [
    "max_connections",
    "max_total_subscriptions",
    "max_channels",
    "max_members",
    "max_event_bytes",
    "events_per_second",
    "deliveries_per_second",
    "bytes_per_second",
    "joins_per_second",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_told_as_they_were_set() {
        for name in NAMES {
            assert_eq!(Quotas::parse(&format!("{name}=7")).map(|quotas| quotas.text()), Some(format!("{name}=7")));
        }
        let text = " events_per_second = 50 , max_connections=100,max_members=0";
        assert_eq!(Quotas::parse(text).unwrap().text(), "max_connections=100,events_per_second=50");
        assert!(Quotas::parse("").unwrap().are_none());
    }

    #[test]
    fn an_object_is_the_same_as_the_text() {
        let object = json!({"max_connections": 100, "events_per_second": 0, "max_members": null});
        let text = Quotas::text_of(object.as_object().unwrap());
        assert_eq!(Quotas::parse(&text), Quotas::parse("max_connections=100"));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in ["x", "x=1", "max_connections", "max_connections=", "max_connections=-1", "max_connections=1.5"] {
            assert_eq!(Quotas::parse(text), None, "{text:?}");
        }
        assert_eq!(Quotas::parse("max_members=1,max_members=2"), None);
        assert_eq!(Quotas::parse("max_members=4294967296"), None);
    }
}
