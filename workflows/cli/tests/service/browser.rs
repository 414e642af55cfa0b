//! The page in a real browser, from the first visit to a finished run with its map.

use std::{collections::BTreeSet, io::Write, path::PathBuf};

use serde_json::json;

use skysense_serve::MapLibrary;

use crate::{
    client::Client,
    example::{example, served, served_with, wait},
    tile_at,
    webdriver::Browser,
};

const RIGHT: &str = "\u{e014}";

#[test]
fn a_visitor_runs_a_workflow_and_sees_its_map() {
    let Some(browser) = browser() else { return };
    if let Err(reason) = MapLibrary::find(None) {
        return skipped(&reason);
    }
    let pictures = std::env::var_os("SKYSENSE_TEST_PICTURES").map(PathBuf::from);
    let pictures = pictures.as_deref();
    let folder = example();
    let here = folder.path();
    let (_serving, client) = served(here);
    let log = here.join("serve.log");
    wait("the months that the poll found", &log, || {
        let runs = client.json("/api/v1/runs?workflow=months")["runs"].as_array().unwrap().clone();
        runs.len() > 1 && runs.iter().all(|run| run["state"] == "done")
    });

    browser.open(&format!("http://{}/", client.address));
    browser.wait("the workflows", "document.querySelectorAll('.cards h3').length === 3");
    browser.picture(pictures, "1-workflows");
    browser.click("a[href='#workflows/months']");
    browser.wait("the graph", "document.querySelectorAll('svg.graph g').length === 4");
    browser.picture(pictures, "2-workflow");
    // A run is begun by hand and followed to its end.
    browser.click("form button");
    browser.wait("the run", "location.hash.startsWith('#runs/')");
    browser.wait("its nodes at work or done", "document.querySelector('svg.graph g.busy, svg.graph g.done')");
    browser.picture(pictures, "3-run");
    browser.wait("its end", "document.querySelector('dd .state.done')");
    browser.wait("all nodes", "document.querySelectorAll('svg.graph g.done').length === 4");
    browser.wait("its result", "document.querySelector('main a[href^=\"#map/crop-map/\"]')");
    browser.picture(pictures, "4-run-done");

    browser.click("main a[href^='#map/crop-map/']");
    browser.wait("the legend", "document.querySelectorAll('.legend li').length > 3");
    browser.wait("the map", DRAWN);
    // The middle of the map shows the classes of the tile that lies there.
    let palette = palette(&client, &browser);
    let shown = |picture: &[u8], from: f64, to: f64| share(picture, &browser, (from, to), &palette);
    let picture = browser.picture(pictures, "5-map");
    assert!(shown(&picture, 0.45, 0.55) > 0.95, "{} of {palette:?}", shown(&picture, 0.45, 0.55));
    assert!(shown(&picture, 0.0, 0.1) < 0.05, "nothing lies beside the scene");

    // Back in time to a month that the poll found: held against the scene that it was made from.
    browser.script("document.querySelector('#time').focus(); document.querySelector('#time').value = 0; document.querySelector('#time').dispatchEvent(new Event('input'));");
    browser.wait("the first month's scene", "document.querySelector('#other option[value^=input]')");
    browser.script("const other = document.querySelector('#other'); other.value = 'input 0'; other.dispatchEvent(new Event('change'));");
    browser.wait("both maps", &format!("document.querySelectorAll('.map canvas').length === 2 && {DRAWN}"));
    let picture = browser.picture(pictures, "6-swipe");
    let (left, right) = (shown(&picture, 0.42, 0.48), shown(&picture, 0.52, 0.58));
    assert!(left > 0.95 && right < 0.5, "the map left of the rule and its scene right of it: {left} {right}");
    // The rule follows the slider, and the opacity the other.
    let rule = "return parseFloat(document.querySelector('.map .rule').style.left) / 100";
    let before = browser.script(rule).as_f64().unwrap();
    for _ in 0..20 {
        browser.keys("#swipe", RIGHT);
    }
    let after = browser.script(rule).as_f64().unwrap();
    assert!((after - before - 0.2).abs() < 0.01, "{before} {after}");
    browser.script("const opacity = document.querySelector('#opacity'); opacity.value = 40; opacity.dispatchEvent(new Event('input'));");
    browser.wait("thinner maps", DRAWN);
    let picture = browser.picture(pictures, "6-thin");
    assert!(shown(&picture, 0.42, 0.48) < 0.05, "the ground shines through");
    // The map itself by keys: where it stands is told.
    let place = "return document.querySelector('.map .place').textContent";
    let stood = browser.script(place);
    browser.keys(".map canvas", &format!("+{RIGHT}"));
    browser.wait("another place", &format!("document.querySelector('.map .place').textContent !== {stood}"));
    browser.wait(
        "the provenance",
        "[...document.querySelectorAll('dl dd li')].some((one) => one.textContent.includes('sentinel-2-l2a/'))",
    );

    // Through time by the keyboard.
    let first = browser.script("return document.querySelector('output[for=time]').textContent");
    browser.keys("#time", RIGHT);
    browser.wait("the next result", &format!("document.querySelector('output[for=time]').textContent !== {first}"));

    // In the dark, and on a telephone: nothing is wider than the screen.
    browser.emulate(
        "Emulation.setEmulatedMedia",
        json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]}),
    );
    assert_eq!(browser.script("return getComputedStyle(document.body).backgroundColor"), "rgb(17, 22, 28)");
    browser.wait("the map in the dark", DRAWN);
    browser.picture(pictures, "7-dark");
    let telephone = json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
    browser.emulate("Emulation.setDeviceMetricsOverride", telephone);
    for (number, view) in ["map", "workflows", "workflows/months", "runs", "models", "dead"].into_iter().enumerate() {
        browser.script(&format!("location.hash = '#{view}'"));
        browser.wait(
            "the view",
            "document.querySelector('main h2') && !document.querySelector('main').textContent.startsWith('Loading')",
        );
        browser.wait("no view wider than the screen", "document.documentElement.scrollWidth <= innerWidth");
        if view == "map" {
            browser.wait("the map of a telephone", DRAWN);
        }
        browser.picture(pictures, &format!("8-telephone-{number}"));
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn without_its_library_the_page_says_so_and_does_all_else() {
    let Some(browser) = browser() else { return };
    let folder = example();
    let here = folder.path();
    // Nothing lies in a cache that is not there.
    let cache = here.join("no-cache");
    let (_serving, client) = served_with(here, &[], &[("XDG_CACHE_HOME", cache.to_str().unwrap())]);
    client.get("/maplibre/maplibre-gl-csp.js").is(404);
    wait("a map", &here.join("serve.log"), || client.json("/stac/search?limit=1")["features"][0].is_object());
    browser.open(&format!("http://{}/#map", client.address));
    browser.wait("the words", "document.querySelector('.map').textContent.includes('./x setup')");
    browser.wait("the legend", "document.querySelectorAll('.legend li').length > 3");
    browser.picture(std::env::var_os("SKYSENSE_TEST_PICTURES").map(PathBuf::from).as_deref(), "9-no-library");
}

/// Whether the map has drawn all that it has to show.
const DRAWN: &str = "document.querySelector('.map[aria-busy=false] canvas')";

/// A browser, where there is one.
fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        skipped("apt-get install chromium chromium-driver");
    }
    browser
}

/// Past libtest, which keeps what a test that passes says.
fn skipped(reason: &str) {
    let words = format!("\n*** SKIPPED: the page was NOT looked at: {reason} ***\n");
    std::io::stderr().write_all(words.as_bytes()).unwrap();
}

/// The colours of the tile in the middle of the item that the page shows.
fn palette(client: &Client, browser: &Browser) -> BTreeSet<[u8; 3]> {
    let hash = browser.script("return location.hash");
    let (collection, item) = hash.as_str().unwrap().trim_start_matches("#map/").split_once('/').unwrap();
    let shown = client.json(&format!("/stac/collections/{collection}/items/{item}"));
    let [west, south, east, north] = [0, 1, 2, 3].map(|at| shown["bbox"][at].as_f64().unwrap());
    let (x, y) = tile_at((west + east) / 2.0, (south + north) / 2.0, 15);
    let tile = client.get(&format!("/tiles/{collection}/{item}/class/15/{x}/{y}.png")).is(200).body;
    let tile = image::load_from_memory(&tile).unwrap().to_rgba8();
    tile.pixels().filter(|pixel| pixel.0[3] == 255).map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]]).collect()
}

/// How much of the map's middle row, between two shares of its width, has one of these colours.
fn share(picture: &[u8], browser: &Browser, (from, to): (f64, f64), palette: &BTreeSet<[u8; 3]>) -> f64 {
    let frame = browser.script("const frame = document.querySelector('.map').getBoundingClientRect(); return [frame.left, frame.top, frame.width, frame.height]");
    let [left, top, width, height] = [0, 1, 2, 3].map(|at| frame[at].as_f64().unwrap());
    let image = image::load_from_memory(picture).unwrap().to_rgb8();
    let is_known = |pixel: &image::Rgb<u8>| {
        // A graphics device may round otherwise than we do.
        palette.iter().any(|known| known.iter().zip(pixel.0).all(|(a, b)| a.abs_diff(b) <= 2))
    };
    let middle = (top + height / 2.0) as u32;
    let (columns, rows) = ((left + width * from) as u32..(left + width * to) as u32, -10..10);
    let pixels: Vec<bool> = columns
        .flat_map(|x| rows.clone().map(move |row| (x, middle.saturating_add_signed(row))))
        .map(|(x, y)| is_known(image.get_pixel(x, y)))
        .collect();
    pixels.iter().filter(|known| **known).count() as f64 / pixels.len() as f64
}
