//! From an item to a scene: each band bound by name to one file, and the radiometry decided.

mod bind;
mod facts;
mod radiometry;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::bind::{Candidate, best, candidates};
use crate::sensor::SensorMask;
use crate::{
    Asset, AssetBand, Georeference, Item, Mask, Modality, Override, Radiometry, RasterSource, Refusal, Role, Scene,
    Sensor, SensorBand,
};

/// What a workflow says about binding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Bands that every item must have, in the sensor's names; whatever is there where empty.
    pub bands: Vec<String>,
    /// Radiometry by collection; `*` stands for all others.
    pub radiometry: BTreeMap<String, Override>,
}

impl Options {
    /// What is stated for a collection.
    fn stated(&self, collection: Option<&str>) -> Option<&Override> {
        collection.and_then(|collection| self.radiometry.get(collection)).or_else(|| self.radiometry.get("*"))
    }
}

/// Binds the bands of an item, or says why it is not used.
///
/// Per band the finest file wins, then a GeoTIFF over JPEG 2000, then a place reachable without an account. A band is
/// known by its name, then by a common name that means it alone, then by wavelength, then by the key of an asset with one
/// band; never by its position.
///
/// # Errors
/// The reason, as a [`Refusal`].
pub fn resolve(item: &Item, sensor: &Sensor, options: &Options) -> Result<Scene, Refusal> {
    let metadata = |field: &str, found: String, expected: &str| Refusal::Metadata {
        item: item.id().to_owned(),
        field: field.to_owned(),
        found,
        expected: expected.to_owned(),
    };
    let (interval, datetime) = item.interval().zip(item.datetime()).ok_or_else(|| {
        metadata("datetime", item.property("datetime").to_string(), "a datetime, or start_datetime and end_datetime")
    })?;
    let bbox = item.bbox().ok_or_else(|| metadata("bbox", "absent".into(), "a bbox or geometry in degrees"))?;

    let assets = item.assets();
    let mut notes = Vec::new();
    let found = candidates(item, sensor, &assets, &mut notes)?;
    let mut bands = Vec::new();
    let mut missing = Vec::new();
    for band in &sensor.bands {
        match best(&found, band) {
            Some(candidate) => bands.push((band, candidate)),
            None => missing.push(band.name.clone()),
        }
    }
    require(item, sensor, options, &assets, &missing, bands.is_empty())?;

    let ground_range = radiometry::is_ground_range(sensor, &bands);
    let decided = radiometry::decide(item, sensor, options, &bands, ground_range, &mut notes)?;
    let sources = bands
        .iter()
        .zip(&decided.declared)
        .map(|((band, candidate), declared)| {
            let mut source = source(item, candidate.asset, candidate.index, &band.name, Role::Data);
            source.radiometry = decided.decision.radiometry(&band.name, *declared);
            if ground_range {
                source.georeference = Georeference::GroundControlPoints;
                source.claimed = None;
            }
            source
        })
        .collect();
    Ok(Scene {
        item: item.id().to_owned(),
        item_href: item.self_href().map(skysense_address::unsigned),
        collection: item.collection().map(str::to_owned),
        root: item.root().clone(),
        sensor: sensor.sensor.clone(),
        modality: sensor.modality,
        datetime,
        interval,
        platform: item.platform(),
        baseline: decided.baseline,
        tile: facts::tile(item),
        orbit_state: item.text("sat:orbit_state").map(str::to_ascii_lowercase),
        relative_orbit: item.property("sat:relative_orbit").as_i64(),
        processed: facts::processed(item),
        cloud_cover: item.cloud_cover(),
        bbox,
        bands: sources,
        missing,
        masks: masks(item, sensor, &assets, &mut notes),
        decision: decided.decision,
        notes,
    })
}

fn require(
    item: &Item,
    sensor: &Sensor,
    options: &Options,
    assets: &[Asset],
    missing: &[String],
    none: bool,
) -> Result<(), Refusal> {
    let wanted = |name: &&String| sensor.all_bands || none || options.bands.contains(name);
    let unknown = options.bands.iter().filter(|name| !sensor.bands.iter().any(|band| &band.name == *name));
    let lacking: Vec<&String> = missing.iter().filter(wanted).chain(unknown).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let list = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(", ");
    let polarisations = item.property("sar:polarizations").as_array();
    if let Some(has) = polarisations.filter(|_| sensor.modality == Modality::S1) {
        let has: Vec<&str> = has.iter().filter_map(serde_json::Value::as_str).collect();
        if sensor.bands.iter().any(|band| !has.contains(&band.name.as_str())) {
            return Err(Refusal::Polarisation {
                item: item.id().to_owned(),
                found: has.join(", "),
                expected: list(&mut sensor.bands.iter().map(|band| band.name.clone())),
            });
        }
    }
    Err(Refusal::MissingBands {
        item: item.id().to_owned(),
        sensor: sensor.sensor.clone(),
        missing: list(&mut lacking.into_iter().cloned()),
        assets: list(&mut assets.iter().filter(|asset| bind::is_raster(asset)).map(|asset| asset.key.clone())),
    })
}

fn masks(item: &Item, sensor: &Sensor, assets: &[Asset], notes: &mut Vec<String>) -> Vec<Mask> {
    let mut masks = Vec::new();
    for SensorMask { name, assets: keys, rule } in &sensor.masks {
        let fits = |asset: &&Asset| {
            bind::is_raster(asset) && keys.iter().any(|key| key.eq_ignore_ascii_case(asset.base_key()))
        };
        let Some(asset) =
            assets.iter().filter(fits).min_by(|a, b| bind::preference(a, 20.0).cmp(&bind::preference(b, 20.0)))
        else {
            continue;
        };
        if asset.bands.len() > 1 {
            notes.push(format!(
                "asset `{}` has {} bands and none is named as {name}: not used as a mask",
                asset.key,
                asset.bands.len()
            ));
            continue;
        }
        let mut source = source(item, asset, 0, name, Role::Mask);
        source.radiometry = Radiometry::Mask;
        masks.push(Mask { source, rule: rule.clone() });
    }
    masks
}

/// The record of one band; `index` counts from 0.
fn source(item: &Item, asset: &Asset, index: usize, band: &str, role: Role) -> RasterSource {
    let described = asset.bands.get(index).cloned().unwrap_or_default();
    let (href, alternates) = bind::places(asset);
    let AssetBand { dtype, nodata, .. } = described;
    RasterSource {
        item: item.id().to_owned(),
        asset: asset.key.clone(),
        band: band.to_owned(),
        role,
        href,
        alternates,
        band_index: index + 1,
        subdataset: asset.subdataset.clone(),
        band_count: asset.bands.len().max(1),
        claimed: asset.claimed.clone(),
        georeference: Georeference::Affine,
        dtype,
        nodata,
        resolution: asset.resolution,
        radiometry: Radiometry::Display,
        root: item.root().clone(),
    }
}

/// A sensor's band with the place where an item has it.
type Bound<'a> = (&'a SensorBand, &'a Candidate<'a>);
