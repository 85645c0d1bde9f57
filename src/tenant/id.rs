//! Names a tenant. Pure.

use std::{fmt, sync::Arc};

/// The most characters that a tenant id may have.
const MAX_LENGTH: usize = 128;

/// A tenant's id: 1 to 128 characters of those that channel names are made of, without the dot, so that it can be one
/// segment of a channel name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TenantId(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidTenantId {
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
