//! What `gaung serve` prints: the addresses, and all that an application needs, ready to paste. Pure.

use std::net::SocketAddr;

use gaung::{
    config::{AppsSource, Loaded, TenantAccess},
    protocol::AppKey,
};

use super::target::{host_of, scheme};

/// What does not depend on the ports taken.
pub(super) struct Welcome {
    scheme: &'static str,
    prefix: String,
    access: TenantAccess,
    app: Option<Credentials>,
}

/// The first configured app.
struct Credentials {
    id: String,
    key: AppKey,
    /// How many apps are configured beside it.
    others: usize,
    /// The secret, or what stands for it.
    secret: String,
    /// Whether pages that name themselves get what they missed.
    keeps_history: bool,
}

impl Welcome {
    /// The secret is shown only where everybody knows it: that of the development app.
    pub(super) fn new(loaded: &Loaded) -> Self {
        let apps = loaded.apps.apps();
        let app = apps.first().and_then(|(id, settings)| {
            let key = settings.keys.first()?.clone();
            let secret = match &loaded.apps {
                AppsSource::Development(_) => key.secret.expose().to_owned(),
                AppsSource::Fixed(_) | AppsSource::File { .. } | AppsSource::Nats(_) => "<your secret>".to_owned(),
            };
            let keeps_history = settings.history.longest().is_some();
            Some(Credentials { id: id.clone(), key, others: apps.len() - 1, secret, keeps_history })
        });
        let config = &loaded.config;
        Self { scheme: scheme(config), prefix: config.server.path_prefix.clone(), access: config.tenant.access, app }
    }

    /// The first two lines are for programs too: a word, blanks, an address.
    pub(super) fn text(&self, public: SocketAddr, admin: SocketAddr) -> String {
        let mut text = format!("public  {}://{public}\nadmin   http://{admin}\n", self.scheme);
        if let Some(app) = &self.app {
            let sections = [self.app(app), self.laravel(app, public), self.echo(app, public), self.socket(public)];
            for section in sections {
                text.push('\n');
                text.push_str(&section);
            }
        }
        text
    }

    fn app(&self, app: &Credentials) -> String {
        let others = match app.others {
            0 => String::new(),
            others => format!("  (and {others} more)"),
        };
        format!("app     {}\nkey     {}{others}\n", app.id, app.key.key)
    }

    fn laravel(&self, app: &Credentials, public: SocketAddr) -> String {
        let (host, port, scheme) = (host_of(public.ip()), public.port(), self.scheme);
        format!(
            "Laravel's .env:\n\
             BROADCAST_CONNECTION=reverb\n\
             REVERB_APP_ID={}\n\
             REVERB_APP_KEY={}\n\
             REVERB_APP_SECRET={}\n\
             REVERB_HOST={host}\n\
             REVERB_PORT={port}\n\
             REVERB_SCHEME={scheme}\n\
             VITE_REVERB_APP_KEY=\"${{REVERB_APP_KEY}}\"\n\
             VITE_REVERB_HOST=\"${{REVERB_HOST}}\"\n\
             VITE_REVERB_PORT=\"${{REVERB_PORT}}\"\n\
             VITE_REVERB_SCHEME=\"${{REVERB_SCHEME}}\"\n",
            app.id, app.key.key, app.secret
        )
    }

    fn echo(&self, app: &Credentials, public: SocketAddr) -> String {
        let (host, port) = (host_of(public.ip()), public.port());
        let path = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!(" wsPath: '{prefix}',"),
        };
        let key = match (&app.key.key, app.keeps_history) {
            (key, true) => format!("'{key}/' + crypto.randomUUID()"),
            (key, false) => format!("'{key}'"),
        };
        format!(
            "Laravel Echo:\n\
             new Echo({{ broadcaster: 'reverb', key: {key}, wsHost: '{host}', wsPort: {port}, wssPort: {port},{path} \
             forceTLS: {}, enabledTransports: ['ws', 'wss'] }})\n",
            self.scheme == "https"
        )
    }

    fn socket(&self, public: SocketAddr) -> String {
        let scheme = self.scheme.replace("http", "ws");
        let url =
            format!("{scheme}://{}:{}{}/ws?tenant_id=42&user_id=7", host_of(public.ip()), public.port(), self.prefix);
        let socket = match self.access {
            TenantAccess::Token => {
                format!("new WebSocket('{url}&token=…')  // gaung sign --token --tenant 42 --user 7")
            }
            TenantAccess::Callback | TenantAccess::Open => format!("new WebSocket('{url}')"),
        };
        format!("Plain socket:\n{socket}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaung::config::AppSettings;

    fn welcome(access: TenantAccess, secret: &str) -> Welcome {
        let key = AppSettings::new("gaung-key", "gaung-secret").keys.remove(0);
        let app =
            Credentials { id: "gaung".to_owned(), key, others: 0, secret: secret.to_owned(), keeps_history: true };
        Welcome { scheme: "http", prefix: String::new(), access, app: Some(app) }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn everything_stands_ready_to_paste() {
        let text =
            welcome(TenantAccess::Open, "gaung-secret").text(address("127.0.0.1:6001"), address("127.0.0.1:9601"));
        assert_eq!(
            text,
            r#"public  http://127.0.0.1:6001
admin   http://127.0.0.1:9601

app     gaung
key     gaung-key

Laravel's .env:
BROADCAST_CONNECTION=reverb
REVERB_APP_ID=gaung
REVERB_APP_KEY=gaung-key
REVERB_APP_SECRET=gaung-secret
REVERB_HOST=127.0.0.1
REVERB_PORT=6001
REVERB_SCHEME=http
VITE_REVERB_APP_KEY="${REVERB_APP_KEY}"
VITE_REVERB_HOST="${REVERB_HOST}"
VITE_REVERB_PORT="${REVERB_PORT}"
VITE_REVERB_SCHEME="${REVERB_SCHEME}"

Laravel Echo:
new Echo({ broadcaster: 'reverb', key: 'gaung-key/' + crypto.randomUUID(), wsHost: '127.0.0.1', wsPort: 6001, wssPort: 6001, forceTLS: false, enabledTransports: ['ws', 'wss'] })

Plain socket:
new WebSocket('ws://127.0.0.1:6001/ws?tenant_id=42&user_id=7')
"#
        );
    }

    #[test]
    fn tls_prefix_and_tokens_show_where_they_matter() {
        let welcome =
            Welcome { scheme: "https", prefix: "/sockets".to_owned(), ..welcome(TenantAccess::Token, "<your secret>") };
        let text = welcome.text(address("0.0.0.0:443"), address("127.0.0.1:9601"));
        for line in [
            "public  https://0.0.0.0:443",
            "REVERB_APP_SECRET=<your secret>",
            "REVERB_HOST=127.0.0.1",
            "REVERB_SCHEME=https",
            "wsPath: '/sockets', forceTLS: true,",
            "new WebSocket('wss://127.0.0.1:443/sockets/ws?tenant_id=42&user_id=7&token=…')",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("gaung-secret"));
    }

    #[test]
    fn a_page_names_itself_where_something_is_kept_for_it() {
        let echo = |keeps_history: bool| {
            let mut welcome = welcome(TenantAccess::Open, "");
            welcome.app.as_mut().unwrap().keeps_history = keeps_history;
            welcome.text(address("127.0.0.1:6001"), address("127.0.0.1:9601"))
        };
        assert!(echo(true).contains("key: 'gaung-key/' + crypto.randomUUID(), "));
        assert!(echo(false).contains("key: 'gaung-key', "));
    }

    #[test]
    fn without_an_app_only_the_addresses_are_known() {
        let welcome = Welcome { app: None, ..welcome(TenantAccess::Token, "") };
        assert_eq!(
            welcome.text(address("[::1]:1"), address("127.0.0.1:2")),
            "public  http://[::1]:1\nadmin   http://127.0.0.1:2\n"
        );
    }
}
