//! `raster.files`: items of rasters that no catalog describes, by path.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use skysense_abi::{BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_catalog::{Access, FORMAT, Item, Root, SUBDATASET, Sensor, Sensors, parse_datetime};
use skysense_edges::{ItemBuilder, ItemFacts, item_schema};
use skysense_raster::{Georeference, Header, Source, file_path, footprint, header, transform_bounds};

use super::stac_search::{row, sensors};
use crate::errors;
use crate::settings::{did_you_mean, href};

const DOC: &str = "\
Makes items of rasters that no catalog describes: any file or folder of this machine that its GDAL reads, with the files \
beside it that it needs, and GeoTIFF, JPEG 2000, PNG and JPEG behind a URL. `sensor` says what the numbers mean, `bands` \
which band of a file is which band of the sensor, by name. Files with one `id` are one item, such as a file for each \
band. Of a file that holds several rasters, as NetCDF, HDF and GeoPackage may, `subdataset` names one.

With `classes` in place of `sensor` the files are labels, for `skysense.finetune`.

## Columns
Out: `item`, one row for each `id`, pinned in the plan.

## Limits
Bands are never taken by their position alone. A mask of the sensor, such as `scl`, is a file of its own. Headers are \
read while planning, pixels are not. A VRT reads what it names, wherever that is; a workflow is no input. How the numbers of a Sentinel image become reflectance or dB is decided as for \
any item; where a file says nothing about it, `radiometry` of `raster.chips` does, by `collection`.";

const EXAMPLE: &str = "\
images:
  uses: raster.files
  with:
    sensor: sentinel-2-l2a
    files:
      - {href: may.tif, datetime: 2021-05-03, bands: {B02: 1, B03: 2, B04: 3, B08: 4}}
      - {href: july.tif, datetime: 2021-07-22, bands: {B02: 1, B03: 2, B04: 3, B08: 4}}
";

/// Settings of `raster.files`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The rasters.
    #[schemars(length(min = 1))]
    files: Vec<File>,
    /// Sensor of the images, such as `sentinel-2-l2a` or `hr-rgb`, or the path of a sensor file.
    #[serde(default)]
    sensor: Option<String>,
    /// What the values of label rasters mean, in place of `sensor`.
    #[serde(default)]
    classes: Vec<Class>,
    /// Id of the collection that the items are of: what `radiometry` of `raster.chips` names them by.
    #[serde(default = "collection")]
    collection: String,
    /// When the images were taken, for files that do not say it themselves.
    #[serde(default)]
    datetime: Option<String>,
    /// Value of pixels without data, where the files declare none.
    #[serde(default)]
    nodata: Option<f64>,
}

/// A raster.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// Path or URL.
    href: String,
    /// Which raster of a local file that holds several: the end of the name that `gdalinfo` lists, such as `B02` of
    /// `NETCDF:"may.nc":B02`.
    #[serde(default)]
    subdataset: Option<String>,
    /// Bands of the sensor, each with the number of its band in the file, from 1: `{B02: 1, B03: 2}`.
    #[serde(default)]
    bands: BTreeMap<String, usize>,
    /// When the image was taken: a date or a datetime.
    #[serde(default)]
    datetime: Option<String>,
    /// Id of the item; files that share one are one item. Left out, the name of the file.
    #[serde(default)]
    id: Option<String>,
}

/// A class of label rasters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Class {
    /// Value of its pixels.
    value: u8,
    /// Name for the legend.
    name: String,
    /// Colour as `RRGGBB`.
    #[serde(default)]
    color: Option<String>,
}

fn collection() -> String {
    "files".into()
}

/// The node.
pub(crate) struct RasterFiles;

impl Node for RasterFiles {
    const NAME: &'static str = "raster.files";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Makes items of rasters by path").output("item").doc(DOC).example(EXAMPLE).impure()
    }

    fn plan(settings: Settings, _: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let mapping: BTreeMap<String, String> =
            settings.sensor.iter().map(|sensor| (settings.collection.clone(), sensor.clone())).collect();
        let known = sensors(&mapping, host).map_err(|fault| vec![Fault { field: "/sensor".into(), ..fault }])?;
        let sensor = sensor(&settings, &known)?;
        let made = items(&settings, sensor, host)?;
        let mut rows = ItemBuilder::default();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in &made {
            let row = row(item, &known);
            *counts.entry(row.modality.clone().unwrap_or_else(|| "other".into())).or_default() += 1;
            rows.push(row);
        }
        let batch = rows.finish().map_err(|error| vec![Fault::from(errors::edge(&error))])?;
        let base = host.about().base;
        let local = |file: &File| user_path(&href(&base, &file.href)).map(|path| path.display().to_string());
        let facts = ItemFacts {
            items: made.len(),
            modalities: counts,
            sensors: mapping,
            // A list of files is no catalog with a folder of its own: it reaches what it names.
            allow_paths: settings.files.iter().filter_map(local).collect(),
        };
        let bytes = batch.get_array_memory_size() as u64;
        Ok(NodePlan::new(item_schema()).facts(json!(facts)).rows(vec![batch]).memory(0, bytes))
    }

    fn run(_: Settings, plan: NodePlan, _: RunInputs, _: Host) -> Result<BatchStream, NodeError> {
        let rows = plan.rows.ok_or_else(|| {
            NodeError::new("plan.missing", "the plan of raster.files holds no items").hint("plan the workflow again")
        })?;
        Ok(Box::new(rows.into_iter().map(Ok)))
    }
}

/// The sensor of images; none for labels.
fn sensor<'a>(settings: &Settings, known: &'a Sensors) -> Result<Option<&'a Sensor>, Vec<Fault>> {
    let invalid = |field: &str, message: &str, hint: String| {
        Err(Fault::new(field, "settings.invalid", message).hint(hint).into())
    };
    match (&settings.sensor, settings.classes.is_empty()) {
        (Some(_), false) => {
            invalid("/classes", "sensor and classes are both given", "images have a sensor, labels have classes".into())
        }
        (None, true) => invalid(
            "/sensor",
            "neither sensor nor classes are given, so nobody knows what the numbers mean",
            format!("name one of {}, or the classes of labels", known.names().join(", ")),
        ),
        (None, false) => Ok(None),
        (Some(name), true) => {
            // A sensor file has a name of its own: the collection is mapped to it.
            let probe = json!({"type": "Feature", "id": "-", "collection": settings.collection, "properties": {}, "assets": {}});
            let item = Item::from_json(probe, "/", Root::Local("/".into()));
            match item.ok().as_ref().and_then(|item| known.of(item)) {
                Some(sensor) => Ok(Some(sensor)),
                None => invalid("/sensor", &format!("there is no sensor {name:?}"), known.names().join(", ")),
            }
        }
    }
}

/// A file that was opened.
struct Opened<'a> {
    place: usize,
    file: &'a File,
    href: String,
    header: Header,
}

/// The items of all files, in the order in which their ids come first.
///
/// # Errors
/// Every file that cannot be used, and why.
fn items(settings: &Settings, sensor: Option<&Sensor>, host: &Host) -> Result<Vec<Item>, Vec<Fault>> {
    let base = host.about().base;
    let mut faults = Vec::new();
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Vec<Opened<'_>>> = BTreeMap::new();
    for (place, file) in settings.files.iter().enumerate() {
        if host.cancelled() {
            return Err(Fault::from(NodeError::cancelled()).into());
        }
        let id = file.id.clone().unwrap_or_else(|| stem(&file.href));
        let href = href(&base, &file.href);
        match open(&id, file, &href) {
            Err(error) => faults.push(Fault { field: format!("/files/{place}/href"), ..Fault::from(error) }),
            Ok(header) => {
                for note in &header.notes {
                    host.log(Level::Warn, note);
                }
                check_bands(place, file, &header, sensor, &mut faults);
                if !order.contains(&id) {
                    order.push(id.clone());
                }
                groups.entry(id).or_default().push(Opened { place, file, href, header });
            }
        }
    }
    let mut made = Vec::new();
    for id in order {
        match item(&id, &groups[&id], settings, sensor) {
            Ok(item) => made.push(item),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(made) } else { Err(faults) }
}

/// Opens a file as a run would: by the same rules, and no pixel is read.
fn open(id: &str, file: &File, href: &str) -> Result<Header, NodeError> {
    let root = Root::of(href).map_err(|error| errors::catalog(&error))?;
    let access = Access::new(user_path(href));
    let place = access.raster(&root, href).map_err(|error| errors::catalog(&error))?;
    let any = access.names(&place);
    if file.subdataset.is_some() && !any {
        return Err(NodeError::new("settings.subdataset", format!("{} is no file of this machine", file.href))
            .hint("only of local files one raster of several is read"));
    }
    let source = Source::new(format!("item {id}"), place.raster_href())
        .in_any_format(any)
        .with_subdataset(file.subdataset.clone());
    header(&source).map_err(|error| errors::raster(&error))
}

/// The path of a file of this machine that the user names, and with that allows.
fn user_path(href: &str) -> Option<PathBuf> {
    if href.contains("://") { file_path(href).map(PathBuf::from) } else { Some(href.into()) }
}

fn check_bands(place: usize, file: &File, header: &Header, sensor: Option<&Sensor>, faults: &mut Vec<Fault>) {
    let mut fault = |name: &str, message: String, hint: Option<String>| {
        let field = format!("/files/{place}/bands{}", if name.is_empty() { String::new() } else { format!("/{name}") });
        let fault = Fault::new(field, "settings.bands", message);
        faults.push(match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        });
    };
    for (name, number) in &file.bands {
        if *number == 0 || *number > header.bands {
            let there = if header.bands == 1 { "1".to_owned() } else { format!("1 to {}", header.bands) };
            fault(name, format!("{name} is band {number} of {}, which has {there}", file.href), None);
        }
    }
    let Some(sensor) = sensor else { return };
    let bands: Vec<&str> = sensor.bands.iter().map(|band| band.name.as_str()).collect();
    let masks: Vec<&str> = sensor.masks.iter().map(|mask| mask.name.as_str()).collect();
    if file.bands.is_empty() {
        let message = format!("{} names no bands, and bands are never taken by their position", file.href);
        let hint = format!(
            "write which band is which: `bands: {{{}: 1}}`; {} has {}",
            bands[0],
            sensor.sensor,
            bands.join(", ")
        );
        fault("", message, Some(hint));
    }
    // Masks are found by the keys of assets, in whatever case.
    let is_mask = |name: &str| masks.iter().any(|mask| mask.eq_ignore_ascii_case(name));
    for name in file.bands.keys() {
        if is_mask(name) && header.bands > 1 {
            fault(
                name,
                format!("{name} is a mask, and {} holds {} bands", file.href, header.bands),
                Some("give the mask a file of its own with the same `id`".into()),
            );
        } else if !bands.contains(&name.as_str()) && !is_mask(name) {
            let all = || bands.iter().chain(&masks).copied();
            let hint = did_you_mean(name, all());
            fault(
                name,
                format!("{} has no band {name:?}; it has {}", sensor.sensor, all().collect::<Vec<_>>().join(", ")),
                hint,
            );
        }
    }
}

fn item(id: &str, files: &[Opened<'_>], settings: &Settings, sensor: Option<&Sensor>) -> Result<Item, Fault> {
    let first = &files[0];
    let at = |field: &str| format!("/files/{}/{field}", first.place);
    let given: BTreeSet<&String> = files.iter().filter_map(|opened| opened.file.datetime.as_ref()).collect();
    if let [one, other, ..] = given.iter().collect::<Vec<_>>()[..] {
        let message = format!("the files of item {id} were taken at {one} and at {other}");
        return Err(Fault::new(at("datetime"), "settings.datetime", message).hint("give each date an `id` of its own"));
    }
    let written = given.first().copied().or(settings.datetime.as_ref());
    let datetime = match written.map(|text| (text, parse_datetime(text))) {
        Some((_, Some(datetime))) => json!(datetime.to_rfc3339()),
        Some((text, None)) => {
            let message = format!("{text:?} is no datetime");
            return Err(Fault::new(at("datetime"), "settings.datetime", message).hint("write it like 2021-05-03"));
        }
        None if sensor.is_some() => {
            let message = format!("nobody knows when item {id} was taken");
            return Err(Fault::new(at("datetime"), "settings.datetime", message).hint("add `datetime: 2021-05-03`"));
        }
        None => Value::Null,
    };
    let mut assets = serde_json::Map::new();
    for opened in files {
        let key = match (opened.file.bands.keys().next(), opened.file.bands.len()) {
            (Some(name), 1) => name.clone(),
            _ if sensor.is_none() => format!("labels-{}", opened.place + 1),
            _ => format!("image-{}", opened.place + 1),
        };
        if assets.insert(key.clone(), asset(opened, settings, sensor)).is_some() {
            let message = format!("item {id} has {key} twice");
            return Err(Fault::new(at("bands"), "settings.bands", message).hint("give each date an `id` of its own"));
        }
    }
    let (geometry, bbox) = place(&first.header).map_err(|error| Fault { field: at("href"), ..Fault::from(error) })?;
    let value = json!({
        "type": "Feature", "stac_version": "1.0.0", "id": id, "collection": settings.collection,
        "geometry": geometry, "bbox": bbox, "properties": {"datetime": datetime}, "links": [], "assets": assets,
    });
    let invalid = |error| Fault { field: at("id"), ..Fault::from(errors::catalog(&error)) };
    let root = Root::of(&first.href).map_err(invalid)?;
    Item::from_json(value, &first.href, root).map_err(invalid)
}

/// An asset of STAC 1.0: every band of the file, named where it is mapped.
fn asset(opened: &Opened<'_>, settings: &Settings, sensor: Option<&Sensor>) -> Value {
    let header = &opened.header;
    let named = |number: usize| opened.file.bands.iter().find(|(_, band)| **band == number).map(|(name, _)| name);
    let names: Vec<Value> =
        (1..=header.bands).map(|number| named(number).map_or(json!({}), |name| json!({"name": name}))).collect();
    let nodata =
        header.nodata.or(settings.nodata).map(|value| if value.is_nan() { json!("nan") } else { json!(value) });
    let mut raster = serde_json::Map::from_iter([("data_type".to_owned(), json!(header.dtype.name()))]);
    raster.extend(nodata.map(|nodata| ("nodata".to_owned(), nodata)));
    if let Some((scale, offset)) = header.scale_offset {
        raster.extend([("scale".to_owned(), json!(scale)), ("offset".to_owned(), json!(offset))]);
    }
    let mut asset = json!({
        "href": opened.href,
        "roles": [if sensor.is_some() { "data" } else { "labels" }],
        "raster:bands": vec![Value::Object(raster); header.bands],
    });
    if user_path(&opened.href).is_some() {
        asset[FORMAT] = json!(header.format);
    }
    if let Some(subdataset) = &opened.file.subdataset {
        asset[SUBDATASET] = json!(subdataset);
    }
    match sensor {
        Some(_) => asset["eo:bands"] = json!(names),
        None => {
            let class = |class: &Class| {
                let mut value = json!({"value": class.value, "name": class.name});
                if let Some(color) = &class.color {
                    value["color_hint"] = json!(color.trim_start_matches('#'));
                }
                value
            };
            asset["classification:classes"] = settings.classes.iter().map(class).collect();
        }
    }
    asset
}

/// Geometry and bbox in degrees.
fn place(header: &Header) -> Result<(Value, [f64; 4]), NodeError> {
    match &header.georeference {
        Georeference::Grid(geobox) => {
            let found = footprint(geobox).map_err(|error| errors::raster(&error))?;
            Ok((found.geometry(), found.bbox))
        }
        Georeference::Gcps { crs, bounds, .. } => {
            let bbox = transform_bounds(crs, *bounds, &skysense_grid::Crs::lon_lat())
                .map_err(|error| errors::raster(&error))?;
            let [west, south, east, north] = bbox;
            let ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
            Ok((json!({"type": "Polygon", "coordinates": [ring]}), bbox))
        }
    }
}

/// The name of a file without folder and ending.
fn stem(href: &str) -> String {
    let place = href.split(['?', '#']).next().unwrap_or(href);
    let name = place.rsplit(['/', '\\']).next().unwrap_or(place);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { "image".into() } else { stem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_stem() {
        for (href, id) in
            [("a/b.tif", "b"), ("https://h/x.y.tif?sig=1.tif", "x.y"), ("c:\\d\\e.tif", "e"), (".tif", "image")]
        {
            assert_eq!(stem(href), id, "{href}");
        }
    }
}
