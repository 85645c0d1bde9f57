//! The admin port: health, metrics, the console and the apps. It shows what others own, and changes nothing but apps, and
//! that an operator may publish an event by hand. It is not for the public; only the console and the apps ask who somebody is.

mod answer;
mod apps;
mod cluster;
mod console;
mod exposition;
mod health;
mod negotiation;
mod peers;
mod scrape;
mod scrape_apps;
mod scrape_cluster;
mod scrape_node;
mod scrape_soketi;
mod shown;
mod tenants;

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, guard,
    http::{StatusCode, header},
    web::{self, Data, Payload, ServiceConfig},
};

pub use console::{ConsoleSettings, PublicPort};
pub use scrape_soketi::SoketiNames;
pub use shown::Admin;

use answer::{refusal, unknown};

/// The largest body that `POST /noop` reads, in bytes.
const MAX_NOOP_BYTES: usize = 1_048_576;

/// What is served, as `GET /` tells it.
const INDEX: &str = "gaung, the admin port

GET  /livez         200 while the process answers; depends on nothing
GET  /readyz        200 while the node wants new sockets, else 503; the details as JSON. With ?exclude=draining also while it drains
GET  /peers         the nodes of the cluster as JSON, this one first
GET  /tenants       the tenants that have or do the most as JSON: ?by=connections, deliveries, bytes or refusals, &app=, &limit=20
GET  /metrics       metrics as Prometheus text, or OpenMetrics for who accepts it
GET  /              in a browser: the console, with live figures, rooms and what happens
GET  /console/live  the WebSocket behind it, for who may (GAUNG_ADMIN_TOKEN): JSON text frames
GET  /apps          the apps as JSON, without secrets, for who may open the console; PUT, PATCH and DELETE /apps/{id},
                    POST /apps/{id}/keys and DELETE /apps/{id}/keys/{key} change one, with the token (GAUNG_ADMIN_TOKEN)
GET  /openapi.json  the description of these
POST /noop          reads the body, checks nothing and answers {}: what the benchmark compares a trigger to
";

/// The routes of the admin port, for `App::configure`.
pub fn configure(admin: Admin) -> impl FnOnce(&mut ServiceConfig) {
    move |routes| {
        routes
            .app_data(Data::new(admin))
            .service(page("/", index))
            .service(page("/livez", health::live))
            .service(page("/readyz", health::ready))
            .service(page("/peers", peers::list))
            .service(page("/tenants", tenants::list))
            .service(page("/metrics", scrape::metrics))
            .service(page("/console", console::moved))
            .service(page("/console/access", console::access))
            .service(page("/console/live", console::live))
            .service(only("POST", web::resource("/console/session").route(web::post().to(console::session))))
            .service(page("/console/{file}", console::file))
            .configure(apps::configure)
            .service(only("POST", web::resource("/noop").route(web::post().to(noop))))
            .default_service(web::to(unknown));
    }
}

/// A resource to read, by GET or HEAD.
fn page<F, Args>(path: &'static str, answer: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let read = guard::Any(guard::Get()).or(guard::Head());
    only("GET, HEAD", web::resource(path).route(web::route().guard(read).to(answer)))
}

/// Answers 405 to all methods for which the resource has no route.
fn only(allowed: &'static str, resource: Resource) -> Resource {
    resource.default_service(web::to(move || async move {
        let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &format!("this path accepts {allowed} only"));
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
        response
    }))
}

async fn index(admin: Data<Admin>, request: HttpRequest) -> HttpResponse {
    if console::is_wanted(&request) {
        return console::open(&admin, &request);
    }
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").insert_header((header::VARY, "Accept")).body(INDEX)
}

/// Does everything that a trigger's request must do, except for the trigger.
async fn noop(body: Payload) -> HttpResponse {
    match body.to_bytes_limited(MAX_NOOP_BYTES).await {
        Ok(Ok(_)) => HttpResponse::Ok().content_type("application/json").body("{}"),
        Ok(Err(error)) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(_) => refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body is longer than {MAX_NOOP_BYTES} bytes, the limit of this path"),
        ),
    }
}
