//! Labels as class rasters.

use std::path::Path;

use skysense_grid::{Affine, GeoBox};
use skysense_raster::{BandSpec, CogSpec, CogWriter};

use crate::error::{Result, content};
use crate::pixels::Strips;

/// Where the class of a pixel is told; values that are written are the place of a class + 1, 0 is none.
pub(crate) enum Source<'a> {
    /// Colours of a file of three bands: the place of each is its class.
    Colours(&'a Path, &'a [[u8; 3]]),
    /// Colours of a file of three bands, each channel taken as 0 or 255, whichever is nearer, for masks that were encoded with
    /// loss: the class of each, `None` for one that is not labelled.
    Corners(&'a Path, &'a [([u8; 3], Option<u8>)]),
    /// Numbers of a file: the class of each, `None` for one that is not labelled.
    Numbers(&'a Path, &'a [(f32, Option<u8>)]),
    /// A band for each class: the first that is not 0. Bands behind those of the classes are not labelled.
    Bands(&'a Path),
    /// Values `[height, width]` as they are written.
    Values(&'a [u8]),
    /// Classes of the whole image: a column each.
    Scene(&'a [u8]),
}

impl Source<'_> {
    /// Writes the raster of an image on `grid`; gives the grid of the raster.
    ///
    /// # Errors
    /// A file of another size than the image, and what the layout does not know in it, with its place.
    pub(crate) fn write(&self, to: &Path, classes: &[String], grid: &GeoBox) -> Result<GeoBox> {
        match self {
            Self::Colours(path, colours) => {
                let class = |bands: &[f32]| {
                    let known = colours
                        .iter()
                        .position(|colour| colour.iter().zip(bands).all(|(known, found)| f32::from(*known) == *found));
                    known.map(|place| place as u8 + 1)
                };
                recoded(path, to, (classes, grid), 3, class)?;
            }
            Self::Corners(path, colours) => {
                let class = |bands: &[f32]| {
                    let same = |(of, found): (&u8, &f32)| *of == if *found >= 128.0 { 255 } else { 0 };
                    let known = colours.iter().find(|(colour, _)| colour.iter().zip(bands).all(same))?;
                    Some(known.1.map_or(0, |class| class + 1))
                };
                recoded(path, to, (classes, grid), 3, class)?;
            }
            Self::Numbers(path, numbers) => {
                let class = |bands: &[f32]| {
                    let known = numbers.iter().find(|(number, _)| *number == bands[0])?;
                    Some(known.1.map_or(0, |class| class + 1))
                };
                recoded(path, to, (classes, grid), 1, class)?;
            }
            Self::Bands(path) => {
                let class = |bands: &[f32]| {
                    Some(bands.iter().position(|value| *value != 0.0).map_or(0, |place| place as u8 + 1))
                };
                recoded(path, to, (classes, grid), classes.len(), class)?;
            }
            Self::Values(values) => {
                let mut writer = CogWriter::create(to, spec(classes, grid))?;
                writer.write_rows(0, values)?;
                writer.finish()?;
            }
            Self::Scene(of) => {
                let columns = of.len().max(1);
                let (wide, high) = grid.resolution();
                let (width, height) = (wide * grid.width as f64, high * grid.height as f64);
                let Affine { c: west, f: north, .. } = grid.transform;
                let transform = Affine::from([width / columns as f64, 0.0, west, 0.0, -height, north]);
                let grid = GeoBox::new(grid.crs.clone(), transform, columns, 1)?;
                let values: Vec<u8> = match of.is_empty() {
                    true => vec![0],
                    false => of.iter().map(|class| class + 1).collect(),
                };
                let mut writer = CogWriter::create(to, spec(classes, &grid))?;
                writer.write_rows(0, &values)?;
                writer.finish()?;
                return Ok(grid);
            }
        }
        Ok(grid.clone())
    }
}

fn spec(classes: &[String], grid: &GeoBox) -> CogSpec {
    let mut band = BandSpec::named("labels");
    band.classes = classes.iter().enumerate().map(|(at, name)| (at as u8 + 1, name.clone())).collect();
    CogSpec::classes(grid.clone(), band, Some(0.0))
}

/// A raster whose pixels `class` gives for the bands of each pixel of a file.
fn recoded(
    from: &Path,
    to: &Path,
    (classes, grid): (&[String], &GeoBox),
    bands: usize,
    class: impl Fn(&[f32]) -> Option<u8>,
) -> Result<()> {
    let strips = Strips::open(from, grid)?;
    if strips.header.bands < bands {
        return Err(content(from, format!("{bands} bands"), strips.header.bands.to_string()));
    }
    let mut writer = CogWriter::create(to, spec(classes, grid))?;
    for y in strips.starts() {
        let read: Vec<(Vec<f32>, Vec<u8>)> = (1..=bands).map(|band| strips.read(y, band)).collect::<Result<_>>()?;
        let mut rows = Vec::with_capacity(read[0].0.len());
        let mut pixel = vec![0.0; bands];
        for at in 0..read[0].0.len() {
            pixel.iter_mut().zip(&read).for_each(|(value, (band, _))| *value = band[at]);
            let Some(value) = class(&pixel) else {
                let place = format!("{pixel:?} at column {}, row {}", at % grid.width, y + at / grid.width);
                return Err(content(from, format!("the values of {} classes", classes.len()), place));
            };
            rows.push(value);
        }
        writer.write_rows(y, &rows)?;
    }
    writer.finish()?;
    Ok(())
}
