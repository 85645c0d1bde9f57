//! Why a client is not let in, and how it is told.

use crate::{
    outbox::{Outbox, closing::ClientProtocol},
    protocol::Close,
    tenant::InvalidStream,
};

/// Why a client may not stay, and the protocol in which it is told.
pub struct Refusal {
    pub close: Close,
    pub text: String,
    pub(super) protocol: ClientProtocol,
}

/// Why a stream is not opened.
pub enum StreamRefusal {
    /// As a socket would not be.
    Close(Refusal),
    /// It could not carry what is asked for.
    Invalid(InvalidStream),
}

impl Refusal {
    /// For a reason from the table, to a client of the Pusher protocol.
    pub(super) fn pusher(close: Close) -> Self {
        Self { close, text: close.text().to_owned(), protocol: ClientProtocol::Pusher }
    }

    /// The same to a plain client.
    pub(super) fn plain(close: Close) -> Self {
        Self::tenant(close, close.text())
    }

    /// The same with a text of its own.
    pub(super) fn tenant(close: Close, text: impl ToString) -> Self {
        Self { close, text: text.to_string(), protocol: ClientProtocol::Tenant }
    }

    /// Tells the client, and closes.
    pub(super) fn send(&self, outbox: &Outbox) {
        self.protocol.close_with_text(outbox, self.close, &self.text);
    }
}
