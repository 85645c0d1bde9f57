//! How sockets spread over nodes that close some of theirs, behind balancers of several kinds.

use std::mem;

use super::*;

const RULES: RebalanceConfig = RebalanceConfig { above: 1.2, per_second: 0.01 };

/// Where the sockets that were closed come back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Balancer {
    /// Any node.
    Random,
    /// The node with the fewest sockets.
    Fewest,
    /// The node where they were.
    Sticky,
}

struct Node {
    rebalancing: Rebalancing,
    sockets: u64,
    moved: u64,
}

/// Nodes that look once a second; what they close is back a second later.
struct Fleet {
    nodes: Vec<Node>,
    balancer: Balancer,
    now: Instant,
    random: u64,
    underway: Vec<usize>,
}

impl Fleet {
    fn new(sockets: &[u64], balancer: Balancer, seed: u64) -> Self {
        let node = |sockets: &u64| Node { rebalancing: Rebalancing::new(RULES), sockets: *sockets, moved: 0 };
        let nodes = sockets.iter().map(node).collect();
        Self { nodes, balancer, now: Instant::now(), random: seed * 2 + 1, underway: Vec::new() }
    }

    fn any(&mut self) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % self.nodes.len()
    }

    fn come_back(&mut self, from: usize) {
        let fewest = (0..self.nodes.len()).min_by_key(|node| self.nodes[*node].sockets).expect("there are nodes");
        let to = match self.balancer {
            Balancer::Random => self.any(),
            Balancer::Fewest => fewest,
            Balancer::Sticky => from,
        };
        self.nodes[to].sockets += 1;
    }

    fn pass(&mut self, seconds: u64, is_steady: bool) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            mem::take(&mut self.underway).into_iter().for_each(|from| self.come_back(from));
            let counts: Vec<u64> = self.nodes.iter().map(|node| node.sockets).collect();
            for (index, node) in self.nodes.iter_mut().enumerate() {
                let others = counts.iter().enumerate().filter(|(other, _)| *other != index);
                let others: Vec<_> =
                    others.map(|(other, sockets)| (NodeId::from_bits(other as u64), *sockets)).collect();
                let look = Look { now: self.now, sessions: node.sockets, others: &others, is_steady };
                let closed = node.rebalancing.look(&look);
                assert!(closed <= node.sockets.div_ceil(100), "{closed} of {}", node.sockets);
                node.sockets -= closed;
                node.moved += closed;
                self.underway.extend((0..closed).map(|_| index));
            }
        }
    }

    fn moved(&self) -> u64 {
        self.nodes.iter().map(|node| node.moved).sum()
    }

    /// By how much the node that is furthest from the mean is away from it.
    fn spread(&self) -> f64 {
        let mean = self.nodes.iter().map(|node| node.sockets).sum::<u64>() as f64 / self.nodes.len() as f64;
        self.nodes.iter().map(|node| (node.sockets as f64 / mean - 1.0).abs()).fold(0.0, f64::max)
    }

    fn stages(&self) -> Vec<Stage> {
        self.nodes.iter().map(|node| node.rebalancing.stage()).collect()
    }
}

#[test]
fn sockets_move_to_nodes_that_were_added_until_all_have_about_the_same_and_then_no_more() {
    for (balancer, seed) in [(Balancer::Fewest, 0), (Balancer::Random, 1), (Balancer::Random, 2), (Balancer::Random, 3)]
    {
        let mut fleet = Fleet::new(&[1_000, 1_000, 1_000, 0, 0], balancer, seed);
        fleet.pass(31, true);
        assert_eq!(fleet.moved(), 0, "it waits for 30 s");
        fleet.pass(400, true);
        assert!(fleet.spread() < 0.1, "{balancer:?}: {}", fleet.spread());
        let moved = fleet.moved();
        fleet.pass(3_600, true);
        assert_eq!((fleet.moved(), fleet.stages()), (moved, vec![Stage::Even; 5]), "{balancer:?}");
    }
}

#[test]
fn thirty_nodes_of_which_ten_are_new_come_to_rest_and_stay_there() {
    for balancer in [Balancer::Fewest, Balancer::Random] {
        let sockets: Vec<u64> = (0..30).map(|node| if node < 20 { 3_000 } else { 0 }).collect();
        let mut fleet = Fleet::new(&sockets, balancer, 7);
        fleet.pass(1_200, true);
        assert!(fleet.spread() < 0.1, "{balancer:?}: {}", fleet.spread());
        let moved = fleet.moved();
        fleet.pass(7_200, true);
        assert_eq!(fleet.moved(), moved, "{balancer:?}");
    }
}

#[test]
fn chance_alone_moves_nothing() {
    for seed in 0..20 {
        let mut fleet = Fleet::new(&[0; 30], Balancer::Random, seed);
        (0..30 * 50).for_each(|_| fleet.come_back(0));
        fleet.pass(600, true);
        assert_eq!(fleet.moved(), 0, "seed {seed}: {}", fleet.spread());
    }
}

#[test]
fn where_sockets_come_back_to_the_node_that_closed_them_it_closes_no_more_and_says_so() {
    let mut fleet = Fleet::new(&[1_000, 1_000, 0], Balancer::Sticky, 0);
    fleet.pass(90, true);
    assert_eq!(fleet.stages(), [Stage::Futile, Stage::Futile, Stage::Even]);
    let moved = fleet.moved();
    assert!(moved > 0);
    fleet.pass(500, true);
    assert_eq!(fleet.moved(), moved);
    // It is tried again after ten minutes.
    fleet.pass(200, true);
    assert!(fleet.moved() > moved);
}

#[test]
fn nothing_moves_while_nodes_come_or_go_and_what_was_seen_before_counts_no_more() {
    let mut fleet = Fleet::new(&[1_000, 0], Balancer::Fewest, 0);
    fleet.pass(600, false);
    fleet.pass(20, true);
    fleet.pass(1, false);
    fleet.pass(30, true);
    assert_eq!((fleet.moved(), fleet.stages()), (0, vec![Stage::Waiting, Stage::Even]));
    fleet.pass(1, true);
    assert_eq!((fleet.moved(), fleet.stages()), (10, vec![Stage::Moving, Stage::Even]));
    // Another node comes.
    fleet.nodes.push(Node { rebalancing: Rebalancing::new(RULES), sockets: 0, moved: 0 });
    fleet.pass(31, true);
    assert_eq!(fleet.moved(), 10);
    fleet.pass(10, true);
    assert!(fleet.moved() > 10);
}

#[test]
fn a_node_that_is_alone_keeps_its_sockets() {
    let mut fleet = Fleet::new(&[1_000], Balancer::Fewest, 0);
    fleet.pass(600, true);
    assert_eq!(fleet.moved(), 0);
}
