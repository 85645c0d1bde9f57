//! Connections that are no sockets: how long each of their requests may take, what they may leave unread, and how many there
//! may be.

use std::time::Duration;

use gaung::config::Config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::{
    harness::{PATIENCE, TestNode, eventually, metrics, start_configured},
    raw::{Bystander, Raw},
};

const UP: &str = "GET /up HTTP/1.1\r\nHost: gaung\r\n\r\n";

async fn start(change: impl FnOnce(&mut Config)) -> TestNode {
    start_configured(change, |_| {}).await
}

/// The head and the body of the answer to `GET /up`.
async fn answer(socket: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        read.push(
            timeout(PATIENCE, socket.read_u8()).await.expect("an answer in time").expect("the connection is open"),
        );
    }
    String::from_utf8(read).expect("the answer is text")
}

async fn connect(node: &TestNode) -> TcpStream {
    TcpStream::connect(node.node.public).await.expect("the node accepts")
}

/// A connection that has asked for something and stays.
async fn used(node: &TestNode) -> TcpStream {
    let mut socket = connect(node).await;
    socket.write_all(UP.as_bytes()).await.expect("the node reads");
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
    socket
}

/// Everything until the node ends the connection, which must happen.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.expect("the node ends the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[actix::test]
async fn half_a_head_after_an_answer_is_cut_off_like_half_a_first_one() {
    let node = start(|config| config.limits.handshake_timeout = Duration::from_secs(3)).await;
    let bystander = Bystander::watch(&node).await;
    let (mut idle, mut cut_off) = (used(&node).await, Vec::new());
    for half in ["G", "GET /up HTTP/1.1\r\nHost:", "GET /up HTTP/1.1\r\nHost: gaung\r\n"] {
        let mut later = used(&node).await;
        later.write_all(half.as_bytes()).await.expect("the node reads");
        let mut at_once = connect(&node).await;
        at_once.write_all(format!("{UP}{half}").as_bytes()).await.expect("the node reads");
        assert!(answer(&mut at_once).await.starts_with("HTTP/1.1 200 "));
        cut_off.extend([(half, later), (half, at_once)]);
    }
    for (half, mut socket) in cut_off {
        assert!(rest(&mut socket).await.starts_with("HTTP/1.1 408 "), "{half}");
    }
    idle.write_all(UP.as_bytes()).await.expect("a connection without a head may be idle");
    assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200 "));
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn requests_that_come_together_are_answered_one_after_the_other() {
    const COUNT: usize = 500;
    let node = start(|_| {}).await;
    let (mut reader, mut writer) = connect(&node).await.into_split();
    let sent = actix::spawn(async move { writer.write_all(UP.repeat(COUNT).as_bytes()).await.map(|()| writer) });
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let count = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches(r#"{"health":"OK"}"#).count();
    while count(&bytes) < COUNT {
        let read = timeout(PATIENCE, reader.read(&mut buffer)).await.expect("answers in time").expect("it is open");
        assert_ne!(read, 0, "closed after {} answers", count(&bytes));
        bytes.extend_from_slice(&buffer[..read]);
    }
    sent.await.expect("the task ends").expect("the node reads");
}

#[actix::test]
async fn a_head_of_many_kilobytes_is_read_to_its_end() {
    let node = start(|_| {}).await;
    let mut socket = connect(&node).await;
    let cookie = "x".repeat(60_000);
    let request = format!("GET /up HTTP/1.1\r\nHost: gaung\r\nCookie: {cookie}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the node reads");
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
}

#[actix::test]
async fn who_reads_no_answers_is_read_no_further_and_closed() {
    let node = start(|config| config.http.answer_timeout = Duration::from_secs(1)).await;
    let bystander = Bystander::watch(&node).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    // So that the kernel keeps little of what the client does not read.
    socket.set_recv_buffer_size(4_096).expect("a size");
    let mut socket = socket.connect(node.node.public).await.expect("the node accepts");
    let requests = UP.repeat(10_000);
    let ended = async {
        loop {
            if socket.write_all(requests.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("the node ends the connection");
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn a_node_has_so_many_http_connections_and_its_sockets_are_none() {
    let node = start(|config| config.http.max_http_connections = 2).await;
    for _ in 0..3 {
        Raw::greeted(&node).await.still_works().await;
    }
    let sockets = [Raw::greeted(&node).await, Raw::greeted(&node).await, Raw::greeted(&node).await];
    let (one, _other) = (connect(&node).await, connect(&node).await);
    eventually("a connection too many is refused", || async {
        rest(&mut connect(&node).await).await.starts_with("HTTP/1.1 503 ")
    })
    .await;
    for mut socket in sockets {
        socket.still_works().await;
    }
    drop(one);
    eventually("a connection that ended makes room", || async {
        let mut socket = connect(&node).await;
        socket.write_all(UP.as_bytes()).await.is_ok() && rest(&mut socket).await.starts_with("HTTP/1.1 200 ")
    })
    .await;
}

#[actix::test]
async fn a_connection_may_be_idle_for_the_keep_alive_and_no_longer() {
    let brief = start(|config| config.http.keep_alive = Duration::from_secs(1)).await;
    let long = start(|config| config.http.keep_alive = Duration::from_secs(60)).await;
    let mut stays = used(&long).await;
    let began = std::time::Instant::now();
    let mut ends = used(&brief).await;
    assert_eq!(rest(&mut ends).await, "");
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
    stays.write_all(UP.as_bytes()).await.expect("the connection is open");
    assert!(answer(&mut stays).await.starts_with("HTTP/1.1 200 "));
}

#[actix::test]
async fn a_connection_of_the_admin_port_may_be_idle_for_as_long() {
    let node = start(|config| config.http.keep_alive = Duration::from_secs(60)).await;
    let mut socket = TcpStream::connect(node.node.admin).await.expect("the node accepts");
    // The library's own is 5 s.
    for pause in [0, 6] {
        sleep(Duration::from_secs(pause)).await;
        socket.write_all(b"GET /peers HTTP/1.1\r\nHost: gaung\r\n\r\n").await.expect("the connection is open");
        let mut read = [0; 1_024];
        let length = timeout(PATIENCE, socket.read(&mut read)).await.expect("an answer in time").expect("it is open");
        assert!(read[..length].starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&read[..length]));
    }
}

#[actix::test]
async fn who_finds_no_place_is_told_of_which_limit_and_counted() {
    let of_node = start(|config| config.http.max_http_connections = 1).await;
    let of_address = start(|config| config.limits.max_connections_per_ip = 1).await;
    for (node, status, reason, setting) in [
        (of_node, "503 Service Unavailable", "over_http_limit", "GAUNG_MAX_HTTP_CONNECTIONS"),
        (of_address, "429 Too Many Requests", "over_address_limit", "GAUNG_MAX_CONNECTIONS_PER_IP"),
    ] {
        let _open = connect(&node).await;
        let mut over = connect(&node).await;
        let refusal = rest(&mut over).await;
        let (head, body) = refusal.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{refusal}");
        assert!(head.contains("\r\nretry-after: 1\r\n") && head.contains("\r\nconnection: close"), "{refusal}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{refusal}");
        let body: serde_json::Value = serde_json::from_str(body).expect("the body is JSON");
        assert!(body["error"].as_str().expect("a text").contains(setting), "{body}");
        let text = metrics(node.node.admin).await;
        assert!(text.contains(&format!("gaung_refusals_total{{app=\"\",reason=\"{reason}\"}} 1\n")), "{text}");
        assert!(text.contains("gaung_http_connections 1\n"), "{text}");
    }
}

/// A socket that was refused and that its client keeps open: the node lets it linger for some seconds.
async fn lingering(node: &TestNode, upgrade: &str, code: u16) -> Raw {
    let mut socket = Raw::connect(node).await;
    socket.send(upgrade.as_bytes()).await;
    socket.expect_upgrade().await;
    assert_eq!(socket.close_code().await, Some(code));
    socket
}

#[actix::test]
async fn sockets_that_were_refused_count_until_they_have_gone() {
    let bogus_key = crate::raw::UPGRADE.replace("app-key", "bogus");
    let wrong_path = crate::raw::UPGRADE.replace("/app/app-key", "/socket");
    let of_address = start(|config| config.limits.max_connections_per_ip = 2).await;
    let of_node = start(|config| config.http.max_http_connections = 2).await;
    for (node, status, reason) in [(of_address, " 429 ", "over_address_limit"), (of_node, " 503 ", "over_http_limit")] {
        let kept = [lingering(&node, &bogus_key, 4001).await, lingering(&node, &wrong_path, 4005).await];
        let refusal = rest(&mut connect(&node).await).await;
        assert!(refusal.contains(status), "the next connection is refused at once: {refusal}");
        assert_eq!(node.counted().refusals(reason), 1);
        drop(kept);
        eventually("a socket that has gone makes room", || async {
            let mut socket = connect(&node).await;
            let request = "GET /up HTTP/1.1\r\nHost: gaung\r\nConnection: close\r\n\r\n";
            socket.write_all(request.as_bytes()).await.is_ok() && rest(&mut socket).await.contains(" 200 ")
        })
        .await;
    }
}

#[actix::test]
async fn a_socket_over_its_addresss_limit_counts_until_it_has_gone() {
    let node = start(|config| config.limits.max_connections_per_ip = 1).await;
    let _socket = Raw::greeted(&node).await;
    let _over = lingering(&node, crate::raw::UPGRADE, 4100).await;
    let refusal = rest(&mut connect(&node).await).await;
    assert!(refusal.starts_with("HTTP/1.1 429 "), "the next connection is refused at once: {refusal}");
}

#[actix::test]
async fn where_connections_are_scarce_none_stays_after_its_answer() {
    let node = start(|config| config.http.max_http_connections = 3).await;
    let mut first = used(&node).await;
    let mut second = connect(&node).await;
    second.write_all(UP.as_bytes()).await.expect("the node reads");
    let closed = rest(&mut second).await;
    assert!(closed.starts_with("HTTP/1.1 200 ") && closed.contains("connection: close\r\n"), "{closed}");
    first.write_all(UP.as_bytes()).await.expect("the node reads");
    assert!(!answer(&mut first).await.contains("connection: close"));
}

#[actix::test]
async fn an_address_has_so_many_connections_sockets_and_others_together() {
    let node = start(|config| config.limits.max_connections_per_ip = 2).await;
    let _socket = Raw::greeted(&node).await;
    let http = used(&node).await;
    let mut over = connect(&node).await;
    over.write_all(UP.as_bytes()).await.expect("the node reads");
    let refusal = answer(&mut over).await;
    assert!(refusal.starts_with("HTTP/1.1 429 "), "{refusal}");
    assert!(refusal.contains("(GAUNG_MAX_CONNECTIONS_PER_IP)"), "{refusal}");
    drop(over);
    let mut socket = Raw::connect(&node).await;
    socket.send(crate::raw::UPGRADE.as_bytes()).await;
    socket.expect_upgrade().await;
    assert_eq!(socket.close_code().await, Some(4100));
    drop(http);
    eventually("a connection that ended makes room", || async {
        let mut socket = Raw::connect(&node).await;
        socket.send(crate::raw::UPGRADE.as_bytes()).await;
        socket.expect_upgrade().await;
        socket.message().await["event"] == "pusher:connection_established"
    })
    .await;
}

#[actix::test]
async fn a_connection_that_becomes_a_socket_counts_once() {
    let node = start(|config| config.limits.max_connections_per_ip = 1).await;
    let mut socket = used(&node).await;
    socket.write_all(crate::raw::UPGRADE.as_bytes()).await.expect("the node reads");
    let mut read = String::new();
    while !read.contains("pusher:connection_established") {
        let byte = timeout(PATIENCE, socket.read_u8()).await.expect("a greeting in time").expect("the socket is open");
        read.push(byte.into());
    }
    assert!(read.starts_with("HTTP/1.1 101 "), "{read}");
}
