//! A nats-server of a test's own: on a port of 127.0.0.1 that was free, in a folder of its own, gone when the test is.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use gaung_cluster::{
    NodeId, Subjects,
    bus::{Auth, BusSettings, BusTls, Limits},
    core::Settings,
};

/// How long a server may take to greet.
const PATIENCE: Duration = Duration::from_secs(10);

static SERVERS: AtomicUsize = AtomicUsize::new(0);

/// A server that runs, is paused, or was killed.
pub struct NatsServer {
    process: Option<Child>,
    port: u16,
    folder: PathBuf,
    config: String,
}

impl NatsServer {
    /// A server with default settings.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A server with a configuration, beside address and port.
    pub fn start_with(config: &str) -> Self {
        let mut server = Self::absent();
        server.config = config.to_owned();
        server.restart();
        server
    }

    /// A server that does not run yet, but whose port is known.
    pub fn absent() -> Self {
        let name = format!("gaung-nats-{}-{}", std::process::id(), SERVERS.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { process: None, port, folder, config: String::new() }
    }

    /// The settings of a node's bus on this server.
    pub fn settings(&self) -> BusSettings {
        BusSettings {
            servers: vec![self.url()],
            auth: Auth::None,
            tls: BusTls::default(),
            subjects: Subjects::new("gaung", "test").unwrap(),
            core: Settings::new(NodeId::from_bits(rand::random()), "0.0.0", 2),
            version: "0.0.0",
            limits: Limits { events: 100_000, bytes: usize::MAX },
        }
    }

    /// A folder for a test's files, which goes with the server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it on the same port; it greets when this returns.
    pub fn restart(&mut self) {
        self.kill();
        let config = self.folder.join("nats.conf");
        fs::write(&config, &self.config).unwrap();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-c"]).arg(config);
        command.arg("-l").arg(self.folder.join("log")).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("nats-server must be on the PATH (Debian: nats-server)"));
        self.await_greeting();
    }

    /// The same with another configuration.
    pub fn restart_with(&mut self, config: &str) {
        self.config = config.to_owned();
        self.restart();
    }

    /// Stops it as a machine that hangs does: connections stand, nothing moves.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("the server runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn await_greeting(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.greets() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < deadline, "nats-server does not greet:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn greets(&self) -> bool {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).is_ok() && &greeting == b"INFO "
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
