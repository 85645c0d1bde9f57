//! The floor: one thread, epoll, one write of a ready frame per socket. No HTTP, no signature, no JSON, no queue: what
//! is left is what any server must pay.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr},
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use gaung::protocol::frame;

use super::{BenchError, event, plan::EVENT_BYTES};

/// A subscriber registers with its channel, four bytes, and is answered with a frame that holds these words.
const REGISTERED: &str = "subscription_succeeded";
const REGISTRATION: usize = 4;
/// A trigger is a channel and a sequence number, four bytes each.
const TRIGGER: usize = 8;

const PUBLIC: Token = Token(0);
const TRIGGERS: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// What a subscriber sends to hear `channel`.
pub fn registration(channel: u32) -> Vec<u8> {
    channel.to_be_bytes().to_vec()
}

/// What makes the floor write event `sequence` to all subscribers of `channel`.
pub fn trigger(channel: u32, sequence: u32) -> Vec<u8> {
    [channel.to_be_bytes(), sequence.to_be_bytes()].concat()
}

/// Runs the floor until its process is killed.
pub fn serve() -> Result<(), BenchError> {
    let mut floor = Floor::bind().map_err(|error| BenchError::io("binding the floor", error))?;
    let addresses = (floor.public.local_addr(), floor.triggers.local_addr());
    let (Ok(public), Ok(triggers)) = addresses else {
        return Err(BenchError::Start("the floor's listeners have no address".to_owned()));
    };
    println!("public  http://{public}\nadmin   http://{triggers}");
    floor.run().map_err(|error| BenchError::io("running the floor", error))
}

/// What a connection is for.
enum Role {
    /// Has not registered yet.
    Unknown,
    /// Hears a channel.
    Subscriber,
    /// Sends triggers.
    Publisher,
}

struct Connection {
    stream: TcpStream,
    role: Role,
}

struct Floor {
    poll: Poll,
    public: TcpListener,
    triggers: TcpListener,
    connections: Vec<Connection>,
    /// Indices of subscribers, by channel.
    channels: Vec<Vec<usize>>,
}

impl Floor {
    fn bind() -> io::Result<Self> {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut public = TcpListener::bind(free_port)?;
        let mut triggers = TcpListener::bind(free_port)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut public, PUBLIC, Interest::READABLE)?;
        poll.registry().register(&mut triggers, TRIGGERS, Interest::READABLE)?;
        Ok(Self { poll, public, triggers, connections: Vec::new(), channels: Vec::new() })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.poll.poll(&mut events, None) {
                if error.kind() != ErrorKind::Interrupted {
                    return Err(error);
                }
                continue;
            }
            for token in events.iter().map(mio::event::Event::token) {
                self.turn(token)?;
            }
        }
    }

    fn turn(&mut self, token: Token) -> io::Result<()> {
        match token {
            PUBLIC | TRIGGERS => self.accept(token),
            Token(number) => self.read(number - FIRST_CONNECTION),
        }
    }

    fn accept(&mut self, listener: Token) -> io::Result<()> {
        loop {
            let accepted = if listener == PUBLIC { self.public.accept() } else { self.triggers.accept() };
            let Some((mut stream, _)) = ready(accepted)? else { return Ok(()) };
            stream.set_nodelay(true)?;
            let token = Token(self.connections.len() + FIRST_CONNECTION);
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            let role = if listener == PUBLIC { Role::Unknown } else { Role::Publisher };
            self.connections.push(Connection { stream, role });
        }
    }

    fn read(&mut self, index: usize) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            // A connection that was reset has nothing more to say, like one that was closed.
            let Ok(Some(count)) = ready(self.connections[index].stream.read(&mut bytes)) else { return Ok(()) };
            if count == 0 {
                return Ok(());
            }
            match self.connections[index].role {
                Role::Unknown => self.register(index, &bytes[..count])?,
                Role::Subscriber => {}
                Role::Publisher => {
                    bytes[..count].chunks_exact(TRIGGER).try_for_each(|trigger| self.fan_out(trigger))?;
                }
            }
        }
    }

    /// Both messages are so short, and sent by our own client in one write, that they arrive whole.
    fn register(&mut self, index: usize, bytes: &[u8]) -> io::Result<()> {
        let channel = number(&bytes[..REGISTRATION.min(bytes.len())]);
        if self.channels.len() <= channel {
            self.channels.resize(channel + 1, Vec::new());
        }
        self.channels[channel].push(index);
        self.connections[index].role = Role::Subscriber;
        self.connections[index].stream.write_all(&frame::text(REGISTERED))
    }

    fn fan_out(&mut self, trigger: &[u8]) -> io::Result<()> {
        let (channel, sequence) = (number(&trigger[..4]), number(&trigger[4..]));
        let frame = event::ready_frame(channel as u32, sequence as u32, EVENT_BYTES);
        for index in &self.channels[channel] {
            self.connections[*index].stream.write_all(&frame)?;
        }
        Ok(())
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// `None` when there is nothing to do yet.
fn ready<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// A floor on a thread of this process; returns where it is public and where it takes triggers.
#[cfg(test)]
pub fn spawn() -> (SocketAddr, SocketAddr) {
    let mut floor = Floor::bind().unwrap();
    let addresses = (floor.public.local_addr().unwrap(), floor.triggers.local_addr().unwrap());
    std::thread::spawn(move || floor.run().unwrap());
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_was_written() {
        assert_eq!(number(&registration(70_000)), 70_000);
        assert_eq!(number(&trigger(3, 0xFFFF_FFFF)[4..]), 0xFFFF_FFFF);
    }
}
