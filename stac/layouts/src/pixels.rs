//! Pixels of images: what a file holds, and copies at another place.

use std::path::Path;

use skysense_grid::{GeoBox, Window};
use skysense_raster::{
    BandSpec, CogSpec, CogWriter, DType, Header, Resampling, Sample, Source, band_names, header, read_typed, shape,
};

use crate::error::{Result, content};

/// Rows that are held at a time.
const ROWS: usize = 512;

/// What a file is.
#[derive(Debug, Clone)]
pub(crate) struct Probed {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) bands: usize,
    /// Where it lies, where it says so by a grid.
    pub(crate) geobox: Option<GeoBox>,
}

/// Looks at a file; no pixel is read.
pub(crate) fn probe(path: &Path) -> Result<Probed> {
    let source = named(path);
    let (width, height, bands) = shape(&source)?;
    let geobox = header(&source).ok().and_then(|header| header.geobox().cloned());
    Ok(Probed { width, height, bands, geobox })
}

/// What a file calls its bands; empty for one that has no name.
pub(crate) fn bands(path: &Path) -> Result<Vec<String>> {
    Ok(band_names(&named(path))?)
}

fn named(path: &Path) -> Source {
    Source::new(crate::folder::name(path), path.display().to_string())
}

/// A file that is read in strips of rows, wherever it lies.
pub(crate) struct Strips {
    source: Source,
    pub(crate) header: Header,
    grid: GeoBox,
}

impl Strips {
    /// Opens a file as if it lay on `grid`, which has its sides.
    pub(crate) fn open(path: &Path, grid: &GeoBox) -> Result<Self> {
        let source = named(path).with_claimed(Some(grid.clone()));
        let header = header(&source)?;
        if (header.width, header.height) != (grid.width, grid.height) {
            let (expected, found) = ((grid.width, grid.height), (header.width, header.height));
            return Err(content(
                path,
                format!("{} × {} pixels, as its image", expected.0, expected.1),
                format!("{} × {}", found.0, found.1),
            ));
        }
        let grid = header.geobox().cloned().unwrap_or_else(|| grid.clone());
        Ok(Self { source, header, grid })
    }

    /// First rows of the strips.
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.grid.height).step_by(ROWS)
    }

    /// Rows from `y` on of a band, from 1, with the validity of each pixel.
    pub(crate) fn read<T: Sample>(&self, y: usize, band: usize) -> Result<(Vec<T>, Vec<u8>)> {
        let height = ROWS.min(self.grid.height - y);
        let window = self.grid.window(&Window { x: 0, y: y as i64, width: self.grid.width, height })?;
        let source = self.source.clone().with_band(band);
        let pixels = read_typed::<T>(&source, &self.header, &window, Resampling::Nearest)?;
        Ok((pixels.values, pixels.valid))
    }
}

/// Copies bands of a file, from 1, to a COG on a grid of its sides. Pixels that mean no data are 0, which is no data there.
pub(crate) fn copy(from: &Path, to: &Path, grid: &GeoBox, bands: &[(usize, &str)]) -> Result<()> {
    let strips = Strips::open(from, grid)?;
    match strips.header.dtype {
        DType::UInt8 => copied::<u8>(&strips, to, grid, bands),
        DType::UInt16 => copied::<u16>(&strips, to, grid, bands),
        DType::Int16 => copied::<i16>(&strips, to, grid, bands),
        _ => copied::<f32>(&strips, to, grid, bands),
    }
}

fn copied<T: Sample>(strips: &Strips, to: &Path, grid: &GeoBox, bands: &[(usize, &str)]) -> Result<()> {
    let names = bands.iter().map(|(_, name)| BandSpec::named(*name)).collect();
    let mut writer = CogWriter::create(to, CogSpec::values(grid.clone(), T::DTYPE, names, Some(0.0)))?;
    for y in strips.starts() {
        let mut rows = Vec::new();
        for (band, _) in bands {
            rows.extend(strips.read::<T>(y, *band)?.0);
        }
        writer.write_rows(y, &rows)?;
    }
    writer.finish()?;
    Ok(())
}

/// Writes values `[band, height, width]` as a COG.
pub(crate) fn write<T: Sample>(to: &Path, grid: &GeoBox, bands: &[&str], values: &[T]) -> Result<()> {
    let names = bands.iter().map(|name| BandSpec::named(*name)).collect();
    let mut writer = CogWriter::create(to, CogSpec::values(grid.clone(), T::DTYPE, names, Some(0.0)))?;
    writer.write_rows(0, values)?;
    writer.finish()?;
    Ok(())
}
