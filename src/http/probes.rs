//! Answers to requests that nobody signs: health probes, and whatever has no place here.

use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

use super::{answer, api::Api, error::ApiError};
use crate::{readiness::Objection, session::handshake};

/// `/up`, as Reverb's users probe it.
pub async fn up() -> HttpResponse {
    answer::json(&serde_json::json!({ "health": "OK" }))
}

/// `/`, as Soketi's users probe it.
pub async fn root() -> &'static str {
    "OK"
}

/// `/ready`, as Soketi's users probe it; the same decision as `/readyz` of the admin port.
pub async fn ready(api: web::Data<Api>) -> HttpResponse {
    let answers = api.readiness.answers(|patience| api.rooms.answers(patience)).await;
    match api.readiness.objection(answers) {
        None => HttpResponse::Ok().body("OK"),
        Some(Objection::Joining) => ApiError::Joining.error_response(),
        Some(Objection::Leaving) => ApiError::Draining.error_response(),
        Some(Objection::Full) => ApiError::Full.error_response(),
        Some(Objection::CutOff) => ApiError::CutOff.error_response(),
        Some(Objection::RoomsSilent | Objection::BusSilent) => ApiError::Silent.error_response(),
    }
}

/// The paths of the sockets, for a request that is no upgrade.
pub async fn upgrade_required(request: HttpRequest, api: web::Data<Api>) -> HttpResponse {
    api.refuse(ApiError::UpgradeMissing(handshake::faults(request.headers())))
}

/// Everything else.
pub async fn path_unknown(api: web::Data<Api>) -> HttpResponse {
    api.refuse(ApiError::PathUnknown)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use actix_web::{body::to_bytes, http::StatusCode};

    use super::*;
    use crate::{
        app::Registry,
        capacity::Capacity,
        config::{HttpConfig, LimitsConfig, PagesConfig, TenantConfig},
        http::body::HeldBodies,
        metrics::Metrics,
        page::Pages,
        readiness::Readiness,
        repeats::Repeats,
        revocations::Revocations,
        room::Rooms,
        webhook::{Resources, Timing, Webhooks},
    };

    fn api(readiness: Readiness) -> Api {
        crate::tls::install_crypto_provider();
        let metrics = Metrics::new();
        let webhooks = Webhooks::start(metrics.clone(), Timing::default(), Resources::of_bytes(1 << 20));
        Api {
            registry: Registry::default(),
            rooms: Rooms::start(
                1,
                &LimitsConfig::default(),
                &webhooks,
                &metrics,
                None,
                Pages::start(&PagesConfig::default(), None, &metrics),
            ),
            repeats: Repeats::new(1 << 20, None, metrics.clone()),
            revocations: Revocations::new(None),
            tenant: TenantConfig::default(),
            metrics,
            limits: LimitsConfig::default(),
            http: HttpConfig::default(),
            bodies: HeldBodies::new(1),
            path_prefix: String::new(),
            readiness,
            started: Instant::now(),
        }
    }

    #[actix_web::test]
    async fn a_node_that_drains_is_not_ready() {
        let api = web::Data::new(api(Readiness::default()));
        assert_eq!(ready(api.clone()).await.status(), StatusCode::OK);
        api.readiness.drain();
        refused(ready(api).await, r#"{"error":"this node is going away; choose another one","code":500}"#).await;
    }

    #[actix_web::test]
    async fn a_node_that_does_not_know_its_peers_yet_is_not_ready() {
        let api = web::Data::new(api(Readiness::in_cluster(Capacity::default(), None)));
        let reason = r#"{"error":"this node is not in step with its peers yet; choose another one","code":500}"#;
        refused(ready(api.clone()).await, reason).await;
        api.readiness.in_step();
        assert_eq!(ready(api).await.status(), StatusCode::OK);
    }

    #[actix_web::test]
    async fn a_full_node_is_not_ready() {
        let capacity = Capacity::new(&LimitsConfig { max_connections: Some(1), ..LimitsConfig::default() });
        let api = web::Data::new(api(Readiness::alone(capacity.clone())));
        let place = capacity.take();
        let reason = r#"{"error":"this node is full (GAUNG_MAX_CONNECTIONS, GAUNG_MAX_MEMORY_MB, file descriptors); choose another one","code":500}"#;
        refused(ready(api.clone()).await, reason).await;
        drop(place);
        assert_eq!(ready(api).await.status(), StatusCode::OK);
    }

    async fn refused(answer: HttpResponse, reason: &str) {
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(to_bytes(answer.into_body()).await.unwrap(), reason);
    }
}
