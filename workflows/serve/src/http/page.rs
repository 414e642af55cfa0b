//! The page: a few files of ours in the binary, the library of its map in a folder, and nothing from elsewhere.

use axum::http::{StatusCode, header};

use super::{
    Api,
    answer::{Answer, Problem, bytes, set},
    call::Call,
    tiles,
};
use crate::ids;

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

/// `GET /maplibre/{file}`
pub(crate) fn library(api: &Api, call: &Call) -> Answer {
    let name = call.part("file");
    let missing = || Problem::missing("file of the map", name);
    let (path, kind) = api.service.map.as_ref().and_then(|map| map.file(name)).ok_or_else(missing)?;
    let tag = format!("\"{}\"", ids::id(&["file", &path.display().to_string(), &tiles::version(&path)?]));
    let known = call.header("if-none-match").is_some_and(|known| tiles::has_tag(known, &tag));
    let mut response = match known {
        true => bytes(StatusCode::NOT_MODIFIED, kind, Vec::new()),
        false => bytes(StatusCode::OK, kind, std::fs::read(&path).map_err(|_| missing())?),
    };
    set(&mut response, header::ETAG, &tag);
    // Asked for each time, so that its files are always of one version.
    set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    Ok(response)
}
