//! An echo over the product's own handshake, frame stream and outbox, for the conformance cases: `echo` prints its
//! address and answers every message with itself.

use std::{convert::Infallible, io, net::TcpListener};

use actix_codec::Framed;
use actix_http::{HttpMessage, HttpService, Request, Response, h1};
use actix_server::Server;
use actix_service::fn_service;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, future::ready};
use gaung::{
    protocol::{Close, deflate::Encoding, frame},
    session::{handshake, reader::Incoming, upgrade::take_over},
};
use tokio::net::TcpStream;

/// The largest message of the cases is 16 MiB.
const MAX_MESSAGE: usize = 16 << 20;

/// The answers to what the cases send before they read.
const MAX_WAITING: usize = 4 * MAX_MESSAGE;

#[actix_web::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let server = Server::build().workers(1).listen("echo", listener, || {
        HttpService::build()
            .upgrade(fn_service(|(request, framed)| echo(request, framed)))
            .finish(fn_service(|_| ready(Ok::<_, Infallible>(Response::not_found()))))
            .tcp()
    });
    server?.run().await
}

async fn echo(request: Request, mut framed: Framed<TcpStream, h1::Codec>) -> Result<(), Infallible> {
    let offers = handshake::offers_compression(request.headers());
    let encoding = if offers { Encoding::Deflate { from_bytes: 0 } } else { Encoding::Plain };
    if !handshake::is_sound(&request) || handshake::accept(&mut framed, &request, None, encoding).await.is_err() {
        return Ok(());
    }
    let (wire, outbox) = take_over(framed, TcpStream::into, encoding, MAX_MESSAGE, MAX_WAITING);
    actix_web::rt::spawn(wire.for_each(move |incoming| {
        match incoming {
            Incoming::Text(text) => outbox.send(&encoding.of(frame::text(&text))),
            Incoming::Binary(payload) => outbox.send(&binary(&payload)),
            Incoming::Ping(payload) => outbox.send(&frame::pong(&payload)),
            Incoming::Close(code) => outbox.close(Close::Echo(code)),
            Incoming::Broken(close) => outbox.close(close),
            Incoming::Pong | Incoming::Part | Incoming::Held(_) | Incoming::Revoked(_) | Incoming::Closing => {}
        }
        ready(())
    }));
    Ok(())
}

/// The product sends text only: a binary frame is a text frame with another opcode.
fn binary(payload: &Bytes) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    frame.put_u8(0x82);
    match payload.len() {
        length @ 0..=125 => frame.put_u8(length as u8),
        length @ 126..=0xFFFF => {
            frame.put_u8(126);
            frame.put_u16(length as u16);
        }
        length => {
            frame.put_u8(127);
            frame.put_u64(length as u64);
        }
    }
    frame.extend_from_slice(payload);
    frame.freeze()
}
