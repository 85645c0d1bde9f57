//! Which tenant a channel belongs to: patterns of channel names with the tenant's id at one place (GAUNG_TENANT_CHANNELS).
//! Pure.
//!
//! Invariant: a channel has one tenant at most. The first pattern that fits it decides, and a pattern has the id at one
//! place, alone in its segment but for fixed characters around it. Were any segment the tenant's, tenant `7` would hear
//! `orders.43.7`, and tenant `products` would hear `products.43`.

use std::{fmt, sync::Arc};

use super::TenantId;
use crate::protocol::{ChannelKind, ChannelName, channel, pattern};

/// Where a pattern has the tenant's id.
const TENANT: &str = "{tenant}";

/// Any number of further segments, also none; only at the end.
const REST: &str = "**";

/// The tenant is the second segment: `products.42`, `orders.42.eu`.
pub const DEFAULT: &str = "*.{tenant}.**";

/// Patterns, in the order in which they are tried. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantChannels(Arc<[Pattern]>);

/// One pattern: its segments between dots.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: Vec<String>,
    /// The characters of the tenant's segment before and after the id.
    around: (String, String),
    after: Vec<String>,
    end: End,
}

/// What may follow the last segment of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Nothing,
    Anything,
}

impl TenantChannels {
    /// Parses comma-separated patterns; `None` if there is none, or one that is wrong.
    pub fn parse(list: &str) -> Option<Self> {
        let patterns: Option<Vec<_>> = list.split(',').map(|text| Pattern::parse(text.trim())).collect();
        patterns.map(|patterns| Self(patterns.into()))
    }

    /// Whether the channel is this tenant's. The private line of a signed-in user is nobody's.
    pub fn belong(&self, channel: &ChannelName, tenant: &TenantId) -> bool {
        self.tenant_of(channel.as_str()) == Some(tenant.as_str())
    }

    /// Whose the channel of this name is, if it is anybody's.
    pub fn tenant_of<'a>(&self, channel: &'a str) -> Option<&'a str> {
        let (kind, name) = channel::split(channel);
        let patterns = self.0.iter().filter(|_| kind != ChannelKind::ServerToUser);
        patterns.into_iter().find_map(|pattern| pattern.tenant_of(name))
    }
}

impl Default for TenantChannels {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("the default is a pattern")
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (body, end) = match text.strip_suffix(REST) {
            Some(body) => (body.strip_suffix('.')?, End::Anything),
            None => (text, End::Nothing),
        };
        // The prefix of a channel's kind is no part of its first segment, so no pattern with one would fit.
        let example = body.replace(TENANT, "t").replace('*', "x");
        let is_name = ChannelName::parse(&example, usize::MAX).is_ok_and(|name| name.kind() == ChannelKind::Public);
        let segments: Vec<&str> = body.split('.').collect();
        let place = segments.iter().position(|segment| segment.contains(TENANT))?;
        let around = segments[place].split_once(TENANT)?;
        let is_one_place = body.matches(TENANT).count() == 1 && !segments[place].contains('*') && !body.contains(REST);
        let owned = |segments: &[&str]| segments.iter().map(|segment| (*segment).to_owned()).collect();
        (is_name && is_one_place).then(|| Self {
            before: owned(&segments[..place]),
            around: (around.0.to_owned(), around.1.to_owned()),
            after: owned(&segments[place + 1..]),
            end,
        })
    }

    /// Whose the channel of this name, without the prefix of its kind, is.
    fn tenant_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let mut segments = name.split('.');
        if !fit(&self.before, &mut segments) {
            return None;
        }
        let (prefix, suffix) = &self.around;
        let tenant = segments.next()?.strip_prefix(&**prefix)?.strip_suffix(&**suffix)?;
        let fits = fit(&self.after, &mut segments) && (self.end == End::Anything || segments.next().is_none());
        fits.then_some(tenant).filter(|tenant| !tenant.is_empty())
    }
}

/// Takes as many segments as there are patterns; whether each fits.
fn fit<'a>(patterns: &[String], segments: &mut impl Iterator<Item = &'a str>) -> bool {
    patterns.iter().all(|pattern| segments.next().is_some_and(|segment| pattern::fits(pattern, segment)))
}

impl fmt::Display for TenantChannels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, pattern) in self.0.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { ", " })?;
            pattern.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.before.iter().try_for_each(|segment| write!(f, "{segment}."))?;
        write!(f, "{}{TENANT}{}", self.around.0, self.around.1)?;
        self.after.iter().try_for_each(|segment| write!(f, ".{segment}"))?;
        f.write_str(match self.end {
            End::Nothing => "",
            End::Anything => ".**",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &str, tenant: &str, channel: &str, belongs: bool) {
        let patterns = TenantChannels::parse(patterns).expect(patterns);
        let tenant = TenantId::parse(tenant).expect(tenant);
        let channel = ChannelName::parse(channel, 200).expect(channel);
        assert_eq!(patterns.belong(&channel, &tenant), belongs, "{patterns}: {tenant} and {channel}");
    }

    #[test]
    fn the_tenant_is_the_second_segment() {
        check(DEFAULT, "7", "products.7", true);
        check(DEFAULT, "7", "orders.7.eu", true);
        check(DEFAULT, "7", "orders.7.eu.9", true);
        check(DEFAULT, "acme-eu", "private-orders.acme-eu", true);
    }

    #[test]
    fn a_tenant_that_is_called_like_another_segment_hears_nothing_of_others() {
        check(DEFAULT, "7", "orders.43.7", false);
        check(DEFAULT, "products", "products.43", false);
        check(DEFAULT, "eu", "orders.42.eu", false);
        check(DEFAULT, "7", "7", false);
        check(DEFAULT, "7", "7.products", false);
        check(DEFAULT, "7", "private-7", false);
        check(DEFAULT, "products", "products", false);
    }

    #[test]
    fn a_part_of_a_segment_does_not_count() {
        check(DEFAULT, "7", "products.77", false);
        check(DEFAULT, "7", "products.x7", false);
        check(DEFAULT, "Acme", "products.acme", false);
    }

    #[test]
    fn the_private_line_of_a_user_belongs_to_no_tenant() {
        check(DEFAULT, "7", "#server-to-user-a.7", false);
    }

    #[test]
    fn other_patterns_put_the_tenant_elsewhere() {
        check("{tenant}.**", "7", "presence-7.room", true);
        check("{tenant}.**", "7", "room.7", false);
        check("shop-{tenant}-eu.*", "7", "shop-7-eu.orders", true);
        check("shop-{tenant}-eu.*", "7", "shop-77-eu.orders", false);
        check("shop-{tenant}-eu.*", "7", "shop-7-eu.orders.9", false);
        check("orders.*.{tenant}", "7", "orders.eu.7", true);
        check("orders.*.{tenant}", "7", "orders.7.7.7", false);
    }

    #[test]
    fn the_first_pattern_that_fits_decides() {
        let patterns = "users.*.{tenant}, *.{tenant}.**";
        check(patterns, "7", "users.43.7", true);
        check(patterns, "43", "users.43.7", false);
        check(patterns, "43", "users.43", true);
        check(patterns, "43", "orders.43.7", true);
    }

    #[test]
    fn a_pattern_that_could_give_a_channel_to_two_tenants_or_to_none_is_refused() {
        for pattern in [
            "",
            "*",
            "**",
            "products.*",
            "{tenant}.{tenant}",
            "{tenant}{tenant}",
            "*{tenant}",
            "{tenant}*",
            "a.**.{tenant}",
            "{tenant}**",
            "private-orders.{tenant}",
            "cache-{tenant}",
            "a b.{tenant}",
            "{Tenant}.a",
            "#x.{tenant}",
            "a.{tenant},",
        ] {
            assert_eq!(TenantChannels::parse(pattern), None, "{pattern:?}");
        }
    }

    #[test]
    fn patterns_are_shown_as_they_were_written() {
        for patterns in [DEFAULT, "a-{tenant}-b.*.c, {tenant}.**"] {
            assert_eq!(TenantChannels::parse(patterns).map(|patterns| patterns.to_string()), Some(patterns.to_owned()));
        }
    }
}
