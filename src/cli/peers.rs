//! `gaung peers`: the nodes of a cluster, as one of them sees them.

use serde::Deserialize;

use super::{Failure, admin_port, print, table::table};

/// Which node to ask, and how to print.
#[derive(clap::Args)]
pub(super) struct Peers {
    /// The admin port to ask (GAUNG_ADMIN_HOST and GAUNG_ADMIN_PORT): http://127.0.0.1:9601
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Print the JSON of the admin port's /peers instead of a table
    #[arg(long)]
    json: bool,
}

/// A node, as the admin port tells of it.
#[derive(Debug, Deserialize)]
struct Node {
    node: Option<String>,
    this: bool,
    version: String,
    stage: String,
    readiness: String,
    age_seconds: Option<f64>,
    sessions: u64,
    /// `None` from a server that does not tell.
    pages: Option<u64>,
    handovers: Option<u64>,
}

const HEADINGS: [&str; 9] = ["NODE", "VERSION", "STAGE", "READINESS", "AGE", "SESSIONS", "PAGES", "HANDOVERS", ""];

impl Peers {
    /// Succeeds if the server tells of its peers, whatever it tells.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (url, body) = admin_port::fetch(self.admin.as_deref(), "/peers").await?;
        if self.json {
            return print(body);
        }
        let nodes: Vec<Node> = serde_json::from_str(&body)
            .map_err(|error| Failure::new(format!("{url} did not answer with a list of peers: {error}")))?;
        print(list(&nodes))
    }
}

fn list(nodes: &[Node]) -> String {
    table(HEADINGS, nodes.iter().map(cells))
}

fn cells(node: &Node) -> [String; 9] {
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    [
        node.node.clone().unwrap_or_else(|| "-".to_owned()),
        node.version.clone(),
        node.stage.clone(),
        node.readiness.clone(),
        node.age_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s")),
        node.sessions.to_string(),
        count(node.pages),
        count(node.handovers),
        if node.this { "this node" } else { "" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use gaung::config::AdminConfig;

    use super::*;

    #[test]
    fn nodes_are_a_table() {
        let text = r#"[
            {"node":"00000000000000ab","this":true,"version":"0.1.0","stage":"live","readiness":"ready",
                "age_seconds":0.31,"sessions":12,"pages":3,"handovers":0},
            {"node":"00000000000000cd","this":false,"version":"0.2.0-rc1","stage":"returning","readiness":"learning",
                "age_seconds":61.0,"sessions":20000,"pages":12,"handovers":41}]"#;
        let nodes: Vec<Node> = serde_json::from_str(text).unwrap();
        let expected = "\
NODE              VERSION    STAGE      READINESS  AGE     SESSIONS  PAGES  HANDOVERS
00000000000000ab  0.1.0      live       ready      0.3 s   12        3      0          this node
00000000000000cd  0.2.0-rc1  returning  learning   61.0 s  20000     12     41";
        assert_eq!(list(&nodes), expected);
    }

    #[test]
    fn a_node_alone_has_no_name_and_no_age() {
        let text = r#"[{"node":null,"this":true,"version":"0.1.0","stage":"live","readiness":"ready",
            "age_seconds":null,"sessions":0}]"#;
        let nodes: Vec<Node> = serde_json::from_str(text).unwrap();
        let expected = "\
NODE  VERSION  STAGE  READINESS  AGE  SESSIONS  PAGES  HANDOVERS
-     0.1.0    live   ready      -    0         -      -          this node";
        assert_eq!(list(&nodes), expected);
    }

    #[test]
    fn the_flag_goes_before_the_configuration() {
        let admin = AdminConfig { host: "::".parse().unwrap(), port: 81, ..AdminConfig::default() };
        let url = |flag| format!("{}/peers", admin_port::base(flag, &admin).unwrap());
        assert_eq!(url(None), "http://[::1]:81/peers");
        assert_eq!(url(Some("http://a:1/")), "http://a:1/peers");
    }
}
