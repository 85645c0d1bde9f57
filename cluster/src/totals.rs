//! What apps and their tenants have, added up over all nodes as facts change, so that nobody has to walk over all rooms.
//!
//! Invariant: what has nothing any more is not kept.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{fact::FactKey, room::Room};

/// Tells whose the room of a channel is.
type TenantOf = dyn Fn(&str) -> Option<&str> + Send + Sync;

/// Whose rooms are whose. The same on all nodes.
#[derive(Clone)]
pub struct Tenancy(Arc<TenantOf>);

/// What an app, or a tenant of it, has that this node does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteUsage {
    pub connections: u64,
    pub subscriptions: u64,
    /// Rooms that have subscribers on other nodes only.
    pub rooms: u64,
    /// Members who are in their rooms on other nodes only.
    pub members: u64,
}

/// How one fact changed the union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whether the fact is this node's own.
    pub is_own: bool,
    /// Its sockets before and now.
    pub sockets: (u32, u32),
    /// Whether any node held its subject before, and whether one does now.
    pub held: (bool, bool),
    /// The same of this node.
    pub held_locally: (bool, bool),
}

#[derive(Debug, Default)]
pub struct Totals {
    tenancy: Tenancy,
    apps: HashMap<Arc<str>, AppTotals>,
}

#[derive(Debug, Default)]
struct AppTotals {
    all: Sums,
    tenants: HashMap<Arc<str>, Sums>,
}

/// Sums over all nodes, and over this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    connections: Sum,
    subscriptions: Sum,
    rooms: Sum,
    members: Sum,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    all: u64,
    local: u64,
}

impl Tenancy {
    /// The function tells whose the room of a channel is, if it is anybody's.
    pub fn new(tenant_of: impl Fn(&str) -> Option<&str> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tenant_of))
    }

    fn of<'a>(&self, room: &'a Room) -> Option<&'a str> {
        (self.0)(room.channel())
    }
}

/// Nobody's.
impl Default for Tenancy {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenancy")
    }
}

impl Totals {
    pub fn new(tenancy: Tenancy) -> Self {
        Self { tenancy, apps: HashMap::new() }
    }

    /// Adds what changed in the union.
    pub fn add(&mut self, key: &FactKey, change: Change) {
        let Self { tenancy, apps } = self;
        let (app, is_of_app, tenant) = match key {
            FactKey::Connections(app) => (app, true, None),
            FactKey::Tenant(app, tenant) => (app, false, Some(&**tenant)),
            FactKey::Count(room) | FactKey::Member(room, _) => (room.app(), true, tenancy.of(room)),
            FactKey::User(..) => return,
        };
        let totals = apps.entry(app.clone()).or_default();
        if is_of_app {
            totals.all.add(key, change);
        }
        if let Some(tenant) = tenant {
            totals.add_to_tenant(tenant, key, change);
        }
        if totals.all == Sums::default() && totals.tenants.is_empty() {
            apps.remove(app);
        }
    }

    /// What an app has on other nodes.
    pub fn remote(&self, app: &str) -> RemoteUsage {
        self.apps.get(app).map(|totals| totals.all.remote()).unwrap_or_default()
    }

    /// What each of its tenants has there that has anything on any node.
    pub fn tenants(&self, app: &str) -> impl Iterator<Item = (&Arc<str>, RemoteUsage)> {
        let tenants = self.apps.get(app).into_iter().flat_map(|totals| &totals.tenants);
        tenants.map(|(tenant, sums)| (tenant, sums.remote()))
    }
}

impl AppTotals {
    fn add_to_tenant(&mut self, tenant: &str, key: &FactKey, change: Change) {
        let Some(sums) = self.tenants.get_mut(tenant) else {
            let mut sums = Sums::default();
            sums.add(key, change);
            self.tenants.insert(tenant.into(), sums);
            return;
        };
        sums.add(key, change);
        if *sums == Sums::default() {
            self.tenants.remove(tenant);
        }
    }
}

impl Sums {
    fn add(&mut self, key: &FactKey, change: Change) {
        match key {
            FactKey::Connections(_) | FactKey::Tenant(..) => self.connections.count_sockets(change),
            FactKey::Count(_) => {
                self.subscriptions.count_sockets(change);
                self.rooms.count_subject(change);
            }
            FactKey::Member(..) => self.members.count_subject(change),
            FactKey::User(..) => {}
        }
    }

    fn remote(&self) -> RemoteUsage {
        RemoteUsage {
            connections: self.connections.remote(),
            subscriptions: self.subscriptions.remote(),
            rooms: self.rooms.remote(),
            members: self.members.remote(),
        }
    }
}

impl Sum {
    fn count_sockets(&mut self, Change { is_own, sockets: (before, now), .. }: Change) {
        let replace = |sum: &mut u64| *sum = *sum + u64::from(now) - u64::from(before);
        replace(&mut self.all);
        if is_own {
            replace(&mut self.local);
        }
    }

    fn count_subject(&mut self, Change { held, held_locally, .. }: Change) {
        let replace = |sum: &mut u64, (before, now): (bool, bool)| *sum = *sum + u64::from(now) - u64::from(before);
        replace(&mut self.all, held);
        replace(&mut self.local, held_locally);
    }

    fn remote(self) -> u64 {
        self.all - self.local
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fact::{Fact, Member},
        room::NodeId,
        view::View,
    };

    const OWN: NodeId = NodeId::from_bits(1);
    const OTHER: NodeId = NodeId::from_bits(2);

    fn view() -> View {
        let tenancy = Tenancy::new(|channel| channel.split_once('.').map(|(_, tenant)| tenant));
        let mut view = View::new(OWN, 100, tenancy);
        view.show(OTHER);
        view
    }

    fn room(channel: &str) -> Room {
        Room::new("shop", channel).expect("the name is short")
    }

    fn count(channel: &str, sockets: u32) -> Fact {
        Fact::Count { room: room(channel), sockets }
    }

    fn member(channel: &str, user: &str, sockets: u32) -> Fact {
        let member = Member { user: user.into(), info: "{}".into(), since: 1, sockets };
        Fact::Member { room: room(channel), member }
    }

    fn check(view: &View, tenant: Option<&str>, [subscriptions, rooms, members]: [u64; 3]) {
        let totals = view.totals();
        let found = match tenant {
            Some(tenant) => totals.tenants("shop").find(|(id, _)| ***id == *tenant).map(|(_, known)| known),
            None => Some(totals.remote("shop")),
        };
        let expected = RemoteUsage { connections: 0, subscriptions, rooms, members };
        assert_eq!(found.unwrap_or_default(), expected, "of {tenant:?}");
    }

    #[test]
    fn what_is_on_other_nodes_only_is_added_up_by_app_and_tenant() {
        let mut view = view();
        view.set(OTHER, count("orders.7", 3));
        view.set(OTHER, count("orders.8", 2));
        view.set(OTHER, count("news", 1));
        check(&view, None, [6, 3, 0]);
        check(&view, Some("7"), [3, 1, 0]);
        // A room that is here too is no remote room; its subscriptions there are.
        view.set(OWN, count("orders.7", 5));
        check(&view, None, [6, 2, 0]);
        check(&view, Some("7"), [3, 0, 0]);
        view.set(OTHER, count("orders.7", 0));
        check(&view, Some("7"), [0, 0, 0]);
        check(&view, None, [3, 2, 0]);
    }

    #[test]
    fn a_member_counts_once_in_a_room_on_however_many_nodes() {
        let mut view = view();
        view.set(OTHER, member("presence-room.7", "ada", 2));
        view.set(OTHER, member("presence-room.7", "bob", 1));
        check(&view, Some("7"), [0, 0, 2]);
        view.set(OWN, member("presence-room.7", "ada", 1));
        check(&view, Some("7"), [0, 0, 1]);
        view.set(OWN, member("presence-room.7", "ada", 0));
        check(&view, Some("7"), [0, 0, 2]);
    }

    #[test]
    fn a_node_that_is_gone_has_nothing_and_nothing_is_kept_of_it() {
        let mut view = view();
        let tenant = Fact::Tenant { app: "shop".into(), tenant: "7".into(), sockets: 4 };
        for fact in [tenant, count("orders.7", 3), member("presence-room.7", "ada", 1)] {
            view.set(OTHER, fact);
        }
        let connections = |view: &View| view.totals().tenants("shop").map(|(_, known)| known.connections).sum::<u64>();
        assert_eq!(connections(&view), 4);
        // An app's sockets are told apart from those of its tenants: many belong to none.
        view.set(OTHER, Fact::Connections { app: "shop".into(), sockets: 9 });
        assert_eq!(view.totals().remote("shop").connections, 9);
        view.forget(OTHER);
        assert_eq!((connections(&view), view.totals().apps.len()), (0, 0));
    }
}
