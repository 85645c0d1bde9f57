//! Where nodes do not hear one another, nobody can know where a page was last: pages that begin anew for that are not held to
//! what they heard before.

use std::collections::BTreeSet;

use gaung::protocol::ChannelName;
use gaung_cluster::NodeId;

use crate::world::{Trouble, World};

impl World {
    /// A socket of a page begins on a node: anew, or with what a node knew of these channels.
    pub fn note_home(&mut self, client: usize, node: NodeId, is_new: bool, known: Option<BTreeSet<ChannelName>>) {
        let source = self.handed_by.take().unwrap_or(node);
        let Some(page) = &mut self.clients[client].page else { return };
        let Some(home) = page.home.replace(node) else { return };
        let is_stranger = is_new && home != node && self.is_stranger();
        let is_stale = !is_new && source != home && known.is_some();
        self.tally.strangers += u64::from(is_stranger);
        self.tally.stale += u64::from(is_stale);
        if is_stranger {
            return self.clients[client].progress.clear();
        }
        let known = known.unwrap_or_default();
        for (channel, progress) in &mut self.clients[client].progress {
            progress.is_stale |= is_stale;
            if is_stale || !known.contains(channel) {
                // It may hear again what it has heard.
                progress.proven.clear();
            }
        }
    }

    /// Notes which nodes do not know one another yet: nobody hears what one of them published before they met.
    pub fn note_unmet(&mut self) {
        let living: Vec<NodeId> = self.net.processes().map(|process| process.id).collect();
        for client in &mut self.clients {
            let Some(socket) = &client.socket else { continue };
            let Some(process) = &self.net.slots[socket.slot].process else { continue };
            let known: BTreeSet<NodeId> = process.core.peers().map(|peer| peer.node).chain([process.id]).collect();
            for node in living.iter().filter(|node| !known.contains(node)) {
                client.progress.values_mut().for_each(|progress| _ = progress.unmet.insert(*node));
            }
        }
    }

    /// Whether a node may not have heard where a page was: where nodes are cut off, split and killed, it may have missed the
    /// one that had it last, and so may all that it could ask. Where they only leave, it has not.
    fn is_stranger(&self) -> bool {
        self.trouble == Trouble::All
    }
}
