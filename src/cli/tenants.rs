//! `gaung tenants`: those that have or do the most.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Failure, admin_port, print, table::table};

/// Which tenants, of which node, and how to print them.
#[derive(clap::Args)]
pub(super) struct Tenants {
    /// What to compare them by
    #[arg(long, value_name = "WHAT", default_value = "deliveries", value_parser = ["connections", "deliveries", "bytes", "refusals"])]
    by: String,
    /// How many to list, 1000 at most
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: u16,
    /// Only those of the app with this id
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// The admin port to ask (GAUNG_ADMIN_HOST and GAUNG_ADMIN_PORT): http://127.0.0.1:9601
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Print the JSON of the admin port's /tenants instead of a table
    #[arg(long)]
    json: bool,
}

/// A tenant, as the admin port tells of it.
#[derive(Debug, Deserialize)]
struct Tenant {
    app: String,
    tenant: String,
    connections: u64,
    subscriptions: u64,
    channels: u64,
    members: u64,
    deliveries_per_second: f64,
    bytes_per_second: f64,
    refusals_per_second: f64,
}

const HEADINGS: [&str; 9] =
    ["APP", "TENANT", "CONNECTIONS", "SUBSCRIPTIONS", "CHANNELS", "MEMBERS", "DELIVERIES/S", "BYTES/S", "REFUSALS/S"];

impl Tenants {
    /// Succeeds if the server tells of its tenants, also if there is none.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let app = self.app.as_ref().map(|app| format!("&app={}", utf8_percent_encode(app, NON_ALPHANUMERIC)));
        let path = format!("/tenants?by={}&limit={}{}", self.by, self.limit, app.unwrap_or_default());
        let (url, body) = admin_port::fetch(self.admin.as_deref(), &path).await?;
        if self.json {
            return print(body);
        }
        let tenants: Vec<Tenant> = serde_json::from_str(&body)
            .map_err(|error| Failure::new(format!("{url} did not answer with a list of tenants: {error}")))?;
        print(list(tenants))
    }
}

fn list(tenants: Vec<Tenant>) -> String {
    table(HEADINGS, tenants.into_iter().map(cells))
}

fn cells(of: Tenant) -> [String; 9] {
    [
        of.app,
        of.tenant,
        of.connections.to_string(),
        of.subscriptions.to_string(),
        of.channels.to_string(),
        of.members.to_string(),
        format!("{:.1}", of.deliveries_per_second),
        format!("{:.0}", of.bytes_per_second),
        format!("{:.1}", of.refusals_per_second),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_line() {
        let text = r#"[{"app":"1","tenant":"acme","connections":12,"subscriptions":40,"channels":3,"members":0,
            "deliveries_per_second":31.25,"bytes_per_second":9000.4,"refusals_per_second":0.0}]"#;
        let expected = "\
APP  TENANT  CONNECTIONS  SUBSCRIPTIONS  CHANNELS  MEMBERS  DELIVERIES/S  BYTES/S  REFUSALS/S
1    acme    12           40             3         0        31.2          9000     0.0";
        assert_eq!(list(serde_json::from_str(text).unwrap()), expected);
    }
}
