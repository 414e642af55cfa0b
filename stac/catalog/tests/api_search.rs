//! Search of a STAC API: every style of paging, faults that pass, servers that lie.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod server;

use serde_json::{Value, json};
use server::{Asked, Reply, Server};
use skysense_catalog::{Bbox, CatalogError, Filter, Http, Limits, SearchOutcome, SearchRequest, search};

fn item(id: &str) -> Value {
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": id, "collection": "s2", "bbox": [10.0, 45.0, 11.0, 46.0],
        "geometry": {"type": "Polygon", "coordinates": [[[10.0, 45.0], [11.0, 45.0], [11.0, 46.0], [10.0, 46.0], [10.0, 45.0]]]},
        "properties": {"datetime": "2021-06-01T10:00:00Z", "eo:cloud_cover": 10}, "links": [], "assets": {"B04": {"href": "./B04.tif"}}
    })
}

fn page(ids: &[&str], next: Option<Value>) -> Value {
    let links: Vec<Value> = next.into_iter().collect();
    json!({"type": "FeatureCollection", "features": ids.iter().map(|id| item(id)).collect::<Vec<_>>(), "links": links})
}

/// Quick retries, so that tests do not wait.
fn request(href: &str) -> SearchRequest {
    SearchRequest {
        http: Http { backoff_milliseconds: 1, timeout_seconds: 5, ..Http::default() },
        ..SearchRequest::new(href)
    }
}

fn found(outcome: &SearchOutcome) -> Vec<&str> {
    outcome.items.iter().map(|item| item.id()).collect()
}

fn run(request: &SearchRequest) -> Result<SearchOutcome, CatalogError> {
    search(request, &|| false)
}

#[test]
fn pages_by_get() {
    let server = Server::start(|url, asked, _| match asked.path.contains("token=2") {
        false => Reply::json(&page(&["a", "b"], Some(json!({"rel": "next", "href": format!("{url}/search?token=2")})))),
        true => Reply::json(&page(&["c"], None)),
    });
    assert_eq!(found(&run(&request(&format!("{}/search", server.url))).unwrap()), ["a", "b", "c"]);
}

#[test]
fn pages_by_post_with_a_body_of_its_own_and_with_a_merged_one() {
    for merge in [true, false] {
        let server = Server::start(move |url, asked, _| match asked.body.get("token") {
            None => Reply::json(&page(
                &["a"],
                Some(
                    json!({"rel": "next", "method": "POST", "merge": merge, "href": format!("{url}/search"), "body": {"token": "2"}}),
                ),
            )),
            Some(_) => Reply::json(&page(&["b"], None)),
        });
        let request = SearchRequest { collections: vec!["s2".into()], ..request(&format!("{}/search", server.url)) };
        assert_eq!(found(&run(&request).unwrap()), ["a", "b"]);
        let second = &server.asked()[1];
        assert_eq!((second.method.as_str(), second.body.get("collections").is_some()), ("POST", merge));
    }
}

#[test]
fn a_relative_next_and_repeated_items() {
    let server = Server::start(|_, asked, _| match asked.path.as_str() {
        "/v1/search" => Reply::json(&page(&["a", "b"], Some(json!({"rel": "next", "href": "search?page=2"})))),
        _ => Reply::json(&page(&["b", "c"], None)),
    });
    let outcome = run(&request(&format!("{}/v1/search", server.url))).unwrap();
    assert_eq!((found(&outcome), outcome.repeated), (vec!["a", "b", "c"], 1));
}

#[test]
fn a_landing_page_leads_to_its_search_and_get_is_the_fallback() {
    let server = Server::start(|url, asked, _| match (asked.method.as_str(), asked.path.split('?').next()) {
        ("GET", Some("/")) => Reply::json(
            &json!({"type": "Catalog", "id": "api", "links": [{"rel": "search", "method": "POST", "href": format!("{url}/search")}, {"rel": "child", "href": format!("{url}/child")}]}),
        ),
        ("POST", _) => Reply::status(405),
        ("GET", Some("/search")) => Reply::json(&page(&["a"], None)),
        _ => Reply::status(404),
    });
    let request = SearchRequest {
        bbox: Some(Bbox([10.5, 45.5, 10.6, 45.6])),
        datetime: Some("2021-06".into()),
        ..request(&format!("{}/", server.url))
    };
    assert_eq!(found(&run(&request).unwrap()), ["a"]);
    let last = server.asked().pop().unwrap();
    assert!(last.path.contains("bbox=10.5%2C45.5") && last.path.contains("datetime=2021-06-01"), "{}", last.path);
}

#[test]
fn filters_are_applied_to_what_a_lying_server_sends() {
    let server = Server::start(|_, _, _| Reply::json(&page(&["a", "b"], None)));
    let base = request(&format!("{}/search", server.url));
    for wrong in [
        SearchRequest { bbox: Some(Bbox([50.0, 0.0, 51.0, 1.0])), ..base.clone() },
        SearchRequest { datetime: Some("2022".into()), ..base.clone() },
        SearchRequest { collections: vec!["s1".into()], ..base.clone() },
        SearchRequest { ids: vec!["z".into()], ..base.clone() },
        SearchRequest { max_cloud_cover: Some(5.0), ..base.clone() },
        SearchRequest { intersects: Some(json!({"type": "Point", "coordinates": [0.0, 0.0]})), ..base.clone() },
    ] {
        let outcome = run(&wrong).unwrap();
        assert_eq!((outcome.items.len(), outcome.filtered), (0, 2), "{wrong:?}");
    }
    assert_eq!(run(&SearchRequest { ids: vec!["b".into()], ..base }).unwrap().items.len(), 1);
}

#[test]
fn bad_items_are_named_and_the_others_stay() {
    let server = Server::start(|_, _, _| {
        let mut answer = page(&["good"], None);
        answer["features"].as_array_mut().unwrap().extend([
            json!({"type": "Feature", "id": "broken"}),
            json!(5),
            json!({"type": "Feature", "id": "x", "properties": {}, "assets": {"a": "b"}}),
        ]);
        Reply::json(&answer)
    });
    let outcome = run(&request(&format!("{}/search", server.url))).unwrap();
    assert_eq!(found(&outcome), ["good"]);
    assert_eq!(outcome.skipped.len(), 3);
    assert_eq!(outcome.skipped[0].item.as_deref(), Some("broken"));
}

#[test]
fn faults_that_pass_are_asked_again() {
    for fault in [429, 500, 502, 503, 504] {
        let server = Server::start(move |_, _, count| {
            if count < 2 { Reply::status(fault).header("Retry-After", "0") } else { Reply::json(&page(&["a"], None)) }
        });
        let outcome = run(&request(&format!("{}/search", server.url))).unwrap();
        assert_eq!((found(&outcome), outcome.requests), (vec!["a"], 3), "{fault}");
    }
}

#[test]
fn retry_after_is_honoured() {
    let server = Server::start(|_, _, count| {
        if count == 0 { Reply::status(429).header("Retry-After", "1") } else { Reply::json(&page(&["a"], None)) }
    });
    let start = std::time::Instant::now();
    run(&request(&format!("{}/search", server.url))).unwrap();
    assert!(start.elapsed() >= std::time::Duration::from_secs(1));
}

#[test]
fn a_truncated_answer_is_asked_again() {
    let server = Server::start(|_, _, count| {
        let whole = Reply::json(&page(&["a"], None));
        if count == 0 { whole.cut(40) } else { whole }
    });
    assert_eq!(found(&run(&request(&format!("{}/search", server.url))).unwrap()), ["a"]);
}

#[test]
fn a_fault_that_stays_names_the_address_without_its_signature() {
    let server = Server::start(|_, _, _| Reply::status(503));
    let mut asking = request(&format!("{}/search?sig=geheim", server.url));
    asking.http.retries = 1;
    let message = run(&asking).unwrap_err().to_string();
    assert!(
        message.contains("status 503") && message.contains("2 attempt(s)") && message.contains("sig=***"),
        "{message}"
    );
    assert!(!message.contains("geheim"));
}

#[test]
fn refusals_are_not_asked_again() {
    let server = Server::start(|_, _, _| Reply::status(403));
    let error = run(&request(&format!("{}/search", server.url))).unwrap_err();
    assert!(matches!(error, CatalogError::Http { status: Some(403), .. }), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("http: {headers") && hint.contains("secret"), "{hint}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_that_pages_for_ever_is_limited() {
    let fresh = Server::start(|url, _, count| {
        Reply::json(&page(
            &[&format!("i{count}")],
            Some(json!({"rel": "next", "href": format!("{url}/search?n={count}")})),
        ))
    });
    let mut asking = request(&format!("{}/search", fresh.url));
    asking.limits = Limits { pages: 5, ..Limits::default() };
    assert!(matches!(run(&asking), Err(CatalogError::Limit { setting: "limits.pages", limit: 5, .. })));
    let empty = Server::start(|url, _, count| {
        Reply::json(&page(&["same"], Some(json!({"rel": "next", "href": format!("{url}/search?n={count}")}))))
    });
    assert!(matches!(run(&request(&format!("{}/search", empty.url))), Err(CatalogError::Limit { .. })));
    let circle = Server::start(|url, _, _| {
        Reply::json(&page(&["a"], Some(json!({"rel": "next", "href": format!("{url}/search?n=1")}))))
    });
    let outcome = run(&request(&format!("{}/search", circle.url))).unwrap();
    assert!(outcome.skipped[0].reason.contains("leads back"));
}

#[test]
fn redirects_are_followed_limited_and_kept_to_http() {
    let once = Server::start(|_, asked, _| {
        if asked.path == "/c.json" {
            Reply::status(302).header("Location", "/items.json")
        } else {
            Reply::json(&page(&["a"], None))
        }
    });
    assert_eq!(found(&run(&request(&format!("{}/c.json", once.url))).unwrap()), ["a"]);
    let circle = Server::start(|_, asked, _| Reply::status(302).header("Location", &asked.path));
    assert!(matches!(
        run(&request(&format!("{}/c.json", circle.url))),
        Err(CatalogError::Limit { setting: "limits.redirects", .. })
    ));
    let away = Server::start(|_, _, _| Reply::status(302).header("Location", "file:///etc/passwd"));
    assert!(run(&request(&format!("{}/c.json", away.url))).unwrap_err().to_string().contains("away from http"));
}

#[test]
fn headers_stay_with_their_server() {
    let other = Server::start(|_, _, _| Reply::json(&page(&["a"], None)));
    let target = format!("{}/x.json", other.url);
    let first = Server::start(move |_, _, _| Reply::status(302).header("Location", &target));
    let mut asking = request(&format!("{}/c.json", first.url));
    asking.http.headers.insert("X-Api-Key".into(), "geheim".into());
    run(&asking).unwrap();
    assert_eq!(first.asked()[0].headers.get("x-api-key").map(String::as_str), Some("geheim"));
    assert_eq!(other.asked()[0].headers.get("x-api-key"), None);
    assert!(!format!("{asking:?}").contains("geheim") && !serde_json::to_string(&asking).unwrap().contains("geheim"));
}

#[test]
fn a_document_beyond_the_limit_and_other_content_are_errors() {
    let large = Server::start(|_, _, _| Reply::text(&"[".repeat(10_000)));
    let mut asking = request(&format!("{}/c.json", large.url));
    asking.limits.document_bytes = 1000;
    assert!(matches!(run(&asking), Err(CatalogError::Limit { setting: "limits.document_bytes", .. })));
    let page_for_people = Server::start(|_, _, _| Reply::text("<html>Please log in</html>"));
    assert!(matches!(run(&request(&format!("{}/c.json", page_for_people.url))), Err(CatalogError::Json { .. })));
    let number = Server::start(|_, _, _| Reply::text("5"));
    assert!(matches!(run(&request(&format!("{}/c.json", number.url))), Err(CatalogError::Stac { .. })));
}

#[test]
fn an_unreachable_server_is_named() {
    let mut asking = request("http://127.0.0.1:9/search");
    asking.http.retries = 1;
    let message = run(&asking).unwrap_err().to_string();
    assert!(message.contains("127.0.0.1:9") && message.contains("2 attempt(s)"), "{message}");
}

#[test]
fn a_remote_item_cannot_name_local_files() {
    let server = Server::start(|_, _, _| {
        let mut answer = page(&["a"], None);
        answer["features"][0]["assets"] = json!({"B04": {"href": "file:///etc/hosts.tif"}, "B03": {"href": "/vsicurl/x.tif"}, "B02": {"href": "./B02.tif"}});
        Reply::json(&answer)
    });
    let outcome = run(&request(&format!("{}/search", server.url))).unwrap();
    let item = &outcome.items[0];
    let opened: Vec<(String, bool)> = item
        .assets()
        .iter()
        .map(|asset| (asset.key.clone(), skysense_catalog::Access::default().raster(item.root(), &asset.href).is_ok()))
        .collect();
    assert_eq!(opened, [("B04".into(), false), ("B03".into(), true), ("B02".into(), true)]);
    assert!(item.assets()[1].href.starts_with(&server.url), "a path of a remote catalog is a path of its server");
}

/// An API whose landing page has these conformance classes; everything else is answered by its search.
fn api(classes: &'static [&'static str], search: impl Fn(&Asked) -> Reply + Send + 'static) -> Server {
    Server::start(move |url, asked, _| match asked.path.as_str() {
        "/" => Reply::json(&json!({"type": "Catalog", "id": "api", "conformsTo": classes, "links": [
            {"rel": "search", "method": "GET", "href": format!("{url}/search")},
            {"rel": "search", "method": "POST", "href": format!("{url}/search")},
        ]})),
        _ => search(asked),
    })
}

const FILTERS: &str = "https://api.stacspec.org/v1.0.0/item-search#filter";
const IN_JSON: &str = "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json";
const IN_TEXT: &str = "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text";

#[test]
fn a_filter_is_sent_as_the_api_takes_it_and_applied_whatever_it_does() {
    let filter = Filter::parse("eo:cloud_cover < 5").unwrap();
    let cases: [(&'static [&'static str], Option<&str>); 3] =
        [(&[FILTERS, IN_JSON, IN_TEXT], Some("POST")), (&[FILTERS, IN_TEXT], Some("GET")), (&[], None)];
    for (classes, method) in cases {
        for landing in ["/", "/search"] {
            let server = api(classes, |_| Reply::json(&page(&["a", "b"], None)));
            let asking = SearchRequest { filter: Some(filter.clone()), ..request(&format!("{}{landing}", server.url)) };
            let outcome = run(&asking).unwrap();
            assert_eq!((outcome.items.len(), outcome.filtered), (0, 2), "{classes:?}");
            let asked = server.asked();
            let last = asked.iter().rfind(|asked| asked.path.starts_with("/search")).unwrap();
            match method {
                Some("POST") => {
                    assert_eq!(last.body["filter"], filter.to_json());
                    assert_eq!(last.body["filter-lang"], "cql2-json");
                }
                Some(_) => {
                    assert_eq!(last.method, "GET");
                    assert!(
                        last.path.contains("filter=%22eo%3Acloud_cover%22+%3C+5&filter-lang=cql2-text"),
                        "{}",
                        last.path
                    );
                }
                None => assert!(last.body.get("filter").is_none() && !last.path.contains("filter")),
            }
        }
    }
}

#[test]
fn cloud_cover_is_sent_where_filters_are_taken_and_never_loses_items_that_do_not_say_theirs() {
    let server = api(&[FILTERS, IN_JSON], |_| Reply::json(&page(&["a"], None)));
    let cloudy =
        |server: &Server| SearchRequest { max_cloud_cover: Some(60.0), ..request(&format!("{}/", server.url)) };
    assert_eq!(found(&run(&cloudy(&server)).unwrap()), ["a"]);
    let sent = Filter::from_json(&server.asked()[1].body["filter"]).unwrap();
    assert_eq!(sent.to_text(), r#""eo:cloud_cover" <= 60 OR "eo:cloud_cover" IS NULL"#);
    // A server that knows no such property is asked without.
    let strict =
        api(&[FILTERS, IN_JSON], |asked| match asked.body.get("filter").is_some() || asked.path.contains("filter") {
            true => Reply::text("unknown property").with_status(400),
            false => Reply::json(&page(&["a"], None)),
        });
    assert_eq!(found(&run(&cloudy(&strict)).unwrap()), ["a"]);
    // A filter of the user's own that a server refuses is not dropped in silence.
    let own = SearchRequest { filter: Some(Filter::parse("a = 1").unwrap()), ..cloudy(&strict) };
    let error = run(&own).unwrap_err();
    assert!(
        matches!(&error, CatalogError::Http { status: Some(400), found, .. } if found.contains("unknown property")),
        "{error}"
    );
}

#[test]
fn a_search_that_finds_nothing_knows_the_collections_that_there_are() {
    let server = Server::start(|_, asked, _| match asked.path.as_str() {
        "/search" => Reply::json(&page(&[], None)),
        "/collections" => Reply::json(&json!({"collections": [{"id": "sentinel-2-l2a"}, {"id": "sentinel-1-rtc"}]})),
        _ => Reply::status(404),
    });
    let outcome = run(&request(&format!("{}/search", server.url))).unwrap();
    assert_eq!(outcome.collections.into_iter().collect::<Vec<_>>(), ["sentinel-1-rtc", "sentinel-2-l2a"]);
}

#[test]
fn a_header_that_a_server_repeats_is_not_told() {
    let server =
        Server::start(|_, asked, _| Reply::text(&format!("bad {}", asked.headers["authorization"])).with_status(401));
    let mut asking = request(&format!("{}/search", server.url));
    asking.http.headers.insert("Authorization".into(), "Bearer geheim-geheim".into());
    let error = format!("{:?}", run(&asking).unwrap_err());
    assert!(error.contains("401") && !error.contains("geheim"), "{error}");
    for (name, value) in [("Auth orization", "x"), ("Authorization", "geheim\nX: y")] {
        let mut asking = request(&server.url);
        asking.http.headers.insert(name.into(), value.into());
        let error = run(&asking).unwrap_err();
        assert!(matches!(error, CatalogError::Request { field: "http/headers", .. }), "{error}");
        assert!(error.to_string().contains(name) && !error.to_string().contains("geheim"), "{error}");
    }
}

/// Without a look at the stop while it waits, this search would last as long as its timeout: a day.
#[test]
fn a_server_that_takes_a_request_and_keeps_silent_does_not_hold_up_a_stop() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/search", listener.local_addr().unwrap());
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = taken.clone();
    std::thread::spawn(move || {
        let held: Vec<_> =
            listener.incoming().inspect(|_| seen.store(true, std::sync::atomic::Ordering::SeqCst)).collect();
        drop(held);
    });
    let mut asking = request(&url);
    asking.http.timeout_seconds = 86_400;
    let stopped = search(&asking, &|| taken.load(std::sync::atomic::Ordering::SeqCst));
    assert!(matches!(stopped, Err(CatalogError::Stopped { .. })), "{stopped:?}");
}

#[test]
fn a_stopped_search_ends() {
    let server = Server::start(|_, _, _| Reply::status(503).header("Retry-After", "50"));
    let start = std::time::Instant::now();
    let stop = || start.elapsed() > std::time::Duration::from_millis(200);
    assert!(search(&request(&format!("{}/search", server.url)), &stop).unwrap_err().to_string().contains("stopped"));
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn recorded_pages_of_public_apis_are_followed() {
    let Some(folder) = std::env::var_os("SKYSENSE_REAL_DATA") else {
        return eprintln!("SKIPPED: SKYSENSE_REAL_DATA is not set, so no recorded page was looked at");
    };
    let mut pages = 0;
    for file in std::fs::read_dir(std::path::Path::new(&folder).join("items/_pages")).unwrap() {
        let recorded: Value = serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        let asked_for: Value = serde_json::from_str(recorded["request"]["body"].as_str().unwrap()).unwrap();
        let answer = recorded["response"].clone();
        let expected =
            answer["links"].as_array().unwrap().iter().find(|link| link["rel"] == "next").unwrap()["body"].clone();
        let server = Server::start(move |url, _, count| {
            let mut answer = answer.clone();
            for link in answer["links"].as_array_mut().unwrap() {
                if link["rel"] == "next" {
                    link["href"] = json!(format!("{url}/search"));
                }
            }
            if count == 0 { Reply::json(&answer) } else { Reply::json(&page(&["last"], None)) }
        });
        let outcome = run(&request(&format!("{}/search", server.url))).unwrap();
        assert!(outcome.items.iter().any(|item| item.id() == "last"), "{asked_for}");
        let second = &server.asked()[1];
        assert_eq!((second.method.as_str(), &second.body), ("POST", &expected));
        pages += 1;
    }
    assert_eq!(pages, 4);
}
