//! The guards by which an app's open sockets are counted, so that their number can neither drift nor go below zero.

use std::sync::{Arc, atomic::Ordering};

use super::App;

/// An open socket's place in its app's quota; given back when dropped.
#[derive(Debug)]
pub struct AppPermit(Arc<App>);

/// Who has the app's `max_connections` sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaTaken {
    /// This node alone.
    Here,
    /// This node and the others, as far as they are known.
    OnAllNodes,
}

impl AppPermit {
    /// Takes a place unless the app has `max_connections` sockets already, on all nodes together. What other nodes have
    /// is known a quarter of a second late.
    pub fn take(app: &Arc<App>) -> Result<Self, QuotaTaken> {
        let counters = &app.counters;
        let limit = app.settings().max_connections.unwrap_or(usize::MAX);
        let limit_here = limit.saturating_sub(counters.remote_connections());
        counters
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < limit_here).then_some(open + 1))
            .map_err(|open| if open < limit { QuotaTaken::OnAllNodes } else { QuotaTaken::Here })?;
        counters.connections_opened.fetch_add(1, Ordering::Relaxed);
        Ok(Self(app.clone()))
    }

    pub fn app(&self) -> &Arc<App> {
        &self.0
    }
}

impl Drop for AppPermit {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.counters.connections_closed.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AppSettings;

    #[test]
    fn the_quota_counts_open_sockets_and_a_closed_one_makes_room() {
        let app = App::new("1", AppSettings { max_connections: Some(2), ..AppSettings::new("k", "s") });
        let first = AppPermit::take(&app);
        let second = AppPermit::take(&app);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(AppPermit::take(&app).err(), Some(QuotaTaken::Here));
        drop(first);
        assert_eq!(app.counters.connections(), 1);
        assert!(AppPermit::take(&app).is_ok());
    }

    #[test]
    fn sockets_on_other_nodes_count_toward_the_quota() {
        let app = App::new("1", AppSettings { max_connections: Some(2), ..AppSettings::new("k", "s") });
        app.counters.set_remote_connections(1);
        let permit = AppPermit::take(&app);
        assert!(permit.is_ok());
        assert_eq!(AppPermit::take(&app).err(), Some(QuotaTaken::OnAllNodes));
        app.counters.set_remote_connections(3);
        drop(permit);
        assert_eq!(AppPermit::take(&app).err(), Some(QuotaTaken::OnAllNodes));
    }
}
