//! What no variable can tell by itself.

use super::{
    AppsSource, Config, Problems, Rule, TenantAccess, cluster,
    environment::{Environment, is_quoted},
    variables,
};
use crate::outgoing::Trust;

/// Finds contradictions between variables.
pub(super) fn together(config: &Config, apps: &AppsSource, problems: &mut Problems) {
    check_development(config, apps, problems);
    check_ports(config, problems);
    check_tls(config, problems);
    check_trust(config, problems);
    check_tenant(config, apps, problems);
    config.issuer.check(problems);
}

/// Everybody knows the development app's secret.
fn check_development(config: &Config, apps: &AppsSource, problems: &mut Problems) {
    for (name, host) in [("GAUNG_HOST", config.server.host), ("GAUNG_ADMIN_HOST", config.admin.host)] {
        if matches!(apps, AppsSource::Development(_)) && !host.is_loopback() {
            problems.add(format!(
                "{name} is {host} but no app is configured; set GAUNG_APP_ID, GAUNG_APP_KEY and GAUNG_APP_SECRET, or \
                 GAUNG_APPS_FILE (the development app is served on loopback only)"
            ));
        }
    }
}

fn check_ports(config: &Config, problems: &mut Problems) {
    let (server, admin) = (&config.server, &config.admin);
    if server.port != 0 && server.port == admin.port && server.host == admin.host {
        problems.add(format!("GAUNG_PORT and GAUNG_ADMIN_PORT are both {}; they must be different", server.port));
    }
}

fn check_tls(config: &Config, problems: &mut Problems) {
    let missing = match (&config.tls.cert, &config.tls.key) {
        (Some(_), None) => "GAUNG_TLS_KEY",
        (None, Some(_)) => "GAUNG_TLS_CERT",
        (Some(_), Some(_)) | (None, None) => return,
    };
    problems.add(format!("{missing} is not set; TLS needs both GAUNG_TLS_CERT and GAUNG_TLS_KEY"));
}

/// A file that cannot be used now would be told of much later, by a webhook that fails.
fn check_trust(config: &Config, problems: &mut Problems) {
    if let Err(problem) = Trust::new(config.outgoing.ca.as_deref()) {
        problems.add(problem);
    }
}

fn check_tenant(config: &Config, apps: &AppsSource, problems: &mut Problems) {
    let tenant = &config.tenant;
    if tenant.access == TenantAccess::Callback && tenant.callback_url.is_none() {
        problems.add("GAUNG_TENANT_CALLBACK_URL is not set; GAUNG_TENANT_ACCESS=callback needs it");
    }
    let Some(id) = &tenant.app else { return };
    let ids: Vec<_> = apps.apps().iter().map(|(id, _)| id.as_str()).collect();
    // No apps at all means that their own problem has been told.
    if !ids.is_empty() && !ids.contains(&id.as_str()) {
        problems.add(format!("GAUNG_TENANT_APP is {id:?}; it must be the id of an app: {}", ids.join(" or ")));
    }
}

/// What is allowed but may not be meant.
pub(super) fn warnings(config: &Config, apps: &AppsSource, environment: &Environment) -> Vec<String> {
    let mut warnings = quoted(apps, environment);
    if config.tenant.access == TenantAccess::Open && !config.server.host.is_loopback() {
        warnings.push(format!(
            "GAUNG_TENANT_ACCESS is open and GAUNG_HOST is {}: anybody who reaches it may hear every public channel of \
             every tenant",
            config.server.host
        ));
    }
    warnings.extend(config.issuer.warning());
    warnings.extend(config.cluster.as_ref().and_then(cluster::warning));
    warnings
}

/// Secrets that stand in quotes, which only `docker --env-file` and its like leave there. It may be meant.
fn quoted(apps: &AppsSource, environment: &Environment) -> Vec<String> {
    let variables = variables();
    let secrets = variables.iter().filter(|variable| matches!(variable.rule, Rule::Secret));
    let given = secrets.filter_map(|variable| environment.get(variable.name)).filter(|given| given.is_quoted());
    let mut places: Vec<_> = given.map(|given| given.source.clone()).collect();
    if let AppsSource::File { apps, .. } = apps {
        let keys = apps.iter().flat_map(|(id, settings)| settings.keys.iter().map(move |pair| (id, pair)));
        let quoted = keys.filter(|(_, pair)| is_quoted(pair.secret.expose()));
        places.extend(quoted.map(|(id, pair)| format!("the secret of key {} of app {id}", pair.key)));
    }
    let told = |place| {
        format!(
            "{place} begins and ends with a quotation mark, which is then a part of it; docker --env-file leaves quotes as \
             they stand"
        )
    };
    places.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{APP, good, refused};

    #[test]
    fn the_development_app_keeps_to_loopback() {
        const RULE: &str = "but no app is configured; set GAUNG_APP_ID, GAUNG_APP_KEY and GAUNG_APP_SECRET, or \
                            GAUNG_APPS_FILE (the development app is served on loopback only)";
        refused(&[("GAUNG_HOST", "0.0.0.0")], &[&format!("GAUNG_HOST is 0.0.0.0 {RULE}")]);
        refused(&[("GAUNG_ADMIN_HOST", "::")], &[&format!("GAUNG_ADMIN_HOST is :: {RULE}")]);
        good(&[&APP[..], &[("GAUNG_HOST", "0.0.0.0"), ("GAUNG_ADMIN_HOST", "::")]].concat());
    }

    #[test]
    fn open_tenant_access_off_loopback_is_warned_of() {
        let open = [&APP[..], &[("GAUNG_TENANT_ACCESS", "open")]].concat();
        assert_eq!(good(&open).warnings, [""; 0]);
        assert_eq!(
            good(&[&open[..], &[("GAUNG_HOST", "0.0.0.0")]].concat()).warnings,
            [
                "GAUNG_TENANT_ACCESS is open and GAUNG_HOST is 0.0.0.0: anybody who reaches it may hear every public channel \
              of every tenant"
            ]
        );
    }

    #[test]
    fn quotes_around_a_secret_are_told_by_the_name_that_it_was_set_under_and_not_shown() {
        const REST: &str = "begins and ends with a quotation mark, which is then a part of it; docker --env-file leaves \
                            quotes as they stand";
        let reverb = [("REVERB_APP_ID", "1"), ("REVERB_APP_KEY", "k"), ("REVERB_APP_SECRET", "\"s3cret\"")];
        let admin = [("GAUNG_ADMIN_TOKEN", "'t0ken'")];
        let warnings = good(&[&reverb[..], &admin].concat()).warnings;
        assert_eq!(warnings, [format!("GAUNG_ADMIN_TOKEN {REST}"), format!("REVERB_APP_SECRET {REST}")]);
        assert_eq!(good(&[&APP[..], &[("GAUNG_ADMIN_TOKEN", "'t0ken\"")]].concat()).warnings, [""; 0]);
        refused(
            &[("GAUNG_APP_ID", "1"), ("GAUNG_APP_KEY", "'k'"), ("GAUNG_APP_SECRET", "s")],
            &["GAUNG_APP_KEY is \"'k'\"; it must be 1 to 200 letters, digits and - . _ ~ (it stands in quotes, which \
               docker --env-file leaves there)"],
        );
    }

    #[test]
    fn a_file_of_authorities_that_cannot_be_used_is_refused_at_the_start() {
        refused(
            &[("GAUNG_CA", "/none.pem")],
            &["GAUNG_CA is \"/none.pem\"; it cannot be used: I/O error: No such file or directory (os error 2)"],
        );
        refused(
            &[("GAUNG_CA", "/dev/null")],
            &["GAUNG_CA is \"/dev/null\"; it cannot be used: the file holds no certificate"],
        );
    }

    #[test]
    fn contradictions_are_refused() {
        refused(
            &[("GAUNG_TENANT_ACCESS", "callback")],
            &["GAUNG_TENANT_CALLBACK_URL is not set; GAUNG_TENANT_ACCESS=callback needs it"],
        );
        refused(&[("GAUNG_TENANT_APP", "x")], &["GAUNG_TENANT_APP is \"x\"; it must be the id of an app: gaung"]);
        refused(
            &[("GAUNG_PORT", "7"), ("GAUNG_ADMIN_PORT", "7")],
            &["GAUNG_PORT and GAUNG_ADMIN_PORT are both 7; they must be different"],
        );
        refused(
            &[("GAUNG_TLS_CERT", "/c")],
            &["GAUNG_TLS_KEY is not set; TLS needs both GAUNG_TLS_CERT and GAUNG_TLS_KEY"],
        );
        refused(
            &[("GAUNG_APPS_FILE", "/none"), ("GAUNG_APP_ID", "1")],
            &[
                "GAUNG_APP_ID cannot be combined with GAUNG_APPS_FILE; set it for an app in /none, or unset one",
                "GAUNG_APPS_FILE is \"/none\"; it cannot be read: No such file or directory (os error 2)",
            ],
        );
    }
}
