//! A node with a certificate of its own.

use std::{fs, future::poll_fn, net::SocketAddr, path::PathBuf, process::Command, sync::Arc};

use futures_util::{FutureExt, future::join_all};
use gaung::{
    config::{Config, TenantAccess},
    outgoing::Trust,
    protocol::signature::sign_request,
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    common::process::{run, serve},
    harness::{Client, PATIENCE, TestNode, eventually, http_client, key, now, start_configured, upgrade},
    webhook_receiver::Receiver,
};

/// A directory of its own with a certificate file and a key file; removed at the end of the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gaung-node-tls-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).expect("the directory is new");
        let folder = Self(path);
        folder.issue();
        folder
    }

    pub fn cert(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// A new self-signed certificate for loopback with a new key, both in place of the old ones.
    fn issue(&self) {
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(' '))
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"])
            .arg(self.cert())
            .arg("-keyout")
            .arg(self.key())
            .output()
            .expect("the openssl command is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// An HTTP client that trusts the certificate that is there now, and no other.
    fn trusting(&self) -> awc::Client {
        awc::Client::builder().connector(awc::Connector::new().rustls_0_23(Arc::new(self.client_config()))).finish()
    }

    fn client_config(&self) -> ClientConfig {
        self.client_config_of(rustls::DEFAULT_VERSIONS)
    }

    /// A client of these versions of TLS that trusts the certificate that is there now, and no other.
    pub fn client_config_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.cert()).expect("a certificate")).expect("it can be trusted");
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("the provider knows them")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A connection on which both sides have agreed on HTTP/2.
    pub async fn speak_http_2(&self, public: SocketAddr) -> TlsStream<TcpStream> {
        let mut config = self.client_config();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = open(public, &Arc::new(config)).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    }

    /// A connection on which HTTP/1.1 is spoken.
    pub async fn speak_http_1(&self, public: SocketAddr) -> TlsStream<TcpStream> {
        open(public, &Arc::new(self.client_config())).await
    }

    pub async fn start(&self) -> TestNode {
        self.start_configured(|_| {}).await
    }

    pub async fn start_configured(&self, change: impl FnOnce(&mut Config)) -> TestNode {
        let configure = |config: &mut Config| {
            config.tls.cert = Some(self.cert());
            config.tls.key = Some(self.key());
            change(config);
        };
        start_configured(configure, |_| {}).await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A connection by such a client.
pub async fn open(public: SocketAddr, client: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(public).await.expect("the node accepts");
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(client.clone()).connect(name, socket).await.expect("TLS")
}

const EVENT: &str = r#"{"name":"e","channel":"c","data":"{}"}"#;

/// The query that signs [`EVENT`].
fn signed() -> String {
    sign_request(&key(), "POST", "/apps/app-id/events", &[], EVENT.as_bytes(), now())
}

fn url(node: &TestNode, path: &str) -> String {
    format!("https://{}{path}", node.node.public)
}

async fn connect(node: &TestNode, client: &awc::Client) -> Client {
    upgrade(client.ws(url(node, "/app/app-key"))).await.greeted().await
}

async fn post(node: &TestNode, client: &awc::Client, path: &str, body: String) -> u16 {
    let path = format!("/apps/app-id{path}");
    let query = sign_request(&key(), "POST", &path, &[], body.as_bytes(), now());
    let request = client.post(url(node, &format!("{path}?{query}")));
    request.send_body(body).await.expect("the node answers").status().as_u16()
}

#[actix::test]
async fn events_go_over_tls_in_both_directions() {
    let folder = Folder::new("events");
    let node = folder.start().await;
    let client = folder.trusting();
    let mut socket = connect(&node, &client).await;
    socket.subscribe("c").await;
    let event = json!({"name": "e", "channel": "c", "data": "{}"}).to_string();
    assert_eq!(post(&node, &client, "/events", event).await, 200);
    socket.expect_exactly(json!({"event": "e", "channel": "c", "data": "{}"})).await;
    socket.expect_silence().await;
}

#[actix::test]
async fn a_burst_of_megabytes_arrives_whole_and_in_order() {
    let folder = Folder::new("burst");
    // It reads when all was posted.
    let node = folder.start_configured(|config| config.limits.max_outbox_bytes = 64 << 20).await;
    let client = folder.trusting();
    let mut socket = connect(&node, &client).await;
    socket.subscribe("c").await;
    let data = "x".repeat(10_240);
    for post_number in 0..50 {
        let event = |n| json!({"name": format!("e{}", post_number * 10 + n), "channel": "c", "data": data});
        let batch = json!({"batch": (0..10).map(event).collect::<Vec<_>>()}).to_string();
        assert_eq!(post(&node, &client, "/batch_events", batch).await, 200);
    }
    for number in 0..500 {
        socket.expect_exactly(json!({"event": format!("e{number}"), "channel": "c", "data": data})).await;
    }
    socket.expect_silence().await;
}

#[actix::test]
async fn readers_over_tls_are_not_closed_by_more_than_their_outboxes_hold() {
    let folder = Folder::new("readers");
    let node = folder.start().await;
    let client = folder.trusting();
    let mut sockets = Vec::new();
    for _ in 0..60 {
        let mut socket = connect(&node, &client).await;
        socket.subscribe("c").await;
        sockets.push(socket);
    }
    let event = json!({"name": "e", "channel": "c", "data": "x".repeat(10_000)});
    let batch = json!({"batch": vec![event.clone(); 10]}).to_string();
    let posts = (0..15).map(|_| post(&node, &client, "/batch_events", batch.clone()));
    assert_eq!(join_all(posts).await, [200; 15]);
    let heard = sockets.iter_mut().map(|socket| async {
        for _ in 0..150 {
            socket.expect("e").await;
        }
    });
    join_all(heard).await;
    assert_eq!(node.counted().slow_consumers(), 0);
}

#[actix::test]
async fn a_reader_over_tls_that_stops_is_closed_with_4100() {
    let folder = Folder::new("stops");
    let node = folder.start().await;
    let client = folder.trusting();
    let mut socket = connect(&node, &client).await;
    socket.subscribe("c").await;
    let event = json!({"name": "e", "channel": "c", "data": "x".repeat(10_000)});
    let batch = json!({"batch": vec![event; 10]}).to_string();
    for _ in 0..1_000 {
        assert_eq!(post(&node, &client, "/batch_events", batch.clone()).await, 200);
        if node.counted().closes("slow_consumer") > 0 {
            break;
        }
    }
    drop(socket);
    eventually("it is given up", || async { node.counted().slow_consumers() == 1 }).await;
}

#[actix::test]
async fn http_2_has_a_hundred_streams_of_a_connection_and_serves_the_next_when_one_ends() {
    let folder = Folder::new("streams");
    let node = folder.start().await;
    let mut builder = h2::client::Builder::new();
    // More than the node will announce, so that its word counts and not the library's.
    builder.initial_max_send_streams(1_000);
    let opened = builder.handshake::<_, bytes::Bytes>(folder.speak_http_2(node.node.public).await).await;
    let (mut client, connection) = opened.expect("HTTP/2");
    actix::spawn(connection);
    let up = http::Request::get("https://localhost/up").body(()).expect("a request");
    let mut answer = client.send_request(up, true).expect("a stream").0.await.expect("an answer");
    assert_eq!(answer.body_mut().data().await.expect("a body").expect("whole"), r#"{"health":"OK"}"#);
    let post = format!("https://localhost/apps/app-id/events?{}", signed());
    let mut bodies = Vec::new();
    for _ in 0..101 {
        client = client.ready().await.expect("the connection stays");
        let request = http::Request::post(&post).body(()).expect("a request");
        bodies.push(client.send_request(request, false).expect("a stream"));
        // The client's connection opens it.
        tokio::task::yield_now().await;
    }
    // The last one waits in the client until there is room.
    assert!(poll_fn(|ctx| client.poll_ready(ctx)).now_or_never().is_none());
    let (answer, mut body) = bodies.swap_remove(0);
    body.send_data(EVENT.into(), true).expect("the body goes out");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    client.ready().await.expect("there is room again");
}

#[actix::test]
async fn a_refusal_comes_over_tls_like_any_other() {
    let folder = Folder::new("refusal");
    let node = folder.start().await;
    let mut socket = upgrade(folder.trusting().ws(url(&node, "/app/unknown"))).await;
    assert_eq!(socket.expect("pusher:error").await["data"]["code"], 4001);
    assert_eq!(socket.expect_close().await.0, 4001);
}

#[actix::test]
async fn a_replaced_certificate_is_shown_to_new_sockets_and_closes_none() {
    let folder = Folder::new("replaced");
    let node = folder.start().await;
    // Two clients, because one that has shaken hands once resumes without looking at the certificate again.
    let (before, stranger) = (folder.trusting(), folder.trusting());
    let mut early = connect(&node, &before).await;
    folder.issue();
    let reloads = node.node.metrics.reloads.with_label_values(&["applied"]);
    eventually("the new certificate is read", || async { reloads.get() == 1 }).await;
    connect(&node, &folder.trusting()).await.expect_silence().await;
    assert!(stranger.ws(url(&node, "/app/app-key")).connect().await.is_err());
    early.expect_silence().await;
}

#[actix::test]
async fn a_node_that_drains_says_goodbye_over_tls() {
    let folder = Folder::new("drain");
    let node = folder.start().await;
    let mut socket = connect(&node, &folder.trusting()).await;
    let stopped = actix::spawn(node.node.stop());
    assert_eq!(socket.expect_close().await.0, 4200);
    drop(socket);
    stopped.await.expect("the node stops");
}

#[test]
fn the_command_line_goes_over_tls_if_it_believes_the_certificate() {
    let folder = Folder::new("command");
    let text = |path: PathBuf| path.into_os_string().into_string().expect("the path is text");
    let (cert, key) = (text(folder.cert()), text(folder.key()));
    let server = serve(&[("GAUNG_TLS_CERT", &cert), ("GAUNG_TLS_KEY", &key)]);
    let url = server.address("public");
    assert!(url.starts_with("https://"), "{url}");
    let sockets = url.replace("https://", "wss://");
    for url in [&url, &sockets] {
        let (code, stdout, stderr) = run(&["roundtrip", "--url", url, "--ca", &cert], &[]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(stdout.contains("both sockets heard each"), "{stdout}");
    }
    let (code, _, stderr) = run(&["roundtrip", "--url", &url], &[]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("the first socket: cannot open a socket at ") && stderr.contains("certificate"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["roundtrip", "--url", &url, "--ca", &key], &[]);
    assert_eq!(code, Some(2));
    assert_eq!(stderr, format!("gaung: --ca {key}: the file holds no certificate\n"));
}

#[actix::test]
async fn webhooks_and_access_callbacks_believe_the_authorities_of_a_file_and_others_do_not() {
    let folder = Folder::new("outgoing");
    let (config, _) = gaung::tls::server_config(&folder.cert(), &folder.key()).expect("the pair is good");
    let mut application = Receiver::start_with_tls(config).await;
    let (url, endpoint) = (application.url.clone(), application.endpoint());
    let configure = |config: &mut Config| {
        config.outgoing.ca = Some(folder.cert());
        config.tenant.access = TenantAccess::Callback;
        config.tenant.callback_url = Some(url.clone());
    };
    let node = start_configured(configure, |app| app.webhooks = vec![Arc::new(endpoint)]).await;
    node.connect().await.subscribe("orders").await;
    assert!(application.next_events().await.contains("channel_occupied"));
    let admitted = actix::spawn({
        let request = http_client().ws(node.url("/ws?tenant_id=7"));
        async move { upgrade(request).await.next().await }
    });
    application.next().await.answer("200 OK", "");
    assert_eq!(admitted.await.expect("the client is not cancelled")["type"], "connected");
    let stranger = Trust::default().client(PATIENCE, 1);
    assert!(stranger.get(url).send().await.is_err());
}
