//! Rooms of a node in a cluster. The test speaks for the other nodes.

use gaung_cluster::fact;

use super::*;
use crate::{cluster::payload, config, protocol::presence::MemberClaim};

fn stage(channel: &str) -> Stage {
    let vars = [
        ("GAUNG_NATS_URL", "nats://127.0.0.1:4222"),
        ("GAUNG_APP_ID", "app"),
        ("GAUNG_APP_KEY", "key"),
        ("GAUNG_APP_SECRET", "secret"),
    ];
    let loaded = config::load(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    // The bus does not run: nothing is told that the test does not tell.
    let (cluster, _) = Cluster::open(&loaded.config.cluster.unwrap(), 1).unwrap();
    let channel = ChannelName::parse(channel, 200).unwrap();
    Stage { channel, ..super::stage_with(1, Some(cluster)) }
}

impl Stage {
    fn hear(&self, news: FromPeers) {
        self.rooms.hear(&self.app, self.channel.clone(), news);
    }

    fn open(&self, subscriptions: usize, members: Vec<fact::Member>) {
        self.hear(FromPeers::Opened(Opening { subscriptions, members, cached: None }));
    }

    fn join_as(&self, id: u64, user: &str) -> Arc<Outbox> {
        let outbox = Outbox::new(None, usize::MAX);
        let subscriber = Subscriber { id: SocketId::from_bits(id), outbox: outbox.clone(), dialect: Dialect::Pusher };
        let claim = MemberClaim { id: user.to_owned(), info: "{}".to_owned() };
        self.rooms.join(&self.app, self.channel.clone(), subscriber, Some(claim));
        outbox
    }

    /// Waits until the room has taken all that it was told.
    async fn taken(&self) {
        let room = self.rooms.find(&self.app, &self.channel).await.expect("the room is there");
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
    let event = Event::from_back_end(channel.clone(), name.to_owned(), "{}".to_owned(), None, event::now()).encode();
    let record = fact::CachedEvent { at, ttl: 60_000_000, payload: payload::event(&event) };
    Cached { event, record, expires: std::time::Instant::now() + Duration::from_secs(60) }
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
    stage.hear(FromPeers::Member("7".into(), Some(member("7"))));
    stage.rooms.leave(&stage.app, stage.channel.clone(), SocketId::from_bits(1));
    stage.hear(FromPeers::Member("7".into(), None));
    let heard = read_until(&watching, &[SUCCESS, "member_removed"]).await;
    assert_eq!(heard.matches("member_").count(), 1, "{heard}");
}

#[actix::test]
async fn an_event_of_another_node_reaches_the_sockets_here() {
    let stage = stage("products.1");
    let outbox = stage.join(1);
    stage.open(0, Vec::new());
    let event = cached(&stage.channel, "from-afar", 1).event;
    stage.hear(FromPeers::Event(event, stage.rooms.admit().unwrap()));
    read_until(&outbox, &[SUCCESS, "from-afar"]).await;
}

#[actix::test]
async fn the_newest_cached_event_is_kept_and_older_ones_are_delivered_all_the_same() {
    let stage = stage("cache-a");
    let first = stage.join(1);
    stage.open(0, Vec::new());
    for (name, at) in [("newer", 9), ("older", 8)] {
        stage.hear(FromPeers::Cached(cached(&stage.channel, name, at), stage.rooms.admit().unwrap()));
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
