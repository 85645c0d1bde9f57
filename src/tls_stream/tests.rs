//! A real TLS client, and what stands between it and the text.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::ring, pki_types::CertificateDer, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{records::Records, *};
use crate::tls::folder::Folder;

/// Both ends, and what is on the way to the client.
struct Pair {
    client: ClientConnection,
    server: Tls,
}

/// A pair for each version of TLS, with their hands shaken.
fn pairs(test: &str) -> Vec<Pair> {
    let folder = Folder::with_certificate(test);
    let (config, _) = folder.load().unwrap();
    let pair = |version| {
        let client = client_config(folder.der(), version);
        let client = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        let mut pair =
            Pair { client, server: Tls { records: Records::new(config.clone()).unwrap(), unsent: Vec::new() } };
        while pair.client.is_handshaking() || pair.server.records.is_handshaking() {
            pair.carry(usize::MAX).unwrap();
        }
        pair
    };
    [&version::TLS13, &version::TLS12].map(pair).into()
}

fn client_config(
    trusted: CertificateDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

impl Pair {
    /// Carries to the server what the client has to send, in pieces of so many bytes, and then to the client what that one
    /// has to send.
    fn carry(&mut self, piece: usize) -> Result<(), rustls::Error> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        let heard = bytes
            .chunks(piece.min(bytes.len().max(1)))
            .try_for_each(|piece| self.server.records.receive(piece, &mut self.server.unsent));
        let sealed = std::mem::take(&mut self.server.unsent);
        let mut rest = &sealed[..];
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets()?;
        }
        heard
    }

    /// What the server heard from the client.
    fn heard(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        self.server.records.take_text(usize::MAX, |part| text.extend_from_slice(part));
        text
    }

    /// The server says something; what the client hears.
    fn say(&mut self, text: &[u8]) -> Vec<u8> {
        self.server.records.seal(text, &mut self.server.unsent).unwrap();
        let mut heard = Vec::new();
        let mut bytes = &std::mem::take(&mut self.server.unsent)[..];
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client.process_new_packets().unwrap();
            let mut buffer = [0; 16_384];
            while let Ok(count @ 1..) = self.client.reader().read(&mut buffer) {
                heard.extend_from_slice(&buffer[..count]);
            }
        }
        heard
    }
}

/// So many bytes, no two neighbouring pieces of which are alike.
fn text(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn text_of_all_sizes_goes_both_ways_in_both_versions() {
    for mut pair in pairs("sizes") {
        for size in [1, 2, 125, 16_383, 16_384, 16_385, 40_000, 200_000] {
            assert!(pair.say(&text(size)) == text(size), "{size} bytes to the client");
            let mut said = text(size.min(40_000));
            while !said.is_empty() {
                let count = pair.client.writer().write(&said).unwrap();
                pair.carry(usize::MAX).unwrap();
                assert!(pair.heard() == said[..count], "{size} bytes to the server");
                said.drain(..count);
            }
        }
    }
}

#[test]
fn records_may_come_byte_by_byte_and_several_at_once() {
    for mut pair in pairs("bytes") {
        for piece in [1, 2, 3, 7, 1_000] {
            for part in text(3_000).chunks(500) {
                pair.client.writer().write_all(part).unwrap();
            }
            pair.carry(piece).unwrap();
            assert!(pair.heard() == text(3_000), "pieces of {piece} bytes");
        }
    }
}

#[test]
fn text_may_be_sent_while_half_a_record_has_come() {
    for mut pair in pairs("half") {
        pair.client.writer().write_all(b"whole").unwrap();
        let mut bytes = Vec::new();
        pair.client.write_tls(&mut bytes).unwrap();
        let (first, second) = bytes.split_at(9);
        pair.server.records.receive(first, &mut Vec::new()).unwrap();
        assert_eq!(pair.say(b"meanwhile"), b"meanwhile");
        pair.server.records.receive(second, &mut Vec::new()).unwrap();
        assert_eq!(pair.heard(), b"whole");
    }
}

#[test]
fn keys_may_be_renewed_by_the_client() {
    let mut pair = pairs("keys").swap_remove(0);
    for round in 0..3 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client.writer().write_all(b"with new keys").unwrap();
        pair.carry(if round == 1 { 1 } else { usize::MAX }).unwrap();
        assert_eq!(pair.heard(), b"with new keys");
        assert_eq!(pair.say(b"with new keys too"), b"with new keys too");
    }
}

#[test]
fn a_client_that_says_no_more_may_be_told_more() {
    for mut pair in pairs("ended") {
        pair.client.writer().write_all(b"the last").unwrap();
        pair.client.send_close_notify();
        pair.carry(usize::MAX).unwrap();
        assert_eq!((pair.heard(), pair.server.records.has_ended()), (b"the last".to_vec(), true));
        assert_eq!(pair.say(b"farewell"), b"farewell");
        pair.server.records.close(&mut pair.server.unsent).unwrap();
        pair.server.records.close(&mut pair.server.unsent).unwrap();
        pair.carry(usize::MAX).unwrap();
        // The end was said, or this would be an error.
        assert_eq!(pair.client.reader().read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_client_that_was_told_the_end_is_still_heard() {
    for mut pair in pairs("told") {
        pair.server.records.close(&mut pair.server.unsent).unwrap();
        pair.client.writer().write_all(b"one more").unwrap();
        pair.carry(usize::MAX).unwrap();
        assert_eq!((pair.heard(), pair.server.records.has_ended()), (b"one more".to_vec(), false));
    }
}

#[test]
fn what_is_no_tls_is_refused_and_the_client_is_told_why() {
    for mut pair in pairs("nonsense") {
        pair.client.writer().write_all(b"good").unwrap();
        pair.carry(usize::MAX).unwrap();
        let refused = pair.server.records.receive(&[23, 3, 3, 0, 40, 1, 2, 3], &mut pair.server.unsent);
        refused.and_then(|()| pair.server.records.receive(&[7; 37], &mut pair.server.unsent)).unwrap_err();
        assert_eq!(pair.heard(), b"good");
        let told = pair.carry(usize::MAX).unwrap_err();
        assert!(matches!(told, rustls::Error::AlertReceived(_)), "{told}");
    }
}

#[test]
fn a_message_of_the_handshake_may_not_grow_without_end() {
    let folder = Folder::with_certificate("endless");
    let mut records = Records::new(folder.load().unwrap().0).unwrap();
    // Records of one byte each, of a ClientHello that is to have 65,000.
    let mut result = records.receive(&[22, 3, 1, 0, 4, 1, 0, 253, 232], &mut Vec::new());
    for _ in 0..64_000 {
        result = result.and_then(|()| records.receive(&[22, 3, 1, 0, 1, 0], &mut Vec::new()));
    }
    assert_eq!(result, Err(rustls::InvalidMessage::HandshakePayloadTooLarge.into()));
}

#[test]
fn what_the_socket_refuses_is_one_piece_at_most_and_goes_out_later_in_order() {
    for mut pair in pairs("refused") {
        let (text, mut sent, mut written) = (text(150_000), Vec::new(), 0);
        while written < text.len() || pair.server.unsent() > 0 {
            let mut room = 10_000;
            let mut send = |bytes: &[u8]| {
                let count = bytes.len().min(room);
                room -= count;
                sent.extend_from_slice(&bytes[..count]);
                if count > 0 { Ok(count) } else { Err(ErrorKind::WouldBlock.into()) }
            };
            written += pair.server.write(&text[written..], &mut send).unwrap();
            pair.server.flush(&mut send).unwrap();
            assert!(pair.server.unsent() < PIECE_BYTES + 1_000, "{} bytes wait", pair.server.unsent());
        }
        pair.server.unsent = sent;
        assert!(pair.say(b"") == text);
    }
}

#[test]
fn an_idle_connection_keeps_no_buffer() {
    for mut pair in pairs("idle") {
        pair.client.writer().write_all(&text(3_000)).unwrap();
        pair.carry(100).unwrap();
        pair.heard();
        pair.server.write(&text(3_000), |bytes| Ok(bytes.len())).unwrap();
        pair.server.flush(|bytes| Ok(bytes.len())).unwrap();
        assert_eq!((pair.server.records.held(), pair.server.unsent.capacity()), (0, 0));
    }
}

#[actix::test]
async fn a_stream_reads_in_small_pieces_what_came_in_large_ones_and_tells_a_cut_from_an_end() {
    let folder = Folder::with_certificate("stream");
    let (server, _) = folder.load().unwrap();
    for is_cut in [false, true] {
        let (near, far) = tokio::io::duplex(1_000);
        let client = tokio_rustls::TlsConnector::from(client_config(folder.der(), &version::TLS13));
        let (server, config) = (server.clone(), "localhost".try_into().unwrap());
        let sends = async move {
            let mut client = client.connect(config, near).await.unwrap();
            client.write_all(&text(100_000)).await.unwrap();
            client.flush().await.unwrap();
            if !is_cut {
                client.shutdown().await.unwrap();
            }
        };
        let reads = async move {
            let mut stream = TlsStream::accept(server, far).await.unwrap();
            let (mut heard, mut buffer) = (Vec::new(), [0; 999]);
            loop {
                match stream.read(&mut buffer).await {
                    Ok(0) => return (heard, None),
                    Ok(count) => heard.extend_from_slice(&buffer[..count]),
                    Err(error) => return (heard, Some(error.kind())),
                }
            }
        };
        let ((), (heard, error)) = tokio::join!(sends, reads);
        assert!(heard == text(100_000));
        assert_eq!(error, is_cut.then_some(ErrorKind::UnexpectedEof));
    }
}
