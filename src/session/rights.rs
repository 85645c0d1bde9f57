//! What becomes of a session whose client was admitted by a token: when it is told, when it ends, and what a newer token
//! changes.

use std::{pin::Pin, sync::Arc, time::Duration};

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, fut};
use futures_util::FutureExt;

use super::{
    actor::{Session, SessionProtocol},
    connection::SessionConnection,
    registry::Renewed,
    tenant_protocol::{TenantProtocol, refuse},
    token::{self, TokenRefusal},
};
use crate::{
    config::TenantAccess,
    event,
    outbox::closing::ClientProtocol,
    protocol::{Close, Secret, SocketId},
    revocations::Bearer,
    tenant::{AccessToken, Deadline, Due, Grant, Problem, outbound, stream},
};

/// How long a session trusts that the clock goes on as it did.
const LOOK: Duration = Duration::from_secs(3_600);

/// When a session must look at its token again.
pub(super) struct TokenWatch {
    deadline: Deadline,
    timer: Option<SpawnHandle>,
    /// Whether a newer token waits for keys.
    is_checking: bool,
}

impl SessionProtocol {
    fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Pusher(_) => None,
            Self::Tenant(tenant) => Some(tenant.grant()),
            Self::Stream(stream) => Some(stream.grant()),
        }
    }

    /// Whoever came with a token, for the registry.
    pub(super) fn bearer(&self, app_id: &Arc<str>) -> Option<Arc<Bearer>> {
        let Grant { tenant, user_id, term, .. } = self.grant()?;
        let issued = term.as_ref()?.issued;
        Some(Arc::new(Bearer::new(app_id, tenant, user_id.as_deref(), issued)))
    }
}

impl Session {
    /// From now on the session lasts as long as its token.
    pub(super) fn follow_token(&mut self, ctx: &mut Context<Self>) {
        let Some(term) = self.protocol.grant().and_then(|grant| grant.term.as_ref()) else { return };
        let deadline = Deadline::new(term, event::now().1, chance(self.connection.id));
        if let Some(timer) = self.token.take().and_then(|watch| watch.timer) {
            ctx.cancel_future(timer);
        }
        self.token = Some(Box::new(TokenWatch { deadline, timer: None, is_checking: false }));
        self.look_at_token(ctx);
    }

    fn look_at_token(&mut self, ctx: &mut Context<Self>) {
        let Some(watch) = &mut self.token else { return };
        let now = event::now().1;
        let wait = loop {
            match watch.deadline.look(now) {
                Due::End => return self.connection.close(Close::TokenExpired),
                Due::Warning(rest) => warn(&self.connection, watch.deadline.expires(), rest),
                Due::Nothing(wait) => break wait,
            }
        };
        watch.timer = Some(ctx.run_later(wait.min(LOOK), |session, ctx| {
            session.token.iter_mut().for_each(|watch| watch.timer = None);
            session.look_at_token(ctx);
        }));
    }

    /// The client has a newer token. Only one whose key nobody knows yet has to wait; what the client says meanwhile is
    /// judged by the older one.
    pub(super) fn renew(&mut self, token: Secret, ctx: &mut Context<Self>) {
        let services = self.connection.services.clone();
        let Some(watch) = self.token.as_mut().filter(|_| services.shared.tenant.access == TenantAccess::Token) else {
            return refuse(&Problem::NoTokens, None, &self.connection);
        };
        if watch.is_checking {
            return refuse(&Problem::TokenUnderWay, None, &self.connection);
        }
        let app = self.connection.app().clone();
        let check = async move { token::verify(token.expose(), &app, &services.shared).await };
        let mut check: Pin<Box<dyn Future<Output = Result<AccessToken, TokenRefusal>>>> = Box::pin(check);
        if let Some(checked) = check.as_mut().now_or_never() {
            return self.take_token(checked, ctx);
        }
        watch.is_checking = true;
        ctx.spawn(fut::wrap_future::<_, Self>(check).map(|checked, session, ctx| {
            session.token.iter_mut().for_each(|watch| watch.is_checking = false);
            session.take_token(checked, ctx);
        }));
    }

    fn take_token(&mut self, checked: Result<AccessToken, TokenRefusal>, ctx: &mut Context<Self>) {
        let Self { connection, protocol: SessionProtocol::Tenant(tenant), .. } = self else { return };
        if connection.has_departed() {
            return;
        }
        let expires = match checked.map_err(|refusal| refusal.on_socket(connection.app())) {
            Ok(token) => replace(tenant, token, connection),
            Err(problem) => Err(problem),
        };
        match expires {
            Ok(expires) => connection.outbox.send(&outbound::token_accepted(expires)),
            Err(problem) => return refuse(&problem, None, connection),
        }
        if let Some(bearer) = self.protocol.bearer(self.connection.app().id()) {
            self.connection.services.sessions.do_send(Renewed(self.connection.id, bearer));
        }
        self.follow_token(ctx);
    }
}

/// Returns when the newer token ends.
fn replace(
    tenant: &mut TenantProtocol,
    token: AccessToken,
    connection: &mut SessionConnection,
) -> Result<Duration, Problem> {
    let expires = token.term.expires;
    tenant.replace(tenant.grant().renewed(token)?, connection);
    Ok(expires)
}

fn warn(connection: &SessionConnection, expires: Duration, rest: Duration) {
    let frame = outbound::token_expires(expires, rest);
    connection.outbox.send(&match connection.client_protocol {
        ClientProtocol::Stream => stream::message(&frame),
        ClientProtocol::Tenant | ClientProtocol::Pusher => frame,
    });
}

/// From 0 to 1, by the random part of the socket's id.
fn chance(id: SocketId) -> f64 {
    f64::from(id.bits() as u32) / f64::from(u32::MAX)
}
