//! A TCP balancer: it gives each connection to the next of its nodes in turn.

use std::{cell::RefCell, rc::Rc};

use actix::spawn;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// A balancer that listens until the test ends.
pub struct Balancer {
    /// Where it listens: `http://…`.
    pub origin: String,
    nodes: Rc<RefCell<Vec<String>>>,
}

impl Balancer {
    pub async fn start(nodes: &[&str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("it is bound"));
        let balancer = Self { origin, nodes: Rc::default() };
        nodes.iter().for_each(|node| balancer.add(node));
        spawn(balance(listener, balancer.nodes.clone()));
        balancer
    }

    /// From now on this node is given connections too.
    pub fn add(&self, node: &str) {
        self.nodes.borrow_mut().push(node.replace("http://", ""));
    }

    /// From now on this node is given no more connections; those that it has, it keeps.
    pub fn remove(&self, node: &str) {
        let address = node.replace("http://", "");
        self.nodes.borrow_mut().retain(|node| *node != address);
    }
}

async fn balance(listener: TcpListener, nodes: Rc<RefCell<Vec<String>>>) {
    for turn in 0.. {
        let Ok((mut client, _)) = listener.accept().await else { return };
        let node = {
            let nodes = nodes.borrow();
            nodes[turn % nodes.len()].clone()
        };
        let Ok(mut server) = TcpStream::connect(node).await else { continue };
        // Either side may end the connection in any way.
        spawn(async move { copy_bidirectional(&mut client, &mut server).await.map(drop) });
    }
}
