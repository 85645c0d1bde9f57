//! `/apps`: which apps are kept, and changes of them while the server runs. What it offers stands in `openapi.json`.
//!
//! The way of a change: `gate` says whether the request may change anything → `request` parses it → the store keeps it →
//! `audit` writes one line → the answer.

mod answer;
mod audit;
mod gate;
mod rejection;
mod request;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload, ServiceConfig},
};

use super::shown::Admin;
use crate::app_store::Change;
use answer::Answer;
use rejection::Rejection;
use request::{Body, expected};

/// The description of this part of the port.
const OPENAPI: &str = include_str!("openapi.json");

/// The paths, each with the methods that it has, as `openapi.json` describes them.
pub(super) fn configure(routes: &mut ServiceConfig) {
    use actix_web::web::{delete, get, patch, post, put, resource};
    let with = super::only;
    routes
        .service(with("GET", resource("/apps").route(get().to(list))))
        .service(with(
            "GET, PUT, PATCH, DELETE",
            resource("/apps/{id}")
                .route(get().to(show))
                .route(put().to(replace))
                .route(patch().to(set))
                .route(delete().to(remove)),
        ))
        .service(with("POST", resource("/apps/{id}/keys").route(post().to(rotate))))
        .service(with("DELETE", resource("/apps/{id}/keys/{key}").route(delete().to(drop_key))))
        .service(with("GET", resource("/openapi.json").route(get().to(openapi))));
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

async fn list(admin: Data<Admin>, request: HttpRequest) -> HttpResponse {
    if let Err(rejection) = gate::may_read(&admin, &request) {
        return rejection.answer();
    }
    match admin.apps.list().await {
        Ok(apps) => Answer::list(&apps),
        Err(error) => Answer::refused(&error),
    }
}

async fn show(admin: Data<Admin>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    if let Err(rejection) = gate::may_read(&admin, &request) {
        return rejection.answer();
    }
    match admin.apps.list().await {
        Ok(apps) => Answer::one(apps.into_iter().find(|app| app.app.id == *id), &id),
        Err(error) => Answer::refused(&error),
    }
}

async fn replace(admin: Data<Admin>, request: HttpRequest, id: Path<String>, body: Payload) -> HttpResponse {
    change(&admin, &request, &id, async || Ok(Change::Put(Body::read(&request, body).await?.object()?))).await
}

async fn set(admin: Data<Admin>, request: HttpRequest, id: Path<String>, body: Payload) -> HttpResponse {
    change(&admin, &request, &id, async || Ok(Change::Set(Body::read(&request, body).await?.object()?))).await
}

async fn rotate(admin: Data<Admin>, request: HttpRequest, id: Path<String>, body: Payload) -> HttpResponse {
    change(&admin, &request, &id, async || Body::read(&request, body).await?.rotation()).await
}

async fn remove(admin: Data<Admin>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    change(&admin, &request, &id, async || Ok(Change::Remove)).await
}

async fn drop_key(admin: Data<Admin>, request: HttpRequest, path: Path<(String, String)>) -> HttpResponse {
    let (id, key) = path.into_inner();
    change(&admin, &request, &id, async || Ok(Change::DropKey(key))).await
}

/// Changes one app, and writes who did it.
async fn change(
    admin: &Admin,
    request: &HttpRequest,
    id: &str,
    read: impl AsyncFnOnce() -> Result<Change, Rejection>,
) -> HttpResponse {
    if let Err(rejection) = gate::may_change(admin, request) {
        return rejection.answer();
    }
    let expected = match expected(request) {
        Ok(expected) => expected,
        Err(rejection) => return rejection.answer(),
    };
    let change = match read().await {
        Ok(change) => change,
        Err(rejection) => return rejection.answer(),
    };
    let what = change.name();
    let result = admin.apps.change(id, change, expected).await;
    audit::write(&admin.metrics, request, (what, id), &result);
    match result {
        Ok(changed) => Answer::changed(&changed),
        Err(error) => Answer::refused(&error),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test};
    use serde_json::Value;

    use super::*;

    /// The methods that a path is described with.
    fn described() -> Vec<(String, String)> {
        let description: Value = serde_json::from_str(OPENAPI).expect("it is JSON");
        let paths = description["paths"].as_object().expect("there are paths").clone();
        let methods = paths.into_iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path has methods").clone();
            let methods = methods.into_iter().map(|(method, _)| method).filter(|name| name != "parameters");
            methods.map(move |method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
        });
        methods.collect()
    }

    #[actix_web::test]
    async fn every_route_is_described_and_every_description_is_a_route() {
        let app = test::init_service(App::new().configure(configure)).await;
        let described = described();
        let mut paths: Vec<_> = described.iter().map(|(path, _)| path.clone()).collect();
        paths.dedup();
        assert_eq!(paths, ["/apps", "/apps/{id}", "/apps/{id}/keys", "/apps/{id}/keys/{key}", "/openapi.json"]);
        for path in paths {
            let request = test::TestRequest::with_uri(&path.replace(['{', '}'], "")).method(http::Method::TRACE);
            let answer = test::call_service(&app, request.to_request()).await;
            let allowed = answer
                .headers()
                .get("allow")
                .expect("405 names methods")
                .to_str()
                .expect("methods are text")
                .to_owned();
            let mut allowed: Vec<_> = allowed.split(", ").map(str::to_owned).collect();
            let own = described.iter().filter(|(other, _)| *other == path).map(|(_, method)| method.clone());
            let mut own: Vec<_> = own.collect();
            allowed.sort();
            own.sort();
            assert_eq!(allowed, own, "{path}");
        }
    }
}
