//! What a stream of server-sent events is to carry: the query's channels, and how far the client has heard them. Pure.

use super::{Grant, Heard, Problem, request::parameters};
use crate::protocol::{ChannelName, Since, position::InvalidPosition};

/// Channels of one stream at most: each stands in every `id`, which comes back as a header.
pub const MAX_CHANNELS: usize = 50;

/// The channels of a stream, all of them granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRequest {
    /// Each channel once.
    pub channels: Vec<ChannelName>,
    /// How far they were heard; `None` if the client says something that no server can have told it.
    pub heard: Option<Heard>,
}

/// Why a stream cannot be opened, whenever it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStream {
    #[error("the address has no parameter channels; it names the channels, separated by commas")]
    ChannelsMissing,
    #[error("the address names {0} channels, the limit is {MAX_CHANNELS}; open another stream for the others")]
    TooMany(usize),
    #[error("channel {0:?}: {1}")]
    Channel(String, Problem),
    #[error("the parameter since is malformed: {0}")]
    Since(InvalidPosition),
}

/// What decides beside the query.
pub struct StreamLimits {
    /// The most characters of a channel's name.
    pub name_length: usize,
    /// The most subscriptions of one session.
    pub subscriptions: usize,
}

impl InvalidStream {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::ChannelsMissing | Self::TooMany(_) | Self::Since(_) => 400,
            Self::Channel(_, problem) => problem.code(),
        }
    }
}

impl StreamRequest {
    /// Reads `channels` (separated by commas) and `channel` (one, whose name may have a comma), each as often as it comes,
    /// and where to go on: `since` or `last_event_id` of the query, or the header `Last-Event-ID`, which is later where both
    /// are there, because the client comes back to the address that it had at first.
    pub fn parse(
        query: &str,
        last_event_id: Option<&str>,
        grant: &Grant,
        limits: &StreamLimits,
    ) -> Result<Self, InvalidStream> {
        let mut names: Vec<String> = parameters(query, "channels")
            .flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>())
            .chain(parameters(query, "channel"))
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        let channels = match names.len() {
            0 => return Err(InvalidStream::ChannelsMissing),
            count if count > MAX_CHANNELS => return Err(InvalidStream::TooMany(count)),
            count if count > limits.subscriptions => {
                let problem = Problem::TooManySubscriptions { limit: limits.subscriptions };
                return Err(InvalidStream::Channel(names.swap_remove(limits.subscriptions), problem));
            }
            _ => names.into_iter().map(|name| granted(name, grant, limits)).collect::<Result<Vec<_>, _>>()?,
        };
        let mut heard =
            match (last_event_id, parameters(query, "since").chain(parameters(query, "last_event_id")).next()) {
                // A client that was told this by another release cannot change it, and must not be sent away for it.
                (Some(told), _) => told.parse().ok(),
                (None, Some(asked)) => Some(asked.parse().map_err(InvalidStream::Since)?),
                (None, None) => Some(Heard::default()),
            };
        heard.iter_mut().for_each(|heard| heard.keep_only(&channels));
        Ok(Self { channels, heard })
    }

    /// From where on a channel is to be heard; `None` for one that is new.
    pub fn since(&self, channel: &ChannelName) -> Option<Since> {
        match &self.heard {
            Some(heard) => heard.position_of(channel).cloned().map(Since::Position),
            None => Some(Since::Unknown),
        }
    }
}

fn granted(name: String, grant: &Grant, limits: &StreamLimits) -> Result<ChannelName, InvalidStream> {
    let checked = ChannelName::parse(&name, limits.name_length).map_err(Problem::InvalidChannel);
    let checked = checked.and_then(|channel| grant.check(&channel).map(|()| channel));
    // What was asked for may have any length.
    checked.map_err(|problem| InvalidStream::Channel(name.chars().take(limits.name_length).collect(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::{TenantChannels, TenantId};

    const LIMITS: StreamLimits = StreamLimits { name_length: 20, subscriptions: 40 };

    fn parse(query: &str, last_event_id: Option<&str>) -> Result<StreamRequest, InvalidStream> {
        let grant = Grant::public(TenantId::parse("7").unwrap(), &TenantChannels::default());
        StreamRequest::parse(query, last_event_id, &grant, &LIMITS)
    }

    fn check(query: &str, last_event_id: Option<&str>, channels: &[&str], heard: Option<&str>) {
        let request = parse(query, last_event_id).unwrap();
        let names: Vec<_> = request.channels.iter().map(ChannelName::as_str).collect();
        assert_eq!((names.as_slice(), request.heard.map(|heard| heard.to_string()).as_deref()), (channels, heard));
    }

    #[test]
    fn channels_are_named_in_lists_or_alone_and_each_counts_once() {
        check("channels=b.7,a.7,,b.7", None, &["a.7", "b.7"], Some(""));
        check("channels=a.7&x=1&channels=b.7&channel=c.7.x%2Cy", None, &["a.7", "b.7", "c.7.x,y"], Some(""));
    }

    #[test]
    fn the_header_is_later_than_the_query() {
        check("channels=a.7&since=a.7%3Ak3x09a-1+b.7:k3x09a-2", None, &["a.7"], Some("a.7:k3x09a-1"));
        check("channels=a.7&last_event_id=a.7:k3x09a-1", None, &["a.7"], Some("a.7:k3x09a-1"));
        check("channels=a.7&since=a.7:k3x09a-1", Some("a.7:k3x09a-5"), &["a.7"], Some("a.7:k3x09a-5"));
        check("channels=a.7", Some("nonsense"), &["a.7"], None);
    }

    #[test]
    fn a_channel_that_was_heard_goes_on_and_where_nothing_is_known_that_is_told() {
        let request = parse("channels=a.7,b.7", Some("a.7:k3x09a-5")).unwrap();
        let since = request.since(&request.channels[0]);
        assert_eq!(since, Some(Since::Position("k3x09a-5".parse().unwrap())));
        assert_eq!(request.since(&request.channels[1]), None);
        let request = parse("channels=a.7", Some("?")).unwrap();
        assert_eq!(request.since(&request.channels[0]), Some(Since::Unknown));
    }

    #[test]
    fn what_can_never_be_carried_is_refused() {
        let many = |count: usize| (0..count).map(|n| format!("a.7.{n}")).collect::<Vec<_>>().join(",");
        for (query, status, text) in [
            ("", 400, "the address has no parameter channels; it names the channels, separated by commas"),
            ("channels=,", 400, "the address has no parameter channels; it names the channels, separated by commas"),
            (
                &format!("channels={}", many(51)),
                400,
                "the address names 51 channels, the limit is 50; open another stream for the others",
            ),
            (
                "channels=a.8",
                403,
                "channel \"a.8\": the channel is not tenant 7's: those are *.{tenant}.** (GAUNG_TENANT_CHANNELS)",
            ),
            (
                "channels=private-a.7",
                403,
                "channel \"private-a.7\": a private or presence channel needs a token whose claim channels names it",
            ),
            (
                "channels=a.7&since=x",
                400,
                "the parameter since is malformed: since must be the ids of events, as \"k3x09a-17\", separated by commas",
            ),
        ] {
            let refused = parse(query, None).unwrap_err();
            assert_eq!((refused.status(), refused.to_string().as_str()), (status, text), "{query}");
        }
        assert_eq!(parse(&format!("channels={}", many(41)), None).unwrap_err().status(), 429);
        assert_eq!(parse("channels=a%0A.7", None).unwrap_err().status(), 400);
        assert!(parse(&format!("channels=a.7.{}", "x".repeat(10_000)), None).unwrap_err().to_string().len() < 200);
    }
}
