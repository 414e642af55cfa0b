//! `raster.tile`: a map tile of a raster as a PNG, in Web Mercator.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{Header, Pixels, Resampling, Source, header, read, transform_bounds};

use super::{assets::rgb, picture::panel::hue};
use crate::errors;

/// Half of the equator in metres.
const HALF: f64 = 20_037_508.342_789_244;
/// Colours of a single band from low to high: dark to light and readable without telling red from green.
const RAMP: [[u8; 3]; 5] = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

/// Arguments of `raster.tile`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The raster.
    href: String,
    /// Three rasters for red, green and blue; the bands of `href` if left out.
    #[serde(default)]
    rgb: Option<[String; 3]>,
    /// Zoom, 0 to 22.
    #[schemars(range(min = 0, max = 22))]
    z: u32,
    /// Column from the west.
    x: u32,
    /// Row from the north.
    y: u32,
    /// Pixels along a side.
    #[serde(default = "side")]
    #[schemars(range(min = 1, max = 1024))]
    size: usize,
    /// The PNG to write.
    out: PathBuf,
    /// Classes as items state them: `value`, `name`, `color_hint`. With them the raster is a class map.
    #[serde(default)]
    classes: Option<Vec<Class>>,
    /// Values of the darkest and the lightest tone; left out, those that the type suggests.
    #[serde(default)]
    range: Option<[f64; 2]>,
    /// What it is called in messages.
    #[serde(default)]
    title: Option<String>,
}

/// A class as the classification extension writes it; more of it is passed over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Class {
    /// Pixel value.
    value: i64,
    /// Colour as `rrggbb`.
    #[serde(default)]
    color_hint: Option<String>,
    /// Whether the value says that there is none.
    #[serde(default)]
    nodata: bool,
}

fn side() -> usize {
    256
}

/// Answer of `raster.tile`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    /// The PNG.
    path: String,
    /// Pixels that show something.
    shown: usize,
}

/// The tool.
pub(crate) struct RasterTile;

impl Tool for RasterTile {
    const NAME: &'static str = "raster.tile";
    const SUMMARY: &'static str = "Draws a map tile of a raster as a PNG, in Web Mercator";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let Arguments { z, x, y, size, .. } = arguments;
        if z > 22 || u64::from(x) >= 1 << z || u64::from(y) >= 1 << z || !(1..=1024).contains(&size) {
            let message = format!("there is no tile {z}/{x}/{y} of {size} px");
            return Err(NodeError::new("arguments.invalid", message).hint("zoom 0 to 22, 2^zoom columns and rows"));
        }
        let grid = grid(z, x, y, size).map_err(|error| NodeError::from_error("arguments.invalid", &error))?;
        let title = arguments.title.clone().unwrap_or_else(|| "raster".to_owned());
        let source = Source::new(title, place(&arguments.href, host));
        let fault = |error| errors::raster(&error);
        let known = header(&source).map_err(fault)?;
        let pixels = if touches(&known, &grid) {
            draw(&arguments, &source, &known, &grid, host)?
        } else {
            vec![0; 4 * size * size]
        };
        let path = host.about().base.join(&arguments.out);
        save(&path, &pixels, size)?;
        let shown = pixels.chunks_exact(4).filter(|pixel| pixel[3] > 0).count();
        Ok(Answer { path: path.display().to_string(), shown })
    }
}

/// An address as it is, or a path from where the program stands.
fn place(href: &str, host: &Host) -> String {
    if href.contains("://") { href.to_owned() } else { host.about().base.join(href).display().to_string() }
}

/// The grid of a tile.
fn grid(z: u32, x: u32, y: u32, size: usize) -> skysense_grid::Result<GeoBox> {
    let tile = 2.0 * HALF / f64::from(1_u32 << z);
    let (west, north) = (f64::from(x) * tile - HALF, HALF - f64::from(y) * tile);
    GeoBox::new(Crs::epsg(3857), Affine::north_up(west, north, tile / size as f64), size, size)
}

/// Whether the raster may touch the tile. Where that is not known it is read.
fn touches(header: &Header, grid: &GeoBox) -> bool {
    let Ok([west, south, east, north]) = transform_bounds(header.crs(), header.bounds(), &grid.crs) else {
        return true;
    };
    let [left, bottom, right, top] = grid.bounds();
    west < right && east > left && south < top && north > bottom
}

fn draw(
    arguments: &Arguments,
    source: &Source,
    known: &Header,
    grid: &GeoBox,
    host: &Host,
) -> Result<Vec<u8>, NodeError> {
    let fault = |error| errors::raster(&error);
    if let Some(classes) = &arguments.classes {
        let pixels = read(source, known, grid, Resampling::Nearest).map_err(fault)?;
        return Ok(classified(&pixels, classes));
    }
    let range = arguments.range.unwrap_or_else(|| usual_range(known));
    let colour = known.bands >= 3 && known.bands <= 4;
    let sources: Vec<Source> = match &arguments.rgb {
        Some(files) => files.iter().map(|file| Source::new("input", place(file, host))).collect(),
        None => (1..=if colour { 3 } else { 1 }).map(|band| source.clone().with_band(band)).collect(),
    };
    let mut bands = Vec::new();
    for source in sources {
        let known = header(&source).map_err(fault)?;
        bands.push(read(&source, &known, grid, Resampling::Bilinear).map_err(fault)?);
    }
    Ok(toned(&bands, range))
}

/// The values that a type spans, where nobody says more.
fn usual_range(header: &Header) -> [f64; 2] {
    let (scale, offset) = header.scale_offset.unwrap_or((1.0, 0.0));
    let bytes = header.dtype.bytes();
    let name = format!("{:?}", header.dtype).to_lowercase();
    match (name.contains('f'), bytes) {
        (true, _) => [0.0, 1.0],
        // What is scaled into a byte is a share: our probabilities have 250 steps.
        (false, 1) if scale != 1.0 => [0.0, (1.0 - offset) / scale],
        (false, 1) => [0.0, 255.0],
        // Reflectance × 10000: brighter than 0.35 is cloud.
        (false, _) => [0.0, 3_500.0],
    }
}

fn classified(pixels: &Pixels, classes: &[Class]) -> Vec<u8> {
    let mut table = [[0_u8; 4]; 256];
    for class in classes.iter().filter(|class| !class.nodata) {
        if let Ok(value) = u8::try_from(class.value) {
            let [red, green, blue] = class.color_hint.as_deref().and_then(rgb).unwrap_or_else(|| hue(value));
            table[usize::from(value)] = [red, green, blue, 255];
        }
    }
    let colour = |(value, valid): (&f32, &u8)| match (*valid, *value) {
        (1.., value) if (0.0..256.0).contains(&value) => table[value as usize],
        _ => [0; 4],
    };
    pixels.values.iter().zip(&pixels.valid).flat_map(colour).collect()
}

fn toned(bands: &[Pixels], [low, high]: [f64; 2]) -> Vec<u8> {
    let share = |value: f32| ((f64::from(value) - low) / (high - low).max(1e-12)).clamp(0.0, 1.0);
    let mut out = Vec::with_capacity(4 * bands[0].values.len());
    for at in 0..bands[0].values.len() {
        if bands.iter().any(|band| band.valid[at] == 0) {
            out.extend([0; 4]);
            continue;
        }
        match bands {
            [red, green, blue] => {
                out.extend([red, green, blue].map(|band| (255.0 * share(band.values[at])).round() as u8));
            }
            _ => out.extend(ramp(share(bands[0].values[at]))),
        }
        out.push(255);
    }
    out
}

fn ramp(share: f64) -> [u8; 3] {
    let place = share * (RAMP.len() - 1) as f64;
    let below = (place as usize).min(RAMP.len() - 2);
    let part = place - below as f64;
    let mix = |channel: usize| {
        let (a, b) = (f64::from(RAMP[below][channel]), f64::from(RAMP[below + 1][channel]));
        (a + (b - a) * part).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

fn save(path: &std::path::Path, pixels: &[u8], size: usize) -> Result<(), NodeError> {
    let fault = |error: &(dyn std::error::Error + 'static)| {
        NodeError::from_error("output.write", error).at("file", path.display())
    };
    let side = size as u32;
    image::save_buffer_with_format(path, pixels, side, side, image::ExtendedColorType::Rgba8, image::ImageFormat::Png)
        .map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_lie_where_the_web_expects_them() {
        let whole = grid(0, 0, 0, 256).unwrap();
        assert_eq!(whole.bounds().map(f64::round), [-20_037_508.0, -20_037_508.0, 20_037_508.0, 20_037_508.0]);
        // Zoom 1: the second column of the second row is the south east.
        let east = grid(1, 1, 1, 256).unwrap().bounds();
        assert_eq!(east.map(f64::round), [0.0, -20_037_508.0, 20_037_508.0, 0.0]);
    }

    #[test]
    fn classes_have_their_colours_and_what_is_none_is_clear() {
        let pixels = Pixels { values: vec![0.0, 1.0, 2.0, 1.0], valid: vec![1, 1, 1, 0], width: 4, height: 1 };
        let class = |value, color: Option<&str>, nodata| Class { value, color_hint: color.map(str::to_owned), nodata };
        let classes = [class(0, None, true), class(1, Some("ff8000"), false), class(300, Some("ffffff"), false)];
        assert_eq!(classified(&pixels, &classes), [0, 0, 0, 0, 255, 128, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn tones_go_from_dark_to_light_and_stay_within() {
        let band = |values: &[f32]| Pixels {
            values: values.to_vec(),
            valid: vec![1; values.len()],
            width: values.len(),
            height: 1,
        };
        let tones = toned(&[band(&[-5.0, 0.0, 0.5, 1.0, 9.0])], [0.0, 1.0]);
        let colours: Vec<&[u8]> = tones.chunks(4).map(|pixel| &pixel[..3]).collect();
        assert_eq!(colours, [&RAMP[0], &RAMP[0], &RAMP[2], &RAMP[4], &RAMP[4]]);
        let rgb = toned(&[band(&[0.0]), band(&[1.0]), band(&[0.5])], [0.0, 1.0]);
        assert_eq!(rgb, [0, 255, 128, 255]);
    }
}
