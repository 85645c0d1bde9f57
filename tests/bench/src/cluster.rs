//! Nodes that are one server, over a nats-server of their own.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    BenchError, Options,
    broker::{Broker, Flow},
    child::Child,
    http,
    target::Target,
};

/// How long nodes may take until they are ready, or agree.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// For how long a cluster is watched doing nothing, to know what its beats take: several of them.
const IDLE: Duration = Duration::from_secs(3);

/// Nodes and what carries messages between them.
#[derive(Debug)]
pub struct Cluster {
    // Ended before the broker, so that none of them complains of its loss.
    nodes: Vec<Child>,
    broker: Broker,
}

/// Payload bytes on the bus, by node.
#[derive(Debug, Clone)]
pub struct Traffic {
    at: Instant,
    flows: Vec<Flow>,
}

/// Bytes that went over the bus in some time, by node, without what beats would have taken in that time.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossed {
    /// What each node published.
    pub published: Vec<f64>,
    /// What each node received.
    pub received: Vec<f64>,
}

impl Cluster {
    /// `count` nodes, ready, with `variables` beside those of the options.
    pub fn start(
        broker: Broker,
        count: usize,
        options: &Options,
        variables: &[(&str, &str)],
    ) -> Result<Self, BenchError> {
        let url = format!("nats://{}", broker.clients);
        let variables = [&[("GAUNG_NATS_URL", url.as_str())], variables].concat();
        let mut cluster = Self { nodes: Vec::new(), broker };
        // One after the other, so that the broker's connections have the order of the nodes.
        for _ in 0..count {
            let node = Child::server_with(options, &variables)?;
            await_equal(&node.target, "nodes ready", 1, || is_ready(&node.target))?;
            cluster.nodes.push(node);
        }
        Ok(cluster)
    }

    /// The nodes.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.nodes.iter().map(|node| &node.target)
    }

    /// One of the nodes.
    pub fn target(&self, index: usize) -> &Target {
        &self.nodes[index].target
    }

    /// Waits until every node says that the presence channel has `count` members.
    pub fn await_members(&self, count: u64) -> Result<(), BenchError> {
        self.targets()
            .try_for_each(|node| await_equal(node, "members of the presence channel", count, || members(node)))
    }

    /// What has crossed the bus so far.
    pub fn traffic(&self) -> Result<Traffic, BenchError> {
        let flows = self.broker.flows()?;
        if flows.len() != self.nodes.len() {
            let problem = format!("{} connections to nats-server instead of {}", flows.len(), self.nodes.len());
            return Err(BenchError::Start(problem));
        }
        Ok(Traffic { at: Instant::now(), flows })
    }

    /// What the bus carries while nothing happens, to be taken from what it carries otherwise.
    pub fn idle(&self) -> Result<Idle, BenchError> {
        let before = self.traffic()?;
        thread::sleep(IDLE);
        Ok(Idle { before, after: self.traffic()? })
    }
}

/// Two looks at a cluster that does nothing.
#[derive(Debug, Clone)]
pub struct Idle {
    before: Traffic,
    after: Traffic,
}

impl Idle {
    /// What crossed the bus between the two looks, without what it carries in that time anyway. Pure.
    pub fn crossed(&self, before: &Traffic, after: &Traffic) -> Crossed {
        let share = after.seconds_since(before) / self.after.seconds_since(&self.before);
        let column = |bytes: fn(&Flow) -> u64| {
            let (grown, idle) = (after.grown(before, bytes), self.after.grown(&self.before, bytes));
            grown.zip(idle).map(|(grown, idle)| grown - idle * share).collect()
        };
        Crossed { published: column(|flow| flow.published), received: column(|flow| flow.received) }
    }
}

impl Traffic {
    fn seconds_since(&self, before: &Traffic) -> f64 {
        self.at.duration_since(before.at).as_secs_f64()
    }

    fn grown(&self, before: &Traffic, bytes: fn(&Flow) -> u64) -> impl Iterator<Item = f64> {
        self.flows.iter().zip(&before.flows).map(move |(after, before)| bytes(after) as f64 - bytes(before) as f64)
    }
}

impl Crossed {
    /// All bytes: published and received by anybody.
    pub fn total(&self) -> f64 {
        self.published.iter().chain(&self.received).sum()
    }
}

/// Asks until the answer is `expected`.
fn await_equal(
    node: &Target,
    what: &'static str,
    expected: u64,
    mut ask: impl FnMut() -> Result<u64, BenchError>,
) -> Result<(), BenchError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let actual = ask()?;
        if actual == expected {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(BenchError::Disagrees { node: node.public, what, actual, expected });
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn is_ready(node: &Target) -> Result<u64, BenchError> {
    Ok(u64::from(http::status(node.admin, "/readyz")? == 200))
}

fn members(node: &Target) -> Result<u64, BenchError> {
    let Some(query) = node.count_members() else { return Ok(0) };
    let answer: Value = serde_json::from_slice(&http::get(node.public, &query)?).unwrap_or_default();
    Ok(answer["user_count"].as_u64().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(start: Instant, seconds: u64, bytes: [(u64, u64); 2]) -> Traffic {
        let flows = bytes.map(|(published, received)| json_flow(published, received)).to_vec();
        Traffic { at: start + Duration::from_secs(seconds), flows }
    }

    fn json_flow(published: u64, received: u64) -> Flow {
        let flow = serde_json::json!({"cid": 1, "in_bytes": published, "out_bytes": received});
        serde_json::from_value(flow).unwrap()
    }

    #[test]
    fn what_beats_take_is_not_counted() {
        let start = Instant::now();
        let idle = Idle { before: traffic(start, 0, [(0, 0), (0, 0)]), after: traffic(start, 2, [(20, 40), (0, 60)]) };
        let crossed = idle.crossed(&traffic(start, 2, [(20, 40), (0, 60)]), &traffic(start, 3, [(130, 60), (0, 190)]));
        assert_eq!(crossed, Crossed { published: vec![100.0, 0.0], received: vec![0.0, 100.0] });
        assert_eq!(crossed.total(), 200.0);
    }
}
