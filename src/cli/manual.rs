//! `gaung --help` as a manual: the commands in groups, and examples and exit codes for each.

use std::fmt::Write;

use clap::CommandFactory;

use super::Cli;

/// What a user may want, and the commands for it.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Run a server", &["serve", "check"]),
    ("Look at a running server", &["health", "peers", "tenants", "channels", "users", "events"]),
    ("Change its apps", &["apps"]),
    ("Use it as a back end or a browser does", &["trigger", "subscribe", "sign"]),
    ("Test a deployment", &["doctor", "roundtrip"]),
    ("The command line itself", &["completions"]),
];

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: stderr says why
  2  the arguments or the configuration are wrong: stderr says how, one line each";

/// Each command's examples; the first is indented where all are put together.
const EXAMPLES: [(&str, &str); 15] = [
    (
        "serve",
        "\
        gaung                                    the development app, on loopback only
  GAUNG_PORT=7001 GAUNG_LOG=debug gaung serve
  GAUNG_TLS_CERT=cert.pem GAUNG_TLS_KEY=key.pem gaung serve

SIGTERM drains the node: load balancers get time to notice, then sockets are closed little by little. SIGINT does not
wait for load balancers. A second signal ends the process at once, with exit code 130.",
    ),
    (
        "check",
        "\
        gaung check
  GAUNG_APPS_FILE=apps.json gaung check --json",
    ),
    (
        "sign",
        "\
        gaung sign 1234.5678 private-orders
  gaung sign 1234.5678 presence-room '{\"user_id\":\"42\"}'
  gaung sign 1234.5678 --user '{\"id\":\"42\"}'
  gaung sign --token --tenant 42 --user 7 --channels 'private-*.42' --ttl 3600
  gaung sign --request GET '/apps/gaung/channels?info=subscription_count'",
    ),
    (
        "trigger",
        "\
        gaung trigger products.42 product.updated '{\"productId\":\"7\"}'
  gaung trigger products.42 product.updated - --url https://ws.example.com
  gaung trigger presence-room greeting hello --info user_count,subscription_count",
    ),
    (
        "subscribe",
        "\
        gaung subscribe products.42
  gaung subscribe private-orders presence-room --user 7 --count 10
  gaung subscribe products.42 --resume $(uuidgen)         comes back, as a page with an id does
  gaung subscribe products.42 --since k3x09a-17
  gaung subscribe products.42 --url wss://ws.example.com --origin https://shop.example.com --json",
    ),
    (
        "channels",
        "\
        gaung channels
  gaung channels --prefix presence- --json",
    ),
    (
        "users",
        "\
        gaung users presence-room
  gaung users presence-room --info --json",
    ),
    (
        "events",
        "\
        gaung events products.42
  gaung events products.42 --since k3x09a-17 --limit 10 --json",
    ),
    (
        "roundtrip",
        "\
        gaung roundtrip --url wss://ws.example.com --admin http://127.0.0.1:9601
  gaung roundtrip --times 100 --timeout 60 --json",
    ),
    (
        "doctor",
        "\
        gaung doctor wss://ws.example.com
  gaung doctor wss://ws.example.com/realtime --origin https://shop.example.com
  gaung doctor https://127.0.0.1:6001 --ca cert.pem --admin http://127.0.0.1:9601 --json",
    ),
    (
        "health",
        "\
        gaung health
  gaung health --live --url http://127.0.0.1:9601",
    ),
    (
        "peers",
        "\
        gaung peers
  gaung peers --admin http://127.0.0.1:9603 --json",
    ),
    (
        "tenants",
        "\
        gaung tenants
  gaung tenants --by refusals --app shop --limit 5",
    ),
    (
        "apps",
        "\
        gaung apps list --json
  gaung apps add shop max_connections=5000 client_events=true
  gaung apps set shop max_connections= 'allowed_origins=[\"shop.example.com\"]'
  gaung apps rotate shop --last
  gaung apps drop-key shop the-old-key
  gaung apps disable shop --revision 3f1c02a8d4b7e6915c20aa17
  gaung apps import rows.json --from soketi --dry-run
  gaung apps remove shop --admin http://127.0.0.1:9601",
    ),
    (
        "completions",
        "\
        gaung completions bash > /etc/bash_completion.d/gaung
  gaung completions zsh > ~/.zfunc/_gaung
  gaung completions fish > ~/.config/fish/completions/gaung.fish",
    ),
];

pub(super) fn command() -> clap::Command {
    let command = Cli::command();
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}{{after-help}}",
        groups(&command)
    );
    let command = command.help_template(template).after_help(format!(
        "{EXIT_CODES}\n\n`gaung help COMMAND` shows all flags of a command, with examples. docs/configuration.md lists \
         the variables."
    ));
    EXAMPLES.iter().fold(command, |command, (name, examples)| {
        let text = format!("Examples:\n  {examples}\n\n{EXIT_CODES}");
        command.mut_subcommand(name, |subcommand| subcommand.after_long_help(text))
    })
}

fn groups(command: &clap::Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{heading}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {name:<13}{about}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
    }

    fn sorted<T: Ord>(names: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        names
    }

    #[test]
    fn every_command_stands_in_one_group_and_has_examples() {
        let names = sorted(names());
        assert_eq!(sorted(GROUPS.iter().flat_map(|(_, names)| names.iter().map(ToString::to_string))), names);
        assert_eq!(sorted(EXAMPLES.iter().map(|(name, _)| (*name).to_owned())), names);
    }

    #[test]
    fn every_example_is_a_command_that_is_understood() {
        for (name, examples) in EXAMPLES {
            let lines = examples.lines().filter_map(|line| Some(&line[line.find("gaung ")?..]));
            let lines: Vec<_> = lines.filter(|line| line.starts_with(&format!("gaung {name}"))).collect();
            assert!(!lines.is_empty(), "{name}");
            for line in lines {
                let line = line.split(" > ").next().unwrap();
                let understood = command().try_get_matches_from(words(line));
                assert!(understood.is_ok(), "{line}: {understood:?}");
            }
        }
    }

    #[test]
    fn the_help_tells_each_command_and_the_exit_codes() {
        let help = command().render_long_help().to_string();
        for name in names() {
            assert!(help.lines().any(|line| line.starts_with(&format!("  {name} "))), "{name} in {help}");
        }
        assert!(help.contains("  2  the arguments or the configuration are wrong"), "{help}");
    }

    /// As a shell splits a line with single quotes.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('\'').enumerate();
        parts
            .flat_map(|(position, part)| match position % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }
}
