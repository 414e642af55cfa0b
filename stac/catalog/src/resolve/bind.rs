//! Which asset holds which band.

use std::cmp::Ordering;

use url::Url;

use crate::access::{is_raster_name, name_of};
use crate::{Asset, AssetBand, Item, Refusal, Sensor, SensorBand};

/// Roles of assets that never hold bands.
const NOT_BANDS: &[&str] = &[
    "thumbnail",
    "overview",
    "metadata",
    "data-mask",
    "cloud",
    "cloud-shadow",
    "snow-ice",
    "water-mask",
    "saturation",
];

/// One band of one asset that could stand for a band of the sensor.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    /// The asset.
    pub(super) asset: &'a Asset,
    /// Band of the file, from 0.
    pub(super) index: usize,
    name: &'a str,
}

/// Every band of every asset that the sensor knows.
pub(super) fn candidates<'a>(
    item: &Item,
    sensor: &'a Sensor,
    assets: &'a [Asset],
    notes: &mut Vec<String>,
) -> Result<Vec<Candidate<'a>>, Refusal> {
    let mut out = Vec::new();
    for asset in assets.iter().filter(|asset| is_raster(asset) && may_hold_bands(sensor, asset)) {
        let by_key = sensor.bands.iter().find(|band| is_called(band, asset.base_key()));
        let by_metadata: Vec<Option<&SensorBand>> = asset.bands.iter().map(|band| by_metadata(sensor, band)).collect();
        match (by_metadata.as_slice(), by_key) {
            ([] | [None], Some(band)) => out.push(Candidate { asset, index: 0, name: &band.name }),
            ([Some(band)], Some(key)) if band.name != key.name => {
                return Err(Refusal::BandConflict {
                    item: item.id().to_owned(),
                    asset: asset.key.clone(),
                    key: key.name.clone(),
                    metadata: band.name.clone(),
                });
            }
            ([None, _, ..], Some(_)) if by_metadata.iter().all(Option::is_none) => {
                notes.push(format!(
                    "asset `{}` has {} bands without names: not used, since bands are never bound by position",
                    asset.key,
                    by_metadata.len()
                ));
            }
            (found, _) => {
                let named = found.iter().enumerate().filter_map(|(index, band)| Some((index, (*band)?)));
                out.extend(named.map(|(index, band)| Candidate { asset, index, name: &band.name }));
            }
        }
    }
    Ok(out)
}

/// The best place of a band.
pub(super) fn best<'a>(candidates: &'a [Candidate<'a>], band: &SensorBand) -> Option<&'a Candidate<'a>> {
    let native = band.gsd.unwrap_or(f64::MAX);
    let of_band = candidates.iter().filter(|candidate| candidate.name == band.name);
    of_band.min_by(|a, b| preference(a.asset, native).cmp(&preference(b.asset, native)))
}

/// Finest first, then GeoTIFF before JPEG 2000, then what is reachable without an account, then by key.
#[derive(Debug, PartialEq)]
pub(super) struct Preference<'a>(f64, u8, u8, &'a str);

impl Preference<'_> {
    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        // Sizes that differ by a rounding are the same size.
        let size = if (self.0 - other.0).abs() <= 1e-3 * self.0.max(other.0) {
            Ordering::Equal
        } else {
            self.0.total_cmp(&other.0)
        };
        size.then(self.1.cmp(&other.1)).then(self.2.cmp(&other.2)).then(self.3.cmp(other.3))
    }
}

/// How good an asset is; `native` is the pixel size of a file that does not say.
pub(super) fn preference(asset: &Asset, native: f64) -> Preference<'_> {
    let (href, _) = places(asset);
    let name = file_name(&href).to_ascii_lowercase();
    let format = if name.ends_with("tif") || name.ends_with("tiff") { 0 } else { 1 };
    Preference(asset.resolution.unwrap_or(native), format, u8::from(href.starts_with("s3://")), &asset.key)
}

/// The href to try first and the others: rasters only, http before s3, since most public buckets also answer by http and
/// need no account there.
pub(super) fn places(asset: &Asset) -> (String, Vec<String>) {
    let all = std::iter::once(&asset.href).chain(&asset.alternates);
    let mut rasters: Vec<String> = all.filter(|href| is_raster_name(&file_name(href))).cloned().collect();
    rasters.dedup();
    rasters.sort_by_key(|href| href.starts_with("s3://"));
    if rasters.is_empty() {
        return (asset.href.clone(), Vec::new());
    }
    let first = rasters.remove(0);
    (first, rasters)
}

/// Whether an asset is a raster that may be opened, by its name and, where given, its media type.
pub(super) fn is_raster(asset: &Asset) -> bool {
    let image = asset
        .media_type
        .as_deref()
        .is_none_or(|media| media.starts_with("image/") || media == "application/octet-stream");
    asset.format.is_some() || image && is_raster_name(&file_name(&places(asset).0))
}

fn may_hold_bands(sensor: &Sensor, asset: &Asset) -> bool {
    let listed = sensor
        .not_bands
        .iter()
        .any(|key| key.eq_ignore_ascii_case(asset.base_key()) || key.eq_ignore_ascii_case(&asset.key));
    !listed && !asset.roles.iter().any(|role| NOT_BANDS.contains(&role.as_str()))
}

fn file_name(href: &str) -> String {
    match Url::parse(href) {
        Ok(url) if url.scheme().len() > 1 => name_of(&url),
        _ => href.rsplit('/').next().unwrap_or(href).to_owned(),
    }
}

fn by_metadata<'a>(sensor: &'a Sensor, band: &AssetBand) -> Option<&'a SensorBand> {
    let called =
        |name: &Option<String>| name.as_ref().and_then(|name| sensor.bands.iter().find(|known| is_called(known, name)));
    let common = || {
        let common = band.common_name.as_ref()?;
        sensor.bands.iter().find(|known| known.common.contains(common))
    };
    called(&band.name).or_else(common).or_else(|| by_wavelength(sensor, band.wavelength?))
}

/// The nearest band, where it is near enough to be meant.
fn by_wavelength(sensor: &Sensor, wavelength: f64) -> Option<&SensorBand> {
    let away = |band: &&SensorBand| band.wavelength.map_or(f64::MAX, |known| (known - wavelength).abs());
    let nearest = sensor.bands.iter().min_by(|a, b| away(a).total_cmp(&away(b)))?;
    let near = if wavelength < 1.0 { 0.012 } else { 0.06 };
    (away(&nearest) <= near).then_some(nearest)
}

fn is_called(band: &SensorBand, name: &str) -> bool {
    let name = canonical(name);
    canonical(&band.name) == name || band.also.iter().any(|other| canonical(other) == name)
}

/// Lower case, `_` for spaces and hyphens, and `b2` as `b02`.
fn canonical(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    match name.strip_prefix('b') {
        Some(digit) if digit.len() == 1 && digit.chars().all(|c| c.is_ascii_digit()) => format!("b0{digit}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Root, Sensors};

    fn bound(sensor: &str, assets: Value) -> Result<Vec<(String, String, usize)>, Refusal> {
        let value = json!({"type": "Feature", "id": "a", "properties": {}, "assets": assets});
        let item = Item::from_json(value, "https://h/a.json", Root::Remote("https://h/".into())).unwrap();
        let sensors = Sensors::builtin().unwrap();
        let sensor = sensors.get(sensor).unwrap();
        let assets = item.assets();
        let found = candidates(&item, sensor, &assets, &mut Vec::new())?;
        Ok(sensor
            .bands
            .iter()
            .filter_map(|band| best(&found, band))
            .map(|c| (c.name.to_owned(), c.asset.key.clone(), c.index))
            .collect())
    }

    fn only(name: &str, key: &str, index: usize) -> Result<Vec<(String, String, usize)>, Refusal> {
        Ok(vec![(name.to_owned(), key.to_owned(), index)])
    }

    #[test]
    fn the_finest_wins_in_any_order() {
        let (ten, twenty) = (json!({"href": "R10m/B04.jp2"}), json!({"href": "R20m/B04.tif"}));
        assert_eq!(bound("sentinel-2-l2a", json!({"B04_10m": ten, "B04_20m": twenty})), only("B04", "B04_10m", 0));
        assert_eq!(bound("sentinel-2-l2a", json!({"B04_20m": twenty, "B04_10m": ten})), only("B04", "B04_10m", 0));
    }

    #[test]
    fn a_geotiff_is_taken_before_a_jpeg_2000_of_the_same_size() {
        let assets = json!({"red-jp2": {"href": "s3://b/B04.jp2", "gsd": 10}, "red": {"href": "B04.tif", "gsd": 10}});
        assert_eq!(bound("sentinel-2-l2a", assets), only("B04", "red", 0));
    }

    #[test]
    fn three_bands_called_rededge_are_told_apart_by_wavelength() {
        let band = |wavelength: f64| json!({"href": "x.tif", "eo:bands": [{"name": "x", "common_name": "rededge", "center_wavelength": wavelength}]});
        let found = bound("sentinel-2-l2a", json!({"a": band(0.783), "b": band(0.704), "c": band(0.7402)})).unwrap();
        assert_eq!(
            found,
            [("B05".into(), "b".into(), 0), ("B06".into(), "c".into(), 0), ("B07".into(), "a".into(), 0)]
        );
    }

    #[test]
    fn bands_in_one_file_are_found_by_name() {
        let assets = json!({"image": {"href": "x.tif", "eo:bands": [{"name": "nir"}, {"name": "red"}, {"name": "green"}, {"name": "blue"}]}});
        let found = bound("hr-rgb", assets).unwrap();
        assert_eq!(
            found.iter().map(|(name, _, index)| (name.as_str(), *index)).collect::<Vec<_>>(),
            [("red", 1), ("green", 2), ("blue", 3)]
        );
    }

    #[test]
    fn unnamed_bands_are_never_bound_by_position() {
        let assets = json!({"red": {"href": "x.tif", "raster:bands": [{"nodata": 0}, {"nodata": 0}, {"nodata": 0}]}});
        assert_eq!(bound("hr-rgb", assets), Ok(vec![]));
    }

    #[test]
    fn a_key_that_denies_its_metadata_is_refused() {
        let assets = json!({"B04": {"href": "x.tif", "eo:bands": [{"name": "B03"}]}});
        assert!(matches!(bound("sentinel-2-l2a", assets), Err(Refusal::BandConflict { .. })));
    }

    #[test]
    fn other_formats_and_quicklooks_are_no_bands() {
        for assets in [
            json!({"B04": {"href": "x.vrt"}}),
            json!({"B04": {"href": "x.xml", "type": "application/xml"}}),
            json!({"B04": {"href": "x.png", "roles": ["thumbnail"]}}),
            json!({"visual_20m": {"href": "x.tif", "eo:bands": [{"name": "B04"}, {"name": "B03"}]}}),
        ] {
            assert_eq!(bound("sentinel-2-l2a", assets), Ok(vec![]));
        }
    }

    #[test]
    fn http_is_taken_before_s3() {
        let value = json!({"type": "Feature", "id": "a", "properties": {}, "assets": {"a": {"href": "s3://b/x.tif", "alternate": {"public": {"href": "https://h/x.tif"}, "page": {"href": "https://h/x"}}}}});
        let item = Item::from_json(value, "https://h/a.json", Root::Remote("https://h/".into())).unwrap();
        assert_eq!(places(&item.assets()[0]), ("https://h/x.tif".into(), vec!["s3://b/x.tif".into()]));
    }
}
