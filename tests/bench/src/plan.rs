//! How much is measured: enough for figures that hold, or less for a look. Pure.

use std::time::Duration;

use clap::ValueEnum;

use super::report::grouped;

/// Bytes of data in an event.
pub const EVENT_BYTES: usize = 200;

/// What can be measured. The floor (f) runs beside the cases that are compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// a: one channel, many sockets, one and sixteen messages in flight
    #[value(name = "a", alias = "fan-out")]
    FanOut,
    /// b: many channels with few sockets each
    #[value(name = "b", alias = "channels")]
    Channels,
    /// c: idle subscribed sockets and the memory they hold
    #[value(name = "c", alias = "idle")]
    Idle,
    /// d: verified triggers that nobody hears, beside requests that are answered at once
    #[value(name = "d", alias = "triggers")]
    Triggers,
    /// e: connects and subscribes a second
    #[value(name = "e", alias = "connects")]
    Connects,
    /// g: many readers beside one that stops reading
    #[value(name = "g", alias = "stall")]
    Stall,
    /// h: two nodes, events posted to one and read on the other
    #[value(name = "h", alias = "pair")]
    Pair,
    /// i: many members of one presence channel over three nodes
    #[value(name = "i", alias = "members")]
    Members,
    /// j: many small rooms spread over three nodes
    #[value(name = "j", alias = "rooms")]
    Rooms,
    /// k: scrapes of a server with very many apps
    #[value(name = "k", alias = "scrape")]
    Scrape,
    /// l: channels that keep a history, and pages that come back
    #[value(name = "l", alias = "pages")]
    Pages,
    /// m: fan-out beside another build of the server, which --beside names
    #[value(name = "m", alias = "builds")]
    Builds,
    /// n: fan-out, memory and connects with TLS in the server, beside the same without
    #[value(name = "n", alias = "tls")]
    Tls,
}

impl Case {
    /// All, in the order in which they are measured.
    pub const ALL: [Case; 13] = [
        Case::FanOut,
        Case::Channels,
        Case::Idle,
        Case::Triggers,
        Case::Connects,
        Case::Stall,
        Case::Pair,
        Case::Members,
        Case::Rooms,
        Case::Scrape,
        Case::Pages,
        Case::Builds,
        Case::Tls,
    ];

    /// The letter in tables.
    pub fn letter(self) -> char {
        match self {
            Case::FanOut => 'a',
            Case::Channels => 'b',
            Case::Idle => 'c',
            Case::Triggers => 'd',
            Case::Connects => 'e',
            Case::Stall => 'g',
            Case::Pair => 'h',
            Case::Members => 'i',
            Case::Rooms => 'j',
            Case::Scrape => 'k',
            Case::Pages => 'l',
            Case::Builds => 'm',
            Case::Tls => 'n',
        }
    }
}

/// One way to fan out.
#[derive(Debug, Clone, Copy)]
pub struct FanOut {
    /// Sockets in all.
    pub sockets: u32,
    /// Channels that they are spread over; divides `sockets`.
    pub channels: u32,
    /// Triggers outstanding at any time; one is outstanding until all readers have its event.
    pub in_flight: usize,
    /// Deliveries that one round should come to.
    pub deliveries: u32,
}

impl FanOut {
    /// What is fanned out, in words.
    pub fn title(&self) -> String {
        let place = match self.channels {
            1 => "one channel".to_owned(),
            channels => format!("{channels} channels"),
        };
        format!("{} sockets on {place}, {} in flight", grouped(self.sockets.into()), self.in_flight)
    }

    /// Sockets that hear one event.
    pub fn readers(&self) -> u32 {
        self.sockets / self.channels
    }

    /// Triggers in one round: at least a few times what is in flight.
    pub fn triggers(&self) -> u32 {
        (self.deliveries / self.readers()).max(self.in_flight as u32 * 4)
    }

    /// Triggers before the first round.
    pub fn warm_up(&self) -> u32 {
        self.triggers().div_ceil(10)
    }
}

/// How much of everything.
#[derive(Debug)]
pub struct Plan {
    /// Rounds of each measurement, of which the medians count.
    pub rounds: usize,
    /// Rounds of cases d and k, which are short, and of m, which looks for little.
    pub short_rounds: usize,
    /// Case a.
    pub fan_out: Vec<FanOut>,
    /// Case b.
    pub channels: Vec<FanOut>,
    /// Sockets of case c.
    pub idle_sockets: u32,
    /// Requests in one round of case d.
    pub triggers: u32,
    /// Sockets in one round of case e, and in n of new clients.
    pub connects: u32,
    /// Case g: readers beside the one that stalls.
    pub stall_readers: u32,
    /// Case g: events in one round, together more than the kernel and the server keep for one socket.
    pub stall_events: u32,
    /// Case h: what crosses from one node to the other.
    pub pair: Vec<FanOut>,
    /// Case h: events in one round of those that tell what the bus costs.
    pub crossings: u32,
    /// Case l: pages that come within [`COMING`].
    pub pages: u32,
    /// Case i: members; a tenth of them is what is compared.
    pub members: u32,
}

/// Bytes of data in an event of case g: large, so that the silent socket's buffers fill within a round.
pub const STALL_EVENT_BYTES: usize = 8_000;
/// Connections that send requests at one time in case d: a quiet back end, where each request wakes the server, and a
/// busy one.
pub const TRIGGER_CONNECTIONS: [usize; 2] = [1, 16];
/// Channels of case c.
pub const IDLE_CHANNELS: u32 = 100;
/// Case h: between an event that has arrived and the next, where one is in flight, so that nothing else is going on.
pub const PAUSE: Duration = Duration::from_millis(5);
/// Case h: channels, with a reader each, over which the cost of the bus is measured.
pub const CROSSING_CHANNELS: u32 = 100;
/// Case j: rooms, with [`ROOM_USERS`] in each.
pub const ROOMS: u32 = 300;
/// Case j: users of a room.
pub const ROOM_USERS: u32 = 3;
/// Case l: in so much time all pages come.
pub const COMING: Duration = Duration::from_secs(1);
/// Case k: apps of the server that is scraped.
pub const APPS: u32 = 1_000;
/// Case k: scrapes in one round.
pub const SCRAPES: usize = 100;

impl Plan {
    /// Some minutes.
    pub fn full() -> Self {
        Self {
            rounds: 5,
            short_rounds: 9,
            fan_out: fan_outs(&[1_000, 5_000], 1, 300_000),
            channels: fan_outs(&[2_000], 100, 200_000),
            idle_sockets: 10_000,
            triggers: 10_000,
            connects: 2_000,
            stall_readers: 1_000,
            stall_events: 700,
            pair: pairs(1_000, 200_000),
            crossings: 16_000,
            pages: 10_000,
            members: 10_000,
        }
    }

    /// Within half a minute.
    pub fn quick() -> Self {
        Self {
            rounds: 3,
            short_rounds: 5,
            fan_out: fan_outs(&[200, 1_000], 1, 20_000),
            channels: fan_outs(&[400], 20, 10_000),
            idle_sockets: 2_000,
            triggers: 2_000,
            connects: 500,
            stall_readers: 50,
            stall_events: 700,
            pair: pairs(200, 10_000),
            crossings: 3_200,
            pages: 2_000,
            members: 1_000,
        }
    }
}

/// Each number of sockets with one and with sixteen messages in flight. Sixteen go through faster and get more.
fn fan_outs(sockets: &[u32], channels: u32, deliveries: u32) -> Vec<FanOut> {
    let with = |sockets: u32, in_flight: usize, deliveries| FanOut { sockets, channels, in_flight, deliveries };
    sockets.iter().flat_map(|count| [with(*count, 1, deliveries), with(*count, 16, deliveries * 3)]).collect()
}

/// One reader and many in one room, an event at a time; then many in one room and in a hundred, sixteen at a time.
fn pairs(sockets: u32, deliveries: u32) -> Vec<FanOut> {
    let with = |sockets, channels, in_flight, deliveries| FanOut { sockets, channels, in_flight, deliveries };
    vec![
        with(1, 1, 1, 200),
        with(sockets, 1, 1, deliveries / 2),
        with(sockets, 1, 16, deliveries * 2),
        with(sockets, 100, 16, deliveries),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fan_out_divides_its_sockets_evenly() {
        for plan in [Plan::full(), Plan::quick()] {
            for load in plan.fan_out.iter().chain(&plan.channels).chain(&plan.pair) {
                assert_eq!(load.readers() * load.channels, load.sockets);
            }
        }
    }

    #[test]
    fn a_round_has_the_deliveries_that_were_planned() {
        let load = FanOut { sockets: 2_000, channels: 100, in_flight: 1, deliveries: 200_000 };
        assert_eq!((load.readers(), load.triggers(), load.warm_up()), (20, 10_000, 1_000));
    }

    #[test]
    fn a_round_of_very_many_sockets_keeps_enough_in_flight() {
        let load = FanOut { sockets: 100_000, channels: 1, in_flight: 16, deliveries: 300_000 };
        assert_eq!(load.triggers(), 64);
    }
}
