//! Bodies of triggers: what is accepted keeps to the app's limits, and becomes frames.
#![no_main]

use gaung::{
    config::AppSettings,
    event::now,
    http::publication::{PostedBatch, PostedEvent},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let limits = AppSettings::new("key", "secret");
    let single = PostedEvent::read(body).and_then(|posted| posted.sized(&limits));
    let single = single.and_then(|posted| posted.events(&limits, now()));
    let batch = PostedBatch::read(body).and_then(|posted| posted.sized(&limits)).unwrap_or_default();
    let batch = batch.iter().filter_map(|posted| posted.events(&limits, now()).ok());
    for event in single.into_iter().chain(batch).flatten() {
        assert!(event.channel.as_str().len() <= limits.max_channel_name_length);
        assert!(!event.encode().frame.is_empty());
    }
});
