//! Several nodes around one nats-server.

use std::ops::{Index, IndexMut};

use serde_json::Value;

use super::{AGREEMENT, PATIENCE, nats::NatsServer, node::GaungNode, proxy::Proxy, within};

/// A variable of the environment and its value.
pub type Variable<'a> = (&'a str, &'a str);

/// Nodes that know one another, and what they are made with.
pub struct Cluster {
    pub nats: NatsServer,
    pub nodes: Vec<GaungNode>,
    variables: Vec<(String, String)>,
}

impl Cluster {
    /// So many nodes with these variables, all of them ready and in sight of one another.
    pub async fn start(count: usize, variables: &[Variable<'_>]) -> Self {
        Self::start_around(NatsServer::start().await, count, variables).await
    }

    /// As [`Self::start`], around a nats-server of the test's choice.
    pub async fn start_around(nats: NatsServer, count: usize, variables: &[Variable<'_>]) -> Self {
        let mut cluster = Self::prepare(nats, count, variables);
        cluster.nodes = (0..count).map(|_| cluster.launch(&[])).collect();
        cluster.settle().await;
        cluster
    }

    /// A cluster that has no node yet and expects so many.
    pub fn prepare(nats: NatsServer, count: usize, variables: &[Variable<'_>]) -> Self {
        let (url, name) = (nats.url(), format!("test-{:016x}", rand::random::<u64>()));
        let count = count.to_string();
        let own = [
            ("GAUNG_APP_ID", "app-id"),
            ("GAUNG_APP_KEY", "app-key"),
            ("GAUNG_APP_SECRET", "app-secret"),
            ("GAUNG_DRAIN_SECONDS", "0"),
            ("GAUNG_NATS_URL", &url),
            ("GAUNG_CLUSTER_NAME", &name),
            ("GAUNG_CLUSTER_NODES", &count),
        ];
        Self { nats, nodes: Vec::new(), variables: merge(own.map(owned).into(), variables) }
    }

    /// What the cluster is called.
    pub fn name(&self) -> &str {
        let name = self.variables.iter().find(|(name, _)| name == "GAUNG_CLUSTER_NAME");
        name.map(|(_, value)| value.as_str()).expect("every cluster has a name")
    }

    /// Starts one more node, which need not be ready; these variables come before the cluster's.
    pub fn launch(&self, variables: &[Variable<'_>]) -> GaungNode {
        GaungNode::start(&merge(self.variables.clone(), variables))
    }

    /// Starts one more node whose way to the nats-server leads over a proxy.
    pub async fn launch_behind(&self, variables: &[Variable<'_>]) -> (GaungNode, Proxy) {
        let proxy = Proxy::start(self.nats.port).await;
        let url = proxy.url();
        let node = self.launch(&[&[("GAUNG_NATS_URL", url.as_str())], variables].concat());
        (node, proxy)
    }

    /// Waits until every node is ready and sees as many live nodes as there are.
    pub async fn settle(&self) {
        for node in &self.nodes {
            within(PATIENCE, "all nodes are ready and see one another", || async {
                node.is_ready().await && live(&node.peers().await) == self.nodes.len()
            })
            .await;
        }
    }

    /// Waits until a condition holds on each node.
    pub async fn agree(&self, what: &str, condition: impl AsyncFn(&GaungNode) -> bool) {
        for node in &self.nodes {
            within(AGREEMENT, what, || condition(node)).await;
        }
    }
}

/// How many of these are there and not going.
pub fn live(peers: &[Value]) -> usize {
    peers.iter().filter(|peer| peer["stage"] == "live" && peer["readiness"] == "ready").count()
}

fn owned((name, value): Variable<'_>) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The later one counts where both name a variable; an empty value takes it away.
fn merge(mut variables: Vec<(String, String)>, others: &[Variable<'_>]) -> Vec<(String, String)> {
    variables.retain(|(name, _)| others.iter().all(|(other, _)| other != name));
    variables.extend(others.iter().copied().filter(|(_, value)| !value.is_empty()).map(owned));
    variables
}

impl Index<usize> for Cluster {
    type Output = GaungNode;

    fn index(&self, index: usize) -> &GaungNode {
        &self.nodes[index]
    }
}

impl IndexMut<usize> for Cluster {
    fn index_mut(&mut self, index: usize) -> &mut GaungNode {
        &mut self.nodes[index]
    }
}
