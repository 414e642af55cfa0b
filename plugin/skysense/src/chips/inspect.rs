//! A look at a scene's files before any chip is read: headers, and a few pixels where radiometry is doubtful.

use std::collections::BTreeMap;

use rayon::prelude::*;
use skysense_abi::{Host, Level, NodeError};
use skysense_catalog::{Access, DataType, PixelStatistics, RasterSource, Scene, Verdict};
use skysense_raster::{self as raster, Header, Source};

use crate::errors;

/// What was found in a scene's files.
#[derive(Debug, Clone)]
pub(crate) struct Inspected {
    /// The scene, its radiometry settled.
    pub(crate) scene: Scene,
    /// Headers of its bands and masks, by asset and band of the file.
    pub(crate) headers: BTreeMap<(String, usize), Header>,
    /// Percentiles 1 and 99 of display bands wider than a byte, by band.
    pub(crate) ranges: BTreeMap<String, (f64, f64)>,
    /// Bytes of pixels that were looked at.
    pub(crate) probe_bytes: u64,
}

/// The raster source of a catalog's source, if the catalog may reach it.
pub(crate) fn open_source(source: &RasterSource, access: &Access) -> Result<Source, NodeError> {
    let mut first_error = None;
    for href in std::iter::once(&source.href).chain(&source.alternates) {
        match access.raster(&source.root, href) {
            Ok(location) => {
                let name = format!("item {}, asset {}", source.item, source.asset);
                return Ok(Source::new(name, location.raster_href())
                    .with_band(source.band_index)
                    .with_nodata(source.nodata)
                    .with_claimed(source.claimed.clone()));
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let error = match first_error {
        Some(error) => errors::catalog(&error),
        None => NodeError::new("asset.href", "the asset has no href"),
    };
    Err(error.at("item", &source.item).at("asset", &source.asset))
}

/// An error of a source, with its item and asset.
pub(crate) fn place(error: NodeError, source: &RasterSource) -> NodeError {
    error.at("item", &source.item).at("asset", &source.asset).at("href", skysense_catalog::redact(&source.href))
}

/// Opens every file of the scene once, and settles its radiometry.
///
/// # Errors
/// The first asset that cannot be opened, and radiometry that pixels deny or that nothing settles.
pub(crate) fn inspect(mut scene: Scene, access: &Access, host: &Host) -> Result<Inspected, NodeError> {
    let sources: Vec<&RasterSource> = scene.bands.iter().chain(scene.masks.iter().map(|mask| &mask.source)).collect();
    let found: Vec<Result<_, NodeError>> = sources
        .par_iter()
        .map(|source| {
            let opened = open_source(source, access)?;
            let header = raster::header(&opened).map_err(|error| place(errors::raster(&error), source))?;
            Ok(((source.asset.clone(), source.band_index), header))
        })
        .collect();
    let headers: BTreeMap<_, _> = found.into_iter().collect::<Result<_, _>>()?;
    for note in headers.values().flat_map(|header| &header.notes) {
        host.log(Level::Warn, note);
        host.report("decision", &serde_json::json!({"what": "header", "value": note, "why": "the file is believed where catalog and file disagree", "item": scene.item}));
    }
    let mut inspected = Inspected { scene: scene.clone(), headers, ranges: BTreeMap::new(), probe_bytes: 0 };
    settle(&mut scene, &mut inspected, access)?;
    stretch(&scene, &mut inspected, access)?;
    inspected.scene = scene;
    Ok(inspected)
}

/// Compares the decision on radiometry with pixels, where it asks for that.
fn settle(scene: &mut Scene, inspected: &mut Inspected, access: &Access) -> Result<(), NodeError> {
    let Some(check) = scene.decision.check.clone() else { return Ok(()) };
    let mut darkest: Option<PixelStatistics> = None;
    for source in scene.bands.iter().filter(|source| check.bands.contains(&source.band)) {
        let Some(found) = statistics(source, inspected, access)? else { continue };
        let found = PixelStatistics { count: found.count as u64, p01: found.p01, p50: found.p50, p99: found.p99 };
        if darkest.is_none_or(|darkest| found.p01 < darkest.p01) {
            darkest = Some(found);
        }
    }
    let seen = darkest.unwrap_or(PixelStatistics { count: 0, p01: f64::NAN, p50: f64::NAN, p99: f64::NAN });
    let refuse = |sentence: &str, hint: &str| {
        let message = format!("item {}: {sentence}", scene.item);
        Err(NodeError::new("radiometry.unsettled", message).at("item", &scene.item).hint(hint))
    };
    match scene.decision.confirm(&seen) {
        Verdict::Contradiction { sentence, hint } => refuse(&sentence, &hint),
        Verdict::Unsettled { required: true, sentence } => {
            refuse(&sentence, "state it in the workflow: `radiometry: {<collection>: {offset: 0}}` or `{unit: linear}`")
        }
        Verdict::Confirmed(sentence) | Verdict::Unsettled { sentence, .. } => {
            scene.decision.sentence = sentence;
            Ok(())
        }
        Verdict::Settled(_) => {
            let _verdict = scene.settle(&seen);
            Ok(())
        }
    }
}

/// The range of display values that are wider than a byte.
fn stretch(scene: &Scene, inspected: &mut Inspected, access: &Access) -> Result<(), NodeError> {
    if scene.modality != skysense_catalog::Modality::Hr {
        return Ok(());
    }
    for source in &scene.bands {
        let header = inspected.headers.get(&(source.asset.clone(), source.band_index));
        if header.is_some_and(|header| header.dtype == raster::DType::UInt8) || source.dtype == Some(DataType::Uint8) {
            continue;
        }
        if let Some(found) = statistics(source, inspected, access)? {
            inspected.ranges.insert(source.band.clone(), (found.p01, found.p99));
        }
    }
    Ok(())
}

fn statistics(
    source: &RasterSource,
    inspected: &mut Inspected,
    access: &Access,
) -> Result<Option<raster::PixelStatistics>, NodeError> {
    let Some(header) = inspected.headers.get(&(source.asset.clone(), source.band_index)) else { return Ok(None) };
    let opened = open_source(source, access)?;
    let found = raster::pixel_statistics(&opened, header).map_err(|error| place(errors::raster(&error), source))?;
    inspected.probe_bytes += found.as_ref().map_or(0, |found| found.bytes);
    Ok(found)
}
