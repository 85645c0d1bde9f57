//! The two ports of a process, and how it shares them with the next one (`GAUNG_REUSE_PORT`): that listens beside the one
//! that serves, which, when it is asked to go, leaves it all new connections and goes on with those it has. Closing a
//! listener resets what waits in its queue; the kernel is told first to put nothing into it any more.
//!
//! The kernel lets the processes' sockets take turns by a hash, or asks a program for the place of the next one among them, by
//! the order in which they began to listen. Where a program names a place that nobody has, it goes by the hash again.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::config::Config;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// The place that nobody has: all take turns.
const ANY: u32 = u32::MAX;

/// The place of the process that began to listen after this one.
const SECOND: u32 = 1;

/// The two ports, which are taken before anything is started and listened on when all is: whoever comes is served at once.
pub(super) struct Ports {
    pub(super) public: Port,
    pub(super) admin: Port,
    /// Whether another process may listen on them too.
    are_shared: bool,
}

pub(super) struct Port {
    socket: Socket,
    pub(super) address: SocketAddr,
    /// The variables that set it.
    settings: &'static str,
}

impl Ports {
    pub(super) fn bind(config: &Config) -> Result<Self, StartError> {
        let (server, admin) = (&config.server, &config.admin);
        Ok(Self {
            public: Port::bind(server.host, server.port, server.reuse_port, "GAUNG_HOST, GAUNG_PORT")?,
            admin: Port::bind(admin.host, admin.port, server.reuse_port, "GAUNG_ADMIN_HOST, GAUNG_ADMIN_PORT")?,
            are_shared: server.reuse_port,
        })
    }

    /// Connections come from now on.
    pub(super) fn listen(self) -> Result<(TcpListener, TcpListener, Option<SharedPorts>), StartError> {
        let (public, admin) = (self.public.listen()?, self.admin.listen()?);
        let shared = self.are_shared.then(|| SharedPorts::enter([&public, &admin])).transpose();
        Ok((public, admin, shared.map_err(StartError::ReusePort)?))
    }
}

impl Port {
    fn bind(host: IpAddr, port: u16, reuse: bool, settings: &'static str) -> Result<Self, StartError> {
        let address = SocketAddr::new(host, port);
        let failed = |error| StartError::Listen { address, settings, error };
        let socket = bind(address, reuse).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address: local.as_socket().expect("it was bound to an IP address"), settings })
    }

    fn listen(self) -> Result<TcpListener, StartError> {
        let Self { socket, address, settings } = self;
        socket.listen(BACKLOG).map_err(|error| StartError::Listen { address, settings, error })?;
        Ok(socket.into())
    }
}

/// IPv6 addresses take IPv4 clients too where the system allows it.
fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        share(&socket)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The listeners of a process that may have a successor.
#[derive(Debug)]
pub(super) struct SharedPorts(Vec<TcpListener>);

impl SharedPorts {
    /// Of listeners that have just begun to listen: what an earlier process has told the kernel no longer holds.
    pub(super) fn enter(listeners: [&TcpListener; 2]) -> io::Result<Self> {
        for listener in listeners {
            choose(listener, ANY)?;
        }
        Ok(Self(listeners.into_iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?))
    }

    /// From now on only the next process hears of new connections, if there is one.
    pub(super) fn leave(&self) {
        for listener in &self.0 {
            if let Err(error) = choose(listener, SECOND) {
                tracing::warn!(%error, "new connections cannot be left to the next process (GAUNG_REUSE_PORT)");
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn choose(listener: &TcpListener, place: u32) -> io::Result<()> {
    use nix::{
        libc::{BPF_K, BPF_RET, sock_filter, sock_fprog},
        sys::socket::{setsockopt, sockopt::AttachReusePortCbpf},
    };

    // The kernel copies it.
    let mut only = sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: place };
    Ok(setsockopt(listener, AttachReusePortCbpf, &sock_fprog { len: 1, filter: &raw mut only })?)
}

/// Lets another process of the same user listen on the same port.
#[cfg(target_os = "linux")]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Only Linux can be told who hears of what.
#[cfg(not(target_os = "linux"))]
fn share(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "GAUNG_REUSE_PORT needs Linux"))
}

#[cfg(not(target_os = "linux"))]
fn choose(_: &TcpListener, _: u32) -> io::Result<()> {
    Ok(())
}
