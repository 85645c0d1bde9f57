//! A client of server-sent events at a node of these tests.

use tokio::net::TcpStream;

pub use crate::common::event_stream::{EventStream, Received, read};
use crate::harness::TestNode;

impl EventStream<TcpStream> {
    /// Asks for a path as a browser does, with more headers, each with its line end.
    pub async fn open(node: &TestNode, path: &str, headers: &str) -> Self {
        let socket = TcpStream::connect(node.node.public).await.expect("the node accepts");
        Self::open_on(socket, path, headers).await
    }

    /// A stream of tenant 7 that was admitted and greeted. `query` begins with `channels=`.
    pub async fn greeted(node: &TestNode, query: &str) -> Self {
        Self::greeted_with(node, query, "").await
    }

    /// The same with more headers.
    pub async fn greeted_with(node: &TestNode, query: &str, headers: &str) -> Self {
        let mut stream = Self::open(node, &format!("/sse?tenant_id=7&{query}"), headers).await;
        stream.expect_greeting().await;
        stream
    }
}
