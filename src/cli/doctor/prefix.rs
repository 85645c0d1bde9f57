//! Where sockets are served after all, if not at the path that was given.

use super::{in_time, socket};
use crate::cli::{connection::SocketOptions, target::Target};

/// What people call it.
const COMMON: [&str; 6] = ["/ws", "/realtime", "/sockets", "/socket", "/reverb", "/gaung"];

/// The path prefix under which the server speaks the protocol, if one of the likely ones is it.
pub(super) async fn find(target: &Target, options: &SocketOptions, known: &str) -> Option<String> {
    let (origin, path) = target.origin_and_path();
    let search = async {
        for prefix in candidates(path, known) {
            if socket::speaks(&target.with_base(format!("{origin}{prefix}")), options).await {
                return Some(prefix);
            }
        }
        None
    };
    in_time(search).await.flatten()
}

/// What the given path may have meant: what the configuration says, one of its parents, or a common name. Never itself.
fn candidates(path: &str, known: &str) -> Vec<String> {
    let parents = path.match_indices('/').map(|(end, _)| path[..end].to_owned());
    let mut candidates = vec![known.to_owned()];
    candidates.extend(parents.collect::<Vec<_>>().into_iter().rev());
    candidates.push(String::new());
    candidates.extend(COMMON.map(str::to_owned));
    let mut distinct = Vec::new();
    for candidate in candidates {
        if candidate != path && !distinct.contains(&candidate) {
            distinct.push(candidate);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_tried_first_then_the_paths_own_parents_then_the_common_names() {
        assert_eq!(candidates("/a/b", "/c")[..4], ["/c", "/a", "", "/ws"]);
        assert_eq!(candidates("", "")[..2], ["/ws", "/realtime"]);
        assert!(!candidates("/ws", "/ws").contains(&"/ws".to_owned()));
    }
}
