//! Messages of clients in both dialects, and what stands in them as text: channel names, members, users.
#![no_main]

use gaung::{
    protocol::{
        ChannelName,
        inbound::{self, ClientMessage},
        presence::{MemberClaim, UserClaim},
    },
    tenant,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = tenant::inbound::parse(text);
    match inbound::parse(text) {
        Ok(ClientMessage::Subscribe { channel, channel_data, .. }) => {
            if let Ok(name) = ChannelName::parse(&channel, 200) {
                assert_eq!(name.as_str(), channel);
                assert!(channel.len() <= 200 && !channel.contains([' ', '*', '>', '/']));
            }
            let _ = channel_data.map(|data| MemberClaim::parse(&data).is_ok());
        }
        Ok(ClientMessage::SignIn { user_data, .. }) => {
            let _ = UserClaim::parse(&user_data);
        }
        Ok(_) | Err(_) => {}
    }
});
