//! What is so, whatever a node believes.

use std::{collections::BTreeMap, sync::Arc};

use gaung_cluster::{
    NodeId, Room,
    fact::{Fact, FactKey, Member},
    totals::{RemoteUsage, Tenancy},
};

use crate::{
    process::Process,
    world::{APP, room},
};

/// All facts of the living, by key.
pub type Truth = BTreeMap<FactKey, Vec<(NodeId, Fact)>>;

/// Where a node's view is not the truth.
pub fn disagreements(process: &Process, truth: &Truth) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |what: &str, seen: String, expected: String| {
        if seen != expected {
            faults.push(format!("{} sees {what} {seen} instead of {expected}", process.id));
        }
    };
    let core = &process.core;
    let sockets =
        |key: FactKey| truth.get(&key).map_or(0, |facts| facts.iter().map(|(_, fact)| u64::from(fact.sockets())).sum());
    let app: Arc<str> = APP.into();
    expect("connections", core.connections(&app).to_string(), sockets(FactKey::Connections(app.clone())).to_string());
    for number in 0..6 {
        let room = room("room", number);
        expect("subscriptions", core.subscriptions(&room).to_string(), sockets(FactKey::Count(room)).to_string());
        let user: Arc<str> = number.to_string().into();
        let is_online = sockets(FactKey::User(app.clone(), user.clone())) > 0;
        expect("a user", core.is_online(&app, &user).to_string(), is_online.to_string());
    }
    for number in 0..3 {
        let room = room("presence", number);
        let seen: Vec<String> = core.members(&room).map(|member| format!("{} {}", member.user, member.info)).collect();
        expect("members", format!("{seen:?}"), format!("{:?}", true_members(&room, truth)));
        expect("a population", core.population(&room).to_string(), seen.len().to_string());
    }
    for number in 0..6 {
        let tenant = number.to_string();
        let seen = core.remote_usage_of_tenants(APP).find(|(id, _)| ***id == *tenant).map(|(_, known)| known);
        let expected = remote_usage(process.id, &tenant, truth);
        expect("a tenant's", format!("{:?}", seen.unwrap_or_default()), format!("{expected:?}"));
    }
    faults
}

/// Whose a room is: its number says so.
pub fn tenancy() -> Tenancy {
    Tenancy::new(|channel| channel.rsplit_once('-').map(|(_, number)| number))
}

/// What a tenant has on other nodes only.
fn remote_usage(own: NodeId, tenant: &str, truth: &Truth) -> RemoteUsage {
    let is_of = |room: &Room| room.channel().ends_with(&format!("-{tenant}"));
    let mut found = RemoteUsage::default();
    for (key, facts) in truth {
        let there =
            facts.iter().filter(|(node, _)| *node != own).map(|(_, fact)| u64::from(fact.sockets())).sum::<u64>();
        let is_only_there = u64::from(facts.iter().all(|(node, _)| *node != own));
        match key {
            FactKey::Count(room) if is_of(room) => {
                found.subscriptions += there;
                found.rooms += is_only_there;
            }
            FactKey::Member(room, _) if is_of(room) => found.members += is_only_there,
            FactKey::Tenant(_, id) if **id == *tenant => found.connections += there,
            FactKey::Count(_)
            | FactKey::Member(..)
            | FactKey::Tenant(..)
            | FactKey::Connections(_)
            | FactKey::User(..) => {}
        }
    }
    found
}

fn true_members(room: &Room, truth: &Truth) -> Vec<String> {
    let mut members = Vec::new();
    for (key, facts) in truth {
        let here: Vec<(u64, NodeId, &Member)> = facts.iter().filter_map(|(node, fact)| member(*node, fact)).collect();
        let oldest = here.iter().min_by_key(|(since, node, _)| (*since, *node));
        if let (FactKey::Member(place, user), Some((_, _, member))) = (key, oldest)
            && place == room
        {
            members.push(format!("{user} {}", member.info));
        }
    }
    members
}

fn member(node: NodeId, fact: &Fact) -> Option<(u64, NodeId, &Member)> {
    match fact {
        Fact::Member { member, .. } => Some((member.since, node, member)),
        Fact::Connections { .. } | Fact::Count { .. } | Fact::User { .. } | Fact::Tenant { .. } => None,
    }
}
