//! A session whose client hears it in the body of an HTTP answer: the body, which the server of HTTP sends, and what the
//! session is told of it.

use std::{
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix::AsyncContext;
use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::{FutureExt, Stream};
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

use super::{
    actor::{Admission, Session, SessionProtocol},
    admission::{Asking, UpgradeRequest},
    reader::Incoming,
    refusal::StreamRefusal,
    services::Services,
};
use crate::{
    activity::{Asked, Refusal},
    connection::Connection,
    metrics::MessageRefusal,
    outbox::Outbox,
    tenant::Heard,
};

/// How long the answer may take to send what waits once the session is over.
const LINGER: Duration = Duration::from_secs(3);

/// The body of an answer. The session ends when the body is dropped.
pub struct StreamBody {
    outbox: Arc<Outbox>,
    heard: Heard,
    _session: oneshot::Sender<Infallible>,
}

/// What a session hears of its answer: nothing but the end.
struct AnswerEnd {
    outbox: Arc<Outbox>,
    body: oneshot::Receiver<Infallible>,
    /// What the answer is sent on, if on nothing else.
    connection: Option<Rc<Connection>>,
    linger: Option<Pin<Box<Sleep>>>,
}

/// Admits a client to a stream of server-sent events, and starts its session. The answer's head is to say that nothing
/// follows it on its connection.
pub async fn open(asking: Asking<'_>, services: Rc<Services>) -> Result<StreamBody, StreamRefusal> {
    let request = UpgradeRequest::of_stream(&asking);
    let admission = request.admit_stream(&services).await.inspect_err(|refusal| match refusal {
        StreamRefusal::Close(refusal) => {
            request.count_refusal(&services, refusal.close.name(), || refusal.text.clone());
        }
        StreamRefusal::Invalid(invalid) => {
            let text = invalid.to_string();
            let activity = &services.shared.metrics.activity;
            let refusal = || Refusal::new(Asked::Socket, MessageRefusal::Tenant.label(), &text);
            request.app(&services).iter().for_each(|app| app.refuse(MessageRefusal::Tenant, activity, refusal));
        }
    })?;
    Ok(start(admission, &asking, services))
}

fn start(admission: Admission, asking: &Asking<'_>, services: Rc<Services>) -> StreamBody {
    let outbox = Outbox::of_events(services.shared.limits.max_outbox_bytes);
    let heard = match &admission.protocol {
        SessionProtocol::Stream(stream) => stream.request().heard.clone().unwrap_or_default(),
        SessionProtocol::Pusher(_) | SessionProtocol::Tenant(_) => Heard::default(),
    };
    let (session, body) = oneshot::channel();
    asking.connection.into_iter().for_each(|connection| connection.carry());
    let connection = asking.connection.filter(|_| !asking.is_shared).cloned();
    let end = AnswerEnd { outbox: outbox.clone(), body, connection, linger: None };
    let body = StreamBody { outbox: outbox.clone(), heard, _session: session };
    Session::start_in(admission.turn_in, move |ctx| {
        ctx.add_stream(end);
        Session::new(outbox, admission, services)
    });
    body
}

impl MessageBody for StreamBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let part = ready!(self.outbox.poll_part(ctx));
        Poll::Ready(part.map(|part| Ok(self.heard.stamp(&part))))
    }
}

impl Stream for AnswerEnd {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        if self.body.poll_unpin(ctx).is_ready() {
            return Poll::Ready(None);
        }
        if let Some(linger) = &mut self.linger {
            ready!(linger.as_mut().poll(ctx));
            // The client takes nothing: its answer has no end that it would hear.
            self.connection.iter().for_each(|connection| connection.end());
            return Poll::Ready(None);
        }
        ready!(self.outbox.poll_end(ctx));
        self.linger = Some(Box::pin(sleep(LINGER)));
        ctx.waker().wake_by_ref();
        Poll::Ready(Some(Incoming::Closing))
    }
}

impl Drop for AnswerEnd {
    fn drop(&mut self) {
        self.outbox.abandon();
    }
}
