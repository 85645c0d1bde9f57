//! What happens within one turn of a room, with its thread held up until all is there.

use std::sync::mpsc::{Receiver, Sender, channel};

use actix::{Handler, Message};

use super::*;
use crate::{
    protocol::{Close, presence::MemberClaim},
    room::member_notices::PAUSE,
};

/// Holds up a shard's thread until its sender is dropped.
#[derive(Message)]
#[rtype(result = "()")]
struct HoldUp(Receiver<()>);

impl Handler<HoldUp> for Shard {
    type Result = ();

    fn handle(&mut self, HoldUp(release): HoldUp, _: &mut actix::Context<Self>) {
        assert!(release.recv().is_err());
    }
}

fn stage(channel: &str) -> Stage {
    Stage { channel: ChannelName::parse(channel, 200).unwrap(), ..super::stage(1) }
}

fn outbox() -> Arc<Outbox> {
    Outbox::new(usize::MAX)
}

impl Stage {
    fn hold_up(&self) -> Sender<()> {
        let (hold, release) = channel();
        self.rooms.shards[0].do_send(HoldUp(release));
        hold
    }

    fn seat(&self, id: u64, member: (&str, &str), outbox: &Arc<Outbox>) {
        let subscriber = Subscriber { id: SocketId::from_bits(id), outbox: outbox.clone(), dialect: Dialect::Pusher };
        let claim = Some(JoinAs::Member(MemberClaim { id: member.0.to_owned(), info: member.1.to_owned() }));
        self.rooms.join(
            &self.app,
            self.channel.clone(),
            Join { subscriber, claim, since: None, page: None, attempt: 1 },
        );
    }

    fn leave(&self, id: u64) {
        self.rooms.leave(&self.app, self.channel.clone(), SocketId::from_bits(id));
    }

    /// What an outbox holds once the event of this name has come.
    async fn heard(&self, outbox: &Outbox, event: &str) -> String {
        let mut sink = Sink(Vec::new());
        loop {
            poll_fn(|ctx| Poll::Ready(outbox.flush(&mut sink, ctx))).await;
            let text = String::from_utf8_lossy(&sink.0).into_owned();
            if text.contains(&format!(r#""event":"{event}""#)) {
                return text;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[actix::test]
async fn a_member_who_leaves_and_comes_back_in_one_turn_is_no_news() {
    let stage = stage("presence-a");
    let (ada, bob) = (outbox(), outbox());
    stage.seat(1, ("ada", "{}"), &ada);
    stage.seat(2, ("bob", "{}"), &bob);
    stage.heard(&ada, "pusher_internal:member_added").await;
    let hold = stage.hold_up();
    for _ in 0..20 {
        stage.leave(2);
        stage.seat(2, ("bob", "{}"), &bob);
    }
    stage.publish("marker", None);
    drop(hold);
    let heard = stage.heard(&ada, "marker").await;
    assert!(!heard.contains("member_"), "{heard}");
    assert_eq!(stage.heard(&bob, "marker").await.matches("subscription_succeeded").count(), 21);
}

#[actix::test]
async fn members_who_come_in_one_turn_are_told_before_an_event_that_follows() {
    let stage = stage("presence-a");
    let outboxes = [outbox(), outbox(), outbox()];
    stage.seat(9, ("first", "{}"), &outbox());
    stage.answered(1).await;
    let hold = stage.hold_up();
    for (id, outbox) in outboxes.iter().enumerate() {
        stage.seat(id as u64, (&format!("user-{id}"), "{}"), outbox);
    }
    stage.publish("marker", None);
    drop(hold);
    for (id, outbox) in outboxes.iter().enumerate() {
        let heard = stage.heard(outbox, "marker").await;
        let known = |user: usize| heard.contains(&format!("user-{user}"));
        assert!((0..3).all(known), "{heard}");
        let own = format!(r#"\"user_id\":\"user-{id}\""#);
        assert!(!heard.contains(&own), "nobody is told of itself: {heard}");
        assert!(heard.find("subscription_succeeded") < heard.find("member_added"), "{heard}");
    }
}

#[actix::test]
async fn one_who_joins_and_leaves_all_the_time_is_told_once_in_a_pause() {
    let stage = stage("presence-a");
    let (ada, bob) = (outbox(), outbox());
    stage.seat(1, ("ada", "{}"), &ada);
    let start = std::time::Instant::now();
    for _ in 0..300 {
        stage.seat(2, ("bob", "{}"), &bob);
        while names(&bob).await.is_empty() {
            tokio::task::yield_now().await;
        }
        stage.leave(2);
        stage.answered(1).await;
    }
    stage.publish("marker", None);
    let heard = stage.heard(&ada, "marker").await;
    let pauses = start.elapsed().as_millis() / PAUSE.as_millis();
    let told = heard.matches("member_").count() as u128;
    assert!((1..=pauses + 2).contains(&told), "{told} in {pauses} pauses");
}

#[actix::test]
async fn a_member_is_in_the_end_as_it_was_told() {
    let stage = stage("presence-a");
    let (ada, bob) = (outbox(), outbox());
    stage.seat(1, ("ada", "{}"), &ada);
    for round in 0..5 {
        stage.seat(2, ("bob", &format!(r#"{{"round":{round}}}"#)), &bob);
        while names(&bob).await.is_empty() {
            tokio::task::yield_now().await;
        }
        stage.leave(2);
        stage.answered(1).await;
    }
    stage.seat(3, ("bob", r#"{"round":"last"}"#), &bob);
    let mut heard = String::new();
    while !heard.contains(r#"\"round\":\"last\""#) {
        heard.push_str(&stage.heard(&ada, "pusher_internal:member_added").await);
    }
    let (added, removed) = (heard.matches("member_added").count(), heard.matches("member_removed").count());
    assert_eq!(added, removed + 1, "{heard}");
}

#[actix::test]
async fn a_flood_of_joins_leaves_the_other_rooms_of_its_thread_their_turns() {
    const FLOOD: usize = 300;
    let stage = stage("presence-a");
    let large = format!(r#""{}""#, "x".repeat(2_000));
    let crowd: Vec<_> = (0..30).map(|_| outbox()).collect();
    for (id, outbox) in crowd.iter().enumerate() {
        stage.seat(id as u64, (&id.to_string(), &large), outbox);
    }
    stage.answered(30).await;
    let hold = stage.hold_up();
    let all = outbox();
    for _ in 0..FLOOD {
        stage.seat(99, ("99", &large), &all);
    }
    let other = ChannelName::parse("other", 200).unwrap();
    let subscriber = Subscriber { id: SocketId::from_bits(99), outbox: all.clone(), dialect: Dialect::Pusher };
    stage.rooms.join(&stage.app, other, Join { subscriber, claim: None, since: None, page: None, attempt: 1 });
    drop(hold);
    let (mut sink, channel) = (Sink(Vec::new()), br#""channel":"other""#);
    let has_come = |bytes: &[u8]| bytes.windows(channel.len()).any(|window| window == channel);
    loop {
        let before = sink.0.len();
        poll_fn(|ctx| Poll::Ready(all.flush(&mut sink, ctx))).await;
        if has_come(&sink.0[before.saturating_sub(channel.len())..]) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let text = String::from_utf8_lossy(&sink.0);
    let before = text.split(r#""channel":"other""#).next().unwrap_or_default();
    let answered = before.matches("subscription_succeeded").count();
    assert!(answered < FLOOD / 2, "{answered} of {FLOOD} joins came first");
}

/// Publishes a hundred events of 10 KB to outboxes that hold 100 KB.
fn burst(stage: &Stage) {
    for number in 0..100 {
        let data = "x".repeat(10_000);
        let event =
            Event::from_back_end(stage.channel.clone(), Words::new(format!("e-{number}"), data), None, event::now());
        stage.rooms.publish(&stage.app, vec![event]).unwrap();
    }
}

fn burst_stage() -> Stage {
    let limits = LimitsConfig { max_outbox_bytes: 100_000, ..LimitsConfig::default() };
    stage_of(1, &limits, None)
}

/// Takes nothing.
struct Stuck;

impl AsyncWrite for Stuck {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

async fn read_burst(reader: &Outbox, silent: &Outbox) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "e-99") {
        heard.extend(names(reader).await);
        poll_fn(|ctx| Poll::Ready(silent.flush(&mut Stuck, ctx))).await;
        tokio::task::yield_now().await;
    }
    heard
}

#[actix::test]
async fn a_burst_of_ten_outboxes_closes_nobody_who_reads_and_one_who_does_not_holds_up_nobody() {
    let stage = burst_stage();
    let [reader, silent] = [1, 2].map(|id| {
        let outbox = Outbox::new(100_000);
        let subscriber = Subscriber { id: SocketId::from_bits(id), outbox: outbox.clone(), dialect: Dialect::Pusher };
        stage.rooms.join(
            &stage.app,
            stage.channel.clone(),
            Join { subscriber, claim: None, since: None, page: None, attempt: 1 },
        );
        outbox
    });
    stage.answered(2).await;
    burst(&stage);
    let expected: Vec<_> = (0..100).map(|number| format!("e-{number}")).collect();
    assert_eq!(read_burst(&reader, &silent).await[1..], expected);
    assert_eq!(reader.closing(), None);
    assert_eq!(silent.closing(), Some(Close::SlowConsumer));
}
