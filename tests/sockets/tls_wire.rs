//! TLS of a socket, record by record.

use std::sync::Arc;

use rustls::{HandshakeKind, version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::{
    harness::{PATIENCE, TestNode, eventually, http_client},
    raw::{CLOSE, PING, PONG, Raw, TEXT, UPGRADE, frame},
    tls::{Folder, open},
};

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// A Pusher socket over each version of TLS, and its node.
async fn sockets(test: &str) -> Vec<(TestNode, Raw<TlsStream<TcpStream>>)> {
    let folder = Folder::new(test);
    let mut sockets = Vec::new();
    for version in VERSIONS {
        let node = folder.start().await;
        let stream = open(node.node.public, &Arc::new(folder.client_config_of(&[version]))).await;
        sockets.push((node, Raw(stream).upgraded().await));
    }
    sockets
}

impl Raw<TlsStream<TcpStream>> {
    /// Sends bytes in records of so many each.
    async fn send_in_records(&mut self, bytes: &[u8], each: usize) {
        for record in bytes.chunks(each) {
            self.send(record).await;
            self.0.flush().await.expect("the node reads");
        }
    }
}

#[actix::test]
async fn frames_may_be_cut_into_records_anywhere_and_come_with_the_handshake() {
    let folder = Folder::new("cut");
    let node = folder.start().await;
    let ping = frame(PING, b"a payload of some length");
    let subscribe = r#"{"event":"pusher:subscribe","data":{"auth":"","channel":"c"}}"#;
    for each in [1, 2, 7, 1_000] {
        let mut raw = Raw(folder.speak_http_1(node.node.public).await);
        let opening = [UPGRADE.as_bytes(), &frame(TEXT, subscribe.as_bytes()), &ping].concat();
        raw.send_in_records(&opening, each).await;
        raw.expect_upgrade().await;
        assert_eq!(raw.message().await["event"], "pusher:connection_established");
        raw.send_in_records(&ping, each).await;
        // The room answers in its own time.
        let (mut pongs, mut is_subscribed) = (0, false);
        while pongs < 2 || !is_subscribed {
            let (kind, payload) = raw.frame().await;
            pongs += usize::from(kind == PONG);
            is_subscribed |= String::from_utf8_lossy(&payload).contains("subscription_succeeded");
        }
        raw.still_works().await;
    }
}

#[actix::test]
async fn the_last_that_a_client_hears_is_its_close_frame_and_then_the_end_of_tls() {
    for (_node, mut raw) in sockets("last").await {
        raw.send(&frame(0x83, b"no such kind of frame")).await;
        assert_eq!(raw.close_code().await, Some(1002));
        raw.send(&frame(CLOSE, &1002_u16.to_be_bytes())).await;
        // A connection that was cut would be an error.
        let rest = timeout(PATIENCE, raw.0.read_to_end(&mut Vec::new())).await.expect("the node ends the connection");
        assert_eq!(rest.expect("the end was said"), 0);
    }
}

#[actix::test]
async fn a_client_that_ends_tls_or_its_connection_or_cuts_it_is_forgotten() {
    for (node, mut raw) in sockets("forgotten").await {
        let connected = || async { node.node.registry.all()[0].counters.connections() };
        assert_eq!(connected().await, 1);
        raw.finish().await;
        eventually("it is forgotten", || async { connected().await == 0 }).await;
    }
    for (node, mut raw) in sockets("cut-off").await {
        let connected = || async { node.node.registry.all()[0].counters.connections() };
        raw.0.get_mut().0.shutdown().await.expect("it is open");
        eventually("it is forgotten", || async { connected().await == 0 }).await;
    }
}

#[actix::test]
async fn a_client_may_renew_its_keys() {
    let (_node, mut raw) = sockets("renewed").await.swap_remove(0);
    for _ in 0..5 {
        raw.0.get_mut().1.refresh_traffic_keys().expect("TLS 1.3");
        raw.still_works().await;
    }
}

#[actix::test]
async fn nonsense_within_tls_ends_its_own_socket_alone() {
    for (node, mut raw) in sockets("nonsense").await {
        let record = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
        raw.0.get_mut().0.write_all(&record).await.expect("it is open");
        let rest = timeout(PATIENCE, raw.0.read_to_end(&mut Vec::new())).await.expect("the node ends the connection");
        rest.expect_err("the node says what was wrong");
        let answer = http_client().get(format!("http://{}/livez", node.node.admin)).send().await;
        assert!(answer.expect("the admin port answers").status().is_success());
    }
}

#[actix::test]
async fn clients_come_back_with_tickets_whichever_thread_takes_them() {
    let folder = Folder::new("tickets");
    let node = folder.start_configured(|config| config.server.http_threads = 3).await;
    for version in VERSIONS {
        let client = Arc::new(folder.client_config_of(&[version]));
        let mut kinds = Vec::new();
        for _ in 0..6 {
            let mut raw = Raw(open(node.node.public, &client).await).upgraded().await;
            raw.still_works().await;
            kinds.push(raw.0.get_ref().1.handshake_kind().expect("hands are shaken"));
            raw.finish().await;
        }
        assert_eq!(kinds[0], HandshakeKind::Full);
        assert_eq!(kinds[1..], [HandshakeKind::Resumed; 5], "{version:?}");
    }
}
