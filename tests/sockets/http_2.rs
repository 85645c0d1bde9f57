//! What one client may do to a node over HTTP/2, where many requests share a connection.

use std::{fs, net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{
    Reason,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{Request, Response, StatusCode};
use tokio::{io::AsyncReadExt, net::TcpStream, task::JoinHandle, time::timeout};

use crate::{
    common::process::{Process, serve},
    harness::{PATIENCE, eventually},
    tls::Folder,
};

/// A connection that a client keeps open.
struct Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn connect(folder: &Folder, public: SocketAddr) -> Self {
        Self::connect_as(&mut Builder::new(), folder, public).await
    }

    async fn connect_as(builder: &mut Builder, folder: &Folder, public: SocketAddr) -> Self {
        let opened = builder.handshake(folder.speak_http_2(public).await).await;
        let (requests, connection) = opened.expect("HTTP/2");
        Self { requests, connection: actix::spawn(connection) }
    }

    /// Asks whether the node is up.
    fn ask(&mut self) -> Result<ResponseFuture, h2::Error> {
        let up = Request::get("https://localhost/up").body(()).expect("a request");
        Ok(self.requests.send_request(up, true)?.0)
    }

    /// The answer to it.
    async fn answer(&mut self) -> Response<h2::RecvStream> {
        let answer = self.ask().expect("a stream");
        timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer")
    }

    /// The node ends the connection, which the client may notice when it writes.
    async fn ends(self) {
        let _ = timeout(PATIENCE, self.connection).await.expect("the connection ends").expect("the task ends");
    }
}

async fn text(answer: Response<h2::RecvStream>) -> String {
    let mut body = answer.into_body();
    let bytes = timeout(PATIENCE, body.data()).await.expect("a body in time").expect("a body").expect("it is whole");
    String::from_utf8(bytes.to_vec()).expect("the body is text")
}

#[actix::test]
async fn connections_of_one_address_have_a_limit_and_the_next_is_told_so_and_ends() {
    const LIMIT: usize = 10;
    let folder = Folder::new("http-2-limit");
    let node = folder.start_configured(|config| config.limits.max_connections_per_ip = LIMIT).await;
    let mut kept = Vec::new();
    for number in 1..=LIMIT {
        let mut client = Client::connect(&folder, node.node.public).await;
        assert_eq!(client.answer().await.status(), 200, "{number}");
        kept.push(client);
    }
    for number in 1..=3 {
        let mut over = Client::connect(&folder, node.node.public).await;
        let answer = over.answer().await;
        assert_eq!(
            (answer.status(), answer.headers()["retry-after"].as_bytes()),
            (StatusCode::TOO_MANY_REQUESTS, &b"1"[..])
        );
        assert!(text(answer).await.contains("(GAUNG_MAX_CONNECTIONS_PER_IP)"));
        over.ends().await;
        assert_eq!(node.counted().refusals("over_address_limit"), number);
    }
    drop(kept.pop());
    eventually("a connection that ended makes room", || async {
        Client::connect(&folder, node.node.public).await.answer().await.status() == 200
    })
    .await;
}

#[actix::test]
async fn a_connection_that_finds_no_place_is_closed_before_its_tls_and_counted() {
    let folder = Folder::new("http-2-place");
    let node = folder.start_configured(|config| config.http.max_http_connections = 1).await;
    let mut first = Client::connect(&folder, node.node.public).await;
    assert_eq!(first.answer().await.status(), 200);
    let mut over = TcpStream::connect(node.node.public).await.expect("the node accepts");
    assert_eq!(timeout(PATIENCE, over.read(&mut [0; 1])).await.expect("it ends").expect("at once"), 0);
    assert_eq!(node.counted().refusals("over_http_limit"), 1);
}

#[actix::test]
async fn a_connection_may_be_idle_for_the_keep_alive_and_no_longer() {
    let folder = Folder::new("http-2-idle");
    let brief = folder.start_configured(|config| config.http.keep_alive = Duration::from_secs(1)).await;
    let long = folder.start_configured(|config| config.http.keep_alive = Duration::from_secs(60)).await;
    let mut ends = Client::connect(&folder, brief.node.public).await;
    let mut stays = Client::connect(&folder, long.node.public).await;
    assert_eq!((ends.answer().await.status(), stays.answer().await.status()), (StatusCode::OK, StatusCode::OK));
    ends.ends().await;
    assert_eq!(stays.answer().await.status(), 200);
}

#[actix::test]
async fn a_stream_whose_answer_is_not_taken_is_reset() {
    let folder = Folder::new("http-2-answer");
    let node = folder.start_configured(|config| config.http.answer_timeout = Duration::from_secs(1)).await;
    let mut client = Client::connect_as(Builder::new().initial_window_size(4), &folder, node.node.public).await;
    let mut body = client.answer().await.into_body();
    assert_eq!(body.data().await.expect("a beginning").expect("it comes"), &br#"{"he"#[..]);
    let rest = timeout(PATIENCE, body.data()).await.expect("the stream ends").expect("with a reason");
    assert_eq!(rest.unwrap_err().reason(), Some(Reason::CANCEL));
    // The connection stays for who takes something.
    let up = client.ask().expect("a stream");
    assert_eq!(timeout(PATIENCE, up).await.expect("in time").expect("an answer").status(), 200);
}

/// A server as a process, whose memory is its own.
fn serve_with_tls(folder: &Folder) -> (Process, SocketAddr) {
    let text = |path: std::path::PathBuf| path.into_os_string().into_string().expect("the path is text");
    let (cert, key) = (text(folder.cert()), text(folder.key()));
    let server = serve(&[("GAUNG_TLS_CERT", &cert), ("GAUNG_TLS_KEY", &key), ("GAUNG_HOST", "127.0.0.1")]);
    let address = server.address("public");
    let public = address.trim_start_matches("https://").parse().expect("an address");
    (server, public)
}

/// What the process has at most taken of the memory so far, in KiB.
fn peak(server: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What a node may need for one connection, whatever it does.
const ONE_CONNECTION: u64 = 24 * 1_024;

#[actix::test]
async fn bodies_that_nobody_signed_take_no_memory_however_many_streams_bring_them() {
    const STREAMS: usize = 400;
    let folder = Folder::new("http-2-bodies");
    let (server, public) = serve_with_tls(&folder);
    let mut client = Client::connect(&folder, public).await;
    assert_eq!(client.answer().await.status(), 200);
    let before = peak(&server);
    let body_bytes = Bytes::from(vec![b'x'; (1 << 20) - 1]);
    let mut answers = Vec::new();
    for _ in 0..STREAMS {
        client.requests = client.requests.ready().await.expect("the connection stays");
        let post = Request::post("https://localhost/apps/1/events?auth_key=k&auth_signature=0").body(());
        let (answer, mut body) = client.requests.send_request(post.expect("a request"), false).expect("a stream");
        body.reserve_capacity(1 << 20);
        // Where the node has answered already, nobody waits for it.
        let _ = body.send_data(body_bytes.clone(), false);
        answers.push((answer, body));
    }
    let mut refused = 0;
    for (answer, _body) in answers {
        let status = timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer").status();
        refused += usize::from(status.is_client_error());
    }
    assert_eq!(refused, STREAMS);
    let grown = peak(&server).saturating_sub(before);
    assert!(grown < ONE_CONNECTION, "{grown} KiB");
}

#[actix::test]
async fn streams_that_are_reset_as_soon_as_they_are_open_end_their_connection() {
    let folder = Folder::new("http-2-resets");
    let (server, public) = serve_with_tls(&folder);
    let mut client = Client::connect(&folder, public).await;
    assert_eq!(client.answer().await.status(), 200);
    let before = peak(&server);
    let mut opened = 0;
    let ended = loop {
        let Ok(requests) = client.requests.ready().await else { break true };
        client.requests = requests;
        let post = Request::post("https://localhost/apps/1/events?auth_key=k&auth_signature=0").body(());
        let Ok((_, mut body)) = client.requests.send_request(post.expect("a request"), false) else { break true };
        body.send_reset(Reason::CANCEL);
        opened += 1;
        if opened % 50 == 0 {
            tokio::task::yield_now().await;
        }
        if opened == 100_000 {
            break false;
        }
    };
    let grown = peak(&server).saturating_sub(before);
    assert!(grown < ONE_CONNECTION, "{grown} KiB after {opened} streams");
    assert!(ended, "{opened} streams were reset");
    assert_eq!(Client::connect(&folder, public).await.answer().await.status(), 200);
}
