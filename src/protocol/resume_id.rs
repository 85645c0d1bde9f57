//! What a page names itself by, on all its sockets. Pure.

use std::{fmt, ops::RangeInclusive};

/// The characters of a resume id at least and at most.
const LENGTH: RangeInclusive<usize> = 16..=64;

/// What a page names itself by. A secret: who knows it is given what the page had.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeId(String);

/// Why a text is no resume id. The text is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResumeId {
    #[error("the resume id has {0} characters; it must have 16 to 64")]
    Length(usize),
    #[error("the resume id has characters other than A-Z, a-z, 0-9, _ and -")]
    Characters,
}

impl ResumeId {
    /// Reads what stands in an address.
    pub fn parse(text: &str) -> Result<Self, InvalidResumeId> {
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
            return Err(InvalidResumeId::Characters);
        }
        if !LENGTH.contains(&text.len()) {
            return Err(InvalidResumeId::Length(text.len()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id, which nobody else may see.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeId(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_16_to_64_letters_digits_dashes_and_underscores() {
        for (text, problem) in [
            ("", InvalidResumeId::Length(0)),
            ("abcdefghijklmno", InvalidResumeId::Length(15)),
            (&"x".repeat(65), InvalidResumeId::Length(65)),
            ("abcdefghijklmno/", InvalidResumeId::Characters),
            ("abcdefghijklmnoé", InvalidResumeId::Characters),
        ] {
            assert_eq!(ResumeId::parse(text), Err(problem), "{text:?}");
        }
        for text in ["3f0c7a52-8f8e-4a5e-9d0e-2f4b6f1a9c1d", "abcdefghijkl_-09", &"x".repeat(64)] {
            assert!(ResumeId::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn an_id_is_not_printed() {
        assert!(!format!("{:?}", ResumeId::parse("abcdefghijklmnop").unwrap()).contains("abc"));
    }
}
