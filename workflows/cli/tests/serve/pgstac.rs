//! A poll of a real STAC API: stac-fastapi.pgstac, which `workflows/serve/tests/pgstac.sh` starts.

use std::io::Write;

use serde_json::{Value, json};

use crate::{
    bench::Field,
    client::{Client, Reply},
    kills::survives,
    poll::polled,
};

/// Puts an item into a collection, in the place of the one that has its id.
fn put(server: &Client, item: &Value) {
    let items = format!("/collections/{}/items", item["collection"].as_str().unwrap());
    let posted: Reply = server.post(&items, item);
    if posted.status != 409 {
        posted.is(201);
        return;
    }
    let path = format!("{items}/{}", item["id"].as_str().unwrap());
    let head = [("Content-Type", "application/json")];
    server.send("PUT", &path, &head, item.to_string().as_bytes()).is(200);
}

#[test]
fn every_item_of_a_real_server_is_run_once_through_kills() {
    let Ok(address) = std::env::var("SKYSENSE_TEST_PGSTAC") else {
        // Past libtest, which keeps what a test that passes says.
        let words = b"\n*** SKIPPED: no real STAC API was polled; workflows/serve/tests/pgstac.sh starts one ***\n";
        return std::io::stderr().write_all(words).unwrap();
    };
    let server = Client::new(&address);
    // Of an earlier time, if this is not the first.
    server.send("DELETE", "/collections/s2", &[], b"");
    let collection = json!({
        "type": "Collection", "stac_version": "1.0.0", "id": "s2", "description": "a test", "license": "other", "links": [],
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2021-01-01T00:00:00Z", null]]}},
    });
    server.post("/collections", &collection).is(201);
    let field =
        Field::new(&polled(&format!("http://{address}"), "400d").replace("timeout_seconds: 1", "timeout_seconds: 30"));
    survives(&field, |name, one| {
        let mut one = one.clone();
        // A third of them says when it was touched, a third with parts of a second, a third does not.
        let taken = one["properties"]["datetime"].as_str().unwrap().to_owned();
        match name.trim_end_matches("-again").parse().unwrap_or(0_u32) % 3 {
            0 => one["properties"]["updated"] = json!(taken),
            1 => one["properties"]["updated"] = json!(taken.replace('Z', ".123456Z")),
            _ => {}
        }
        put(&server, &one);
    });
    // By now it is asked for what is new alone, and hears of it.
    let (_serving, client) = field.serve_api(&[]);
    field.wait("a look that asks for news", |_| {
        client.json("/api/v1/workflows/map")["triggers"][0]["state"]["cursor"]["at"].is_string()
    });
    let state = || client.json("/api/v1/workflows/map")["triggers"][0]["state"].clone();
    assert_eq!(state()["error"], Value::Null);
    assert_ne!(state()["cursor"]["way"], 2, "the server understands one of the ways to ask for news: {}", state());
    let before = field.results().len();
    let mut new = crate::bench::item("new", "s2", 20);
    new["properties"]["updated"] = json!("2022-01-01T00:00:00Z");
    put(&server, &new);
    field.wait("the new one", |field| field.results().len() == before + 1);
}
