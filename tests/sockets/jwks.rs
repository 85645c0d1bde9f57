//! An issuer that publishes its keys as a JWK set, or fails to in any way.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use gaung::{config::IssuerConfig, tenant::TokenAlgorithms};
use serde_json::{Value, json};

use crate::{
    fake::page,
    harness::{TestNode, start_configured},
};

/// It lives as long as the test's process.
pub struct Publisher {
    pub url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

/// What it does with whoever asks.
#[derive(Clone)]
pub enum Answer {
    /// Says this and ends the connection.
    Text(String),
    /// Says this and nothing more.
    Start(String),
    /// Says this, and then the same letter without an end.
    Endless(String),
}

impl Answer {
    /// The set of these keys.
    pub fn keys(keys: &[Value]) -> Self {
        Self::page("200 OK", &json!({"keys": keys}).to_string())
    }

    pub fn page(status: &str, body: &str) -> Self {
        Self::Text(page(status, body))
    }
}

impl Publisher {
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/jwks", listener.local_addr().expect("it is bound"));
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::<AtomicUsize>::default());
        let (now, counter) = (answer.clone(), asked.clone());
        thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let (now, counter) = (now.clone(), counter.clone());
                thread::spawn(move || {
                    // A client that goes away without a question is none.
                    if socket.read(&mut [0; 4_096]).is_ok_and(|bytes| bytes > 0) {
                        counter.fetch_add(1, Ordering::SeqCst);
                        let answer = now.lock().expect("no answer panics").clone();
                        // Nor is one a failure of the test that does not hear the end.
                        let _ = answer.send(&mut socket);
                    }
                });
            }
        });
        Self { url, answer, asked }
    }

    /// From now on.
    pub fn set(&self, answer: Answer) {
        *self.answer.lock().expect("no answer panics") = answer;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A node that reads keys here whenever a token names another, and hardly without.
    pub async fn node(&self, algorithms: &str, change: impl FnOnce(&mut IssuerConfig)) -> TestNode {
        let url = Some(self.url.clone());
        node(algorithms, |issuer| {
            issuer.jwks_url = url;
            issuer.jwks_pause = std::time::Duration::ZERO;
            change(issuer);
        })
        .await
    }
}

/// A node that takes tokens with these algorithms.
pub async fn node(algorithms: &str, change: impl FnOnce(&mut IssuerConfig)) -> TestNode {
    let configure = |config: &mut gaung::config::Config| {
        config.issuer.algorithms = TokenAlgorithms::parse(algorithms).expect("they exist");
        change(&mut config.issuer);
    };
    start_configured(configure, |_| {}).await
}

impl Answer {
    fn send(&self, socket: &mut TcpStream) -> std::io::Result<()> {
        match self {
            Self::Text(text) => socket.write_all(text.as_bytes()),
            Self::Start(text) => {
                socket.write_all(text.as_bytes())?;
                // Until the other side ends it.
                while socket.read(&mut [0; 4_096])? > 0 {}
                Ok(())
            }
            Self::Endless(text) => {
                socket.write_all(text.as_bytes())?;
                loop {
                    socket.write_all(&[b'x'; 4_096])?;
                }
            }
        }
    }
}
