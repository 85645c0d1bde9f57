//! Admission of tenant sockets by the application: a GET to `GAUNG_TENANT_CALLBACK_URL` with what the client presented.
//! Each HTTP thread owns one [`Callback`]; they share only what the log is told.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{StatusCode, header};
use awc::error::SendRequestError;
use gaung_cluster::seldom::Seldom;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::{
    connection::address::shown,
    outgoing::{self, Trust},
    tenant::TenantId,
};

/// The most answers that one thread remembers: about 1 MiB.
const MAX_ANSWERS: usize = 10_000;

/// The most questions of one thread that may wait for their answers.
const MAX_CONNECTIONS: usize = 100;

/// A client for questions, each of which may take so long.
pub fn client(trust: &Trust, timeout: Duration) -> awc::Client {
    trust.client(timeout, MAX_CONNECTIONS)
}

/// The most bytes of an answer's body that are read, so that its connection can be used again.
const MAX_BODY_BYTES: usize = 16_384;

/// What the application is asked about.
#[derive(Clone)]
pub struct CallbackRequest {
    /// Sent as `tenant_id`.
    pub tenant: TenantId,
    /// Sent as `user_id`, if the client gave one.
    pub user: Option<String>,
    /// The client's `Cookie` header.
    pub cookie: Option<String>,
    /// The client's `Authorization` header.
    pub authorization: Option<String>,
    /// The client's `Origin` header.
    pub origin: Option<String>,
}

/// The application's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx
    Admitted,
    /// 401 or 403
    Refused,
    /// No answer in time, or any other, a redirect among them: the client may try again.
    Unknown,
}

/// Asks the application, and remembers its answers for a while.
pub struct Callback {
    client: awc::Client,
    url: String,
    answers: RefCell<Answers>,
    log: Arc<Log>,
}

/// How often the application gave no usable answer to the threads of a node: any client can make them ask.
#[derive(Debug, Default)]
pub struct Log {
    silent: Seldom,
    odd: Seldom,
}

impl Callback {
    /// Asks over `client`; answers hold for `remember`, zero asks each time.
    pub fn new(url: &str, client: awc::Client, remember: Duration, log: Arc<Log>) -> Self {
        Self { client, url: url.to_owned(), answers: RefCell::new(Answers::new(remember)), log }
    }

    /// Whether the application admits the client, who comes from `peer`. Only answers are remembered, not their absence.
    pub async fn check(&self, request: &CallbackRequest, peer: Option<SocketAddr>) -> Verdict {
        let key = request.digest();
        if let Some(verdict) = self.answers.borrow().get(&key, Instant::now()) {
            return verdict;
        }
        let verdict = self.ask(request, peer).await;
        if verdict != Verdict::Unknown {
            self.answers.borrow_mut().put(key, verdict, Instant::now());
        }
        verdict
    }

    async fn ask(&self, request: &CallbackRequest, peer: Option<SocketAddr>) -> Verdict {
        let mut question =
            self.client.get(request.address(&self.url)).insert_header((header::ACCEPT, "application/json"));
        for (name, value) in request.headers() {
            question = question.insert_header((name, value));
        }
        match question.send().await {
            Ok(mut answer) => {
                let verdict = verdict_of(answer.status());
                match verdict {
                    Verdict::Unknown => self.log.count_odd(answer.status(), peer),
                    Verdict::Admitted | Verdict::Refused => self.log.tell_answered(),
                }
                // For the sake of the connection.
                outgoing::body(&mut answer, MAX_BODY_BYTES).await;
                verdict
            }
            Err(error) => {
                self.log.count_silent(&error, peer);
                Verdict::Unknown
            }
        }
    }
}

fn verdict_of(status: StatusCode) -> Verdict {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Verdict::Refused,
        status if status.is_success() => Verdict::Admitted,
        _ => Verdict::Unknown,
    }
}

impl Log {
    fn count_silent(&self, error: &SendRequestError, peer: Option<SocketAddr>) {
        if let Some(sockets) = self.silent.count() {
            tracing::warn!(peer = shown(peer), sockets, %error, "no response from GAUNG_TENANT_CALLBACK_URL");
        }
    }

    fn count_odd(&self, status: StatusCode, peer: Option<SocketAddr>) {
        let Some(sockets) = self.odd.count() else { return };
        let (peer, status) = (shown(peer), status.as_u16());
        tracing::warn!(
            peer,
            sockets,
            status,
            "unexpected status from GAUNG_TENANT_CALLBACK_URL; expected 2xx, 401 or 403"
        );
    }

    fn tell_answered(&self) {
        let (was_silent, was_odd) = (self.silent.settle(), self.odd.settle());
        if was_silent || was_odd {
            tracing::info!("GAUNG_TENANT_CALLBACK_URL answers again");
        }
    }
}

impl CallbackRequest {
    fn address(&self, url: &str) -> String {
        let separator = if url.contains('?') { '&' } else { '?' };
        let tenant = utf8_percent_encode(self.tenant.as_str(), NON_ALPHANUMERIC);
        let user = self.user.iter().map(|user| format!("&user_id={}", utf8_percent_encode(user, NON_ALPHANUMERIC)));
        format!("{url}{separator}tenant_id={tenant}{}", user.collect::<String>())
    }

    fn headers(&self) -> impl Iterator<Item = (header::HeaderName, &str)> {
        [(header::COOKIE, &self.cookie), (header::AUTHORIZATION, &self.authorization), (header::ORIGIN, &self.origin)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// A hash of everything that is sent, so that no credential is kept. Lengths keep neighbours apart.
    fn digest(&self) -> [u8; 32] {
        let tenant = Some(self.tenant.as_str());
        let rest = [&self.user, &self.cookie, &self.authorization, &self.origin].map(Option::as_deref);
        let mut hash = Sha256::new();
        for part in std::iter::once(tenant).chain(rest) {
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        hash.finalize().into()
    }
}

/// Answers that still hold. All hold equally long, so the oldest is the first to expire. At [`MAX_ANSWERS`] the oldest
/// is forgotten for a new one.
struct Answers {
    remember: Duration,
    verdicts: HashMap<[u8; 32], (Verdict, Instant)>,
    by_expiry: VecDeque<([u8; 32], Instant)>,
}

impl Answers {
    fn new(remember: Duration) -> Self {
        Self { remember, verdicts: HashMap::new(), by_expiry: VecDeque::new() }
    }

    fn get(&self, key: &[u8; 32], now: Instant) -> Option<Verdict> {
        self.verdicts.get(key).filter(|(_, until)| now < *until).map(|(verdict, _)| *verdict)
    }

    fn put(&mut self, key: [u8; 32], verdict: Verdict, now: Instant) {
        if self.remember.is_zero() {
            return;
        }
        while self.by_expiry.len() >= MAX_ANSWERS || self.by_expiry.front().is_some_and(|(_, until)| *until <= now) {
            self.forget_oldest();
        }
        let until = now + self.remember;
        self.verdicts.insert(key, (verdict, until));
        self.by_expiry.push_back((key, until));
    }

    /// An answer that was renewed meanwhile stays until its own turn.
    fn forget_oldest(&mut self) {
        let Some((key, until)) = self.by_expiry.pop_front() else { return };
        if self.verdicts.get(&key).is_some_and(|(_, latest)| *latest == until) {
            self.verdicts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::mpsc::{self, Receiver},
    };

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    /// An application that answers with the status that the tenant's id names, and reports what it was asked.
    fn application() -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/admit", listener.local_addr().unwrap());
        let (asked, questions) = mpsc::channel();
        let server = HttpServer::new(move || {
            let asked = asked.clone();
            let answer = move |request: HttpRequest| {
                asked.send(question(&request)).unwrap();
                let status = request.query_string().split(['=', '&']).nth(1).and_then(|status| status.parse().ok());
                let mut answer = HttpResponse::build(StatusCode::from_u16(status.unwrap_or(200)).unwrap());
                std::future::ready(answer.insert_header((header::LOCATION, "/admit?tenant_id=200")).body("body"))
            };
            App::new().route("/admit", web::get().to(answer))
        });
        actix_web::rt::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        (url, questions)
    }

    fn question(request: &HttpRequest) -> String {
        let header = |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap());
        let (cookie, authorization, origin) = (header("cookie"), header("authorization"), header("origin"));
        format!("{} {cookie} {authorization} {origin}", request.query_string())
    }

    fn request(tenant: &str) -> CallbackRequest {
        let tenant = TenantId::parse(tenant).unwrap();
        CallbackRequest { tenant, user: None, cookie: None, authorization: None, origin: None }
    }

    fn patient(timeout: Duration) -> awc::Client {
        client(&Trust::default(), timeout)
    }

    #[actix_web::test]
    async fn the_application_sees_the_ids_and_the_credentials() {
        let (url, questions) = application();
        let callback = Callback::new(&url, patient(MINUTE), Duration::ZERO, Arc::default());
        let full = CallbackRequest {
            user: Some("Ada & Bob".to_owned()),
            cookie: Some("laravel_session=abc".to_owned()),
            authorization: Some("Bearer t".to_owned()),
            origin: Some("https://shop.example".to_owned()),
            ..request("a-b")
        };
        assert_eq!(callback.check(&full, None).await, Verdict::Admitted);
        assert_eq!(
            questions.recv_timeout(MINUTE).unwrap(),
            "tenant_id=a%2Db&user_id=Ada%20%26%20Bob laravel_session=abc Bearer t https://shop.example"
        );
        callback.check(&request("7"), None).await;
        assert_eq!(questions.recv_timeout(MINUTE).unwrap(), "tenant_id=7 - - -");
    }

    #[test]
    fn a_query_of_the_configured_url_is_kept() {
        assert_eq!(request("7").address("http://a/b?c=d"), "http://a/b?c=d&tenant_id=7");
    }

    #[actix_web::test]
    async fn only_success_admits_and_only_401_and_403_refuse() {
        let (url, _questions) = application();
        let callback = Callback::new(&url, patient(MINUTE), Duration::ZERO, Arc::default());
        for (status, verdict) in [
            ("200", Verdict::Admitted),
            ("204", Verdict::Admitted),
            ("302", Verdict::Unknown),
            ("401", Verdict::Refused),
            ("403", Verdict::Refused),
            ("404", Verdict::Unknown),
            ("419", Verdict::Unknown),
            ("500", Verdict::Unknown),
        ] {
            assert_eq!(callback.check(&request(status), None).await, verdict, "{status}");
        }
    }

    #[actix_web::test]
    async fn silence_and_absence_are_unknown() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let callback = Callback::new(&url, patient(Duration::from_millis(50)), MINUTE, Arc::default());
        assert_eq!(callback.check(&request("7"), None).await, Verdict::Unknown);
        drop(silent);
        assert_eq!(callback.check(&request("7"), None).await, Verdict::Unknown);
    }

    #[actix_web::test]
    async fn an_application_that_stops_within_its_body_has_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let application = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 4_096]).unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").unwrap();
            socket
        });
        let callback = Callback::new(&url, patient(SECOND), Duration::ZERO, Arc::default());
        let verdict = actix_web::rt::time::timeout(MINUTE, callback.check(&request("7"), None)).await;
        assert_eq!(verdict, Ok(Verdict::Admitted));
        drop(application.join());
    }

    #[actix_web::test]
    async fn an_answer_holds_for_the_same_question_only() {
        let (url, questions) = application();
        let callback = Callback::new(&url, patient(MINUTE), MINUTE, Arc::default());
        for _ in 0..3 {
            assert_eq!(callback.check(&request("403"), None).await, Verdict::Refused);
        }
        assert_eq!(questions.try_iter().count(), 1);
        let other = CallbackRequest { cookie: Some("a".to_owned()), ..request("403") };
        callback.check(&other, None).await;
        let swapped = CallbackRequest { origin: Some("a".to_owned()), ..request("403") };
        callback.check(&swapped, None).await;
        assert_eq!(questions.try_iter().count(), 2);
    }

    #[actix_web::test]
    async fn a_missing_answer_is_asked_for_again() {
        let (url, questions) = application();
        let callback = Callback::new(&url, patient(MINUTE), MINUTE, Arc::default());
        callback.check(&request("500"), None).await;
        callback.check(&request("500"), None).await;
        assert_eq!(questions.try_iter().count(), 2);
    }

    #[test]
    fn an_answer_expires_and_a_renewed_one_does_not_with_it() {
        let (mut answers, start, key) = (Answers::new(10 * SECOND), Instant::now(), [7; 32]);
        answers.put(key, Verdict::Admitted, start);
        assert_eq!(answers.get(&key, start + 9 * SECOND), Some(Verdict::Admitted));
        assert_eq!(answers.get(&key, start + 10 * SECOND), None);
        answers.put(key, Verdict::Refused, start + 5 * SECOND);
        answers.put([8; 32], Verdict::Admitted, start + 10 * SECOND);
        assert_eq!(answers.get(&key, start + 14 * SECOND), Some(Verdict::Refused));
    }

    #[test]
    fn the_oldest_answer_makes_room() {
        let (mut answers, start) = (Answers::new(10 * SECOND), Instant::now());
        let key = |number: usize| Sha256::digest(number.to_be_bytes()).into();
        for number in 0..=MAX_ANSWERS {
            answers.put(key(number), Verdict::Admitted, start);
        }
        assert_eq!((answers.verdicts.len(), answers.by_expiry.len()), (MAX_ANSWERS, MAX_ANSWERS));
        assert_eq!(answers.get(&key(0), start), None);
        assert_eq!(answers.get(&key(MAX_ANSWERS), start), Some(Verdict::Admitted));
    }
}
