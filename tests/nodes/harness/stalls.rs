//! How long the test itself had to wait for its turn: what it measures of a node on the same machine may be late by as much.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::spawn;
use tokio::{task::JoinHandle, time::sleep};

const TICK: Duration = Duration::from_millis(10);

/// Looks at the clock all the time until it is dropped.
pub struct Stalls {
    longest: Rc<Cell<Duration>>,
    task: JoinHandle<()>,
}

impl Stalls {
    pub fn watch() -> Self {
        let longest = Rc::<Cell<Duration>>::default();
        let seen = Rc::clone(&longest);
        let task = spawn(async move {
            loop {
                let began = Instant::now();
                sleep(TICK).await;
                seen.set(seen.get().max(began.elapsed().saturating_sub(TICK)));
            }
        });
        Self { longest, task }
    }

    /// The longest so far.
    pub fn longest(&self) -> Duration {
        self.longest.get()
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.task.abort();
    }
}
