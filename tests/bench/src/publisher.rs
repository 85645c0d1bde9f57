//! One keep-alive connection that triggers: a request, its answer, the next.

use std::{io::Write, net::SocketAddr};

use super::{BenchError, handshake, link::Link, subscriber, target::Target};

/// One connection for requests.
#[derive(Debug)]
pub struct Publisher {
    /// For the poll's registry.
    pub stream: Link,
    /// The beginning of an answer whose end has not arrived.
    unfinished: Vec<u8>,
    /// The request line of what is being asked, for the error text.
    asked: Option<String>,
}

impl Publisher {
    /// Connects, as the client with this number.
    pub fn open(target: &Target, address: SocketAddr, number: usize) -> Result<Self, BenchError> {
        let stream = target.connect(address, number).map_err(|error| BenchError::io("connecting to trigger", error))?;
        Ok(Self { stream, unfinished: Vec::new(), asked: None })
    }

    /// Sends and expects no answer, as the floor gives none.
    pub fn tell(&mut self, request: &[u8]) -> Result<(), BenchError> {
        self.stream.write_all(request).map_err(|error| BenchError::io("sending a trigger", error))
    }

    /// Sends a request whose answer [`receive`](Self::receive) will read.
    pub fn ask(&mut self, request: &[u8]) -> Result<(), BenchError> {
        self.asked = Some(first_words(request));
        self.tell(request)
    }

    /// Whether the next request can be sent.
    pub fn is_free(&self) -> bool {
        self.asked.is_none()
    }

    /// Reads what has arrived; returns whether the answer is complete. Any status but 200 is an error.
    pub fn receive(&mut self, scratch: &mut [u8]) -> Result<bool, BenchError> {
        let Some(count) = subscriber::read(&mut self.stream, scratch)? else { return Ok(false) };
        self.unfinished.extend_from_slice(&scratch[..count]);
        let Some(answer) = handshake::answer(&self.unfinished) else { return Ok(false) };
        self.unfinished.drain(..answer.length);
        let request = self.asked.take().unwrap_or_default();
        if answer.status != 200 {
            return Err(BenchError::Refused { request, status: answer.status });
        }
        Ok(true)
    }
}

/// Method and path, without the signature in the query.
fn first_words(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let words: Vec<&str> = text.split([' ', '?']).take(2).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_method_and_path_without_the_signature() {
        assert_eq!(first_words(b"POST /apps/a/events?auth_signature=x HTTP/1.1\r\n"), "POST /apps/a/events");
    }
}
