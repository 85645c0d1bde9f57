//! Tenant sockets that the application itself admits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::{StatusCode, header},
    web,
};
use gaung::config::TenantAccess;
use serde_json::json;

use crate::{
    event_stream::EventStream,
    harness::{PATIENCE, TestNode, start_configured},
    tenant::{expect_silence, greeted, tenant_socket},
};

/// An application that answers what its tenant's id says: a status, or `silence` for none.
struct Application {
    url: String,
    asked: Arc<AtomicUsize>,
    questions: Receiver<String>,
}

impl Application {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/admit", listener.local_addr().expect("an address"));
        let (asked, (sender, questions)) = (Arc::<AtomicUsize>::default(), mpsc::channel());
        let counter = asked.clone();
        let server = HttpServer::new(move || {
            let (counter, sender) = (counter.clone(), sender.clone());
            let answer = move |request: HttpRequest| {
                counter.fetch_add(1, Ordering::Relaxed);
                // Nobody listens once the test has heard what it wanted.
                let _ = sender.send(question(&request));
                answer(request.query_string().to_owned())
            };
            App::new().route("/admit", web::get().to(answer))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(0).listen(listener).expect("it listens");
        actix::spawn(server.run());
        Self { url, asked, questions }
    }

    /// A node that asks this application. One HTTP thread, because each remembers answers by itself.
    async fn node(&self, remember: Duration) -> TestNode {
        let url = self.url.clone();
        let configure = |config: &mut gaung::config::Config| {
            config.server.http_threads = 1;
            config.tenant.access = TenantAccess::Callback;
            config.tenant.callback_url = Some(url);
            config.tenant.callback_timeout = PATIENCE;
            config.tenant.callback_cache = remember;
        };
        start_configured(configure, |_| {}).await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn answer(query: String) -> HttpResponse {
    let tenant = query.split(['=', '&']).nth(1).unwrap_or_default().to_owned();
    match tenant.parse::<u16>() {
        Ok(status) => HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK)).finish(),
        Err(_) => std::future::pending().await,
    }
}

fn question(request: &HttpRequest) -> String {
    let header = |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap_or("?"));
    let (cookie, authorization, origin) = (header("cookie"), header("authorization"), header("origin"));
    format!("{} {} {cookie} {authorization} {origin}", request.method(), request.uri())
}

async fn expect_refusal(node: &TestNode, tenant: &str, code: u16, text: &str) {
    let mut client = node.open(&format!("/ws?tenant_id={tenant}")).await;
    client.expect_exactly(json!({"type": "error", "code": code, "message": text})).await;
    assert_eq!(client.expect_close().await.0, code, "{tenant}");
}

#[actix::test]
async fn the_application_admits_with_2xx() {
    let application = Application::start();
    let node = application.node(Duration::ZERO).await;
    for status in ["200", "204"] {
        let mut client = greeted(node.open(&format!("/ws?tenant_id={status}")).await).await;
        expect_silence(&mut client).await;
    }
}

#[actix::test]
async fn the_application_sees_the_ids_and_the_clients_credentials() {
    let application = Application::start();
    let node = application.node(Duration::ZERO).await;
    let client = node.open_with("/ws?tenant_id=200&user_id=Ada+L", |request| {
        request
            .header(header::COOKIE, "laravel_session=abc")
            .header(header::AUTHORIZATION, "Bearer xyz")
            .header(header::ORIGIN, "https://shop.example.com")
    });
    greeted(client.await).await;
    let question = application.questions.recv_timeout(PATIENCE).expect("the application was asked");
    let expected = "GET /admit?tenant_id=200&user_id=Ada%20L laravel_session=abc Bearer xyz https://shop.example.com";
    assert_eq!(question, expected);
}

#[actix::test]
async fn a_refusal_is_final_and_anything_else_may_be_tried_again() {
    let application = Application::start();
    let node = application.node(Duration::ZERO).await;
    for status in ["401", "403"] {
        expect_refusal(&node, status, 4011, "Not admitted to this tenant").await;
    }
    for status in ["302", "404", "500", "503"] {
        expect_refusal(&node, status, 4101, "Admission could not be checked; try again").await;
    }
}

#[actix::test]
async fn a_stream_is_admitted_by_its_cookies_and_its_page_may_send_them() {
    let application = Application::start();
    let node = application.node(Duration::ZERO).await;
    let headers = "Origin: https://shop.example.com\r\nCookie: laravel_session=abc\r\n";
    let open = |tenant: &str| format!("/sse?tenant_id={tenant}&channels=products.{tenant}");
    let mut stream = EventStream::open(&node, &open("200"), headers).await;
    stream.expect_greeting().await;
    assert_eq!(stream.header("access-control-allow-origin"), Some("https://shop.example.com"));
    assert_eq!(stream.header("access-control-allow-credentials"), Some("true"));
    let question = application.questions.recv_timeout(PATIENCE).expect("the application was asked");
    assert_eq!(question, "GET /admit?tenant_id=200 laravel_session=abc - https://shop.example.com");
    assert_eq!(EventStream::open(&node, &open("403"), headers).await.status(), 401);
    let mut unknown = EventStream::open(&node, &open("500"), headers).await;
    assert_eq!((unknown.status(), unknown.expect_end().await.len()), (200, 2));
}

#[actix::test]
async fn an_application_that_does_not_answer_in_time_or_is_not_there_is_no_admission() {
    let application = Application::start();
    for url in [application.url.as_str(), "http://127.0.0.1:1/"] {
        let configure = |config: &mut gaung::config::Config| {
            config.tenant.access = TenantAccess::Callback;
            config.tenant.callback_url = Some(url.to_owned());
            config.tenant.callback_timeout = Duration::from_millis(200);
        };
        let node = start_configured(configure, |_| {}).await;
        expect_refusal(&node, "silence", 4101, "Admission could not be checked; try again").await;
    }
}

#[actix::test]
async fn answers_are_remembered_for_the_configured_time_and_only_then() {
    let application = Application::start();
    let node = application.node(Duration::from_secs(60)).await;
    for _ in 0..3 {
        greeted(node.open("/ws?tenant_id=200").await).await;
        expect_refusal(&node, "403", 4011, "Not admitted to this tenant").await;
    }
    assert_eq!(application.asked(), 2);
    let forgetful = application.node(Duration::ZERO).await;
    for _ in 0..3 {
        greeted(forgetful.open("/ws?tenant_id=200").await).await;
    }
    assert_eq!(application.asked(), 5);
}

#[actix::test]
async fn an_admitted_socket_hears_the_tenants_public_channels_only() {
    let application = Application::start();
    let node = application.node(Duration::ZERO).await;
    let mut client = greeted(node.open("/ws?tenant_id=200&user_id=1").await).await;
    crate::tenant::subscribe(&mut client, "products.200").await;
    client.send(json!({"type": "subscribe", "channel": "private-products.200"})).await;
    let refusal = "a private or presence channel needs a token whose claim channels names it";
    crate::tenant::expect_error(&mut client, 403, Some("private-products.200"), refusal).await;
}

#[actix::test]
async fn the_pusher_socket_of_the_same_node_is_not_asked_about() {
    let application = Application::start();
    let node = application.node(Duration::ZERO).await;
    node.connect().await.expect_silence().await;
    assert_eq!(application.asked(), 0);
    // Tenant 7 is no status that HTTP knows, so the application answers 200.
    drop(tenant_socket(&node, "").await);
    assert_eq!(application.asked(), 1);
}
