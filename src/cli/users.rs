//! `gaung users`: the members of a presence channel.

use gaung::config::Loaded;
use serde::Deserialize;
use serde_json::Value;

use super::{Failure, api, print, table::table, target::TargetOptions};

/// Which channel, and how to print its members.
#[derive(clap::Args)]
pub(super) struct Users {
    /// The presence channel, for example presence-room
    channel: String,
    /// Also show each member's user_info
    #[arg(long)]
    info: bool,
    /// Print {"users":[{"id":ID}]}; with --info each has a user_info
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetOptions,
}

/// What the API tells of a channel's members.
#[derive(Deserialize)]
struct Members {
    users: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    id: String,
    user_info: Option<Value>,
}

impl Users {
    /// Succeeds if the server tells of the members, also if there is none.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let target = self.target.resolve(loaded)?;
        let parameters = if self.info { &[("with_user_info", "1")][..] } else { &[] };
        let answer = api::get(&target, &["channels", &self.channel, "users"], parameters).await?;
        if self.json {
            return print(answer);
        }
        let members: Members = serde_json::from_str(&answer)
            .map_err(|error| Failure::new(format!("{} did not answer with a list of users: {error}", target.base())))?;
        print(list(members.users))
    }
}

fn list(users: Vec<Member>) -> String {
    let info = |info: Option<Value>| info.map_or_else(String::new, |info| info.to_string());
    table(["USER", ""], users.into_iter().map(|Member { id, user_info }| [id, info(user_info)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_a_line_with_what_is_known() {
        let users = r#"[{"id":"7","user_info":{"name":"Ada"}},{"id":"42"}]"#;
        assert_eq!(list(serde_json::from_str(users).unwrap()), "USER\n7     {\"name\":\"Ada\"}\n42");
    }
}
