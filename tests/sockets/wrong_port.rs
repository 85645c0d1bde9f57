//! What is spoken to the public port and is no request: TLS to a plain port, plain HTTP to one with TLS, other protocols,
//! broken heads. It ends, and the log says once what it was.

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
fn each_kind_of_nonsense_has_one_line_with_its_peer_and_no_other_line_is_written() {
    let server = serve(&[("GAUNG_LOG", "debug")]);
    let quiet = server.stderr().lines().count();
    for _ in 0..3 {
        for bytes in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 443\r\nGET / HTTP/1.1\r\nHost: gaung\r\n\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: gaung\r\nnonsense\r\n\r\n",
            &[&b"GET /"[..], &[b'x'; 140_000]].concat(),
        ] {
            speak(&server, bytes);
        }
    }
    let told = [
        "HTTP/2 was spoken to the public port without TLS",
        "SSH was spoken to the public port",
        "the PROXY protocol was spoken to the public port",
        "a request without the header Host",
        "a request with too large a head",
        "what was spoken to the public port is no request",
    ];
    for text in told {
        server.wait_for(text, || server.stderr().contains(text));
    }
    let log = server.stderr();
    for text in told {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        assert!(lines.len() == 1 && lines[0].contains("127.0.0.1"), "{lines:?}");
    }
    let errors = log.lines().skip(quiet).filter(|line| line.contains("ERROR") || line.contains("actix_http"));
    assert_eq!(errors.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_proxy_protocol_before_tls_is_called_that() {
    let folder = Folder::new("proxy-protocol");
    let (cert, key) = (folder.cert().display().to_string(), folder.key().display().to_string());
    let server = serve(&[("GAUNG_TLS_CERT", &cert), ("GAUNG_TLS_KEY", &key)]);
    for _ in 0..3 {
        speak(&server, b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 443\r\n");
    }
    server.wait_for("line", || server.stderr().contains("the PROXY protocol was spoken to the public port"));
    assert_eq!(lines_with(server, "PROXY protocol"), 1);
}

#[test]
fn nonsense_on_the_plain_port_is_not_taken_for_tls() {
    let server = serve(&[]);
    for bytes in [&b"\x17\x03\x03\x00\x10 nonsense"[..], b"\n\x16\x03\x01", b"GET / HTTP/1.1\r\nbroken\r\n\r\n"] {
        speak(&server, bytes);
    }
    assert_eq!(lines_with(server, "TLS was spoken"), 0);
}
