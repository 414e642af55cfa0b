//! A result as a STAC 1.1 item.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use skysense_grid::GeoBox;

use super::record::{AssetRecord, BandRecord, ClassRecord, CollectionRecord, ItemRecord, ModelRecord};
use super::write::checksum;
use crate::{CatalogError, Result, format_datetime};
use skysense_address::unsigned;

pub(super) const PROJECTION: &str = "https://stac-extensions.github.io/projection/v2.0.0/schema.json";
pub(super) const RASTER: &str = "https://stac-extensions.github.io/raster/v2.0.0/schema.json";
pub(super) const CLASSIFICATION: &str = "https://stac-extensions.github.io/classification/v2.0.0/schema.json";
pub(super) const PROCESSING: &str = "https://stac-extensions.github.io/processing/v1.2.0/schema.json";
const FILE: &str = "https://stac-extensions.github.io/file/v2.1.0/schema.json";

/// The item that will lie at `place`, its files beside it; until then they lie in `made`.
pub(super) fn item(record: &ItemRecord, about: &CollectionRecord, made: &Path, place: &Path) -> Result<Value> {
    let fault = |message: String| CatalogError::Publish { item: record.id.clone(), message };
    if crate::bbox_of(&record.geometry).is_none() {
        return Err(fault("its geometry is no GeoJSON in degrees".into()));
    }
    if record.interval.0 > record.interval.1 {
        return Err(fault(format!("it ends at {} before it starts at {}", record.interval.1, record.interval.0)));
    }
    if record.assets.is_empty() {
        return Err(fault("it has no file".into()));
    }
    let folder = real(place.parent().unwrap_or(Path::new(".")));
    let model = record.model.as_ref().map(|model| (model, portable(&model.href, &folder)));
    let mut assets = Map::new();
    for asset in &record.assets {
        let value = asset_value(asset, made, model.as_ref()).map_err(|error| match error {
            CatalogError::Publish { message, .. } => fault(message),
            other => other,
        })?;
        if assets.insert(asset.key.clone(), value).is_some() {
            return Err(fault(format!("two files have the key `{}`", asset.key)));
        }
    }
    Ok(json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": extensions(record),
        "id": record.id,
        "collection": about.id,
        "geometry": record.geometry,
        "bbox": record.bbox,
        "properties": properties(record),
        "links": links(record, &folder, model.as_ref())?,
        "assets": assets,
    }))
}

fn extensions(record: &ItemRecord) -> Vec<&'static str> {
    let any = |test: fn(&AssetRecord) -> bool| record.assets.iter().any(test);
    [
        (PROJECTION, any(|asset| asset.geobox.is_some())),
        (RASTER, any(|asset| asset.geobox.is_some())),
        (CLASSIFICATION, any(|asset| !asset.classes.is_empty())),
        (PROCESSING, true),
        (FILE, true),
    ]
    .into_iter()
    .filter_map(|(url, used)| used.then_some(url))
    .collect()
}

fn properties(record: &ItemRecord) -> Map<String, Value> {
    let (start, end) = record.interval;
    let mut properties = Map::new();
    let mut put = |name: &str, value: Value| drop(properties.insert(name.to_owned(), value));
    put("title", json!(record.title));
    if start == end {
        put("datetime", json!(format_datetime(start)));
    } else {
        put("datetime", Value::Null);
        put("start_datetime", json!(format_datetime(start)));
        put("end_datetime", json!(format_datetime(end)));
    }
    put("processing:software", json!(record.software));
    put("processing:lineage", json!(skysense_address::redact(&record.lineage)));
    // Model output and other variables that no instrument measures, in the words of the extension.
    put("processing:level", json!("L4"));
    put("skysense:workflow_sha256", json!(record.workflow_sha256));
    if let Some(model) = &record.model {
        put("mlm:name", json!(model.name));
        put("mlm:architecture", json!(model.architecture));
        put("mlm:tasks", json!(model.tasks));
        put("skysense:model_sha256", json!(model.weights_sha256));
        put("skysense:model_licence", json!(model.licence));
    }
    if let Some(geobox) = record.assets.iter().find_map(|asset| asset.geobox.as_ref()) {
        for (name, value) in projection(geobox) {
            put(&name, value);
        }
    }
    for (name, value) in &record.properties {
        put(name, value.clone());
    }
    properties
}

fn links(record: &ItemRecord, folder: &Path, model: Option<&(&ModelRecord, String)>) -> Result<Vec<Value>> {
    let up = |rel: &str| json!({"rel": rel, "href": "../collection.json", "type": "application/json"});
    let mut links = vec![up("root"), up("parent"), up("collection")];
    let mut sources: Vec<String> = record.derived_from.iter().map(|href| portable(href, folder)).collect();
    sources.sort();
    sources.dedup();
    links.extend(
        sources.iter().map(|href| json!({"rel": "derived_from", "href": href, "type": "application/geo+json"})),
    );
    if let Some((model, href)) = model {
        let mut link = json!({
            "rel": "derived_from",
            "href": href,
            "type": "application/geo+json",
            "title": format!("model {}", model.name),
            "mlm:name": model.name,
        });
        // The record holds the checksum of every file of the package, so this one stands for all.
        // The item's own folder may not be there yet, so `..` is taken off by its words.
        let file = crate::href::tidy(&folder.join(href));
        if file.is_file() {
            let (size, sum) = checksum(&file)?;
            link["file:size"] = json!(size);
            link["file:checksum"] = json!(sum);
        }
        links.push(link);
    }
    Ok(links)
}

/// An href without signature; a path of this machine becomes relative to the item, so that both can move together and the
/// same run elsewhere gives the same bytes. `folder` is the item's, links resolved.
fn portable(href: &str, folder: &Path) -> String {
    if !Path::new(href).is_absolute() {
        return unsigned(href);
    }
    let local = real(Path::new(href));
    let shared = folder.components().zip(local.components()).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), folder.components().count() - shared);
    let down = local.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| crate::href::tidy(&path));
    let there = whole.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    match there.map(|(part, real)| (whole.strip_prefix(part), real)) {
        Some((Ok(rest), real)) if rest.as_os_str().is_empty() => real,
        Some((Ok(rest), real)) => real.join(rest),
        _ => whole.clone(),
    }
}

fn projection(geobox: &GeoBox) -> Vec<(String, Value)> {
    let code = geobox.crs.as_str();
    let known = code.split_once(':').is_some_and(|(authority, number)| {
        authority.chars().all(char::is_alphanumeric) && !number.is_empty() && !number.contains(['[', ' '])
    });
    let mut out = vec![("proj:code".to_owned(), if known { json!(code) } else { Value::Null })];
    if !known {
        out.push(("proj:wkt2".into(), json!(code)));
    }
    out.push(("proj:shape".into(), json!([geobox.height, geobox.width])));
    out.push(("proj:transform".into(), json!(<[f64; 6]>::from(geobox.transform))));
    out.push(("proj:bbox".into(), json!(geobox.bounds())));
    out
}

fn asset_value(asset: &AssetRecord, made: &Path, model: Option<&(&ModelRecord, String)>) -> Result<Value> {
    let fault = |message: String| CatalogError::Publish { item: String::new(), message };
    let (size, checksum) = checksum(&asset.file)?;
    let (file, made) = (real(&asset.file), real(made));
    let relative = file
        .strip_prefix(&made)
        .map_err(|_| fault(format!("file {} lies outside of the item's folder {}", file.display(), made.display())))?;
    let href =
        relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/");
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("href", json!(format!("./{href}")));
    put("type", json!(asset.media_type));
    put("title", json!(asset.title));
    put("roles", json!(asset.roles));
    if let Some(geobox) = &asset.geobox {
        for (name, value) in projection(geobox) {
            put(&name, value);
        }
        put("raster:sampling", json!("area"));
    }
    if let Some((model, href)) = model {
        put("mlm:name", json!(model.name));
        put("processing:expression", json!({"format": "stac-mlm", "expression": href}));
    }
    if !asset.bands.is_empty() {
        put("bands", asset.bands.iter().map(band).collect());
    }
    if !asset.classes.is_empty() {
        put("classification:classes", asset.classes.iter().map(class).collect());
    }
    put("file:size", json!(size));
    put("file:checksum", json!(checksum));
    Ok(Value::Object(out))
}

fn band(band: &BandRecord) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    put("name", Some(json!(band.name)));
    put("description", band.description.as_ref().map(|text| json!(text)));
    put("data_type", Some(json!(band.dtype.name())));
    put("nodata", band.nodata.map(number));
    put("unit", band.unit.as_ref().map(|text| json!(text)));
    put("raster:scale", band.scale.map(|value| json!(value)));
    put("raster:offset", band.offset.map(|value| json!(value)));
    // A band without one valid pixel has no statistics to tell.
    put(
        "statistics",
        band.statistics.filter(|s| s.minimum.is_finite() && s.maximum.is_finite()).map(|statistics| json!(statistics)),
    );
    Value::Object(out)
}

/// Whole numbers without a fraction; `nan` and infinities as STAC writes them.
fn number(value: f64) -> Value {
    if value.is_nan() {
        return json!("nan");
    }
    if value.is_infinite() {
        return json!(if value > 0.0 { "inf" } else { "-inf" });
    }
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn class(class: &ClassRecord) -> Value {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let mut out =
        json!({"value": class.value, "name": class.name.chars().map(plain).collect::<String>(), "title": class.name});
    if let Some(color) = &class.color {
        out["color_hint"] = json!(color.trim_start_matches('#').to_ascii_uppercase());
    }
    if class.nodata {
        out["nodata"] = json!(true);
    }
    out
}
