//! Names a tenant. Pure.

use std::{fmt, sync::Arc};

/// The most characters that a tenant id may have.
const MAX_LENGTH: usize = 128;

/// A tenant's id: 1 to 128 characters of those that channel names are made of, without the dot, so that it can be one
/// segment of a channel name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTenantId {
    #[error("the tenant id is empty")]
    Empty,
    #[error("the tenant id has {0} characters, the limit is {MAX_LENGTH}")]
    TooLong(usize),
    #[error("the tenant id contains {0:?}; allowed are letters, digits and _ - = @ , ;")]
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

#[cfg(test)]
mod tests {
    use super::*;

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
