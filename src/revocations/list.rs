//! The list of what was revoked, as a value: whatever order two nodes learn in, they know the same in the end. Pure: the
//! caller brings the clock, in seconds since the Unix epoch.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::tenant::TenantId;

/// For how long a revocation holds: tokens that live for a year are refused to their end.
pub const KEPT_FOR: Duration = Duration::from_secs(400 * 86_400);

/// Revocations of one app at most, some 5 MB; a further one takes the place of the oldest.
pub const MAX_OF_APP: usize = 20_000;

/// Whose tokens they are: all of a tenant, or those of one of its users.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    pub app: Arc<str>,
    pub tenant: TenantId,
    pub user: Option<Arc<str>>,
}

/// Tokens of a holder that were issued before an instant hold no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub holder: Holder,
    pub issued_before: u64,
    /// When that was said.
    pub revoked: u64,
}

/// Whoever has come with a token, and when that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    tenant: Holder,
    user: Option<Holder>,
    issued: Duration,
}

/// How many of the oldest were forgotten for a new one.
#[derive(Debug, PartialEq, Eq)]
pub struct Evicted(pub usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    issued_before: u64,
    revoked: u64,
}

#[derive(Debug, Default)]
pub struct List {
    times: BTreeMap<Holder, Times>,
    /// The holders of each app, by age.
    ages: HashMap<Arc<str>, BTreeSet<(u64, Holder)>>,
    /// All hashes of the revocations together, in any order.
    digest: u128,
}

impl Holder {
    pub fn of_tenant(app: &Arc<str>, tenant: &TenantId) -> Self {
        Self { app: app.clone(), tenant: tenant.clone(), user: None }
    }

    pub fn of_user(app: &Arc<str>, tenant: &TenantId, user: &str) -> Self {
        Self { user: Some(user.into()), ..Self::of_tenant(app, tenant) }
    }
}

impl Bearer {
    /// `issued` is the time since the Unix epoch.
    pub fn new(app: &Arc<str>, tenant: &TenantId, user: Option<&str>, issued: Duration) -> Self {
        let user = user.map(|user| Holder::of_user(app, tenant, user));
        Self { tenant: Holder::of_tenant(app, tenant), user, issued }
    }
}

impl List {
    /// Whether a token is one of those that were revoked.
    pub fn concerns(&self, bearer: &Bearer) -> bool {
        let is_before = |times: &Times| bearer.issued < Duration::from_secs(times.issued_before);
        let holders = [Some(&bearer.tenant), bearer.user.as_ref()];
        !self.times.is_empty()
            && holders.into_iter().flatten().any(|holder| self.times.get(holder).is_some_and(is_before))
    }

    /// Takes a revocation, if it says more than is known.
    pub fn add(&mut self, revocation: Revocation, now: u64) -> Option<Evicted> {
        let Revocation { holder, issued_before, revoked } = revocation;
        let known = self.times.get(&holder).copied();
        let (before, at) = known.map_or((0, 0), |known| (known.issued_before, known.revoked));
        let times = Times { issued_before: issued_before.max(before), revoked: revoked.max(at) };
        if known == Some(times) || is_over(times.revoked, now) {
            return None;
        }
        self.remove(&holder);
        self.digest ^= hash(&holder, times);
        self.times.insert(holder.clone(), times);
        let ages = self.ages.entry(holder.app.clone()).or_default();
        ages.insert((times.revoked, holder.clone()));
        let excess = ages.len().saturating_sub(MAX_OF_APP);
        let oldest: Vec<Holder> = ages.iter().take(excess).map(|(_, holder)| holder.clone()).collect();
        oldest.iter().for_each(|holder| self.remove(holder));
        // A node that tells what is older than all that is kept here changes nothing.
        (!oldest.contains(&holder)).then_some(Evicted(excess))
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now: u64) {
        let is_old = |(revoked, _): &&(u64, Holder)| is_over(*revoked, now);
        let old: Vec<Holder> = self
            .ages
            .values()
            .flat_map(|ages| ages.iter().take_while(is_old))
            .map(|(_, holder)| holder.clone())
            .collect();
        old.iter().for_each(|holder| self.remove(holder));
    }

    /// Equal for those who know the same.
    pub fn digest(&self) -> [u8; 16] {
        self.digest.to_be_bytes()
    }

    /// What comes after a holder, or everything, in order.
    pub fn after(&self, holder: Option<&Holder>) -> impl Iterator<Item = Revocation> + use<'_> {
        let start = holder.map_or(Bound::Unbounded, |holder| Bound::Excluded(holder.clone()));
        self.times.range((start, Bound::Unbounded)).map(|(holder, times)| Revocation {
            holder: holder.clone(),
            issued_before: times.issued_before,
            revoked: times.revoked,
        })
    }

    fn remove(&mut self, holder: &Holder) {
        let Some(times) = self.times.remove(holder) else { return };
        self.digest ^= hash(holder, times);
        if let Some(ages) = self.ages.get_mut(&holder.app) {
            ages.remove(&(times.revoked, holder.clone()));
            if ages.is_empty() {
                self.ages.remove(&holder.app);
            }
        }
    }
}

fn is_over(revoked: u64, now: u64) -> bool {
    revoked.saturating_add(KEPT_FOR.as_secs()) <= now
}

/// Texts stand behind their length, so that no two holders have the same bytes.
fn hash(holder: &Holder, times: Times) -> u128 {
    let mut hasher = Sha256::new();
    for text in [Some(&*holder.app), Some(holder.tenant.as_str()), holder.user.as_deref()] {
        hasher.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        hasher.update(text.unwrap_or_default());
    }
    hasher.update(times.issued_before.to_be_bytes());
    hasher.update(times.revoked.to_be_bytes());
    hasher.finalize().first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).unwrap()
    }

    fn of(app: &str, id: &str, user: Option<&str>) -> Holder {
        let (app, tenant) = (app.into(), tenant(id));
        user.map_or_else(|| Holder::of_tenant(&app, &tenant), |user| Holder::of_user(&app, &tenant, user))
    }

    fn revocation(holder: Holder, issued_before: u64, revoked: u64) -> Revocation {
        Revocation { holder, issued_before, revoked }
    }

    fn check(list: &List, app: &str, id: &str, user: Option<&str>, issued: Duration, expected: bool) {
        let bearer = Bearer::new(&app.into(), &tenant(id), user, issued);
        assert_eq!(list.concerns(&bearer), expected, "{app} {id} {user:?} {issued:?}");
    }

    #[test]
    fn tokens_issued_before_the_instant_are_revoked_for_the_tenant_or_the_user_alone() {
        let mut list = List::default();
        list.add(revocation(of("app", "7", Some("ada")), NOW, NOW), NOW);
        list.add(revocation(of("app", "8", None), NOW, NOW), NOW);
        let (before, then) = (Duration::from_millis(NOW * 1_000 - 1), Duration::from_secs(NOW));
        check(&list, "app", "7", Some("ada"), before, true);
        check(&list, "app", "7", Some("ada"), then, false);
        check(&list, "app", "7", Some("bob"), before, false);
        check(&list, "app", "7", None, before, false);
        check(&list, "app", "8", Some("ada"), before, true);
        check(&list, "app", "8", None, before, true);
        check(&list, "app", "9", None, before, false);
        check(&list, "other", "8", None, before, false);
    }

    #[test]
    fn whatever_is_learned_first_two_nodes_know_the_same_in_the_end() {
        let all = [
            revocation(of("app", "7", None), NOW, NOW),
            revocation(of("app", "7", None), NOW - 50, NOW + 50),
            revocation(of("app", "7", Some("ada")), NOW, NOW),
            revocation(of("b", "7", Some("ada")), NOW, NOW),
        ];
        let mut lists = [List::default(), List::default()];
        for revocation in &all {
            lists[0].add(revocation.clone(), NOW);
        }
        for revocation in all.iter().rev().chain(&all) {
            lists[1].add(revocation.clone(), NOW);
        }
        assert_eq!(lists[0].digest(), lists[1].digest());
        let known: Vec<_> = lists.iter().map(|list| list.after(None).collect::<Vec<_>>()).collect();
        assert_eq!(known[0], known[1]);
        assert_eq!(known[0][0], revocation(of("app", "7", None), NOW, NOW + 50));
        assert_eq!(lists[0].after(Some(&known[0][1].holder)).collect::<Vec<_>>(), known[0][2..]);
    }

    #[test]
    fn an_instant_never_goes_back_and_what_says_no_more_is_no_change() {
        let mut list = List::default();
        assert_eq!(list.add(revocation(of("app", "7", None), NOW, NOW), NOW), Some(Evicted(0)));
        assert_eq!(list.add(revocation(of("app", "7", None), NOW, NOW), NOW), None);
        assert_eq!(list.add(revocation(of("app", "7", None), NOW - 9, NOW - 9), NOW), None);
        check(&list, "app", "7", None, Duration::from_secs(NOW - 1), true);
    }

    #[test]
    fn revocations_are_forgotten_after_400_days() {
        let (mut list, kept) = (List::default(), KEPT_FOR.as_secs());
        list.add(revocation(of("app", "7", None), NOW, NOW), NOW);
        list.expire(NOW + kept - 1);
        check(&list, "app", "7", None, Duration::ZERO, true);
        list.expire(NOW + kept);
        check(&list, "app", "7", None, Duration::ZERO, false);
        assert_eq!((list.digest(), list.ages.len()), ([0; 16], 0));
        assert_eq!(list.add(revocation(of("app", "7", None), NOW, NOW), NOW + kept), None);
    }

    #[test]
    fn an_app_with_too_many_loses_its_oldest_and_no_other_app_does() {
        let mut list = List::default();
        list.add(revocation(of("b", "7", None), NOW, NOW - 1_000_000), NOW);
        let user = |number: usize| of("app", "7", Some(&number.to_string()));
        for number in 0..MAX_OF_APP {
            let revoked = NOW - MAX_OF_APP as u64 + number as u64;
            assert_eq!(list.add(revocation(user(number), NOW, revoked), NOW), Some(Evicted(0)));
        }
        assert_eq!(list.add(revocation(of("app", "8", None), NOW, NOW), NOW), Some(Evicted(1)));
        check(&list, "app", "7", Some("0"), Duration::ZERO, false);
        check(&list, "app", "7", Some("1"), Duration::ZERO, true);
        check(&list, "b", "7", None, Duration::ZERO, true);
        assert_eq!(list.add(revocation(user(0), NOW, NOW - MAX_OF_APP as u64), NOW), None);
    }
}
