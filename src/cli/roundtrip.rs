//! `gaung roundtrip`: sends events and hears them, through all that stands between a back end and a browser. It is the
//! test of a deployment, so that its failures say where to look.

use std::{
    cell::Cell,
    future::Future,
    time::{Duration, SystemTime},
};

use clap::value_parser;
use futures_util::future::try_join3;
use gaung::config::Loaded;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    Failure, admin_port, api,
    connection::{Connection, SocketOptions},
    print,
    subscribe::subscribe,
    target::{Target, TargetOptions},
};

const EVENT: &str = "gaung.roundtrip";

/// What to look at when something did not come.
const WHERE_TO_LOOK: &str = "look at the log and /readyz of each node, and whether `gaung peers` lists all nodes on \
                             each: two of them may not hear one another, or one have no way to NATS";

/// Where to, how often and for how long.
#[derive(clap::Args)]
pub(super) struct Roundtrip {
    /// The admin port, which is asked first whether the server is ready: http://127.0.0.1:9601
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Number of events
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=10_000))]
    times: u32,
    /// Timeout of the whole run in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    /// Print {"events":…,"channel":…,"median_ms":…,"longest_ms":…}; no times if the server does not tell them
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketOptions,
    #[command(flatten)]
    target: TargetOptions,
}

/// One of the two sockets, which a load balancer may have given to different nodes.
struct Ear {
    name: &'static str,
    connection: Connection,
    heard: u32,
    /// Milliseconds from the node's acceptance to here.
    latencies: Vec<f64>,
}

/// When everything must be over.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    seconds: u64,
}

impl Roundtrip {
    /// Succeeds if both sockets heard each event, in order and once.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let target = self.target.for_any_app(loaded).resolve(loaded)?;
        let deadline = Deadline { at: Instant::now() + Duration::from_secs(self.timeout), seconds: self.timeout };
        if let Some(admin) = &self.admin {
            let ready = ask_readiness(admin.trim_end_matches('/')).await?;
            if !self.json {
                print(ready)?;
            }
        }
        let channel = format!("private-gaung-roundtrip-{:016x}", rand::random::<u64>());
        let open = |name| Ear::open(name, &target, &self.socket, &channel, deadline);
        let mut first = open("the first socket").await?;
        let mut second = open("the second socket").await?;
        for number in 1..=self.times {
            send(&target, &channel, number, (&mut first, &mut second), deadline).await?;
        }
        let times = Times::of([first.close().await, second.close().await].concat());
        if self.json {
            return print(outcome(self.times, &channel, times.as_ref()));
        }
        print(format_args!("{} events on {channel}: both sockets heard each, in order", self.times))?;
        print(times_text(times.as_ref()))
    }
}

async fn ask_readiness(admin: &str) -> Result<String, Failure> {
    let answer = admin_port::get(&format!("{admin}/readyz")).await?;
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        return Err(Failure::new(format!("the server at {admin} is not ready: {status} {}", answer.body)));
    }
    Ok(format!("{admin} is ready"))
}

/// Posts one event and waits until both have heard it. The next goes out only then: a balancer may give each to another
/// node, and events of several nodes have an order only where one was heard before the next was posted.
async fn send(
    target: &Target,
    channel: &str,
    number: u32,
    (first, second): (&mut Ear, &mut Ear),
    deadline: Deadline,
) -> Result<(), Failure> {
    let data = json!({ "number": number }).to_string();
    let body = json!({"name": EVENT, "channels": [channel], "data": data}).to_string();
    let is_accepted = Cell::new(false);
    let posting = async {
        api::publish(target, body).await?;
        is_accepted.set(true);
        Ok(())
    };
    let all = try_join3(posting, first.hear(number), second.hear(number));
    let in_time = timeout_at(deadline.at, all).await;
    let Ok(result) = in_time else {
        return Err(late(number, is_accepted.get(), [first, second], deadline.seconds));
    };
    result.map(drop)
}

fn late(number: u32, is_accepted: bool, ears: [&mut Ear; 2], seconds: u64) -> Failure {
    if !is_accepted {
        return Failure::new(format!("the server did not answer the trigger of event {number} within {seconds} s"));
    }
    let deaf: Vec<_> = ears.iter().filter(|ear| ear.heard < number).map(|ear| ear.name).collect();
    Failure::new(format!(
        "event {number} was accepted, but {} did not hear it within {seconds} s; {WHERE_TO_LOOK}",
        deaf.join(" and ")
    ))
}

impl Ear {
    async fn open(
        name: &'static str,
        target: &Target,
        socket: &SocketOptions,
        channel: &str,
        deadline: Deadline,
    ) -> Result<Self, Failure> {
        let connection = deadline.within("was not greeted", Connection::open(target, socket)).await;
        let mut ear =
            Self { name, connection: connection.map_err(|failure| failure.of(name))?, heard: 0, latencies: Vec::new() };
        let subscribing = ear.subscribe(target, channel);
        let subscribed = deadline.within("was not subscribed", subscribing).await;
        subscribed.map_err(|failure| failure.of(name))?;
        Ok(ear)
    }

    async fn subscribe(&mut self, target: &Target, channel: &str) -> Result<(), Failure> {
        subscribe(&mut self.connection, channel, "gaung", &target.key, None).await?;
        while self.connection.next().await?.event != "pusher_internal:subscription_succeeded" {}
        Ok(())
    }

    /// Waits for this event, which must be the next one.
    async fn hear(&mut self, number: u32) -> Result<(), Failure> {
        let message = loop {
            let message = self.connection.next().await.map_err(|failure| failure.of(self.name))?;
            if message.is_published() {
                break message;
            }
        };
        let heard = message.member("number").and_then(|number| number.as_u64());
        if message.event != EVENT || heard != Some(u64::from(number)) {
            let what = format!("{} {}", message.event, message.text()).escape_debug().to_string();
            return Err(Failure::new(format!("{} received {what} where event {number} was expected", self.name)));
        }
        self.heard = number;
        self.latencies.extend(message.latency(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()));
        Ok(())
    }

    /// All is heard: how the socket ends is of no interest.
    async fn close(self) -> Vec<f64> {
        let _ = self.connection.close().await;
        self.latencies
    }
}

impl Deadline {
    async fn within<T>(self, late: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let in_time = timeout_at(self.at, work).await;
        in_time.unwrap_or_else(|_| Err(Failure::new(format!("{late} within {} s; {WHERE_TO_LOOK}", self.seconds))))
    }
}

/// Milliseconds from the node's acceptance to a socket.
struct Times {
    median: f64,
    longest: f64,
}

impl Times {
    /// A server that is not ours does not say when it took an event.
    fn of(mut latencies: Vec<f64>) -> Option<Self> {
        latencies.sort_by(f64::total_cmp);
        Some(Self { median: *latencies.get(latencies.len() / 2)?, longest: *latencies.last()? })
    }
}

fn times_text(times: Option<&Times>) -> String {
    let Some(Times { median, longest }) = times else {
        return "the server does not say when it took an event".to_owned();
    };
    format!(
        "from node to socket: median {median:.2} ms, longest {longest:.2} ms (by both machines' clocks; this is no \
         benchmark)"
    )
}

fn outcome(events: u32, channel: &str, times: Option<&Times>) -> Value {
    let mut outcome = json!({"events": events, "channel": channel});
    if let Some(Times { median, longest }) = times {
        outcome["median_ms"] = (*median).into();
        outcome["longest_ms"] = (*longest).into();
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_told_with_what_they_are_worth() {
        assert_eq!(
            times_text(Times::of(vec![3.0, 0.25, 1.0]).as_ref()),
            "from node to socket: median 1.00 ms, longest 3.00 ms (by both machines' clocks; this is no benchmark)"
        );
        assert_eq!(times_text(None), "the server does not say when it took an event");
    }

    #[test]
    fn programs_are_told_the_same() {
        let times = Times::of(vec![3.0, 1.0, 2.0]);
        let expected = json!({"events": 3, "channel": "c", "median_ms": 2.0, "longest_ms": 3.0});
        assert_eq!(outcome(3, "c", times.as_ref()), expected);
        assert_eq!(outcome(1, "c", None), json!({"events": 1, "channel": "c"}));
    }
}
