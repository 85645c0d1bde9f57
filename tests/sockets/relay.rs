//! What stands between a program and the server: it cuts connections, and holds new ones up.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

/// A relay to one server.
pub struct Relay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Locked while new connections are held up.
    gate: Mutex<()>,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// In front of a server at `http://…`.
    pub fn start(server: &str) -> Self {
        let server: SocketAddr = server.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let relaying = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                drop(relaying.gate.lock());
                relaying.carry(client, server);
            }
        });
        Self { address, shared }
    }

    /// New connections wait until this is dropped.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.shared.gate.lock().expect("nobody panicked")
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in self.shared.open.lock().expect("nobody panicked").drain(..) {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn carry(&self, client: TcpStream, server: SocketAddr) {
        let Ok(upstream) = TcpStream::connect(server) else { return };
        let copy = |stream: &TcpStream| stream.try_clone().expect("descriptors are left");
        for (mut from, mut to) in [(copy(&client), copy(&upstream)), (copy(&upstream), copy(&client))] {
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        self.open.lock().expect("nobody panicked").extend([client, upstream]);
    }
}
