//! Clients that keep how far they have heard channels with a history, and come back with it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use actix::spawn;
use awc::ws::{Frame, Message};
use futures_util::{SinkExt, StreamExt};
use gaung::protocol::{Position, signature::sign_channel};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{Client, inner, load::Published, roamer::Origins, upgrade};
use crate::common::client::key;

/// Subscribes to a channel of any kind, from a position on if one is given; the server's answer.
pub async fn enter(client: &mut Client, channel: &str, since: Option<&str>) -> Value {
    let channel_data = channel.starts_with("presence-").then(|| json!({"user_id": client.id}).to_string());
    let id = client.id.parse().expect("a socket id");
    let auth = sign_channel(&key(), id, channel, channel_data.as_deref());
    let mut data = json!({"channel": channel, "auth": auth});
    data.as_object_mut().expect("an object").extend(channel_data.map(|text| ("channel_data".to_owned(), text.into())));
    data.as_object_mut().expect("an object").extend(since.map(|since| ("since".to_owned(), since.into())));
    client.send(json!({"event": "pusher:subscribe", "data": data})).await;
    client.expect("pusher_internal:subscription_succeeded").await
}

/// What a client hears up to `pusher:resumed`: the events' names, whether they are all, and its position then.
pub async fn recovered(client: &mut Client) -> (Vec<String>, bool, String) {
    let mut names = Vec::new();
    loop {
        let message = client.next().await;
        if message["event"] == "pusher:resumed" {
            let outcome = inner(&message);
            let is_complete = outcome["complete"] == true;
            assert_eq!(outcome["replayed"], names.len(), "{message}");
            return (names, is_complete, message["id"].as_str().unwrap_or_default().to_owned());
        }
        names.push(message["event"].as_str().expect("an event").to_owned());
    }
}

/// What a reader has heard of numbered events, over all its connections.
#[derive(Default)]
pub struct Record {
    positions: BTreeMap<String, Position>,
    /// The last number of each publisher in each channel; none after the word that something may be missing.
    last: BTreeMap<(String, usize), u64>,
    /// What was wrong.
    pub faults: Vec<String>,
    pub whole: usize,
    pub partial: usize,
    pub replayed: u64,
    pub heard: usize,
}

/// A client that is cut every moment, and comes back on a node at random with its positions.
pub struct Reader {
    pub record: Rc<RefCell<Record>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Reader {
    pub fn start(origins: Origins, channels: &[String]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let record = Rc::default();
        let task = spawn(read(origins, channels.to_vec(), Rc::clone(&record), stopped));
        Self { record, stop, task }
    }

    /// From now on it keeps its connection.
    pub fn stay(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it has heard the last event of each channel, or was told since that it may not have.
    pub fn has_all(&self, published: &Published) -> bool {
        let Some(end) = published.count().checked_sub(1) else { return true };
        let record = self.record.borrow();
        published.streams().all(|stream| record.last.get(&stream).is_none_or(|last| *last >= end))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Record {
    fn hear(&mut self, message: &Value) {
        let Some(channel) = message["channel"].as_str() else { return };
        let id: Option<Position> = message["id"].as_str().map(|id| id.parse().expect("a position"));
        match message["event"].as_str().unwrap_or_default() {
            "pusher:resumed" => self.resume(channel, id.unwrap_or_default(), &inner(message)),
            "numbered" => self.count(channel, message["data"].as_str().expect("our data")),
            _ => {}
        }
        let position = self.positions.entry(channel.to_owned()).or_default();
        let id = message["id"].as_str().and_then(|id| id.parse::<Position>().ok());
        id.iter().flat_map(Position::events).for_each(|event| position.note(event));
    }

    fn resume(&mut self, channel: &str, position: Position, outcome: &Value) {
        if outcome["complete"] == true {
            self.whole += 1;
            self.replayed += outcome["replayed"].as_u64().expect("a number");
        } else {
            self.partial += 1;
            self.last.retain(|(of, _), _| of != channel);
            self.positions.insert(channel.to_owned(), position);
        }
    }

    fn count(&mut self, channel: &str, data: &str) {
        self.heard += 1;
        let mut numbers = data.split('/').map(|number| number.parse::<u64>().expect("a number"));
        let mut next = || numbers.next().expect("two numbers");
        let (publisher, number) = (next() as usize, next());
        let last = self.last.insert((channel.to_owned(), publisher), number);
        if last.is_some_and(|last| number != last + 1) {
            self.faults.push(format!("{channel}: {number} of publisher {publisher} came after {last:?}"));
        }
    }
}

async fn read(origins: Origins, channels: Vec<String>, record: Rc<RefCell<Record>>, stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        let origin = {
            let origins = origins.borrow();
            origins[rand::random_range(0..origins.len())].clone()
        };
        let request = awc::Client::default().ws(format!("{origin}/app/app-key?protocol=7"));
        let mut client = upgrade(request).await.greeted().await;
        for channel in &channels {
            let since = record.borrow().positions.get(channel).filter(|it| !it.is_empty()).map(Position::to_string);
            let data = json!({"channel": channel, "since": since});
            client.send(json!({"event": "pusher:subscribe", "data": data})).await;
        }
        let until = Instant::now() + Duration::from_millis(rand::random_range(100..1_500));
        listen(&mut client, &record, until).await;
        while *stopped.borrow() {
            listen(&mut client, &record, Instant::now() + Duration::from_secs(1)).await;
        }
    }
}

async fn listen(client: &mut Client, record: &RefCell<Record>, until: Instant) {
    while let Ok(Some(frame)) = timeout_at(until, client.socket.next()).await {
        match frame {
            Ok(Frame::Text(text)) => record.borrow_mut().hear(&serde_json::from_slice(&text).expect("JSON")),
            Ok(Frame::Ping(payload)) => _ = client.socket.send(Message::Pong(payload)).await,
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
