//! One date on a grid: the scenes of a solar day, read, masked, converted and laid over each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use skysense_abi::{Host, Level, NodeError};
use skysense_catalog::{Mask, Radiometry, RasterSource, Scene};
use skysense_grid::{GeoBox, Window};
use skysense_raster::{self as raster, Header, Pixels, Resampling};

use super::chip_plan::{ChipPlan, PlannedDate, PlannedModality};
use super::opener::Opener;
use crate::nodes::raster_chips::ResamplingName;
use crate::settings::OnError;

/// A date on a grid, in the unit of the edge.
#[derive(Debug, Clone)]
pub(crate) struct DatePixels {
    /// `[band, height, width]`.
    pub(crate) values: Vec<f32>,
    /// 1 where every band was measured and no mask says otherwise, `[height, width]`.
    pub(crate) valid: Vec<u8>,
}

/// Reads dates; keeps what it learns of files and of failures.
pub(crate) struct SceneReader {
    opener: Opener,
    resampling: Resampling,
    on_error: OnError,
    headers: Mutex<BTreeMap<(String, usize), Header>>,
    failed: Mutex<BTreeSet<(String, String)>>,
    host: Host,
}

/// What a raster of a scene is for.
enum Part<'a> {
    Band(&'a RasterSource),
    Mask(&'a Mask),
}

impl SceneReader {
    pub(crate) fn new(plan: &ChipPlan, host: Host) -> Self {
        let resampling = match plan.resampling {
            ResamplingName::Nearest => Resampling::Nearest,
            ResamplingName::Bilinear => Resampling::Bilinear,
            ResamplingName::Cubic => Resampling::Cubic,
            ResamplingName::Average => Resampling::Average,
        };
        Self {
            opener: Opener::new(plan.access.clone()),
            resampling,
            on_error: plan.on_error,
            headers: Mutex::default(),
            failed: Mutex::default(),
            host,
        }
    }

    /// Fills a grid with a date. Where scenes overlap the first one that is valid wins.
    ///
    /// # Errors
    /// An asset that cannot be read, under `on_error: fail`; and cancellation.
    pub(crate) fn read(
        &self,
        date: &PlannedDate,
        modality: &PlannedModality,
        dst: &GeoBox,
    ) -> Result<Result<DatePixels, NodeError>, NodeError> {
        let area = dst.width * dst.height;
        let mut out = DatePixels { values: vec![0.0; modality.bands.len() * area], valid: vec![0; area] };
        for scene in &date.scenes {
            self.host.check_cancelled()?;
            let Some(window) = missing(&out.valid, dst.width) else { break };
            let part = dst.window(&window).map_err(|error| NodeError::from_error("plan.invalid", &error))?;
            match self.scene(scene, modality, &part) {
                Ok(layer) => lay(&mut out, &layer, dst.width, &window),
                Err(error) if error.is_cancelled() || self.on_error == OnError::Fail => return Err(error),
                Err(error) if self.on_error == OnError::Skip => return Ok(Err(error)),
                Err(error) => self.note(scene, &error),
            }
        }
        Ok(Ok(out))
    }

    /// Names a failure in the log and the report, each asset once.
    pub(crate) fn note(&self, scene: &Scene, error: &NodeError) {
        let asset = error.place.get("asset").cloned().unwrap_or_default();
        let item = error.place.get("item").cloned().unwrap_or_else(|| scene.item.clone());
        let new = self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert((item.clone(), asset.clone()));
        if new {
            self.host.skipped_for(&item, Some(&asset), error);
            self.host.log(
                Level::Warn,
                format!("item {item}, asset {asset} cannot be read and its pixels are left out: {}", error.message),
            );
        }
    }

    fn scene(&self, scene: &Scene, modality: &PlannedModality, dst: &GeoBox) -> Result<DatePixels, NodeError> {
        let area = dst.width * dst.height;
        let mut parts = Vec::with_capacity(modality.bands.len() + scene.masks.len());
        for band in &modality.bands {
            let source = scene.band(band).ok_or_else(|| {
                NodeError::new("band.missing", format!("item {} lacks band {band}", scene.item)).at("item", &scene.item)
            })?;
            parts.push(Part::Band(source));
        }
        parts.extend(scene.masks.iter().map(Part::Mask));
        let read: Vec<Result<Pixels, NodeError>> = parts.par_iter().map(|part| self.part(part, dst)).collect();
        let mut out = DatePixels { values: Vec::with_capacity(modality.bands.len() * area), valid: vec![1; area] };
        for (part, pixels) in parts.iter().zip(read) {
            let pixels = pixels?;
            match part {
                Part::Band(source) => {
                    let stretch = modality.stretch.as_ref().and_then(|all| all.get(out.values.len() / area.max(1)));
                    out.values.extend(pixels.values.iter().map(|&value| convert(value, source.radiometry, stretch)));
                    out.valid.iter_mut().zip(&pixels.valid).for_each(|(valid, &seen)| *valid &= seen);
                }
                Part::Mask(mask) => {
                    // A mask's own nodata value is 0 for many producers, and in some of them 0 means clear:
                    // the rule judges the number, whatever the file calls it.
                    for (valid, &value) in out.valid.iter_mut().zip(&pixels.values) {
                        *valid &= u8::from(!mask.rule.excludes(f64::from(value)));
                    }
                }
            }
        }
        for (pixel, valid) in out.valid.iter_mut().enumerate() {
            let finite = (0..modality.bands.len()).all(|band| out.values[band * area + pixel].is_finite());
            *valid = u8::from(*valid != 0 && finite);
        }
        Ok(out)
    }

    fn part(&self, part: &Part<'_>, dst: &GeoBox) -> Result<Pixels, NodeError> {
        let source = match part {
            Part::Band(source) => source,
            Part::Mask(mask) => &mask.source,
        };
        // Signatures change, the file behind them does not.
        let key = (source.href.clone(), source.band_index);
        self.opener.open(source, |opened| {
            let known = self.headers.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let header = match known {
                Some(header) => header,
                None => {
                    let header = raster::header(opened)?;
                    self.headers.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), header.clone());
                    header
                }
            };
            match (part, source.radiometry) {
                (Part::Mask(_), _) => raster::read(opened, &header, dst, Resampling::Nearest),
                (_, Radiometry::Backscatter(unit)) => {
                    let power = move |number: f64| unit.power(number).unwrap_or(f64::NAN);
                    raster::read_changed(opened, &header, dst, self.resampling, &power)
                }
                _ => raster::read(opened, &header, dst, self.resampling),
            }
        })
    }
}

/// A resampled number in the unit of the edge: radar comes as linear power.
fn convert(value: f32, radiometry: Radiometry, stretch: Option<&(f64, f64)>) -> f32 {
    match (radiometry, stretch) {
        (Radiometry::Reflectance { scale, offset }, _) => ((f64::from(value) * scale + offset) * 10_000.0) as f32,
        (Radiometry::Backscatter(_), _) => (10.0 * f64::from(value).log10()) as f32,
        (_, Some(&(low, high))) => ((f64::from(value) - low) / (high - low).max(f64::MIN_POSITIVE) * 255.0) as f32,
        _ => value,
    }
}

/// The smallest window with all pixels that are not valid yet; a pixel's value is the same in any window.
fn missing(valid: &[u8], width: usize) -> Option<Window> {
    let rows = || valid.chunks_exact(width.max(1)).enumerate().filter(|(_, row)| row.contains(&0));
    let (top, bottom) = (rows().next()?.0, rows().next_back()?.0);
    let left = rows().filter_map(|(_, row)| row.iter().position(|&valid| valid == 0)).min()?;
    let right = rows().filter_map(|(_, row)| row.iter().rposition(|&valid| valid == 0)).max()?;
    Some(Window { x: left as i64, y: top as i64, width: right + 1 - left, height: bottom + 1 - top })
}

/// Lays a scene, read for a window, under what is there already.
fn lay(out: &mut DatePixels, layer: &DatePixels, width: usize, window: &Window) {
    let (area, part) = (out.valid.len(), layer.valid.len());
    for from in 0..part {
        let (x, y) = (window.x as usize + from % window.width, window.y as usize + from / window.width);
        let pixel = y * width + x;
        if out.valid[pixel] == 0 && layer.valid[from] != 0 {
            out.valid[pixel] = 1;
            let into = out.values[pixel..].iter_mut().step_by(area);
            into.zip(layer.values[from..].iter().step_by(part)).for_each(|(value, &new)| *value = new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skysense_catalog::Backscatter;

    #[test]
    fn units_of_the_edge() {
        assert_eq!(convert(1500.0, Radiometry::Reflectance { scale: 1e-4, offset: -0.1 }, None).round(), 500.0);
        assert!((convert(0.1, Radiometry::Backscatter(Backscatter::Linear), None) + 10.0).abs() < 1e-4);
        assert_eq!(convert(600.0, Radiometry::Display, Some(&(100.0, 1100.0))), 127.5);
        assert_eq!(convert(7.0, Radiometry::Display, None), 7.0);
    }

    #[test]
    fn the_first_valid_scene_wins_and_later_ones_are_read_where_it_is_not() {
        // Two bands of three by two pixels.
        let mut out = DatePixels { values: vec![0.0; 12], valid: vec![0; 6] };
        let whole = Window { x: 0, y: 0, width: 3, height: 2 };
        assert_eq!(missing(&out.valid, 3), Some(whole));
        let first = DatePixels { values: vec![1.0; 12], valid: vec![1, 1, 1, 1, 0, 0] };
        lay(&mut out, &first, 3, &whole);
        let rest = Window { x: 1, y: 1, width: 2, height: 1 };
        assert_eq!(missing(&out.valid, 3), Some(rest));
        lay(&mut out, &DatePixels { values: vec![2.0, 3.0, 4.0, 5.0], valid: vec![1, 0] }, 3, &rest);
        assert_eq!(out.valid, [1, 1, 1, 1, 1, 0]);
        assert_eq!(out.values, [1.0, 1.0, 1.0, 1.0, 2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 4.0, 0.0]);
        lay(
            &mut out,
            &DatePixels { values: vec![6.0, 7.0], valid: vec![1] },
            3,
            &Window { x: 2, y: 1, width: 1, height: 1 },
        );
        assert_eq!(missing(&out.valid, 3), None);
    }
}
