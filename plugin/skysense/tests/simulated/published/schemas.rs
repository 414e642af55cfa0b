//! Validity against the STAC JSON schemas, which are other people's and no part of this project: `stac_schemas.py`
//! beside these tests collects them, and SKYSENSE_STAC_SCHEMAS names their folder.

use std::error::Error;
use std::path::PathBuf;

use jsonschema::{Retrieve, Uri};
use serde_json::Value;

use super::published;
use crate::bench::{package, read};

/// The folder of the schemas, or `None` with a loud word.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SKYSENSE_STAC_SCHEMAS").map(PathBuf::from).filter(|path| path.is_dir());
    if folder.is_none() {
        eprintln!(
            "\n*** SKIPPED: validity against the STAC schemas was NOT checked. Collect them with \
             `python3 plugin/skysense/tests/stac_schemas.py FOLDER` and set SKYSENSE_STAC_SCHEMAS=FOLDER ***\n"
        );
    }
    folder
}

/// A schema lies at its address without the scheme.
#[derive(Clone)]
struct Folder(PathBuf);

impl Folder {
    fn schema(&self, url: &str) -> Option<Value> {
        // The schema of mlm takes its list of classes from an older version of another extension, which no package
        // holds. That of the version that items declare asks for more.
        let url = url.replace("/classification/v1.1.0/", "/classification/v2.0.0/");
        let place = url.trim_end_matches('#').split_once("://")?.1;
        let path = [place.to_owned(), format!("{place}.json")].map(|place| self.0.join(place));
        path.iter().find(|path| path.is_file()).map(|path| read(path))
    }

    /// Every fault of a document against a schema; `None` where the folder lacks the schema.
    fn faults(&self, document: &Value, url: &str) -> Option<Vec<String>> {
        let schema = self.schema(url)?;
        let validator = jsonschema::options().with_retriever(self.clone()).should_validate_formats(true).build(&schema);
        let validator = validator.unwrap_or_else(|error| panic!("schema {url}: {error}"));
        Some(validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect())
    }
}

impl Retrieve for Folder {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        self.schema(uri.as_str()).ok_or_else(|| format!("{uri} is not in {}", self.0.display()).into())
    }
}

/// Schemas that no package holds; machines that reach them collect them too.
const MAY_LACK: [&str; 2] = ["/raster/v2.0.0/", "/processing/v1.2.0/"];

/// Holds a document to the core schema and to that of every extension that it declares.
fn hold(schemas: &Folder, document: &Value) {
    let core = match document["type"].as_str() {
        Some("Feature") => "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json",
        _ => "https://schemas.stacspec.org/v1.1.0/collection-spec/json-schema/collection.json",
    };
    let declared = document["stac_extensions"].as_array().unwrap().iter().map(|url| url.as_str().unwrap());
    for url in std::iter::once(core).chain(declared) {
        match schemas.faults(document, url) {
            Some(faults) => assert!(faults.is_empty(), "{} against {url}:\n{}", document["id"], faults.join("\n")),
            None if MAY_LACK.iter().any(|part| url.contains(part)) => {
                eprintln!("\n*** {url} is not in the folder of schemas: NOT checked against it ***\n");
            }
            None => panic!("{url} is declared, and the folder of schemas does not hold it"),
        }
    }
}

#[test]
fn items_collections_and_the_models_record_are_valid() {
    let Some(folder) = folder() else { return };
    let schemas = Folder(folder);
    let published = published();
    for document in published.items().iter().chain(&published.collections()) {
        hold(&schemas, document);
    }
    hold(&schemas, &read(&package().join("mlm.json")));
}

#[test]
fn a_fault_would_be_found() {
    let Some(folder) = folder() else { return };
    let schemas = Folder(folder);
    let item = published().items().remove(0);
    let spoiled = |change: &dyn Fn(&mut Value), url: &str| {
        let mut item = item.clone();
        change(&mut item);
        schemas.faults(&item, url).expect("the schema is there")
    };
    let extension = |name: &str| format!("https://stac-extensions.github.io/{name}/schema.json");
    let core = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json";
    assert!(!spoiled(&|item| item["geometry"] = serde_json::json!("here"), core).is_empty());
    let projection = extension("projection/v2.0.0");
    assert!(!spoiled(&|item| item["properties"]["proj:shape"] = serde_json::json!([1]), &projection).is_empty());
    let file = extension("file/v2.1.0");
    assert!(!spoiled(&|item| item["assets"]["class"]["file:checksum"] = serde_json::json!("?"), &file).is_empty());
    let classification = extension("classification/v2.0.0");
    let unnamed =
        |item: &mut Value| item["assets"]["class"]["classification:classes"][0]["name"] = serde_json::json!("a b");
    assert!(!spoiled(&unnamed, &classification).is_empty());
}

/// What the schemas of `raster` and `processing` ask of us, in rules of our own: these always run.
#[test]
fn fields_of_raster_and_processing_are_those_of_their_extensions() {
    let published = published();
    for item in published.items() {
        let properties = item["properties"].as_object().unwrap();
        for (name, value) in properties.iter().filter(|(name, _)| name.starts_with("processing:")) {
            let right = match name.as_str() {
                "processing:software" => value.as_object().is_some_and(|all| all.values().all(Value::is_string)),
                "processing:lineage" => value.as_str().is_some_and(|text| !text.is_empty()),
                "processing:level" => value == "L4",
                _ => false,
            };
            assert!(right, "{name}: {value}");
        }
        assert!(properties.keys().all(|name| !name.starts_with("raster:")), "raster fields belong to assets");
        for (key, asset) in item["assets"].as_object().unwrap() {
            assert_eq!(asset["raster:sampling"], "area", "{key}");
            let expression = &asset["processing:expression"];
            assert!(expression["format"] == "stac-mlm" && expression["expression"].is_string(), "{key}: {expression}");
            for (name, value) in asset["bands"].as_array().unwrap().iter().flat_map(|band| band.as_object().unwrap()) {
                let right = match name.as_str() {
                    "raster:scale" | "raster:offset" => value.is_number(),
                    _ => !name.starts_with("raster:"),
                };
                assert!(right, "{key}, {name}: {value}");
            }
        }
    }
}
