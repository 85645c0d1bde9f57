//! The settings of an app as Soketi calls and counts them (protocol.md §6.2), so that its app array serves as it is.

/// How a value of Soketi's becomes one of ours.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// As it is.
    Same,
    /// -1 is no limit; 0, which would let nothing pass, is no limit here and therefore refused.
    Quota,
    /// KiB, also fractions.
    Kilobytes,
}

/// Their names with ours. What is called the same in both (`enabled`, `webhooks`) is not among them.
pub(super) const NAMES: [(&str, &str, Unit); 13] = [
    ("maxConnections", "max_connections", Unit::Quota),
    ("enableClientMessages", "client_events", Unit::Same),
    ("enableUserAuthentication", "sign_in", Unit::Same),
    ("maxBackendEventsPerSecond", "events_per_second", Unit::Quota),
    ("maxClientEventsPerSecond", "client_events_per_second", Unit::Quota),
    ("maxReadRequestsPerSecond", "reads_per_second", Unit::Quota),
    ("maxPresenceMembersPerChannel", "max_presence_members", Unit::Same),
    ("maxPresenceMemberSizeInKb", "max_presence_member_bytes", Unit::Kilobytes),
    ("maxChannelNameLength", "max_channel_name_length", Unit::Same),
    ("maxEventChannelsAtOnce", "max_event_channels", Unit::Same),
    ("maxEventNameLength", "max_event_name_length", Unit::Same),
    ("maxEventPayloadInKb", "max_event_bytes", Unit::Kilobytes),
    ("maxEventBatchSize", "max_batch_events", Unit::Same),
];

/// Our name of a setting that may be written under theirs.
pub fn own_name(name: &str) -> &str {
    NAMES.iter().find(|(theirs, ..)| *theirs == name).map_or(name, |(_, own, _)| own)
}

impl Unit {
    /// The text of our setting for the text of theirs.
    pub(super) fn convert(self, text: &str) -> Result<String, String> {
        match (self, text) {
            (Self::Same, _) => Ok(text.to_owned()),
            (Self::Quota, "-1") => Ok("0".to_owned()),
            (Self::Quota, "0") => Err("it must be at least 1, or -1 for no limit".to_owned()),
            (Self::Quota, _) => Ok(text.to_owned()),
            (Self::Kilobytes, _) => match text.parse::<f64>() {
                Ok(kilobytes) => Ok(((kilobytes * 1_024.0) as u64).to_string()),
                Err(_) => Err("it must be a number of KiB".to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AppSettings, file::setting_name, settings};

    #[test]
    fn each_name_stands_for_a_setting_of_ours() {
        let settings = settings::variables(&AppSettings::without_keys());
        for (theirs, own, _) in NAMES {
            assert!(settings.iter().any(|variable| setting_name(variable) == own), "{theirs} is {own}");
        }
    }

    #[test]
    fn values_are_converted_by_their_unit() {
        let check = |unit: Unit, text: &str, expected: Result<&str, &str>| {
            assert_eq!(unit.convert(text), expected.map(str::to_owned).map_err(str::to_owned));
        };
        check(Unit::Same, "-1", Ok("-1"));
        check(Unit::Quota, "-1", Ok("0"));
        check(Unit::Quota, "7", Ok("7"));
        check(Unit::Quota, "0", Err("it must be at least 1, or -1 for no limit"));
        check(Unit::Kilobytes, "2", Ok("2048"));
        check(Unit::Kilobytes, "0.5", Ok("512"));
        check(Unit::Kilobytes, "two", Err("it must be a number of KiB"));
    }
}
