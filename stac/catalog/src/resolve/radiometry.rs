//! Gathers what an item says about its numbers, and has it judged.

use serde_json::Value;

use super::{Bound, Options, facts};
use crate::radiometry::{backscatter, reflectance};
use crate::sensor::SensorRadiometry;
use crate::{AssetBand, Choice, Decision, Item, Radiometry, Refusal, Sensor};

/// The decision, what each band declares, and the baseline.
pub(super) struct Decided {
    pub(super) decision: Decision,
    /// Beside the bands, in their order.
    pub(super) declared: Vec<Radiometry>,
    pub(super) baseline: Option<u32>,
}

/// Whether radar pixels lie in ground-range geometry: the sensor has such items, and no band claims a projected grid.
pub(super) fn is_ground_range(sensor: &Sensor, bands: &[Bound<'_>]) -> bool {
    let projected = |(_, candidate): &Bound<'_>| {
        candidate.asset.claimed.as_ref().is_some_and(|geobox| geobox.crs.epsg_code() != Some(4326))
    };
    matches!(sensor.radiometry, SensorRadiometry::Backscatter { ground_range: true, .. })
        && !bands.iter().any(projected)
}

pub(super) fn decide(
    item: &Item,
    sensor: &Sensor,
    options: &Options,
    bands: &[Bound<'_>],
    ground_range: bool,
    notes: &mut Vec<String>,
) -> Result<Decided, Refusal> {
    let stated = options.stated(item.collection());
    match &sensor.radiometry {
        SensorRadiometry::Display => {
            let decision = Decision::plain(Choice::AsTheyAre, "display", "display values, taken as they are");
            Ok(Decided { decision, declared: vec![Radiometry::Display; bands.len()], baseline: None })
        }
        SensorRadiometry::Backscatter { collections, check, .. } => {
            let first = bands.first().map(|(_, candidate)| *candidate);
            let described =
                first.and_then(|candidate| candidate.asset.bands.get(candidate.index)).cloned().unwrap_or_default();
            let decision = backscatter::decide(&backscatter::Evidence {
                item: item.id(),
                asset: first.map_or("", |candidate| candidate.asset.key.as_str()),
                stated,
                unit: described.unit.as_deref(),
                words: first.map_or_else(String::new, |candidate| candidate.asset.words.clone()),
                dtype: described.dtype,
                collection: item.collection().and_then(|collection| collections.get(collection)).copied(),
                ground_range,
                check_bands: check.clone(),
            })?;
            Ok(Decided { decision, declared: vec![Radiometry::Display; bands.len()], baseline: None })
        }
        SensorRadiometry::Reflectance { scale, since, applied, baseline, product, collections, check } => {
            let baseline = facts::baseline(item, baseline, product);
            let described: Vec<AssetBand> =
                bands.iter().map(|(_, c)| c.asset.bands.get(c.index).cloned().unwrap_or_default()).collect();
            let fallback = *scale;
            let scales = described
                .iter()
                .map(|band| scale_of(item, band, stated.and_then(|stated| stated.scale), fallback))
                .collect::<Result<Vec<f64>, Refusal>>()?;
            let floats = described.iter().zip(&scales).all(|(band, &scale)| scale == 1.0 && band.offset.is_none());
            let mut declared: Vec<f64> = described.iter().filter_map(|band| band.offset).collect();
            if floats && !bands.is_empty() {
                notes.push("pixels are reflectance already (float, no scale): no offset applies".into());
                declared = vec![0.0; bands.len()];
            }
            let rule = baseline.map_or(0.0, |baseline| if baseline >= since.0 { since.1 } else { 0.0 });
            if !declared.is_empty() && declared.len() < bands.len() {
                notes.push(format!(
                    "{} of {} bands declare an offset; the others take {rule} by baseline",
                    declared.len(),
                    bands.len()
                ));
            }
            let decision = reflectance::decide(&reflectance::Evidence {
                stated,
                collection_offset: item.collection().and_then(|collection| collections.get(collection)).copied(),
                applied: applied.iter().find_map(|name| Some((name.as_str(), truth(item.property(name))?))),
                declared,
                scale: scales.first().copied().unwrap_or(fallback),
                baseline,
                since: *since,
                check_bands: check
                    .iter()
                    .filter(|name| bands.iter().any(|(band, _)| &&band.name == name))
                    .cloned()
                    .collect(),
            });
            let with_offsets = described
                .iter()
                .zip(&scales)
                .map(|(band, &scale)| Radiometry::Reflectance { scale, offset: band.offset.unwrap_or(rule) });
            let declared = with_offsets.collect();
            Ok(Decided { decision: with_check_bands(decision, bands), declared, baseline })
        }
    }
}

/// A check needs a band to look at: the first bound one, where the item has none of those that the sensor prefers.
fn with_check_bands(mut decision: Decision, bands: &[Bound<'_>]) -> Decision {
    if let Some(check) = &mut decision.check
        && check.bands.is_empty()
    {
        check.bands.extend(bands.first().map(|(band, _)| band.name.clone()));
    }
    decision
}

fn scale_of(item: &Item, band: &AssetBand, stated: Option<f64>, fallback: f64) -> Result<f64, Refusal> {
    let floats = band.dtype.is_some_and(|dtype| !dtype.is_integer());
    let scale = stated.or(band.scale).unwrap_or(if floats { 1.0 } else { fallback });
    if scale.is_finite() && scale > 0.0 && scale <= 1.0 {
        return Ok(scale);
    }
    Err(Refusal::Metadata {
        item: item.id().to_owned(),
        field: "scale of a reflectance band".into(),
        found: scale.to_string(),
        expected: "above 0 and at most 1, such as 0.0001".into(),
    })
}

fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| match value.as_str()?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    })
}
