//! TLS of one accepted connection as values: what came from the client goes in, text and what is to be sent to it come out.
//! An idle connection keeps no buffer, for which rustls' unbuffered interface is used: its other one keeps 4 KiB for good.

use std::{fmt, sync::Arc};

use rustls::{
    Error, InvalidMessage, ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, WriteTraffic},
};

/// The most text that one record holds (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16_384;

/// More than a record adds to its text, or a message of TLS's own (a key update) takes: RFC 8446 §5.2, RFC 5288 §3.
const RECORD_OVERHEAD: usize = 64;

/// What may be held of a message that is not whole: those of a handshake come in many records.
const MOST_HELD: usize = 65_535;

type Traffic<'c> = WriteTraffic<'c, ServerConnectionData>;
type Step = Result<(), Error>;

/// TLS of one connection.
pub(super) struct Records {
    connection: UnbufferedServerConnection,
    /// What came and is not yet whole.
    received: Vec<u8>,
    /// What the client said and nobody took yet.
    text: Vec<u8>,
    has_ended: bool,
}

impl Records {
    /// A connection on which nothing was read yet.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self { connection, received: Vec::new(), text: Vec::new(), has_ended: false })
    }

    /// Whether nothing can be sent or received yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the client has said that it sends no more.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The protocol that client and server have agreed on, of those that TLS is to carry.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Takes bytes of the client. What it is to be sent for them is added to `sealed`, also where they are refused.
    pub(super) fn receive(&mut self, bytes: &[u8], sealed: &mut Vec<u8>) -> Result<(), Error> {
        self.received.extend_from_slice(bytes);
        self.settle(sealed, |_, _| Ok(()))?;
        if self.received.len() > MOST_HELD {
            return Err(InvalidMessage::HandshakePayloadTooLarge.into());
        }
        Ok(())
    }

    /// Encrypts text, and adds it to `sealed`.
    pub(super) fn seal(&mut self, text: &[u8], sealed: &mut Vec<u8>) -> Result<(), Error> {
        self.settle(sealed, |traffic, sealed| {
            let room = text.len() + (text.len() / RECORD_BYTES + 2) * RECORD_OVERHEAD;
            append(sealed, room, |room| traffic.encrypt(text, room))
        })
    }

    /// Adds that nothing more will be sent.
    pub(super) fn close(&mut self, sealed: &mut Vec<u8>) -> Result<(), Error> {
        self.settle(sealed, |traffic, sealed| append(sealed, RECORD_OVERHEAD, |room| traffic.queue_close_notify(room)))
    }

    /// Gives out what the client said, `most` bytes of it at most.
    pub(super) fn take_text(&mut self, most: usize, take: impl FnOnce(&[u8])) -> usize {
        let count = most.min(self.text.len());
        take(&self.text[..count]);
        if count == self.text.len() {
            self.text = Vec::new();
        } else {
            self.text.drain(..count);
        }
        count
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.received.capacity() + self.text.capacity()
    }

    /// Takes steps until there is nothing to do but to hear more from the client or to send it something, for which
    /// `write` is called if that is possible. So nothing whole is left in `received`.
    fn settle(&mut self, sealed: &mut Vec<u8>, write: impl FnOnce(&mut Traffic<'_>, &mut Vec<u8>) -> Step) -> Step {
        let mut taken = 0;
        let settled = self.take_steps(&mut taken, sealed, write);
        if taken == self.received.len() {
            self.received = Vec::new();
        } else {
            self.received.drain(..taken);
        }
        if settled.is_err() {
            self.say_why(sealed);
        }
        settled
    }

    fn take_steps(
        &mut self,
        taken: &mut usize,
        sealed: &mut Vec<u8>,
        write: impl FnOnce(&mut Traffic<'_>, &mut Vec<u8>) -> Step,
    ) -> Step {
        loop {
            let status = self.connection.process_tls_records(&mut self.received[*taken..]);
            *taken += status.discard;
            match status.state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        self.text.extend_from_slice(record.payload);
                        *taken += record.discard;
                    }
                }
                ConnectionState::EncodeTlsData(message) => encode(message, sealed)?,
                // `sealed` is sent before anything else is.
                ConnectionState::TransmitTlsData(messages) => messages.done(),
                ConnectionState::PeerClosed => self.has_ended = true,
                ConnectionState::WriteTraffic(mut traffic) => return write(&mut traffic, sealed),
                ConnectionState::BlockedHandshake | ConnectionState::Closed => return Ok(()),
                _ => return Err(Error::General("early data, which is not offered".to_owned())),
            }
        }
    }

    /// Adds the alert with which TLS tells the client that the connection is over.
    fn say_why(&mut self, sealed: &mut Vec<u8>) {
        while self.connection.wants_write() {
            let status = self.connection.process_tls_records(&mut self.received);
            if let Ok(ConnectionState::EncodeTlsData(message)) = status.state {
                // It would fail for want of room alone, of which it gets enough.
                let _ = encode(message, sealed);
            }
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("has_ended", &self.has_ended).finish_non_exhaustive()
    }
}

fn encode(mut message: EncodeTlsData<'_, ServerConnectionData>, sealed: &mut Vec<u8>) -> Result<(), Error> {
    let room = match message.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Ok(_) | Err(EncodeError::AlreadyEncoded) => 0,
    };
    append(sealed, room, |room| message.encode(room))
}

/// Adds what is written into so much room behind `sealed`.
fn append<E: fmt::Display>(
    sealed: &mut Vec<u8>,
    room: usize,
    write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Error> {
    let before = sealed.len();
    sealed.resize(before + room, 0);
    let written = write(&mut sealed[before..]).map_err(|error| Error::General(error.to_string()));
    sealed.truncate(before + written.as_ref().map_or(0, |count| *count));
    written.map(drop)
}
