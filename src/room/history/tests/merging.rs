//! What other nodes tell of a channel that was opened here later.

use super::*;

/// A history that begins at the fifth event of node 1, which another one may have heard from the start.
fn late() -> Story {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 5));
    story
}

fn span(node: u64, after: u64, last: u64) -> Span {
    Span { origin: origin(node), after, last, has_ended: false, settled: Position::default() }
}

fn ended(node: u64, after: u64, last: u64) -> Span {
    Span { has_ended: true, ..span(node, after, last) }
}

fn old(node: u64, number: u64, seconds: u32) -> OldEvent {
    OldEvent { id: id(node, number), age: SECOND * seconds, event: event(&format!("{node}-{number}")) }
}

impl Story {
    /// Takes what others tell; node 1 lives.
    fn merge(&mut self, spans: &[Span], events: &[OldEvent]) -> usize {
        let answer = Shared { opened: None, spans: spans.to_vec(), events: events.to_vec() };
        self.history.merge(Known { positions: vec![id(1, 9)], answers: vec![answer], stored: None }, self.start)
    }
}

#[test]
fn what_others_kept_comes_before_what_was_heard_here() {
    let mut story = late();
    story.hear(1, 7, 5, 0);
    story.merge(&[span(1, 2, 5)], &[old(1, 3, 9), old(1, 5, 8)]);
    story.check(&[(1, 2)], &["1-3", "1-5", "1-7"], WHOLE);
    story.check(&[(1, 3)], &["1-5", "1-7"], WHOLE);
    story.check(&[(1, 1)], &["1-3", "1-5", "1-7"], OPENED);
}

/// How far a page has heard that came after this and was written everything since, says the history.
fn heard(story: &Story, position: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let joined = position.iter().map(|(node, number)| id(*node, *number)).collect();
    let heard = story.history.heard(&joined, |_, written| written.is_some());
    [1, 2].into_iter().filter_map(|node| Some((node, heard.number_of(origin(node))?))).collect()
}

#[test]
fn what_others_tell_was_not_written_to_those_who_are_here_and_holds_up_nothing_but_its_origin() {
    let mut story = late();
    story.hear(2, 3, 0, 0);
    story.history.written(iter::once(id(2, 3)), story.start);
    story.merge(&[ended(2, 0, 5)], &[old(2, 4, 0), old(2, 5, 0)]);
    story.hear(1, 6, 5, 1);
    story.history.written(iter::once(id(1, 6)), story.start);
    story.check(&[(1, 5)], &["2-3", "2-4", "2-5", "1-6"], WHOLE);
    assert_eq!(heard(&story, &[(1, 5)]), [(1, 6), (2, 3)]);
    // When it comes after all, it is written.
    story.history.written(iter::once(id(2, 4)), story.start);
    assert_eq!(heard(&story, &[(1, 5)]), [(1, 6), (2, 4)]);
}

#[test]
fn a_chain_that_is_not_closed_stays_open() {
    for spans in [&[span(1, 1, 4)][..], &[span(1, 5, 5)], &[span(1, 1, 2), span(1, 3, 5)], &[span(2, 1, 5)], &[]] {
        let mut story = late();
        story.merge(spans, &[old(1, 2, 9), old(1, 3, 9), old(1, 4, 9)]);
        assert_ne!(story.since(&[(1, 1)]).1, WHOLE, "{spans:?}");
    }
}

#[test]
fn spans_of_several_nodes_close_a_chain_and_each_event_is_taken_once() {
    let mut story = late();
    let spans = [span(1, 4, 9), span(1, 1, 3), span(1, 2, 4)];
    story.merge(&spans, &[old(1, 3, 7), old(1, 4, 6), old(1, 2, 8), old(1, 3, 7)]);
    story.check(&[(1, 1)], &["1-2", "1-3", "1-4"], WHOLE);
}

#[test]
fn that_its_node_published_nothing_makes_a_quiet_channel_whole() {
    let mut story = late();
    story.merge(&[span(1, 2, 9)], &[]);
    story.check(&[(1, 2)], &[], WHOLE);
    story.check(&[(1, 1)], &[], OPENED);
}

#[test]
fn what_is_still_to_come_here_is_not_taken_from_others() {
    let mut story = late();
    story.merge(&[span(1, 2, 8)], &[old(1, 8, 0)]);
    story.check(&[(1, 2)], &[], WHOLE);
    assert_eq!(story.history.position(), [id(1, 5)].into_iter().collect());
    story.hear(1, 8, 5, 0);
    story.check(&[(1, 2)], &["1-8"], WHOLE);
}

#[test]
fn an_event_says_itself_how_far_there_was_none_before_it() {
    let mut story = late();
    story.hear(1, 7, 3, 0);
    story.check(&[(1, 3)], &["1-7"], WHOLE);
    story.check(&[(1, 2)], &["1-7"], OPENED);
    story.hear(1, 9, 0, 0);
    story.check(&[(1, 2)], &["1-7", "1-9"], OPENED);
}

#[test]
fn a_node_that_has_ended_is_known_as_far_as_all_others_together_knew_it() {
    let mut story = late();
    // Both were opened while it was silent, and heard nothing of it until its end.
    story.merge(&[ended(2, 40, 40), ended(2, 70, 70), span(1, 0, 9)], &[]);
    story.check(&[(1, 0), (2, 40)], &[], WHOLE);
    story.check(&[(1, 0), (2, 39)], &[], OPENED);
    story.check(&[(1, 0), (2, 71)], &[], Completeness::Partial(Cause::NodeLost));
    story.check(&[(1, 0), (3, 1)], &[], Completeness::Partial(Cause::NodeLost));
}

#[test]
fn a_node_that_lives_here_has_not_ended_whatever_others_say() {
    let mut story = late();
    story.merge(&[ended(1, 2, 3)], &[]);
    story.check(&[(1, 2)], &[], OPENED);
}

#[test]
fn a_node_that_was_taken_for_dead_and_returns_is_heard_on_and_what_lies_between_is_told() {
    let mut story = late();
    story.merge(&[ended(2, 0, 4), span(1, 0, 9)], &[old(2, 4, 1)]);
    assert!(story.history.may_hear_again(&Position::default()));
    story.hear(2, 4, 0, 0);
    story.check(&[(1, 0)], &["2-4"], WHOLE);
    story.hear(2, 9, 7, 0);
    assert!(!story.history.may_hear_again(&Position::default()));
    story.check(&[(1, 0), (2, 4)], &["2-9"], Completeness::Partial(Cause::NodeLost));
    story.check(&[(1, 0), (2, 7)], &["2-9"], WHOLE);
}

#[test]
fn a_gap_between_events_is_filled_in_its_place() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 0));
    story.hear(1, 1, 0, 0);
    story.hear(2, 5, 0, 0);
    story.history.lose(id(1, 2));
    story.hear(1, 3, 2, 0);
    story.check(&[(1, 1)], &["2-5", "1-3"], Completeness::Partial(Cause::NodeLost));
    story.merge(&[span(1, 0, 3)], &[old(1, 1, 4), old(1, 2, 4), old(1, 3, 4)]);
    story.check(&[(1, 0)], &["1-1", "2-5", "1-2", "1-3"], WHOLE);
}

#[test]
fn what_went_here_for_memory_or_its_age_is_not_fetched_back() {
    for cause in [Cause::Memory, Cause::Window] {
        let mut story = late();
        story.hear(1, 7, 5, 0);
        story.history.forget_oldest(cause);
        assert!(!story.history.may_be_completed(&[id(1, 6)].into_iter().collect()));
        story.merge(&[span(1, 0, 7)], &[old(1, 7, 0)]);
        story.check(&[(1, 6)], &[], Completeness::Partial(cause));
    }
}

#[test]
fn what_others_told_counts_against_the_window_and_the_budget() {
    let mut story = late();
    story.history.set_window(HistoryWindow { time: SECOND * 10, events: 2 }, story.start);
    story.merge(&[span(1, 0, 5)], &[old(1, 1, 11), old(1, 2, 9), old(1, 3, 9), old(1, 4, 9)]);
    story.check(&[(1, 2)], &["1-3", "1-4"], WHOLE);
    story.check(&[(1, 1)], &["1-3", "1-4"], WINDOW);
    let size = event("1-1").bytes() + OVERHEAD;
    assert_eq!(story.budget.used(), size * 2);
    let mut story = self::story(60, 10, size * 2);
    story.history.begin(id(1, 5));
    assert_eq!(story.merge(&[span(1, 0, 5)], &[old(1, 2, 9), old(1, 3, 9), old(1, 4, 9)]), 1);
    story.check(&[(1, 1)], &["1-3", "1-4"], Completeness::Partial(Cause::Memory));
}

#[test]
fn what_is_told_to_others_reaches_from_their_position_to_the_last_event_and_has_all_between() {
    let mut story = late();
    (6..=8).for_each(|number| story.hear(1, number, number - 1, 0));
    let share = |story: &Story, since: &[(u64, u64)], bytes| {
        let since = since.iter().map(|(node, number)| id(*node, *number)).collect();
        let Shared { spans, events, .. } = story.history.share(&since, bytes, story.start + SECOND * 3);
        assert!(events.iter().all(|old| old.age == SECOND * 3));
        (spans, events.iter().map(|old| old.id.number).collect::<Vec<_>>())
    };
    assert_eq!(share(&story, &[], 1 << 20), (vec![span(1, 5, 8)], vec![6, 7, 8]));
    assert_eq!(share(&story, &[(1, 6), (2, 9)], 1 << 20), (vec![span(1, 6, 8)], vec![7, 8]));
    assert_eq!(share(&story, &[(1, 9)], 1 << 20), (vec![span(1, 8, 8)], vec![]));
    let two = event("1-6").frame.len() * 2;
    assert_eq!(share(&story, &[], two), (vec![span(1, 6, 8)], vec![7, 8]));
    assert_eq!(share(&story, &[], 1), (vec![span(1, 8, 8)], vec![]));
}

#[test]
fn a_node_that_had_ended_before_does_not_concern_who_came_later() {
    let mut story = story(60, 10, 1 << 20);
    story.history.open(id(1, 5));
    story.history.begin(id(1, 5));
    story.merge(&[ended(2, 3, 4), span(1, 0, 9)], &[old(2, 4, 1)]);
    // It came when the room was open, and the other node gone.
    story.check(&[(1, 5)], &[], WHOLE);
    // It came before, and nobody knows what the other node published first.
    story.check(&[(1, 4)], &["2-4"], OPENED);
    story.check(&[(1, 4), (2, 3)], &["2-4"], WHOLE);
    // A third node learns that from this one, and from one that never knew the other node.
    for told in [
        story.history.share(&Position::default(), 1 << 20, story.start),
        Shared { opened: Some(id(1, 5)), ..Shared::default() },
    ] {
        let mut third = self::story(60, 10, 1 << 20);
        third.history.open(id(3, 7));
        third.history.begin(id(3, 7));
        let ended = Shared { spans: vec![ended(2, 3, 4)], ..Shared::default() };
        let own = Shared { spans: vec![span(1, 0, 9), span(3, 0, 8)], ..Shared::default() };
        third.history.merge(
            Known { positions: vec![id(1, 9), id(3, 8)], answers: vec![ended, own, told], stored: None },
            third.start,
        );
        assert_eq!(third.since(&[(1, 5), (3, 7)]).1, WHOLE);
        assert_eq!(third.since(&[(1, 5), (3, 0)]).1, WHOLE);
        assert_eq!(third.since(&[(1, 4), (3, 0)]).1, OPENED);
        assert_eq!(third.since(&[(1, 4), (3, 7)]).1, WHOLE);
    }
}

/// What the stream has: everything of the last so many seconds.
fn stored(spans: &[Span], events: &[OldEvent], seconds: u32, now: Instant) -> Known {
    let shared = Shared { opened: None, spans: spans.to_vec(), events: events.to_vec() };
    Known {
        positions: vec![id(1, 9)],
        answers: Vec::new(),
        stored: Some(Stored {
            shared,
            since: now - SECOND * seconds,
            assumed: Position::default(),
            silent: Vec::new(),
        }),
    }
}

#[test]
fn who_heard_up_to_a_moment_is_replayed_what_the_stream_has_from_then_on() {
    let mut story = late();
    story.history.begin_at(story.start);
    let moment = |seconds: u32| story.start - SECOND * seconds;
    let (ten, twenty) = (moment(10), moment(20));
    assert_eq!(story.history.since(ten), Since::Unknown);
    let spans = [ended(1, 2, 9), ended(2, 4, 8)];
    story.history.merge(stored(&spans, &[old(1, 4, 15), old(2, 7, 9), old(1, 5, 8)], 20, story.start), story.start);
    assert_eq!(story.history.since(ten), Since::Position([id(1, 4), id(2, 6)].into_iter().collect()));
    story.check(&[(1, 4), (2, 6)], &["2-7", "1-5"], WHOLE);
    assert_eq!(story.history.since(twenty), Since::Unknown);
}

#[test]
fn the_stream_does_not_vouch_for_the_time_of_a_node_whose_marks_it_has_not() {
    for spans in [&[ended(2, 0, 8)][..], &[ended(1, 4, 4)], &[]] {
        let mut story = late();
        story.history.begin_at(story.start);
        story.history.merge(stored(spans, &[], 20, story.start), story.start);
        assert_eq!(story.history.since(story.start - SECOND), Since::Unknown, "{spans:?}");
    }
}

#[test]
fn what_a_node_that_does_not_live_was_heard_to_publish_is_stored_or_nowhere_unless_it_comes_back() {
    let mut story = late();
    let mut known = stored(&[span(2, 1, 5)], &[old(2, 5, 1)], 20, story.start);
    known.stored.iter_mut().for_each(|stored| stored.assumed.note(id(2, 8)));
    story.history.merge(known, story.start);
    story.check(&[(1, 5), (2, 3)], &["2-5"], WHOLE);
    story.check(&[(1, 5), (2, 8)], &[], WHOLE);
    assert_ne!(story.since(&[(1, 5), (2, 9)]).1, WHOLE);
    assert!(story.history.assumes(id(2, 8)) && !story.history.assumes(id(2, 5)) && !story.history.assumes(id(2, 9)));
    // Nobody is told that it has heard that.
    assert_eq!(story.history.position(), [id(1, 5), id(2, 5)].into_iter().collect());
    story.hear(2, 7, 5, 1);
    story.check(&[(1, 5), (2, 3)], &["2-5", "2-7"], WHOLE);
    assert!(!story.history.assumes(id(2, 8)));
}

#[test]
fn what_was_lost_on_the_way_and_the_stream_has_may_have_been_of_any_time_after() {
    let mut story = late();
    story.history.begin_at(story.start);
    story.history.lose(id(1, 9));
    assert_eq!(story.history.since(story.start + SECOND), Since::Unknown);
    story.history.merge(stored(&[ended(1, 2, 9)], &[old(1, 8, 1)], 20, story.start), story.start);
    assert_eq!(story.history.since(story.start - SECOND * 2), Since::Position([id(1, 7)].into_iter().collect()));
}

#[test]
fn more_of_a_node_that_has_ended_may_be_learnt_later() {
    let mut story = late();
    story.merge(&[ended(2, 1, 3)], &[old(2, 3, 9)]);
    story.check(&[(1, 5), (2, 1)], &["2-3"], WHOLE);
    story.merge(&[ended(2, 2, 7)], &[old(2, 3, 9), old(2, 6, 5)]);
    story.check(&[(1, 5), (2, 1)], &["2-3", "2-6"], WHOLE);
    story.merge(&[ended(2, 9, 12)], &[old(2, 11, 5)]);
    story.check(&[(1, 5), (2, 1)], &["2-3", "2-6"], WHOLE);
    assert_ne!(story.since(&[(1, 5), (2, 12)]).1, WHOLE);
}

#[test]
fn what_a_dead_node_published_and_this_node_never_heard_is_replayed_and_not_heard_again_if_it_comes() {
    let mut story = late();
    story.history.begin(id(2, 3));
    story.merge(&[ended(2, 1, 8)], &[old(2, 5, 9), old(2, 8, 5)]);
    story.check(&[(1, 5), (2, 3)], &["2-5", "2-8"], WHOLE);
    assert!(story.history.may_hear_again(&[id(1, 5), id(2, 3)].into_iter().collect()));
    // What a client published between comes too, and changes nothing.
    story.history.pass_over(Numbered { id: id(2, 4), predecessor: Some(3) });
    for (number, predecessor) in [(5, 4), (8, 5), (9, 8)] {
        story.hear(2, number, predecessor, 1);
    }
    story.check(&[(1, 5), (2, 3)], &["2-5", "2-8", "2-9"], WHOLE);
}

#[test]
fn what_the_stream_has_of_a_node_that_does_not_answer_is_not_waited_for() {
    for (silent, expected) in [(vec![origin(2)], &["2-5"][..]), (Vec::new(), &[])] {
        let mut story = late();
        story.history.begin(id(2, 3));
        let mut known = stored(&[span(2, 1, 5)], &[old(2, 5, 1)], 20, story.start);
        known.positions.push(id(2, 3));
        known.stored.iter_mut().for_each(|stored| stored.silent.clone_from(&silent));
        story.history.merge(known, story.start);
        story.check(&[(1, 5), (2, 3)], expected, WHOLE);
        // If it comes all the same, it was known.
        story.hear(2, 5, 3, 1);
        story.check(&[(1, 5), (2, 3)], &["2-5"], WHOLE);
    }
}
