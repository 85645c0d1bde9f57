//! One GET at a time, for what is asked beside the measurement.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{BenchError, handshake};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of the answer; any status but 200 is an error.
pub fn get(address: SocketAddr, path_and_query: &str) -> Result<Vec<u8>, BenchError> {
    let (status, body) = ask(address, path_and_query)?;
    if status != 200 {
        let path = path_and_query.split('?').next().unwrap_or_default();
        return Err(BenchError::Refused { request: format!("GET {path}"), status });
    }
    Ok(body)
}

/// The status of the answer.
pub fn status(address: SocketAddr, path: &str) -> Result<u16, BenchError> {
    ask(address, path).map(|(status, _)| status)
}

/// HTTP/1.0, so that the answer ends with the connection and comes in no chunks.
fn ask(address: SocketAddr, path_and_query: &str) -> Result<(u16, Vec<u8>), BenchError> {
    let failed = |error| BenchError::io("asking a process beside the measurement", error);
    let request = format!("GET {path_and_query} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    let head = handshake::head(&answer).ok_or_else(|| failed(ErrorKind::InvalidData.into()))?;
    Ok((head.status, answer.split_off(head.length)))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    fn server_that_answers(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn the_body_is_what_follows_the_head() {
        assert_eq!(get(server_that_answers("HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody"), "/").unwrap(), b"body");
    }

    #[test]
    fn a_refusal_is_named_without_its_query() {
        let error = get(server_that_answers("HTTP/1.0 401 Unauthorized\r\n\r\n"), "/apps?auth=x").unwrap_err();
        assert_eq!(error.to_string(), "GET /apps was answered with 401 instead of 200");
    }

    #[test]
    fn a_status_alone_may_be_any() {
        assert_eq!(status(server_that_answers("HTTP/1.1 503 Wait\r\n\r\n"), "/readyz").unwrap(), 503);
    }
}
