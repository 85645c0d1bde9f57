//! What a node that died had stored, and this one may not have heard: it is read from the history stream, and heard late.

use std::time::{Duration, Instant};

use gaung_cluster::{
    NodeId,
    bus::Link,
    core::Input,
    history::{HistoryStream, ReadError},
};
use tokio::{task::yield_now, time::sleep};

/// For how long it is tried: as long as the core knows the node at least.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause after the stream could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Frames that the core is given at once.
const BATCH: usize = 256;

/// Reads what a node has stored in so long before now, and gives it to the core.
pub(super) async fn hear(stream: HistoryStream, link: Link, node: NodeId, unheard_for: Duration) {
    let began = Instant::now();
    let frames = loop {
        match stream.read_node(node, unheard_for + began.elapsed()).await {
            Ok(frames) => break frames,
            Err(error @ (ReadError::Away | ReadError::Server(_))) if began.elapsed() < PATIENCE => {
                tracing::debug!(%node, %error, "what a dead node stored is read again in a moment");
                sleep(PAUSE).await;
            }
            Err(error) => {
                return tracing::warn!(%node, %error, "what a dead node stored last, and nobody heard, stays unheard");
            }
        }
    };
    for batch in frames.chunks(BATCH) {
        batch.iter().for_each(|frame| link.send(Input::Stored(frame.clone())));
        yield_now().await;
    }
}
