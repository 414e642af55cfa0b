//! What is said of a map in its STAC item: where it lies, what is in it, and what it was made of.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skysense_catalog::{AssetRecord, BandRecord, Bbox, ClassRecord, DataType, ItemRecord, Statistics, parse_datetime};
use skysense_contract::Package;
use skysense_edges::{MapFacts, Period, ValueDecision};
use skysense_maps::{Layer, lineage};
use skysense_raster::{CogInfo, CogSpec, RasterError, footprint};

use super::period_writer::WrittenMap;
use crate::publish::model_record;

/// What is known of a run.
pub(crate) struct Describe<'a> {
    pub(crate) facts: &'a MapFacts,
    /// The package, where it is known.
    pub(crate) model: Option<Package>,
    pub(crate) workflow_sha256: String,
    pub(crate) software: BTreeMap<String, String>,
}

/// The record of one period's map.
///
/// # Errors
/// A grid that cannot be placed on the globe.
pub(crate) fn describe(
    about: &Describe<'_>,
    id: &str,
    title: &str,
    period: &Period,
    written: &WrittenMap,
) -> Result<ItemRecord, RasterError> {
    let facts = about.facts;
    let outline = footprint(&facts.chips.geobox)?;
    let moment = |text: &str| parse_datetime(text).unwrap_or_default();
    let interval = (moment(&period.start), moment(&period.end));
    let (sources, decisions) = facts.chips.sources(period);
    Ok(ItemRecord {
        id: id.to_owned(),
        title: title.to_owned(),
        interval,
        geometry: outline.geometry(),
        bbox: Bbox(outline.bbox),
        assets: written.files.iter().map(|(layer, info)| asset(layer, info, facts)).collect(),
        derived_from: sources.iter().map(|item| item.address().to_owned()).collect(),
        lineage: lineage(facts, sources.len(), &decisions),
        software: about.software.clone(),
        workflow_sha256: about.workflow_sha256.clone(),
        model: about.model.as_ref().map(|package| model_record(package, &facts.model, task(facts))),
        properties: properties(facts, period, written, &decisions),
    })
}

fn asset(layer: &Layer, info: &CogInfo, facts: &MapFacts) -> AssetRecord {
    let spec = layer.spec(facts.chips.geobox.clone());
    let bands = spec.bands.iter().zip(&info.bands).map(|(band, found)| BandRecord {
        name: band.name.clone(),
        description: band.description.clone(),
        dtype: dtype(&spec),
        nodata: spec.nodata,
        unit: band.unit.clone(),
        scale: band.scale,
        offset: band.offset,
        statistics: statistics(found),
    });
    let classes = match layer {
        Layer::Class { classes, nodata } => {
            let named = classes.iter().map(|class| ClassRecord {
                value: class.value.into(),
                name: class.name.clone(),
                color: Some(class.color.clone()),
                nodata: false,
            });
            named
                .chain([ClassRecord { value: (*nodata).into(), name: "no data".into(), color: None, nodata: true }])
                .collect()
        }
        _ => Vec::new(),
    };
    AssetRecord {
        key: layer.name().into(),
        file: info.path.clone(),
        title: layer.title().into(),
        roles: vec!["data".into()],
        media_type: AssetRecord::COG.into(),
        geobox: Some(facts.chips.geobox.clone()),
        bands: bands.collect(),
        classes,
    }
}

fn dtype(spec: &CogSpec) -> DataType {
    // Both name types as STAC does, and a COG is written in one of four that both know.
    DataType::parse(spec.dtype.name()).unwrap_or(DataType::Float32)
}

fn statistics(found: &skysense_raster::BandStatistics) -> Option<Statistics> {
    Some(Statistics {
        minimum: found.minimum?,
        maximum: found.maximum?,
        mean: found.mean?,
        stddev: found.stddev?,
        valid_percent: found.valid_percent,
    })
}

/// What the model did, in the words of the machine learning model extension.
fn task(facts: &MapFacts) -> &'static str {
    let named = skysense_contract::Task::ALL.into_iter().find(|task| task.name() == facts.task);
    // Features of a model with a head are features still.
    let given = named.filter(|_| !facts.classes.is_empty() || facts.quantity.is_some());
    given.map_or("feature-extraction", skysense_contract::Task::mlm)
}

fn properties(
    facts: &MapFacts,
    period: &Period,
    written: &WrittenMap,
    decisions: &[ValueDecision],
) -> Map<String, Value> {
    let pixels = facts.chips.geobox.width * facts.chips.geobox.height;
    let mut properties = Map::new();
    let mut put = |name: &str, value: Value| drop(properties.insert(name.to_owned(), value));
    put("skysense:period", json!(period.name));
    put("skysense:valid_percent", json!(100.0 * written.valid as f64 / pixels.max(1) as f64));
    put("skysense:decisions", json!(decisions));
    let modalities: BTreeMap<&String, Value> = facts
        .chips
        .modalities
        .iter()
        .map(|(name, m)| (name, json!({"sensor": m.sensor, "bands": m.bands, "unit": m.unit, "dates": m.dates})))
        .collect();
    put("skysense:inputs", json!(modalities));
    if !facts.absent_bands.is_empty() {
        put("skysense:absent_bands", json!(facts.absent_bands));
    }
    properties
}
