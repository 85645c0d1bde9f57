//! `gaung trigger`: publishes one event as a back end does.

use std::{
    io::{self, Read},
    time::Instant,
};

use gaung::config::Loaded;
use serde_json::{Map, Value, json};

use super::{Failure, api, print, target::TargetOptions};

/// One event.
#[derive(clap::Args)]
pub(super) struct Trigger {
    /// The channel, for example products.42
    channel: String,
    /// The event's name, for example product.updated
    event: String,
    /// The payload, any text; - reads it from stdin
    #[arg(allow_hyphen_values = true)]
    data: String,
    /// A socket that does not receive it
    #[arg(long)]
    socket_id: Option<String>,
    /// Ask for counts of the channel: user_count,subscription_count
    #[arg(long)]
    info: Option<String>,
    /// Print {"status":200,"answer":{…},"milliseconds":…}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetOptions,
}

impl Trigger {
    /// Prints the answer's status and body and how long it took.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let target = self.target.resolve(loaded)?;
        let body = self.body()?;
        let started = Instant::now();
        let text = api::publish(&target, body).await?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        if self.json {
            let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| text.into());
            return print(json!({"status": 200, "answer": answer, "milliseconds": milliseconds}));
        }
        print(format_args!("200 {text} {milliseconds:.2} ms"))
    }

    fn body(&self) -> Result<String, Failure> {
        let mut body = Map::new();
        body.insert("name".to_owned(), self.event.as_str().into());
        body.insert("channels".to_owned(), vec![self.channel.as_str()].into());
        body.insert("data".to_owned(), self.payload()?.into());
        if let Some(socket_id) = &self.socket_id {
            body.insert("socket_id".to_owned(), socket_id.as_str().into());
        }
        if let Some(info) = &self.info {
            body.insert("info".to_owned(), info.as_str().into());
        }
        Ok(Value::Object(body).to_string())
    }

    fn payload(&self) -> Result<String, Failure> {
        if self.data != "-" {
            return Ok(self.data.clone());
        }
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|error| Failure::new(format!("reading stdin: {error}")))?;
        Ok(text)
    }
}
