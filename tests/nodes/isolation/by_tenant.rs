//! What a tenant does with the broadest token that its application could sign, to have something of another tenant.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{
    scene::Spoils,
    world::{CHANNELS, Known, OF_TENANT, Stays, Told, answers, ask, claims, status, token, token_with},
};
use crate::{
    common::event_stream::EventStream,
    harness::{Client, cluster::Cluster, collector::Collector, node::GaungNode},
};

const HEADERS: &str = "X-Tenant-Id: 8\r\ntenant_id: 8\r\nX-Forwarded-User: bob0\r\nCookie: tenant_id=8\r\n";

pub async fn attack(cluster: &Cluster, known: &Known) -> Spoils {
    let mut spoils = Spoils::default();
    for node in &cluster.nodes {
        let mut ear = own_socket(node).await;
        ear.send(json!({"type": "subscribe", "channel": "products.7"})).await;
        spoils.ears.push(Collector::of(ear));
        spoils.told.extend(by_frames(node, known).await);
        spoils.told.extend(at_the_door(node).await);
        spoils.told.extend(by_streams(node, known).await);
    }
    spoils
}

async fn own_socket(node: &GaungNode) -> Client {
    let mut client = node.open(&format!("/ws?tenant_id=7&user_id=eve&token={}", token("7", "eve"))).await;
    assert_eq!(client.next().await["type"], "connected");
    client
}

/// Tokens for tenant 8 that somebody can make who has one of tenant 7's and the secret of another app.
fn forged() -> Vec<String> {
    let (own, wanted) = (token("7", "eve"), claims("8", "bob0"));
    let parts: Vec<&str> = own.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = encode(&wanted);
    let mut forged = vec![
        own.clone(),
        token_with(&wanted, "a-secret"),
        token_with(&wanted, ""),
        token_with(&wanted, "app-key"),
        format!("{}.{payload}.{}", parts[0], parts[2]),
        format!("{}.{payload}.", parts[0]),
        format!("{}.{payload}", parts[0]),
    ];
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None"}),
        json!({"alg": ""}),
        json!({"alg": "hs256"}),
        json!({"alg": "HS512"}),
        json!({"alg": "RS256", "kid": "k"}),
        json!({"alg": "HS256", "kid": "../../dev/null"}),
        json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}),
        json!({"alg": ["HS256", "none"]}),
    ] {
        forged.extend(["", parts[2], "AAAA"].map(|signature| format!("{}.{payload}.{signature}", encode(&header))));
    }
    forged
}

fn frames(known: &Known) -> Vec<Value> {
    let mut frames = Vec::new();
    for channel in OF_TENANT.iter().chain(&CHANNELS) {
        for name in [(*channel).to_owned(), format!("{channel}.7"), format!("7.{channel}"), format!("{channel}\u{0}.7")]
        {
            frames.push(json!({"type": "subscribe", "channel": name}));
            frames.push(json!({"type": "subscribe", "channel": name, "tenant_id": "8", "tenantId": "8"}));
        }
        frames.push(json!({"type": "subscribe", "channel": channel, "since": known.position_of_tenant}));
        frames.push(json!({"type": "unsubscribe", "channel": channel}));
        frames.push(json!({"type": "forged", "channel": channel, "data": {}}));
        frames.push(json!({"event": "client-forged", "channel": channel, "data": {}}));
        frames.push(json!({"event": "pusher:subscribe", "data": {"channel": channel}}));
    }
    for channel in ["*.8", "products.*", "#server-to-user-bob0", "products.7,products.8", "products.8/../7"] {
        frames.push(json!({"type": "subscribe", "channel": channel}));
    }
    frames.push(json!({"type": "subscribe", "channel": ["products.8"]}));
    frames.push(json!({"type": "subscribe", "channel": "products.7", "since": known.position_of_tenant}));
    frames.extend(forged().into_iter().skip(1).map(|token| json!({"type": "token", "token": token})));
    // What the application has signed for others is not this socket's either.
    frames.extend([token("8", "bob0"), token("7", "bob0")].map(|token| json!({"type": "token", "token": token})));
    frames
}

async fn by_frames(node: &GaungNode, known: &Known) -> Vec<Told> {
    let (mut told, mut client) = (Vec::new(), own_socket(node).await);
    for frame in frames(known) {
        client.send(frame.clone()).await;
        let (answer, stays) = answers(&mut client, json!({"type": "ping"}), r#"{"type":"pong"}"#).await;
        assert!(!answer.contains(r#""token_accepted""#), "{frame} was taken: {answer}");
        let is_of_others = |channel: &str| answer.contains(&format!(r#""type":"subscribed","channel":"{channel}""#));
        assert!(!OF_TENANT.iter().chain(&CHANNELS).any(|channel| is_of_others(channel)), "{frame}: {answer}");
        told.push((frame.to_string(), answer));
        if stays == Stays::Closed {
            client = own_socket(node).await;
        }
    }
    told
}

/// Handshakes for tenant 8, or as somebody else.
async fn at_the_door(node: &GaungNode) -> Vec<Told> {
    let own = token("7", "eve");
    let mut queries: Vec<String> = forged().iter().map(|token| format!("tenant_id=8&token={token}")).collect();
    for ids in
        ["tenant_id=8", "tenant_id=8&tenant_id=7", "tenant_id=%38", "tenant_id=7&user_id=bob0", "tenant_id=7%008"]
    {
        queries.push(format!("{ids}&token={own}"));
    }
    queries.push(format!("tenant_id=8&token=&token={own}"));
    let mut told = Vec::new();
    for query in queries {
        let mut client = node.open(&format!("/ws?{query}&resume=0123456789abcdef0123")).await;
        let (answer, stays) = answers(&mut client, json!({"type": "ping"}), r#"{"type":"pong"}"#).await;
        assert_eq!(stays, Stays::Closed, "{query} was let in: {answer}");
        told.push((query.clone(), answer));
        let answer = ask(node, "GET", &format!("/sse?{query}&channels=products.8"), HEADERS, "").await;
        assert!((400..500).contains(&status(&answer)), "{query}: {answer}");
        told.push((query, answer));
    }
    told
}

async fn by_streams(node: &GaungNode, known: &Known) -> Vec<Told> {
    let (own, position) = (token("7", "eve"), format!("products.8:{}", known.position_of_tenant));
    let mut told = Vec::new();
    for channels in [
        "channels=products.8",
        "channels=products.7,products.8",
        "channels=products.7&channel=products.8",
        "channels=private-orders.8",
        "channels=presence-room.8",
        "channels=orders",
        "channel=products.7%2Cproducts.8",
    ] {
        let target = format!("/sse?tenant_id=7&token={own}&{channels}&since={position}");
        let answer = ask(node, "GET", &target, HEADERS, "").await;
        assert!((400..500).contains(&status(&answer)), "{target}: {answer}");
        told.push((target, answer));
    }
    // A position of another channel is no reason to be sent anything of it.
    let socket = TcpStream::connect(node.public.trim_start_matches("http://")).await.expect("the node accepts");
    let target = format!("/sse?tenant_id=7&token={own}&channels=products.7&since={position}");
    let mut stream = EventStream::open_on(socket, &target, &format!("Last-Event-ID: {position}\r\n{HEADERS}")).await;
    let id = stream.expect_greeting().await;
    told.push((target, format!("{id} {}", stream.json().await)));
    told
}
