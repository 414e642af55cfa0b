//! The STAC API over what was written.

use serde_json::{Value, json};

use crate::bench::{Field, item, workflow};

fn ids(page: &Value) -> Vec<&str> {
    page["features"]
        .as_array()
        .expect("features")
        .iter()
        .map(|feature| feature["id"].as_str().expect("an id"))
        .collect()
}

#[test]
fn items_are_searched_paged_and_read() {
    let field = Field::new(&workflow("", ""));
    for day in 1..=7 {
        let mut one = item(&format!("i{day}"), "s2", day);
        let west = 5.0 + f64::from(day);
        one["bbox"] = json!([west, 45.0, west + 0.5, 46.0]);
        one["geometry"] = json!({"type": "Polygon", "coordinates": [[[west, 45], [west + 0.5, 45], [west + 0.5, 46], [west, 46], [west, 45]]]});
        field.arrive(&format!("{day}.json"), &one);
    }
    let (_serving, client) = field.serve_api(&["--concurrency", "3"]);
    field.wait("all results", |field| field.results().len() == 7);
    let landing = client.json("/stac");
    assert!(landing["conformsTo"].to_string().contains("item-search"));
    assert_eq!(
        client.json("/stac/collections")["collections"][0]["extent"]["temporal"]["interval"][0][0],
        "2021-01-01T10:00:00Z"
    );
    assert_eq!(client.json("/stac/collections/made")["extent"]["spatial"]["bbox"][0], json!([6.0, 45.0, 12.5, 46.0]));
    // Pages by GET and by POST, the latest first.
    let mut seen = Vec::new();
    let mut path = "/stac/search?limit=3".to_owned();
    loop {
        let page = client.json(&path);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        let next = page["links"].as_array().unwrap().iter().find(|link| link["rel"] == "next").cloned();
        let Some(next) = next else { break };
        path = next["href"].as_str().unwrap().replace(&format!("http://{}", client.address), "");
    }
    assert_eq!(seen.len(), 7);
    let dates = |page: &Value| -> Vec<String> {
        page["features"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["properties"]["datetime"].as_str().unwrap()[8..10].to_owned())
            .collect()
    };
    let posted = |body: Value| client.post("/stac/search", &body).is(200).json();
    let page = posted(json!({"limit": 5}));
    assert_eq!(dates(&page), ["07", "06", "05", "04", "03"]);
    let next = page["links"].as_array().unwrap().iter().find(|link| link["rel"] == "next").unwrap();
    assert_eq!(dates(&posted(next["body"].clone())), ["02", "01"]);
    for (body, expected) in [
        (json!({"datetime": "2021-01-03T00:00:00Z/2021-01-04T23:59:59Z"}), vec!["04", "03"]),
        (json!({"bbox": [6, 45, 7.1, 46]}), vec!["02", "01"]),
        (json!({"intersects": {"type": "Point", "coordinates": [9.2, 45.5]}}), vec!["04"]),
        (json!({"filter": "datetime < TIMESTAMP('2021-01-03T00:00:00Z')"}), vec!["02", "01"]),
        (
            json!({"filter": {"op": "=", "args": [{"property": "collection"}, "other"]}, "filter-lang": "cql2-json"}),
            vec![],
        ),
        (json!({"collections": ["none"]}), vec![]),
        (json!({"ids": [seen[0]]}), vec!["07"]),
    ] {
        assert_eq!(dates(&posted(body.clone())), expected, "{body}");
    }
    assert_eq!(dates(&client.json("/stac/search?bbox=6,45,7.1,46&datetime=2021-01-02T00:00:00Z/..")), ["02"]);
    assert_eq!(dates(&client.json("/stac/collections/made/items?limit=2")), ["07", "06"]);
    for wrong in [
        "limit=0",
        "limit=x",
        "bbox=1,2,3",
        "bbox=1,91,2,92",
        "datetime=soon",
        "datetime=2021-01-02",
        "datetime=../..",
        "filter=a+%3C",
        "token=x",
        "intersects=%7B",
    ] {
        client.get(&format!("/stac/search?{wrong}")).is(400);
    }
    client.post("/stac/search", &json!({"sortby": [{"field": "id"}]})).is(400);
}

#[test]
fn an_item_leads_to_its_files_and_to_no_others() {
    let field = Field::new(&workflow("", ""));
    field.arrive("a.json", &item("a", "s2", 1));
    let (_serving, client) = field.serve_api(&[]);
    field.wait("a result", |field| field.results().len() == 1);
    let page = client.json("/stac/search");
    let one = &page["features"][0];
    let id = one["id"].as_str().unwrap();
    assert_eq!(&client.json(&format!("/stac/collections/made/items/{id}")), one);
    let href = one["assets"]["data"]["href"].as_str().unwrap();
    let path = href.strip_prefix(&format!("http://{}", client.address)).expect("an address of the service");
    assert_eq!(client.get(path).is(200).text(), "a");
    let part = client.send("GET", path, &[("Range", "bytes=0-0")], b"").is(206);
    assert!(part.head.contains("content-range: bytes 0-0/1") && part.head.contains("attachment"), "{}", part.head);
    client.send("GET", path, &[("Range", "bytes=9-")], b"").is(416);
    let folder = field.path("").display().to_string();
    assert!(!page.to_string().contains(folder.trim_end_matches('/')), "a place of this machine is shown: {page}");
    for wrong in ["nothing", "..%2f..%2f..%2fservice.db", "%2e%2e", "data%00"] {
        client.get(&path.replace("/assets/data", &format!("/assets/{wrong}"))).is(404);
    }
    // An asset that leads out of its item's folder, by a link.
    let item = field.store().item("made", id).unwrap().unwrap();
    let data = std::path::Path::new(&item.href).with_file_name("data.txt");
    std::fs::remove_file(&data).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &data).unwrap();
    client.get(path).is(404);
}
