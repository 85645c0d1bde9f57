//! Subscribers that missed what other nodes may have: they wait for what those tell.

use super::recovery_in_cluster::{clustered, clustered_with, id};
use super::*;
use crate::{
    protocol::{EventId, Position, Since},
    room::{
        history::{Known, OldEvent, Shared, Span, Stored},
        inquiry::Answered,
    },
};

/// The room begins at 1-10 and 2-20.
fn since(own: u64, peer: u64) -> Option<Position> {
    Some([id(1, own), id(2, peer)].into_iter().collect())
}

fn span(node: u64, after: u64, last: u64) -> Span {
    Span { origin: id(node, 0).origin, after, last, has_ended: false, settled: Position::default() }
}

fn known(positions: Vec<EventId>, spans: Vec<Span>, events: Vec<OldEvent>) -> Answered {
    Answered::All(Known { positions, answers: vec![Shared { opened: None, spans, events }], stored: None })
}

/// What others tell who know everything from these numbers on.
fn heard(own: u64, peer: u64) -> Answered {
    let spans = vec![span(1, own, 10), span(2, peer, 20)];
    known(vec![id(1, 10), id(2, 20)], spans, Vec::new())
}

/// What the other nodes are to be asked for.
fn asked(room: &Stage) -> Option<Position> {
    room.state.question().map(|(since, _)| since)
}

impl Stage {
    fn comes_back(&mut self, id: u64, since: Option<Position>) -> Vec<String> {
        let subscriber = self.subscriber(id);
        self.tell(RoomMessage::Join(Join {
            subscriber,
            claim: None,
            since: since.map(Since::Position),
            page: None,
            attempt: 1,
        }))
    }

    fn hears_history(&mut self, answered: Answered) -> Vec<String> {
        let mut steps = self.hear(FromPeers::History(answered));
        steps.extend(self.replayed().concat());
        steps
    }
}

#[test]
fn who_missed_what_others_may_have_waits_for_them_and_all_share_one_question() {
    let mut room = clustered();
    assert_eq!(room.comes_back(1, since(9, 20)), ["ask peers", "askpeers"]);
    assert_eq!(room.comes_back(2, since(10, 18)), [""; 0]);
    assert_eq!(asked(&room), since(9, 20));
    assert!(!room.state.is_idle());
    room.at = 40;
    let mut answered = room.hears_history(heard(9, 18));
    assert_eq!(answered.remove(0), "count question whole");
    assert_eq!(answered[0], "count 40 ms");
    // The second came later and missed more than was asked for.
    let text = answered.join(", ");
    assert_eq!(text.matches("answer subscription_succeeded resumed").count(), 1, "{text}");
    assert!(text.contains("askpeers"), "{text}");
    assert_eq!(asked(&room), since(10, 18));
    let text = room.hears_history(heard(9, 18)).join(", ");
    assert!(text.contains("count whole with 0"), "{text}");
    assert_eq!(room.state.question(), None);
    assert_eq!(room.comes_back(3, since(9, 18))[0], "share count 3");
}

#[test]
fn what_others_tell_is_replayed_and_what_came_meanwhile_follows() {
    let mut room = clustered();
    room.comes_back(1, since(10, 18));
    room.hear_numbered(room.event("live"), 2, (25, 20));
    let event = OldEvent { id: id(2, 19), age: Duration::from_secs(1), event: room.event("old") };
    let answered = room.hears_history(known(vec![id(2, 20)], vec![span(2, 18, 21)], vec![event]));
    let text = answered.join(", ");
    assert!(text.contains("answer subscription_succeeded old live resumed"), "{text}");
    assert_eq!(room.served(), [""; 0]);
}

#[test]
fn who_waits_in_vain_is_told_and_for_a_moment_nobody_waits_for_the_same() {
    for (answered, outcome) in [(Answered::Silent, "silent"), (Answered::Busy, "busy"), (heard(10, 20), "part")] {
        let mut room = clustered();
        room.comes_back(1, since(9, 20));
        let steps = room.hears_history(answered).join(", ");
        assert!(steps.contains(&format!("count question {outcome}")), "{steps}");
        assert!(steps.contains("count window with 0"), "{steps}");
        assert!(room.comes_back(2, since(9, 20)).contains(&"count window with 0".to_owned()));
        room.at = 2_000;
        assert!(room.comes_back(3, since(9, 20)).contains(&"askpeers".to_owned()));
    }
}

#[test]
fn nobody_waits_whom_the_room_can_answer_or_others_cannot_help() {
    let mut room = clustered();
    for since in [None, since(10, 20), since(11, 20)] {
        assert!(room.comes_back(1, since)[0].starts_with("share count"));
        room.leave(1);
    }
    for number in 21..=24 {
        room.hear_numbered(room.event("e"), 2, (number, number - 1));
    }
    // Of four events three are kept.
    assert!(room.comes_back(2, since(10, 20)).contains(&"count window with 0".to_owned()));
}

#[test]
fn what_a_socket_sends_whose_subscription_waits_is_taken_behind_it() {
    let mut room = clustered();
    room.comes_back(1, since(9, 20));
    let event = room.publish_client_event(1);
    assert_eq!(room.step(event), [""; 0]);
    let steps = room.hears_history(heard(9, 20)).join(", ");
    let answered = steps.find("answer").unwrap();
    assert!(steps.find("send client event").is_some_and(|sent| sent > answered), "{steps}");
}

#[test]
fn who_leaves_before_the_others_have_answered_is_not_answered() {
    let mut room = clustered();
    room.comes_back(1, since(9, 20));
    assert_eq!(room.leave(1), [""; 0]);
    let steps = room.hears_history(heard(9, 20)).join(", ");
    assert!(!steps.contains("answer"), "{steps}");
    assert!(room.state.is_idle());
}

#[test]
fn the_connection_of_a_member_that_waits_can_be_ended() {
    let mut room = clustered();
    room.state = RoomState::new(channel("presence-a"), Reach::Cluster, 1_000, Histories::new(1, 1 << 20));
    let positions = vec![id(1, 10), id(2, 20)];
    room.hear(FromPeers::Opened(Opening { subscriptions: 0, members: Vec::new(), cached: None, positions }));
    room.replayed();
    let claim = Some(JoinAs::Member(MemberClaim { id: "ada".to_owned(), info: "{}".to_owned() }));
    let subscriber = room.subscriber(1);
    room.tell(RoomMessage::Join(Join {
        subscriber,
        claim,
        since: since(9, 20).map(Since::Position),
        page: None,
        attempt: 1,
    }));
    assert_eq!(room.hear(FromPeers::Acted("ada".into(), UserAction::Terminate)), ["close 1"]);
}

#[test]
fn what_was_heard_of_a_node_that_is_not_known_here_stays_known_as_long_as_others_may_know_it() {
    for (answered, is_kept) in [(Answered::Silent, true), (Answered::Busy, true), (heard(10, 20), false)] {
        let mut room = clustered();
        let mut position = since(10, 20).unwrap();
        position.note(id(3, 7));
        room.comes_back(1, Some(position));
        room.hear(FromPeers::History(answered));
        let mut told = String::new();
        while room.state.is_catching_up() {
            for effect in room.effects(RoomInput::Replay) {
                if let Effect::Answer(_, frames) = effect {
                    told += &String::from_utf8_lossy(&frames.concat());
                }
            }
        }
        assert!(told.contains("false"), "{told}");
        assert_eq!(told.contains(&id(3, 7).to_string()), is_kept, "{told}");
    }
}

/// What the stream has, which reaches back for so many seconds.
fn with_stream(spans: Vec<Span>, room: &Stage, seconds: u64) -> Answered {
    let since = room.moment().0 - Duration::from_secs(seconds);
    let shared = Shared { opened: None, spans, events: Vec::new() };
    let positions = vec![id(1, 10), id(2, 20)];
    Answered::All(Known {
        positions,
        answers: Vec::new(),
        stored: Some(Stored { shared, since, assumed: Position::default(), silent: Vec::new() }),
    })
}

fn ended(node: u64, after: u64, last: u64) -> Span {
    Span { has_ended: true, ..span(node, after, last) }
}

#[test]
fn what_the_stream_had_and_that_it_was_away_are_counted() {
    let mut room = clustered();
    room.comes_back(1, since(9, 18));
    let spans = vec![ended(1, 0, 10), ended(2, 0, 20)];
    let answered = with_stream(spans, &room, 60);
    let text = room.hears_history(answered).join(", ");
    assert!(text.contains("count question stream") && text.contains("count whole with 0"), "{text}");
    let mut room = clustered();
    room.comes_back(1, since(9, 18));
    let Answered::All(known) = heard(9, 20) else { unreachable!() };
    let text = room.hears_history(Answered::WithoutStream(known)).join(", ");
    assert!(text.contains("count question stream_away") && text.contains("count stream_away with 0"), "{text}");
}

#[test]
fn who_heard_up_to_a_moment_waits_for_the_stream_if_there_is_one() {
    let page_returns = |room: &mut Stage| {
        let (subscriber, moment) = (room.subscriber(1), room.moment().0 - Duration::from_secs(5));
        let since = Some(Since::Moment(moment));
        room.tell(RoomMessage::Join(Join { subscriber, claim: None, since, page: None, attempt: 1 }))
    };
    let mut room = clustered();
    assert!(page_returns(&mut room).contains(&"count unknown with 0".to_owned()));
    let mut room = clustered_with(Histories::new(1, 1 << 20).with_stream());
    assert_eq!(page_returns(&mut room), ["ask peers", "askpeers"]);
    let (asked, wanted) = room.state.question().unwrap();
    assert_eq!((Some(asked), wanted.since, wanted.moment.is_some()), (since(10, 20), None, true));
    let answered = with_stream(vec![ended(1, 0, 10), ended(2, 0, 20)], &room, 60);
    let text = room.hears_history(answered).join(", ");
    assert!(text.contains("count whole with 0"), "{text}");
}

#[test]
fn what_was_heard_elsewhere_and_is_still_to_come_here_stays_heard() {
    let mut room = clustered();
    let join = Join {
        subscriber: room.subscriber(1),
        claim: None,
        since: since(10, 25).map(Since::Position),
        page: None,
        attempt: 1,
    };
    let input = RoomInput::Message(Forwarded { message: RoomMessage::Join(join), underway: None });
    let mut told = String::new();
    for effect in room.effects(input) {
        if let Effect::Answer(_, frames) = effect {
            told += &String::from_utf8_lossy(&frames.concat());
        }
    }
    assert!(told.contains("true") && told.contains(&id(2, 25).to_string()), "{told}");
}
