//! What an admitted tenant socket may subscribe to. Pure.

use super::{AccessToken, Problem, TenantChannels, TenantId, Term};
use crate::protocol::{ChannelName, ChannelPattern};

/// The outcome of an admission, kept by the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose channels may be heard.
    pub tenant: TenantId,
    /// The user that a token vouches for: the member in presence channels.
    pub user_id: Option<String>,
    /// For how long, if it is by a token.
    pub term: Option<Term>,
    owned: TenantChannels,
    channels: Vec<ChannelPattern>,
}

impl Grant {
    /// For a socket without a token (access `open` or `callback`): the tenant's public channels.
    pub fn public(tenant: TenantId, owned: &TenantChannels) -> Self {
        Self { tenant, user_id: None, term: None, owned: owned.clone(), channels: Vec::new() }
    }

    /// For a socket with a verified token: also the private and presence channels that it names.
    pub fn by_token(token: AccessToken, owned: &TenantChannels) -> Self {
        let AccessToken { tenant_id: tenant, user_id, channels, term } = token;
        Self { tenant, user_id, term: Some(term), owned: owned.clone(), channels }
    }

    /// The same with what a newer token grants, if that is for the same tenant and user.
    pub fn renewed(&self, token: AccessToken) -> Result<Self, Problem> {
        if token.tenant_id != self.tenant || token.user_id != self.user_id {
            return Err(Problem::TokenOfOther);
        }
        Ok(Self::by_token(token, &self.owned))
    }

    /// Whether the channel may be subscribed to, or why not.
    pub fn check(&self, channel: &ChannelName) -> Result<(), Problem> {
        let kind = channel.kind();
        if !self.owned.belong(channel, &self.tenant) {
            return Err(Problem::NotOfTenant(self.tenant.clone(), self.owned.clone()));
        }
        if kind.needs_auth() && !self.channels.iter().any(|pattern| pattern.matches(channel)) {
            return Err(Problem::NotGranted);
        }
        if kind.is_presence() && self.user_id.is_none() {
            return Err(Problem::NoUser);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::parse("7").unwrap()
    }

    fn token(tenant: &str, user_id: Option<&str>, patterns: &[&str]) -> AccessToken {
        AccessToken {
            tenant_id: TenantId::parse(tenant).unwrap(),
            user_id: user_id.map(str::to_owned),
            channels: patterns.iter().map(|pattern| ChannelPattern::parse(pattern).unwrap()).collect(),
            term: Term { issued: Duration::ZERO, expires: Duration::MAX },
        }
    }

    fn granted(user_id: Option<&str>, patterns: &[&str]) -> Grant {
        let token = token("7", user_id, patterns);
        Grant::by_token(token, &TenantChannels::default())
    }

    fn check(grant: &Grant, channel: &str, expected: Result<(), Problem>) {
        assert_eq!(grant.check(&ChannelName::parse(channel, 200).unwrap()), expected, "{channel}");
    }

    #[test]
    fn public_channels_of_the_tenant_are_open_to_everybody_admitted() {
        for grant in [Grant::public(tenant(), &TenantChannels::default()), granted(None, &[])] {
            check(&grant, "products.7", Ok(()));
            check(&grant, "cache-products.7", Ok(()));
        }
    }

    #[test]
    fn channels_of_others_are_refused_whatever_the_token_names() {
        let grant = granted(Some("1"), &["*", "*.*"]);
        for channel in ["products.8", "private-products.8.7", "presence-products", "#server-to-user-7"] {
            check(&grant, channel, Err(Problem::NotOfTenant(tenant(), TenantChannels::default())));
        }
    }

    #[test]
    fn a_channel_with_authorisation_must_be_named_by_the_token() {
        for channel in ["private-a.7", "private-cache-a.7", "private-encrypted-a.7", "presence-a.7"] {
            check(&Grant::public(tenant(), &TenantChannels::default()), channel, Err(Problem::NotGranted));
            check(&granted(Some("1"), &["private-b.7", "a.7"]), channel, Err(Problem::NotGranted));
            check(&granted(Some("1"), &["private-b.7", "p*-a.7"]), channel, Ok(()));
        }
    }

    #[test]
    fn a_presence_channel_needs_a_user() {
        check(&granted(None, &["presence-a.7"]), "presence-a.7", Err(Problem::NoUser));
        check(&granted(Some("1"), &["presence-a.7"]), "presence-a.7", Ok(()));
    }

    #[test]
    fn a_newer_token_replaces_the_channels_of_the_same_tenant_and_user() {
        let old = granted(Some("1"), &["private-a.7"]);
        let new = old.renewed(token("7", Some("1"), &["private-b.7"])).unwrap();
        check(&new, "private-a.7", Err(Problem::NotGranted));
        check(&new, "private-b.7", Ok(()));
        for other in [token("8", Some("1"), &["*"]), token("7", Some("2"), &["*"]), token("7", None, &["*"])] {
            assert_eq!(old.renewed(other), Err(Problem::TokenOfOther));
        }
        assert_eq!(granted(None, &[]).renewed(token("7", Some("1"), &["*"])), Err(Problem::TokenOfOther));
    }
}
