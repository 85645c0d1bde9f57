//! The paths of the HTTP transports: that of a socket, the session that its client has chosen, and what is asked for. Pure.

use super::XhrKey;

/// Characters of a session's name at most; pusher-js has eight.
const MAX_NAME: usize = 32;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// An answer that goes on.
    Stream,
    /// An answer that ends with what there is.
    Poll,
    /// Messages of the client.
    Send,
}

/// `…/app/{key}[/{resume id}]/{number}/{name}/{act}`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XhrPath<'a> {
    /// The path of the socket, without a prefix.
    pub socket: &'a str,
    /// All that tells the session from others.
    session: &'a str,
    pub act: Act,
}

impl<'a> XhrPath<'a> {
    /// Clients that set no `httpPath` put `/pusher` before it.
    pub fn parse(path: &'a str, prefix: &str) -> Option<Self> {
        let path = path.strip_prefix(prefix)?;
        let path = path.strip_prefix("/pusher").unwrap_or(path);
        let (session, act) = path.rsplit_once('/')?;
        let act = match act {
            "xhr_streaming" => Act::Stream,
            "xhr" => Act::Poll,
            "xhr_send" => Act::Send,
            _ => return None,
        };
        let (rest, name) = session.rsplit_once('/')?;
        let (socket, number) = rest.rsplit_once('/')?;
        let is_number = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let has_key = socket.strip_prefix("/app/").is_some_and(|key| !key.is_empty());
        (is_number && is_name && has_key).then_some(Self { socket, session, act })
    }

    /// The key of the app.
    pub fn app_key(&self) -> &'a str {
        self.socket.split('/').nth(2).unwrap_or_default()
    }

    /// The session that is meant.
    pub fn key(&self) -> XhrKey {
        XhrKey::of(self.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_session_begins_with_that_of_a_socket() {
        for (path, prefix, socket, act) in [
            ("/app/key/7/0123456v/xhr_streaming", "", "/app/key", Act::Stream),
            ("/pusher/app/key/999/0123456v/xhr", "", "/app/key", Act::Poll),
            ("/rt/pusher/app/key/0/0123456v/xhr_send", "/rt", "/app/key", Act::Send),
            ("/rt/app/key/some-resume-id/0/0123456v/xhr_send", "/rt", "/app/key/some-resume-id", Act::Send),
        ] {
            let parsed = XhrPath::parse(path, prefix).unwrap();
            assert_eq!((parsed.socket, parsed.act, parsed.app_key()), (socket, act, "key"), "{path}");
        }
    }

    #[test]
    fn one_session_has_one_key_whatever_is_asked_for_and_another_one_another() {
        let key = |path| XhrPath::parse(path, "").unwrap().key();
        let session = key("/app/key/7/abc/xhr_streaming");
        assert_eq!(session, key("/pusher/app/key/7/abc/xhr_send"));
        for other in ["/app/key/8/abc/xhr", "/app/key/7/abd/xhr", "/app/kez/7/abc/xhr", "/app/key/id/7/abc/xhr"] {
            assert_ne!(session, key(other), "{other}");
        }
    }

    #[test]
    fn nothing_else_is_a_session() {
        for path in [
            "",
            "/",
            "/app/key",
            "/app/key/7/abc",
            "/app/key/7/abc/websocket",
            "/app/7/abc/xhr",
            "/app//7/abc/xhr",
            "/app/key/1000/abc/xhr",
            "/app/key/-1/abc/xhr",
            "/app/key//abc/xhr",
            "/app/key/7//xhr",
            "/app/key/7/a%20c/xhr",
            "/apps/key/7/abc/xhr",
            "/other/app/key/7/abc/xhr",
        ] {
            assert_eq!(XhrPath::parse(path, ""), None, "{path}");
        }
        assert_eq!(XhrPath::parse(&format!("/app/key/7/{}/xhr", "a".repeat(33)), ""), None);
        assert_eq!(XhrPath::parse("/app/key/7/abc/xhr", "/rt"), None);
    }
}
