//! What may stand where a server should be: listeners that answer as they like, and proxies that change what they carry.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// A listener of a test; it lives as long as the test's process. Returns `http://…`.
fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(socket));
        }
    });
    url
}

/// Takes connections and ends them.
pub fn hang_up() -> String {
    listen(drop)
}

/// Answers each request with what its head calls for, and ends the connection.
pub fn answer(to: fn(&str) -> String) -> String {
    listen(move |mut socket| {
        let head = head(&mut socket);
        // A client that went away needs no answer.
        let _ = socket.write_all(to(&head).as_bytes());
    })
}

/// An answer without a `Date`.
pub fn page(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Carries connections to the server, with the first request's head and that of its answer changed.
pub fn proxy(server: &str, request: fn(String) -> String, answered: fn(String) -> String) -> String {
    let server: SocketAddr = server.replace("http://", "").parse().expect("an address");
    listen(move |mut client| {
        let asked = request(head(&mut client));
        let mut server = TcpStream::connect(server).expect("the server accepts");
        server.write_all(asked.as_bytes()).expect("the server reads");
        let mut back = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
        thread::spawn(move || {
            let changed = answered(head(&mut back.0));
            let _ = back.1.write_all(changed.as_bytes());
            pump(back.0, back.1);
        });
        pump(client, server);
    })
}

/// Carries connections to the server, and keeps the answers to requests for this path back until they end.
pub fn collector(server: &str, path: &'static str) -> String {
    let server: SocketAddr = server.replace("http://", "").parse().expect("an address");
    listen(move |mut client| {
        let asked = head(&mut client);
        let mut server = TcpStream::connect(server).expect("the server accepts");
        server.write_all(asked.as_bytes()).expect("the server reads");
        let mut back = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
        let is_kept = asked.contains(path);
        thread::spawn(move || {
            if is_kept {
                let mut all = Vec::new();
                let _ = back.0.read_to_end(&mut all);
                let _ = back.1.write_all(&all);
            }
            pump(back.0, back.1);
        });
        pump(client, server);
    })
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    // Either end may go away whenever it likes.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Up to the empty line, or to the end.
fn head(socket: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && socket.read_exact(&mut byte).is_ok() {
        head.extend(byte);
    }
    String::from_utf8_lossy(&head).into_owned()
}
