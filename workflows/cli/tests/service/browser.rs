//! The page in a real browser, from the first visit to a finished run with its map.

use std::{io::Write, path::PathBuf};

use serde_json::json;

use crate::{example, served, wait, webdriver::Browser};

const RIGHT: &str = "\u{e014}";

#[test]
fn a_visitor_runs_a_workflow_and_sees_its_map() {
    let Some(browser) = Browser::start() else {
        // Past libtest, which keeps what a test that passes says.
        let words = b"\n*** SKIPPED: the page was NOT looked at: apt-get install chromium chromium-driver ***\n";
        return std::io::stderr().write_all(words).unwrap();
    };
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
    let shown = "[...document.querySelectorAll('.map .layer img')].filter((image) => image.naturalWidth && getComputedStyle(image).visibility === 'visible').length";
    browser.wait(
        "tiles",
        &format!("{shown} > 0 && [...document.querySelectorAll('.map .layer img')].every((image) => image.complete)"),
    );
    browser.wait("the legend", "document.querySelectorAll('.legend li').length > 3");
    assert!(colours(&browser.picture(pictures, "5-map")) > 200, "a map has colours");

    // Back in time to a month that the poll found: held against the scene that it was made from.
    browser.script("document.querySelector('#time').focus(); document.querySelector('#time').value = 0; document.querySelector('#time').dispatchEvent(new Event('input'));");
    browser.wait("the first month's scene", "document.querySelector('#other option[value^=input]')");
    browser.script("const other = document.querySelector('#other'); other.value = 'input 0'; other.dispatchEvent(new Event('change'));");
    browser.wait("the scene's tiles", "[...document.querySelectorAll('.map .layer:nth-child(2) img')].some((image) => image.naturalWidth && image.src.includes('/inputs/0/'))");
    browser.wait("all tiles", "[...document.querySelectorAll('.map .layer img')].every((image) => image.complete)");
    browser.picture(pictures, "6-swipe");
    // The rule follows the slider, and the opacity the other.
    let rule = "return parseFloat(document.querySelector('.map .rule').style.left) / document.querySelector('.map').clientWidth";
    let before = browser.script(rule).as_f64().unwrap();
    for _ in 0..20 {
        browser.keys("#swipe", RIGHT);
    }
    let after = browser.script(rule).as_f64().unwrap();
    assert!((after - before - 0.2).abs() < 0.01, "{before} {after}");
    browser.script("const opacity = document.querySelector('#opacity'); opacity.value = 40; opacity.dispatchEvent(new Event('input'));");
    assert_eq!(browser.script("return document.querySelector('.map .layer').style.opacity"), "0.4");
    // The map itself by keys: where it stands is told.
    let place = "return document.querySelector('.map .place').textContent";
    let stood = browser.script(place);
    browser.keys(".map", &format!("+{RIGHT}"));
    assert_ne!(browser.script(place), stood);
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
        browser.picture(pictures, &format!("8-telephone-{number}"));
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}

/// How many colours a picture has.
fn colours(png: &[u8]) -> usize {
    let image = image::load_from_memory(png).unwrap().to_rgb8();
    image.pixels().map(|pixel| pixel.0).collect::<std::collections::BTreeSet<_>>().len()
}
