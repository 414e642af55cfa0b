//! `verify.item`: whether an item still is what its run wrote.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skysense_abi::{Host, NodeError, Tool};
use skysense_catalog::checksum;
use skysense_contract::Package;
use skysense_infer::{InferError, Model, Options};

use crate::errors;
use crate::settings::path;

/// Arguments of `verify.item`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Path of the item's JSON.
    item: PathBuf,
}

/// What was checked.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether every check passed.
    ok: bool,
    item: String,
    checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    /// What was looked at: an asset's key, a link, the model.
    what: String,
    ok: bool,
    /// What was found, and what was expected where that differs.
    found: String,
}

/// The tool.
pub(crate) struct VerifyItem;

impl Tool for VerifyItem {
    const NAME: &'static str = "verify.item";
    const SUMMARY: &'static str = "Checks the sizes, checksums and links of an item, and its model's probe";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let file = path(&host.about().base, &arguments.item.display().to_string());
        let fault = |error: &(dyn std::error::Error + 'static)| {
            NodeError::from_error("item.read", error).at("path", file.display())
        };
        let text = std::fs::read_to_string(&file)
            .map_err(|error| fault(&error).hint("name the JSON file of a STAC item on this machine"))?;
        let item: Value = serde_json::from_str(&text)
            .map_err(|error| fault(&error).hint("the file is damaged: run the workflow again"))?;
        if item["type"] != "Feature" || !item["assets"].is_object() {
            return Err(NodeError::new("item.invalid", "the file is JSON and no STAC item")
                .at("path", file.display())
                .hint("name an item, not a collection"));
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut checks = check_whole(&item);
        for (key, asset) in item["assets"].as_object().into_iter().flatten() {
            host.check_cancelled()?;
            checks.push(check_asset(key, asset, folder));
        }
        for link in item["links"].as_array().into_iter().flatten() {
            checks.extend(check_link(link, folder));
        }
        checks.extend(check_model(&item, folder));
        let ok = checks.iter().all(|check| check.ok);
        Ok(Answer { ok, item: item["id"].as_str().unwrap_or_default().to_owned(), checks })
    }
}

fn check_asset(key: &str, asset: &Value, folder: &Path) -> Check {
    let what = format!("asset {key}");
    let Some(href) = asset["href"].as_str().filter(|href| !href.contains("://")) else {
        return Check { what, ok: false, found: "its href is no local file".into() };
    };
    match stated(asset) {
        Some((size, sum)) => check_file(what, &folder.join(href), size, sum),
        None => Check { what, ok: false, found: "the item says neither file:size nor file:checksum".into() },
    }
}

/// Size and checksum that an asset or a link states.
fn stated(about: &Value) -> Option<(u64, &str)> {
    Some((about["file:size"].as_u64()?, about["file:checksum"].as_str()?))
}

fn check_file(what: String, file: &Path, size: u64, sum: &str) -> Check {
    match checksum(file) {
        Err(error) => Check { what, ok: false, found: error.to_string() },
        Ok((found, _)) if found != size => {
            Check { what, ok: false, found: format!("{found} bytes, the item says {size}") }
        }
        Ok((_, found)) if found != sum => {
            Check { what, ok: false, found: format!("checksum {found}, the item says {sum}") }
        }
        Ok((size, _)) => Check { what, ok: true, found: format!("{size} bytes, checksum as stated") },
    }
}

/// A link to a file of this machine; others are not followed.
fn check_link(link: &Value, folder: &Path) -> Option<Check> {
    let (rel, href) = (link["rel"].as_str()?, link["href"].as_str()?);
    if href.contains("://") && !href.starts_with("file://") {
        return None;
    }
    let target = folder.join(href.strip_prefix("file://").unwrap_or(href));
    let what = format!("link {rel} {href}");
    if let Some((size, sum)) = stated(link) {
        return Some(check_file(what, &target, size, sum));
    }
    let ok = target.exists();
    let found = if ok { "is there".to_owned() } else { format!("{} is not there", target.display()) };
    Some(Check { what, ok, found })
}

/// What the item says of itself and what must be there for it: without these a spoiled item would pass for want of
/// anything to check.
fn check_whole(item: &Value) -> Vec<Check> {
    let mut checks = Vec::new();
    if item["assets"].as_object().is_none_or(Map::is_empty) {
        checks.push(Check { what: "assets".into(), ok: false, found: "none, a run writes at least one".into() });
    }
    let links = || item["links"].as_array().into_iter().flatten();
    if item["collection"].is_string() && !links().any(|link| link["rel"] == "collection") {
        let found = "none, the item says that it belongs to a collection".into();
        checks.push(Check { what: "link collection".into(), ok: false, found });
    }
    checks
}

/// The package that made the item: its files, its weights, and its probe on this machine.
fn check_model(item: &Value, folder: &Path) -> Option<Check> {
    let properties = &item["properties"];
    let stated = properties["skysense:model_sha256"].as_str();
    let link = item["links"].as_array().into_iter().flatten().find(|link| link["mlm:name"].is_string());
    let name = link.map_or(&properties["mlm:name"], |link| &link["mlm:name"]).as_str();
    if link.is_none() && name.is_none() && stated.is_none() {
        return None;
    }
    let (ok, found) = match link.map(|link| link["href"].as_str()) {
        None => (false, "no link leads to it, the item says that it was made by it".into()),
        Some(None) => (false, "its link has no href".into()),
        Some(Some(href)) => {
            let record = folder.join(href.strip_prefix("file://").unwrap_or(href));
            match verified(record.parent().unwrap_or(folder), stated) {
                Ok(found) => (true, found),
                Err(found) => (false, found),
            }
        }
    };
    Some(Check { what: format!("model {}", name.unwrap_or("without a name")), ok, found })
}

/// Whether a package is whole, has the weights that are stated, and gives what its probe says; either way in words.
fn verified(folder: &Path, stated: Option<&str>) -> Result<String, String> {
    let package = Package::open(folder)
        .and_then(|package| package.verify().map(|()| package))
        .map_err(|error| errors::contract(&error).message)?;
    let weights = &package.contract().weights_sha256;
    if stated != Some(weights) {
        let stated = stated.unwrap_or("none");
        return Err(format!("its weights have the checksum {weights}, the item says {stated}"));
    }
    match Model::verify(&package, &Options::default()) {
        Ok(report) => Ok(format!(
            "weights as stated; all {} values of its probe are within the tolerance on {} with ONNX Runtime {}, the largest difference is {:.1e}",
            report.values, report.device, report.runtime, report.largest
        )),
        Err(error @ (InferError::NoRuntime { .. } | InferError::Runtime { .. })) => {
            Err(format!("weights as stated, probe not run: {}", errors::infer(&error).message))
        }
        Err(error) => Err(errors::infer(&error).message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skysense_abi::NoHost;

    #[test]
    fn changed_files_and_lost_links_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.tif"), "abc").unwrap();
        let (size, sum) = checksum(&folder.path().join("a.tif")).unwrap();
        let asset = |size: u64, sum: &str| json!({"href": "./a.tif", "file:size": size, "file:checksum": sum});
        let link = |sum: &str| json!({"rel": "derived_from", "href": "a.tif", "file:size": size, "file:checksum": sum});
        let item = json!({
            "type": "Feature", "id": "x", "properties": {},
            "links": [{"rel": "collection", "href": "../lost.json"}, {"rel": "derived_from", "href": "https://a.org/b"}, link(&sum), link("1220ff")],
            "assets": {"good": asset(size, &sum), "short": asset(9, &sum), "other": asset(size, "1220ff"), "gone": {"href": "./b.tif", "file:size": 1, "file:checksum": "x"}}
        });
        let file = folder.path().join("x.json");
        std::fs::write(&file, item.to_string()).unwrap();
        let answer = VerifyItem::call(Arguments { item: file }, &Host::new(NoHost)).unwrap();
        let bad: Vec<&str> = answer.checks.iter().filter(|check| !check.ok).map(|check| check.what.as_str()).collect();
        assert!(!answer.ok);
        assert_eq!(
            bad,
            ["asset short", "asset other", "asset gone", "link collection ../lost.json", "link derived_from a.tif"]
        );
    }

    #[test]
    fn what_is_no_item_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        std::fs::write(&file, r#"{"type": "Collection"}"#).unwrap();
        let error = VerifyItem::call(Arguments { item: file }, &Host::new(NoHost)).unwrap_err();
        assert!(error.to_string().contains("no STAC item"), "{error}");
        assert!(VerifyItem::call(Arguments { item: "no/such.json".into() }, &Host::new(NoHost)).is_err());
    }
}
