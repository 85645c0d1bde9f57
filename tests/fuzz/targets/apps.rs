//! Apps files: whatever stands in one is read or refused with all its problems.
#![no_main]

use gaung::config::parse_apps;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse_apps(text) {
        Ok(apps) => assert!(apps.iter().all(|(id, settings)| !id.is_empty() && !settings.keys.is_empty())),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
