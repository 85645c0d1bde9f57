//! What is logged on a test's thread.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::subscriber::{DefaultGuard, set_default};

#[derive(Debug, Clone, Default)]
pub struct HeardLog(Arc<Mutex<Vec<u8>>>);

impl HeardLog {
    /// Everything from now on, for as long as the guard is held.
    pub fn listen() -> (Self, DefaultGuard) {
        let heard = Self::default();
        let writer = heard.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (heard, set_default(log))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for HeardLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
