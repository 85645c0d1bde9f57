//! Names of events, and how far a client has heard a channel (protocol.md §1.15). Pure.
//!
//! An event's name is the node that numbered it, its *origin*, and its number there. A position holds the last number
//! of each origin: a client has heard everything up to it, and nothing after it.

use std::{fmt, str::FromStr};

/// Origins in one position at most: more nodes than a cluster has in the window of any history.
pub const MAX_ORIGINS: usize = 64;

/// Characters of an origin.
const CHARACTERS: usize = 6;

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The node that numbered an event, in six characters: two of a hundred nodes share them once in some 400,000 clusters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventOrigin([u8; CHARACTERS]);

/// The name of an event on a channel, the same on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    /// Who numbered it.
    pub origin: EventOrigin,
    /// Its number there; higher than that of every earlier event of this origin on the channel.
    pub number: u64,
}

/// How far a client has heard a channel: each origin once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position(Vec<EventId>);

/// Why a text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPosition {
    #[error("since must be the ids of events, as \"k3x09a-17\", separated by commas")]
    Malformed,
    #[error("since names an origin twice")]
    Repeated,
    #[error("since names more than {MAX_ORIGINS} origins")]
    TooLong,
}

impl EventOrigin {
    /// Its characters.
    pub fn characters(self) -> [u8; CHARACTERS] {
        self.0
    }

    /// The origin of these characters, if it is one.
    pub fn of_characters(characters: [u8; CHARACTERS]) -> Option<Self> {
        characters.iter().all(|character| ALPHABET.contains(character)).then_some(Self(characters))
    }

    /// The origin of a node, from the random bits that name it.
    pub fn of_node(bits: u64) -> Self {
        let mut rest = bits;
        Self([(); CHARACTERS].map(|()| {
            let character = ALPHABET[(rest % 36) as usize];
            rest /= 36;
            character
        }))
    }
}

impl Position {
    /// The last number of this origin, if the position knows it.
    pub fn number_of(&self, origin: EventOrigin) -> Option<u64> {
        self.find(origin).ok().map(|index| self.0[index].number)
    }

    /// Whether the event is not after it.
    pub fn covers(&self, event: EventId) -> bool {
        self.number_of(event.origin).is_some_and(|heard| event.number <= heard)
    }

    /// Whether everything after another position is after this one too.
    pub fn is_up_to(&self, other: &Self) -> bool {
        self.0.iter().all(|event| event.number <= other.number_of(event.origin).unwrap_or(0))
    }

    /// The latest position that is up to both.
    pub fn earlier(&self, other: &Self) -> Self {
        let both =
            self.0.iter().filter_map(|event| Some((event.origin, event.number.min(other.number_of(event.origin)?))));
        Self(both.map(|(origin, number)| EventId { origin, number }).collect())
    }

    /// Notes an event that was heard. A lower number than is known changes nothing.
    pub fn note(&mut self, event: EventId) {
        match self.find(event.origin) {
            Ok(index) => self.0[index].number = self.0[index].number.max(event.number),
            Err(index) => self.0.insert(index, event),
        }
    }

    /// Whether it knows no origin.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last event of each origin.
    pub fn events(&self) -> impl Iterator<Item = EventId> {
        self.0.iter().copied()
    }

    fn find(&self, origin: EventOrigin) -> Result<usize, usize> {
        self.0.binary_search_by_key(&origin, |event| event.origin)
    }
}

impl FromIterator<EventId> for Position {
    fn from_iter<I: IntoIterator<Item = EventId>>(events: I) -> Self {
        let mut position = Self::default();
        events.into_iter().for_each(|event| position.note(event));
        position
    }
}

impl FromStr for EventId {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (origin, number) = text.split_once('-').ok_or(InvalidPosition::Malformed)?;
        let characters: [u8; CHARACTERS] = origin.as_bytes().try_into().map_err(|_| InvalidPosition::Malformed)?;
        let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        let origin = EventOrigin::of_characters(characters).filter(|_| is_number).ok_or(InvalidPosition::Malformed)?;
        let number = number.parse().map_err(|_| InvalidPosition::Malformed)?;
        Ok(Self { origin, number })
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut position = Self::default();
        for part in text.split(',') {
            let event: EventId = part.parse()?;
            let index = position.find(event.origin).err().ok_or(InvalidPosition::Repeated)?;
            if position.0.len() == MAX_ORIGINS {
                return Err(InvalidPosition::TooLong);
            }
            position.0.insert(index, event);
        }
        Ok(position)
    }
}

impl fmt::Display for EventOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|character| write!(f, "{}", char::from(*character)))
    }
}

impl fmt::Debug for EventOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.origin, self.number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, event) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{event}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for text in ["000000-0", "k3x09a-17,zzzzzz-18446744073709551615"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        let unordered: Position = "zzzzzz-2,k3x09a-17".parse().unwrap();
        assert_eq!(unordered.to_string(), "k3x09a-17,zzzzzz-2");
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in
            ["", ",", "k3x09a-17,", "k3x09a", "k3x09a-", "k3x09a-+1", "k3x09a-1.5", "K3X09A-1", "k3x09-1", "é3x0-1"]
        {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition::Malformed), "{text:?}");
        }
        assert_eq!("k3x09a-18446744073709551616".parse::<Position>(), Err(InvalidPosition::Malformed));
        assert_eq!("k3x09a-1,k3x09a-2".parse::<Position>(), Err(InvalidPosition::Repeated));
        let long = |origins: u64| {
            let parts: Vec<_> = (0..origins).map(|bits| format!("{}-1", EventOrigin::of_node(bits))).collect();
            parts.join(",").parse::<Position>().map(drop)
        };
        assert_eq!(long(64), Ok(()));
        assert_eq!(long(65), Err(InvalidPosition::TooLong));
    }

    #[test]
    fn a_position_only_moves_forward() {
        let origin = EventOrigin::of_node(7);
        let mut position = Position::default();
        assert_eq!(position.number_of(origin), None);
        for (number, last) in [(5, 5), (3, 5), (9, 9)] {
            position.note(EventId { origin, number });
            assert_eq!(position.number_of(origin), Some(last));
        }
    }

    #[test]
    fn of_two_positions_the_earlier_is_up_to_both() {
        let parse = |text: &str| text.parse::<Position>().unwrap();
        let (one, other) = (parse("aaaaaa-5,bbbbbb-2,dddddd-1"), parse("aaaaaa-3,bbbbbb-9,cccccc-4"));
        let earlier = one.earlier(&other);
        assert_eq!(earlier, parse("aaaaaa-3,bbbbbb-2"));
        assert!(earlier.is_up_to(&one) && earlier.is_up_to(&other) && one.is_up_to(&one));
        assert!(!one.is_up_to(&other) && !other.is_up_to(&one) && !one.is_up_to(&earlier));
        assert!(Position::default().is_up_to(&one) && parse("aaaaaa-0").is_up_to(&Position::default()));
    }

    #[test]
    fn nodes_have_origins_of_their_own() {
        assert_eq!(EventOrigin::of_node(0).to_string(), "000000");
        assert_eq!(EventOrigin::of_node(u64::MAX).to_string().len(), 6);
        assert_ne!(EventOrigin::of_node(1), EventOrigin::of_node(2));
    }
}
