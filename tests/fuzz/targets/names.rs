//! Names of rooms and subjects of the bus: one is the other, and no name reaches beyond its own subject.
#![no_main]

use gaung_cluster::{Room, Subject, Subjects};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (app, channel) = input;
    let subjects = Subjects::new("gaung", "fuzz").expect("the names are valid");
    if let Ok(room) = Room::new(app, channel) {
        let text = subjects.write(&Subject::Room(room.clone()));
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'>'), "{text}");
        assert_eq!(text.split('.').count(), 6, "{text}");
        assert_eq!(subjects.read(&text), Some(Subject::Room(room)));
    }
    if let Some(subject) = subjects.read(app) {
        assert_eq!(subjects.read(&subjects.write(&subject)), Some(subject));
    }
});
