//! `gaung check`: what the server would run with.

use gaung::config::{self, Loaded, Problems};
use serde_json::json;

use super::{Failure, complain, print};

/// How to print it.
#[derive(clap::Args)]
pub(super) struct Check {
    /// Print {"ok":true,"settings":[{"variable":…,"value":…,"source":…}],"apps":[{"id":…,"keys":[…],"settings":{…}}],
    /// "warnings":[…]}, or {"ok":false,"problems":[…]}
    #[arg(long)]
    json: bool,
}

impl Check {
    /// The configuration goes to stdout, warnings and problems to stderr; as JSON all go to stdout too.
    pub(super) fn run(&self, loaded: Result<Loaded, Problems>) -> Result<(), Failure> {
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(problems) => {
                if self.json {
                    print(json!({"ok": false, "problems": problems.lines()}))?;
                }
                return Err(Failure::configuration(problems));
            }
        };
        if self.json {
            let (settings, apps) = (config::settings_in_force(&loaded), config::apps_of_file(&loaded));
            let warnings = &loaded.warnings;
            return print(json!({"ok": true, "settings": settings, "apps": apps, "warnings": warnings}));
        }
        for warning in &loaded.warnings {
            complain(format_args!("gaung: warning: {warning}"));
        }
        print(config::describe(&loaded).trim_end())
    }
}
