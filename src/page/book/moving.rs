//! Pages that move between nodes: those that come here from others, and those that others ask for.

use std::{
    collections::btree_map::Entry,
    mem,
    time::{Duration, Instant},
};

use gaung_cluster::page::{PageChange, Standing};

use super::{
    Away, BookOutput, HandedPage, LeftPage, Newcomer, Page, PageBook, PageKey, PageStart, PageVisit, Positions,
    REMEMBERED, Stage, Turn,
};
use crate::page::messages::{Finding, MAX_WINDOW};

/// For how long a node claims a page that it has handed over: longer than it takes to hear of it again what was lost.
const HANDED_FOR: Duration = Duration::from_secs(10);

impl PageBook {
    /// The visit of a page that is known and for which nobody waits.
    pub fn visit_of(&self, key: PageKey) -> Option<PageVisit> {
        let page = self.pages.get(&key).filter(|_| !self.newcomers.contains_key(&key))?;
        Some(PageVisit { page: key, number: page.visit })
    }

    /// A page that is not known here: another node may have it.
    pub(super) fn seek(&mut self, key: PageKey, number: u64, turn: &mut Turn<'_>) {
        turn.outputs.push(match self.sought.insert(key, number) {
            Some(older) => BookOutput::Supersede(older),
            None => BookOutput::Seek(key),
        });
    }

    pub(super) fn find(&mut self, key: PageKey, finding: Finding, turn: &mut Turn<'_>) {
        let Some(number) = self.sought.remove(&key) else { return };
        if self.pages.contains_key(&key) {
            // A node that ends has left it here meanwhile.
            return self.succeed(key, Newcomer::Socket(number), turn);
        }
        match finding {
            Finding::Nothing { known_for } => self.welcome(key, number, known_for, turn),
            Finding::Handed(page) => self.take_over(key, number, page, turn),
            Finding::Lost(since) => {
                let (socket, positions) = ((turn.draw)(), Positions::all(since));
                let start = PageStart { is_new: false, socket, given: turn.now, was: None, user: None, positions };
                self.start(key, number, start, turn);
            }
        }
    }

    /// Another node has a socket of a page that may be here.
    pub(super) fn be_asked(&mut self, key: PageKey, question: u64, turn: &mut Turn<'_>) {
        if self.pages.contains_key(&key) {
            self.succeed(key, Newcomer::Node(question), turn);
        } else {
            turn.outputs.push(BookOutput::Decline(question));
        }
    }

    /// The page of the other node from now on.
    pub(super) fn hand_over(&mut self, key: &PageKey, question: u64, away: Away, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.remove(key) else { return };
        let page = page.handed(away, turn.now);
        turn.outputs.push(BookOutput::HandOver(question, page));
        self.share(*key, PageChange::Stands(Standing::Owing), turn);
        self.handed.push_back((turn.now, *key));
    }

    /// The node that was handed a page has said by now that it has it, if it was not lost on the way. Until then a third one
    /// must not believe that nobody knows the page.
    pub(super) fn withdraw_handed(&mut self, turn: &mut Turn<'_>) {
        while let Some((since, _)) = self.handed.front()
            && turn.now.saturating_duration_since(*since) >= HANDED_FOR
            && let Some((_, key)) = self.handed.pop_front()
        {
            if !self.pages.contains_key(&key) {
                self.share(key, PageChange::Gone, turn);
            }
        }
    }

    /// This node ends: pages that are away are to be known on others.
    pub(super) fn leave_all(&mut self, turn: &mut Turn<'_>) {
        let is_away = |_: &PageKey, page: &mut Page| matches!(page.stage, Stage::Away(_));
        let away: Vec<_> = self.pages.extract_if(.., is_away).collect();
        for (key, mut page) in away {
            let Stage::Away(away) = mem::replace(&mut page.stage, Stage::Here) else { continue };
            self.unlist(page.visit, &away);
            let Some((positions_end, known_end)) = away.ends else { continue };
            let left = |end: Instant| end.saturating_duration_since(turn.now);
            let (kept_for, known_for, app) = (left(positions_end), left(known_end), away.app.clone());
            let page = page.handed(*away, turn.now);
            turn.outputs.push(BookOutput::Leave(LeftPage { key, app, kept_for, known_for, page }));
        }
    }

    /// A page that is away is known here from now on, unless it has come here itself.
    pub(super) fn keep(&mut self, visit: u64, left: LeftPage, turn: &mut Turn<'_>) {
        let LeftPage { key, app, kept_for, known_for, page } = left;
        if self.pages.contains_key(&key) {
            return;
        }
        let HandedPage { socket, keeps_id, given_for, user, positions } = page;
        let given = turn.now.checked_sub(given_for).filter(|_| keeps_id);
        let ends = (turn.now + kept_for.min(MAX_WINDOW), turn.now + known_for.min(REMEMBERED));
        let (positions, gives_up_id) = (positions.unclaimed(), given.is_none());
        let away = Away { app, user, positions, gives_up_id, ends: Some(ends), ..Away::default() };
        let given = given.unwrap_or(turn.now);
        self.pages.insert(key, Page { visit, socket, given, stage: Stage::Away(Box::new(away)) });
        self.list(&key, turn);
        self.share(key, PageChange::Came, turn);
        self.share(key, PageChange::Stands(Standing::Owing), turn);
    }

    /// Another node has the page since later, and has not asked for it, or not been answered.
    pub(super) fn lose(&mut self, visit: &PageVisit, turn: &mut Turn<'_>) {
        let Entry::Occupied(page) = self.pages.entry(visit.page) else { return };
        if page.get().visit != visit.number || self.newcomers.contains_key(&visit.page) {
            return;
        }
        match page.remove().stage {
            Stage::Here => turn.outputs.push(BookOutput::Supersede(visit.number)),
            Stage::Parting(_) => turn.outputs.push(BookOutput::RoomsLeft(visit.number)),
            Stage::Away(away) => self.unlist(visit.number, &away),
        }
        self.share(visit.page, PageChange::Gone, turn);
    }

    pub(super) fn restand(&self, visit: &PageVisit, standing: Standing, turn: &mut Turn<'_>) {
        let is_here = |page: &&Page| page.visit == visit.number && matches!(page.stage, Stage::Here);
        if self.pages.get(&visit.page).filter(is_here).is_some() {
            self.share(visit.page, PageChange::Stands(standing), turn);
        }
    }

    /// Of pages that went long ago nobody could tell what they have heard, if this node died.
    pub(super) fn note_owing(&mut self, turn: &mut Turn<'_>) {
        let Some(rules) = self.rules.cluster else { return self.departed.clear() };
        while let Some((since, _)) = self.departed.front()
            && turn.now.saturating_duration_since(*since) >= rules.owes_after
            && let Some((_, visit)) = self.departed.pop_front()
        {
            let is_away = |page: &&Page| page.visit == visit.number && matches!(page.stage, Stage::Away(_));
            if self.pages.get(&visit.page).filter(is_away).is_some() {
                self.share(visit.page, PageChange::Stands(Standing::Owing), turn);
            }
        }
    }

    /// The page is here from now on. What it missed before it has not proven to have heard.
    pub(super) fn share_start(&self, key: PageKey, missed: &Positions, turn: &mut Turn<'_>) {
        self.share(key, PageChange::Came, turn);
        if !missed.is_empty() {
            self.share(key, PageChange::Stands(Standing::Owing), turn);
        }
    }

    pub(super) fn share(&self, key: PageKey, change: PageChange, turn: &mut Turn<'_>) {
        if self.rules.cluster.is_some() {
            turn.outputs.push(BookOutput::Share(key, change));
        }
    }

    fn take_over(&mut self, key: PageKey, number: u64, page: HandedPage, turn: &mut Turn<'_>) {
        let HandedPage { socket, keeps_id, given_for, user, positions } = page;
        let given = turn.now.checked_sub(given_for).filter(|_| keeps_id && given_for < self.rules.id_lifetime);
        let (socket, given, was) = match given {
            Some(given) => (socket, given, None),
            None => ((turn.draw)(), turn.now, Some(socket)),
        };
        self.start(key, number, PageStart { is_new: false, socket, given, was, user, positions }, turn);
    }
}

impl Page {
    /// It goes to another node, with what it has while it is away.
    fn handed(self, away: Away, now: Instant) -> HandedPage {
        let Away { user, positions, gives_up_id, .. } = away;
        let given_for = now.saturating_duration_since(self.given);
        HandedPage { socket: self.socket, keeps_id: !gives_up_id, given_for, user, positions }
    }
}

impl Newcomer {
    /// What one is told for which a newer one comes.
    pub(super) fn rejection(self) -> BookOutput {
        match self {
            Self::Socket(number) => BookOutput::Supersede(number),
            Self::Node(question) => BookOutput::Decline(question),
        }
    }
}
