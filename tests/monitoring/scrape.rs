//! How long a scrape of a node with many apps takes, and how much it reads: `cargo run --release --example scrape 1000`.
//! Every app has had traffic of all kinds and has all limits. The yardstick is a request that reads as many bytes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING};
use gaung::{
    app::App,
    config::{AppSettings, AppsSource, Config},
    node::Node,
    protocol::Close,
};

/// Scrapes of each kind; the median is printed.
const TIMES: usize = 21;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

#[actix_web::main]
async fn main() {
    let apps =
        std::env::args().nth(1).map_or(1_000, |text| text.parse().expect("the first argument is a number of apps"));
    let node = start(apps).await;
    node.registry.all().iter().for_each(|app| use_app(app));
    let yardstick = posted(node.admin).await;
    println!("{apps} apps; yardstick (POST /noop with 1 MB): {:.2} ms", millis(yardstick));
    for (name, accept, encoding) in [
        ("Prometheus", "*/*", "identity"),
        ("Prometheus, gzip", "*/*", "gzip"),
        ("OpenMetrics", OPEN_METRICS, "identity"),
        ("OpenMetrics, gzip", OPEN_METRICS, "gzip"),
    ] {
        let (time, bytes) = scraped(node.admin, accept, encoding).await;
        let ratio = time.as_secs_f64() / yardstick.as_secs_f64();
        println!("{name:18} {:7.2} ms, {ratio:6.2} × the yardstick, {:8} KB", millis(time), bytes / 1_000);
    }
    node.stop().await;
}

async fn start(apps: usize) -> Node {
    let mut config = Config::default();
    (config.server.port, config.admin.port) = (0, 0);
    config.drain.window = Duration::ZERO;
    let limited = |number: usize| AppSettings {
        max_connections: Some(100),
        history_mb: Some(1),
        events_per_second: Some(100),
        reads_per_second: Some(100),
        ..AppSettings::new(format!("key-{number}"), "secret")
    };
    let apps = (0..apps).map(|number| (format!("app-{number}"), limited(number))).collect();
    Node::start(config, AppsSource::Fixed(apps)).await.expect("the node starts")
}

/// Has everything counted once.
fn use_app(app: &App) {
    let outcomes = &app.counters.outcomes;
    Close::ALL.into_iter().for_each(|close| outcomes.count_close(Some(close)));
    for reason in ["subscription", "client_event", "over_quota", "event_rate", "event_invalid", "origin_refused"] {
        outcomes.refusals.count(reason);
    }
    for micros in [700, 3_000, 40_000] {
        outcomes.trigger_seconds.observe(Duration::from_micros(micros));
        outcomes.fan_out_seconds.observe(Duration::from_micros(micros));
    }
}

async fn posted(admin: SocketAddr) -> Duration {
    let body = vec![b'x'; 1_000_000];
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begin = Instant::now();
        let request = awc::Client::default().post(format!("http://{admin}/noop"));
        request.send_body(body.clone()).await.expect("the admin port answers").body().await.expect("an answer");
        times.push(begin.elapsed());
    }
    median(times)
}

async fn scraped(admin: SocketAddr, accept: &str, encoding: &str) -> (Duration, usize) {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let begin = Instant::now();
        let request = awc::Client::default().get(format!("http://{admin}/metrics"));
        let request = request.insert_header((ACCEPT, accept)).insert_header((ACCEPT_ENCODING, encoding));
        let mut answer = request.send().await.expect("the admin port answers");
        bytes = answer.body().limit(64 << 20).await.expect("a scrape").len();
        times.push(begin.elapsed());
    }
    (median(times), bytes)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
