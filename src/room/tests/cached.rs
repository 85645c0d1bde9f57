//! What a node that is alone keeps of cache channels.

use super::*;

fn channel(number: usize) -> ChannelName {
    ChannelName::parse(&format!("cache-{number}"), 200).unwrap()
}

fn publish(stage: &Stage, channels: impl IntoIterator<Item = usize>, data: &str) {
    let words = Words::new("e", data);
    let event = |number| Event::from_back_end(channel(number), words.clone(), None, event::now());
    stage.rooms.publish(&stage.app, channels.into_iter().map(event).collect()).unwrap();
}

async fn kept(stage: &Stage, channels: usize) -> Vec<usize> {
    let mut kept = Vec::new();
    for number in 0..channels {
        if stage.rooms.cached(&stage.app, &channel(number)).await.unwrap().is_some() {
            kept.push(number);
        }
    }
    kept
}

#[actix_web::test]
async fn the_oldest_events_go_when_their_bytes_are_too_many() {
    let stage = stage(2);
    let data = "x".repeat(1_000_000);
    // An event takes its frame and its data, and 32 MiB are for one app.
    for number in 0..20 {
        publish(&stage, [number], &data);
        // Rooms of two threads have no order but that in which they are asked.
        assert!(kept(&stage, number + 1).await.contains(&number));
    }
    assert_eq!(kept(&stage, 20).await, (4..20).collect::<Vec<_>>());
    let usage = stage.rooms.cache_use().unwrap();
    assert_eq!((usage.evicted, usage.bytes > 32_000_000, usage.bytes <= 32 << 20), (4, true, true));
}

#[actix_web::test]
async fn an_event_that_takes_the_place_of_another_of_its_channel_counts_alone() {
    let stage = stage(2);
    for text in ["x".repeat(100_000), "x".repeat(10)] {
        publish(&stage, [0], &text);
        assert_eq!(kept(&stage, 1).await, [0]);
    }
    let usage = stage.rooms.cache_use().unwrap();
    assert!(usage.bytes < 10_000 && usage.evicted == 0, "{usage:?}");
}
