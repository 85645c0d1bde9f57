//! What a browser does: a socket, a greeting, a private channel, an event.

use awc::error::{SendRequestError, WsClientError};

use super::{
    finding, in_time, prefix,
    report::{Finding, Report},
};
use crate::cli::{
    Failure,
    connection::{Connection, SocketOptions},
    line::Message,
    subscribe,
    target::Target,
};

/// The close code of a path at which nothing is served (protocol.md §1.5).
const PATH_UNKNOWN: u16 = 4005;

/// What came of the request for an upgrade.
enum Entry {
    /// A socket and what it was greeted with.
    Greeted(Box<Connection>, Message),
    /// A socket that ended before a word was said; how.
    Mute(String),
    /// No socket.
    Refused(WsClientError),
    /// No answer in time.
    Silent,
}

/// Three steps: a socket, the app's greeting and a private channel. `None` if one of them failed.
pub(super) async fn subscribe(
    target: &Target,
    options: &SocketOptions,
    channel: &str,
    known_prefix: &str,
    report: &mut Report,
) -> Result<Option<Connection>, Failure> {
    let entered = match enter(target, options).await {
        Entry::Greeted(connection, greeting) if greeting.code() != Some(PATH_UNKNOWN) => Ok((connection, greeting)),
        Entry::Greeted(..) => {
            Err(try_other_prefixes(target, options, known_prefix, finding::of_path(target.base())).await)
        }
        Entry::Mute(how) => Err(finding::of_mute_socket(&how)),
        Entry::Silent => Err(finding::of_silent_upgrade()),
        Entry::Refused(WsClientError::InvalidResponseStatus(status)) => {
            let finding = finding::of_upgrade(status.as_u16(), target.base());
            Err(try_other_prefixes(target, options, known_prefix, finding).await)
        }
        Entry::Refused(WsClientError::SendRequest(SendRequestError::Timeout)) => Err(finding::of_silent_upgrade()),
        Entry::Refused(error) => Err(finding::of_garbled_upgrade(&error.to_string())),
    };
    let entered = entered.map(|entered| ("the upgrade is answered, and the server speaks".to_owned(), entered));
    let Some((mut connection, greeting)) = report.add("socket", entered)? else { return Ok(None) };
    let welcome = finding::of_greeting(&greeting, &target.key.key, options.origin.as_deref());
    if report.add("app", welcome.map(|text| (text, ())))?.is_none() || connection.welcome(&greeting).is_err() {
        return Ok(None);
    }
    let subscribed = join(&mut connection, target, channel).await;
    let subscribed = report.add("signature", subscribed.map(|text| (text, ())))?;
    Ok(subscribed.map(|()| *connection))
}

/// Whether the Pusher protocol is spoken there, whatever it says.
pub(super) async fn speaks(target: &Target, options: &SocketOptions) -> bool {
    match enter(target, options).await {
        Entry::Greeted(_, greeting) => greeting.code() != Some(PATH_UNKNOWN),
        Entry::Mute(_) | Entry::Refused(_) | Entry::Silent => false,
    }
}

/// Waits for the event that was published.
pub(super) async fn hear(mut connection: Connection) -> Result<String, Finding> {
    let heard = in_time(async {
        loop {
            match connection.next().await {
                Ok(message) if message.is_published() => return Ok(()),
                Ok(_) => {}
                Err(failure) => return Err(failure),
            }
        }
    });
    let outcome = match heard.await {
        Some(Ok(())) => Ok("the event that was published has arrived at the socket".to_owned()),
        Some(Err(failure)) => Err(finding::of_lost_event(&failure.to_string())),
        None => Err(finding::of_unheard_event()),
    };
    // All is known: how the socket ends is of no interest.
    let _ = connection.close().await;
    outcome
}

async fn enter(target: &Target, options: &SocketOptions) -> Entry {
    let mut connection = match in_time(Connection::dial(target, options)).await {
        Some(Ok(connection)) => connection,
        Some(Err(error)) => return Entry::Refused(error),
        None => return Entry::Silent,
    };
    match in_time(connection.receive()).await {
        Some(Ok(greeting)) => Entry::Greeted(Box::new(connection), greeting),
        Some(Err(failure)) => Entry::Mute(failure.to_string()),
        None => Entry::Mute("the server says nothing".to_owned()),
    }
}

/// The prefix that works is a better advice than what is wrong with the one that does not.
async fn try_other_prefixes(
    target: &Target,
    options: &SocketOptions,
    known_prefix: &str,
    otherwise: Finding,
) -> Finding {
    match prefix::find(target, options, known_prefix).await {
        Some(prefix) => finding::of_prefix(target.base(), &prefix),
        None => otherwise,
    }
}

async fn join(connection: &mut Connection, target: &Target, channel: &str) -> Result<String, Finding> {
    let joined = in_time(async {
        subscribe::subscribe(connection, channel, "gaung", &target.key, None).await?;
        loop {
            let message = connection.receive().await?;
            if message.event == "pusher_internal:subscription_succeeded" {
                return Ok(None);
            }
            if let Some(problem) = message.problem() {
                return Ok(Some(problem));
            }
        }
    });
    match joined.await {
        Some(Ok(None)) => Ok("a private channel takes what the app's secret has signed".to_owned()),
        Some(Ok(Some(problem))) => Err(finding::of_subscription(&problem)),
        Some(Err(failure)) => {
            let failure: Failure = failure;
            Err(finding::of_mute_socket(&failure.to_string()))
        }
        None => Err(finding::of_mute_socket("a subscription is not answered")),
    }
}
