//! A look at a scene's files before any chip is read: headers, and a few pixels where radiometry is doubtful.

use std::collections::BTreeMap;

use rayon::prelude::*;
use skysense_abi::{Host, Level, NodeError};
use skysense_catalog::{DataType, PixelStatistics, RasterSource, Scene, Verdict};
use skysense_raster::{self as raster, Header};

use super::opener::Opener;

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

/// Opens every file of the scene once, and settles its radiometry.
///
/// # Errors
/// The first asset that cannot be opened, and radiometry that pixels deny or that nothing settles.
pub(crate) fn inspect(mut scene: Scene, opener: &Opener, host: &Host) -> Result<Inspected, NodeError> {
    let sources: Vec<&RasterSource> = scene.bands.iter().chain(scene.masks.iter().map(|mask| &mask.source)).collect();
    let found: Vec<Result<_, NodeError>> = sources
        .par_iter()
        .map(|source| {
            let header = opener.open(source, raster::header)?;
            Ok(((source.asset.clone(), source.band_index), header))
        })
        .collect();
    let headers: BTreeMap<_, _> = found.into_iter().collect::<Result<_, _>>()?;
    for note in headers.values().flat_map(|header| &header.notes) {
        host.log(Level::Warn, note);
        host.report("decision", &serde_json::json!({"what": "header", "value": note, "why": "the file is believed where catalog and file disagree", "item": scene.item}));
    }
    let mut inspected = Inspected { scene: scene.clone(), headers, ranges: BTreeMap::new(), probe_bytes: 0 };
    settle(&mut scene, &mut inspected, opener)?;
    stretch(&scene, &mut inspected, opener)?;
    inspected.scene = scene;
    Ok(inspected)
}

/// Compares the decision on radiometry with pixels, where it asks for that.
fn settle(scene: &mut Scene, inspected: &mut Inspected, opener: &Opener) -> Result<(), NodeError> {
    let Some(check) = scene.decision.check.clone() else { return Ok(()) };
    let mut darkest: Option<PixelStatistics> = None;
    for source in scene.bands.iter().filter(|source| check.bands.contains(&source.band)) {
        let Some(found) = statistics(source, inspected, opener)? else { continue };
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
        Verdict::Unsettled { required: true, seen } => {
            let sentence = format!("{}; {seen}", scene.decision.sentence);
            refuse(&sentence, "state it in the workflow: `radiometry: {<collection>: {offset: 0}}` or `{unit: linear}`")
        }
        Verdict::Confirmed(seen) => {
            scene.decision.seen = seen;
            Ok(())
        }
        Verdict::Unsettled { seen, .. } => {
            scene.decision.seen = Some(seen);
            Ok(())
        }
        Verdict::Settled(_) => {
            let _verdict = scene.settle(&seen);
            Ok(())
        }
    }
}

/// The range of display values that are wider than a byte.
fn stretch(scene: &Scene, inspected: &mut Inspected, opener: &Opener) -> Result<(), NodeError> {
    if scene.modality != skysense_catalog::Modality::Hr {
        return Ok(());
    }
    for source in &scene.bands {
        let header = inspected.headers.get(&(source.asset.clone(), source.band_index));
        if header.is_some_and(|header| header.dtype == raster::DType::UInt8) || source.dtype == Some(DataType::Uint8) {
            continue;
        }
        if let Some(found) = statistics(source, inspected, opener)? {
            inspected.ranges.insert(source.band.clone(), (found.p01, found.p99));
        }
    }
    Ok(())
}

fn statistics(
    source: &RasterSource,
    inspected: &mut Inspected,
    opener: &Opener,
) -> Result<Option<raster::PixelStatistics>, NodeError> {
    let Some(header) = inspected.headers.get(&(source.asset.clone(), source.band_index)) else { return Ok(None) };
    let found = opener.open(source, |opened| raster::pixel_statistics(opened, header))?;
    inspected.probe_bytes += found.as_ref().map_or(0, |found| found.bytes);
    Ok(found)
}
