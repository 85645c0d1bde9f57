//! Answers, sessions between them, and their time limits, by a clock of the tests.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use actix_http::body::MessageBody;
use futures_util::{FutureExt, StreamExt, future::poll_fn};
use tokio::time::Instant;

use super::{
    GAP, QUIET, XhrKey,
    path::Act,
    receive::ReceiveBody,
    sessions::XhrSessions,
    shared::{Phase, XhrSession},
    wire::XhrWire,
};
use crate::{
    app::App,
    config::AppSettings,
    outbox::{Outbox, closing::ClientProtocol},
    protocol::{Close, frame},
    room::Inflow,
    session::{
        pace::{Pace, Penalties},
        reader::Incoming,
    },
};

const KEY: XhrKey = XhrKey([7; 16]);

/// A session that has been entered, what its actor hears, and where it was entered.
fn session(waiting: usize) -> (Arc<XhrSession>, XhrWire, Arc<XhrSessions>) {
    let session = XhrSession::new(Outbox::new(waiting), 1_000, Some(1));
    let sessions = XhrSessions::new(None);
    assert!(sessions.insert(KEY, session.clone()).is_ok());
    let app = App::new("1", AppSettings { messages_per_second: None, ..AppSettings::new("k", "s") });
    let pace = Pace::new(app, Inflow::new(1_000, None), std::time::Instant::now(), Penalties::default());
    (session.clone(), XhrWire::new(KEY, session, sessions.clone(), pace), sessions)
}

fn answer(session: &Arc<XhrSession>, act: Act) -> ReceiveBody {
    ReceiveBody::of(session.clone(), false, None, act)
}

fn part(body: &mut ReceiveBody) -> impl Future<Output = Option<String>> {
    poll_fn(|ctx| Pin::new(&mut *body).poll_next(ctx))
        .map(|part| part.map(|Ok(part)| String::from_utf8(part.to_vec()).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_shows_signs_of_life_and_a_quiet_poll_ends_with_one() {
    let (session, _wire, _) = session(1_000);
    let began = Instant::now();
    let mut stream = answer(&session, Act::Stream);
    assert_eq!(part(&mut stream).await.unwrap().trim(), "");
    for times in 1..=3 {
        assert_eq!(part(&mut stream).await.as_deref(), Some(" \n"));
        assert_eq!(began.elapsed().as_secs(), QUIET.as_secs() * times);
    }
    drop(stream);
    let mut poll = answer(&session, Act::Poll);
    assert_eq!((part(&mut poll).await.as_deref(), part(&mut poll).await), (Some("h\n"), None));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_kept_for_a_while_between_answers_and_ends_with_one_that_is_cut() {
    let (session, mut wire, sessions) = session(1_000);
    let mut poll = answer(&session, Act::Poll);
    session.outbox.send(&frame::text("a"));
    assert_eq!((part(&mut poll).await.as_deref(), part(&mut poll).await), (Some("a[\"a\"]\n"), None));
    drop(poll);
    tokio::time::sleep(GAP - Duration::from_secs(1)).await;
    assert_eq!(wire.next().now_or_never(), None);
    let mut poll = answer(&session, Act::Poll);
    tokio::time::sleep(GAP * 2).await;
    assert_eq!(wire.next().now_or_never(), None);
    assert_eq!(part(&mut poll).await.as_deref(), Some("h\n"));
    drop(poll);
    let began = Instant::now();
    assert_eq!(wire.next().await, None);
    assert_eq!(began.elapsed(), GAP);
    let stream = answer(&session, Act::Stream);
    drop(stream);
    assert_eq!(wire.next().now_or_never(), Some(None));
    drop(wire);
    assert!(sessions.find(&KEY).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_an_answer_to_stand_in() {
    for is_told in [true, false] {
        let (session, mut wire, _) = session(1_000);
        ClientProtocol::Pusher.close(&session.outbox, Close::Silent);
        assert_eq!(wire.next().await, Some(Incoming::Closing));
        let began = Instant::now();
        if is_told {
            tokio::time::sleep(GAP / 2).await;
            let mut poll = answer(&session, Act::Poll);
            let told = part(&mut poll).await.unwrap();
            assert!(told.ends_with("c[4201,\"Pong reply not received in time\"]\n"), "{told}");
            assert_eq!(part(&mut poll).await, None);
        }
        assert_eq!(wire.next().await, None);
        assert_eq!(began.elapsed(), if is_told { GAP / 2 } else { GAP });
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_wait_for_a_client_that_takes_something_and_not_for_one_that_takes_nothing() {
    let (session, mut wire, _) = session(100);
    let mut stream = answer(&session, Act::Stream);
    part(&mut stream).await;
    session.outbox.send(&frame::text(&"x".repeat(60)));
    assert!(session.outbox.is_crowded());
    assert_eq!(wire.next().now_or_never(), None);
    assert!(part(&mut stream).await.is_some());
    session.outbox.send(&frame::text(&"x".repeat(60)));
    assert!(session.outbox.is_crowded());
    let began = Instant::now();
    futures_util::future::select(wire.next(), Box::pin(session.outbox.offered())).await;
    assert!((1..=200).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert!(!session.outbox.is_crowded());
}

#[tokio::test(start_paused = true)]
async fn messages_wait_for_room_and_are_given_up_with_their_session() {
    let (session, mut wire, _) = session(1_000);
    let long = || vec!["x".repeat(900)];
    let mut count = 0;
    while session.take_at_once(None, long()) {
        count += 1;
    }
    assert!((30..=100).contains(&count), "{count}");
    let waiting = session.take(None, long());
    let heard = async { wire.next().await };
    let (taken, heard) = futures_util::join!(waiting, heard);
    assert_eq!((taken, heard), (Ok(()), Some(Incoming::Text("x".repeat(900)))));
    assert!(session.take(None, long()).await.is_err());
    assert_eq!(session.outbox.closing(), Some(Close::OverMessageRate));
}

#[test]
fn a_message_that_is_too_long_breaks_the_session_and_no_message_is_a_question() {
    let (session, _wire, _) = session(1_000);
    assert!(session.take_at_once(None, vec!["x".repeat(1_000), "x".repeat(1_001)]));
    assert!(session.take_at_once(None, Vec::new()));
    let heard = [Incoming::Text("x".repeat(1_000)), Incoming::Broken(Close::TooLarge), Incoming::Part];
    assert_eq!([session.pop(), session.pop(), session.pop()], heard.map(Ok));
    assert_eq!(session.outbox.waiting(), frame::ping(&[]).len());
}

#[tokio::test]
async fn only_the_last_answer_is_given_something_and_ends_the_session_when_it_is_cut() {
    let (session, mut wire, _) = session(1_000);
    let mut first = answer(&session, Act::Stream);
    part(&mut first).await;
    let mut second = answer(&session, Act::Stream);
    part(&mut second).await;
    session.outbox.send(&frame::text("a"));
    assert_eq!(part(&mut first).await, None);
    drop(first);
    assert_eq!(wire.next().now_or_never(), None);
    assert_eq!(part(&mut second).await.as_deref(), Some("a[\"a\"]\n"));
    session.lose();
    assert_eq!(part(&mut second).await, None);
    assert_eq!(poll_fn(|ctx| std::task::Poll::Ready(session.phase(ctx))).await, Phase::Lost);
    assert_eq!(wire.next().await, None);
}
