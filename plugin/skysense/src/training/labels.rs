//! Label items: which asset holds the labels, and what its values mean.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::Fault;
use skysense_catalog::{Access, Asset, Item, Location, Root};
use skysense_contract::{Class, Task};
use skysense_edges::ItemRow;
use skysense_grid::Crs;

use super::given_split::Part;
use super::label_dates::Span;
use super::objects::is_layer;
use super::vector_labels::{ShapeSource, ShapesSetting, name_classes};
use crate::chips::item;
use crate::errors;

/// Colours of classes that name none, told apart by most eyes (after Okabe and Ito, and darker shades).
pub(super) const COLORS: [&str; 16] = [
    "e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7", "999999", "a6761d", "1b9e77", "7570b3",
    "66a61e", "e7298a", "666666", "b3de69", "fb8072",
];

/// A raster of labels, or a vector layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LabelSource {
    /// How a vector layer becomes pixels; `None` of a raster.
    #[serde(default)]
    pub(crate) shapes: Option<ShapeSource>,
    /// What its time is.
    #[serde(default)]
    pub(crate) span: Option<Span>,
    /// The part that it belongs to, where items say it.
    #[serde(default)]
    pub(crate) part: Option<Part>,
    /// Unit of its values, where it says one.
    #[serde(default)]
    pub(crate) unit: Option<String>,
    pub(crate) item: String,
    pub(crate) asset: String,
    /// As GDAL opens it, without a signature.
    pub(crate) href: String,
    /// Whether the user names the file, which may then be of any format.
    #[serde(default)]
    pub(crate) any_format: bool,
    /// Which raster of a file that holds several.
    #[serde(default)]
    pub(crate) subdataset: Option<String>,
    /// Where its catalog lives.
    pub(crate) root: Root,
    /// Values that are no class: the declared nodata.
    pub(crate) nodata: Option<f64>,
    /// All classes that the item names, without those that mean no data.
    pub(crate) classes: Vec<Class>,
}

impl LabelSource {
    /// An asset of which no more is known.
    pub(super) fn new(item: &str, asset: &str, href: &str, root: Root) -> Self {
        Self {
            shapes: None,
            span: None,
            part: None,
            unit: None,
            item: item.into(),
            asset: asset.into(),
            href: href.into(),
            any_format: false,
            subdataset: None,
            root,
            nodata: None,
            classes: Vec::new(),
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Key of the asset.
    pub(crate) asset: Option<&'a str>,
    pub(crate) task: Task,
    /// How shapes become pixels, and the reference system of the grid; without, only rasters are labels.
    pub(crate) shapes: Option<(&'a ShapesSetting, &'a Crs)>,
}

/// The label rasters of items, in the order of the rows.
///
/// # Errors
/// Items without labels or without classes, and labels that may not be opened: every fault.
pub(crate) fn label_sources(
    rows: &[ItemRow],
    asset: Option<&str>,
    access: &Access,
) -> Result<Vec<LabelSource>, Vec<Fault>> {
    task_sources(rows, access, Wanted { asset, task: Task::Segmentation, shapes: None })
}

/// The same for a task, of rasters and of vector layers: values of a regression need no classes.
///
/// # Errors
/// As [`label_sources`].
pub(crate) fn task_sources(
    rows: &[ItemRow],
    access: &Access,
    wanted: Wanted<'_>,
) -> Result<Vec<LabelSource>, Vec<Fault>> {
    let mut sources = Vec::new();
    let mut faults = Vec::new();
    for row in rows {
        match item(row)
            .map_err(|reason| Fault::new("", "label.item", format!("item {}: {reason}", row.id)))
            .and_then(|item| source(&item, access, wanted))
        {
            Ok(source) => sources.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    if sources.is_empty() && faults.is_empty() {
        faults.push(
            Fault::new("", "label.none", "the port `labels` gives no items")
                .hint("search the collection that holds the labels"),
        );
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if let (Some((shapes, _)), true) = (wanted.shapes, wanted.task != Task::Regression) {
        name_classes(&mut sources, shapes.background.as_deref())?;
    }
    Ok(sources)
}

/// The label of an item, with its time.
fn source(item: &Item, access: &Access, wanted: Wanted<'_>) -> Result<LabelSource, Fault> {
    let layer = wanted.shapes.map(|shapes| layer(item, access, wanted, shapes)).transpose()?.flatten();
    let found = layer.map_or_else(|| raster(item, wanted.asset, access, wanted.task), Ok)?;
    let span = item.interval().map(|(first, last)| (first.timestamp_millis(), last.timestamp_millis()));
    Ok(LabelSource { span, ..found })
}

/// The vector layer of an item, where it has one that is named, or that is meant more than its rasters are.
fn layer(
    item: &Item,
    access: &Access,
    wanted: Wanted<'_>,
    (setting, crs): (&ShapesSetting, &Crs),
) -> Result<Option<LabelSource>, Fault> {
    let all = item.assets();
    let labels = |asset: &&Asset| asset.roles.iter().any(|role| role == "labels" || role == "label");
    let classes = |asset: &Asset| classes_of(item.value().get("assets").map_or(&Value::Null, |all| &all[&asset.key]));
    // GeoPackages hold rasters too: what the item tells to be one is.
    let is_layer = |asset: &Asset| is_layer(&asset.href) && asset.format.is_none();
    let layers: Vec<&Asset> = all.iter().filter(|asset| is_layer(asset)).collect();
    let raster = |asset: &&Asset| access.raster(item.root(), &asset.href).is_ok() && !is_layer(asset);
    let meant = |asset: &Asset| labels(&asset) || !classes(asset).is_empty();
    let chosen = match wanted.asset {
        Some(key) => layers.iter().find(|asset| asset.key == key),
        // A raster with the role comes first, as without layers.
        None if all.iter().filter(raster).any(|asset| labels(&asset)) => None,
        None => layers.iter().find(|asset| labels(asset)).or_else(|| {
            let no_raster = !all.iter().filter(raster).any(meant);
            layers.first().filter(|_| no_raster)
        }),
    };
    let Some(asset) = chosen else { return Ok(None) };
    let path = match access.locate(item.root(), &asset.href) {
        Ok(Location::File(path)) => path,
        Ok(_) => {
            let message = format!("item {}, asset {}: it is not on this machine", item.id(), asset.key);
            return Err(Fault::new("/label_asset", "label.asset", message).hint("download it, and name the copy"));
        }
        Err(error) => {
            let fault = errors::catalog_fault("/label_asset", &error);
            return Err(Fault { code: "label.href".into(), ..fault });
        }
    };
    if let (Some(name), true) = (&setting.background, wanted.task == Task::Regression) {
        let message = format!("background is {name:?}, expected none for regression: a number has no classes");
        return Err(Fault::new("/shapes", "settings.unused", message).hint("leave `background` out"));
    }
    let shapes = ShapeSource::read(path, setting, (wanted.task, crs))
        .map_err(|fault| Fault { message: format!("item {}: {}", item.id(), fault.message), ..fault })?;
    let found = LabelSource::new(item.id(), &asset.key, &asset.href, item.root().clone());
    Ok(Some(LabelSource { shapes: Some(shapes), classes: classes(asset), ..found }))
}

fn raster(item: &Item, wanted: Option<&str>, access: &Access, task: Task) -> Result<LabelSource, Fault> {
    let assets = item.value().get("assets").and_then(Value::as_object);
    let rasters: Vec<_> =
        item.assets().into_iter().filter(|asset| access.raster(item.root(), &asset.href).is_ok()).collect();
    let keys: Vec<&str> = rasters.iter().map(|asset| asset.key.as_str()).collect();
    let json = |key: &str| assets.and_then(|assets| assets.get(key)).cloned().unwrap_or_default();
    let chosen = match wanted {
        Some(key) => rasters.iter().find(|asset| asset.key == key).ok_or_else(|| {
            Fault::new(
                "/label_asset",
                "label.asset",
                format!(
                    "item {} has no raster and no vector layer {key:?} that may be opened; its rasters are {}",
                    item.id(),
                    keys.join(", ")
                ),
            )
        })?,
        None => {
            let labelled =
                rasters.iter().find(|asset| asset.roles.iter().any(|role| role == "labels" || role == "label"));
            let classified = || rasters.iter().find(|asset| !classes_of(&json(&asset.key)).is_empty());
            labelled.or_else(classified).ok_or_else(|| {
                let message = format!(
                    "item {} has no asset with the role `labels` or with classification:classes; its rasters are {}",
                    item.id(),
                    keys.join(", ")
                );
                Fault::new("/label_asset", "label.asset", message)
                    .hint("name the asset that holds the labels with `label_asset`")
            })?
        }
    };
    let classes = classes_of(&json(&chosen.key));
    if classes.is_empty() && task.fewest_classes().is_some() {
        let message = format!(
            "item {}, asset {}: no classification:classes, so nobody knows what its values mean",
            item.id(),
            chosen.key
        );
        return Err(
            Fault::new("/label_asset", "label.classes", message).hint("add classification:classes to the asset")
        );
    }
    let (href, any_format) = match access.raster(item.root(), &chosen.href) {
        Ok(location) => (location.raster_href(), access.names(&location)),
        Err(error) => {
            let fault = errors::catalog_fault("/label_asset", &error);
            return Err(Fault { code: "label.href".into(), ..fault });
        }
    };
    let nodata = chosen.bands.first().and_then(|band| band.nodata);
    let unit = json(&chosen.key)["unit"].as_str().map(str::to_owned);
    let no_data = |class: &Class| nodata == Some(f64::from(class.value));
    Ok(LabelSource {
        unit,
        any_format,
        subdataset: chosen.subdataset.clone(),
        nodata,
        classes: classes.into_iter().filter(|class| !no_data(class)).collect(),
        ..LabelSource::new(item.id(), &chosen.key, &href, item.root().clone())
    })
}

/// `classification:classes` of an asset, of its first band, or of its first `raster:bands` entry.
fn classes_of(asset: &Value) -> Vec<Class> {
    let band =
        |list: &str| asset.get(list).and_then(|bands| bands.get(0)).and_then(|band| band.get("classification:classes"));
    let list = asset.get("classification:classes").or_else(|| band("bands")).or_else(|| band("raster:bands"));
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    let means_no_data = |entry: &Value| entry.get("nodata").and_then(Value::as_bool).unwrap_or(false);
    let class = |(place, entry): (usize, &Value)| {
        let value = u8::try_from(entry.get("value")?.as_u64()?).ok()?;
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text("name")
            .or_else(|| text("title"))
            .or_else(|| text("description"))
            .map_or_else(|| format!("class {value}"), str::to_owned);
        let hint = text("color_hint")
            .or_else(|| text("color-hint"))
            .map(|color| color.trim_start_matches('#').to_ascii_lowercase());
        let color = hint
            .filter(|hex| hex.len() == 6 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
            .unwrap_or_else(|| COLORS[place % COLORS.len()].to_owned());
        Some(Class { value, name, color })
    };
    entries.enumerate().filter(|(_, entry)| !means_no_data(entry)).filter_map(class).collect()
}

/// The classes that a model learns: those of all items, without those to ignore, in order of value.
///
/// # Errors
/// Items that give one value two names, and fewer than two classes.
pub(crate) fn classes(sources: &[LabelSource], ignore: &[u8]) -> Result<Vec<Class>, Vec<Fault>> {
    task_classes(sources, ignore, Task::Segmentation)
}

/// The same for a task, which may do with fewer, or with none.
///
/// # Errors
/// As [`classes`].
pub(crate) fn task_classes(sources: &[LabelSource], ignore: &[u8], task: Task) -> Result<Vec<Class>, Vec<Fault>> {
    let Some(fewest) = task.fewest_classes() else { return Ok(Vec::new()) };
    let mut classes: Vec<Class> = Vec::new();
    for source in sources {
        for class in source.classes.iter().filter(|class| !ignore.contains(&class.value)) {
            match classes.iter().find(|known| known.value == class.value) {
                None => classes.push(class.clone()),
                Some(known) if known.name == class.name => {}
                Some(known) => {
                    let message = format!(
                        "value {} is {:?} in item {} and {:?} in another",
                        class.value, class.name, source.item, known.name
                    );
                    return Err(Fault::new("", "label.classes", message).hint("search labels of one legend").into());
                }
            }
        }
    }
    classes.sort_by_key(|class| class.value);
    if classes.len() < fewest {
        let message = format!("{} classes are left to learn; {task} needs {fewest} or more", classes.len());
        return Err(Fault::new("/ignore", "label.classes", message).into());
    }
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classes_are_found_in_every_generation() {
        let list = json!([{"value": 1, "name": "water", "color_hint": "0000FF"}, {"value": 2, "description": "forest"}, {"value": 9, "name": "none", "nodata": true}]);
        for asset in [
            json!({"classification:classes": list}),
            json!({"bands": [{"classification:classes": list}]}),
            json!({"raster:bands": [{"classification:classes": list}]}),
        ] {
            let found = classes_of(&asset);
            assert_eq!(found.len(), 2, "{asset}");
            assert_eq!((found[0].name.as_str(), found[0].color.as_str()), ("water", "0000ff"));
            assert_eq!((found[1].name.as_str(), found[1].color.len()), ("forest", 6));
        }
    }

    #[test]
    fn legends_that_contradict_are_refused() {
        let class = |value, name: &str| Class { value, name: name.into(), color: "000000".into() };
        let source = |item: &str, classes| LabelSource {
            classes,
            ..LabelSource::new(item, "a", "a.tif", Root::Remote("https://a.example/".into()))
        };
        let good = [source("x", vec![class(2, "b"), class(1, "a")]), source("y", vec![class(3, "c")])];
        let values: Vec<u8> = classes(&good, &[3]).unwrap().iter().map(|class| class.value).collect();
        assert_eq!(values, [1, 2]);
        let bad = [source("x", vec![class(1, "a")]), source("y", vec![class(1, "b")])];
        assert!(classes(&bad, &[]).unwrap_err()[0].message.contains("item y"));
        assert!(classes(&good, &[1, 2]).is_err());
    }
}
