//! Apps whose rules for histories differ or change at run time.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::harness::{
    Client,
    back_end::BackEnd,
    cluster::Cluster,
    eventually,
    nats::NatsServer,
    new_folder,
    node::GaungNode,
    reader::{enter, recovered},
};

/// An apps file that all nodes of a test follow.
struct Apps(PathBuf);

impl Apps {
    fn new(history: &Value) -> Self {
        let apps = Self(new_folder("apps").join("apps.json"));
        apps.write(history);
        apps
    }

    /// The app with these rules, and another whose channels keep a history too.
    fn write(&self, history: &Value) {
        let apps = json!([
            {"id": "app-id", "key": "app-key", "secret": "app-secret", "history": history},
            {"id": "other", "key": "other-key", "secret": "other-secret", "history": [rule(100)]},
        ]);
        let new = self.0.with_extension("new");
        fs::write(&new, apps.to_string()).expect("the folder is writable");
        fs::rename(new, &self.0).expect("the folder is writable");
    }

    /// Replaces the rules, and waits until all nodes follow them.
    async fn change(&self, history: &Value, nodes: &[GaungNode], times: u64) {
        self.write(history);
        let line = format!("gaung_reloads_total{{outcome=\"applied\"}} {times}");
        for node in nodes {
            eventually("the apps file is read again", || async {
                node.ask_admin("/metrics").await.is_some_and(|(_, text)| text.lines().any(|shown| shown == line))
            })
            .await;
        }
    }
}

impl Drop for Apps {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().expect("it is in a folder of its own"));
    }
}

fn rule(events: usize) -> Value {
    json!({"channels": "*", "seconds": 60, "events": events})
}

async fn start(count: usize, apps: &Apps) -> Cluster {
    let path = apps.0.to_str().expect("the path is text");
    let mut variables =
        vec![("GAUNG_APPS_FILE", path), ("GAUNG_APP_ID", ""), ("GAUNG_APP_KEY", ""), ("GAUNG_APP_SECRET", "")];
    if count > 1 {
        return Cluster::start(count, &variables).await;
    }
    variables.extend([("GAUNG_NATS_URL", ""), ("GAUNG_CLUSTER_NAME", ""), ("GAUNG_CLUSTER_NODES", "")]);
    let mut cluster = Cluster::prepare(NatsServer::start().await, 1, &variables);
    cluster.nodes = vec![cluster.launch(&[])];
    eventually("it is ready", || cluster[0].is_ready()).await;
    cluster
}

async fn comes_back(node: &GaungNode, since: &str) -> (Vec<String>, bool, String) {
    let mut client = node.connect().await;
    enter(&mut client, "orders", Some(since)).await;
    recovered(&mut client).await
}

/// Publishes on each node, and waits until clients have heard it.
async fn publish(cluster: &Cluster, clients: &mut [Client], name: &str) {
    for node in &cluster.nodes {
        node.publish("orders", name, "{}").await;
        for client in &mut *clients {
            client.expect(name).await;
        }
    }
}

/// A position of the channel as it is now.
async fn position(node: &GaungNode) -> String {
    let mut client = node.connect().await;
    let answer = enter(&mut client, "orders", None).await;
    let position = answer["id"].as_str().expect("a position").to_owned();
    assert!(!position.is_empty(), "{answer}");
    position
}

/// The rule comes, becomes narrower, and goes, while clients are subscribed to all nodes.
async fn rules_change(count: usize) {
    let apps = Apps::new(&json!([]));
    let cluster = start(count, &apps).await;
    let mut clients = Vec::new();
    for node in &cluster.nodes {
        let mut client = node.connect().await;
        assert!(enter(&mut client, "orders", None).await.get("id").is_none());
        clients.push(client);
    }
    publish(&cluster, &mut clients, "before").await;

    apps.change(&json!([rule(100)]), &cluster.nodes, 1).await;
    let start = position(&cluster[0]).await;
    publish(&cluster, &mut clients, "kept").await;
    let (heard, is_complete, _) = comes_back(&cluster[0], &start).await;
    assert_eq!((heard, is_complete), (vec!["kept".to_owned(); count], true));

    apps.change(&json!([rule(1)]), &cluster.nodes, 2).await;
    let since = position(&cluster[0]).await;
    publish(&cluster, &mut clients, "narrow").await;
    let (heard, is_complete, _) = comes_back(&cluster[0], &start).await;
    assert_eq!((heard, is_complete), (vec![], false));
    let (heard, is_complete, _) = comes_back(&cluster[0], &since).await;
    assert_eq!((heard.len(), is_complete), if count == 1 { (1, true) } else { (0, false) });

    apps.change(&json!([]), &cluster.nodes, 3).await;
    publish(&cluster, &mut clients, "gone").await;
    let mut back = cluster[0].connect().await;
    enter(&mut back, "orders", Some(&since)).await;
    assert!(!recovered(&mut back).await.1);

    apps.change(&json!([rule(100)]), &cluster.nodes, 4).await;
    for node in &cluster.nodes {
        let (heard, is_complete, _) = comes_back(node, &since).await;
        assert_eq!((heard, is_complete), (vec![], false));
    }
    publish(&cluster, &mut clients, "again").await;
}

#[actix::test]
async fn rules_that_come_and_go_lose_no_live_event_and_replays_are_whole_or_told() {
    rules_change(1).await;
}

#[actix::test]
async fn rules_that_come_and_go_in_a_cluster_lose_no_live_event_and_replays_are_whole_or_told() {
    rules_change(2).await;
}

#[actix::test]
async fn channels_of_the_same_name_in_two_apps_have_histories_of_their_own() {
    let apps = Apps::new(&json!([rule(100)]));
    let cluster = start(2, &apps).await;
    let other = BackEnd::new(
        "other",
        gaung::protocol::AppKey { key: "other-key".to_owned(), secret: gaung::protocol::Secret::new("other-secret") },
    );
    let places =
        [(0, "app-key", "first"), (0, "other-key", "second"), (1, "app-key", "first"), (1, "other-key", "second")];
    let (mut clients, mut positions) = (Vec::new(), Vec::new());
    for (node, key, _) in places {
        let mut client = cluster[node].connect_with_key(key).await;
        positions.push(enter(&mut client, "orders", None).await["id"].as_str().expect("a position").to_owned());
        clients.push(client);
    }
    for node in &cluster.nodes {
        node.publish("orders", "first", "{}").await;
        other.publish(&node.public, "orders", "second", "{}").await;
    }
    for (client, (_, _, name)) in clients.iter_mut().zip(places) {
        for _ in 0..2 {
            client.expect(name).await;
        }
        client.expect_silence().await;
    }
    for ((node, key, name), own) in places.into_iter().zip(&positions) {
        for position in &positions {
            let mut client = cluster[node].connect_with_key(key).await;
            enter(&mut client, "orders", Some(position)).await;
            let (heard, is_complete, _) = recovered(&mut client).await;
            let expected = if is_complete { vec![name; 2] } else { Vec::new() };
            assert_eq!(heard, expected, "{key} from {position}");
            assert!(is_complete || position != own, "{key} from its own {position}");
        }
    }
}
