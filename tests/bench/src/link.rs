//! A connection to the server under test that never blocks: plain, or TLS.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{self, SocketAddr},
    sync::Arc,
    thread,
};

use mio::{Interest, Registry, Token, event::Source, net::TcpStream};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, pki_types::ServerName};

/// One connection.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    /// A connection that sends at once. With TLS it shakes hands as it is read; it is that of a client of its own, by
    /// `number`, which comes back with what it got when it was there before.
    pub fn connect(address: SocketAddr, tls: Option<&Arc<ClientConfig>>, number: usize) -> io::Result<Self> {
        let stream = net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let tls = tls.map(|config| {
            let name = ServerName::try_from(format!("s{number}.bench.test")).map_err(io::Error::other)?;
            ClientConnection::new(config.clone(), name).map(Box::new).map_err(io::Error::other)
        });
        Ok(Self { stream: TcpStream::from_std(stream), tls: tls.transpose()? })
    }

    /// Whether it speaks TLS and has come back with a ticket.
    pub fn is_resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    fn send_sealed(stream: &mut TcpStream, tls: &mut ClientConnection) -> io::Result<()> {
        while tls.wants_write() {
            match tls.write_tls(stream) {
                Ok(_) => {}
                // It is little, and the server reads.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Link {
    /// Less than fits into the buffer only if nothing more has arrived.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(buffer) };
        let mut filled = 0;
        while filled < buffer.len() {
            match tls.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match tls.read_tls(&mut self.stream) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && filled > 0 => break,
                Err(error) => return Err(error),
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            Self::send_sealed(&mut self.stream, tls)?;
        }
        Ok(filled)
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        let count = tls.writer().write(bytes)?;
        Self::send_sealed(&mut self.stream, tls)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Source for Link {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream.deregister(registry)
    }
}
