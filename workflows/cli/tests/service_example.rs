//! The example of a service with the real nodes: a poll, a folder watch and a webhook map a simulated scene, and what
//! they wrote is found, read and drawn.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]
#![cfg(unix)]

#[path = "service/browser.rs"]
mod browser;
#[path = "serve/client.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod client;
mod command;
#[path = "service/example.rs"]
mod example;
#[path = "quickstart/api.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod files;
#[path = "service/webdriver.rs"]
mod webdriver;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use client::Client;
use example::{copy, example, run, served, wait};
use serde_json::{Value, json};

/// One of the folders of items of the scene.
fn an_item(folder: &Path) -> PathBuf {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder.join("scene/sentinel-2-l2a"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    all.remove(0)
}

fn features(client: &Client, collection: &str) -> Vec<Value> {
    let page = client.json(&format!("/stac/search?collections={collection}"));
    page["features"].as_array().unwrap().clone()
}

/// The tile that holds a place.
fn tile_at(longitude: f64, latitude: f64, zoom: u32) -> (u32, u32) {
    let count = f64::from(1_u32 << zoom);
    let sine = latitude.to_radians().sin();
    let x = (longitude / 360.0 + 0.5) * count;
    let y = (0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * std::f64::consts::PI)) * count;
    (x as u32, y as u32)
}

#[test]
fn a_poll_a_watch_and_a_webhook_map_a_scene() {
    let folder = example();
    let here = folder.path();
    run(here, &["serve", "flows", "--check"]);
    let log = here.join("serve.log");
    let (_serving, client) = served(here);
    let address = client.address.clone();

    // Watched: an item with its files is put there.
    let item = an_item(here);
    let name = item.file_name().unwrap().to_string_lossy().into_owned();
    copy(&item, &here.join("incoming").join(&name));
    // Posted: an item whose files lie on a server.
    let server = files::Api::serve(here.join("scene"));
    let text = std::fs::read_to_string(item.join(format!("{name}.json"))).unwrap();
    let mut posted: Value = serde_json::from_str(&text).unwrap();
    for asset in posted["assets"].as_object_mut().unwrap().values_mut() {
        let file = asset["href"].as_str().unwrap().trim_start_matches("./").to_owned();
        asset["href"] = json!(format!("{}/files/sentinel-2-l2a/{name}/{file}", server.url));
    }
    assert_eq!(client.post("/hooks/posted/item", &posted).is(200).json()["new"], 1);

    let months = || client.json("/api/v1/runs?workflow=months")["runs"].as_array().unwrap().clone();
    wait("all maps", &log, || {
        let dead = client.json("/api/v1/dead");
        assert_eq!(dead["runs"], json!([]), "{dead}");
        let ended = months().iter().filter(|run| run["state"] == "done").count();
        ended > 0
            && ended == months().len()
            && !features(&client, "incoming-map").is_empty()
            && !features(&client, "posted-map").is_empty()
    });
    assert_eq!(features(&client, "crop-map").len(), months().len(), "a map of each month");
    assert_eq!((features(&client, "incoming-map").len(), features(&client, "posted-map").len()), (1, 1));

    // The same image from the folder and from the server gives the same map.
    let classes = |collection: &str| {
        let href = features(&client, collection)[0]["assets"]["class"]["href"].as_str().unwrap().to_owned();
        client.get(href.strip_prefix(&format!("http://{address}")).unwrap()).is(200).body
    };
    assert!(classes("incoming-map") == classes("posted-map"), "one image, two maps");

    tiles(&client, &features(&client, "crop-map")[0]);
}

/// Tiles show the map where it is, and nothing elsewhere; GDAL reads them as WMTS where it is there.
fn tiles(client: &Client, item: &Value) {
    let [west, south, east, north] = [0, 1, 2, 3].map(|at| item["bbox"][at].as_f64().unwrap());
    let base = format!("/tiles/crop-map/{}/class", item["id"].as_str().unwrap());
    let (x, y) = tile_at((west + east) / 2.0, (south + north) / 2.0, 15);
    let shown = |path: &str| {
        let reply = client.get(path).is(200);
        assert!(reply.head.contains("content-type: image/png"), "{}", reply.head);
        let image = image::load_from_memory(&reply.body).unwrap().to_rgba8();
        assert_eq!(image.dimensions(), (256, 256));
        image.pixels().filter(|pixel| pixel.0[3] > 0).count()
    };
    let there = shown(&format!("{base}/15/{x}/{y}.png"));
    assert!(there > 5_000, "{there} pixels");
    assert_eq!(shown(&format!("{base}/15/{x}/{y}.png")), there, "the kept one is the same");
    assert_eq!(shown(&format!("{base}/15/{}/{y}.png", x + 40)), 0);
    client.get(&format!("{base}/3/9/0.png")).is(404);
    client.get(&format!("{base}/99/0/0.png")).is(404);
    client.get(&format!("{}/15/{x}/{y}.png", base.replace("/class", "/nothing"))).is(404);
    let legend = client.json(&format!("{base}/tilejson.json"))["legend"].clone();
    assert!(legend.as_array().is_some_and(|classes| classes.len() > 1), "{legend}");
    let address = format!("WMTS:http://{}{base}/WMTSCapabilities.xml", client.address);
    if let Ok(answer) = Command::new("gdalinfo").args(["-json", &address]).output() {
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let info: Value = serde_json::from_slice(&answer.stdout).unwrap();
        assert_eq!(info["driverShortName"], "WMTS");
        let corner = &info["wgs84Extent"]["coordinates"][0];
        assert!(corner.is_array(), "{info}");
    }
}
