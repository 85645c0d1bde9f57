//! The program as a process: how it is started, what it printed, and its end.

use std::{
    fs::File,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use super::client::{Client, PATIENCE, http_client, upgrade};

/// Between two looks at a process, which needs the processor for what it is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// A running program. Its output goes to files, so that it never waits for a reader.
pub struct Process {
    child: Child,
    folder: PathBuf,
}

/// The program with these arguments and no other `GAUNG_` variables than these.
pub fn spawn(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("gaung-process-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).expect("the directory is new");
    let output = |name| File::create(folder.join(name)).expect("the directory is writable");
    let child = Command::new(env!("CARGO_BIN_EXE_gaung"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(output("stdout"))
        .stderr(output("stderr"))
        .spawn()
        .expect("the program starts");
    Process { child, folder }
}

/// A server on free ports that prints its addresses.
pub fn serve(variables: &[(&str, &str)]) -> Process {
    let ports = [("GAUNG_PORT", "0"), ("GAUNG_ADMIN_PORT", "0")];
    let process = spawn(&[], &[&ports, variables].concat());
    process.wait_for("addresses", || process.stdout().contains("\nadmin   "));
    process
}

impl Process {
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        let mut text = String::new();
        let file = File::open(self.folder.join(name)).and_then(|mut file| file.read_to_string(&mut text));
        file.expect("the output is text");
        text
    }

    /// `http://…` of the listener that stdout calls by this word.
    pub fn address(&self, listener: &str) -> String {
        let stdout = self.stdout();
        let mut lines = stdout.lines().filter_map(|line| line.split_once(' '));
        let (_, address) = lines.find(|(word, _)| *word == listener).expect("the listener is printed");
        address.trim().to_owned()
    }

    pub fn wait_for(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "no {what}: {}{}", self.stdout(), self.stderr());
            sleep(PAUSE);
        }
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("the kill command is installed").success());
    }

    /// The exit code, which must come.
    pub fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}{}", self.stdout(), self.stderr());
            sleep(PAUSE);
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_none()
    }

    pub async fn connect(&self, path: &str) -> Client {
        upgrade(http_client().ws(format!("{}{path}", self.address("public")))).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of process {}:\n{}", self.child.id(), self.stderr());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs a command to its end: exit code, stdout, stderr.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut process = spawn(arguments, variables);
    (process.exit_code(), process.stdout(), process.stderr())
}
