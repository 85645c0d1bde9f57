//! TLS that is spoken to a plain port, and plain HTTP to one with TLS: it ends, and the log says once what it was.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::{
    common::process::{Process, serve},
    tls::Folder,
};

/// The beginning of what any TLS client says first.
const TLS_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

/// Sends these bytes on a connection of their own, which the server must end; what it answered.
fn speak(server: &Process, bytes: &[u8]) -> Vec<u8> {
    let address = server.address("public");
    let (_, address) = address.split_once("://").expect("an address with a scheme");
    let mut socket = TcpStream::connect(address).expect("the server accepts");
    socket.write_all(bytes).expect("the server reads");
    let mut answer = Vec::new();
    // A reset is an end.
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// Ends the server; how many lines of its log contain this.
fn lines_with(mut server: Process, text: &str) -> usize {
    server.signal("-INT");
    assert_eq!(server.exit_code(), Some(0));
    server.stderr().lines().filter(|line| line.contains(text)).count()
}

#[test]
fn tls_on_the_plain_port_is_ended_and_logged_once_for_many() {
    let server = serve(&[]);
    for _ in 0..3 {
        let answer = speak(&server, TLS_HELLO);
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    }
    server.wait_for("line", || server.stderr().contains("TLS was spoken to the public port, which is plain"));
    assert!(server.stderr().contains("GAUNG_TLS_CERT"), "{}", server.stderr());
    assert_eq!(lines_with(server, "TLS was spoken"), 1);
}

#[test]
fn plain_http_on_the_tls_port_is_ended_and_logged_once_for_many() {
    let folder = Folder::new("wrong-port");
    let (cert, key) = (folder.cert().display().to_string(), folder.key().display().to_string());
    let server = serve(&[("GAUNG_TLS_CERT", &cert), ("GAUNG_TLS_KEY", &key)]);
    for _ in 0..3 {
        speak(&server, b"GET / HTTP/1.1\r\nHost: gaung\r\n\r\n");
    }
    server.wait_for("line", || server.stderr().contains("plain HTTP was spoken to the public port, which wants TLS"));
    assert_eq!(lines_with(server, "plain HTTP was spoken"), 1);
}

#[test]
fn nonsense_on_the_plain_port_is_not_taken_for_tls() {
    let server = serve(&[]);
    for bytes in [&b"\x17\x03\x03\x00\x10 nonsense"[..], b"\n\x16\x03\x01", b"GET / HTTP/1.1\r\nbroken\r\n\r\n"] {
        speak(&server, bytes);
    }
    assert_eq!(lines_with(server, "TLS was spoken"), 0);
}
