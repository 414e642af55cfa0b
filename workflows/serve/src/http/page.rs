//! The page: a few files of ours in the binary, and nothing from elsewhere.

use axum::http::StatusCode;

use super::{
    Api,
    answer::{Answer, bytes},
    call::Call,
};

/// `GET /`
pub(crate) fn index(_: &Api, _: &Call) -> Answer {
    Ok(bytes(StatusCode::OK, "text/html; charset=utf-8", include_str!("../../page/index.html")))
}

/// `GET /page.js`
pub(crate) fn script(_: &Api, _: &Call) -> Answer {
    Ok(bytes(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("../../page/page.js")))
}

/// `GET /map.js`
pub(crate) fn map(_: &Api, _: &Call) -> Answer {
    Ok(bytes(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("../../page/map.js")))
}

/// `GET /page.css`
pub(crate) fn style(_: &Api, _: &Call) -> Answer {
    Ok(bytes(StatusCode::OK, "text/css; charset=utf-8", include_str!("../../page/page.css")))
}
