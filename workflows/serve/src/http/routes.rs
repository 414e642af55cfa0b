//! The table of all addresses.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{RawPathParams, Request, State},
    http::{Method, Response, StatusCode, header},
    middleware,
    routing::{MethodFilter, get, on},
};

use super::{
    Api,
    answer::{Answer, Problem},
    assets,
    call::Call,
    events, guard, hooks, inputs, openapi, operations, page, processes, runs, stac, tiles, workflows,
};

/// Largest body of a request, in bytes: an item has some thousands, an envelope of many some more.
const LARGEST_BODY: usize = 4 << 20;

/// An address.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) handler: fn(&Api, &Call) -> Answer,
}

const fn read(path: &'static str, summary: &'static str, handler: fn(&Api, &Call) -> Answer) -> Route {
    Route { method: Method::GET, path, summary, handler }
}

const fn post(path: &'static str, summary: &'static str, handler: fn(&Api, &Call) -> Answer) -> Route {
    Route { method: Method::POST, path, summary, handler }
}

/// All addresses but that which follows a run.
pub(crate) const ROUTES: &[Route] = &[
    read("/", "The page", page::index),
    read("/page.js", "The page's program", page::script),
    read("/map.js", "The page's map", page::map),
    read("/page.css", "The page's looks", page::style),
    read("/maplibre/{file}", "The library that draws the page's map", page::library),
    read("/health", "Whether the process lives", operations::health),
    read("/ready", "Whether it can do its work", operations::ready),
    read("/metrics", "Numbers for Prometheus", operations::metrics),
    read("/api/v1", "Links to all parts", operations::landing),
    read("/api/v1/openapi.json", "This description", openapi::document),
    read("/api/v1/workflows", "The workflows, and what is wrong with them", workflows::list),
    read("/api/v1/workflows/{workflow}", "A workflow: its params, graph and triggers", workflows::show),
    post("/api/v1/workflows/{workflow}/pause", "Let no run of a workflow begin", workflows::pause),
    post("/api/v1/workflows/{workflow}/unpause", "Let runs of a workflow begin again", workflows::unpause),
    post("/api/v1/workflows/{workflow}/runs", "Queue a run with params", runs::submit),
    post(
        "/api/v1/workflows/{workflow}/triggers/{trigger}/backfill",
        "Take in what there is of a period",
        workflows::backfill,
    ),
    read("/api/v1/runs", "Runs, the latest first", runs::list),
    read("/api/v1/runs/{run}", "A run", runs::show),
    read("/api/v1/runs/{run}/log", "What a run said, one JSON object a line", runs::log),
    read("/api/v1/runs/{run}/inputs", "The scenes that a run was given", inputs::list),
    read("/api/v1/runs/{run}/inputs/{input}/{z}/{x}/{y}", "A map tile of one of them", inputs::tile),
    post("/api/v1/runs/{run}/cancel", "Cancel a run", runs::cancel),
    post("/api/v1/runs/{run}/retry", "Queue a run again that is dead or was cancelled", runs::retry),
    read("/api/v1/dead", "What failed for good", runs::dead),
    read("/api/v1/nodes", "The types of nodes", workflows::nodes),
    read("/api/v1/nodes/{node}", "A type of node", workflows::node),
    read("/api/v1/models", "Model packages in SKYSENSE_MODEL_PATH", workflows::models),
    post("/hooks/{workflow}/{trigger}", "Items for a webhook", hooks::take),
    read("/stac", "The STAC API over what was written", stac::landing),
    read("/stac/conformance", "What the STAC API conforms to", stac::conformance),
    read("/stac/collections", "Collections", stac::collections),
    read("/stac/collections/{collection}", "A collection", stac::collection),
    read("/stac/collections/{collection}/items", "Items of a collection", stac::items),
    read("/stac/collections/{collection}/items/{item}", "An item", stac::item),
    read("/stac/collections/{collection}/items/{item}/assets/{asset}", "A file of an item", assets::show),
    read("/stac/collections/{collection}/queryables", "What a filter may ask for", stac::queryables),
    read("/stac/queryables", "What a filter may ask for", stac::queryables),
    read("/stac/search", "Items by query", stac::search),
    post("/stac/search", "Items by body", stac::search_by_body),
    read("/tiles/{collection}/{item}/{asset}/{z}/{x}/{y}", "A map tile", tiles::tile),
    read("/tiles/{collection}/{item}/{asset}/tilejson.json", "Where an asset's tiles are", tiles::tilejson),
    read("/tiles/{collection}/{item}/{asset}/WMTSCapabilities.xml", "An asset as WMTS", tiles::wmts),
    read("/ogc", "Workflows as OGC API - Processes", processes::landing),
    read("/ogc/conformance", "What it conforms to", processes::conformance),
    read("/ogc/processes", "Processes", processes::list),
    read("/ogc/processes/{process}", "A process", processes::show),
    post("/ogc/processes/{process}/execution", "Begin a job", processes::execute),
    read("/ogc/jobs", "Jobs", processes::jobs),
    read("/ogc/jobs/{job}", "A job", processes::job),
    Route { method: Method::DELETE, path: "/ogc/jobs/{job}", summary: "Cancel a job", handler: processes::dismiss },
    read("/ogc/jobs/{job}/results", "What a job gave", processes::results),
];

/// The path that follows a run: its answer does not end before the run does.
pub(crate) const EVENTS: &str = "/api/v1/runs/{run}/events";

/// All of it.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let (handler, name) = (route.handler, route.path);
        let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
        let answer = async move |state: State<Arc<Api>>, path: RawPathParams, request: Request| {
            let mut response = answer(handler, state, path, request).await;
            response.extensions_mut().insert(guard::Path(name));
            response
        };
        router = router.route(route.path, on(filter, answer));
    }
    router
        .route(EVENTS, get(events::follow))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "nothing is here").response() })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that method").response()
        })
        .layer(middleware::from_fn_with_state(api.clone(), guard::guard))
        .with_state(api)
}

/// Reads a request whole and lets its handler answer where it may block.
async fn answer(
    handler: fn(&Api, &Call) -> Answer,
    State(api): State<Arc<Api>>,
    path: RawPathParams,
    request: Request,
) -> Response<Body> {
    let path: BTreeMap<String, String> = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (parts, body) = request.into_parts();
    let too_large = || {
        let title = format!("the body is broken, or has more than {LARGEST_BODY} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, title).response()
    };
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST_BODY as u64) {
        return too_large();
    }
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else { return too_large() };
    let base = base(&api, &parts);
    let call = Call::new(path, parts.uri.query().unwrap_or_default(), parts.headers, body.to_vec(), base);
    let done = tokio::task::spawn_blocking(move || handler(&api, &call)).await;
    match done {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.response(),
        // A panic is a fault of ours, and the log has it.
        Err(_) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the service made a mistake; its log says which").response()
        }
    }
}

/// How this service is named by whoever asks.
fn base(api: &Api, parts: &axum::http::request::Parts) -> String {
    if let Some(public) = &api.listen.public {
        return public.trim_end_matches('/').to_owned();
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // A host becomes part of links: only what can be one is taken.
    let safe =
        |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    let address: SocketAddr = api.listen.address;
    host.filter(safe).map_or_else(|| format!("http://{address}"), |host| format!("http://{host}"))
}
