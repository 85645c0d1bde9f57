//! Subjects of the bus as types. An app's id and a channel's name become one token each by a reversible map (`.` → `/`,
//! which neither contains), so that no name can reach into another subject.

use crate::room::{NodeId, Room};

/// The longest cluster name.
const MAX_CLUSTER: usize = 32;

/// The longest prefix, dots included.
const MAX_PREFIX: usize = 128;

/// Where a frame goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// State, heartbeats and leave messages of all nodes; every node subscribes.
    State,
    /// Messages to one node.
    Node(NodeId),
    /// Events of one room; the nodes that serve it subscribe.
    Room(Room),
}

/// Writes and reads the subjects of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    root: String,
}

/// Why a cluster cannot have these subjects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubjects {
    #[error(
        "the subject prefix {0:?} is not made of tokens of letters, digits, _ and - joined by dots, {MAX_PREFIX} \
        characters at most"
    )]
    Prefix(String),
    #[error("the cluster name {0:?} is not 1 to {MAX_CLUSTER} lower-case letters, digits and hyphens")]
    Cluster(String),
}

impl Subjects {
    /// The subjects below `<prefix>.v1.<cluster>`. The version is that of the frames, so that releases that cannot
    /// read one another never receive one another's frames.
    pub fn new(prefix: &str, cluster: &str) -> Result<Self, InvalidSubjects> {
        if prefix.len() > MAX_PREFIX || !prefix.split('.').all(is_token) {
            return Err(InvalidSubjects::Prefix(prefix.to_owned()));
        }
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if cluster.is_empty() || cluster.len() > MAX_CLUSTER || !cluster.bytes().all(allowed) {
            return Err(InvalidSubjects::Cluster(cluster.to_owned()));
        }
        Ok(Self { root: format!("{prefix}.v1.{cluster}.") })
    }

    /// The subject as the bus wants it.
    pub fn write(&self, subject: &Subject) -> String {
        let root = &self.root;
        match subject {
            Subject::State => format!("{root}state"),
            Subject::Node(node) => format!("{root}node.{node}"),
            Subject::Room(room) => format!("{root}room.{}.{}", token(room.app()), token(room.channel())),
        }
    }

    /// Where the work queue keeps webhooks: of one slot, or of all with `*`.
    pub(crate) fn webhooks(&self, slot: &str) -> String {
        format!("{}webhooks.{slot}", self.root)
    }

    /// Where the history stream keeps what nodes store: all of it.
    pub(crate) fn history(&self) -> String {
        format!("{}history.>", self.root)
    }

    /// The same, of the events of all rooms.
    pub(crate) fn all_stored_events(&self) -> String {
        format!("{}history.event.>", self.root)
    }

    /// The same, of one room's events.
    pub(crate) fn stored_events(&self, room: &Room) -> String {
        format!("{}history.event.{}.{}", self.root, token(room.app()), token(room.channel()))
    }

    /// The same, of a node's marks, or of those of all with `*`.
    pub(crate) fn marks(&self, node: &str) -> String {
        format!("{}history.mark.{node}", self.root)
    }

    /// The node whose mark came on this subject.
    pub(crate) fn marking_node(&self, subject: &str) -> Option<NodeId> {
        subject.strip_prefix(&self.marks(""))?.parse().ok()
    }

    /// The name of the history stream: that of the cluster, in characters that a stream's name may have.
    pub(crate) fn history_stream(&self) -> String {
        format!("{}history", self.root.replace('.', "_"))
    }

    /// Where the record of an app is kept, or those of all with `*`.
    pub(crate) fn record(&self, app: &str) -> String {
        format!("{}apps.{}", self.root, token(app))
    }

    /// The app whose record came on this subject.
    pub(crate) fn app_of_record(&self, subject: &str) -> Option<String> {
        let app = subject.strip_prefix(&self.record(""))?;
        (!app.contains('.')).then(|| app.replace('/', "."))
    }

    /// The name of the stream that keeps these records.
    pub(crate) fn records_stream(&self) -> String {
        format!("{}apps", self.root.replace('.', "_"))
    }

    /// The subject that a message came on; `None` if it is none of this cluster's.
    pub fn read(&self, text: &str) -> Option<Subject> {
        let rest = text.strip_prefix(&self.root)?;
        if rest == "state" {
            return Some(Subject::State);
        }
        let (kind, name) = rest.split_once('.')?;
        let subject = match kind {
            "node" => Subject::Node(name.parse().ok()?),
            "room" => Subject::Room(read_room(name)?),
            _ => return None,
        };
        // Only the one way in which we write it, so that two texts never name one room.
        (self.write(&subject) == text).then_some(subject)
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn token(name: &str) -> String {
    name.replace('.', "/")
}

fn read_room(name: &str) -> Option<Room> {
    let (app, channel) = name.split_once('.')?;
    if channel.contains('.') {
        return None;
    }
    Room::new(&app.replace('/', "."), &channel.replace('/', ".")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects() -> Subjects {
        Subjects::new("gaung", "main-1").unwrap()
    }

    fn check(subject: Subject, text: &str) {
        assert_eq!(subjects().write(&subject), text);
        assert_eq!(subjects().read(text), Some(subject), "{text}");
    }

    #[test]
    fn subjects_are_written_and_read_back() {
        check(Subject::State, "gaung.v1.main-1.state");
        check(Subject::Node(NodeId::from_bits(0xab)), "gaung.v1.main-1.node.00000000000000ab");
        for (channel, token) in [
            ("orders", "orders"),
            ("private-App.Models.User.1", "private-App/Models/User/1"),
            ("..", "//"),
            ("a=b@c,d;e", "a=b@c,d;e"),
            ("#server-to-user-7.1", "#server-to-user-7/1"),
        ] {
            check(
                Subject::Room(Room::new("shop_1", channel).unwrap()),
                &format!("gaung.v1.main-1.room.shop_1.{token}"),
            );
        }
    }

    #[test]
    fn every_app_id_that_may_be_configured_has_a_subject_of_its_own() {
        for (app, token) in [("a.b", "a/b"), ("1~x_y-z", "1~x_y-z"), (".", "/"), (&"a".repeat(200), &"a".repeat(200))] {
            check(Subject::Room(Room::new(app, "x.y").unwrap()), &format!("gaung.v1.main-1.room.{token}.x/y"));
        }
    }

    #[test]
    fn an_app_is_found_in_the_subject_of_its_record() {
        for (app, subject) in [("shop", "gaung.v1.main-1.apps.shop"), ("a.b", "gaung.v1.main-1.apps.a/b")] {
            assert_eq!(subjects().record(app), subject);
            assert_eq!(subjects().app_of_record(subject), Some(app.to_owned()));
        }
        for subject in ["gaung.v1.main-1.apps.a.b", "gaung.v1.main-2.apps.a", "gaung.v1.main-1.state"] {
            assert_eq!(subjects().app_of_record(subject), None, "{subject}");
        }
        assert_eq!(subjects().records_stream(), "gaung_v1_main-1_apps");
    }

    #[test]
    fn hostile_names_never_become_a_room() {
        let long = "x".repeat(4096);
        let channels = ["", "*", ">", "a*", "a.>", "a b", "a\tb", "a\r\nPUB x 1", "a/b", "#other", "é", "\0", &long];
        for channel in channels {
            assert!(Room::new("shop", channel).is_err(), "{channel:?}");
        }
        for app in ["", "*", ">", "a*", "a b", "a/b", "é", "a\n", &long] {
            assert!(Room::new(app, "orders").is_err(), "{app:?}");
        }
    }

    #[test]
    fn foreign_subjects_are_not_read() {
        for text in [
            "",
            "gaung.v1.main-1.",
            "gaung.v1.main-1.states",
            "gaung.v1.main-2.state",
            "gaung.v2.main-1.state",
            "other.v1.main-1.state",
            "gaung.v1.main-1.node.ab",
            "gaung.v1.main-1.node.00000000000000AB",
            "gaung.v1.main-1.node.+0000000000000ab",
            "gaung.v1.main-1.room.shop",
            "gaung.v1.main-1.room.shop.a.b",
            "gaung.v1.main-1.room.shop.*",
            "gaung.v1.main-1.room..orders",
            "gaung.v1.main-1.other.shop.orders",
        ] {
            assert_eq!(subjects().read(text), None, "{text}");
        }
    }

    #[test]
    fn clusters_and_prefixes_that_could_widen_a_subject_are_refused() {
        for cluster in ["", "Main", "a.b", "*", ">", "a b", "a_b", "é", &"a".repeat(33)] {
            assert!(Subjects::new("gaung", cluster).is_err(), "{cluster:?}");
        }
        for prefix in ["", ".", "a.", ".a", "a..b", "*", "a.>", "a b", "$SYS", &"a".repeat(129)] {
            assert!(Subjects::new(prefix, "main").is_err(), "{prefix:?}");
        }
        assert!(Subjects::new("acme.prod", &"a".repeat(32)).is_ok());
    }
}
