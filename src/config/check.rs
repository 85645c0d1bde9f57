//! What no variable can tell by itself.

use super::{AppsSource, Config, Problems, TenantAccess, cluster};

/// Finds contradictions between variables.
pub(super) fn together(config: &Config, apps: &AppsSource, problems: &mut Problems) {
    check_development(config, apps, problems);
    check_ports(config, problems);
    check_tls(config, problems);
    check_tenant(config, apps, problems);
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
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.tenant.access == TenantAccess::Open && !config.server.host.is_loopback() {
        warnings.push(format!(
            "GAUNG_TENANT_ACCESS is open and GAUNG_HOST is {}: whoever reaches it may hear every public channel of \
             every tenant",
            config.server.host
        ));
    }
    warnings.extend(config.cluster.as_ref().and_then(cluster::warning));
    warnings
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
                "GAUNG_TENANT_ACCESS is open and GAUNG_HOST is 0.0.0.0: whoever reaches it may hear every public channel \
              of every tenant"
            ]
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
                "GAUNG_APP_ID is set beside GAUNG_APPS_FILE; set it for an app in /none, or unset one",
                "GAUNG_APPS_FILE is \"/none\"; it cannot be read: No such file or directory (os error 2)",
            ],
        );
    }
}
