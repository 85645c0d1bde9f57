//! A receiver of webhooks that keeps what it took, and that may be unwell for a while.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use actix::spawn;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use crate::common::request;

/// One event of a webhook, with the id that tells a repeat from news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub name: String,
    pub channel: String,
    pub user: Option<String>,
    pub id: String,
}

/// A web server that writes down what is posted to it.
pub struct WebhookLog {
    url: String,
    book: Rc<Book>,
}

/// What the server writes down.
struct Book {
    status: Cell<u16>,
    taken: RefCell<Vec<Notice>>,
    refused: RefCell<BTreeSet<String>>,
}

impl WebhookLog {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let book = Book { status: Cell::new(200), taken: RefCell::default(), refused: RefCell::default() };
        let log = Self { url, book: Rc::new(book) };
        let book = log.book.clone();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(serve(stream, book.clone()));
            }
        });
        log
    }

    /// The value of `GAUNG_APP_WEBHOOKS` with which everything comes here.
    pub fn setting(&self) -> String {
        json!([{ "url": self.url }]).to_string()
    }

    /// From now on every request is answered with this status; only what is answered with 200 is taken.
    pub fn answer_with(&self, status: u16) {
        self.book.status.set(status);
    }

    /// Everything that was taken, repeats as well.
    pub fn taken(&self) -> Vec<Notice> {
        self.book.taken.borrow().clone()
    }

    /// The ids of everything that was refused.
    pub fn refused(&self) -> BTreeSet<String> {
        self.book.refused.borrow().clone()
    }

    /// What was taken of one kind in one channel, each id once, in order.
    pub fn of(&self, name: &str, channel: &str) -> Vec<Notice> {
        let mut notices: Vec<Notice> = Vec::new();
        for notice in self.taken().into_iter().filter(|notice| notice.name == name && notice.channel == channel) {
            if notices.iter().all(|other| other.id != notice.id) {
                notices.push(notice);
            }
        }
        notices
    }
}

async fn serve(mut stream: TcpStream, book: Rc<Book>) {
    while let Some((_, body)) = request::read(&mut stream).await {
        let status = book.status.get();
        if status == 200 {
            book.taken.borrow_mut().extend(notices(&body));
        } else {
            book.refused.borrow_mut().extend(notices(&body).into_iter().map(|notice| notice.id));
        }
        let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn notices(body: &[u8]) -> Vec<Notice> {
    let body: Value = serde_json::from_slice(body).expect("the body is JSON");
    let text = |event: &Value, field: &str| event[field].as_str().map(str::to_owned);
    let notice = |event: &Value| Notice {
        name: text(event, "name").expect("an event has a name"),
        channel: text(event, "channel").expect("an event has a channel"),
        user: text(event, "user_id"),
        id: text(event, "id").unwrap_or_else(|| panic!("an event has an id: {event}")),
    };
    body["events"].as_array().expect("a list of events").iter().map(notice).collect()
}
