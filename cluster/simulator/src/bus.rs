//! The bus: takes messages to their subscribers late, twice, out of order, or not at all.

use std::collections::BTreeMap;

use bytes::Bytes;
use gaung_cluster::Subject;

use crate::random::Random;

/// How bad the bus is, in ten-thousandths of all deliveries.
#[derive(Clone, Copy)]
pub struct Weather {
    /// Those that are lost.
    pub loss: u64,
    /// Those that come once more, later.
    pub duplicates: u64,
}

/// A message on its way to one slot.
pub struct Delivery {
    pub from: usize,
    pub to: usize,
    pub subject: Subject,
    pub bytes: Bytes,
}

/// Messages on their way, by time of arrival.
pub struct Bus {
    pub weather: Weather,
    queue: BTreeMap<(u64, u64), Delivery>,
    sent: u64,
}

impl Bus {
    pub fn new(weather: Weather) -> Self {
        Self { weather, queue: BTreeMap::new(), sent: 0 }
    }

    pub fn send(
        &mut self,
        now: u64,
        random: &mut Random,
        (from, to): (usize, usize),
        (subject, bytes): (&Subject, &Bytes),
    ) {
        if !random.chance(self.weather.loss) {
            let arrival = now + random.between(1, 12);
            self.queue(arrival, (from, to), (subject, bytes));
        }
        if random.chance(self.weather.duplicates) {
            let arrival = now + random.between(1, 3000);
            self.queue(arrival, (from, to), (subject, bytes));
        }
    }

    /// The next message that has arrived by now.
    pub fn arrived(&mut self, now: u64) -> Option<Delivery> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// A message waits before a process that does not read.
    pub fn delay(&mut self, delivery: Delivery, until: u64) {
        self.sent += 1;
        self.queue.insert((until, self.sent), delivery);
    }

    /// A process reads again: what waited for it comes now.
    pub fn release(&mut self, slot: usize, now: u64) {
        let waiting: Vec<Delivery> =
            self.queue.extract_if(.., |_, delivery| delivery.to == slot).map(|(_, delivery)| delivery).collect();
        waiting.into_iter().for_each(|delivery| self.delay(delivery, now));
    }

    /// A connection broke: what its buffers held is lost, half of it on average; what came for it is lost whole.
    pub fn cut(&mut self, slot: usize, random: &mut Random) {
        self.queue.retain(|_, delivery| delivery.to != slot && (delivery.from != slot || random.chance(5000)));
    }

    fn queue(&mut self, arrival: u64, (from, to): (usize, usize), (subject, bytes): (&Subject, &Bytes)) {
        self.sent += 1;
        let delivery = Delivery { from, to, subject: subject.clone(), bytes: bytes.clone() };
        self.queue.insert((arrival, self.sent), delivery);
    }
}
