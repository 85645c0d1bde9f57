//! Whether a client may open a socket: path, app, origin, version and token, and then what is counted: its permits and its
//! turn. Everything here is decided at once, but for the question to an application and a token whose key is not known yet.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    num::IntErrorKind::{NegOverflow, PosOverflow},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_http::{
    HttpMessage, Request, Uri,
    header::{self, HeaderMap, HeaderName},
    uri::Authority,
};

use super::{
    access::{CallbackRequest, Verdict},
    actor::{Admission, SessionProtocol},
    handshake, origin,
    pace::Penalties,
    pusher_protocol::PusherProtocol,
    refusal::{Refusal, StreamRefusal},
    route::{Route, unknown_key, unknown_path},
    services::{Services, Shared},
    stream_protocol::StreamProtocol,
    tenant_protocol::TenantProtocol,
    token,
    upgrade::count_refusal,
    xhr::path::{Act, XhrPath},
};
use crate::{
    app::{
        App,
        permit::{AppPermit, QuotaTaken, TenantPermit},
    },
    capacity::{NodeFull, SocketPermit},
    config::TenantAccess,
    connection::{
        Connection,
        address::{AddressPermit, OverLimit, client_address},
        arrivals::TooMany,
    },
    page::PageKey,
    protocol::{Close, ResumeId, deflate::Encoding},
    readiness::Stage,
    room::Dialect,
    tenant::{Grant, InvalidRequest, StreamLimits, StreamRequest, TenantId, TenantRequest},
};

/// The sub-protocol that Swift clients offer (protocol.md §1.1).
const PUSHER_PROTOCOL: &str = "pusher-channels-protocol-7";

/// A request as admission sees it.
pub struct Asking<'a> {
    pub connection: Option<&'a Rc<Connection>>,
    /// Whether other requests are under way on the connection.
    pub is_shared: bool,
    pub peer: Option<SocketAddr>,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
}

/// Who wants in, and where.
pub(super) struct UpgradeRequest<'a> {
    connection: Option<&'a Rc<Connection>>,
    pub(super) peer: Option<SocketAddr>,
    path: &'a str,
    headers: &'a HeaderMap,
    query: &'a str,
    route: Route<'a>,
    /// Where the page is that asks, if it says so.
    origin: Option<Cow<'a, str>>,
}

/// What a socket takes of what is counted.
struct Permits {
    socket: Option<SocketPermit>,
    address: Option<AddressPermit>,
    app_permit: AppPermit,
}

impl<'a> UpgradeRequest<'a> {
    pub(super) fn new(request: &'a Request, services: &Services) -> Self {
        let uri = request.uri();
        let (headers, query) = (request.headers(), uri.query().unwrap_or_default());
        let route = Route::of(uri.path(), &services.shared.path_prefix, || {
            let protocols: Vec<&str> = values(headers, header::SEC_WEBSOCKET_PROTOCOL).collect();
            TenantRequest::parse(query, text(headers, header::AUTHORIZATION), Some(&protocols.join(",")))
        });
        let origin = text(headers, header::ORIGIN).map(Cow::Borrowed);
        Self {
            connection: request.conn_data(),
            peer: request.peer_addr(),
            path: uri.path(),
            headers,
            query,
            route,
            origin,
        }
    }

    /// A request that is answered by a stream. Browsers name the page's origin only where it is another than that of the
    /// request.
    pub(super) fn of_stream(asking: &Asking<'a>) -> Self {
        let Asking { connection, peer, uri, headers, .. } = *asking;
        let query = uri.query().unwrap_or_default();
        let host = || uri.authority().map(Authority::as_str).or_else(|| text(headers, header::HOST));
        let origin = text(headers, header::ORIGIN).map(Cow::Borrowed);
        let origin = origin.or_else(|| host().map(|host| format!("http://{host}").into()));
        let route = Route::Tenant(TenantRequest::parse(query, text(headers, header::AUTHORIZATION), None));
        Self { connection, peer, path: uri.path(), headers, query, route, origin }
    }

    /// A request of an HTTP transport that begins a session. One that polls stays a connection of HTTP.
    pub(super) fn of_xhr(asking: &Asking<'a>, path: &XhrPath<'a>) -> Self {
        let Asking { connection, peer, uri, headers, .. } = *asking;
        Self {
            connection: connection.filter(|_| path.act == Act::Stream),
            peer,
            path: uri.path(),
            headers,
            query: uri.query().unwrap_or_default(),
            route: Route::of_socket(path.socket),
            origin: text(headers, header::ORIGIN).map(Cow::Borrowed),
        }
    }

    pub(super) async fn admit(&self, services: &Services) -> Result<Admission, Refusal> {
        let pusher = Refusal::pusher;
        match &self.route {
            // Where the key is none either, it is the path that is wrong.
            Route::App(key, Some(Err(invalid))) if services.shared.registry.by_key(key).is_some() => {
                Err(Refusal { text: invalid.to_string(), ..pusher(Close::ResumeIdInvalid) })
            }
            Route::App(_, Some(Err(_))) | Route::Nowhere => {
                let prefix = &services.shared.path_prefix;
                Err(Refusal { text: unknown_path(self.path, prefix), ..pusher(Close::PathUnknown) })
            }
            Route::App(key, id) => {
                let app = self.find_app(key, services).map_err(|close| match close {
                    Close::AppUnknown => Refusal { text: unknown_key(key), ..pusher(close) },
                    close => pusher(close),
                })?;
                let protocol = SessionProtocol::Pusher(PusherProtocol::new(self.check_version().map_err(pusher)?));
                let id = id.as_ref().and_then(|id| id.as_ref().ok());
                self.enter(&app, protocol, (id, None), services).map_err(pusher)
            }
            Route::Tenant(request) => self.admit_tenant(request, services).await,
        }
    }

    async fn admit_tenant(
        &self,
        request: &Result<TenantRequest, InvalidRequest>,
        services: &Services,
    ) -> Result<Admission, Refusal> {
        let (app, request, grant) = self.grant(request, services).await?;
        let tenant = Some(grant.tenant.clone());
        let protocol = SessionProtocol::Tenant(TenantProtocol::new(grant));
        self.enter(&app, protocol, (request.resume.as_ref(), tenant), services).map_err(Refusal::plain)
    }

    pub(super) async fn admit_stream(&self, services: &Services) -> Result<Admission, StreamRefusal> {
        let Route::Tenant(request) = &self.route else {
            return Err(StreamRefusal::Close(Refusal::plain(Close::PathUnknown)));
        };
        let (app, _, grant) = self.grant(request, services).await.map_err(StreamRefusal::Close)?;
        let settings = app.settings();
        let limits =
            StreamLimits { name_length: settings.max_channel_name_length, subscriptions: settings.max_subscriptions };
        let wanted = StreamRequest::parse(self.query, self.last_event_id(), &grant, &limits);
        let wanted = wanted.map_err(StreamRefusal::Invalid)?;
        let tenant = Some(grant.tenant.clone());
        let protocol = SessionProtocol::Stream(StreamProtocol::new(grant, wanted));
        self.enter(&app, protocol, (None, tenant), services)
            .map_err(|close| StreamRefusal::Close(Refusal::plain(close)))
    }

    /// What a browser has heard last, which comes back to its stream.
    fn last_event_id(&self) -> Option<&str> {
        text(self.headers, HeaderName::from_static("last-event-id"))
    }

    /// What the client may hear, and of which app.
    async fn grant<'r>(
        &self,
        request: &'r Result<TenantRequest, InvalidRequest>,
        services: &Services,
    ) -> Result<(Arc<App>, &'r TenantRequest, Grant), Refusal> {
        let request = request.as_ref().map_err(|invalid| Refusal::tenant(Close::TenantInvalid, invalid))?;
        let app = services.tenant_app().ok_or_else(|| Refusal::plain(Close::TenantNotServed))?;
        check_enabled(&app).map_err(Refusal::plain)?;
        let grant = match services.shared.tenant.access {
            TenantAccess::Open => Grant::public(request.tenant.clone(), &services.shared.tenant.channels),
            TenantAccess::Token => {
                let checked = token::check(request, &app, &services.shared).await;
                checked.map_err(|refusal| refusal.on_handshake(&app, self.last_event_id()))?
            }
            TenantAccess::Callback => self.ask_application(request, services).await?,
        };
        self.check_origin(&app).map_err(Refusal::plain)?;
        Ok((app, request, grant))
    }

    async fn ask_application(&self, request: &TenantRequest, services: &Services) -> Result<Grant, Refusal> {
        let header = |name| text(self.headers, name).map(str::to_owned);
        let question = CallbackRequest {
            tenant: request.tenant.clone(),
            user: request.user.clone(),
            cookie: header(header::COOKIE),
            authorization: header(header::AUTHORIZATION),
            origin: header(header::ORIGIN),
        };
        let verdict = match &services.callback {
            Some(callback) => callback.check(&question, self.peer).await,
            None => Verdict::Unknown,
        };
        match verdict {
            Verdict::Admitted => Ok(Grant::public(request.tenant.clone(), &services.shared.tenant.channels)),
            Verdict::Refused => Err(Refusal::plain(Close::TenantRefused)),
            Verdict::Unknown => Err(Refusal::plain(Close::TenantCheckFailed)),
        }
    }

    fn find_app(&self, key: &str, services: &Services) -> Result<Arc<App>, Close> {
        let app = services.shared.registry.by_key(key).ok_or(Close::AppUnknown)?;
        check_enabled(&app)?;
        self.check_origin(&app)?;
        Ok(app)
    }

    fn check_origin(&self, app: &App) -> Result<(), Close> {
        let origin = self.origin.as_deref();
        let allowed = origin::is_allowed(origin, &app.settings().allowed_origins);
        if allowed {
            return Ok(());
        }
        log_refused_origin(app, &origin::for_log(origin));
        Err(Close::OriginRefused)
    }

    /// Protocols 4 to 7, and none (protocol.md §1.1).
    fn check_version(&self) -> Result<Dialect, Close> {
        let parameter = |name| self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        match parameter("protocol").map(str::parse::<i64>) {
            None | Some(Ok(4..=7)) => {}
            // A number that is too large is an integer all the same.
            Some(Err(error)) if !matches!(error.kind(), PosOverflow | NegOverflow) => {
                return Err(Close::VersionInvalid);
            }
            Some(Ok(_) | Err(_)) => return Err(Close::VersionUnsupported),
        }
        Ok(if parameter("trace") == Some("1") { Dialect::Traced } else { Dialect::Pusher })
    }

    /// The last checks take something: a permit of the node, one of the address and one of the app, and a turn among all that
    /// come now.
    fn enter(
        &self,
        app: &Arc<App>,
        protocol: SessionProtocol,
        (id, tenant): (Option<&ResumeId>, Option<TenantId>),
        services: &Services,
    ) -> Result<Admission, Close> {
        let (client, shared) = (self.client(services), &services.shared);
        let permits = self.take_permits(app, client, shared)?;
        let tenant = tenant.map(|tenant| TenantPermit::take(app, app.tenants().get(tenant.as_str())));
        let tenant_permit = tenant.transpose().map_err(|_| Close::OverTenantQuota)?;
        let turn_in = shared.arrivals.enter(client, shared.started.elapsed()).map_err(|too_many| match too_many {
            TooMany::OnNode => Close::OverConnectionRate,
            TooMany::OfAddress => Close::OverAddressRate,
        })?;
        let Permits { socket, address, app_permit } = permits;
        // From here on it counts as a socket. One that is refused stays a connection of HTTP until it has gone.
        let address = address.or(self.connection.and_then(|connection| connection.leave()));
        let page = id.map(|id| PageKey::of(app.id(), id));
        Ok(Admission {
            app_permit,
            tenant_permit,
            penalties: Penalties::default(),
            address,
            permit: socket,
            client,
            protocol,
            page,
            turn_in,
            encoding: self.encoding(app),
        })
    }

    fn take_permits(&self, app: &Arc<App>, client: Option<IpAddr>, shared: &Shared) -> Result<Permits, Close> {
        if shared.readiness.stage() == Stage::Draining {
            return Err(Close::OverCapacity);
        }
        let socket = shared.readiness.capacity().take().map_err(|NodeFull| Close::OverCapacity)?;
        // A connection that has asked for something before has its client's permit already.
        let needs_address_permit = !self.connection.is_some_and(|connection| connection.is_held_by_address());
        let address = match client.filter(|_| needs_address_permit) {
            Some(client) => shared.addresses.take(client).map_err(|OverLimit| Close::OverAddressLimit)?,
            None => None,
        };
        let app_permit = AppPermit::take(app).map_err(|taken| match taken {
            QuotaTaken::Here => Close::OverQuota,
            QuotaTaken::OnAllNodes => Close::OverClusterQuota,
        })?;
        Ok(Permits { socket, address, app_permit })
    }

    /// How events go to the client.
    fn encoding(&self, app: &App) -> Encoding {
        let from_bytes = app.settings().compress_from_bytes.filter(|_| handshake::offers_compression(self.headers));
        from_bytes.map_or(Encoding::Plain, |from_bytes| Encoding::Deflate { from_bytes })
    }

    /// The address that the client really has.
    fn client(&self, services: &Services) -> Option<IpAddr> {
        let trusted = &services.shared.limits.trusted_proxies;
        self.peer.map(|peer| client_address(peer, &forwarded(self.headers), trusted))
    }

    /// The app that the visitor means.
    pub(super) fn app(&self, services: &Services) -> Option<Arc<App>> {
        match self.route {
            Route::App(key, _) => services.shared.registry.by_key(key),
            Route::Tenant(_) => services.tenant_app(),
            Route::Nowhere => None,
        }
    }

    /// After how long a client is told that it may not have what it asks for: who storms against a limit hears it late.
    pub(super) fn refusal_delay(&self, close: Close, services: &Services) -> Duration {
        match close {
            Close::OverQuota | Close::OverClusterQuota | Close::OverTenantQuota => {
                let app = self.app(services);
                app.map_or(Duration::ZERO, |app| app.counters.refusal_delay(services.shared.started.elapsed()))
            }
            _ => Duration::ZERO,
        }
    }

    /// Counts that it may not have what it asks for.
    pub(super) fn count_refusal(&self, services: &Services, reason: &'static str, text: impl FnOnce() -> String) {
        tracing::debug!(reason, peer = ?self.peer, "socket refused");
        count_refusal(services, reason, self.app(services).as_deref(), text);
    }

    /// The sub-protocol to name in the answer; never one that was not offered.
    pub(super) fn selected_protocol(&self) -> Option<&'static str> {
        match &self.route {
            Route::Tenant(Ok(request)) => request.protocol,
            Route::Tenant(Err(_)) => None,
            Route::App(..) | Route::Nowhere => {
                let mut offered =
                    values(self.headers, header::SEC_WEBSOCKET_PROTOCOL).flat_map(|value| value.split(','));
                offered.any(|protocol| protocol.trim() == PUSHER_PROTOCOL).then_some(PUSHER_PROTOCOL)
            }
        }
    }
}

/// Warns once per app: the operator must hear of it, but anybody can send any origin.
fn log_refused_origin(app: &App, origin: &str) {
    let app_id = app.id();
    if app.counters.refuse_origin() {
        tracing::warn!(
            app = %app_id,
            origin,
            "origin refused; if its pages may connect, add its host to the app's allowed_origins \
             (GAUNG_APP_ALLOWED_ORIGINS). Further ones are logged at debug"
        );
    } else {
        tracing::debug!(app = %app_id, origin, "origin refused");
    }
}

fn check_enabled(app: &App) -> Result<(), Close> {
    if app.settings().enabled { Ok(()) } else { Err(Close::AppDisabled) }
}

/// The lines of `X-Forwarded-For`. One that is no text stays, as an entry that nobody can believe.
fn forwarded(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(HeaderName::from_static("x-forwarded-for"));
    lines.map(|line| line.to_str().unwrap_or("?")).collect()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).filter_map(|value| value.to_str().ok())
}
