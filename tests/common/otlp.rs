//! A collector of OpenTelemetry: takes OTLP over HTTP as protobuf, and keeps what it was told.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use actix_web::rt::spawn;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::request;

/// The trace and the span of the caller that tests name in their requests.
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const CALLER: &str = "00f067aa0ba902b7";
pub const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// A running collector.
pub struct Collector {
    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    book: Rc<Book>,
}

struct Book {
    status: Cell<u16>,
    refused: Cell<usize>,
    heads: RefCell<Vec<String>>,
    bodies: RefCell<Vec<Vec<u8>>>,
}

/// A span with what its process says of itself.
#[derive(Debug, Clone)]
pub struct Told {
    span: Span,
    resource: Vec<KeyValue>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (heads, bodies) = (RefCell::default(), RefCell::default());
        let book = Rc::new(Book { status: Cell::new(200), refused: Cell::new(0), heads, bodies });
        let collector = Self { endpoint, book: book.clone() };
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(serve(stream, book.clone()));
            }
        });
        collector
    }

    /// From now on every request is answered with this status; only what is answered with 200 is taken.
    pub fn answer_with(&self, status: u16) {
        self.book.status.set(status);
    }

    /// How many requests were not taken.
    pub fn refused(&self) -> usize {
        self.book.refused.get()
    }

    /// The heads of the requests that were taken, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.book.heads.borrow().clone()
    }

    /// Whether these bytes stand in anything that was taken.
    pub fn has_heard(&self, text: &str) -> bool {
        let bodies = self.book.bodies.borrow();
        bodies.iter().any(|body| body.windows(text.len()).any(|bytes| bytes == text.as_bytes()))
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Told> {
        self.book.bodies.borrow().iter().flat_map(|body| spans(body)).collect()
    }

    /// The spans of this name.
    pub fn named(&self, name: &str) -> Vec<Told> {
        self.spans().into_iter().filter(|told| told.span.name == name).collect()
    }
}

impl Told {
    pub fn name(&self) -> &str {
        &self.span.name
    }

    pub fn trace(&self) -> String {
        hex::encode(&self.span.trace_id)
    }

    pub fn id(&self) -> String {
        hex::encode(&self.span.span_id)
    }

    /// The span above it; empty if there is none.
    pub fn parent(&self) -> String {
        hex::encode(&self.span.parent_span_id)
    }

    /// `Server`, `Client`, `Producer`, `Consumer` or `Internal`.
    pub fn kind(&self) -> String {
        format!("{:?}", self.span.kind())
    }

    /// An attribute as text; empty if it has none of this name.
    pub fn attribute(&self, key: &str) -> String {
        text(&self.span.attributes, key)
    }

    /// What its process says of itself.
    pub fn resource(&self, key: &str) -> String {
        text(&self.resource, key)
    }

    pub fn has_failed(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == 2)
    }

    /// Beginning and end, in nanoseconds since 1970.
    pub fn times(&self) -> (u64, u64) {
        (self.span.start_time_unix_nano, self.span.end_time_unix_nano)
    }
}

fn spans(body: &[u8]) -> Vec<Told> {
    let request = ExportTraceServiceRequest::decode(body).expect("the body is a request of OTLP");
    let mut told = Vec::new();
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.expect("spans have a resource").attributes;
        let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        told.extend(spans.map(|span| Told { span, resource: resource.clone() }));
    }
    told
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let attribute = attributes.iter().find(|attribute| attribute.key == key);
    match attribute.and_then(|attribute| attribute.value.clone()?.value) {
        None => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => panic!("{key} is {other:?}"),
    }
}

async fn serve(mut stream: TcpStream, book: Rc<Book>) {
    while let Some((head, body)) = request::read(&mut stream).await {
        let status = book.status.get();
        if status == 200 {
            book.heads.borrow_mut().push(head);
            book.bodies.borrow_mut().push(body);
        } else {
            book.refused.set(book.refused.get() + 1);
        }
        let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
