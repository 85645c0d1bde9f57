//! A request as a receiver of posts reads it.

use tokio::{io::AsyncReadExt, net::TcpStream};

/// Head, in lower case, and body of the next request; `None` at the end of the connection.
pub async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("the head is text").to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("the length is a number")];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}
