//! Two attackers with every right of their own: app A beside app B, and tenant 7 beside tenant 8 of one app. Whatever they
//! send, B and tenant 8 hear, count and post what they would have without them, and nothing of theirs is in any answer.
//!
//! Counted apart are refusals, failed signatures and answers of the API to requests that name B: they are what B's
//! operator looks at to see an attack. How fast B is meanwhile is not looked at here.

mod by_app;
mod by_tenant;
mod scene;
mod victims;
mod world;

use scene::{Attack, run};

/// What all that B keeps secret has in it: what it publishes, what it says of its members, what it caches.
pub const MARK: &str = "mark-of-b";

async fn check(nodes: usize, attack: Attack) {
    let (quiet, attacked) = (run(nodes, Attack::None).await, run(nodes, attack).await);
    for (quiet, attacked) in quiet.iter().zip(&attacked) {
        assert_eq!(attacked, quiet, "with and without the attack");
    }
    assert_eq!(attacked.len(), quiet.len(), "{attacked:#?}");
}

#[actix::test]
async fn an_app_with_all_its_rights_reaches_nothing_of_another_on_one_node() {
    check(1, Attack::ByApp).await;
}

#[actix::test]
async fn an_app_with_all_its_rights_reaches_nothing_of_another_on_two_nodes() {
    check(2, Attack::ByApp).await;
}

#[actix::test]
async fn a_tenant_with_all_its_rights_reaches_nothing_of_another_on_one_node() {
    check(1, Attack::ByTenant).await;
}

#[actix::test]
async fn a_tenant_with_all_its_rights_reaches_nothing_of_another_on_two_nodes() {
    check(2, Attack::ByTenant).await;
}

/// The routes that `by_app` attacks, as the code names them. One that is new stands here when it is attacked there.
#[test]
fn every_route_of_the_code_is_attacked() {
    let code = include_str!("../../../src/http/routes.rs");
    let code = code.split_once("fn configure").expect("it has the routes").1;
    let code = code.split_once("/// Counts the answers").expect("what comes behind them").0;
    let named = code.split("format!(\"").skip(1).map(|rest| rest.split_once('"').expect("a text ends").0);
    let mut found: Vec<String> = named.map(|route| route.replace("{{", "{").replace("}}", "}")).collect();
    // The base of the others.
    found.retain(|route| route != "{base}/apps/{app}");
    let mut attacked: Vec<String> =
        by_app::ROUTES.iter().map(|(_, route, _)| route.replace("/apps/{app}", "{app}")).collect();
    attacked.extend(by_app::UNSIGNED.iter().map(|route| (*route).to_owned()));
    found.sort();
    attacked.sort();
    assert_eq!(found, attacked);
}
