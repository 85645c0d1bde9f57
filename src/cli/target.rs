//! The server that a command talks to and the app in whose name: from the configuration, or from flags.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    sync::Arc,
};

use awc::{
    Client, Connector,
    http::{Uri, Version},
};
use gaung::{
    config::{AppSettings, Config, Loaded},
    protocol::{AppKey, ResumeId},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::ClientConfig;

use super::{Failure, trust};

/// What stands in a path segment as it is (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Chooses an app.
#[derive(clap::Args)]
pub(super) struct AppChoice {
    /// The app's id, if several are configured; `roundtrip` takes one of them by itself
    #[arg(long)]
    app: Option<String>,
}

/// Chooses a server and an app.
#[derive(clap::Args)]
pub(super) struct TargetOptions {
    /// The server's host (GAUNG_HOST)
    #[arg(long)]
    host: Option<String>,
    /// The server's port (GAUNG_PORT)
    #[arg(long)]
    port: Option<u16>,
    /// The server's address instead, with its path prefix: https://sockets.example.com/prefix
    #[arg(long, conflicts_with_all = ["host", "port"])]
    url: Option<String>,
    /// PEM file with the CA certificates to trust, instead of those of public authorities
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    app: AppChoice,
}

/// A server and the credentials of an app.
#[derive(Debug)]
pub(super) struct Target {
    pub app_id: String,
    /// The app's first key.
    pub key: AppKey,
    base: String,
    /// What its sockets name themselves by (protocol.md §1.16).
    resume: Option<ResumeId>,
    /// Believes other certificates than those of public authorities.
    tls: Option<Arc<ClientConfig>>,
}

impl AppChoice {
    /// The app's id and settings.
    pub(super) fn resolve<'a>(&self, loaded: &'a Loaded) -> Result<(&'a str, &'a AppSettings), Failure> {
        let apps = loaded.apps.apps();
        let ids = || apps.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
        let chosen = match (&self.app, apps) {
            (_, []) => {
                return Err(Failure::usage(
                    "the apps are in NATS (GAUNG_APPS_STORE); run this command without the GAUNG_APPS_ variables, and with \
                     GAUNG_APP_ID, GAUNG_APP_KEY and GAUNG_APP_SECRET of one of them",
                ));
            }
            (None, [only]) => only,
            (None, _) => return Err(Failure::usage(format!("choose an app with --app; configured are {}", ids()))),
            (Some(wanted), _) => apps
                .iter()
                .find(|(id, _)| id == wanted)
                .ok_or_else(|| Failure::usage(format!("no app has the id {wanted}; configured are {}", ids())))?,
        };
        Ok((&chosen.0, &chosen.1))
    }

    /// The chosen app, or of several that anyone's sockets may join the first: for who tests the way, not the app.
    fn or_any(&self, loaded: &Loaded) -> Self {
        let apps = loaded.apps.apps();
        let is_open = |settings: &AppSettings| settings.allowed_origins.iter().any(|origin| origin == "*");
        let enabled = || apps.iter().filter(|(_, settings)| settings.enabled);
        let any = enabled().find(|(_, settings)| is_open(settings)).or_else(|| enabled().next());
        Self { app: self.app.clone().or_else(|| any.map(|(id, _)| id.clone())) }
    }

    /// The app's id and the key that signs in its name.
    pub(super) fn key(&self, loaded: &Loaded) -> Result<(String, AppKey), Failure> {
        let (id, settings) = self.resolve(loaded)?;
        let key = settings.keys.first().ok_or_else(|| Failure::usage(format!("the app {id} has no key")))?;
        Ok((id.to_owned(), key.clone()))
    }
}

impl TargetOptions {
    /// Flags before configuration.
    pub(super) fn resolve(&self, loaded: &Loaded) -> Result<Target, Failure> {
        let (app_id, key) = self.app.key(loaded)?;
        let tls = self.ca.as_deref().map(trust::only).transpose()?;
        let target = Target { app_id, key, base: self.base(&loaded.config)?, resume: None, tls };
        target.address()?;
        Ok(target)
    }

    /// In the name of any app, unless one is given.
    pub(super) fn for_any_app(mut self, loaded: &Loaded) -> Self {
        self.app = self.app.or_any(loaded);
        self
    }

    /// At this address, if one is given.
    pub(super) fn at(mut self, url: Option<String>) -> Self {
        self.url = url.or(self.url);
        self
    }

    fn base(&self, config: &Config) -> Result<String, Failure> {
        if let Some(url) = &self.url {
            return base_of_url(url);
        }
        let port = port(self.port, config.server.port, "GAUNG_PORT")?;
        let host = self.host.as_deref().map_or_else(|| host_of(config.server.host), bracketed);
        Ok(format!("{}://{host}:{port}{}", scheme(config), config.server.path_prefix))
    }
}

impl Target {
    /// The address of a path of the API with its query.
    pub(super) fn api_url(&self, path: &str, query: &str) -> String {
        format!("{}{path}?{query}", self.base)
    }

    /// The path of one of the app's resources as it is signed: without the prefix (protocol.md §2.4).
    pub(super) fn api_path(&self, segments: &[&str]) -> String {
        let segments = [&["apps", &self.app_id], segments].concat();
        segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT))).collect()
    }

    /// Where sockets of the app connect. Events carry the time at which the server accepted them.
    pub(super) fn socket_url(&self) -> String {
        let key = utf8_percent_encode(&self.key.key, SEGMENT);
        let resume = self.resume.as_ref().map(|id| format!("/{}", id.expose())).unwrap_or_default();
        format!("{}/app/{key}{resume}?protocol=7&client=gaung&version={}&trace=1", self.base, env!("CARGO_PKG_VERSION"))
    }

    /// Where clients of the app that use no sockets ask, as pusher-js does unless it is told another path.
    pub(super) fn xhr_url(&self, session: &str, act: &str) -> String {
        let key = utf8_percent_encode(&self.key.key, SEGMENT);
        format!(
            "{}/pusher/app/{key}/{session}/{act}?protocol=7&client=gaung&version={}",
            self.base,
            env!("CARGO_PKG_VERSION")
        )
    }

    /// Asks the server over HTTP/1.1, which sockets need.
    pub(super) fn client(&self) -> Client {
        // To name the version would replace the trusted certificates; ours offers no other anyway.
        let connector = match &self.tls {
            Some(tls) => Connector::new().rustls_0_23(tls.clone()),
            None => Connector::new().max_http_version(Version::HTTP_11),
        };
        Client::builder().connector(connector).finish()
    }

    /// For messages.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The same app on a server elsewhere.
    pub(super) fn with_base(&self, base: String) -> Self {
        let Self { app_id, key, resume, tls, .. } = self;
        Self { app_id: app_id.clone(), key: key.clone(), base, resume: resume.clone(), tls: tls.clone() }
    }

    /// The same server and app, for sockets that name themselves.
    pub(super) fn resuming(self, resume: Option<ResumeId>) -> Self {
        Self { resume, ..self }
    }

    /// Scheme, host and port, and the path prefix after them.
    pub(super) fn origin_and_path(&self) -> (&str, &str) {
        let host = self.base.find("://").map_or(0, |scheme| scheme + 3);
        let path = self.base[host..].find('/').map_or(self.base.len(), |path| host + path);
        self.base.split_at(path)
    }

    /// Whether the server is asked over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// Host and port to connect to.
    pub(super) fn address(&self) -> Result<(String, u16), Failure> {
        let wrong = |why: &dyn std::fmt::Display| Failure::usage(format!("{} is not an address: {why}", self.base));
        let uri: Uri = self.base.parse().map_err(|error| wrong(&error))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong(&"it names no host"))?;
        let port = uri.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 });
        Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
    }
}

/// `https` if the server has certificates of its own.
pub(super) fn scheme(config: &Config) -> &'static str {
    match config.tls.cert {
        Some(_) => "https",
        None => "http",
    }
}

/// Where to connect to reach a listener on this address: loopback for one that listens on all.
pub(super) fn host_of(listener: IpAddr) -> String {
    let host = match listener {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    bracketed(&host.to_string())
}

/// The flag's port or the configured one, which must be known beforehand.
pub(super) fn port(flag: Option<u16>, configured: u16, variable: &str) -> Result<u16, Failure> {
    match flag.unwrap_or(configured) {
        0 => Err(Failure::usage(format!("{variable} is 0, so the server took any free port; name it with --port"))),
        port => Ok(port),
    }
}

/// An IPv6 address needs brackets before a port.
pub(super) fn bracketed(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Ok(IpAddr::V4(_)) | Err(_) => host.to_owned(),
    }
}

fn base_of_url(url: &str) -> Result<String, Failure> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let scheme = match scheme {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return Err(Failure::usage(format!("--url {url} does not start with http://, https://, ws:// or wss://"))),
    };
    Ok(format!("{scheme}://{}", rest.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaung::config::{ServerConfig, TlsConfig};

    fn config(host: &str, prefix: &str) -> Config {
        let server = ServerConfig { host: host.parse().unwrap(), path_prefix: prefix.to_owned(), ..Default::default() };
        Config { server, ..Default::default() }
    }

    fn options(host: Option<&str>, port: Option<u16>, url: Option<&str>) -> TargetOptions {
        let text = |text: &str| text.to_owned();
        TargetOptions { host: host.map(text), port, url: url.map(text), ca: None, app: AppChoice { app: None } }
    }

    fn check(options: TargetOptions, config: &Config, base: &str) {
        assert_eq!(options.base(config).unwrap(), base);
    }

    #[test]
    fn the_configured_listener_is_the_default() {
        check(options(None, None, None), &config("127.0.0.1", ""), "http://127.0.0.1:6001");
        check(options(None, None, None), &config("0.0.0.0", "/prefix"), "http://127.0.0.1:6001/prefix");
        check(options(None, None, None), &config("::", ""), "http://[::1]:6001");
        let tls = TlsConfig { cert: Some("cert.pem".into()), key: Some("key.pem".into()) };
        check(options(None, None, None), &Config { tls, ..config("127.0.0.1", "") }, "https://127.0.0.1:6001");
    }

    #[test]
    fn flags_replace_the_configured_parts() {
        let config = config("127.0.0.1", "/prefix");
        check(options(Some("sockets.test"), Some(80), None), &config, "http://sockets.test:80/prefix");
        check(options(Some("::1"), None, None), &config, "http://[::1]:6001/prefix");
        check(options(None, None, Some("wss://sockets.test/x/")), &config, "https://sockets.test/x");
        check(options(None, None, Some("http://127.0.0.1:81")), &config, "http://127.0.0.1:81");
    }

    #[test]
    fn an_address_falls_into_its_parts() {
        let key = AppSettings::new("key", "secret").keys.remove(0);
        let target = |base: &str| Target {
            app_id: "a".to_owned(),
            key: key.clone(),
            base: base.to_owned(),
            resume: None,
            tls: None,
        };
        for (base, origin, path, address) in [
            ("https://a.test", "https://a.test", "", ("a.test", 443)),
            ("http://a.test/x/y", "http://a.test", "/x/y", ("a.test", 80)),
            ("http://[::1]:81/x", "http://[::1]:81", "/x", ("::1", 81)),
        ] {
            let target = target(base);
            assert_eq!(target.origin_and_path(), (origin, path));
            assert_eq!(target.address().unwrap(), (address.0.to_owned(), address.1));
        }
        assert!(target("http://").address().is_err());
    }

    #[test]
    fn a_port_that_nobody_knows_must_be_said() {
        let any = ServerConfig { port: 0, ..Default::default() };
        let failure = options(None, None, None).base(&Config { server: any, ..Default::default() }).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "gaung: GAUNG_PORT is 0, so the server took any free port; name it with --port"
        );
    }

    #[test]
    fn an_address_without_a_known_scheme_is_refused() {
        for url in ["sockets.test", "ftp://sockets.test", ""] {
            assert!(options(None, None, Some(url)).base(&Config::default()).is_err(), "{url}");
        }
    }
}
