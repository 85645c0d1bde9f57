//! `gaung doctor`: connects as a browser and publishes as Laravel does, step by step, and says what is wrong.
//!
//! `reach` goes as far as an HTTP answer, `socket` is the browser, `xhr` the browser whose network breaks sockets, `api` the
//! back end; `finding` and
//! `xhr_finding` know the sentences.

mod api;
mod finding;
mod prefix;
mod reach;
mod report;
mod socket;
mod xhr;
mod xhr_finding;

use std::{future::Future, time::Duration};

use gaung::config::Loaded;

use super::{
    Failure,
    connection::SocketOptions,
    target::{Target, TargetOptions},
};
use reach::Reply;
use report::{Format, Report};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which server to examine, and how to print what was found.
#[derive(clap::Args)]
pub(super) struct Doctor {
    /// The address that clients use, with its path prefix (the configured listener): wss://sockets.example.com/prefix
    #[arg(value_name = "URL", conflicts_with_all = ["host", "port", "url"])]
    address: Option<String>,
    /// The admin port, which tells more of the server's readiness: http://127.0.0.1:9601
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Print {"ok":…,"url":…,"steps":[{"step":…,"ok":…,"problem":…,"text":…,"advice":…}]} when all is done
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketOptions,
    #[command(flatten)]
    target: TargetOptions,
}

impl Doctor {
    /// Succeeds if every step does.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let target = self.target.at(self.address).resolve(loaded)?;
        let format = if self.json { Format::Json } else { Format::Lines };
        let mut report = Report::new(target.base(), format);
        if let Some(reply) = reach::reach(&target, &mut report).await? {
            report.add("clock", finding::of_clock(reply.ahead_seconds).map(told))?;
            report.add("ready", readiness(&reply, self.admin.as_deref()).await.map(told))?;
            let known_prefix = &loaded.config.server.path_prefix;
            converse(&target, &self.socket, known_prefix, &mut report).await?;
        }
        report.end()
    }
}

/// What clients and back ends do: neither needs that the other succeeds, but an event needs both to be heard.
async fn converse(
    target: &Target,
    options: &SocketOptions,
    known_prefix: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    let channel = format!("private-gaung-doctor-{:016x}", rand::random::<u64>());
    let ear = socket::subscribe(target, options, &channel, known_prefix, report).await?;
    xhr::try_all(target, options, report).await?;
    let published = api::publish(target, &channel).await;
    let is_published = report.add("api", published.map(told))?.is_some();
    if let (Some(ear), true) = (ear, is_published) {
        report.add("event", socket::hear(ear).await.map(told))?;
    }
    Ok(())
}

async fn readiness(reply: &Reply, admin: Option<&str>) -> Result<String, report::Finding> {
    match admin {
        None => finding::of_readiness(reply.status, &reply.body),
        Some(admin) => {
            let admin = admin.trim_end_matches('/');
            match super::admin_port::get(&format!("{admin}/readyz")).await {
                Ok(answer) => finding::of_admin(answer.status.as_u16(), &answer.body),
                Err(failure) => Err(finding::of_silent_admin(admin, &failure)),
            }
        }
    }
}

fn told(text: String) -> (String, ()) {
    (text, ())
}

/// `None` if it takes too long.
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, work).await.ok()
}
