//! Pages that come to nodes, move between them and go; and what nodes say of where they are.

use std::collections::{BTreeMap, BTreeSet};

use gaung_cluster::{
    NodeId,
    core::Input,
    page::{PageChange, PageClaim, PageHash, PageWhere, Standing},
};

use crate::{process::Process, world::World};

/// How many pages there are.
const PAGES: u64 = 12;

/// Where the pages are in truth.
#[derive(Default)]
pub struct Pages {
    /// The node to which each came last, and which it has not left.
    homes: BTreeMap<PageHash, NodeId>,
    /// Those whose node died.
    lost: BTreeMap<PageHash, Loss>,
}

/// The death of a page's node.
struct Loss {
    at: u64,
    /// Who lived then, and whether it knew where the page was.
    witnesses: BTreeMap<NodeId, bool>,
}

impl World {
    /// A page comes to a node, or goes from it.
    pub fn move_page(&mut self, slot: usize) {
        let page = PageHash([self.net.random.below(PAGES) as u8; 16]);
        if self.net.random.chance(2_000) {
            return self.page_goes(slot, page);
        }
        if self.net.random.chance(4_000) {
            return self.page_stands(slot, page);
        }
        self.take_over(slot, page);
        let Some(process) = &mut self.net.slots[slot].process else { return };
        process.pages.insert(page, Standing::UpToDate);
        self.pages.homes.insert(page, process.id);
        self.pages.lost.remove(&page);
        self.step(slot, Input::Page(page, PageChange::Came));
    }

    /// A page of a node stands otherwise.
    fn page_stands(&mut self, slot: usize, page: PageHash) {
        let standing = if self.net.random.chance(5_000) { Standing::Owing } else { Standing::UpToDate };
        let Some(process) = &mut self.net.slots[slot].process else { return };
        process.pages.entry(page).and_modify(|known| *known = standing);
        self.step(slot, Input::Page(page, PageChange::Stands(standing)));
    }

    /// A page is not at a node any longer: its time is over, or another node has it.
    pub fn page_goes(&mut self, slot: usize, page: PageHash) {
        let Some(process) = &mut self.net.slots[slot].process else { return };
        process.pages.remove(&page);
        if self.pages.homes.get(&page) == Some(&process.id) {
            self.pages.homes.remove(&page);
        }
        self.step(slot, Input::Page(page, PageChange::Gone));
    }

    /// Where the node is asked that had the page, it forgets it; most questions are answered.
    fn take_over(&mut self, slot: usize, page: PageHash) {
        for other in (0..self.net.slots.len()).filter(|other| *other != slot) {
            let has = self.net.slots[other].process.as_ref().is_some_and(|process| process.pages.contains_key(&page));
            let is_awake = self.net.slots[other].stopped_until <= self.net.now;
            if has && is_awake && self.net.reaches(slot, other) && self.net.random.chance(7_000) {
                self.page_goes(other, page);
            }
        }
    }

    /// A process is gone, and with it its pages.
    pub fn lose_pages(&mut self, dead: &Process) {
        let pages: Vec<PageHash> =
            self.pages.homes.iter().filter(|(_, home)| **home == dead.id).map(|(page, _)| *page).collect();
        for page in pages {
            let claim = |process: &Process| claim_of(process, dead.id, page);
            let knows = |process: &Process| claim(process) == claim(dead);
            let witnesses = self.net.processes().map(|process| (process.id, knows(process))).collect();
            self.pages.homes.remove(&page);
            self.pages.lost.insert(page, Loss { at: self.net.now, witnesses });
        }
    }

    /// What nodes say of pages that is not so.
    pub fn page_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for process in self.net.processes() {
            let living: BTreeSet<NodeId> = self.net.processes().map(|process| process.id).collect();
            for (page, home) in self.pages.homes.iter().filter(|(_, home)| living.contains(home)) {
                let standing = self.standing(*home, *page);
                let seen = process.core.page(*page);
                if !matches!(seen, PageWhere::On(node, seen) if node == *home && Some(seen.standing) == standing) {
                    faults.push(format!("{} sees {page:?} {seen:?} instead of on {home}, {standing:?}", process.id));
                }
            }
            for (page, loss) in &self.pages.lost {
                faults.extend(self.loss_fault(process, *page, loss, &living));
            }
        }
        faults
    }

    /// How many pages have a node that lives, and how many are lost and were known to somebody who lives.
    pub fn page_counts(&self) -> (u64, u64) {
        let is_lost = |page: &PageHash| {
            self.net.processes().any(|process| matches!(process.core.page(*page), PageWhere::Lost(_)))
        };
        let lost = self.pages.lost.keys().filter(|page| is_lost(page)).count();
        (self.pages.homes.len() as u64, lost as u64)
    }

    /// Who knew where a page was knows that it is lost; and if all did, those that came later know it too.
    fn loss_fault(&self, process: &Process, page: PageHash, loss: &Loss, living: &BTreeSet<NodeId>) -> Option<String> {
        let mut witnesses = loss.witnesses.iter().filter(|(node, _)| living.contains(node)).peekable();
        let is_known = match loss.witnesses.get(&process.id) {
            Some(knew) => *knew,
            None => witnesses.peek().is_some() && witnesses.all(|(_, knew)| *knew),
        };
        let silence = self.net.now - loss.at;
        match process.core.page(page) {
            PageWhere::Lost(seen) if !is_known || seen.silent_for.as_millis() + 3_000 >= u128::from(silence) => None,
            PageWhere::Unknown | PageWhere::On(..) if !is_known => None,
            seen => Some(format!("{} sees {page:?} {seen:?}, which is lost since {silence} ms", process.id)),
        }
    }

    fn standing(&self, home: NodeId, page: PageHash) -> Option<Standing> {
        self.net.processes().find(|process| process.id == home)?.pages.get(&page).copied()
    }
}

fn claim_of(process: &Process, node: NodeId, page: PageHash) -> Option<PageClaim> {
    process.core.claims(node).find(|claim| claim.page == page)
}
