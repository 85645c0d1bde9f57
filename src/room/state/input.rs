//! What a room is told, and what it may look at meanwhile. Pure.

use std::{cell::OnceCell, time::Instant};

use super::{Clock, PendingClientEvent};
use crate::{
    app::{App, tenants::Tenant},
    event::Moment,
    room::{messages::Forwarded, shelf::ShelfPlace},
};

/// What happens to a room.
#[expect(clippy::large_enum_variant, reason = "nearly all inputs are messages: a box would cost each an allocation")]
#[derive(Debug)]
pub enum RoomInput {
    /// Its shard forwards a message.
    Message(Forwarded),
    /// There is time for the next message that waited for the opening.
    Replay,
    /// A turn of replays is over.
    EndReplay,
    /// The other nodes are sent this client event.
    ClientEventSent(Box<PendingClientEvent>),
    /// The cached event that was published at this time has its place among all that the node keeps.
    Shelved(u64, ShelfPlace),
    /// What is due of the members is announced before what comes next.
    AnnounceDue,
    /// The turn that [`Task::Announce`](super::Task::Announce) asked for.
    Announce,
    /// A serving turn is over. Unless the serving goes on by itself, what waits needs another
    /// [`Task::Serve`](super::Task::Serve).
    Served(Serving),
    /// A clock rings.
    Woke(Clock),
}

/// Whether a room is being served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// The next turn is scheduled.
    GoesOn,
    /// Nothing is scheduled.
    Ends,
}

/// What a step may look at beside its input.
pub struct Surroundings<'a> {
    /// Whose room: its settings.
    pub app: &'a App,
    /// Whose channel it is, if it is anybody's.
    pub tenant: Option<&'a Tenant>,
    /// Whether this node has said that it goes.
    pub is_leaving: bool,
    clock: fn() -> Moment,
    moment: OnceCell<Moment>,
}

impl<'a> Surroundings<'a> {
    /// The clock is read once at most, and not at all by a step that needs no time: most events need none.
    pub fn new(app: &'a App, is_leaving: bool, clock: fn() -> Moment) -> Self {
        Self { app, tenant: None, is_leaving, clock, moment: OnceCell::new() }
    }

    /// The same in a channel of the tenant's, if it is anybody's.
    pub fn of_tenant(self, tenant: Option<&'a Tenant>) -> Self {
        Self { tenant, ..self }
    }

    /// A step at a given moment, for tests and simulations, whose time is not the clock's.
    pub fn at(app: &'a App, is_leaving: bool, moment: Moment) -> Self {
        Self { moment: OnceCell::from(moment), ..Self::new(app, is_leaving, || unreachable!("the moment is given")) }
    }

    /// Charges an event of so many bytes that so many sockets are sent.
    pub fn charge(&self, sockets: usize, bytes: usize) {
        if self.app.charges() {
            self.app.charge(self.tenant, sockets, bytes, self.now());
        }
    }

    /// When the step happens, on both clocks.
    pub fn moment(&self) -> Moment {
        *self.moment.get_or_init(self.clock)
    }

    /// When the step happens.
    pub fn now(&self) -> Instant {
        self.moment().0
    }
}
