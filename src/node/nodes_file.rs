//! Follows the file that says how many nodes the cluster is meant to have: who adds nodes changes it, and restarts none.

use std::{path::PathBuf, time::Duration};

use gaung_cluster::{bus::Link, core::Input};

use crate::{
    config,
    files::{self, Follower},
    metrics::Metrics,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the file once a second for as long as the future is polled. `expected` is what it said at the start.
pub(super) fn watch(
    path: PathBuf,
    expected: usize,
    link: Link,
    metrics: Metrics,
) -> (Follower, impl Future<Output = ()>) {
    let (reads, mut last) = (path.clone(), Ok(expected));
    let look = move |_| {
        let found = config::read_nodes(&reads);
        let is_new = found != last;
        let was_refused = std::mem::replace(&mut last, found.clone()).is_err();
        is_new.then_some((found, was_refused))
    };
    let counts = metrics.clone();
    files::follow("nodes file", LOOK_EVERY, metrics, look, move |found| match found {
        Some((Ok(nodes), was_refused)) => {
            counts.reloads.with_label_values(&["applied"]).inc();
            if was_refused {
                tracing::info!(file = %path.display(), "the nodes file is taken again");
            }
            tracing::info!(file = %path.display(), nodes, "the cluster is meant to have so many nodes");
            link.send(Input::ExpectNodes(nodes));
        }
        Some((Err(problem), _)) => {
            counts.reloads.with_label_values(&["refused"]).inc();
            tracing::error!(file = %path.display(), problem, "nodes file refused; the number stays as it is");
        }
        None => {}
    })
}
