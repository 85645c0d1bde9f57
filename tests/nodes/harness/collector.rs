//! A client in the background that keeps everything that it hears, with the time.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use actix::spawn;
use awc::ws::{Frame, Message};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{Client, PATIENCE, within};

/// One message and when it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub at: Instant,
    pub message: Value,
}

/// How and when a socket ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// The code of the close frame; 1006 where the socket ended without one.
    pub code: u16,
    pub at: Instant,
}

/// A client that listens until its socket ends.
pub struct Collector {
    heard: Rc<RefCell<Vec<Heard>>>,
    end: Rc<Cell<Option<End>>>,
    task: JoinHandle<()>,
}

impl Collector {
    /// Lets a client listen that has done all that it wants to do itself.
    pub fn of(client: Client) -> Self {
        let (heard, end) = (Rc::default(), Rc::<Cell<Option<End>>>::default());
        let (record, ending) = (Rc::clone(&heard), Rc::clone(&end));
        let task = spawn(async move {
            let code = listen(client, record).await;
            ending.set(Some(End { code, at: Instant::now() }));
        });
        Self { heard, end, task }
    }

    /// Everything so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.borrow().clone()
    }

    /// How many messages came with this event's name.
    pub fn count(&self, event: &str) -> usize {
        self.heard.borrow().iter().filter(|heard| heard.message["event"] == event).count()
    }

    /// The users that the members' events of a channel name, each with whether it came or went.
    pub fn members(&self) -> Vec<(Change, String)> {
        self.heard.borrow().iter().filter_map(|heard| change(&heard.message)).collect()
    }

    /// How the socket ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end.get()
    }

    /// The code with which the socket was closed, if it was.
    pub fn closed(&self) -> Option<u16> {
        self.end().map(|end| end.code)
    }

    /// Waits until what was heard is enough.
    pub async fn until(&self, what: &str, enough: impl Fn(&Self) -> bool) {
        self.until_within(PATIENCE, what, enough).await;
    }

    /// As [`Self::until`], with another limit.
    pub async fn until_within(&self, limit: Duration, what: &str, enough: impl Fn(&Self) -> bool) {
        within(limit, what, || async { enough(self) }).await;
    }
}

/// What a member did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Came,
    Went,
}

fn change(message: &Value) -> Option<(Change, String)> {
    let change = match message["event"].as_str()? {
        "pusher_internal:member_added" => Change::Came,
        "pusher_internal:member_removed" => Change::Went,
        _ => return None,
    };
    let user = super::inner(message)["user_id"].as_str().expect("ids are strings").to_owned();
    Some((change, user))
}

impl Drop for Collector {
    /// Hangs up.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps what comes; the code of the end.
async fn listen(mut client: Client, heard: Rc<RefCell<Vec<Heard>>>) -> u16 {
    loop {
        match client.socket.next().await {
            Some(Ok(Frame::Text(text))) => {
                let message = serde_json::from_slice(&text).expect("the message is JSON");
                heard.borrow_mut().push(Heard { at: Instant::now(), message });
            }
            // Where the answer cannot be sent the socket has ended, which comes next.
            Some(Ok(Frame::Ping(payload))) => drop(client.socket.send(Message::Pong(payload)).await),
            Some(Ok(Frame::Close(reason))) => return reason.map_or(1005, |reason| reason.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return 1006,
        }
    }
}
