//! `GET /apps/{id}/channels`, `…/channels/{channel}` and `…/channels/{channel}/users` (protocol.md §3.5 to §3.7).

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    answer,
    attributes::{Attributes, CountsAnswer},
    error::ApiError,
    signed::{Ask, Signed, Verified},
};
use crate::{
    event::{CachedEvent, Member},
    protocol::ChannelName,
};

/// The occupied channels whose name starts so.
#[derive(Debug)]
pub struct Occupied {
    prefix: String,
    attributes: Attributes,
}

#[derive(Debug)]
pub struct Channel {
    name: ChannelName,
    attributes: Attributes,
}

#[derive(Debug)]
pub struct Users {
    channel: ChannelName,
    fields: UserFields,
}

/// What is told of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserFields {
    Id,
    IdAndUserInfo,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    filter_by_prefix: String,
    #[serde(default)]
    info: String,
    #[serde(default)]
    with_user_info: String,
}

impl Ask for Occupied {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        verified.take_read()?;
        let Parameters { filter_by_prefix: prefix, info, .. } = verified.query()?;
        let attributes = Attributes::parse(&info);
        if attributes.user_count && !prefix.starts_with("presence-") {
            return Err(ApiError::UserCountNeedsPresence(prefix));
        }
        Ok(Self { prefix, attributes })
    }
}

impl Ask for Channel {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        verified.take_read()?;
        let attributes = Attributes::parse(&verified.query::<Parameters>()?.info);
        Ok(Self { name: verified.channel()?, attributes })
    }
}

impl Ask for Users {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        verified.take_read()?;
        let with_user_info = verified.query::<Parameters>()?.with_user_info;
        let channel = verified.channel()?;
        if !channel.kind().is_presence() {
            return Err(ApiError::NotPresence(channel.to_string()));
        }
        let fields = if with_user_info == "1" { UserFields::IdAndUserInfo } else { UserFields::Id };
        Ok(Self { channel, fields })
    }
}

/// The answer with all occupied channels, as it is written page by page.
#[derive(Default)]
struct OccupiedList {
    entries: String,
}

#[derive(Serialize)]
struct ChannelAnswer {
    occupied: bool,
    #[serde(flatten)]
    counts: CountsAnswer,
    /// `Some(None)` is `null`: asked for, but there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Option<CacheAnswer>>,
}

#[derive(Serialize)]
struct CacheAnswer {
    data: String,
    /// Seconds left.
    ttl: u64,
}

#[derive(Serialize)]
struct UsersAnswer<'a> {
    users: Vec<UserAnswer<'a>>,
}

#[derive(Serialize)]
struct UserAnswer<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<&'a RawValue>,
}

/// Lists the occupied channels: page by page, so that nobody is held up by how many there are.
pub async fn list(signed: Signed<Occupied>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: Occupied { prefix, attributes }, .. } = signed;
    let (mut list, mut after) = (OccupiedList::default(), None);
    loop {
        let page = api.rooms.occupied(&app, &prefix, after).await?;
        page.channels.iter().for_each(|(name, counts)| list.add(name, attributes.of(name.kind(), *counts)));
        after = page.next;
        if after.is_none() {
            return Ok(answer::text(list.finish()));
        }
    }
}

/// Tells of one channel; one that nobody uses is not occupied, and has zeros.
pub async fn show(signed: Signed<Channel>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: Channel { name, attributes }, .. } = signed;
    let counts = api.rooms.counts(&app, std::slice::from_ref(&name)).await?.first().copied().unwrap_or_default();
    let cache = if attributes.cache { Some(api.rooms.cached(&app, &name).await?.map(CacheAnswer::from)) } else { None };
    let occupied = counts.subscriptions > 0;
    Ok(answer::json(&ChannelAnswer { occupied, counts: attributes.of(name.kind(), counts), cache }))
}

/// Lists the members of a presence channel; nobody's channel has none.
pub async fn users(signed: Signed<Users>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: Users { channel, fields }, .. } = signed;
    let members = api.rooms.members(&app, &channel).await?;
    Ok(answer::json(&UsersAnswer { users: members.iter().map(|member| user(member, fields)).collect() }))
}

impl OccupiedList {
    fn add(&mut self, name: &ChannelName, counts: CountsAnswer) {
        // A name has no character that JSON escapes.
        let separator = if self.entries.is_empty() { "" } else { "," };
        let counts = serde_json::to_string(&counts).expect("counts are numbers under fixed keys");
        self.entries.extend([separator, "\"", name.as_str(), "\":", &counts]);
    }

    fn finish(self) -> String {
        format!(r#"{{"channels":{{{}}}}}"#, self.entries)
    }
}

fn user(member: &Member, fields: UserFields) -> UserAnswer<'_> {
    let user_info = match fields {
        UserFields::Id => None,
        UserFields::IdAndUserInfo => serde_json::from_str(&member.info).ok(),
    };
    UserAnswer { id: &member.id, user_info }
}

impl From<CachedEvent> for CacheAnswer {
    fn from(CachedEvent { data, ttl }: CachedEvent) -> Self {
        Self { data, ttl: ttl.as_secs() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{event::Counts, protocol::ChannelKind};

    fn check(answer: impl Serialize, expected: &str) {
        assert_eq!(serde_json::to_string(&answer).unwrap(), expected);
    }

    fn channel(info: &str, subscriptions: usize, cache: Option<Option<CachedEvent>>) -> ChannelAnswer {
        let counts = Attributes::parse(info).of(ChannelKind::PresenceCache, Counts { users: 1, subscriptions });
        let cache = cache.map(|cached| cached.map(CacheAnswer::from));
        ChannelAnswer { occupied: subscriptions > 0, counts, cache }
    }

    #[test]
    fn a_channel_tells_only_what_was_asked() {
        check(channel("", 2, None), r#"{"occupied":true}"#);
        check(
            channel("user_count,subscription_count", 2, None),
            r#"{"occupied":true,"user_count":1,"subscription_count":2}"#,
        );
        check(channel("subscription_count", 0, None), r#"{"occupied":false,"subscription_count":0}"#);
    }

    #[test]
    fn the_cached_event_comes_with_its_seconds_or_as_null() {
        let cached = CachedEvent { data: r#"{"a":1}"#.to_owned(), ttl: Duration::from_millis(1_740_900) };
        check(channel("cache", 1, Some(Some(cached))), r#"{"occupied":true,"cache":{"data":"{\"a\":1}","ttl":1740}}"#);
        check(channel("cache", 1, Some(None)), r#"{"occupied":true,"cache":null}"#);
    }

    #[test]
    fn user_info_is_passed_through_as_json_when_it_is_asked_for() {
        let member = Member { id: "42".to_owned(), info: r#"{"name":"Ada"}"#.to_owned() };
        check(user(&member, UserFields::Id), r#"{"id":"42"}"#);
        check(user(&member, UserFields::IdAndUserInfo), r#"{"id":"42","user_info":{"name":"Ada"}}"#);
    }

    #[test]
    fn channels_are_listed_with_what_was_asked_for() {
        let mut list = OccupiedList::default();
        let counts = Counts { users: 1, subscriptions: 2 };
        list.add(&ChannelName::parse("news", 200).unwrap(), Attributes::parse("").of(ChannelKind::Public, counts));
        let name = ChannelName::parse("presence-a@b;c=d", 200).unwrap();
        list.add(&name, Attributes::parse("user_count,subscription_count").of(name.kind(), counts));
        let expected = r#"{"channels":{"news":{},"presence-a@b;c=d":{"user_count":1,"subscription_count":2}}}"#;
        assert_eq!(list.finish(), expected);
    }

    #[test]
    fn no_channel_is_an_empty_object_and_nobody_an_empty_list() {
        assert_eq!(OccupiedList::default().finish(), r#"{"channels":{}}"#);
        check(UsersAnswer { users: Vec::new() }, r#"{"users":[]}"#);
    }
}
