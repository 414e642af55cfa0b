//! What an item says.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use skysense_grid::GeoBox;

use crate::error::Result;

/// Bands of high-resolution images.
pub(crate) const RGB: &[&str] = &["red", "green", "blue"];

/// Bands of high-resolution images with near infrared.
pub(crate) const RGBN: &[&str] = &["red", "green", "blue", "nir"];

/// A file of an image.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Key of the asset.
    pub(crate) key: String,
    pub(crate) path: PathBuf,
    /// Name of each band, in the order of the file.
    pub(crate) bands: Vec<String>,
    pub(crate) geobox: GeoBox,
    /// Scale to the real value, of reflectance.
    pub(crate) scale: Option<f64>,
}

/// An item of an image.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) id: String,
    /// RFC 3339.
    pub(crate) datetime: String,
    pub(crate) files: Vec<File>,
    /// More properties.
    pub(crate) properties: Map<String, Value>,
}

/// Names, for a band each.
pub(crate) fn named(bands: &[&str]) -> Vec<String> {
    bands.iter().map(|band| (*band).to_owned()).collect()
}

/// A date as RFC 3339.
pub(crate) fn day(date: &str) -> String {
    format!("{date}T00:00:00Z")
}

/// Properties of a split, and of what was made up.
pub(crate) fn about(split: Option<&str>, made_up: &[&str]) -> Map<String, Value> {
    let mut properties = Map::new();
    properties.extend(split.map(|split| ("split".to_owned(), json!(split))));
    if !made_up.is_empty() {
        properties.insert("skysense:made_up".into(), json!(made_up));
    }
    properties
}

impl Image {
    /// The item.
    ///
    /// # Errors
    /// A grid where its projection is not defined.
    pub(crate) fn json(&self, collection: &str) -> Result<Value> {
        let mut assets = Map::new();
        for file in &self.files {
            let mut asset = json!({
                "href": file.path.display().to_string(),
                "roles": ["data"],
                "bands": file.bands.iter().map(|band| json!({"name": band})).collect::<Vec<_>>(),
            });
            grid(&mut asset, &file.geobox);
            if let Some(scale) = file.scale {
                asset["raster:scale"] = json!(scale);
                asset["raster:offset"] = json!(0.0);
            }
            assets.insert(file.key.clone(), asset);
        }
        let geobox = self.files.first().map(|file| &file.geobox);
        item(&self.id, collection, &self.datetime, geobox, (self.properties.clone(), assets))
    }
}

/// What the asset of a class raster says.
pub(crate) fn classes_asset(href: &str, classes: &[String], geobox: &GeoBox) -> Value {
    let class = |(at, name): (usize, &String)| json!({"value": at + 1, "name": name});
    let mut asset = json!({
        "href": href,
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["labels"],
        "data_type": "uint8",
        "nodata": 0,
        "bands": [{"name": "labels"}],
        "classification:classes": classes.iter().enumerate().map(class).collect::<Vec<_>>(),
    });
    grid(&mut asset, geobox);
    asset
}

fn grid(asset: &mut Value, geobox: &GeoBox) {
    let transform: [f64; 6] = geobox.transform.into();
    asset["proj:code"] = json!(geobox.crs.to_string());
    asset["proj:shape"] = json!([geobox.height, geobox.width]);
    asset["proj:transform"] = json!(transform);
}

/// An item around assets.
pub(crate) fn item(
    id: &str,
    collection: &str,
    datetime: &str,
    geobox: Option<&GeoBox>,
    (mut properties, assets): (Map<String, Value>, Map<String, Value>),
) -> Result<Value> {
    properties.insert("datetime".into(), json!(datetime));
    let (geometry, bbox) = match geobox {
        Some(geobox) => {
            let outline = skysense_raster::footprint(geobox)?;
            (outline.geometry(), json!(outline.bbox))
        }
        None => (Value::Null, Value::Null),
    };
    Ok(json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
            "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
        ],
        "id": id,
        "collection": collection,
        "geometry": geometry,
        "bbox": bbox,
        "properties": properties,
        "links": [
            {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
            {"rel": "parent", "href": "../collection.json", "type": "application/json"},
            {"rel": "collection", "href": "../collection.json", "type": "application/json"},
        ],
        "assets": assets,
    }))
}

/// A path as an id: what is no letter, digit, dot, dash or line becomes a dash.
pub(crate) fn id(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    text.chars().map(plain).collect()
}

/// The key of an asset for a file.
pub(crate) fn key(path: &Path) -> String {
    id(&crate::folder::stem(path))
}
