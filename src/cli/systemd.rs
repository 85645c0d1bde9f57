//! Tells systemd how the service stands, in the words of `sd_notify(3)`: one datagram to the socket that the environment
//! names. The protocol is a line; a crate for it would be more to read than this.

use std::{ffi::OsStr, io, os::unix::net::UnixDatagram};

/// What systemd is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// The service serves: units that wait for it may start.
    Ready,
    /// The service has been asked to go, and goes.
    Stopping,
}

/// Says it, where systemd wants to know (`Type=notify`).
pub(super) fn notify(stage: Stage) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text: &[u8] = match stage {
        Stage::Ready => b"READY=1",
        Stage::Stopping => b"STOPPING=1",
    };
    if let Err(error) = send(&socket, text) {
        tracing::warn!(%error, socket = %socket.to_string_lossy(), ?stage, "cannot notify systemd (NOTIFY_SOCKET)");
    }
}

#[cfg(target_os = "linux")]
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net::SocketAddr},
    };

    let address = match socket.as_bytes() {
        // A name that stands in no file system.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text, &address).map(drop)
}

/// Only Linux has systemd.
#[cfg(not(target_os = "linux"))]
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    UnixDatagram::unbound()?.send_to(text, socket).map(drop)
}
