//! Static catalogs on disk: links of every kind, cycles, limits, broken files, files outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skysense_catalog::{Access, CatalogError, Filter, Limits, SearchRequest, search};

fn write(path: PathBuf, value: &Value) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, value.to_string()).unwrap();
    path
}

fn item(id: &str, version: &str) -> Value {
    json!({"type": "Feature", "stac_version": version, "id": id, "bbox": [1, 2, 3, 4], "geometry": null, "properties": {"datetime": "2021-01-01"}, "links": [], "assets": {"a": {"href": "./a.tif"}}})
}

fn catalog(links: &[(&str, &str)]) -> Value {
    let links: Vec<Value> = links.iter().map(|(rel, href)| json!({"rel": rel, "href": href})).collect();
    json!({"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "d", "links": links})
}

fn request(path: &Path) -> SearchRequest {
    SearchRequest::new(path.to_str().unwrap())
}

fn ids(request: &SearchRequest) -> Vec<String> {
    search(request, &|| false).unwrap().items.iter().map(|item| item.id().to_owned()).collect()
}

#[test]
fn relative_absolute_and_circular_links() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(at("items/x.json"), &item("x", "1.0.0"));
    let absolute = write(at("items/y.json"), &item("y", "0.9.0"));
    write(
        at("sub/catalog.json"),
        &catalog(&[
            ("root", "../catalog.json"),
            ("child", "../catalog.json"),
            ("child", "./catalog.json"),
            ("item", absolute.to_str().unwrap()),
            ("item", "../items/x.json#frag"),
        ]),
    );
    let root = write(
        at("catalog.json"),
        &catalog(&[
            ("self", "./catalog.json"),
            ("child", "sub/catalog.json"),
            ("item", "./items/x.json"),
            ("item", "items/../items/x.json"),
        ]),
    );
    assert_eq!(ids(&request(&root)), ["x", "y"]);
    let outcome = search(&request(&root), &|| false).unwrap();
    assert_eq!(outcome.items[0].assets()[0].href, at("items").canonicalize().unwrap().join("a.tif").to_str().unwrap());
}

#[test]
fn a_single_item_and_a_collection_of_items() {
    let folder = tempfile::tempdir().unwrap();
    let single = write(folder.path().join("x.json"), &item("x", "1.1.0"));
    assert_eq!(ids(&request(&single)), ["x"]);
    let many = write(
        folder.path().join("many.json"),
        &json!({"type": "FeatureCollection", "features": [item("a", "0.7.0"), item("b", "1.0.0-beta.2"), item("a", "0.7.0")]}),
    );
    let outcome = search(&request(&many), &|| false).unwrap();
    assert_eq!((outcome.items.len(), outcome.repeated), (2, 1));
}

#[test]
fn broken_missing_and_outside_documents_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(at("outside/z.json"), &item("z", "1.0.0"));
    std::fs::write(at("broken.json"), "{\"type\": \"Feature\",\n oops").unwrap();
    write(at("in/x.json"), &item("x", "1.0.0"));
    std::fs::rename(at("broken.json"), at("in/broken.json")).unwrap();
    let root = write(
        at("in/catalog.json"),
        &catalog(&[
            ("item", "broken.json"),
            ("item", "missing.json"),
            ("item", "../outside/z.json"),
            ("item", "x.json"),
            ("child", ""),
        ]),
    );
    let outcome = search(&request(&root), &|| false).unwrap();
    assert_eq!(outcome.items.len(), 1);
    let reasons: Vec<&str> = outcome.skipped.iter().map(|skipped| skipped.reason.as_str()).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("line 2, column 2")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("outside of the catalog's folder")), "{reasons:?}");
    let open = SearchRequest { access: Access::new([at("outside")]), ..request(&root) };
    assert_eq!(ids(&open), ["x", "z"]);
}

#[test]
fn a_geometry_that_is_none_is_named_and_the_other_items_stay() {
    let folder = tempfile::tempdir().unwrap();
    for (coordinates, told) in [
        (json!([[[1]]]), "[1], expected [longitude, latitude]"),
        (json!([[[14.6], [14.7]]]), "[14.6], expected [longitude, latitude]"),
        (json!([[[500_000.0, 5e6], [600_000.0, 5e6], [600_000.0, 5.1e6], [500_000.0, 5e6]]]), "not in degrees"),
        (json!("here"), "array of positions"),
    ] {
        let mut bad = item("bad", "1.0.0");
        bad["geometry"] = json!({"type": "Polygon", "coordinates": coordinates});
        let both = json!({"type": "FeatureCollection", "features": [bad, item("good", "1.0.0")]});
        let outcome = search(&request(&write(folder.path().join("both.json"), &both)), &|| false).unwrap();
        assert_eq!(outcome.items.iter().map(|item| item.id()).collect::<Vec<_>>(), ["good"]);
        assert_eq!(outcome.skipped[0].item.as_deref(), Some("bad"));
        assert!(outcome.skipped[0].reason.contains(told), "{}", outcome.skipped[0].reason);
    }
}

#[test]
fn a_filter_holds_for_items_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let with = |id: &str, cover: Value| {
        let mut item = item(id, "1.0.0");
        item["properties"]["eo:cloud_cover"] = cover;
        item
    };
    let all = json!({"type": "FeatureCollection", "features": [with("clear", json!(5)), with("cloudy", json!(90)), with("silent", Value::Null)]});
    let path = write(folder.path().join("all.json"), &all);
    let filtered = |text: &str| ids(&SearchRequest { filter: Some(Filter::parse(text).unwrap()), ..request(&path) });
    assert_eq!(filtered("eo:cloud_cover < 20"), ["clear"]);
    assert_eq!(filtered("eo:cloud_cover IS NULL OR id = 'cloudy'"), ["cloudy", "silent"]);
    assert_eq!(filtered("datetime > DATE('2022-01-01')"), [""; 0]);
}

#[test]
fn depth_documents_and_items_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    for level in 0..30 {
        write(
            folder.path().join(format!("{level}.json")),
            &catalog(&[("child", &format!("{}.json", level + 1)), ("item", &format!("i{level}.json"))]),
        );
        write(folder.path().join(format!("i{level}.json")), &item(&format!("i{level}"), "1.0.0"));
    }
    let with = |limits: Limits| search(&SearchRequest { limits, ..request(&folder.path().join("0.json")) }, &|| false);
    assert!(matches!(with(Limits::default()), Err(CatalogError::Limit { setting: "limits.depth", .. })));
    assert!(matches!(
        with(Limits { documents: 10, ..Limits::default() }),
        Err(CatalogError::Limit { setting: "limits.documents", .. })
    ));
    assert!(matches!(
        with(Limits { items: 3, depth: 100, ..Limits::default() }),
        Err(CatalogError::Limit { setting: "limits.items", .. })
    ));
}

#[test]
fn what_is_no_catalog_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let other = write(folder.path().join("x.json"), &json!({"hello": 1}));
    assert!(matches!(search(&request(&other), &|| false), Err(CatalogError::Stac { .. })));
    assert!(matches!(search(&request(&folder.path().join("none.json")), &|| false), Err(CatalogError::Read { .. })));
    assert!(matches!(search(&SearchRequest::default(), &|| false), Err(CatalogError::Request { field: "href", .. })));
    assert!(matches!(search(&SearchRequest::new("ftp://h/c.json"), &|| false), Err(CatalogError::Href { .. })));
}
