//! Rooms of a node in a cluster. The test speaks for the other nodes.

use std::time::{Duration, Instant};

use gaung_cluster::{bus::Bus, core::Output, fact, frame::RoomEvent, remote};

use super::*;
use crate::{
    app::Registry,
    config,
    event::{Cached, wire},
    node::inbound::Inbound,
    protocol::presence::MemberClaim,
    room::messages::ReadCache,
    session::xhr::XhrSessions,
};

fn stage(channel: &str) -> Stage {
    // The bus does not run: nothing is told that the test does not tell.
    stage_and_bus(channel).0
}

fn stage_and_bus(channel: &str) -> (Stage, Bus) {
    let vars = [
        ("GAUNG_NATS_URL", "nats://127.0.0.1:4222"),
        ("GAUNG_MAX_QUEUED_BUS_EVENT_BYTES", "1048576"),
        ("GAUNG_APP_ID", "app"),
        ("GAUNG_APP_KEY", "key"),
        ("GAUNG_APP_SECRET", "secret"),
    ];
    let loaded = config::load(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    let (cluster, bus) = Cluster::open(&loaded.config.cluster.unwrap(), 1).unwrap();
    let channel = ChannelName::parse(channel, 200).unwrap();
    (Stage { channel, ..stage_with(1, Some(cluster)) }, bus)
}

impl Stage {
    fn hear(&self, from_peers: FromPeers) {
        self.rooms.hear(self.app.id(), self.channel.clone(), from_peers);
    }

    fn open(&self, subscriptions: usize, members: Vec<fact::Member>) {
        self.hear(FromPeers::Opened(Opening { subscriptions, members, cached: None, positions: Vec::new() }));
    }

    fn join_as(&self, id: u64, user: &str) -> Arc<Outbox> {
        let outbox = Outbox::new(usize::MAX);
        let subscriber = Subscriber { id: SocketId::from_bits(id), outbox: outbox.clone(), dialect: Dialect::Pusher };
        let claim = JoinAs::Member(MemberClaim { id: user.to_owned(), info: "{}".to_owned() });
        self.rooms.join(
            &self.app,
            self.channel.clone(),
            Join { subscriber, claim: Some(claim), since: None, page: None, attempt: 1 },
        );
        outbox
    }

    /// Waits until the room has taken all that it was told.
    async fn taken(&self) {
        let room = self.rooms.find(&self.app, &self.channel).await.unwrap().expect("the room is there");
        room.send(ReadCache).await.unwrap();
    }
}

/// Reads an outbox until all these have come, in this order; returns everything.
async fn read_until(outbox: &Outbox, expected: &[&str]) -> String {
    let mut heard = String::new();
    let is_complete = |heard: &str| {
        let after = expected.iter().try_fold(heard, |rest, part| rest.split_once(part).map(|(_, rest)| rest));
        after.is_some()
    };
    while !is_complete(&heard) {
        let mut sink = Sink(Vec::new());
        poll_fn(|ctx| Poll::Ready(outbox.flush(&mut sink, ctx))).await;
        heard.push_str(&String::from_utf8_lossy(&sink.0));
        tokio::task::yield_now().await;
    }
    heard
}

fn member(user: &str) -> fact::Member {
    fact::Member { user: user.into(), info: "{}".into(), since: 1, sockets: 1 }
}

fn cached(channel: &ChannelName, name: &str, at: u64) -> Cached {
    let event = Event::from_back_end(channel.clone(), Words::new(name, "{}"), None, event::now()).encode();
    let record = fact::CachedEvent { at, ttl: 60_000_000, payload: wire::event(&event) };
    Cached { event, record, expires: Instant::now() + Duration::from_secs(60) }
}

#[actix::test]
async fn nobody_is_answered_before_the_room_knows_how_things_stand_elsewhere() {
    let stage = stage("products.1");
    let outbox = stage.join(1);
    stage.taken().await;
    assert!(names(&outbox).await.is_empty());
    stage.open(0, Vec::new());
    read_until(&outbox, &[SUCCESS]).await;
}

#[actix::test]
async fn what_waits_for_the_opening_is_taken_in_order() {
    let stage = stage("products.1");
    let (gone, stays) = (stage.join(1), stage.join(2));
    stage.rooms.leave(&stage.app, stage.channel.clone(), SocketId::from_bits(1));
    // An event for a room that is not there yet finds nobody: nobody has been answered.
    stage.taken().await;
    stage.publish("first", None);
    let late = stage.join(3);
    stage.open(0, Vec::new());
    read_until(&stays, &[SUCCESS, "first"]).await;
    assert_eq!(names(&gone).await, [SUCCESS]);
    assert_eq!(names(&late).await, [SUCCESS]);
}

#[actix::test]
async fn what_a_socket_sent_is_underway_while_it_waits_for_the_opening() {
    let stage = stage("products.1");
    let outbox = stage.join(1);
    stage.taken().await;
    assert_eq!(stage.rooms.inflow().waiting(), 1);
    stage.open(0, Vec::new());
    read_until(&outbox, &[SUCCESS]).await;
    while stage.rooms.inflow().waiting() > 0 {
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn an_event_of_a_cache_channel_opens_no_room_and_has_its_place_until_the_bus_has_taken_it() {
    let (stage, bus) = stage_and_bus("cache-a");
    let data = "x".repeat(600_000);
    let publish = || {
        let event = Event::from_back_end(stage.channel.clone(), Words::new("e", &*data), None, event::now());
        stage.rooms.publish(&stage.app, vec![event])
    };
    assert_eq!(publish(), Ok(()));
    assert!(stage.rooms.find(&stage.app, &stage.channel).await.unwrap().is_none());
    stage.settle().await;
    assert_eq!(publish(), Err(Unpublished::BusFullOfBytes { limit: 1 << 20 }));
    drop(bus);
    assert_eq!(publish(), Ok(()));
}

#[actix::test]
async fn members_elsewhere_stand_in_the_snapshot_and_their_coming_and_going_is_told_once() {
    let stage = stage("presence-a");
    let outbox = stage.join_as(1, "here");
    stage.open(1, vec![member("there")]);
    stage.hear(FromPeers::Member("new".into(), Some(member("new"))));
    stage.hear(FromPeers::Member("here".into(), Some(member("here"))));
    stage.hear(FromPeers::Member("here".into(), None));
    stage.hear(FromPeers::Member("there".into(), None));
    let snapshot = r#"\"ids\":[\"here\",\"there\"]"#;
    let told = [snapshot, "member_added", r#"\"new\""#, "member_removed", r#"\"there\""#];
    let heard = read_until(&outbox, &told).await;
    assert_eq!(heard.matches("member_").count(), 2, "{heard}");
}

#[actix::test]
async fn a_user_whose_other_node_has_him_still_does_not_leave() {
    let stage = stage("presence-a");
    let _moving = stage.join_as(1, "7");
    let watching = stage.join_as(2, "8");
    stage.open(0, Vec::new());
    read_until(&watching, &[SUCCESS, "member_added"]).await;
    stage.hear(FromPeers::Member("7".into(), Some(member("7"))));
    stage.rooms.leave(&stage.app, stage.channel.clone(), SocketId::from_bits(1));
    stage.hear(FromPeers::Member("7".into(), None));
    let heard = read_until(&watching, &["member_removed"]).await;
    assert_eq!(heard.matches("member_").count(), 1, "{heard}");
}

#[actix::test]
async fn who_waits_to_join_is_a_member_for_a_back_end_that_ends_the_members_connections() {
    let stage = stage("presence-a");
    let (ended, stays) = (stage.join_as(1, "7"), stage.join_as(2, "8"));
    stage.rooms.act_on_member_here(&stage.app, "7", &event::UserAction::Terminate);
    stage.taken().await;
    let mut sink = Sink(Vec::new());
    assert_ne!(poll_fn(|ctx| Poll::Ready(ended.flush(&mut sink, ctx))).await, Flushed::Open);
    assert!(String::from_utf8_lossy(&sink.0).contains("4009"), "{}", String::from_utf8_lossy(&sink.0));
    stage.open(0, Vec::new());
    read_until(&stays, &[SUCCESS]).await;
    assert!(names(&stays).await.iter().all(|name| name != "pusher:error"));
}

#[actix::test]
async fn an_event_of_another_node_reaches_the_sockets_here() {
    let stage = stage("products.1");
    let outbox = stage.join(1);
    stage.open(0, Vec::new());
    let event = cached(&stage.channel, "from-afar", 1).event;
    stage.hear(FromPeers::Event(event, stage.rooms.admit(1).unwrap()));
    read_until(&outbox, &[SUCCESS, "from-afar"]).await;
}

#[actix::test]
async fn the_newest_cached_event_is_kept_and_older_ones_are_delivered_all_the_same() {
    let stage = stage("cache-a");
    let first = stage.join(1);
    stage.open(0, Vec::new());
    for (name, at) in [("newer", 9), ("older", 8)] {
        stage.hear(FromPeers::Cached(cached(&stage.channel, name, at), stage.rooms.admit(1).unwrap()));
    }
    read_until(&first, &["pusher:cache_miss", "newer", "older"]).await;
    let second = stage.join(2);
    read_until(&second, &[SUCCESS, "newer"]).await;
}

#[actix::test]
async fn a_repaired_cached_event_is_for_those_who_come_later_only() {
    let stage = stage("cache-a");
    let first = stage.join(1);
    stage.open(0, Vec::new());
    stage.hear(FromPeers::CacheRepaired(cached(&stage.channel, "missed", 9)));
    let second = stage.join(2);
    read_until(&second, &[SUCCESS, "missed"]).await;
    assert!(!names(&first).await.contains(&"missed".to_owned()));
}

#[actix::test]
async fn subscribers_elsewhere_count() {
    let settings = AppSettings { subscription_counts: true, ..AppSettings::new("key", "secret") };
    let stage = Stage { app: App::new("app", settings), ..stage("products.1") };
    let outbox = stage.join(1);
    stage.open(4, Vec::new());
    stage.hear(FromPeers::Subscriptions(6));
    let count = |count: usize| format!(r#"\"subscription_count\":{count}"#);
    read_until(&outbox, &[&count(5), &count(7)]).await;
}

/// A stage whose app is in a registry, and the way by which it hears the other nodes.
fn with_inbound(channel: &str) -> (Stage, Registry, Inbound) {
    let registry = Registry::new(vec![("app".to_owned(), AppSettings::new("key", "secret"))]);
    let stage = Stage { app: registry.by_id("app").unwrap(), ..stage(channel) };
    let inbound = Inbound {
        repeats: crate::repeats::Repeats::new(1 << 20, None, Metrics::new()),
        rooms: stage.rooms.clone(),
        registry: registry.clone(),
        webhooks: Webhooks::start(stage.metrics.clone(), Timing::default(), Resources::of_bytes(1 << 20)),
        cluster: stage.rooms.cluster.clone().unwrap(),
        xhr: XhrSessions::new(None),
        revocations: crate::revocations::Revocations::new(None),
        metrics: stage.metrics.clone(),
        sampling: Default::default(),
        started: Instant::now(),
    };
    (stage, registry, inbound)
}

fn room(channel: &str) -> gaung_cluster::Room {
    gaung_cluster::Room::new("app", channel).unwrap()
}

fn serving(channel: &str) -> Output {
    Output::Serving(remote::RemoteState {
        room: room(channel),
        sockets: 0,
        members: Vec::new(),
        cached: None,
        positions: Vec::new(),
    })
}

#[actix::test]
async fn a_room_that_opens_while_its_app_is_gone_answers_when_the_app_is_back() {
    let (stage, registry, mut inbound) = with_inbound("products.1");
    let first = stage.join(1);
    stage.taken().await;
    registry.apply(vec![]);
    inbound.dispatch(serving("products.1"));
    registry.apply(vec![("app".to_owned(), AppSettings::new("key", "secret"))]);
    let second = Stage { app: registry.by_id("app").unwrap(), ..stage }.join(2);
    read_until(&first, &[SUCCESS]).await;
    read_until(&second, &[SUCCESS]).await;
}

#[actix::test]
async fn a_user_whose_line_opens_while_the_app_is_gone_is_answered() {
    let (stage, registry, mut inbound) = with_inbound("products.1");
    let outbox = Outbox::new(usize::MAX);
    let socket = Subscriber { id: SocketId::from_bits(1), outbox: outbox.clone(), dialect: Dialect::Pusher };
    let welcome = vec![crate::protocol::outbound::signin_success("{}")];
    stage.rooms.sign_in(&stage.app, "7", socket, SignIn { welcome, watchlist: None });
    registry.apply(vec![]);
    inbound.dispatch(serving("#server-to-user-7"));
    read_until(&outbox, &["signin_success"]).await;
}

#[actix::test]
async fn rooms_see_the_settings_of_an_app_that_came_back() {
    let (stage, registry, mut inbound) = with_inbound("presence-a");
    let _first = stage.join_as(1, "ada");
    inbound.dispatch(serving("presence-a"));
    registry.apply(vec![]);
    let narrow = AppSettings { max_presence_members: 1, ..AppSettings::new("key", "secret") };
    registry.apply(vec![("app".to_owned(), narrow)]);
    let second = Stage { app: registry.by_id("app").unwrap(), ..stage }.join_as(2, "bob");
    read_until(&second, &["pusher:subscription_error", "the limit is 1"]).await;
}

#[actix::test]
async fn an_event_of_another_node_for_a_user_needs_a_place_in_the_backlog() {
    let (stage, _registry, inbound) = with_inbound("#server-to-user-7");
    let mut inbound = Inbound {
        rooms: Rooms { backlog: Backlog::new(Limits { events: 0, bytes: 0 }), ..stage.rooms.clone() },
        ..inbound
    };
    let event = Event::from_back_end(stage.channel.clone(), Words::new("e", "{}"), None, event::now());
    let payload = wire::event(&event.encode());
    let room = room("#server-to-user-7");
    let event = RoomEvent { room, payload, trace: None };
    inbound.dispatch(Output::Deliver(
        gaung_cluster::NodeId::from_bits(2),
        event,
        gaung_cluster::frame::Numbering::default(),
    ));
    let refused = stage.metrics.cluster_events_refused.with_label_values(&["rooms_full"]).get();
    assert_eq!(refused, 1);
}

#[actix::test]
async fn a_client_event_that_the_other_nodes_cannot_be_sent_reaches_nobody_and_is_counted() {
    let stage = stage("private-a");
    let (sender, other) = (stage.join(1), stage.join(2));
    stage.open(0, Vec::new());
    read_until(&sender, &[SUCCESS]).await;
    read_until(&other, &[SUCCESS]).await;
    let client_event = |data: String| {
        let outbox = sender.clone();
        let sender = Subscriber { id: SocketId::from_bits(1), outbox, dialect: Dialect::Pusher };
        let client_event = ClientEvent { sender, name: "client-e".to_owned(), data };
        stage.rooms.publish_client_event(&stage.app, stage.channel.clone(), client_event).unwrap();
    };
    let limit = stage.rooms.cluster.as_ref().unwrap().max_frame();
    client_event("x".repeat(limit));
    read_until(&sender, &["pusher:error", "max_payload of the NATS server"]).await;
    client_event("short".to_owned());
    let heard = read_until(&other, &["short"]).await;
    assert!(heard.len() < 1_000, "{} bytes", heard.len());
    assert_eq!(stage.app.counters.outcomes.refusals.get("client_event"), 1);
}

#[actix::test]
async fn a_member_who_comes_and_goes_while_the_room_opens_is_told_once() {
    let stage = stage("presence-a");
    let ada = stage.join_as(1, "ada");
    for _ in 0..1_000 {
        stage.join_as(2, "bob");
        stage.rooms.leave(&stage.app, stage.channel.clone(), SocketId::from_bits(2));
    }
    let _bob = stage.join_as(2, "bob");
    stage.taken().await;
    stage.open(0, Vec::new());
    let heard = read_until(&ada, &[SUCCESS, "member_added"]).await;
    assert_eq!(heard.matches("member_").count(), 1, "{heard}");
}

#[actix::test]
async fn who_cannot_know_says_so_and_does_not_answer_that_there_is_nothing() {
    let stage = stage("presence-a");
    stage.join_as(1, "7");
    let (rooms, app, channel) = (&stage.rooms, &stage.app, &stage.channel);
    assert_eq!(rooms.counts(app, std::slice::from_ref(channel)).await, Err(Unanswered));
    assert_eq!(rooms.members(app, channel).await, Err(Unanswered));
    assert_eq!(rooms.cached(app, channel).await, Err(Unanswered));
    assert_eq!(rooms.occupied(app, "", None).await.map(|page| page.channels), Err(Unanswered));
}
