//! Outboxes of clients that speak TLS, over real sockets.

use std::future::ready;

use futures_util::StreamExt;
use rustls::version;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::yield_now,
};
use tokio_rustls::{TlsConnector, client};

use super::*;
use crate::{
    session::wire::Wire,
    tls::folder::{Folder, trusting},
    tls_stream::TlsStream,
};

const LIMIT: usize = 200_000;

/// An outbox whose session's task runs, and its client.
async fn pair(test: &str) -> (Arc<Outbox>, client::TlsStream<TcpStream>) {
    let folder = Folder::with_certificate(test);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = TlsConnector::from(Arc::new(trusting(folder.der(), &[&version::TLS13])));
    let connect = async {
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        connector.connect("localhost".try_into().unwrap(), socket).await.unwrap()
    };
    let accept = async {
        let (socket, _) = listener.accept().await.unwrap();
        TlsStream::accept(folder.load().unwrap().0, socket).await.unwrap()
    };
    let (client, stream) = tokio::join!(connect, accept);
    let transport = Transport::from(stream);
    let socket = transport.socket.clone();
    let outbox = Outbox::of(transport, LIMIT, Encoding::Plain);
    actix::spawn(Wire::new(socket, outbox.clone(), 1_000, &[]).for_each(|_| ready(())));
    (outbox, client)
}

fn numbered(number: usize) -> Bytes {
    frame::text(&format!("{number:010000}"))
}

#[actix::test]
async fn a_client_that_does_not_read_gets_whole_frames_a_close_frame_and_the_end_of_tls() {
    let (outbox, mut client) = pair("outbox-slow").await;
    let mut sent = 0;
    while outbox.closing().is_none() {
        assert!(sent < 10_000, "nothing is ever refused");
        outbox.send(&numbered(sent));
        assert!(outbox.waiting() <= LIMIT, "{} bytes wait", outbox.waiting());
        sent += 1;
        yield_now().await;
    }
    assert_eq!(outbox.closing(), Some(Close::SlowConsumer));
    let mut bytes = Vec::new();
    // A connection that was cut would be an error.
    client.read_to_end(&mut bytes).await.unwrap();
    let close = Framing::WebSocket.last(Close::SlowConsumer);
    let heard = (bytes.len() - close.len()) / numbered(0).len();
    assert!(heard > 0 && heard < sent, "{heard} of {sent}");
    for (number, bytes) in bytes.chunks(numbered(0).len()).enumerate() {
        assert!(bytes == if number < heard { numbered(number) } else { close.clone() }, "frame {number}");
    }
}

#[actix::test]
async fn what_a_client_reads_late_comes_whole_and_in_order() {
    let (outbox, mut client) = pair("outbox-late").await;
    let mut sent = 0;
    while outbox.lag() == Lag::Little {
        assert!(sent < 10_000, "nothing is ever refused");
        outbox.send(&numbered(sent));
        sent += 1;
        yield_now().await;
    }
    for number in 0..sent {
        let mut bytes = vec![0; numbered(0).len()];
        client.read_exact(&mut bytes).await.unwrap();
        assert!(bytes == numbered(number), "frame {number}");
    }
    assert_eq!((outbox.waiting(), outbox.closing()), (0, None));
    outbox.send(&numbered(sent));
    let mut bytes = vec![0; numbered(0).len()];
    client.read_exact(&mut bytes).await.unwrap();
    assert!(bytes == numbered(sent));
}
