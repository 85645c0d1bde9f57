//! scaffold
pub mod edge;
use crate::app::App;
pub use edge::{Change, Edge};
use std::sync::Arc;
/// Handle.
#[derive(Clone)]
pub struct Webhooks;
impl Webhooks {
    /// Never blocks.
    pub fn notify(&self, _app: &Arc<App>, _edge: Edge) {}
}
