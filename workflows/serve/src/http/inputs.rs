//! The scenes that a run was given, and their pictures as map tiles: what a result is held against.

use serde_json::json;
use skysense_address::redact_in_place;
use skysense_catalog::{Access, Asset, Item, Location, Root};

use super::{
    Api,
    answer::{Answer, Problem, json as answer},
    call::Call,
    tiles,
};
use crate::{StoredEvent, clock};

/// Most scenes that are listed.
const MOST: usize = 1_000;
/// Reflectance that is drawn white: what is brighter is cloud or snow.
const BRIGHTEST: f64 = 0.35;

/// The events of a run, and where their items may name files.
fn events(api: &Api, run: &str) -> Result<(Vec<StoredEvent>, Root), Problem> {
    let run = api.service.store.run(run)?;
    let Some(name) = &run.trigger else { return Ok((Vec::new(), elsewhere())) };
    let events = api.service.store.events_of((&run.workflow, name, &run.key), run.generation)?;
    let workflow = api.service.library.get(&run.workflow);
    let root = workflow.as_ref().and_then(|workflow| workflow.trigger(name)?.source.root());
    Ok((events, root.unwrap_or_else(elsewhere)))
}

/// The root of items that may name no file of this machine.
fn elsewhere() -> Root {
    Root::Remote("https://elsewhere.invalid/".into())
}

/// `GET /api/v1/runs/{run}/inputs`
pub(crate) fn list(api: &Api, call: &Call) -> Answer {
    let (events, root) = events(api, call.part("run"))?;
    let shown = |(number, event): (usize, &StoredEvent)| {
        let item = item(event, &root);
        let picture = item.as_ref().and_then(|item| picture(item, &root));
        let tiles = format!("{}/api/v1/runs/{}/inputs/{number}/{{z}}/{{x}}/{{y}}", call.base, call.part("run"));
        json!({
            "subject": redact_in_place(&event.subject), "collection": event.part, "interval": event.interval,
            "received": clock::text(event.received_at), "bbox": item.and_then(|item| item.bbox()),
            "tiles": picture.map(|_| tiles),
        })
    };
    answer(&json!({"inputs": events.iter().take(MOST).enumerate().map(shown).collect::<Vec<_>>()}))
}

/// `GET /api/v1/runs/{run}/inputs/{input}/{z}/{x}/{y}`
pub(crate) fn tile(api: &Api, call: &Call) -> Answer {
    let place = tiles::place(call)?;
    let (events, root) = events(api, call.part("run"))?;
    let missing = || Problem::missing("picture of an input", call.part("input"));
    let number: usize = call.part("input").parse().map_err(|_| missing())?;
    let event = events.get(number).ok_or_else(missing)?;
    let picture = item(event, &root).and_then(|item| picture(&item, &root)).ok_or_else(missing)?;
    let hrefs: Vec<String> = picture.files.iter().map(Location::raster_href).collect();
    let mut versions = Vec::new();
    for file in &picture.files {
        versions.push(match file {
            Location::File(path) => tiles::version(path)?,
            // Whoever changes a file of an item elsewhere lists the item anew, which makes it another event.
            _ => event.id.clone(),
        });
    }
    let mut arguments = json!({"href": hrefs[0], "range": picture.range, "title": "input"});
    if hrefs.len() == 3 {
        arguments["rgb"] = json!(hrefs);
    }
    let made_of: Vec<&str> = hrefs.iter().chain(&versions).map(String::as_str).collect();
    tiles::drawn(api, call, place, &made_of, arguments)
}

/// The item of an event, if it is about one. Its hrefs lead from the folder of its catalog, if that is of this machine.
fn item(event: &StoredEvent, root: &Root) -> Option<Item> {
    event.payload.get("assets")?;
    let base = match root {
        Root::Local(folder) => folder.join("item.json").display().to_string(),
        Root::Remote(address) => format!("{address}item.json"),
    };
    Item::from_json(event.payload.clone(), &base, root.clone()).ok()
}

/// What a scene looks like.
#[derive(Debug)]
struct Picture {
    /// One file, or those of red, green and blue.
    files: Vec<Location>,
    /// Values of the darkest and the lightest tone, where the item says enough to tell.
    range: Option<[f64; 2]>,
}

/// The files of an item that look like what the eye would see; else the first raster.
fn picture(item: &Item, root: &Root) -> Option<Picture> {
    let assets = item.assets();
    let open = |asset: &Asset| Access::default().raster(root, &asset.href).ok();
    let colour = |common: &str, key: &str| {
        assets.iter().find(|asset| match &asset.bands[..] {
            [band] => band.common_name.as_deref() == Some(common) || asset.key.eq_ignore_ascii_case(key),
            [] => asset.key.eq_ignore_ascii_case(common) || asset.key.eq_ignore_ascii_case(key),
            _ => false,
        })
    };
    if let (Some(red), Some(green), Some(blue)) = (colour("red", "B04"), colour("green", "B03"), colour("blue", "B02"))
    {
        let files: Option<Vec<Location>> = [red, green, blue].into_iter().map(open).collect();
        return Some(Picture { files: files?, range: range(red) });
    }
    let visual = assets.iter().find(|asset| asset.roles.iter().any(|role| role == "visual") && open(asset).is_some());
    let data =
        || assets.iter().find(|asset| !asset.roles.iter().any(|role| role == "thumbnail") && open(asset).is_some());
    let asset = visual.or_else(data)?;
    Some(Picture { files: vec![open(asset)?], range: None })
}

/// From no reflectance to that of bright ground, as an asset that states its scale stores it.
fn range(asset: &Asset) -> Option<[f64; 2]> {
    let band = asset.bands.first()?;
    let (scale, offset) = (band.scale?, band.offset.unwrap_or(0.0));
    (scale > 0.0).then(|| [-offset / scale, (BRIGHTEST - offset) / scale])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(folder: &std::path::Path, assets: Value) -> (Item, Root) {
        let root = Root::Local(folder.canonicalize().unwrap());
        let value = json!({"type": "Feature", "id": "a", "stac_version": "1.1.0", "links": [], "geometry": null,
            "properties": {"datetime": "2021-03-01T00:00:00Z"}, "assets": assets});
        let event = StoredEvent {
            id: "e".into(),
            subject: "a".into(),
            part: String::new(),
            interval: None,
            payload: value,
            received_at: 0,
        };
        (item(&event, &root).unwrap(), root)
    }

    #[test]
    fn a_scene_is_shown_in_its_colours_and_else_by_its_first_raster() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["r.tif", "g.tif", "b.tif", "vv.tif"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let band = |name: &str| json!([{"eo:common_name": name, "raster:scale": 0.0001, "raster:offset": -0.1}]);
        let (item, root) = read(
            folder.path(),
            json!({"B02": {"href": at("b.tif"), "bands": band("blue")}, "B03": {"href": at("g.tif"), "bands": band("green")},
                "B04": {"href": at("r.tif"), "bands": band("red")}}),
        );
        let shown = picture(&item, &root).unwrap();
        assert!(shown.files.iter().all(|file| matches!(file, Location::File(_))), "{shown:?}");
        let names: Vec<String> = shown.files.iter().map(|file| file.raster_href()).collect();
        assert!(names[0].ends_with("r.tif") && names[1].ends_with("g.tif") && names[2].ends_with("b.tif"), "{names:?}");
        let [low, high] = shown.range.unwrap();
        assert_eq!((low.round(), high.round()), (1_000.0, 4_500.0));
        let (item, root) = read(folder.path(), json!({"vv": {"href": at("vv.tif")}}));
        assert_eq!(picture(&item, &root).unwrap().files.len(), 1);
        // A picture shows no file that lies elsewhere on this machine.
        let other = tempfile::tempdir().unwrap();
        let (item, _) = read(folder.path(), json!({"vv": {"href": at("vv.tif")}}));
        assert!(picture(&item, &Root::Local(other.path().to_owned())).is_none());
        assert!(picture(&item, &elsewhere()).is_none());
        let (item, _) = read(folder.path(), json!({"vv": {"href": "https://data.example.org/vv.tif"}}));
        assert!(picture(&item, &elsewhere()).is_some());
    }
}
