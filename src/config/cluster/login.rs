//! Who the node says it is to NATS: one of several ways, and never two.

use std::path::PathBuf;

use super::{Form, Problems};
use crate::app::Secret;

/// How the node logs in to NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Not at all.
    Nobody,
    /// `GAUNG_NATS_USER` and `GAUNG_NATS_PASSWORD`, or both in `GAUNG_NATS_URL`.
    User {
        /// The user.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// `GAUNG_NATS_TOKEN`, or a token in `GAUNG_NATS_URL`.
    Token(Secret),
    /// `GAUNG_NATS_CREDENTIALS`: a file with a user's JWT and its seed.
    Credentials(PathBuf),
}

/// The one way that is given; with several, all are named in a problem.
pub(super) fn choose(form: &Form, problems: &mut Problems) -> Login {
    let ways = [
        ("credentials in GAUNG_NATS_URL", Some(form.nats_url.login.clone()).filter(|login| *login != Login::Nobody)),
        ("GAUNG_NATS_USER", user(form, problems)),
        ("GAUNG_NATS_TOKEN", form.nats_token.clone().map(Login::Token)),
        ("GAUNG_NATS_CREDENTIALS", form.nats_credentials.clone().map(Login::Credentials)),
    ];
    let mut given = ways.into_iter().filter_map(|(name, login)| Some((name, login?)));
    let Some((first, login)) = given.next() else { return Login::Nobody };
    for (name, _) in given {
        problems.add(format!("{name} is set beside {first}; a node logs in to NATS in one way"));
    }
    login
}

fn user(form: &Form, problems: &mut Problems) -> Option<Login> {
    let missing = match (form.nats_user.clone(), form.nats_password.clone()) {
        (Some(user), Some(password)) => return Some(Login::User { user, password }),
        (Some(_), None) => "GAUNG_NATS_PASSWORD",
        (None, Some(_)) => "GAUNG_NATS_USER",
        (None, None) => return None,
    };
    problems.add(format!("{missing} is not set; GAUNG_NATS_USER and GAUNG_NATS_PASSWORD belong together"));
    None
}
