//! `gaung apps`: which apps a running server has, and changes of them through its admin port, with its token.

mod import;
mod members;
mod port;
mod shown;

use awc::http::Method;
use serde_json::{Value, json};

use super::{Failure, admin_port, print};
use members::{members, setting};
use port::{Condition, Port};
use shown::{App, list};

/// What to do with the apps of a running server.
#[derive(clap::Args)]
pub(super) struct Apps {
    /// The admin port to ask (GAUNG_ADMIN_HOST and GAUNG_ADMIN_PORT): http://127.0.0.1:9601. Changes need its token
    /// (GAUNG_ADMIN_TOKEN)
    #[arg(long, value_name = "URL", global = true)]
    admin: Option<String>,
    /// Print the JSON that the admin port answers
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the apps
    List,
    /// Print one app and its settings
    Show { id: String },
    /// Add an app; prints the key and the secret that the server draws for it
    Add(Add),
    /// Change settings of an app
    Set {
        id: String,
        /// What to set: max_connections=5000; nothing behind the = sets the default again
        #[arg(value_name = "NAME=VALUE", required = true)]
        settings: Vec<String>,
        #[command(flatten)]
        only: Only,
    },
    /// Add a new key pair, and print it; the old ones stay good
    Rotate(Rotate),
    /// Take a key of an app away, which may not be its only one
    DropKey {
        id: String,
        key: String,
        #[command(flatten)]
        only: Only,
    },
    /// Switch an app off: its sockets are closed with 4003
    Disable {
        id: String,
        #[command(flatten)]
        only: Only,
    },
    /// Switch an app on again
    Enable {
        id: String,
        #[command(flatten)]
        only: Only,
    },
    /// Add the apps of a file, or those of another server
    Import(import::Import),
    /// Remove an app: its sockets are closed with 4001
    Remove {
        id: String,
        #[command(flatten)]
        only: Only,
    },
}

#[derive(clap::Args)]
struct Add {
    id: String,
    /// What to set: max_connections=5000
    #[arg(value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// JSON object of the app as in the apps file, with its key and secret if it has them; - reads stdin
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
}

#[derive(clap::Args)]
struct Rotate {
    id: String,
    /// Put the new pair behind the others; the first one signs webhooks
    #[arg(long)]
    last: bool,
    /// Take away the pair that is farthest from the new one
    #[arg(long)]
    drop_oldest: bool,
    #[command(flatten)]
    only: Only,
}

/// Guards against changes of others.
#[derive(clap::Args)]
struct Only {
    /// Change it only if it has this revision still, as `show` told it
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
}

impl Apps {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let port = Port::new(self.admin.as_deref(), &admin_port::configured()?)?;
        let answer = self.action.run(&port).await?;
        let is_import = answer.get("imported").is_some();
        let is_whole = !is_import || import::is_whole(&answer);
        match answer {
            answer if self.json && !answer.is_null() => print(answer),
            answer if is_import => print(import::tell(&answer)?),
            Value::Null => Ok(()),
            answer if answer.get("apps").is_some() => print(list(&port.read(answer)?)),
            answer => print(port.read::<App>(answer)?),
        }?;
        if is_whole { Ok(()) } else { Err(Failure::new("some apps were not imported")) }
    }
}

impl Action {
    async fn run(self, port: &Port) -> Result<Value, Failure> {
        let switch = |enabled: Value| json!({ "enabled": enabled });
        match self {
            Self::List => port.get("/apps").await,
            Self::Show { id } => port.get(&port::path(&[&id])).await,
            Self::Add(add) => {
                let body = members(add.file.as_deref(), &add.settings)?;
                port.change(Method::PUT, &port::path(&[&add.id]), Condition::New, Some(body.into())).await
            }
            Self::Set { id, settings, only } => {
                let body = settings.iter().map(|text| setting(text)).collect::<Result<_, _>>()?;
                only.change(port, Method::PATCH, &[&id], Some(Value::Object(body))).await
            }
            Self::Rotate(Rotate { id, last, drop_oldest, only }) => {
                let place = if last { "last" } else { "first" };
                let body = json!({"place": place, "drop_oldest": drop_oldest});
                only.change(port, Method::POST, &[&id, "keys"], Some(body)).await
            }
            Self::DropKey { id, key, only } => only.change(port, Method::DELETE, &[&id, "keys", &key], None).await,
            Self::Disable { id, only } => only.change(port, Method::PATCH, &[&id], Some(switch(json!(false)))).await,
            Self::Enable { id, only } => only.change(port, Method::PATCH, &[&id], Some(switch(Value::Null))).await,
            Self::Import(import) => import.run(port).await,
            Self::Remove { id, only } => only.change(port, Method::DELETE, &[&id], None).await,
        }
    }
}

impl Only {
    async fn change(self, port: &Port, method: Method, path: &[&str], body: Option<Value>) -> Result<Value, Failure> {
        let condition = self.revision.map_or(Condition::Present, Condition::Revision);
        port.change(method, &port::path(path), condition, body).await
    }
}
