//! HTTP/2, which clients may choose on a port with TLS. actix-http's own server announces no limit of streams, keeps none, and
//! waits for ever for a client that takes nothing of its answer.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use actix_http::{
    BoxedPayloadStream, ConnectionType, HttpMessage, Payload, Request, Response,
    body::{BodySize, BoxBody, MessageBody},
    error::PayloadError,
    header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderValue, HttpDate, TRANSFER_ENCODING, UPGRADE},
};
use actix_service::Service;
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt,
    stream::{self, FuturesUnordered},
};
use h2::{
    Reason, RecvStream, SendStream,
    server::{self, SendResponse},
};
use http::Method;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::connection::{self, guard::Guarded};

/// Requests of one connection that are under way, as announced in `MAX_CONCURRENT_STREAMS`.
pub(super) const STREAMS: usize = 100;

/// What may be under way of one request's body until it is read.
const STREAM_WINDOW: u32 = 65_535;

/// What may be under way of all bodies of a connection until they are read.
const CONNECTION_WINDOW: u32 = 262_144;

/// The headers of one request.
const MAX_HEADER_BYTES: u32 = 65_536;

/// What may wait of one answer.
const MAX_ANSWER_BYTES: usize = 65_536;

/// One frame's part of an answer.
const PIECE_BYTES: usize = 16_384;

/// How long the last frames of a connection may take.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client may take over what.
pub(super) struct Patience<I> {
    /// The preface.
    pub handshake: Duration,
    /// Asking for nothing; looked up whenever nothing is under way.
    pub idle: I,
    /// Taking nothing of an answer.
    pub answer: Duration,
}

/// Whether the connection may go on after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
}

/// What a connection waits for.
enum Event {
    Asked(Box<(http::Request<RecvStream>, SendResponse<Bytes>)>),
    /// Nothing is under way any more.
    Quiet,
    Ended,
}

type Connection<T> = server::Connection<T, Bytes>;

/// Serves a connection to its end.
pub(super) async fn serve<T, S, R, B>(guarded: Guarded<T>, service: &S, patience: Patience<impl Fn() -> Duration>)
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request, Response = R>,
    S::Error: Into<Response<BoxBody>>,
    R: Into<Response<B>>,
    B: MessageBody + 'static,
{
    let counted = guarded.connection().clone();
    let handshake = timeout(patience.handshake, limits().handshake(guarded));
    let Ok(Ok(mut connection)) = handshake.await else { return };
    let mut under_way = FuturesUnordered::new();
    loop {
        let is_quiet = under_way.is_empty();
        let event = poll_fn(|ctx| {
            while let Poll::Ready(Some(next)) = under_way.poll_next_unpin(ctx) {
                if next == Next::Leave {
                    connection.graceful_shutdown();
                }
            }
            if under_way.is_empty() && !is_quiet {
                return Poll::Ready(Event::Quiet);
            }
            // A stream that its client has reset counts no more in HTTP/2, but its request is still under way here.
            if under_way.len() >= STREAMS {
                return connection.poll_closed(ctx).map(|_| Event::Ended);
            }
            connection.poll_accept(ctx).map(|asked| match asked {
                Some(Ok(asked)) => Event::Asked(Box::new(asked)),
                Some(Err(_)) | None => Event::Ended,
            })
        });
        let event = if is_quiet { timeout((patience.idle)(), event).await } else { Ok(event.await) };
        match event {
            Ok(Event::Asked(asked)) => {
                let (request, respond) = *asked;
                let is_head = request.method() == Method::HEAD;
                let response = service.call(translate(request, &counted));
                under_way.push(answer(response, respond, is_head, patience.answer));
            }
            Ok(Event::Quiet) => {}
            Ok(Event::Ended) => return,
            Err(_) => return leave(connection).await,
        }
    }
}

fn limits() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS as u32)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buffer_size(MAX_ANSWER_BYTES);
    builder
}

/// Tells the client that no further request is taken.
async fn leave<T: AsyncRead + AsyncWrite + Unpin>(mut connection: Connection<T>) {
    connection.graceful_shutdown();
    // Whatever comes of it, the connection has ended.
    let _ = timeout(LINGER, poll_fn(|ctx| connection.poll_closed(ctx))).await;
}

/// The library keeps what is known of a connection where only its own servers can put it; so it stands beside the request.
fn translate(request: http::Request<RecvStream>, connection: &Rc<connection::Connection>) -> Request {
    let (parts, body) = request.into_parts();
    let payload: BoxedPayloadStream = Box::pin(pieces(body));
    let mut request = Request::with_payload(Payload::Stream { payload });
    let head = request.head_mut();
    head.uri = parts.uri;
    head.method = parts.method;
    head.version = parts.version;
    head.headers = parts.headers.into();
    head.peer_addr = connection.peer();
    request.extensions_mut().insert(connection.clone());
    request
}

/// The client may send as much again as was read.
fn pieces(body: RecvStream) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    stream::unfold(body, async |mut body| {
        let piece = body.data().await?.map_err(|_| PayloadError::Incomplete(None));
        if let Ok(bytes) = &piece {
            // Fails only where the stream has ended.
            let _ = body.flow_control().release_capacity(bytes.len());
        }
        Some((piece, body))
    })
}

/// Sends what the application answers. A client that takes nothing of it for too long loses its stream.
async fn answer<R, E, B>(
    response: impl Future<Output = Result<R, E>>,
    mut respond: SendResponse<Bytes>,
    is_head: bool,
    patience: Duration,
) -> Next
where
    R: Into<Response<B>>,
    E: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let response = match response.await {
        Ok(response) => response.into().map_into_boxed_body(),
        Err(error) => error.into(),
    };
    let next = match response.head().connection_type() {
        ConnectionType::Close => Next::Leave,
        ConnectionType::KeepAlive | ConnectionType::Upgrade => Next::Stay,
    };
    let (head, body) = response.into_parts();
    let is_over = is_head || matches!(body.size(), BodySize::None | BodySize::Sized(0));
    if let Ok(mut stream) = respond.send_response(head_of(&head, body.size()), is_over)
        && !is_over
        && send(&mut stream, body, patience).await.is_none()
    {
        stream.send_reset(Reason::CANCEL);
    }
    next
}

fn head_of(response: &Response<()>, size: BodySize) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    let headers = head.headers_mut();
    for (name, value) in response.headers() {
        // What is about the connection has no place in HTTP/2 (RFC 9113 §8.2.2).
        if ![CONNECTION, TRANSFER_ENCODING, UPGRADE].contains(name) {
            headers.append(name, value.clone());
        }
    }
    if let BodySize::Sized(bytes) = size {
        headers.insert(CONTENT_LENGTH, bytes.into());
    }
    if let Ok(date) = HeaderValue::from_str(&HttpDate::from(SystemTime::now()).to_string()) {
        headers.insert(DATE, date);
    }
    head
}

/// `None` if the stream has ended, or the client takes nothing.
async fn send(stream: &mut SendStream<Bytes>, body: impl MessageBody, patience: Duration) -> Option<()> {
    let mut body = pin!(body);
    // A body may be long in coming: whoever does not want it any more says so.
    let mut next = |stream: &mut SendStream<Bytes>, ctx: &mut Context<'_>| match stream.poll_reset(ctx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => body.as_mut().poll_next(ctx),
    };
    while let Some(piece) = poll_fn(|ctx| next(stream, ctx)).await {
        let mut piece = piece.ok()?;
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len().min(PIECE_BYTES));
            let room = timeout(patience, poll_fn(|ctx| stream.poll_capacity(ctx))).await.ok()??.ok()?;
            stream.send_data(piece.split_to(room.min(piece.len())), false).ok()?;
        }
    }
    stream.send_data(Bytes::new(), true).ok()
}
