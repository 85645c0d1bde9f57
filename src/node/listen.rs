//! The two listeners. The public one hands upgrades over whole, socket included, and everything else to actix-web.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_http::{
    HttpServiceBuilder, KeepAlive, Protocol, Request, Response, TlsAcceptorConfig, body::BoxBody, error::DispatchError,
};
use actix_server::{Server, ServerBuilder, ServerHandle};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_web::{App, HttpServer, dev::AppConfig};
use futures_util::future::ready;
use rustls::ServerConfig;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use super::{
    Failures, Rosters,
    wrong_port::{Mistake, Mistakes, Sniffed},
};
use crate::{
    admin::{self, Admin},
    descriptors::Shares,
    http::{self, Api, body::HeldBodies},
    metrics::lag::{self, ActorThread},
    session::{
        services::{Services, Shared},
        upgrade::{share, upgrade},
    },
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// How long what a client goes on sending after its answer is read away: a connection that is closed before resets, and the
/// answer may be lost.
const LINGER: Duration = Duration::from_secs(2);

/// How long requests under way may take when the node stops, in seconds.
const LAST_REQUESTS: u64 = 3;

/// A listener on the address; IPv6 addresses take IPv4 clients too where the system allows it.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What serves the API, on whatever port.
pub fn api(shared: &Shared) -> Arc<Api> {
    Arc::new(Api {
        registry: shared.registry.clone(),
        rooms: shared.rooms.clone(),
        metrics: shared.metrics.clone(),
        limits: shared.limits.clone(),
        http: shared.http.clone(),
        bodies: HeldBodies::new(shared.http.max_held_body_bytes),
        path_prefix: shared.path_prefix.clone(),
        readiness: shared.readiness.clone(),
        started: shared.started,
    })
}

/// The threads of the public listener.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    threads: usize,
    /// Connections that one of them may have which are no sockets, or none yet; more are not accepted until some end.
    max_requests: usize,
}

impl Workers {
    /// So many, which have the requests' share of the descriptors together.
    pub fn new(threads: usize, descriptors: Option<Shares>) -> Self {
        // The library counts one beyond it.
        let unbounded = usize::MAX >> 1;
        let share = |shares: Shares| usize::try_from(shares.requests).map_or(unbounded, |all| (all / threads).max(1));
        Self { threads, max_requests: descriptors.map_or(unbounded, share).min(unbounded) }
    }
}

/// Serves sockets and the trigger API, each thread with a roster of its own.
pub fn public(
    listener: TcpListener,
    shared: Shared,
    workers: Workers,
    tls: Option<Arc<ServerConfig>>,
    (rosters, failures): (Rosters, Failures),
) -> ServerHandle {
    let server = Server::build()
        .workers(workers.threads)
        .max_concurrent_connections(workers.max_requests)
        .shutdown_timeout(LAST_REQUESTS)
        .disable_signals();
    let door = Door { api: api(&shared), shared, rosters };
    let server = match tls {
        None => door.open(server, listener),
        Some(config) => door.open_with_tls(server, listener, config),
    };
    run("public", server.expect("the listener is bound").run(), failures)
}

/// What all threads of the public listener have in common.
#[derive(Clone)]
struct Door {
    shared: Shared,
    api: Arc<Api>,
    rosters: Rosters,
}

impl Door {
    fn open(self, server: ServerBuilder, listener: TcpListener) -> io::Result<ServerBuilder> {
        let mistakes = Mistakes::of(Mistake::Tls);
        server.listen("public", listener, move || {
            let (services, mistakes) = (self.services(), mistakes.clone());
            let upgrade = fn_service(move |(request, framed)| {
                upgrade(services.clone(), request, framed, |sniffed: Sniffed| share(sniffed.socket))
            });
            let app = map_config(App::new().configure(http::configure(self.api.clone())), |()| AppConfig::default());
            let service = self.http();
            let sniff = fn_service(move |socket: TcpStream| {
                let peer = socket.peer_addr().ok();
                ready(Ok::<_, DispatchError>((Sniffed::new(socket, mistakes.clone()), Protocol::Http1, peer)))
            });
            sniff.and_then(service.upgrade(upgrade).finish(app))
        })
    }

    fn open_with_tls(
        self,
        server: ServerBuilder,
        listener: TcpListener,
        config: Arc<ServerConfig>,
    ) -> io::Result<ServerBuilder> {
        let mistakes = Mistakes::of(Mistake::Plain);
        server.listen("public", listener, move || {
            let (services, mistakes) = (self.services(), mistakes.clone());
            let upgrade = fn_service(move |(request, framed)| {
                upgrade(services.clone(), request, framed, |stream| (stream, None))
            });
            let app = map_config(App::new().configure(http::configure(self.api.clone())), |()| AppConfig::default());
            let service = self.http();
            let acceptor = TlsAcceptorConfig::default().handshake_timeout(self.patience());
            let service = service.upgrade(upgrade).finish(app).rustls_0_23_with_config((*config).clone(), acceptor);
            service.map_err(move |error| {
                if let TlsError::Tls(error) = &error {
                    mistakes.look_at(error);
                }
                error
            })
        })
    }

    /// How long clients may take.
    fn http<T, S>(&self) -> HttpServiceBuilder<T, S>
    where
        S: ServiceFactory<Request, Config = ()>,
        S::Error: Into<Response<BoxBody>> + 'static,
        S::InitError: fmt::Debug,
        <S::Service as Service<Request>>::Future: 'static,
    {
        HttpServiceBuilder::default()
            .client_request_timeout(self.patience())
            .client_disconnect_timeout(LINGER)
            .keep_alive(KeepAlive::Timeout(self.shared.http.keep_alive))
    }

    /// What one thread has for itself.
    fn services(&self) -> Rc<Services> {
        actix::spawn(lag::watch(self.shared.metrics.clone(), ActorThread::Http));
        let services = Rc::new(Services::start(self.shared.clone()));
        self.rosters.lock().expect("no thread panics while it signs in").push(services.roster.clone());
        services
    }

    /// How long a client may take to say what it wants.
    fn patience(&self) -> Duration {
        self.shared.limits.handshake_timeout
    }
}

/// Serves the admin port on one thread.
pub fn admin(listener: TcpListener, admin: Admin, failures: Failures) -> ServerHandle {
    let server = HttpServer::new(move || App::new().configure(admin::configure(admin.clone())));
    let server = server.workers(1).shutdown_timeout(LAST_REQUESTS).disable_signals().listen(listener);
    run("admin", server.expect("the listener is bound").run(), failures)
}

/// A listener ends where the node stops; if it ends before, nobody can reach the node any more.
fn run(name: &str, server: Server, failures: Failures) -> ServerHandle {
    let (handle, ends) = (server.handle(), format!("the {name} listener has ended"));
    actix::spawn(async move {
        let ends = match server.await {
            Ok(()) => ends,
            Err(error) => format!("{ends}: {error}"),
        };
        failures.tell(ends);
    });
    handle
}
