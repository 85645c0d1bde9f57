//! The answer to a client that wants to be sent something: the body, and how it comes to its session.

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
use futures_util::FutureExt;
use tokio::time::{Instant, Sleep, sleep};

use super::{
    QUIET, XhrKey,
    path::{Act, XhrPath},
    sessions::Polled,
    shared::{Phase, XhrSession},
    wire::XhrWire,
};
use crate::{
    connection::Connection,
    outbox::{Outbox, closing::ClientProtocol},
    protocol::{
        Close,
        xhr::{ALIVE, Lines, NOTHING_CAME, OPEN, PADDING, units},
    },
    session::{
        actor::{Admission, Session},
        admission::{Asking, UpgradeRequest},
        pace::Pace,
        services::Services,
    },
};

/// How long the client of a page may take to give this session up. It tries HTTP where a socket is slow to open; if that opens
/// at the same moment, the session must not take its page away.
const SECOND_THOUGHTS: Duration = Duration::from_secs(1);

/// What one piece of an answer has at most, and a bit.
const PIECE: usize = 65_536;

/// The body of one answer.
pub struct ReceiveBody {
    session: Arc<XhrSession>,
    number: u64,
    is_poll: bool,
    opening: Bytes,
    /// UTF-16 units so far.
    units: usize,
    quiet: Pin<Box<Sleep>>,
    is_over: bool,
    /// A connection on which nothing else is under way: its end is that of the client.
    connection: Option<Rc<Connection>>,
}

/// What a client is answered.
pub enum Received {
    /// What its session has for it, as it comes.
    Body(ReceiveBody),
    /// What the node of its session had for it.
    Lines(Bytes),
}

/// Answers a client: with what its session has for it, with a new session, or with why there is none.
pub async fn receive(asking: Asking<'_>, path: &XhrPath<'_>, number: Option<u64>, services: Rc<Services>) -> Received {
    let (sessions, key) = (&services.shared.xhr, path.key());
    if let Some(session) = sessions.find(&key) {
        return Received::Body(ReceiveBody::attach(session, false, number, (&asking, path)));
    }
    if path.act == Act::Poll {
        let connection = asking.connection.filter(|_| !asking.is_shared);
        connection.iter().for_each(|connection| connection.await_answer());
        let polled = sessions.poll_elsewhere(&key, number).await;
        connection.iter().for_each(|connection| connection.has_answered());
        if let Some(Polled::Lines(lines)) = polled {
            return Received::Lines(lines);
        }
    }
    Received::Body(begin(asking, path, number, services.clone()).await)
}

/// Begins a session, unless another node has it.
async fn begin(asking: Asking<'_>, path: &XhrPath<'_>, number: Option<u64>, services: Rc<Services>) -> ReceiveBody {
    let (sessions, key) = (&services.shared.xhr, path.key());
    let attached = |session: Arc<XhrSession>, opening| ReceiveBody::attach(session, opening, number, (&asking, path));
    let request = UpgradeRequest::of_xhr(&asking, path);
    let limits = &services.shared.limits;
    let session = XhrSession::new(Outbox::new(limits.max_outbox_bytes), limits.max_frame_bytes, number);
    let admission = match request.admit(&services).await {
        Ok(admission) => admission,
        Err(refusal) => {
            request.count_refusal(&services, refusal.close.name(), || refusal.text.clone());
            refusal.send(&session.outbox);
            return attached(session, true);
        }
    };
    // Asked only now: whoever is refused costs the other nodes nothing.
    if sessions.moves_here(&key).await {
        ClientProtocol::Pusher.close(&session.outbox, Close::Moved);
        return attached(session, false);
    }
    match sessions.insert(key, session.clone()) {
        Ok(()) => {
            start(admission, key, session.clone(), &services);
            attached(session, true)
        }
        // Another request of the same session was quicker.
        Err(first) => attached(first, false),
    }
}

fn start(admission: Admission, key: XhrKey, session: Arc<XhrSession>, services: &Rc<Services>) {
    let shared = &services.shared;
    let pace = Pace::new(
        admission.app_permit.app().clone(),
        shared.rooms.inflow().clone(),
        shared.started,
        admission.penalties.clone(),
    );
    let wire = XhrWire::new(key, session.clone(), shared.xhr.clone(), pace);
    let services = services.clone();
    let turn_in = admission.page.as_ref().map_or(admission.turn_in, |_| admission.turn_in.max(SECOND_THOUGHTS));
    actix::spawn(async move {
        sleep(turn_in).await;
        if session.is_wanted() {
            Session::start_in(Duration::ZERO, move |ctx| {
                ctx.add_stream(wire);
                Session::new(session.outbox.clone(), admission, services)
            });
        }
    });
}

impl ReceiveBody {
    fn attach(
        session: Arc<XhrSession>,
        is_new: bool,
        number: Option<u64>,
        (asking, path): (&Asking<'_>, &XhrPath<'_>),
    ) -> Self {
        let is_poll = path.act == Act::Poll;
        let connection = asking.connection.filter(|_| !asking.is_shared).cloned();
        connection.iter().for_each(|connection| {
            // A session that is over already counts nowhere.
            let counts = !is_poll && session.outbox.closing().is_none();
            match counts.then(|| session.connection_permit()).flatten() {
                Some(permit) => connection.carry_for(permit),
                None => connection.await_answer(),
            }
        });
        let mut body = Self::of(session, is_new, number, path.act);
        body.connection = connection;
        body
    }

    /// The answer to a request of this number.
    pub(super) fn of(session: Arc<XhrSession>, is_new: bool, request: Option<u64>, act: Act) -> Self {
        let is_poll = act == Act::Poll;
        let padding = if is_poll { &[][..] } else { PADDING };
        let opening = Bytes::from([padding, if is_new { OPEN } else { &[] }].concat());
        Self {
            number: session.attach(request),
            session,
            is_poll,
            units: units(&opening),
            opening,
            quiet: Box::pin(sleep(QUIET)),
            is_over: false,
            connection: None,
        }
    }

    /// Nothing comes behind this.
    fn end(&mut self) {
        self.is_over = true;
        self.session.detach(self.number, Phase::Awaited(Instant::now()));
    }

    fn poll_lines(&mut self, ctx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut lines = Lines { units: self.units, ..Lines::default() };
        let end = self.session.poll_lines(self.number, &mut lines, PIECE, ctx);
        self.units = lines.units;
        if lines.text.is_empty() {
            ready!(end);
            self.end();
            return Poll::Ready(None);
        }
        if end.is_ready() || self.is_poll {
            self.end();
        }
        self.quiet.as_mut().reset(Instant::now() + QUIET);
        Poll::Ready(Some(lines.text.into()))
    }

    fn say_something(&mut self) -> Bytes {
        if self.is_poll {
            self.end();
            return Bytes::from_static(NOTHING_CAME);
        }
        self.units += ALIVE.len();
        self.quiet.as_mut().reset(Instant::now() + QUIET);
        Bytes::from_static(ALIVE.as_bytes())
    }
}

impl MessageBody for ReceiveBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = &mut *self;
        if !this.opening.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut this.opening))));
        }
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(part) = this.poll_lines(ctx) {
            return Poll::Ready(part.map(Ok));
        }
        this.quiet.poll_unpin(ctx).map(|()| Some(Ok(this.say_something())))
    }
}

impl Drop for ReceiveBody {
    fn drop(&mut self) {
        self.session.detach(self.number, Phase::Lost);
        self.connection.iter().for_each(|connection| connection.has_answered());
    }
}
