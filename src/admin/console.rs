//! The console: a page without any outside resource, and the WebSocket that brings its figures once a second.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, StreamHandler, WrapFuture};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use actix_web_actors::ws::{Message, ProtocolError, WebsocketContext, WsResponseBuilder};

use super::{
    Admin, RoomTotals, refusal,
    snapshot::{Counted, LastLook, Snapshot},
};
use crate::app::App;

const PAGE: &str = include_str!("console.html");

/// The page may run what is in it and talk to where it came from; nobody may frame it.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                           connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

const PUSH_PERIOD: Duration = Duration::from_secs(1);

/// A console that answers no ping for so long is gone. It bounds how many snapshots can wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest frame that is read, in bytes: a console has nothing to say.
const MAX_FRAME_BYTES: usize = 1_024;

/// One open console.
struct Console {
    admin: Data<Admin>,
    last_look: LastLook,
    last_heard: Instant,
}

pub(super) async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .body(PAGE)
}

/// Upgrades to the stream of snapshots.
pub(super) async fn live(admin: Data<Admin>, request: HttpRequest, stream: Payload) -> actix_web::Result<HttpResponse> {
    if !is_same_origin(&request) {
        return Ok(refusal(StatusCode::FORBIDDEN, "the console's socket is for the console's own page"));
    }
    let console = Console { admin, last_look: LastLook::default(), last_heard: Instant::now() };
    WsResponseBuilder::new(console, &request, stream).frame_size(MAX_FRAME_BYTES).start()
}

/// Browsers let any page open a WebSocket to any address, this machine's own included, and tell where the page came
/// from. What sends no `Origin` is not a browser.
fn is_same_origin(request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match (origin_host, host) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        (None, _) | (_, None) => false,
    }
}

impl Actor for Console {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.push(ctx);
    }
}

impl Console {
    /// Sends a snapshot as soon as the rooms have answered, and comes back a second later.
    fn push(&mut self, ctx: &mut WebsocketContext<Self>) {
        if self.last_heard.elapsed() > PATIENCE {
            ctx.stop();
            return;
        }
        let admin = self.admin.clone();
        let totals = async move { admin.room_totals().await }.into_actor(self);
        ctx.spawn(totals.map(|totals, console, ctx| {
            console.send(totals.as_ref(), ctx);
            ctx.run_later(PUSH_PERIOD, Self::push);
        }));
    }

    fn send(&mut self, rooms: Option<&RoomTotals>, ctx: &mut WebsocketContext<Self>) {
        let snapshot = self.snapshot(rooms);
        ctx.text(serde_json::to_string(&snapshot).expect("numbers and strings are always JSON"));
        ctx.ping(b"");
    }

    fn snapshot(&mut self, rooms: Option<&RoomTotals>) -> Snapshot {
        let uptime = self.admin.started.elapsed();
        let counted = self.admin.registry.all().iter().map(|app| (app.id().clone(), counted(app))).collect();
        Snapshot {
            version: self.admin.version,
            uptime_seconds: uptime.as_secs(),
            ready: rooms.is_some() && self.admin.readiness.ready(),
            apps: self.last_look.advance(uptime, counted, rooms),
        }
    }
}

fn counted(app: &App) -> Counted {
    let counters = &app.counters;
    Counted {
        connections: counters.connections(),
        events: counters.events_in.load(Relaxed) + counters.client_events_in.load(Relaxed),
        deliveries: counters.deliveries.load(Relaxed),
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Console {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.last_heard = Instant::now();
        match message {
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(Message::Text(_) | Message::Binary(_) | Message::Continuation(_) | Message::Pong(_) | Message::Nop) => {}
            Err(_) => ctx.stop(),
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

    #[test]
    fn the_page_loads_nothing() {
        for outside in ["//", " src=", " href=", "@import"] {
            let found = PAGE.lines().find(|line| line.contains(outside) && !line.starts_with("//"));
            assert_eq!(found, None, "{outside}");
        }
    }
}
