//! `/metrics` of a node at work, beyond what it counts of itself: which names it shows, and of which apps.

use crate::harness::{metrics, start, start_configured};

#[actix::test]
async fn soketis_names_are_shown_with_the_prefix_that_is_wanted_and_else_not() {
    let node = start(|_| {}).await;
    assert!(!metrics(node.node.admin).await.contains("soketi"));
    let prefix = Some("soketi_".to_owned());
    let node = start_configured(|config| config.admin.soketi_metrics_prefix = prefix, |_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    node.publish("orders", "e", "{}").await;
    client.expect("e").await;
    let text = metrics(node.node.admin).await;
    let value = |name: &str, labels: &str| {
        let start = format!("{name}{{{labels}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{start:?} is not in:\n{text}")).to_owned()
    };
    for (theirs, ours) in [
        ("soketi_connected", "gaung_connections"),
        ("soketi_new_connections_total", "gaung_connections_opened_total"),
        ("soketi_socket_received_bytes", "gaung_bytes_in_total"),
        ("soketi_socket_transmitted_bytes", "gaung_bytes_out_total"),
        ("soketi_ws_messages_sent_total", "gaung_deliveries_total"),
    ] {
        let shown = value(theirs, &format!("app_id=\"app-id\",port=\"{}\"", node.node.public.port()));
        assert_eq!(shown, value(ours, "app=\"app-id\""), "{theirs}");
        assert_ne!(shown, "0", "{theirs}");
    }
}
