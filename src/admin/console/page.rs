//! The page and its files, for everybody: they hold nothing.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header,
    web::{Path, Query},
};
use serde::Deserialize;

use super::login::cookie_for;
use crate::admin::{answer::unknown, shown::Admin};

const PAGE: &str = include_str!("index.html");

/// What the page loads from `/console/`: name, type and content.
const FILES: &[(&str, &str, &str)] = &[
    ("app.css", CSS, include_str!("app.css")),
    ("app.js", JS, include_str!("app.js")),
    ("apps.js", JS, include_str!("apps.js")),
    ("chart.js", JS, include_str!("chart.js")),
    ("connect.js", JS, include_str!("connect.js")),
    ("elements.js", JS, include_str!("elements.js")),
    ("history.js", JS, include_str!("history.js")),
    ("live.js", JS, include_str!("live.js")),
    ("overview.js", JS, include_str!("overview.js")),
    ("publish.js", JS, include_str!("publish.js")),
    ("rooms.js", JS, include_str!("rooms.js")),
    ("tail.js", JS, include_str!("tail.js")),
];

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The page may run and show what came with it and talk to where it came from; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' \
                      data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

#[derive(Deserialize)]
struct Login {
    token: String,
}

/// Whether a browser asks, which wants the page where others want the index.
pub(in crate::admin) fn is_wanted(request: &HttpRequest) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).filter_map(|line| line.to_str().ok());
    accepted.any(|line| line.contains("text/html"))
}

/// The page. A browser that brings the token in the address is given its cookie, and sent on to an address without it,
/// right or wrong: addresses are shown and remembered.
pub(in crate::admin) fn open(admin: &Admin, request: &HttpRequest) -> HttpResponse {
    let Ok(login) = Query::<Login>::from_query(request.query_string()) else {
        return embedded(HttpResponse::Ok(), "text/html; charset=utf-8", PAGE);
    };
    let mut answer = HttpResponse::SeeOther();
    if let Some(cookie) = cookie_for(admin, &login.token) {
        answer.insert_header((header::SET_COOKIE, cookie));
    }
    answer.insert_header((header::LOCATION, "/")).insert_header((header::CACHE_CONTROL, "no-store")).finish()
}

/// One of the page's files.
pub(in crate::admin) async fn file(name: Path<String>, request: HttpRequest) -> HttpResponse {
    match FILES.iter().find(|(known, ..)| *known == name.as_str()) {
        Some((_, kind, content)) => embedded(HttpResponse::Ok(), kind, content),
        None => unknown(request).await,
    }
}

/// Where the page was.
pub(in crate::admin) async fn moved() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/")).finish()
}

fn embedded(mut answer: HttpResponseBuilder, kind: &'static str, content: &'static str) -> HttpResponse {
    answer
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::VARY, "Accept"))
        .body(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/console");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut there: Vec<_> = names.filter(|name| !name.ends_with(".rs") && name != "index.html").collect();
        there.sort_unstable();
        assert_eq!(there, FILES.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_has_no_inline_script_or_style() {
        for outside in
            ["=\"//", "=\"http", "@import", "url(//", "url(http", "<style", " style=", "<script>", " onclick="]
        {
            let texts =
                std::iter::once(PAGE).chain(FILES.iter().filter(|(_, kind, _)| *kind == CSS).map(|file| file.2));
            let found = texts.flat_map(str::lines).find(|line| line.contains(outside));
            assert_eq!(found, None, "{outside}");
        }
    }
}
