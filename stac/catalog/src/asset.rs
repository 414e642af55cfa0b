//! Assets and their bands, read from the metadata of STAC 0.6 to 1.1.

use serde_json::{Map, Value};
use skysense_grid::GeoBox;

use crate::item::number;
use crate::{DataType, Item, projection};

/// One asset, with what its item says about it taken in.
#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    /// Key in the item.
    pub key: String,
    /// Absolute href.
    pub href: String,
    /// Other places of the same file.
    pub alternates: Vec<String>,
    /// Media type as written, in lower case.
    pub media_type: Option<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Title and description in one text.
    pub words: String,
    /// Bands in file order; empty where the item names none.
    pub bands: Vec<AssetBand>,
    /// GDAL's name of the format, where it is told that it is a raster whatever its name ends in: see [`FORMAT`].
    pub format: Option<String>,
    /// Which raster of a file that holds several: see [`SUBDATASET`].
    pub subdataset: Option<String>,
    /// Claimed grid.
    pub claimed: Option<GeoBox>,
    /// Claimed pixel size in metres, from grid, `gsd`, `raster:bands` or the `_20m` of the key, in this order.
    pub resolution: Option<f64>,
}

/// The field of an asset that names the format of a raster in GDAL's words. It says what a file is, and opens none that
/// [`crate::Access`] does not allow.
pub const FORMAT: &str = "skysense:gdal_format";
/// The field of an asset that names one raster of several in its file.
pub const SUBDATASET: &str = "skysense:subdataset";

/// One band of an asset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetBand {
    /// Name.
    pub name: Option<String>,
    /// Common name, lower case.
    pub common_name: Option<String>,
    /// Centre wavelength in µm.
    pub wavelength: Option<f64>,
    /// Type of the pixels.
    pub dtype: Option<DataType>,
    /// Nodata value.
    pub nodata: Option<f64>,
    /// Declared scale.
    pub scale: Option<f64>,
    /// Declared offset.
    pub offset: Option<f64>,
    /// Declared unit.
    pub unit: Option<String>,
}

impl Asset {
    pub(crate) fn read(item: &Item, key: &str, value: &Value) -> Self {
        let empty = Map::new();
        let object = value.as_object().unwrap_or(&empty);
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let alternates = object.get("alternate").and_then(Value::as_object).into_iter().flatten();
        let claimed = projection::claimed(item, object);
        let declared = object.get("gsd").and_then(Value::as_f64);
        let spatial = object.get("raster:bands").and_then(|bands| bands.get(0)?.get("spatial_resolution")?.as_f64());
        let metric = claimed
            .as_ref()
            .filter(|geobox| geobox.crs.epsg_code() != Some(4326))
            .map(|geobox| geobox.resolution().0.max(geobox.resolution().1));
        Self {
            key: key.to_owned(),
            href: text("href").unwrap_or_default().to_owned(),
            alternates: alternates
                .filter_map(|(_, alternate)| alternate.get("href")?.as_str().map(str::to_owned))
                .collect(),
            media_type: text("type").map(str::to_ascii_lowercase),
            roles: strings(object.get("roles")),
            format: text(FORMAT).map(str::to_owned),
            subdataset: text(SUBDATASET).map(str::to_owned),
            words: [text("title"), text("description")].into_iter().flatten().collect::<Vec<_>>().join("; "),
            bands: bands(item, object),
            resolution: metric.or(declared).or(spatial).or_else(|| suffix_metres(key)),
            claimed,
        }
    }

    /// The key without the marks of copies: `-jp2` and `_20m`.
    pub(crate) fn base_key(&self) -> &str {
        let key = self.key.strip_suffix("-jp2").unwrap_or(&self.key);
        match key.rsplit_once('_') {
            Some((base, size)) if suffix_metres(key).is_some() && !size.is_empty() => base,
            _ => key,
        }
    }
}

/// The 20 of `B04_20m`.
fn suffix_metres(key: &str) -> Option<f64> {
    let key = key.strip_suffix("-jp2").unwrap_or(key);
    key.rsplit_once('_')?.1.strip_suffix('m')?.parse::<u32>().ok().map(f64::from)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.as_str().map(str::to_owned))
        .collect()
}

/// Bands by the metadata of any version: `bands` (1.1), else `eo:bands` beside `raster:bands` (1.0), else the
/// integers of 0.6 to 0.9 that point into the item's own list. Asset-wide `nodata`, `data_type`, `raster:scale`
/// and so on hold for every band that lacks its own.
fn bands(item: &Item, asset: &Map<String, Value>) -> Vec<AssetBand> {
    let list = |name: &str| asset.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (unified, eo, raster) = (list("bands"), list("eo:bands"), list("raster:bands"));
    let count = unified.len().max(eo.len()).max(raster.len());
    let common = Value::Object(asset.clone());
    let mut out: Vec<AssetBand> = (0..count)
        .map(|index| {
            let named = eo
                .get(index)
                .and_then(Value::as_u64)
                .and_then(|at| item.property("eo:bands").get(at as usize))
                .or_else(|| eo.get(index));
            let layers: Vec<&Value> =
                [unified.get(index), named, raster.get(index), Some(&common)].into_iter().flatten().collect();
            band(&layers)
        })
        .collect();
    if out.is_empty() {
        let alone = band(&[&common]);
        if alone != AssetBand::default() {
            out.push(alone);
        }
    }
    out
}

/// A band from several descriptions of it, the first that says something winning.
fn band(layers: &[&Value]) -> AssetBand {
    let find = |names: &[&str]| {
        layers.iter().find_map(|layer| names.iter().find_map(|name| layer.get(*name).filter(|value| !value.is_null())))
    };
    // The asset itself comes last and must not lend its title as a band's name: only band objects have names.
    let described = &layers[..layers.len() - 1];
    let name = described.iter().find_map(|layer| layer.get("name")?.as_str().map(str::to_owned));
    AssetBand {
        name,
        common_name: find(&["eo:common_name", "common_name"]).and_then(Value::as_str).map(str::to_ascii_lowercase),
        wavelength: find(&["eo:center_wavelength", "center_wavelength"]).and_then(number),
        dtype: find(&["data_type", "raster:data_type"]).and_then(|value| DataType::parse(value.as_str()?)),
        nodata: find(&["nodata", "raster:nodata"]).and_then(nodata),
        scale: find(&["raster:scale", "scale"]).and_then(number),
        offset: find(&["raster:offset", "offset"]).and_then(number),
        unit: find(&["unit", "raster:unit"]).and_then(Value::as_str).map(str::to_owned),
    }
}

fn nodata(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some(text) => text.trim().to_ascii_lowercase().parse().ok(),
        None => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Root;

    fn asset(properties: Value, asset: Value) -> Asset {
        let value = json!({"type": "Feature", "id": "a", "properties": properties, "assets": {"x_20m": asset}});
        Item::from_json(value, "https://h/a.json", Root::Remote("https://h/".into())).unwrap().assets().remove(0)
    }

    #[test]
    fn bands_of_each_generation_read_alike() {
        let unified = asset(
            json!({}),
            json!({"href": "a.tif", "data_type": "uint16", "nodata": 0, "raster:scale": 1e-4, "raster:offset": -0.1, "bands": [{"name": "B04", "eo:common_name": "red"}]}),
        );
        let split = asset(
            json!({}),
            json!({"href": "a.tif", "eo:bands": [{"name": "B04", "common_name": "red"}], "raster:bands": [{"data_type": "uint16", "nodata": 0, "scale": 1e-4, "offset": -0.1}]}),
        );
        let integers = asset(
            json!({"eo:bands": [{"name": "B03"}, {"name": "B04", "common_name": "red"}]}),
            json!({"href": "a.tif", "eo:bands": [1], "raster:bands": [{"data_type": "uint16", "nodata": 0, "scale": 1e-4, "offset": -0.1}]}),
        );
        assert_eq!(unified.bands, split.bands);
        assert_eq!(unified.bands, integers.bands);
        assert_eq!(unified.bands[0].offset, Some(-0.1));
    }

    #[test]
    fn nodata_can_be_not_a_number() {
        let asset = asset(json!({}), json!({"href": "a.tif", "raster:bands": [{"nodata": "nan"}]}));
        assert!(asset.bands[0].nodata.is_some_and(f64::is_nan));
    }

    #[test]
    fn copies_are_told_by_their_key() {
        let asset = asset(json!({}), json!({"href": "a.tif"}));
        assert_eq!((asset.base_key(), asset.resolution), ("x", Some(20.0)));
        assert!(asset.bands.is_empty());
    }
}
