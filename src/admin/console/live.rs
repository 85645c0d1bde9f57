//! The console's WebSocket: one actor for each open page.
//!
//! A page that does not read holds up nobody: its actor rests until the socket takes more, and what happens meanwhile is
//! missed and counted.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, SpawnHandle, StreamHandler, WrapFuture};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use actix_web_actors::ws::{CloseCode, Message, ProtocolError, WebsocketContext, WsResponseBuilder};

use super::{
    ask::{Answer, Ask},
    hello, login,
    snapshot::{Counted, LastLook, Look, Snapshot},
    tail,
};
use crate::{
    activity::{Filter, Watch},
    admin::{
        answer::refusal,
        cluster::Cluster,
        shown::{Admin, RoomTotals},
    },
    app::App,
};

const PUSH_PERIOD: Duration = Duration::from_secs(1);

/// How long activity is collected. With what may wait for a watcher it bounds what a page is sent in a second.
const GATHER_PERIOD: Duration = Duration::from_millis(100);

/// A console that answers no ping for so long is gone. It bounds how many snapshots can wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest frame that is read, in bytes.
const MAX_FRAME_BYTES: usize = 65_536;

/// One open console.
struct Console {
    admin: Data<Admin>,
    /// The last hello that was sent.
    hello: String,
    last_look: LastLook,
    last_heard: Instant,
    tail: Option<Tail>,
}

/// What a console watches.
struct Tail {
    watch: Watch,
    gathering: SpawnHandle,
}

type Ctx = WebsocketContext<Console>;

/// Upgrades a client that may see more than the page.
pub(in crate::admin) async fn live(
    admin: Data<Admin>,
    request: HttpRequest,
    stream: Payload,
) -> actix_web::Result<HttpResponse> {
    if let Err(denied) = login::check(&admin, &request) {
        return Ok(login::refuse(denied));
    }
    if !is_same_origin(&request) {
        return Ok(refusal(StatusCode::FORBIDDEN, "the console's socket is for the console's own page"));
    }
    WsResponseBuilder::new(Console::new(admin), &request, stream).frame_size(MAX_FRAME_BYTES).start()
}

/// Browsers let any page open a WebSocket to any address, this machine's own included, and tell where the page came
/// from. What sends no `Origin` is not a browser.
pub(in crate::admin) fn is_same_origin(request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match (origin_host, host) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        (None, _) | (_, None) => false,
    }
}

impl Actor for Console {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        self.push(ctx);
    }
}

impl Console {
    fn new(admin: Data<Admin>) -> Self {
        let (hello, last_look) = (String::new(), LastLook::default());
        Self { admin, hello, last_look, last_heard: Instant::now(), tail: None }
    }

    /// Sends a snapshot as soon as rooms and bus have answered, and comes back a second later.
    fn push(&mut self, ctx: &mut Ctx) {
        if self.last_heard.elapsed() > PATIENCE {
            ctx.stop();
            return;
        }
        self.greet(ctx);
        let admin = self.admin.clone();
        let looked = async move { tokio::join!(admin.room_totals(), Cluster::look(admin.link.as_ref())) };
        ctx.spawn(looked.into_actor(self).map(|(rooms, cluster), console, ctx| {
            console.send_snapshot(rooms.as_ref(), &cluster, ctx);
            ctx.run_later(PUSH_PERIOD, Self::push);
        }));
    }

    /// Says hello, again when it is another than before: when the apps have changed.
    fn greet(&mut self, ctx: &mut Ctx) {
        let hello = hello::frame(&self.admin);
        if hello != self.hello {
            ctx.text(hello.clone());
            self.hello = hello;
        }
    }

    fn send_snapshot(&mut self, rooms: Option<&RoomTotals>, cluster: &Cluster, ctx: &mut Ctx) {
        let counted = self.admin.registry.all().iter().map(|app| (app.id().clone(), counted(app))).collect();
        let apps = self.last_look.advance(self.admin.started.elapsed(), counted, rooms);
        ctx.text(Snapshot::of(&self.admin, Look { rooms, cluster }, apps).frame());
        ctx.ping(b"");
    }

    fn hear(&mut self, text: &str, ctx: &mut Ctx) {
        match Ask::parse(text) {
            Ok(Ask::Watch { app, channel }) => self.watch(Filter::new(app, channel), ctx),
            Ok(Ask::Unwatch) => self.unwatch(ctx),
            Ok(Ask::Rooms(search)) => {
                let admin = self.admin.clone();
                let found = async move { search.answer(&admin).await };
                ctx.spawn(found.into_actor(self).map(|answer, _, ctx| answer.send(ctx)));
            }
            Ok(Ask::History(channel)) => {
                let admin = self.admin.clone();
                let kept = async move { channel.answer(&admin).await };
                ctx.spawn(kept.into_actor(self).map(|answer, _, ctx| answer.send(ctx)));
            }
            Ok(Ask::Publish(draft)) => draft.publish(&self.admin).send(ctx),
            Err(failed) => failed.send(ctx),
        }
    }

    /// What was gathered for the watch before is not shown any more.
    fn watch(&mut self, filter: Filter, ctx: &mut Ctx) {
        self.unwatch(ctx);
        let watch = self.admin.metrics.activity.watch(filter);
        self.tail = Some(Tail { watch, gathering: ctx.run_interval(GATHER_PERIOD, Self::show) });
    }

    fn unwatch(&mut self, ctx: &mut Ctx) {
        if let Some(tail) = self.tail.take() {
            ctx.cancel_future(tail.gathering);
        }
    }

    fn show(&mut self, ctx: &mut Ctx) {
        let Some(tail) = &mut self.tail else { return };
        let heard = tail.watch.take();
        if !heard.is_empty() {
            ctx.text(tail::frame(&heard, self.admin.console.shows_payloads));
        }
    }
}

impl Answer {
    fn send(&self, ctx: &mut Ctx) {
        ctx.text(serde_json::to_string(self).expect("numbers and strings are always JSON"));
    }
}

fn counted(app: &App) -> Counted {
    let counters = &app.counters;
    Counted {
        connections: counters.connections(),
        remote_connections: counters.remote_connections(),
        events: counters.events_in.load(Relaxed) + counters.client_events_in.load(Relaxed),
        deliveries: counters.usage.deliveries.load(Relaxed),
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Console {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Ctx) {
        self.last_heard = Instant::now();
        match message {
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Text(text)) => self.hear(&text, ctx),
            Ok(Message::Binary(_) | Message::Continuation(_)) => {
                let message = "the console speaks in whole text frames".to_owned();
                Answer::Failed { query: None, message }.send(ctx);
            }
            Ok(Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(Message::Pong(_) | Message::Nop) => {}
            Err(error) => {
                let code = if matches!(error, ProtocolError::Overflow) { CloseCode::Size } else { CloseCode::Protocol };
                ctx.close(Some(code.into()));
                ctx.stop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(origin: Option<&str>, host: &str, admitted: bool) {
        let request = TestRequest::default().insert_header((header::HOST, host));
        let request = match origin {
            Some(origin) => request.insert_header((header::ORIGIN, origin)),
            None => request,
        };
        assert_eq!(is_same_origin(&request.to_http_request()), admitted, "{origin:?} at {host}");
    }

    #[test]
    fn the_consoles_own_page_and_clients_that_are_no_browsers_are_admitted() {
        check(Some("http://127.0.0.1:9601"), "127.0.0.1:9601", true);
        check(Some("https://Gaung.example"), "gaung.example", true);
        check(Some("http://[::1]:9601"), "[::1]:9601", true);
        check(None, "127.0.0.1:9601", true);
    }

    #[test]
    fn pages_from_elsewhere_are_refused() {
        check(Some("https://elsewhere.example"), "127.0.0.1:9601", false);
        check(Some("http://127.0.0.1:8000"), "127.0.0.1:9601", false);
        check(Some("http://127.0.0.1:9601.elsewhere.example"), "127.0.0.1:9601", false);
        check(Some("http://elsewhere.example/127.0.0.1:9601"), "127.0.0.1:9601", false);
        check(Some("null"), "127.0.0.1:9601", false);
        check(Some(""), "127.0.0.1:9601", false);
    }
}
