//! What reading the chips will cost.

use std::collections::BTreeMap;

use skysense_abi::Cost;
use skysense_catalog::{Modality, RasterSource};
use skysense_edges::Dtype;
use skysense_grid::GeoBox;
use skysense_raster::{Header, transform_bounds};

use super::chip_plan::{ChipPlan, PlannedModality};
use super::inspect::Inspected;

/// Decoded blocks that GDAL may keep while chips are read.
pub(crate) const BLOCK_CACHE: u64 = 128 << 20;
/// Pixels of one segment that are decoded before they are cut, over all modalities.
const SEGMENT_BYTES: u64 = 48 << 20;

/// Costs of a plan of chips.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    pub(crate) named: Vec<Cost>,
    pub(crate) working_bytes: u64,
    pub(crate) batch_bytes: u64,
}

/// Columns of chips that are read at once: as many as fit, but never more than a row.
pub(crate) fn columns(plan: &ChipPlan, row: usize) -> usize {
    let one = chip_bytes(plan).max(1);
    usize::try_from(SEGMENT_BYTES / one).unwrap_or(1).clamp(1, row.max(1))
}

/// Bytes of one chip on the edge.
fn chip_bytes(plan: &ChipPlan) -> u64 {
    plan.modalities.iter().map(|m| modality_bytes(plan, m)).sum()
}

fn modality_bytes(plan: &ChipPlan, m: &PlannedModality) -> u64 {
    let side = (plan.size * m.scale) as u64;
    plan.most_dates(m.modality) as u64 * side * side * (m.bands.len() * m.dtype.bytes() + 1) as u64
}

/// One date of a segment while it is decoded: values and validity of every band and mask.
fn decoding_bytes(plan: &ChipPlan, m: &PlannedModality, columns: usize) -> u64 {
    let side = (plan.size * m.scale) as u64;
    let scenes = plan.periods.iter().filter_map(|period| period.dates.get(&m.modality)).flatten();
    let rasters = scenes
        .map(|date| date.scenes.iter().map(|scene| scene.bands.len() + scene.masks.len()).sum::<usize>())
        .max()
        .unwrap_or(0);
    // The values, and the patch of the source that they are made of.
    rasters as u64 * side * side * columns as u64 * (size_of::<f32>() as u64 + 1) * 2
}

/// All costs, given what was found in the files.
pub(crate) fn costs(plan: &ChipPlan, inspected: &BTreeMap<String, &Inspected>, probe_bytes: u64) -> Costs {
    let grid = plan.grid().map_or((1, 1), |grid| (grid.rows(), grid.columns()));
    let (mut bytes, mut requests, mut headers) = (0.0, 0_u64, 0_u64);
    let mut items: BTreeMap<Modality, u64> = BTreeMap::new();
    for scene in plan.scenes() {
        *items.entry(scene.modality).or_default() += 1;
        let Some(found) = inspected.get(&scene.item) else { continue };
        let scale = plan.modalities.iter().find(|m| m.modality == scene.modality).map_or(1, |m| m.scale);
        for source in scene.bands.iter().chain(scene.masks.iter().map(|mask| &mask.source)) {
            let Some(header) = found.headers.get(&(source.asset.clone(), source.band_index)) else { continue };
            headers += 1;
            let (share, pixels) = overlap(&plan.geobox, header, scale, source);
            if share > 0.0 {
                bytes += pixels * header.bytes_per_pixel() * reread(plan, grid);
                requests += ((grid.0 * grid.1.div_ceil(plan.columns)) as f64 * share).ceil() as u64;
            }
        }
    }
    let mut named = Vec::new();
    let mut add = |name: String, value: f64, unit: &str| named.push(Cost { name, value, unit: unit.into() });
    for (modality, count) in items {
        add(format!("used_items.{}", modality.name()), count as f64, "");
        add(
            format!("dates.{}", modality.name()),
            plan.periods.iter().filter_map(|p| p.dates.get(&modality)).map(Vec::len).sum::<usize>() as f64,
            "",
        );
    }
    add("periods".into(), plan.periods.len() as f64, "");
    add("chips".into(), (grid.0 * grid.1 * plan.periods.len()) as f64, "");
    add("requests".into(), (headers + requests) as f64, "");
    add("read".into(), bytes.round(), "bytes");
    add("probe".into(), probe_bytes as f64, "bytes");
    let segment = chip_bytes(plan) * plan.columns as u64;
    let decoding = plan.modalities.iter().map(|m| decoding_bytes(plan, m, plan.columns)).max().unwrap_or(0);
    Costs { named, working_bytes: BLOCK_CACHE + segment + decoding, batch_bytes: segment }
}

/// How often a pixel is read on the average, since rows of chips and segments overlap.
fn reread(plan: &ChipPlan, (rows, columns): (usize, usize)) -> f64 {
    let segments = columns.div_ceil(plan.columns);
    let along = |count: usize, side: usize| 1.0 + (count.saturating_sub(1) * plan.overlap) as f64 / side.max(1) as f64;
    along(rows, plan.geobox.height) * along(segments, plan.geobox.width)
}

/// Share of the target that a source covers, and pixels of the source that the target needs.
fn overlap(target: &GeoBox, header: &Header, scale: usize, source: &RasterSource) -> (f64, f64) {
    let Ok([west, south, east, north]) = transform_bounds(header.crs(), header.bounds(), &target.crs) else {
        return (1.0, (header.width * header.height) as f64);
    };
    let [w, s, e, n] = target.bounds();
    let (width, height) = ((east.min(e) - west.max(w)).max(0.0), (north.min(n) - south.max(s)).max(0.0));
    let (covered, whole, own) = (width * height, (e - w) * (n - s), (east - west) * (north - south));
    if covered <= 0.0 || whole <= 0.0 || own <= 0.0 {
        return (0.0, 0.0);
    }
    let pixels = (header.width * header.height) as f64 * covered / own;
    // Overviews spare pixels where the target is coarser; masks are read at full resolution.
    let wanted = covered / whole * (target.width * target.height * scale * scale) as f64;
    let coarser = if header.overviews.is_empty() || source.role == skysense_catalog::Role::Mask {
        1.0
    } else {
        (pixels / wanted).sqrt().max(1.0).log2().floor().exp2()
    };
    (covered / whole, pixels / (coarser * coarser))
}

/// Bytes of one value.
pub(crate) fn unit(modality: Modality) -> (Dtype, &'static str) {
    match modality {
        Modality::Hr => (Dtype::U8, "byte"),
        Modality::S2 => (Dtype::I16, "reflectance_e4"),
        Modality::S1 => (Dtype::F32, "decibel"),
    }
}
