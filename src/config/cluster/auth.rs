//! Who the node says it is to NATS: one of several ways, and never two.

use gaung_cluster::bus::Auth;

use super::{Form, Problems};
use crate::protocol::Secret;

/// The one way that is given; with several, all are named in a problem.
pub(super) fn choose(form: &Form, problems: &mut Problems) -> Auth {
    let ways = [
        ("credentials in GAUNG_NATS_URL", Some(form.nats_url.auth.clone()).filter(|auth| *auth != Auth::None)),
        ("GAUNG_NATS_USER", user(form, problems)),
        ("GAUNG_NATS_TOKEN", form.nats_token.as_ref().map(|token| Auth::Token(exposed(token)))),
        ("GAUNG_NATS_CREDENTIALS", form.nats_credentials.clone().map(Auth::Credentials)),
    ];
    let mut given = ways.into_iter().filter_map(|(name, auth)| Some((name, auth?)));
    let Some((first, auth)) = given.next() else { return Auth::None };
    for (name, _) in given {
        problems.add(format!("{name} cannot be combined with {first}; choose one way to log in to NATS"));
    }
    auth
}

fn user(form: &Form, problems: &mut Problems) -> Option<Auth> {
    let missing = match (&form.nats_user, &form.nats_password) {
        (Some(user), Some(password)) => return Some(Auth::User { user: user.clone(), password: exposed(password) }),
        (Some(_), None) => "GAUNG_NATS_PASSWORD",
        (None, Some(_)) => "GAUNG_NATS_USER",
        (None, None) => return None,
    };
    problems.add(format!("{missing} is not set; GAUNG_NATS_USER and GAUNG_NATS_PASSWORD belong together"));
    None
}

/// The bus masks it from here on.
fn exposed(secret: &Secret) -> String {
    secret.expose().to_owned()
}
