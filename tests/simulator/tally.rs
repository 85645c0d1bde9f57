//! What happened, so that a run in which nothing did is not taken for a good one.

use std::ops::AddAssign;

/// Counts over a run, added up over many.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub kills: u64,
    pub drains: u64,
    pub sockets: u64,
    pub joins: u64,
    pub promised: u64,
    pub heard: u64,
    pub client_events: u64,
    pub members: u64,
    pub cached: u64,
    /// Those who came back and were sent all that they missed, and those who were told that they were not.
    pub whole: u64,
    pub partial: u64,
    pub replayed: u64,
    /// Sockets of pages that began, and receipts that they gave.
    pub pages: u64,
    pub receipts: u64,
    /// Pages that were sent away and have proven that they heard everything.
    pub proven: u64,
    /// Pages that came to another node: handed over, or their node did not answer, or was gone.
    pub handed: u64,
    pub unanswered: u64,
    pub lost: u64,
    /// Pages that were away when their node ended in order, and that another one has kept since.
    pub left: u64,
    /// Sockets that were closed for newer ones, pages that another node had taken unasked, and pages that came twice at once.
    pub superseded: u64,
    pub taken: u64,
    pub twice: u64,
    /// Pages that were told that they may have missed something, and how often one was held to what its room kept.
    pub told: u64,
    pub held: u64,
    /// Pages that began anew, or with an older copy, because nodes had not heard one another.
    pub strangers: u64,
    pub stale: u64,
    /// Those who were away for minutes from a quiet channel, and were told that nothing or that something may be missing.
    pub slept_whole: u64,
    pub slept_told: u64,
    /// Events of nodes that were killed, which came to a room from the stream alone.
    pub recovered: u64,
    /// Questions to other nodes after which nothing was missing, something was, or that some node did not answer.
    pub asked_whole: u64,
    /// After which nothing was missing with what the stream had, and after which it could not be read.
    pub asked_stream: u64,
    pub asked_away: u64,
    pub asked_part: u64,
    pub asked_silent: u64,
}

impl Tally {
    /// Whether there was something to judge.
    pub fn is_lively(&self) -> bool {
        let cluster = [self.kills, self.drains, self.joins, self.promised, self.client_events, self.members];
        let kept = [self.cached, self.whole, self.partial, self.replayed, self.pages, self.receipts, self.proven];
        let asked = [self.asked_whole, self.asked_part, self.asked_stream, self.asked_away, self.recovered];
        let moved = [self.handed, self.unanswered, self.lost, self.left, self.superseded, self.taken, self.twice];
        let judged = [self.told, self.held];
        cluster.iter().chain(&kept).chain(&asked).chain(&moved).chain(&judged).all(|count| *count > 0)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.drains += other.drains;
        self.sockets += other.sockets;
        self.joins += other.joins;
        self.promised += other.promised;
        self.heard += other.heard;
        self.client_events += other.client_events;
        self.members += other.members;
        self.cached += other.cached;
        self.whole += other.whole;
        self.partial += other.partial;
        self.replayed += other.replayed;
        self.pages += other.pages;
        self.receipts += other.receipts;
        self.proven += other.proven;
        self.handed += other.handed;
        self.unanswered += other.unanswered;
        self.lost += other.lost;
        self.left += other.left;
        self.superseded += other.superseded;
        self.taken += other.taken;
        self.twice += other.twice;
        self.told += other.told;
        self.held += other.held;
        self.strangers += other.strangers;
        self.stale += other.stale;
        self.slept_whole += other.slept_whole;
        self.slept_told += other.slept_told;
        self.recovered += other.recovered;
        self.asked_whole += other.asked_whole;
        self.asked_stream += other.asked_stream;
        self.asked_away += other.asked_away;
        self.asked_part += other.asked_part;
        self.asked_silent += other.asked_silent;
    }
}
