//! What an app does with every right of its own to have something of another: frames, requests, headers, paths.

use gaung::protocol::{
    AppKey, Secret, SocketId,
    signature::{sign_channel, sign_user},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{
    scene::Spoils,
    world::{CHANNELS, Known, OF_TENANT, Stays, Told, answers, ask, key_of_a, signed, status},
};
use crate::{
    common::answer::Answer,
    harness::{Client, cluster::Cluster, collector::Collector, node::GaungNode},
};

/// Method, route and body of everything that is signed.
pub const ROUTES: [(&str, &str, &str); 12] = [
    ("POST", "/apps/{app}/events", r#"{"name":"forged","channels":["orders","presence-room"],"data":"{}"}"#),
    ("POST", "/apps/{app}/batch_events", r#"{"batch":[{"name":"forged","channel":"orders","data":"{}"}]}"#),
    ("GET", "/apps/{app}/channels", ""),
    ("GET", "/apps/{app}/channels/{channel}", ""),
    ("GET", "/apps/{app}/channels/{channel}/users", ""),
    ("GET", "/apps/{app}/channels/{channel}/events", ""),
    ("GET", "/apps/{app}/connections", ""),
    ("POST", "/apps/{app}/users/{user}/terminate_connections", "{}"),
    ("POST", "/apps/{app}/users/{user}/reconnect", "{}"),
    ("POST", "/apps/{app}/users/{user}/unsubscribe", r#"{"channels":["*","private-*","presence-*"]}"#),
    ("POST", "/apps/{app}/tokens/revoke", r#"{"tenant":"8"}"#),
    ("POST", "{base}/users/{user}/terminate_connections", "{}"),
];

/// Routes that nobody signs: what is asked of them is below.
pub const UNSIGNED: [&str; 7] = [
    "{prefix}/app/{key}",
    "{prefix}/ws",
    "{prefix}/sse",
    "{prefix}/{session:(pusher/)?app/.+}/{act:xhr(_streaming|_send)?}",
    "{base}/up",
    "{base}/ready",
    "{base}/",
];

/// What may stand for an app in a path so that it is another one's.
const IDS: [&str; 10] = [
    "app-id",
    "a/../app-id",
    "a/%2e%2e/app-id",
    "a%2F..%2Fapp-id",
    "%61pp-id",
    "app%2Did",
    "app-id%00",
    "app-id;a",
    "APP-ID",
    "a,app-id",
];

const HEADERS: &str = "X-App-Id: app-id\r\nX-App-Key: app-key\r\nX-Forwarded-For: 127.0.0.1\r\n\
    X-Forwarded-Host: app-id\r\nX-Original-URL: /apps/app-id/channels\r\nX-Rewrite-URL: /apps/app-id/channels\r\n\
    X-HTTP-Method-Override: POST\r\nForwarded: for=127.0.0.1;host=app-id\r\nOrigin: http://app-id\r\n\
    Authorization: Bearer app-key\r\nCookie: app=app-id\r\n";

pub async fn attack(cluster: &Cluster, known: &Known) -> Spoils {
    let mut spoils = Spoils::default();
    for node in &cluster.nodes {
        spoils.ears.push(Collector::of(ear(node).await));
        spoils.told.extend(by_frames(node, known).await);
        spoils.told.extend(by_requests(node, known).await);
        spoils.told.extend(in_its_own_app(node, known).await);
        spoils.told.extend(by_other_ways(node, known).await);
        // What A did has closed its own sockets.
        spoils.ears.push(Collector::of(ear(node).await));
    }
    spoils
}

/// Hears everything in app A that has a name of app B's.
async fn ear(node: &GaungNode) -> Client {
    let mut client = node.connect_with_key("a-key").await;
    let id: SocketId = client.id.parse().expect("a socket id");
    for user in ["bea0", "bea1"] {
        let user_data =
            json!({"id": user, "watchlist": ["bea0", "bea1", "ben0"], "channels": ["private-*"]}).to_string();
        let auth = sign_user(&key_of_a(), id, &user_data);
        client.send(json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}})).await;
    }
    for channel in CHANNELS.iter().chain(&OF_TENANT) {
        client.send(subscription(id, channel, &key_of_a(), None)).await;
    }
    client
}

fn subscription(id: SocketId, channel: &str, key: &AppKey, since: Option<&str>) -> Value {
    let member = channel.starts_with("presence-").then(|| json!({"user_id": "bea0"}).to_string());
    let auth = sign_channel(key, id, channel, member.as_deref());
    let mut data = json!({"channel": channel, "auth": auth, "channel_data": member});
    if let Some(since) = since {
        data["since"] = since.into();
    }
    json!({"event": "pusher:subscribe", "data": data})
}

/// Every frame of the Pusher protocol with names of B's, and signatures of A's.
fn frames(own: SocketId, known: &Known) -> Vec<Value> {
    let forged = AppKey { key: "app-key".to_owned(), secret: Secret::new("a-secret") };
    let mut frames = Vec::new();
    for channel in CHANNELS.iter().chain(&OF_TENANT) {
        frames.push(subscription(own, channel, &forged, None));
        frames.push(subscription(own, channel, &forged, Some(&known.position)));
        frames.push(subscription(own, channel, &key_of_a(), Some(&known.position)));
        for socket in &known.sockets {
            let other = socket.parse().expect("a socket id");
            frames.push(subscription(other, channel, &key_of_a(), None));
        }
        frames.push(json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": "signin"}}));
        frames.push(json!({"event": "client-forged", "channel": channel, "data": {"app": "app-id"}}));
        frames.push(json!({"event": "forged", "channel": channel, "data": {}, "app_id": "app-id"}));
        frames
            .push(json!({"event": "pusher:unsubscribe", "data": {"channel": channel, "socket_id": known.sockets[0]}}));
    }
    for channel in ["app-id/orders", "../app-id/orders", "app-id.orders", "#server-to-user-bea0", "*", "private-*"] {
        frames.push(subscription(own, channel, &key_of_a(), None));
    }
    for key in [forged, key_of_a()] {
        let user_data =
            json!({"id": "bea0", "channels": ["*", "private-*"], "watchlist": ["bea0", "ben0"]}).to_string();
        let auth = sign_user(&key, own, &user_data);
        frames.push(json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}}));
    }
    frames
}

async fn by_frames(node: &GaungNode, known: &Known) -> Vec<Told> {
    let mut told = Vec::new();
    let mut client = node.connect_with_key("a-key").await;
    let count = frames(client.id.parse().expect("a socket id"), known).len();
    for number in 0..count {
        let frame = frames(client.id.parse().expect("a socket id"), known).swap_remove(number);
        client.send(frame.clone()).await;
        let ping = json!({"event": "pusher:ping", "data": {}});
        let (answer, stays) = answers(&mut client, ping, "pusher:pong").await;
        told.push((frame.to_string(), answer));
        if stays == Stays::Closed {
            client = node.connect_with_key("a-key").await;
        }
    }
    told
}

/// Every route with the ids of B, signed by A in every way.
async fn by_requests(node: &GaungNode, known: &Known) -> Vec<Told> {
    let forged = AppKey { key: "app-key".to_owned(), secret: Secret::new("a-secret") };
    let mut told = Vec::new();
    for (method, route, body) in ROUTES {
        for id in IDS {
            let fill = |id: &str| {
                let path = route.replace("{app}", id).replace("{base}", "");
                path.replace("{channel}", "presence-room").replace("{user}", "bea0")
            };
            let (path, own) = (fill(id), fill("a"));
            let twice = [("auth_key", "app-key"), ("app_id", "app-id"), ("appId", "app-id")];
            let queries = [
                signed(&key_of_a(), method, &path, &[], body),
                signed(&forged, method, &path, &[], body),
                signed(&key_of_a(), method, &own, &[], body),
                signed(&key_of_a(), method, &path, &twice, body),
                format!("auth_key=app-key&{}", signed(&key_of_a(), method, &path, &[], body)),
                String::new(),
            ];
            for query in queries {
                // Without an app in the path it is the key's, which may be A's own.
                let is_own = route.starts_with("{base}");
                let answer = ask(node, method, &format!("{path}?{query}"), HEADERS, body).await;
                let code = status(&answer);
                assert!(is_own || (400..500).contains(&code), "{method} {path}?{query} was answered with {answer}");
                told.push((format!("{method} {path}"), answer));
            }
        }
    }
    assert!(!known.sockets.is_empty());
    told
}

/// What A may do in its own app, with every name of B's.
async fn in_its_own_app(node: &GaungNode, known: &Known) -> Vec<Told> {
    let mut told = Vec::new();
    let mut own = async |method: &str, path: &str, params: &[(&str, &str)], body: &str| {
        let query = signed(&key_of_a(), method, path, params, body);
        let answer = ask(node, method, &format!("{path}?{query}"), HEADERS, body).await;
        let code = status(&answer);
        told.push((format!("{method} {path} {body}"), answer));
        code
    };
    for socket in &known.sockets {
        let names = json!(CHANNELS.iter().chain(&OF_TENANT).collect::<Vec<_>>());
        let body = json!({"name": "forged", "channels": names, "data": "{}", "socket_id": socket, "app_id": "app-id"});
        assert_eq!(own("POST", "/apps/a/events", &[], &body.to_string()).await, 200);
    }
    for user in ["bea0", "bea1", "ben0", "bob0"] {
        let body = json!({"name": "forged", "channel": format!("#server-to-user-{user}"), "data": "{}"}).to_string();
        own("POST", "/apps/a/events", &[], &body).await;
        for what in ["terminate_connections", "reconnect"] {
            assert_eq!(own("POST", &format!("/apps/a/users/{user}/{what}"), &[], "{}").await, 200);
        }
        let body = r#"{"channels":["*","private-*","presence-*"]}"#;
        assert_eq!(own("POST", &format!("/apps/a/users/{user}/unsubscribe"), &[], body).await, 200);
        assert_eq!(own("POST", &format!("/users/{user}/terminate_connections"), &[], "{}").await, 200);
    }
    for tenant in ["7", "8"] {
        let body = json!({ "tenant": tenant }).to_string();
        assert_eq!(own("POST", "/apps/a/tokens/revoke", &[], &body).await, 400);
    }
    for channel in CHANNELS.iter().chain(&OF_TENANT) {
        own("GET", &format!("/apps/a/channels/{channel}"), &[("info", "subscription_count,user_count,cache")], "")
            .await;
        own("GET", &format!("/apps/a/channels/{channel}/users"), &[("with_user_info", "1")], "").await;
        let since = [("since", known.position.as_str()), ("limit", "1000")];
        own("GET", &format!("/apps/a/channels/{channel}/events"), &since, "").await;
    }
    for channel in ["..%2F..%2Fapp-id%2Fchannels%2Forders", "app-id%2Forders", "%2e%2e"] {
        own("GET", &format!("/apps/a/channels/{channel}"), &[], "").await;
    }
    let cached = json!({"name": "forged", "channel": "cache-news", "data": "\"of a\""}).to_string();
    assert_eq!(own("POST", "/apps/a/events", &[], &cached).await, 200);
    let keyed = json!({"name": "f", "channel": "orders", "data": "{}", "idempotency_key": "same"}).to_string();
    assert_eq!(own("POST", "/apps/a/events", &[], &keyed).await, 200);
    told
}

/// Sessions over HTTP, pages of others, tenants, and what only operators may see.
async fn by_other_ways(node: &GaungNode, known: &Known) -> Vec<Told> {
    let mut told = Vec::new();
    let body = json!([json!({"event": "pusher:subscribe", "data": {"channel": "orders"}}).to_string()]).to_string();
    for base in ["/pusher/app/a-key", "/app/a-key", "/pusher/app/app-key/../a-key", "/pusher/app/a-key/app-key"] {
        let target = format!("{base}/{}/xhr_send?t=1&n=2", known.session);
        let answer = ask(node, "POST", &target, HEADERS, &body).await;
        assert!((400..500).contains(&status(&answer)), "{target}: {answer}");
        told.push((target, answer));
    }
    // The same number and name in another app is another session.
    let target = format!("/pusher/app/a-key/{}/xhr_streaming?protocol=7&t=1&n=1", known.session);
    let request = format!("POST {target} HTTP/1.1\r\nHost: gaung.test\r\nContent-Length: 0\r\n{HEADERS}\r\n");
    let socket = TcpStream::connect(node.public.trim_start_matches("http://")).await.expect("the node accepts");
    let mut stream = Answer::to(socket, &request).await;
    let begin = stream.until("pusher:connection_established").await.expect("a session of its own");
    assert!(begin.contains("o{}"), "{begin}");
    told.push((target, begin));
    let admin = node.admin.trim_start_matches("http://");
    for path in ["metrics", "console", "console/session", "peers", "readyz", "healthz", "livez", "noop", "apps"] {
        for target in [
            format!("/{path}"),
            format!("//{path}"),
            format!("/%2e/{path}"),
            format!("/apps/a/../../{path}"),
            format!("http://{admin}/{path}"),
        ] {
            for method in ["GET", "POST"] {
                let answer = ask(node, method, &target, HEADERS, "").await;
                assert!((400..500).contains(&status(&answer)), "{method} {target}: {answer}");
                told.push((target.clone(), answer));
            }
        }
    }
    for target in ["/up", "/ready", "/", "/app/app-key", "/ws?tenant_id=8", "/sse?tenant_id=8&channels=products.8"] {
        told.push((target.to_owned(), ask(node, "GET", target, HEADERS, "").await));
    }
    // Pages are an app's: the id of one names nothing in another.
    for socket in &known.sockets {
        let id = socket.replace('.', "-");
        let mut client = node.open(&format!("/app/a-key/{id:0<20}?protocol=7&app_id=app-id")).await;
        let ping = json!({"event": "pusher:ping", "data": {}});
        let (answer, _) = answers(&mut client, ping, "pusher:pong").await;
        assert!(!answer.contains(socket), "{id} is given a socket of another app: {answer}");
        told.push((id, answer));
    }
    told
}
