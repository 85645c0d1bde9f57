//! The victims: app B with its sockets, members, history, cached event, signed-in users and webhooks, and its tenant 8. One
//! run with an attack or without, and everything that can be seen of them afterwards.

use std::fs;

use serde_json::{Value, json};

use super::{
    MARK, by_app, by_tenant,
    victims::{Victims, enter, publish},
    world::{CHANNELS, LONG, OF_TENANT, Told},
};
use crate::harness::{
    cluster::Cluster, collector::Collector, inner, new_folder, node::GaungNode, webhook_log::WebhookLog, within,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    None,
    ByApp,
    ByTenant,
}

/// What an attacker has in the end: all that it was told, and sockets that still listen.
#[derive(Default)]
pub struct Spoils {
    pub told: Vec<Told>,
    pub ears: Vec<Collector>,
}

/// What is counted of app B and must be as it would be without an attack.
const COUNTED: [&str; 7] = [
    "gaung_connections",
    "gaung_subscriptions",
    "gaung_members",
    "gaung_events_in_total",
    "gaung_deliveries_total",
    "gaung_slow_consumers_total",
    "gaung_webhook_drops_total",
];

/// Everything that can be seen of the victims after a run, line by line.
pub async fn run(nodes: usize, attack: Attack) -> Vec<String> {
    let (of_a, of_b) = (WebhookLog::start().await, WebhookLog::start().await);
    let cluster = start(nodes, &of_a, &of_b).await;
    let mut victims = enter(&cluster).await;
    let spoils = match attack {
        Attack::None => Spoils::default(),
        Attack::ByApp => by_app::attack(&cluster, &victims.known).await,
        Attack::ByTenant => by_tenant::attack(&cluster, &victims.known).await,
    };
    let mut seen = end(&cluster, &mut victims, &of_b).await;
    check_spoils(&spoils);
    assert!(of_a.taken().iter().all(|notice| notice.channel != "private-fleeting"), "{:?}", of_a.taken());
    // What A does in its own app is told to A: the attack was one.
    assert!(attack != Attack::ByApp || !of_a.taken().is_empty());
    drop(spoils);
    let sockets = (nodes * 4 + 1) as u64;
    cluster.agree("the attackers are gone, and nobody else", async |node| node.connections().await == sockets).await;
    for collector in victims.pusher.iter().chain(&victims.plain) {
        let mut heard: Vec<_> = collector.heard().iter().map(|heard| without_id(&heard.message)).collect();
        heard.sort();
        seen.push(format!("{:?} {heard:?}", collector.closed()));
    }
    for node in &cluster.nodes {
        seen.extend(told_by(node).await);
    }
    let of_others = of_b.taken().into_iter().filter(|notice| !notice.channel.ends_with(".7"));
    let mut posted: Vec<_> = of_others.map(|it| format!("{} {} {:?}", it.name, it.channel, it.user)).collect();
    posted.sort();
    posted.dedup();
    seen.extend(posted);
    seen
}

fn check_spoils(spoils: &Spoils) {
    for (what, answer) in &spoils.told {
        assert!(!answer.contains(MARK) && !answer.contains("app-secret"), "{what} was answered with {answer}");
    }
    for heard in spoils.ears.iter().flat_map(Collector::heard) {
        assert!(!heard.message.to_string().contains(MARK), "an attacker heard {}", heard.message);
        assert!(!says_online(&heard.message, "ben0"), "an attacker sees who is there: {}", heard.message);
    }
}

/// Whether a watcher is told that the user is there.
fn says_online(message: &Value, user: &str) -> bool {
    if message["event"] != "pusher_internal:watchlist_events" {
        return false;
    }
    let is_online = |event: &Value| {
        let users = event["user_ids"].as_array().expect("a list of users");
        event["name"] == "online" && users.iter().any(|online| online == user)
    };
    inner(message)["events"].as_array().expect("a list of events").iter().any(is_online)
}

async fn start(nodes: usize, of_a: &WebhookLog, of_b: &WebhookLog) -> Cluster {
    let file = new_folder("isolation").join("apps.json");
    let app = |id: &str, key: &str, secret: &str, log: &WebhookLog| {
        let webhooks: Value = serde_json::from_str(&log.setting()).expect("JSON");
        let history = json!(["*", "*.*"].map(|channels| json!({"channels": channels, "seconds": 600, "events": 100})));
        json!({"id": id, "key": key, "secret": secret, "webhooks": webhooks, "history": history})
    };
    let apps = json!([app("app-id", "app-key", "app-secret", of_b), app("a", "a-key", "a-secret", of_a)]);
    fs::write(&file, apps.to_string()).expect("the folder is writable");
    let path = file.to_str().expect("the path is text");
    let variables = [
        ("GAUNG_APP_ID", ""),
        ("GAUNG_APP_KEY", ""),
        ("GAUNG_APP_SECRET", ""),
        ("GAUNG_APPS_FILE", path),
        ("GAUNG_TENANT_APP", "app-id"),
        ("GAUNG_TENANT_MESSAGES_PER_SECOND", "100000"),
    ];
    Cluster::start(nodes, &variables).await
}

/// B goes on as ever; returns what its streams have heard, when everybody has heard the last of it.
async fn end(cluster: &Cluster, victims: &mut Victims, of_b: &WebhookLog) -> Vec<String> {
    let keyed = json!({"name": "keyed", "channel": "orders", "data": "{}", "idempotency_key": "same"});
    assert_eq!(cluster[0].post("/events", &keyed).await, (200, json!({})));
    publish(cluster, "after").await;
    let mut fleeting = cluster[0].connect().await;
    fleeting.subscribe_private("private-fleeting").await;
    drop(fleeting);
    let nodes = cluster.nodes.len();
    for (number, collector) in victims.pusher.iter().enumerate() {
        // The first of each node is a user who is published to.
        let expected = nodes * CHANNELS.len() + (1 - number % 2);
        let all = |it: &Collector| it.count("after") >= expected;
        collector.until_within(LONG, "a client hears all that B publishes", all).await;
    }
    let heard = |it: &Collector| it.heard().iter().filter(|heard| heard.message["type"] == "after").count();
    for collector in &victims.plain {
        let all = |it: &Collector| heard(it) >= nodes * OF_TENANT.len();
        collector.until_within(LONG, "a plain socket hears all that B publishes", all).await;
    }
    let mut seen = Vec::new();
    for stream in &mut victims.streams {
        for _ in 0..nodes * 2 {
            seen.push(without_id(&stream.json().await));
        }
    }
    // It is posted 3 s after it happened, behind all that an attack could have caused.
    let is_posted = || async { !of_b.of("channel_vacated", "private-fleeting").is_empty() };
    within(LONG, "what B does last is posted", is_posted).await;
    seen
}

/// The occupied channels, the events and members of those of B, and what is counted.
async fn told_by(node: &GaungNode) -> Vec<String> {
    let channels = node.get("/channels", &[("info", "subscription_count")]).await;
    let mut channels = channels["channels"].as_object().expect("channels by name").clone();
    channels.retain(|name, _| !name.ends_with(".7"));
    let mut seen = vec![Value::Object(channels).to_string()];
    for channel in CHANNELS.iter().chain(&OF_TENANT) {
        let events = node.get(&format!("/channels/{channel}/events"), &[]).await;
        let events = events["events"].as_array().expect("a list").iter();
        let mut events: Vec<_> = events.map(|event| format!("{} {}", event["event"], event["data"])).collect();
        events.sort();
        seen.push(format!("{channel} keeps {events:?}"));
        if channel.starts_with("presence-") {
            seen.push(format!("{channel} has {:?}", node.members(channel).await));
        }
    }
    let cached = node.get("/channels/cache-news", &[("info", "cache")]).await;
    seen.push(format!("cached is {}", cached["cache"]["data"]));
    let metrics = node.metrics().await;
    seen.extend(COUNTED.map(|name| format!("{name} {}", metrics.sum_with(name, r#"app="app-id""#))));
    seen
}

/// A message without the name of its event, which is drawn at random. The `id` of a member stays.
fn without_id(message: &Value) -> String {
    let is_member = message["type"].as_str().is_some_and(|name| name.starts_with("member_"));
    let mut message = message.clone();
    if let Some(members) = message.as_object_mut().filter(|_| !is_member) {
        members.remove("id");
    }
    message.to_string()
}
