//! Case n: the same with TLS in the server and without, and what a client that comes back costs beside a new one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    BenchError, Case, Options,
    cases::{SETTLING, Side, connect_and_weigh},
    child::Child,
    plan::{FanOut, IDLE_CHANNELS, Plan},
    progress,
    report::{Comparison, Report, Row, grouped},
    round::{Figures, Round, measure},
    swarm::Swarm,
    target::Target,
};

/// Kinds of keys that certificates have, as the `openssl` command makes them.
const KEYS: [(&str, &[&str]); 2] =
    [("P-256", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]), ("RSA 2048", &["-newkey", "rsa:2048"])];

/// Places that the library's store of tickets takes for the name of a server, rounded up.
const TICKETS_OF_A_NAME: usize = 16;

/// Fans out, weighs, and connects.
pub fn measure_case(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let certificate = Certificate::make(KEYS[0].1)?;
    plan.fan_out.iter().try_for_each(|load| fan_out(load, &certificate, plan, options, report))?;
    idle(&certificate, plan, options, report)?;
    KEYS.into_iter().try_for_each(|(key, arguments)| connects(key, arguments, plan, options, report))
}

/// A server with TLS, one without, and the floor, in turns.
fn fan_out(
    load: &FanOut,
    certificate: &Certificate,
    plan: &Plan,
    options: &Options,
    report: &mut Report,
) -> Result<(), BenchError> {
    let title = format!("{}, with TLS", load.title());
    let children = [certificate.server(options)?, Child::server(options)?, Child::floor()?];
    let mut sides = Vec::new();
    for child in &children {
        let mut side = Side::new(child, load)?;
        side.connect_and_weigh()?;
        side.fan_out(load.warm_up())?;
        sides.push(side);
    }
    for round in 1..=plan.rounds {
        progress::round(&title, round, plan.rounds);
        sides.iter_mut().try_for_each(Side::measure)?;
    }
    let [tls, plain, floor] = [0, 1, 2].map(|side: usize| sides[side].rounds());
    let of_plain = Comparison::of("plain", tls, plain, |round| round.cpu);
    let of_floor = Comparison::of("the floor", tls, floor, |round| round.cpu);
    let goal = format!("CPU per delivery, {title}");
    match load.in_flight {
        1 => report.aim(&goal, of_plain.ratio, 1.3, "× plain"),
        _ => report.aim(&goal, of_floor.ratio, 0.4, "× the floor"),
    }
    let row = Row::new(Case::Tls, &title, Figures::of(tls));
    report.rows.push(Row { comparison: Some(of_plain), ..row });
    let row = Row::new(Case::Tls, &format!("{title}, beside the floor"), Figures::of(floor));
    report.rows.push(Row { comparison: Some(of_floor), ..row });
    Ok(())
}

fn idle(certificate: &Certificate, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = format!("{} idle sockets with TLS", grouped(plan.idle_sockets.into()));
    progress::round(&title, 1, 1);
    let server = certificate.server(options)?;
    let target = &server.target;
    let kib = connect_and_weigh(&mut Swarm::new(target)?, target.pid, plan.idle_sockets, IDLE_CHANNELS)?;
    report.rows.push(Row { resident_kib: Some(kib), ..Row::new(Case::Tls, &title, None) });
    report.aim(&format!("Memory per connection, {title}"), kib, 8.0, "KiB");
    Ok(())
}

/// New clients, and the same when they come back.
fn connects(
    key: &str,
    arguments: &[&str],
    plan: &Plan,
    options: &Options,
    report: &mut Report,
) -> Result<(), BenchError> {
    let title = format!("connects and subscribes with TLS, {key}");
    let certificate = Certificate::make(arguments)?;
    let server = certificate.server(options)?;
    let (mut full, mut resumed) = (Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        progress::round(&title, round, plan.rounds);
        let clients = Target { tls: Some(certificate.clients(plan.connects)?), ..server.target.clone() };
        full.push(visit(&clients, plan.connects, 0)?);
        resumed.push(visit(&clients, plan.connects, plan.connects as usize)?);
    }
    let (full, resumed) = (&full[1..], &resumed[1..]);
    let ratio = Comparison::of("a new one", resumed, full, |round| round.cpu);
    report.aim(&format!("CPU per connect of those who come back, {key}"), ratio.ratio, 0.5, "× a new one");
    report.rows.push(Row::new(Case::Tls, &title, Figures::of(full)));
    let row = Row::new(Case::Tls, &format!("{title}, of those who come back"), Figures::of(resumed));
    report.rows.push(Row { comparison: Some(ratio), ..row });
    Ok(())
}

/// So many connect, of whom so many are to come back with a ticket, and are cut off.
fn visit(target: &Target, count: u32, expected: usize) -> Result<Round, BenchError> {
    let mut swarm = Swarm::new(target)?;
    let round = measure(target.pid, || swarm.connect(count, 1))?;
    let resumed = swarm.resumed();
    if resumed != expected {
        let (actual, expected) = (resumed as u64, expected as u64);
        return Err(BenchError::Disagrees { node: target.public, what: "resumed handshakes", actual, expected });
    }
    drop(swarm);
    thread::sleep(SETTLING);
    Ok(round)
}

/// A certificate for the names of all clients' servers, in files that are removed with it.
struct Certificate(PathBuf);

impl Certificate {
    fn make(key: &[&str]) -> Result<Self, BenchError> {
        let folder = std::env::temp_dir().join(format!("gaung-bench-{}-{}", std::process::id(), folder_name(key)));
        fs::create_dir_all(&folder).map_err(|error| BenchError::io("making a folder for a certificate", error))?;
        let certificate = Self(folder);
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=bench.test"])
            .args(["-addext", "subjectAltName=DNS:*.bench.test", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(key)
            .arg("-out")
            .arg(certificate.file("cert.pem"))
            .arg("-keyout")
            .arg(certificate.file("key.pem"))
            .output()
            .map_err(|error| BenchError::io("running openssl, which makes the certificate", error))?;
        match made.status.success() {
            true => Ok(certificate),
            false => Err(BenchError::Start(format!("openssl: {}", String::from_utf8_lossy(&made.stderr).trim()))),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A server that presents it, with clients that are always new.
    fn server(&self, options: &Options) -> Result<Child, BenchError> {
        let (cert, key) = (self.file("cert.pem"), self.file("key.pem"));
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (cert, key) = (text(&cert), text(&key));
        let mut server = Child::server_with(options, &[("GAUNG_TLS_CERT", &cert), ("GAUNG_TLS_KEY", &key)])?;
        server.target.tls = Some(self.clients(0)?);
        Ok(server)
    }

    /// Clients of which so many keep their tickets.
    fn clients(&self, tickets: u32) -> Result<Arc<ClientConfig>, BenchError> {
        let refused = |error: String| BenchError::Start(format!("the certificate cannot be used: {error}"));
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.file("cert.pem"));
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| refused(error.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = match tickets {
            0 => rustls::client::Resumption::disabled(),
            _ => rustls::client::Resumption::in_memory_sessions(TICKETS_OF_A_NAME * tickets as usize),
        };
        Ok(Arc::new(config))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // What is left of it stands among other temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder's name for a kind of key.
fn folder_name(key: &[&str]) -> String {
    key.concat().chars().filter(char::is_ascii_alphanumeric).collect()
}
