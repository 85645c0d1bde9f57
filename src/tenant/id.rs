//! Names a tenant, and says which channels are the tenant's. Pure.

use std::{fmt, sync::Arc};

use crate::protocol::{ChannelKind, ChannelName};

/// The most characters that a tenant id may have.
const MAX_LENGTH: usize = 128;

/// A tenant's id: 1 to 128 characters of those that channel names are made of, without the dot, so that it can be one
/// segment of a channel name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TenantId(Arc<str>);

/// Why a tenant id was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidTenantId {
    /// It has no characters.
    Empty,
    /// It has more than 128 characters; how many.
    TooLong(usize),
    /// A character outside `A-Z a-z 0-9 _ - = @ , ;`.
    Character(char),
}

impl TenantId {
    /// Parses an id as a client or a token gave it.
    pub fn parse(id: &str) -> Result<Self, InvalidTenantId> {
        if id.is_empty() {
            return Err(InvalidTenantId::Empty);
        }
        if let Some(character) = id.chars().find(|c| !c.is_ascii_alphanumeric() && !"_-=@,;".contains(*c)) {
            return Err(InvalidTenantId::Character(character));
        }
        // Every allowed character is one byte.
        if id.len() > MAX_LENGTH {
            return Err(InvalidTenantId::TooLong(id.len()));
        }
        Ok(Self(id.into()))
    }

    /// The id as it stands in channel names.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the channel is this tenant's: one of its dot-separated segments, after the prefix of its kind, is the id.
    /// The private line of a signed-in user is no tenant's, whatever the user is called.
    pub fn owns(&self, channel: &ChannelName) -> bool {
        channel.kind() != ChannelKind::ServerToUser
            && channel.without_prefix().split('.').any(|segment| segment == self.as_str())
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidTenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the tenant id is empty"),
            Self::TooLong(length) => write!(f, "the tenant id has {length} characters, the limit is {MAX_LENGTH}"),
            Self::Character(c) => {
                write!(f, "the tenant id contains {c:?}; allowed are letters, digits and _ - = @ , ;")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tenant: &str, channel: &str, owns: bool) {
        let tenant = TenantId::parse(tenant).expect(tenant);
        let channel = ChannelName::parse(channel, 200).expect(channel);
        assert_eq!(tenant.owns(&channel), owns, "{tenant} and {channel}");
    }

    #[test]
    fn a_channel_belongs_to_the_tenant_that_one_of_its_segments_names() {
        check("7", "products.7", true);
        check("7", "7", true);
        check("7", "7.products", true);
        check("7", "shop.7.products", true);
        check("acme-eu", "orders.acme-eu", true);
    }

    #[test]
    fn a_part_of_a_segment_does_not_count() {
        check("7", "products.77", false);
        check("7", "products-7", false);
        check("7", "products.x7", false);
        check("Acme", "products.acme", false);
    }

    #[test]
    fn the_prefix_of_the_kind_is_no_part_of_the_first_segment() {
        check("7", "private-7", true);
        check("7", "presence-cache-7.room", true);
        check("private-7", "private-7", false);
        check("private", "private-7.private", true);
    }

    #[test]
    fn the_private_line_of_a_user_belongs_to_no_tenant() {
        check("7", "#server-to-user-7", false);
        check("7", "#server-to-user-a.7", false);
    }

    #[test]
    fn an_id_that_cannot_be_a_segment_is_refused() {
        for (id, problem) in [
            ("", InvalidTenantId::Empty),
            ("a.b", InvalidTenantId::Character('.')),
            ("a*", InvalidTenantId::Character('*')),
            ("a b", InvalidTenantId::Character(' ')),
            ("#a", InvalidTenantId::Character('#')),
            ("é", InvalidTenantId::Character('é')),
            ("a\n", InvalidTenantId::Character('\n')),
        ] {
            assert_eq!(TenantId::parse(id), Err(problem), "{id:?}");
        }
        assert!(TenantId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(TenantId::parse(&"x".repeat(129)), Err(InvalidTenantId::TooLong(129)));
    }
}
