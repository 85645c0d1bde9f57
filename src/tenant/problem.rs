//! What a tenant socket is refused while it stays open: codes and texts in one table. Codes have three digits and HTTP's
//! meaning, so that they cannot be taken for those of [`Close`](crate::protocol::Close), which have four and end the
//! socket. Pure.

use super::{Malformed, TenantChannels, TenantId};
use crate::protocol::{InvalidChannelName, position::InvalidPosition};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error(transparent)]
    Malformed(Malformed),
    #[error(transparent)]
    InvalidChannel(InvalidChannelName),
    #[error(transparent)]
    InvalidPosition(InvalidPosition),
    #[error("the channel is not tenant {0}'s: those are {1} (GAUNG_TENANT_CHANNELS)")]
    NotOfTenant(TenantId, TenantChannels),
    #[error("a private or presence channel needs a token whose claim channels names it")]
    NotGranted,
    #[error("a presence channel needs a token with the claim user_id")]
    NoUser,
    #[error("the socket is subscribed to the channel as another user")]
    OtherUser,
    #[error("the channel has {limit} members already (app setting max_presence_members)")]
    RoomFull { limit: usize },
    /// What is wrong with it.
    #[error("{0}")]
    TokenRefused(String),
    #[error("the token was revoked; send a newer one")]
    TokenRevoked,
    #[error("the token is for another tenant or user than the socket")]
    TokenOfOther,
    #[error("a token of this socket is being checked; wait for the answer")]
    TokenUnderWay,
    #[error("the keys of the token's issuer cannot be read now; send it again in a while")]
    NoKeys,
    #[error("sockets have no tokens here (GAUNG_TENANT_ACCESS)")]
    NoTokens,
    #[error("the socket has {limit} subscriptions already (app setting max_subscriptions)")]
    TooManySubscriptions { limit: usize },
    /// The app or the tenant may have no more; which limit that is.
    #[error("{0}")]
    LimitReached(String),
    #[error("the socket sent more than {limit} messages a second (GAUNG_TENANT_MESSAGES_PER_SECOND)")]
    TooManyMessages { limit: u32 },
}

impl Problem {
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::InvalidChannel(_) | Self::InvalidPosition(_) | Self::NoTokens => 400,
            Self::TokenRefused(_) | Self::TokenRevoked => 401,
            Self::NotOfTenant(..) | Self::NotGranted | Self::NoUser | Self::OtherUser | Self::TokenOfOther => 403,
            Self::RoomFull { .. } | Self::TokenUnderWay => 409,
            Self::TooManySubscriptions { .. } | Self::LimitReached(_) | Self::TooManyMessages { .. } => 429,
            Self::NoKeys => 503,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(problem: Problem, code: u16, text: &str) {
        assert_eq!((problem.code(), problem.to_string().as_str()), (code, text));
    }

    #[test]
    fn each_refusal_says_which_limit_or_rule_it_met() {
        check(Problem::Malformed(Malformed::NotAnObject), 400, "the message is not a JSON object");
        check(Problem::InvalidChannel(InvalidChannelName::Empty), 400, "the channel name is empty");
        check(Problem::InvalidPosition(InvalidPosition::Repeated), 400, "since names an origin twice");
        check(
            Problem::NotOfTenant(TenantId::parse("7").unwrap(), TenantChannels::default()),
            403,
            "the channel is not tenant 7's: those are *.{tenant}.** (GAUNG_TENANT_CHANNELS)",
        );
        check(
            Problem::RoomFull { limit: 100 },
            409,
            "the channel has 100 members already (app setting max_presence_members)",
        );
        check(Problem::TokenRefused("the token has expired".to_owned()), 401, "the token has expired");
        check(
            Problem::TooManySubscriptions { limit: 1_000 },
            429,
            "the socket has 1000 subscriptions already (app setting max_subscriptions)",
        );
        check(
            Problem::TooManyMessages { limit: 20 },
            429,
            "the socket sent more than 20 messages a second (GAUNG_TENANT_MESSAGES_PER_SECOND)",
        );
    }
}
