//! From an HTTP upgrade to a running session. A client that may not stay is told so after the upgrade, by an error frame and a
//! close code: browsers hide what an HTTP refusal says (protocol.md §1.4).

use std::{convert::Infallible, io, rc::Rc, sync::Arc, time::Duration};

use actix::AsyncContext;
use actix_codec::Framed;
use actix_http::{Request, h1};
use futures_util::StreamExt;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::sleep,
};

use super::{
    actor::{Admission, Session},
    admission::UpgradeRequest,
    handshake,
    pace::Pace,
    services::Services,
    wire::Wire,
};
use crate::{
    activity::{self, ActivityEvent, ActivityKind, Asked},
    app::App,
    outbox::{Outbox, Transport},
    protocol::{Close, deflate::Encoding},
};

/// How long the kernel keeps trying to reach a client that does not acknowledge.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Sends what is written at once, and notices a client that is gone. Both only tune: a socket that refuses them still works.
pub fn tune(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(socket).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

/// Answers the handshake and starts the session, or says why not. `bare` is what `T` wraps.
pub async fn upgrade<T>(
    services: Rc<Services>,
    request: Request,
    framed: Framed<T, h1::Codec>,
    bare: impl FnOnce(T) -> Transport,
) -> Result<(), Infallible>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if let Err(error) = begin(services, request, framed, bare).await {
        tracing::debug!(%error, "socket lost during the handshake");
    }
    Ok(())
}

async fn begin<T>(
    services: Rc<Services>,
    request: Request,
    mut framed: Framed<T, h1::Codec>,
    bare: impl FnOnce(T) -> Transport,
) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if !handshake::is_sound(&request) {
        count_refusal(&services, "handshake", None, || handshake::objection(&request).1);
        return handshake::refuse(&mut framed, &request).await;
    }
    if services.shared.sends_upgrades_on() {
        count_refusal(&services, Close::Draining.name(), None, || handshake::NEXT_NODE.to_owned());
        return handshake::send_on(&mut framed).await;
    }
    let upgrade_request = UpgradeRequest::new(&request, &services);
    let admission = upgrade_request.admit(&services).await;
    let encoding = admission.as_ref().map_or(Encoding::Plain, |admission| admission.encoding);
    handshake::accept(&mut framed, &request, upgrade_request.selected_protocol(), encoding).await?;
    let limits = &services.shared.limits;
    let (mut wire, outbox) = take_over(framed, bare, encoding, limits.max_frame_bytes, limits.max_outbox_bytes);
    match admission {
        Ok(admission) => {
            wire.set_pace(pace(&admission, &services));
            Session::start_in(admission.turn_in, move |ctx| {
                ctx.add_stream(wire);
                Session::new(outbox, admission, services)
            });
        }
        Err(refusal) => {
            upgrade_request.count_refusal(&services, refusal.close.name(), || refusal.text.clone());
            sleep(upgrade_request.refusal_delay(refusal.close, &services)).await;
            refusal.send(&outbox);
            // Until it has gone it counts as a connection of HTTP, whose permit `request` keeps: nothing else counts it.
            wire.for_each(|_| async {}).await;
            drop(request);
        }
    }
    Ok(())
}

/// Takes a socket over after its handshake: what is read from it, messages of at most `max_message` bytes, and what is
/// written to it, of which `max_waiting` bytes may wait.
pub fn take_over<T>(
    framed: Framed<T, h1::Codec>,
    bare: impl FnOnce(T) -> Transport,
    encoding: Encoding,
    max_message: usize,
    max_waiting: usize,
) -> (Wire, Arc<Outbox>) {
    let parts = framed.into_parts();
    let transport = bare(parts.io);
    let socket = transport.socket.clone();
    let outbox = Outbox::of(transport, max_waiting, encoding);
    let mut wire = Wire::new(socket, outbox.clone(), max_message, &parts.read_buf);
    if encoding != Encoding::Plain {
        wire.inflate();
    }
    (wire, outbox)
}

fn pace(admission: &Admission, services: &Services) -> Pace {
    let shared = &services.shared;
    Pace::new(
        admission.app_permit.app().clone(),
        shared.rooms.inflow().clone(),
        shared.started,
        admission.penalties.clone(),
    )
}

/// Counts a socket that is refused, and tells consoles whose it was and what its client is told.
pub(super) fn count_refusal(
    services: &Services,
    reason: &'static str,
    app: Option<&App>,
    text: impl FnOnce() -> String,
) {
    let metrics = &services.shared.metrics;
    app.map_or(&*metrics.without_app, |app| &app.counters.outcomes).refusals.count(reason);
    metrics.activity.report(|| {
        let refusal = activity::Refusal::new(Asked::Socket, reason, &text());
        ActivityEvent::now(app.map(|app| app.id().clone()), ActivityKind::Refused(refusal))
    });
}
