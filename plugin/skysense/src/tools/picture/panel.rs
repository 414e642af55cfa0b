//! One panel: where its pixels come from and how they become colours.

use schemars::JsonSchema;
use serde::Deserialize;
use skysense_abi::{Host, NodeError};
use skysense_grid::{Crs, GeoBox};
use skysense_raster::{Header, Pixels, Resampling, header, read, transform_bounds};

use super::canvas::Canvas;
use super::principal::components;
use crate::errors;
use crate::tools::assets::{Found, Place, rgb};

/// Colour of pixels without a value.
const NOTHING: [u8; 3] = [225, 225, 225];

/// One panel.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Panel {
    /// Line above the panel.
    pub(crate) title: String,
    /// How values become colours.
    kind: Kind,
    /// Where the values are.
    source: Place,
    /// `[west, south, east, north]` in degrees to show; left out, all of the raster.
    #[serde(default)]
    bbox: Option<[f64; 4]>,
    /// Colours of a class map that has none of its own: value, name, `rrggbb`.
    #[serde(default)]
    classes: Vec<(u8, String, String)>,
}

/// How values become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Three bands as red, green and blue, each stretched by itself, as desktop programs do: haze adds to blue most.
    Rgb,
    /// One band in grey, stretched; two bands as red, green and their ratio.
    Radar,
    /// Classes in their colours.
    Classes,
    /// The first three principal components of all bands.
    Features,
}

/// Value, name and colour of a class.
pub(crate) type Colored = (u8, String, [u8; 3]);

/// A panel as it is drawn.
pub(crate) struct Drawn {
    pub(crate) title: String,
    pub(crate) image: Canvas,
    /// The classes that occur.
    pub(crate) classes: Vec<Colored>,
}

impl Panel {
    /// Finds the raster of the panel.
    pub(crate) fn find(&self, host: &Host) -> Result<Found, NodeError> {
        // What is shown must be there: of a catalog of the whole globe only items of that place are looked at.
        let bbox = self.source.bbox.or(self.bbox);
        Place { bbox, ..self.source.clone() }.find(host).map_err(|error| error.at("panel", &self.title))
    }

    /// Colours that the panel or its item states.
    pub(crate) fn stated(&self, found: &Found) -> Vec<Colored> {
        let own = self.classes.iter().filter_map(|(value, name, color)| Some((*value, name.clone(), rgb(color)?)));
        own.chain(found.classes().into_iter().filter_map(|(value, name, color)| Some((value, name, color?)))).collect()
    }

    /// Draws the panel with its longer side `side` pixels long. Classes without a colour take the one that `shared`
    /// has for them, so that labels and map look alike where only one of them states colours.
    pub(crate) fn draw(&self, found: &Found, side: usize, shared: &[Colored]) -> Result<Drawn, NodeError> {
        self.draw_found(found, side, shared).map_err(|error| error.at("panel", &self.title))
    }

    fn draw_found(&self, found: &Found, side: usize, shared: &[Colored]) -> Result<Drawn, NodeError> {
        let grid = self.grid(&found.header()?, side)?;
        let resampling = if self.kind == Kind::Classes { Resampling::Nearest } else { Resampling::Average };
        let mut bands = Vec::new();
        for source in &found.sources {
            let pixels = found.read(source, |source| read(source, &header(source)?, &grid, resampling))?;
            bands.push(pixels);
        }
        let mut classes = Vec::new();
        let small = match self.kind {
            Kind::Rgb => stretched(&separated(three(&bands)?)),
            Kind::Radar => stretched(&radar(&bands)?),
            Kind::Classes => {
                let legend = self.legend(found, shared);
                let pixels = bands.first().ok_or_else(nothing)?;
                classes = legend
                    .iter()
                    .filter(|(value, ..)| {
                        pixels
                            .values
                            .iter()
                            .zip(&pixels.valid)
                            .any(|(&code, &valid)| valid != 0 && code == f32::from(*value))
                    })
                    .cloned()
                    .collect();
                mapped(pixels, &legend)
            }
            Kind::Features => {
                let valid = common(&bands);
                let channels: Vec<Vec<f32>> = bands.into_iter().map(|band| band.values).collect();
                let parts = components(&channels, &valid).map(|values| Pixels {
                    values,
                    valid: valid.clone(),
                    width: grid.width,
                    height: grid.height,
                });
                separately(&parts)
            }
        };
        let scale = side as f64 / small.width.max(small.height) as f64;
        let scaled = |length: usize| ((length as f64 * scale).round() as usize).max(1);
        Ok(Drawn {
            title: self.title.clone(),
            image: small.resized(scaled(small.width), scaled(small.height)),
            classes,
        })
    }

    /// The part to show, with pixels of the raster itself or coarser ones where it has more than fit.
    fn grid(&self, header: &Header, side: usize) -> Result<GeoBox, NodeError> {
        let grid = header.geobox().ok_or_else(|| NodeError::new("raster.invalid", "the raster lies on no grid"))?;
        let part = match self.bbox {
            None => grid.clone(),
            Some(bbox) => {
                let bounds =
                    transform_bounds(&Crs::lon_lat(), bbox, &grid.crs).map_err(|error| errors::raster(&error))?;
                let (resolution, _) = grid.resolution();
                GeoBox::covering(grid.crs.clone(), bounds, resolution, (grid.transform.c, grid.transform.f))
                    .map_err(|error| NodeError::from_error("raster.invalid", &error))?
            }
        };
        let factor = (part.width.max(part.height) as f64 / side as f64).max(1.0);
        let fewer = |length: usize| ((length as f64 / factor).round() as usize).max(1);
        GeoBox::new(part.crs.clone(), part.transform.scaled(factor), fewer(part.width), fewer(part.height))
            .map_err(|error| NodeError::from_error("raster.invalid", &error))
    }

    /// Names and colours of classes: the panel's own, the item's, and distinct hues for what has none.
    fn legend(&self, found: &Found, shared: &[Colored]) -> Vec<Colored> {
        let own = self.classes.iter().map(|(value, name, color)| (*value, name.clone(), rgb(color)));
        let mut legend: Vec<Colored> = Vec::new();
        for (value, name, color) in own.chain(found.classes()) {
            if legend.iter().all(|(known, ..)| *known != value) {
                let elsewhere =
                    shared.iter().find(|(known, title, _)| *known == value && *title == name).map(|(.., color)| *color);
                legend.push((value, name, color.or(elsewhere).unwrap_or_else(|| hue(value))));
            }
        }
        legend
    }
}

fn nothing() -> NodeError {
    NodeError::new("raster.invalid", "the panel has no band").hint("name `assets` or `bands`")
}

fn three(bands: &[Pixels]) -> Result<[Pixels; 3], NodeError> {
    match bands {
        [red, green, blue, ..] => Ok([red.clone(), green.clone(), blue.clone()]),
        [grey, ..] => Ok([grey.clone(), grey.clone(), grey.clone()]),
        [] => Err(nothing()),
    }
}

/// Power in dB: VV, VH and their difference; one band alone in grey.
pub(crate) fn radar(bands: &[Pixels]) -> Result<[Pixels; 3], NodeError> {
    let decibel = |pixels: &Pixels| {
        // What is negative throughout is in dB already.
        let linear = pixels.values.iter().zip(&pixels.valid).any(|(&value, &valid)| valid != 0 && value > 0.0);
        let values =
            pixels.values.iter().map(|&value| if linear { 10.0 * value.max(1e-6).log10() } else { value }).collect();
        Pixels { values, ..pixels.clone() }
    };
    match bands {
        [vv, vh, ..] => {
            let (vv, vh) = (decibel(vv), decibel(vh));
            let ratio = Pixels { values: vv.values.iter().zip(&vh.values).map(|(a, b)| a - b).collect(), ..vv.clone() };
            Ok(separated([vv, vh, ratio]))
        }
        [grey] => Ok([decibel(grey), decibel(grey), decibel(grey)]),
        [] => Err(nothing()),
    }
}

/// Each band brought to the range 0 to 1 by itself, since their units differ.
pub(crate) fn separated(bands: [Pixels; 3]) -> [Pixels; 3] {
    bands.map(|band| {
        let (low, high) = percentiles(std::slice::from_ref(&band));
        Pixels {
            values: band.values.iter().map(|value| ((value - low) / (high - low).max(1e-9)).clamp(0.0, 1.0)).collect(),
            ..band
        }
    })
}

fn separately(bands: &[Pixels; 3]) -> Canvas {
    painted(&separated(bands.clone()), 0.0, 1.0, 1.0)
}

/// Bands stretched together between their 2nd and 98th percentile, dark tones lifted a little.
pub(crate) fn stretched(bands: &[Pixels; 3]) -> Canvas {
    let (low, high) = percentiles(bands);
    painted(bands, low, high, 0.8)
}

fn painted(bands: &[Pixels; 3], low: f32, high: f32, gamma: f32) -> Canvas {
    let mut canvas = Canvas::new(bands[0].width, bands[0].height);
    for pixel in 0..canvas.width * canvas.height {
        let shown = bands.iter().all(|band| band.valid[pixel] != 0);
        let tone = |band: &Pixels| {
            (255.0 * ((band.values[pixel] - low) / (high - low).max(1e-9)).clamp(0.0, 1.0).powf(gamma)).round() as u8
        };
        let color = if shown { [tone(&bands[0]), tone(&bands[1]), tone(&bands[2])] } else { NOTHING };
        canvas.set(pixel % bands[0].width, pixel / bands[0].width, color);
    }
    canvas
}

fn mapped(pixels: &Pixels, legend: &[Colored]) -> Canvas {
    let mut colors = [None; 256];
    legend.iter().for_each(|(value, _, color)| colors[usize::from(*value)] = Some(*color));
    let mut canvas = Canvas::new(pixels.width, pixels.height);
    for (pixel, (&code, &valid)) in pixels.values.iter().zip(&pixels.valid).enumerate() {
        let value = code as u8;
        let color = if valid == 0 { NOTHING } else { colors[usize::from(value)].unwrap_or_else(|| hue(value)) };
        canvas.set(pixel % pixels.width, pixel / pixels.width, color);
    }
    canvas
}

fn common(bands: &[Pixels]) -> Vec<u8> {
    let mut valid = bands.first().map_or_else(Vec::new, |band| band.valid.clone());
    for band in bands {
        valid
            .iter_mut()
            .zip(band.valid.iter().zip(&band.values))
            .for_each(|(all, (&valid, value))| *all &= u8::from(valid != 0 && value.is_finite()));
    }
    valid
}

/// The 2nd and 98th percentile of all valid values together.
fn percentiles(bands: &[Pixels]) -> (f32, f32) {
    let mut values: Vec<f32> = bands
        .iter()
        .flat_map(|band| band.values.iter().zip(&band.valid).filter(|(_, valid)| **valid != 0).map(|(value, _)| *value))
        .filter(|value| value.is_finite())
        .collect();
    if values.is_empty() {
        return (0.0, 1.0);
    }
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    (at(0.02), at(0.98))
}

/// A colour for a class without one: hues apart by the golden ratio.
pub(crate) fn hue(value: u8) -> [u8; 3] {
    let turn = (f32::from(value) * 0.618_034).fract() * 6.0;
    let rise = |offset: f32| {
        let t = (turn + offset) % 6.0;
        (255.0 * (0.35 + 0.55 * ((t - 3.0).abs() - 1.0).clamp(0.0, 1.0))) as u8
    };
    [rise(0.0), rise(4.0), rise(2.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(values: &[f32]) -> Pixels {
        Pixels { values: values.to_vec(), valid: vec![1; values.len()], width: values.len(), height: 1 }
    }

    #[test]
    fn classes_take_their_colours_and_gaps_stay_grey() {
        let mut map = pixels(&[1.0, 2.0, 9.0]);
        map.valid[1] = 0;
        let canvas = mapped(&map, &[(1, "water".into(), [0, 0, 255])]);
        assert_eq!(&canvas.pixels[..6], [0, 0, 255, NOTHING[0], NOTHING[1], NOTHING[2]]);
        assert_eq!(canvas.pixels[6..], hue(9));
    }

    #[test]
    fn linear_power_is_shown_in_decibels() {
        let [vv, ..] = radar(&[pixels(&[0.001, 0.01, 0.1]), pixels(&[0.0001, 0.001, 0.01])]).unwrap();
        assert!((vv.values[1] - 0.5).abs() < 1e-3, "{vv:?}");
        let [alone, ..] = radar(&[pixels(&[-20.0, -10.0])]).unwrap();
        assert_eq!(alone.values, [-20.0, -10.0]);
        assert!(radar(&[]).is_err());
    }

    #[test]
    fn hues_of_neighbouring_values_differ() {
        for value in 1..30u8 {
            let (a, b) = (hue(value), hue(value + 1));
            assert!(a.iter().zip(b).map(|(x, y)| x.abs_diff(y) as u32).sum::<u32>() > 60, "{value}: {a:?} {b:?}");
        }
    }
}
