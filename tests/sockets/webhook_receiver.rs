//! A receiver of webhooks that answers when the test says so.

use std::{sync::Arc, time::Duration};

use gaung::config::WebhookEndpoint;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_rustls::TlsAcceptor;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A web server whose answers are the test's.
pub struct Receiver {
    pub url: String,
    requests: mpsc::UnboundedReceiver<Request>,
}

/// A request that waits for its answer. Its connection stays open without one until the request is dropped.
pub struct Request {
    pub head: String,
    pub body: String,
    answer: oneshot::Sender<String>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (arrived, requests) = mpsc::unbounded_channel();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix_web::rt::spawn(serve(stream, arrived.clone()));
            }
        });
        Self { url, requests }
    }

    /// The same behind TLS, for clients that believe its certificate.
    pub async fn start_with_tls(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
        let (arrived, requests) = mpsc::unbounded_channel();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (arrived, acceptor) = (arrived.clone(), TlsAcceptor::from(config.clone()));
                actix_web::rt::spawn(async move {
                    // A client that does not trust the certificate breaks the handshake off.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, arrived).await;
                    }
                });
            }
        });
        Self { url, requests }
    }

    pub async fn next(&mut self) -> Request {
        within(self.requests.recv()).await.expect("the receiver runs")
    }

    /// Answers 200 to the next request and returns its events as JSON.
    pub async fn next_events(&mut self) -> String {
        let request = self.next().await;
        let events = request.events();
        request.answer("200 OK", "");
        events
    }

    pub fn endpoint(&self) -> WebhookEndpoint {
        WebhookEndpoint {
            url: self.url.clone(),
            events: Vec::new(),
            headers: Vec::new(),
            channel_prefix: None,
            channel_suffix: None,
            batching: false,
        }
    }
}

impl Request {
    pub fn answer(self, status: &str, header: &str) {
        let answer = format!("HTTP/1.1 {status}\r\n{header}Content-Length: 2\r\n\r\nok");
        self.answer.send(answer).expect("the connection is open");
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body without `time_ms`, which it must begin with, and without the ids of the events.
    pub fn events(&self) -> String {
        let rest = self.body.strip_prefix(r#"{"time_ms":"#).expect(&self.body);
        let (time, events) = rest.split_once(r#","events":"#).expect(&self.body);
        assert!(time.len() == 13 && time.parse::<u64>().is_ok(), "{time} is not a time in milliseconds");
        let mut events = events.strip_suffix('}').expect(&self.body).to_owned();
        for id in self.ids() {
            events = events.replace(&format!(r#","id":"{id}""#), "");
        }
        events
    }

    /// The ids of the events; each has one.
    pub fn ids(&self) -> Vec<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).expect("a body is JSON");
        let events = body["events"].as_array().expect("events are a list");
        events.iter().map(|event| event["id"].as_str().expect("an event has an id").to_owned()).collect()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, arrived: mpsc::UnboundedSender<Request>) {
    while let Some((head, body)) = read_request(&mut stream).await {
        let (answer, answered) = oneshot::channel();
        let Ok(()) = arrived.send(Request { head, body, answer }) else { return };
        let Ok(answer) = answered.await else { return };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// Waits, but not for ever.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}
