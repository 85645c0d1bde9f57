//! Messages of clients in both dialects, and what stands in them as text: channel names, members, users, positions.
#![no_main]

use gaung::{
    protocol::{
        ChannelName, Position,
        inbound::{self, ClientMessage},
        position::MAX_ORIGINS,
        presence::{ChannelLimits, MemberClaim, UserClaim},
    },
    tenant::{
        self, Grant, Heard, StreamLimits, StreamRequest, TenantChannels, TenantId, inbound::TenantMessage,
        stream_request::MAX_CHANNELS,
    },
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    read_stream(text);
    if let Ok(TenantMessage::Subscribe { since: Some(since), .. }) = tenant::inbound::parse(text) {
        read_position(&since);
    }
    match inbound::parse(text) {
        Ok(ClientMessage::Subscribe { channel, channel_data, since, .. }) => {
            if let Ok(name) = ChannelName::parse(&channel, 200) {
                assert_eq!(name.as_str(), channel);
                assert!(channel.len() <= 200 && !channel.contains([' ', '*', '>', '/']));
            }
            let _ = channel_data.map(|data| MemberClaim::parse(&data).is_ok());
            since.as_deref().into_iter().for_each(read_position);
        }
        Ok(ClientMessage::SignIn { user_data, .. }) => {
            let _ = UserClaim::parse(&user_data, ChannelLimits { count: 1_000, length: 200 });
        }
        Ok(_) | Err(_) => {}
    }
});

/// What an address asks a stream of server-sent events for, and what its client says it has heard.
fn read_stream(text: &str) {
    if let Ok(heard) = text.parse::<Heard>() {
        assert_eq!(heard.to_string().parse::<Heard>().as_ref(), Ok(&heard));
    }
    let Ok(tenant) = TenantId::parse("7") else { return };
    let grant = Grant::public(tenant, &TenantChannels::default());
    let limits = StreamLimits { name_length: 200, subscriptions: 1_000 };
    if let Ok(request) = StreamRequest::parse(text, Some(text), &grant, &limits) {
        assert!((1..=MAX_CHANNELS).contains(&request.channels.len()));
        assert!(request.channels.iter().all(|channel| grant.check(channel).is_ok()));
    }
}

fn read_position(since: &str) {
    let Ok(position) = since.parse::<Position>() else { return };
    let origins = position.events().count();
    assert!((1..=MAX_ORIGINS).contains(&origins));
    assert_eq!(origins, since.split(',').count());
    assert_eq!(position.to_string().parse::<Position>().as_ref(), Ok(&position));
}
