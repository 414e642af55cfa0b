//! What every node says about itself holds: examples parse, ports are told, mistakes are told at the right field.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod harness;

use harness::{Bench, messages};
use serde_json::{Value, json};
use skysense_abi::{Host, NoHost, PlanInputs};
use skysense_plugin::{NODES, TOOLS};

#[test]
fn every_example_fits_the_settings_of_its_node() {
    for entry in NODES {
        let about = entry.describe();
        let example: Value =
            serde_yaml::from_str(&about.doc.example).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        let (_, node) = example
            .as_object()
            .and_then(|nodes| nodes.iter().next())
            .unwrap_or_else(|| panic!("{}: no node in its example", entry.name));
        assert_eq!(node["uses"], json!(entry.name));
        let with = node.get("with").cloned().unwrap_or(json!({}));
        // Without inputs and catalogs a plan fails, but never because of the settings.
        if let Err(faults) = entry.plan(&with.to_string(), &PlanInputs::default(), &Host::new(NoHost)) {
            assert!(
                faults.iter().all(|fault| fault.code != "settings.invalid"),
                "{}: {}",
                entry.name,
                messages(&faults)
            );
        }
    }
}

#[test]
fn every_node_is_documented() {
    for entry in NODES {
        let about = entry.describe();
        for section in ["## Columns", "## Limits"] {
            assert!(about.doc.doc.contains(section), "{} lacks {section}", entry.name);
        }
        assert!(!about.doc.summary.ends_with('.') && !about.doc.summary.is_empty(), "{}", entry.name);
        let settings = &about.settings["properties"];
        for (name, setting) in settings.as_object().into_iter().flatten() {
            assert!(
                setting.get("description").is_some() || setting.get("$ref").is_some() || setting.get("anyOf").is_some(),
                "{}: setting {name} says nothing about itself",
                entry.name
            );
        }
        for port in &about.doc.inputs {
            assert!(!port.doc.is_empty() && !port.kinds.is_empty(), "{}: port {}", entry.name, port.name);
        }
    }
    assert!(TOOLS.iter().all(|tool| !tool.describe().summary.is_empty()));
}

#[test]
fn unknown_settings_are_named() {
    for entry in NODES {
        let faults = entry.plan(r#"{"hrfe": 1}"#, &PlanInputs::default(), &Host::new(NoHost)).err().unwrap_or_default();
        assert!(messages(&faults).contains("hrfe"), "{}: {}", entry.name, messages(&faults));
    }
}

#[test]
fn a_missing_input_is_named() {
    let bench = Bench::new(1, std::env::temp_dir());
    for (name, settings, port) in [
        ("raster.chips", json!({}), "items"),
        ("skysense.segment", json!({"model": "m"}), "chips"),
        ("skysense.embed", json!({"model": "m"}), "chips"),
        ("stac.write", json!({"href": "out", "collection": "c"}), "maps"),
    ] {
        let faults = bench.plan(name, settings, &[]).err().unwrap_or_default();
        assert!(messages(&faults).contains(port), "{name}: {}", messages(&faults));
    }
}

#[test]
fn a_catalog_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let told = |settings: Value| messages(&bench.plan("stac.search", settings, &[]).err().unwrap_or_default());
    let missing = told(json!({"href": "no/catalog.json"}));
    assert!(missing.contains("/href") && missing.contains("no/catalog.json"), "{missing}");
    std::fs::write(folder.path().join("broken.json"), "{\"type\": \"Catalog\",\n  oops").unwrap();
    let broken = told(json!({"href": "broken.json"}));
    assert!(broken.contains("line 2") && broken.contains("broken.json"), "{broken}");
    let many =
        told(json!({"href": "broken.json", "bbox": [1.0, 2.0, 3.0, 400.0], "limit": 0, "area": {"type": "Circle"}}));
    for field in ["/bbox", "/limit", "/area"] {
        assert!(many.contains(field), "{field}: {many}");
    }
    let sensor = told(json!({"href": "broken.json", "sensors": {"c": "sentinel-9"}}));
    assert!(sensor.contains("/sensors") && sensor.contains("sentinel-2-l2a"), "{sensor}");
}

#[test]
fn hints_of_a_search_name_settings_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let plan = |settings: Value| messages(&bench.plan("stac.search", settings, &[]).err().unwrap_or_default());
    let limits = ["items", "depth", "documents", "pages", "document_bytes", "redirects"].map(|name| ("limits", name));
    for (group, name) in limits.into_iter().chain([("http", "retries"), ("http", "timeout_seconds")]) {
        let told = plan(json!({"href": "none.json", group: {name: 3}}));
        assert!(told.contains("catalog.read") && !told.contains("settings.invalid"), "{group}.{name}: {told}");
    }
    // A server that lets nobody in without a header, and sends those who have it in a circle.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/catalog.json", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = String::new();
            let mut lines = std::io::BufReader::new(&stream);
            while std::io::BufRead::read_line(&mut lines, &mut asked).is_ok() && !asked.ends_with("\r\n\r\n") {}
            let answer = match asked.contains("geheim") {
                true => "302 Found\r\nLocation: /again.json",
                false => "401 Unauthorized",
            };
            let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _client_may_be_gone = std::io::Write::write_all(&mut stream, text.as_bytes());
        }
    });
    let outside = plan(json!({"href": url}));
    assert!(outside.contains("status 401") && outside.contains("http: {headers: {Authorization:"), "{outside}");
    let inside = plan(json!({"href": url, "http": {"headers": {"X-Key": "geheim"}}, "limits": {"redirects": 2}}));
    assert!(inside.contains("limit of 2") && inside.contains("raise `limits.redirects`"), "{inside}");
}
