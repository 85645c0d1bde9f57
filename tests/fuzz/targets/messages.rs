//! Messages of clients in both dialects, and what stands in them as text: channel names, members, users, positions.
#![no_main]

use gaung::{
    protocol::{
        ChannelName, Position,
        inbound::{self, ClientMessage},
        position::MAX_ORIGINS,
        presence::{MemberClaim, UserClaim},
    },
    tenant::{self, inbound::TenantMessage},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
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
            let _ = UserClaim::parse(&user_data);
        }
        Ok(_) | Err(_) => {}
    }
});

fn read_position(since: &str) {
    let Ok(position) = since.parse::<Position>() else { return };
    let origins = position.events().count();
    assert!((1..=MAX_ORIGINS).contains(&origins));
    assert_eq!(origins, since.split(',').count());
    assert_eq!(position.to_string().parse::<Position>().as_ref(), Ok(&position));
}
