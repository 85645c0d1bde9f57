//! Lends a room thread to the large rooms of all threads: a very large room is written to by everybody at once.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use bytes::Bytes;
use tokio::task::yield_now;

use super::fanout::SLICE;
use crate::outbox::Outbox;

/// From this many subscribers on a room is served by all threads. Below, handing the work over costs more than it saves.
pub(super) const LARGE: usize = 8_192;

/// Writes to sockets on its own thread, for rooms of any thread.
pub(super) struct FanoutWorker;

/// Writes for sockets, none of them twice, to be done before the answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WriteAll(pub Vec<Write>);

/// Frames for one socket.
#[derive(Clone)]
pub struct Write {
    /// The socket's outbox.
    pub outbox: Arc<Outbox>,
    /// Whole frames, shared by all who get the same.
    pub frames: Bytes,
}

impl Actor for FanoutWorker {
    type Context = Context<Self>;
}

impl Handler<WriteAll> for FanoutWorker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, WriteAll(writes): WriteAll, _: &mut Context<Self>) -> ResponseFuture<()> {
        Box::pin(async move {
            for slice in writes.chunks(SLICE) {
                slice.iter().for_each(|write| write.outbox.send(&write.frames));
                // The thread's own rooms have their turn, and sessions for which much waits.
                yield_now().await;
                for write in slice.iter().filter(|write| write.outbox.is_crowded()) {
                    write.outbox.offered().await;
                }
            }
        })
    }
}
