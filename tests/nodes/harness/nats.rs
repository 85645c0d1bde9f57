//! A real nats-server that a test may kill, bring back, pause and reconfigure.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::{Duration, sleep, timeout},
};

use super::{eventually, free_port, new_folder, send_signal, stop_process};
use crate::common::client::http_client;

/// A nats-server on ports of its own. Its clients' port stays the same when it is killed and comes back.
pub struct NatsServer {
    pub port: u16,
    monitor: u16,
    folder: PathBuf,
    child: Child,
}

impl NatsServer {
    /// A server without any security.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// A server with these further lines in its configuration file.
    pub async fn start_with(lines: &str) -> Self {
        loop {
            let folder = new_folder("nats");
            let (port, monitor) = (free_port(), free_port());
            let mut server = Self { port, monitor, child: launch(&folder, port, monitor, lines), folder };
            if server.has_its_ports().await {
                server.answers().await;
                return server;
            }
        }
    }

    /// Whether nobody took a port between the question for a free one and the start: such a server ends at once.
    async fn has_its_ports(&mut self) -> bool {
        for _ in 0..50 {
            if self.child.try_wait().expect("the server is ours").is_some() {
                return false;
            }
            if greets(self.port).await {
                return self.child.try_wait().expect("the server is ours").is_none();
            }
            sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// Three servers that form a cluster.
    pub async fn start_three() -> Vec<Self> {
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let routes: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let routes = routes.join(", ");
        let mut servers = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let lines = format!(
                "server_name: n{index}\ncluster {{ name: three, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}\n"
            );
            servers.push(Self::start_with(&lines).await);
        }
        for server in &servers {
            eventually("the servers know one another", || async {
                server.ask("/routez").await["routes"].as_array().is_some_and(|routes| !routes.is_empty())
            })
            .await;
        }
        servers
    }

    /// A server that keeps streams.
    pub async fn start_with_jetstream() -> Self {
        Self::start_with("jetstream { store_dir: streams }\n").await
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// SIGKILL: nothing is said to anybody.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server is ours");
        self.child.wait().expect("the server is ours");
    }

    /// Starts it again after a kill, at the same port.
    pub async fn start_again(&mut self) {
        let lines = fs::read_to_string(self.folder.join("lines")).expect("the lines are kept");
        self.child = launch(&self.folder, self.port, self.monitor, &lines);
        self.answers().await;
    }

    /// Puts other lines into its configuration while it runs.
    pub fn reconfigure(&self, lines: &str) {
        configure(&self.folder, self.port, self.monitor, lines);
        send_signal(self.child.id(), "HUP");
    }

    /// SIGSTOP: its connections stay open and nothing moves.
    pub fn pause(&self) {
        stop_process(self.child.id());
    }

    /// SIGCONT.
    pub fn resume(&self) {
        send_signal(self.child.id(), "CONT");
    }

    /// What the server knows about its clients, with their subscriptions.
    pub async fn connections(&self) -> Vec<Value> {
        self.ask("/connz?subs=true").await["connections"].as_array().expect("a list of connections").clone()
    }

    /// How many messages all streams hold.
    pub async fn streamed(&self) -> u64 {
        self.ask("/jsz").await["messages"].as_u64().expect("a number of messages")
    }

    async fn ask(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.monitor);
        let mut answer = http_client().get(url).send().await.expect("the monitor answers");
        let body = answer.body().limit(1 << 24).await.expect("the answer has a body");
        serde_json::from_slice(&body).expect("the answer is JSON")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("the log is text")
    }

    async fn answers(&self) {
        eventually("the nats-server greets", || greets(self.port)).await;
        eventually("the nats-server's monitor listens", || async {
            TcpStream::connect(("127.0.0.1", self.monitor)).await.is_ok()
        })
        .await;
    }
}

/// Whether a nats-server sends its INFO line.
async fn greets(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else { return false };
    let mut line = String::new();
    let read = timeout(Duration::from_secs(1), BufReader::new(stream).read_line(&mut line)).await;
    read.is_ok_and(|read| read.is_ok()) && line.starts_with("INFO ")
}

fn launch(folder: &Path, port: u16, monitor: u16, lines: &str) -> Child {
    configure(folder, port, monitor, lines);
    let output = |name| File::options().create(true).append(true).open(folder.join(name)).expect("a writable folder");
    Command::new("nats-server")
        .arg("-c")
        .arg(folder.join("configuration"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output("log"))
        .stderr(output("log"))
        .spawn()
        .expect("nats-server is installed")
}

fn configure(folder: &Path, port: u16, monitor: u16, lines: &str) {
    let text = format!("listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor}\n{lines}");
    fs::write(folder.join("lines"), lines).expect("the folder is writable");
    fs::write(folder.join("configuration"), text).expect("the folder is writable");
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the nats-server:\n{}", self.log());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
