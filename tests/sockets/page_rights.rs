//! Pages whose users lose a right come back as somebody new.

use serde_json::json;

use crate::pages::{connect, lose, start};

#[actix::test]
async fn a_page_whose_user_is_terminated_gets_another_socket_id() {
    let node = start(|_| {}).await;
    let mut page = connect(&node).await;
    page.sign_in(r#"{"id":"1"}"#).await;
    page.expect("pusher:signin_success").await;
    let id = page.id.clone();
    assert_eq!(node.post("/users/1/terminate_connections", &json!({})).await.0, 200);
    assert_eq!(page.expect_close().await.0, 4009);
    lose(&node, page).await;
    assert_ne!(connect(&node).await.id, id);
}

#[actix::test]
async fn a_page_whose_users_rights_change_gets_another_socket_id() {
    let node = start(|_| {}).await;
    for (act, body) in [("reconnect", json!({})), ("unsubscribe", json!({"channels": ["private-*"]}))] {
        let mut page = connect(&node).await;
        page.sign_in(r#"{"id":"1"}"#).await;
        page.expect("pusher:signin_success").await;
        page.ask_private("private-a").await;
        page.expect("pusher_internal:subscription_succeeded").await;
        let id = page.id.clone();
        assert_eq!(node.post(&format!("/users/1/{act}"), &body).await.0, 200);
        assert_eq!(page.expect_close().await.0, 4200);
        lose(&node, page).await;
        let next = connect(&node).await;
        assert_ne!(next.id, id);
        lose(&node, next).await;
    }
}
