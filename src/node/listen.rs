//! The two listeners. The public one hands upgrades over whole, socket included, and everything else to actix-web.

use std::{
    convert::Infallible,
    fmt,
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_http::{
    ConnectionType, Extensions, HttpServiceBuilder, KeepAlive, Protocol, Request, Response, body::BoxBody,
    error::DispatchError,
};
use actix_server::{Server, ServerBuilder, ServerHandle};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config};
use actix_web::{App, HttpServer, dev::AppConfig};
use futures_util::{
    FutureExt, TryFutureExt,
    future::{Either, LocalBoxFuture, select},
};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
    time::timeout,
};

use super::{failures::Failures, h2};
use crate::{
    admin::{self, Admin},
    config::HttpConfig,
    connection::{
        Connection, Patience,
        address::OverLimit,
        guard::Guarded,
        malformed::{self, Log, Malformed},
        permits::{ConnectionPermit, LimitReached},
    },
    descriptors::Shares,
    http::{self, Api, answer, body::HeldBodies, error::ApiError},
    metrics::lag::{self, ActorThread},
    outbox::Transport,
    session::{
        registry::SessionRegistries,
        services::{Services, Shared},
        upgrade::{tune, upgrade},
    },
    tls_stream::TlsStream,
};

/// How long what a client goes on sending after its answer is read away: a connection that is closed before resets, and the
/// answer may be lost.
const LINGER: Duration = Duration::from_secs(2);

/// A connection that has ended, and was told so as far as it could be.
struct Refused;

/// How long requests under way may take when the node stops, in seconds.
const LAST_REQUESTS: u64 = 3;

/// What serves the API, on whatever port.
pub(super) fn api(shared: &Shared) -> Arc<Api> {
    Arc::new(Api {
        registry: shared.registry.clone(),
        rooms: shared.rooms.clone(),
        repeats: shared.repeats.clone(),
        revocations: shared.revocations.clone(),
        tenant: shared.tenant.clone(),
        metrics: shared.metrics.clone(),
        limits: shared.limits.clone(),
        http: shared.http.clone(),
        bodies: HeldBodies::new(shared.http.max_held_body_bytes.max(shared.limits.max_body_bytes)),
        path_prefix: shared.path_prefix.clone(),
        readiness: shared.readiness.clone(),
        started: shared.started,
    })
}

/// The threads of the public listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workers {
    threads: usize,
    /// Connections that one of them may have which are no sockets, or none yet; more are not accepted until some end.
    max_requests: usize,
}

impl Workers {
    /// So many, which have the requests' share of the descriptors together.
    pub(super) fn new(threads: usize, descriptors: Option<Shares>) -> Self {
        // The library counts one beyond it.
        let unbounded = usize::MAX >> 1;
        let share = |shares: Shares| usize::try_from(shares.requests).map_or(unbounded, |all| (all / threads).max(1));
        Self { threads, max_requests: descriptors.map_or(unbounded, share).min(unbounded) }
    }

    /// Connections that are no sockets which the node takes. More are refused before the threads accept no more, which
    /// nobody could tell from a node that is gone.
    pub(super) fn connections(self, http: &HttpConfig) -> usize {
        http.max_http_connections.min(self.threads.saturating_mul(self.max_requests))
    }
}

/// Serves sockets and the trigger API, each thread with a session registry of its own.
pub(super) fn public(
    listener: TcpListener,
    shared: Shared,
    workers: Workers,
    tls: Option<Arc<ServerConfig>>,
    (registries, failures): (SessionRegistries, Failures),
) -> ServerHandle {
    let server = Server::build()
        .workers(workers.threads)
        .max_concurrent_connections(workers.max_requests)
        .shutdown_timeout(LAST_REQUESTS)
        .disable_signals();
    let public = PublicListener { api: api(&shared), shared, registries, log: Log::new() };
    let server = match tls {
        None => public.open(server, listener),
        Some(config) => public.open_with_tls(server, listener, config),
    };
    run("public", server.expect("the listener is bound").run(), failures)
}

/// A connection that is served now.
type Accepted<T> = (Guarded<T>, Protocol, Option<SocketAddr>);

/// What all threads of the public listener have in common.
#[derive(Clone)]
struct PublicListener {
    shared: Shared,
    api: Arc<Api>,
    registries: SessionRegistries,
    log: Arc<Log>,
}

impl PublicListener {
    fn open(self, server: ServerBuilder, listener: TcpListener) -> io::Result<ServerBuilder> {
        server.listen("public", listener, move || {
            let public = Rc::new(self.clone());
            let accept = fn_service(move |socket| public.clone().accept(socket));
            accept.and_then(self.serve(|guarded: Guarded<TcpStream>| guarded.into_inner().into()))
        })
    }

    fn open_with_tls(
        self,
        server: ServerBuilder,
        listener: TcpListener,
        config: Arc<ServerConfig>,
    ) -> io::Result<ServerBuilder> {
        let mut config = (*config).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        server.listen("public", listener, move || {
            let (public, config) = (Rc::new(self.clone()), config.clone());
            let accept = fn_service(move |socket| public.clone().accept_tls(socket, config.clone()));
            accept.and_then(self.serve(|guarded: Guarded<TlsStream<TcpStream>>| guarded.into_inner().into()))
        })
    }

    async fn accept(self: Rc<Self>, socket: TcpStream) -> Result<Accepted<TcpStream>, Refused> {
        let peer = socket.peer_addr().ok();
        let place = self.permit(peer).map_err(|answer| {
            // As far as the socket takes it at once: a connection that finds no place is not waited for.
            let _ = SockRef::from(&socket).send(&answer);
            Refused
        })?;
        // The library takes 16 KiB for each connection that it serves: one that has said nothing yet is not served.
        let begun = timeout(self.shared.limits.handshake_timeout, socket.readable()).await;
        begun.map_err(|_| Refused)?.map_err(|_| Refused)?;
        tune(&socket);
        Ok((Guarded::new(socket, Connection::new(peer, place, self.patience())), Protocol::Http1, peer))
    }

    async fn accept_tls(
        self: Rc<Self>,
        socket: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Result<Accepted<TlsStream<TcpStream>>, Refused> {
        let peer = socket.peer_addr().ok();
        // A handshake with each connection that finds no place would cost more than to serve it.
        let place = self.permit(peer).map_err(|_| Refused)?;
        let accepted = timeout(self.shared.limits.handshake_timeout, self.begin_tls(socket, peer, config));
        let stream = accepted.await.unwrap_or(Err(Refused))?;
        let protocol = match stream.protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((Guarded::new(stream, Connection::new(peer, place, self.patience())), protocol, peer))
    }

    /// A place for a connection that was accepted, or the bytes of what it is told.
    fn permit(&self, peer: Option<SocketAddr>) -> Result<ConnectionPermit, Vec<u8>> {
        self.shared.permits.take(peer).map_err(|none| {
            answer::closing_bytes(self.api.refuse(match none {
                LimitReached::OnNode => ApiError::ConnectionsFull,
                LimitReached::OfAddress => ApiError::AddressFull,
            }))
        })
    }

    /// What is no TLS is looked at before it is read, so that the log can say what it is.
    async fn begin_tls(
        &self,
        socket: TcpStream,
        peer: Option<SocketAddr>,
        config: Arc<ServerConfig>,
    ) -> Result<TlsStream<TcpStream>, Refused> {
        let mut opening = [0; malformed::OPENING_BYTES];
        let count = socket.peek(&mut opening).await.map_err(|_| Refused)?;
        if let Some(malformed) = Malformed::instead_of_tls(&opening[..count]) {
            self.log.count(malformed, peer);
            return Err(Refused);
        }
        tune(&socket);
        TlsStream::accept(config, socket).await.map_err(|error| {
            if is_nonsense(&error) {
                self.log.count(Malformed::Other, peer);
            }
            Refused
        })
    }

    /// Serves HTTP/1.1 and, where a client has chosen it, HTTP/2.
    fn serve<T, B>(
        &self,
        bare: B,
    ) -> impl ServiceFactory<Accepted<T>, Config = (), Response = (), Error = Refused, InitError = ()> + use<T, B>
    where
        B: FnOnce(Guarded<T>) -> Transport + Copy + 'static,
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (services, log) = (self.services(), self.log.clone());
        let app = || map_config(http::app(self.api.clone(), services.clone()), |()| AppConfig::default());
        let http1 = self.http().on_connect_ext(|guarded: &Guarded<T>, data: &mut Extensions| {
            data.insert(guarded.connection().clone());
        });
        let (http1_app, http2) = (app(), Rc::new(Http2::new(app(), self.api.clone())));
        let upgrade = fn_service(move |(request, framed)| upgrade(services.clone(), request, framed, bare));
        let served = apply_fn_factory(http1.upgrade(upgrade).finish(http1_app), move |accepted: Accepted<T>, http1| {
            let (guarded, protocol, peer) = accepted;
            let (log, connection) = (log.clone(), guarded.connection().clone());
            // Apart from the connection's own future, which has room for the largest of its steps and has it from the start.
            let served = match protocol {
                Protocol::Http2 => http2.clone().serve(guarded).boxed_local(),
                _ => http1.call((guarded, protocol, peer)).boxed_local(),
            };
            count_until_session(served.inspect_err(move |error| log.look_at(error, peer)).boxed_local(), connection)
        });
        served.map_err(|_| Refused)
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
            .client_request_timeout(self.shared.limits.handshake_timeout)
            .client_disconnect_timeout(LINGER)
            .keep_alive(KeepAlive::Timeout(self.shared.http.keep_alive))
    }

    /// What one thread has for itself.
    fn services(&self) -> Rc<Services> {
        actix::spawn(lag::watch(self.shared.metrics.clone(), ActorThread::Http));
        let services = Rc::new(Services::start(self.shared.clone()));
        self.registries.lock().expect("no thread panics while it signs in").push(services.sessions.clone());
        services
    }

    fn patience(&self) -> Patience {
        Patience { head: self.shared.limits.handshake_timeout, answer: self.shared.http.answer_timeout }
    }
}

/// Serves a connection. The library counts it until this ends, among those that it takes; one that carries a session counts
/// no more.
async fn count_until_session<E: 'static>(
    served: LocalBoxFuture<'static, Result<(), E>>,
    connection: Rc<Connection>,
) -> Result<(), E> {
    match select(served, pin!(connection.carries())).await {
        Either::Left((ended, _)) => ended,
        Either::Right(((), served)) => {
            actix::spawn(served.map(drop));
            Ok(())
        }
    }
}

/// HTTP/2 of one thread. Its application is made when the first client comes that speaks it.
struct Http2<F: ServiceFactory<Request>> {
    app: F,
    made: OnceCell<F::Service>,
    api: Arc<Api>,
}

impl<F> Http2<F>
where
    F: ServiceFactory<Request, Config = (), InitError = ()>,
    F::Response: Into<Response<BoxBody>>,
    F::Error: Into<Response<BoxBody>>,
{
    fn new(app: F, api: Arc<Api>) -> Self {
        Self { app, made: OnceCell::new(), api }
    }

    async fn serve<T>(self: Rc<Self>, guarded: Guarded<T>) -> Result<(), DispatchError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let connection = guarded.connection().clone();
        connection.frames();
        let http = &self.api.http;
        let (handshake, answer) = (self.api.limits.handshake_timeout, http.answer_timeout);
        let made = self.made.get_or_try_init(|| self.app.new_service(())).await;
        match (made, connection.settle()) {
            (Ok(app), Ok(())) => {
                let idle = || if connection.is_in_the_way() { LINGER } else { http.keep_alive };
                h2::serve(guarded, app, h2::Patience { handshake, idle, answer }).await;
            }
            (Ok(_), Err(OverLimit)) => {
                let refuse = fn_service(|request: Request| ready(Ok::<_, Infallible>(self.refusal(request.path()))));
                h2::serve(guarded, &refuse, h2::Patience { handshake, idle: || LINGER, answer }).await;
            }
            (Err(_), _) => {}
        }
        Ok(())
    }

    /// What is answered on a connection that its client may not have, whose end it is.
    fn refusal(&self, path: &str) -> Response<BoxBody> {
        let mut answer = http::address_full(&self.api, path);
        answer.head_mut().set_connection_type(ConnectionType::Close);
        answer.into()
    }
}

/// Bytes that begin like TLS and are none. What else goes wrong in a handshake, such as a certificate that the client does
/// not trust, is no nonsense.
fn is_nonsense(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidMessage(_)))
}

/// Serves the admin port on one thread. Who scrapes it every few seconds keeps a connection.
pub(super) fn admin(listener: TcpListener, admin: Admin, keep_alive: Duration, failures: Failures) -> ServerHandle {
    let server = HttpServer::new(move || App::new().configure(admin::configure(admin.clone()))).keep_alive(keep_alive);
    let server = server.workers(1).shutdown_timeout(LAST_REQUESTS).disable_signals().listen(listener);
    run("admin", server.expect("the listener is bound").run(), failures)
}

/// A listener ends where the node stops; if it ends before, nobody can reach the node any more.
fn run(name: &str, server: Server, failures: Failures) -> ServerHandle {
    let (handle, ends) = (server.handle(), format!("the {name} listener has stopped"));
    actix::spawn(async move {
        let ends = match server.await {
            Ok(()) => ends,
            Err(error) => format!("{ends}: {error}"),
        };
        failures.tell(ends);
    });
    handle
}
