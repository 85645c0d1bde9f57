//! Who may open the console, over real sockets.

use awc::{
    ClientRequest,
    http::{Method, header},
};
use gaung::protocol::Secret;
use serde_json::{Value, json};

use crate::{
    console::Console,
    harness::{TestNode, start, start_configured},
};

const TOKEN: &str = "open sesame";

/// An answer of the admin port.
struct Answer {
    status: u16,
    headers: header::HeaderMap,
    body: String,
}

async fn locked() -> TestNode {
    start_configured(|config| config.admin.token = Some(Secret::new(TOKEN)), |_| {}).await
}

fn request(node: &TestNode, method: Method, path: &str) -> ClientRequest {
    let client = awc::Client::builder().disable_redirects().finish();
    client.request(method, format!("http://{}{path}", node.node.admin))
}

fn get(node: &TestNode, path: &str) -> ClientRequest {
    request(node, Method::GET, path)
}

async fn answer(request: ClientRequest, body: String) -> Answer {
    let mut answer = request.send_body(body).await.expect("the admin port answers");
    let body = answer.body().await.expect("the answer has a body");
    let body = String::from_utf8(body.to_vec()).expect("the body is text");
    Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
}

async fn sent(request: ClientRequest) -> Answer {
    answer(request, String::new()).await
}

async fn login(node: &TestNode, token: &str) -> Answer {
    answer(request(node, Method::POST, "/console/session"), json!({ "token": token }).to_string()).await
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("the header is text"))
    }

    /// The cookie that it sets, as a browser would send it.
    fn cookie(&self) -> Option<&str> {
        self.header(header::SET_COOKIE)?.split(';').next()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

#[actix_web::test]
async fn a_browser_gets_the_page_and_anything_else_the_index() {
    let node = start(|_| {}).await;
    let page = sent(get(&node, "/").insert_header((header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8"))).await;
    assert_eq!((page.status, page.header(header::CONTENT_TYPE)), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);
    for accept in ["*/*", "application/json"] {
        let index = sent(get(&node, "/").insert_header((header::ACCEPT, accept))).await;
        assert!(index.body.starts_with("gaung, the admin port\n"), "{accept}: {}", index.body);
    }
    let moved = sent(get(&node, "/console")).await;
    assert_eq!((moved.status, moved.header(header::LOCATION)), (308, Some("/")));
}

#[actix_web::test]
async fn the_page_and_its_files_may_load_nothing_from_elsewhere() {
    let node = locked().await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                  base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    for (path, kind) in [("/", "text/html"), ("/console/app.js", "text/javascript"), ("/console/app.css", "text/css")] {
        let file = sent(get(&node, path).insert_header((header::ACCEPT, "text/html"))).await;
        assert_eq!((file.status, file.header(header::CONTENT_SECURITY_POLICY)), (200, Some(policy)), "{path}");
        assert_eq!(file.header(header::CONTENT_TYPE), Some(format!("{kind}; charset=utf-8").as_str()), "{path}");
        assert_eq!(file.header(header::X_CONTENT_TYPE_OPTIONS), Some("nosniff"), "{path}");
        assert_eq!(file.header(header::CACHE_CONTROL), Some("no-cache"), "{path}");
    }
    assert_eq!(sent(get(&node, "/console/live.rs")).await.status, 404);
}

#[actix_web::test]
async fn without_a_token_the_console_is_open_to_this_machine_under_its_own_names() {
    let node = start(|_| {}).await;
    let port = node.node.admin.port();
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "[::1]".to_owned()] {
        let access = sent(get(&node, "/console/access").insert_header((header::HOST, host.as_str()))).await;
        assert_eq!((access.status, access.body.as_str()), (204, ""), "{host}");
    }
    Console::open(&node).await;
}

#[actix_web::test]
async fn without_a_token_another_name_for_this_machine_is_refused_and_told_what_to_set() {
    let node = start(|_| {}).await;
    let access = sent(get(&node, "/console/access").insert_header((header::HOST, "rebound.example"))).await;
    assert_eq!((access.status, &access.json()["login"]), (403, &json!(false)));
    let error = access.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("set GAUNG_ADMIN_TOKEN"), "{error}");
    let refused = Console::refused(&node, |request| request.set_header(header::HOST, "rebound.example")).await;
    assert_eq!(refused, 403);
}

#[actix_web::test]
async fn with_a_token_even_this_machine_is_asked_for_it() {
    let node = locked().await;
    let access = sent(get(&node, "/console/access")).await;
    let error = "the console asks for its token (GAUNG_ADMIN_TOKEN)";
    assert_eq!((access.status, access.json()), (401, json!({"error": error, "login": true})));
    assert_eq!(Console::refused(&node, |request| request).await, 401);
    let wrong = get(&node, "/console/access").bearer_auth("open sesam");
    assert_eq!(sent(wrong).await.status, 401);
    assert_eq!(Console::refused(&node, |request| request.bearer_auth("open sesam")).await, 401);
}

#[actix_web::test]
async fn the_token_opens_the_console_under_any_name() {
    let node = locked().await;
    let access = get(&node, "/console/access").bearer_auth(TOKEN).insert_header((header::HOST, "gaung.example"));
    assert_eq!(sent(access).await.status, 204);
    Console::open_with(&node, |request| request.bearer_auth(TOKEN)).await;
}

#[actix_web::test]
async fn a_login_gives_a_cookie_that_opens_the_console_and_does_not_hold_the_token() {
    let node = locked().await;
    let login = login(&node, TOKEN).await;
    assert_eq!((login.status, login.body.as_str()), (204, ""));
    let set = login.header(header::SET_COOKIE).unwrap();
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Path=/") && !set.contains("sesame"), "{set}");
    let cookie = login.cookie().unwrap();
    assert_eq!(sent(get(&node, "/console/access").insert_header((header::COOKIE, cookie))).await.status, 204);
    Console::open_with(&node, |request| request.set_header(header::COOKIE, cookie)).await;
}

#[actix_web::test]
async fn a_login_with_anything_else_is_refused_and_does_not_say_what_it_was() {
    let node = locked().await;
    let wrong = login(&node, "my other password").await;
    let error = json!({"error": "that is not the token (GAUNG_ADMIN_TOKEN)"});
    assert_eq!((wrong.status, wrong.cookie(), wrong.json()), (401, None, error));
    let broken = answer(request(&node, Method::POST, "/console/session"), r#"{"token": 7007}"#.to_owned()).await;
    assert_eq!((broken.status, broken.cookie()), (400, None));
    assert!(!broken.body.contains("7007"), "{}", broken.body);
    let cookie = get(&node, "/console/access").insert_header((header::COOKIE, "gaung_console=00ff"));
    assert_eq!(sent(cookie).await.status, 401);
    let open = start(|_| {}).await;
    assert_eq!(login_status(&open).await, (401, None));
}

async fn login_status(node: &TestNode) -> (u16, Option<String>) {
    let answer = login(node, "").await;
    (answer.status, answer.cookie().map(str::to_owned))
}

#[actix_web::test]
async fn a_token_in_the_address_is_taken_out_of_it_right_or_wrong() {
    let node = locked().await;
    let browser = |path: &str| get(&node, path).insert_header((header::ACCEPT, "text/html"));
    let right = sent(browser("/?token=open%20sesame")).await;
    assert_eq!((right.status, right.header(header::LOCATION)), (303, Some("/")));
    assert_eq!(right.cookie(), login(&node, TOKEN).await.cookie());
    let wrong = sent(browser("/?token=sesame")).await;
    assert_eq!((wrong.status, wrong.header(header::LOCATION), wrong.cookie()), (303, Some("/"), None));
}

#[actix_web::test]
async fn probes_and_metrics_ask_nobody_for_a_token() {
    let node = locked().await;
    for path in ["/livez", "/readyz", "/peers", "/metrics"] {
        assert_eq!(sent(get(&node, path).insert_header((header::HOST, "gaung.example"))).await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn the_socket_is_refused_to_pages_from_elsewhere_whatever_they_know() {
    let node = locked().await;
    let elsewhere =
        |request: awc::ws::WebsocketsRequest| request.bearer_auth(TOKEN).origin("https://elsewhere.example");
    assert_eq!(Console::refused(&node, elsewhere).await, 403);
    let own = format!("http://{}", node.node.admin);
    Console::open_with(&node, |request| request.bearer_auth(TOKEN).origin(own)).await;
}
