//! A TCP balancer: it gives each connection to the next of its nodes in turn.

use actix::spawn;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// Listens until the test ends; returns `http://…`.
pub async fn start(nodes: &[&str]) -> String {
    let nodes: Vec<String> = nodes.iter().map(|origin| origin.replace("http://", "")).collect();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    spawn(async move {
        for node in nodes.iter().cycle() {
            let Ok((mut client, _)) = listener.accept().await else { return };
            let Ok(mut server) = TcpStream::connect(node).await else { continue };
            // Either side may end the connection in any way.
            spawn(async move { copy_bidirectional(&mut client, &mut server).await.map(drop) });
        }
    });
    format!("http://{address}")
}
