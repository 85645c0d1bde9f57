//! All routes of the public port but the sockets' upgrades, in one table.

use actix_web::{
    App, Error, HttpResponse, Resource, Route,
    body::BoxBody,
    dev::{HttpServiceFactory, Service, ServiceFactory, ServiceRequest, ServiceResponse},
    guard,
    http::ConnectionType,
    web::{self, Data, ServiceConfig},
};
use futures_util::future::Either;
use std::{future::ready, rc::Rc, sync::Arc};

use super::{
    api::Api, channels, connections, cors::Grant, error::ApiError, history, probes, server_span, signed::find_app,
    stream, tokens, trigger, xhr,
};
use crate::{
    connection::{Connection, address::OverLimit},
    protocol::Close,
    readiness::Stage,
    session::services::Services,
};

/// All that the public port answers to plain requests.
pub fn app(
    api: Arc<Api>,
    services: Rc<Services>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
> {
    App::new().app_data(Data::new(services)).configure(configure(api.clone())).wrap_fn(move |request, next| {
        let connection = request.conn_data::<Rc<Connection>>().cloned();
        let exchange = connection.as_ref().map(Connection::begin);
        let grant = Grant::of(request.headers(), &api.http.cors_origins);
        let refusal = connection.as_ref().and_then(|connection| connection.settle().err());
        let refusal = refusal.map(|OverLimit| address_full(&api, request.path()));
        let at_once = refusal.or_else(|| grant.as_ref()?.preflight(&request));
        let answered = match at_once {
            None => Either::Left(next.call(request)),
            Some(answer) => Either::Right(ready(Ok(request.into_response(answer)))),
        };
        async move {
            let mut answer = answered.await;
            drop(exchange);
            if let (Ok(answer), Some(true)) = (&mut answer, connection.map(|connection| connection.is_in_the_way())) {
                answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            if let (Ok(answer), Some(grant)) = (&mut answer, grant) {
                grant.sign(answer.headers_mut());
            }
            answer
        }
    })
}

/// The answer to a client that has all the connections that its address may have.
pub fn address_full(api: &Api, path: &str) -> HttpResponse {
    let refused = api.refuse(ApiError::AddressFull);
    match path.strip_prefix(&api.path_prefix) {
        Some("/sse") => stream::put_off(Close::OverAddressLimit, Close::OverAddressLimit.text()),
        Some(_) | None => refused,
    }
}

/// Serves the API under the node's path prefix, and without it as well, because some SDKs drop it (protocol.md §2.4).
fn configure(api: Arc<Api>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let prefix = api.path_prefix.clone();
        config.app_data(Data::from(api));
        serve_api(config, "");
        if !prefix.is_empty() {
            serve_api(config, &prefix);
        }
        config
            .service(get(format!("{prefix}/app/{{key}}"), web::to(probes::upgrade_required)))
            .service(get(format!("{prefix}/ws"), web::to(probes::upgrade_required)))
            .service(get(format!("{prefix}/sse"), web::to(stream::events)))
            // What comes before this is that of a socket, the session and its number.
            .service(
                web::resource(format!("{prefix}/{{session:(pusher/)?app/.+}}/{{act:xhr(_streaming|_send)?}}"))
                    .to(xhr::serve),
            )
            .default_service(web::to(probes::path_unknown));
    }
}

fn serve_api(config: &mut ServiceConfig, base: &str) {
    let app = format!("{base}/apps/{{app}}");
    config
        .service(answer(post(format!("{app}/events"), web::to(trigger::trigger))))
        .service(answer(post(format!("{app}/batch_events"), web::to(trigger::batch))))
        .service(answer(get(format!("{app}/channels"), web::to(channels::list))))
        .service(answer(get(format!("{app}/channels/{{channel}}"), web::to(channels::show))))
        .service(answer(get(format!("{app}/channels/{{channel}}/users"), web::to(channels::users))))
        .service(answer(get(format!("{app}/channels/{{channel}}/events"), web::to(history::events))))
        .service(answer(get(format!("{app}/connections"), web::to(connections::count))))
        .service(answer(post(format!("{app}/users/{{user}}/terminate_connections"), web::to(connections::terminate))))
        .service(answer(post(format!("{app}/users/{{user}}/reconnect"), web::to(connections::reconnect))))
        .service(answer(post(format!("{app}/users/{{user}}/unsubscribe"), web::to(connections::unsubscribe))))
        .service(answer(post(format!("{app}/tokens/revoke"), web::to(tokens::revoke))))
        // The Python SDK forgets the app (protocol.md §3.8).
        .service(answer(post(format!("{base}/users/{{user}}/terminate_connections"), web::to(connections::terminate))))
        .service(probe(format!("{base}/up"), web::to(probes::up)))
        .service(probe(format!("{base}/ready"), web::to(probes::ready)))
        .service(probe(format!("{base}/"), web::to(probes::root)));
}

/// Counts the answers, and ends their connections once the node is asked to go, so that no back end's next request finds
/// it gone. Not around everything: probes and refused upgrades are no answers to back ends.
fn answer(resource: Resource) -> impl HttpServiceFactory {
    resource.wrap_fn(|request, next| {
        let api = request.app_data::<Data<Api>>().expect("configure() registers the api").clone();
        let app = find_app(&api, request.request()).ok();
        let answered = next.call(request);
        async move {
            let mut answer = answered.await;
            if let (Ok(answer), true) = (&answer, api.metrics.spans.are_wanted()) {
                server_span::end(answer);
            }
            let status =
                answer.as_ref().map_or_else(|error| error.as_response_error().status_code(), ServiceResponse::status);
            api.outcomes(app.as_deref()).count_response(status);
            if let (Ok(answer), Stage::Leaving | Stage::Draining) = (&mut answer, api.readiness.stage()) {
                answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            answer
        }
    })
}

fn post(path: String, route: Route) -> Resource {
    only("POST", path, route.guard(guard::Post()))
}

fn get(path: String, route: Route) -> Resource {
    only("GET", path, route.guard(guard::Get()))
}

fn probe(path: String, route: Route) -> Resource {
    only("GET, HEAD", path, route.guard(guard::Any(guard::Get()).or(guard::Head())))
}

/// One path for one set of methods; others get 405 and are told which.
fn only(methods: &'static str, path: String, route: Route) -> Resource {
    let refuse = move |api: Data<Api>| async move { api.refuse(ApiError::MethodRefused(methods)) };
    web::resource(path).route(route).default_service(web::to(refuse))
}
