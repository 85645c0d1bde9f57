//! What subscribers are written, batch by batch.

use super::*;
use crate::event::{Event, Words, now};

fn channel() -> ChannelName {
    ChannelName::parse("a", 200).unwrap()
}

fn subscriber(id: u64) -> Subscriber {
    let (id, outbox) = (SocketId::from_bits(id), Outbox::new(usize::MAX));
    Subscriber { id, outbox, dialect: Dialect::Pusher }
}

/// A batch of an event for all three subscribers, one that spares the first, and one more for all.
fn fanout() -> Fanout {
    let mut fanout = Fanout::new(1_000_000);
    (1..=3).for_each(|id| assert!(fanout.insert(subscriber(id))));
    for except in [None, Some(SocketId::from_bits(1)), None] {
        let event = Event::from_back_end(channel(), Words::new("e", ""), except, now()).encode();
        fanout.announce(Announcement::Event(event), except, None);
    }
    fanout
}

fn check(served: &Served) {
    assert_eq!(served.completed.iter().map(|event| event.sockets).collect::<Vec<_>>(), [3, 2, 3]);
    assert_eq!(served.deliveries, 8);
}

#[test]
fn each_event_of_a_batch_knows_how_many_sockets_it_was_sent_to() {
    check(&fanout().serve(&channel()));
    check(&fanout().hand_over(&channel()).1);
}

fn sizes(batch_bytes: usize, events: &[usize]) -> Vec<usize> {
    let mut fanout = Fanout::new(batch_bytes);
    fanout.insert(subscriber(1));
    for data in events {
        let data = "x".repeat(*data);
        let event = Event::from_back_end(channel(), Words::new("e", data), None, now()).encode();
        fanout.announce(Announcement::Event(event), None, None);
    }
    let mut sizes = Vec::new();
    while fanout.is_waiting() {
        sizes.push(fanout.serve(&channel()).completed.len());
    }
    sizes
}

#[test]
fn a_batch_is_cut_where_it_would_be_too_long_and_one_long_event_is_a_batch() {
    assert_eq!(sizes(1_000, &[100; 12]), [7, 5]);
    assert_eq!(sizes(1_000, &[100, 5_000, 100, 100]), [1, 1, 2]);
    assert_eq!(sizes(1_000, &[5_000, 5_000]), [1, 1]);
}

#[test]
fn a_subscriber_whose_own_events_are_left_out_hears_the_others_in_order() {
    let mut fanout = Fanout::new(1_000_000);
    fanout.insert(subscriber(1));
    for (number, except) in [None, Some(1), None, Some(1), Some(2)].into_iter().enumerate() {
        let except = except.map(SocketId::from_bits);
        let event = Event::from_back_end(channel(), Words::new(number.to_string(), ""), except, now()).encode();
        fanout.announce(Announcement::Event(event), except, None);
    }
    let (writes, _) = fanout.hand_over(&channel());
    let text = String::from_utf8_lossy(&writes[0].frames).into_owned();
    let names: Vec<_> = text.split(r#""event":""#).skip(1).map(|rest| &rest[..1]).collect();
    assert_eq!(names, ["0", "2", "4"]);
}

#[test]
fn a_subscriber_who_came_later_is_not_counted() {
    let mut fanout = fanout();
    fanout.insert(subscriber(4));
    check(&fanout.serve(&channel()));
}

#[test]
fn one_who_falls_behind_is_waited_for_once_until_it_has_caught_up() {
    let mut fanout = Fanout::new(1_000);
    let outbox = Outbox::new(1_000);
    fanout.insert(Subscriber { id: SocketId::from_bits(1), outbox: outbox.clone(), dialect: Dialect::Pusher });
    let mut late = || {
        let event = Event::from_back_end(channel(), Words::new("e", "x".repeat(200)), None, now()).encode();
        fanout.announce(Announcement::Event(event), None, None);
        fanout.serve(&channel()).late.len()
    };
    assert_eq!([late(), late(), late(), late()], [0, 0, 1, 0]);
    outbox.abandon();
    assert_eq!(late(), 0);
}
