//! Rasters of a scene, written row by row.

use std::path::Path;

use skysense_grid::GeoBox;
use skysense_raster::{BandSpec, CogSpec, CogWriter, Content, DType, Sample};

use crate::Result;

/// A COG that grows by blocks of rows.
pub(crate) struct Raster {
    writer: CogWriter,
    width: usize,
    next: usize,
}

impl Raster {
    /// Begins a raster whose values are quantities or, for [`Content::Classes`], codes.
    pub(crate) fn create(
        path: &Path,
        geobox: &GeoBox,
        bands: &[&str],
        dtype: DType,
        nodata: Option<f64>,
        content: Content,
    ) -> Result<Self> {
        let bands = bands.iter().map(|name| BandSpec::named(*name)).collect();
        let spec = CogSpec { content, ..CogSpec::values(geobox.clone(), dtype, bands, nodata) };
        Self::begin(path, spec)
    }

    /// Begins a class map with colours and names; 0 is nodata.
    pub(crate) fn create_map(path: &Path, geobox: &GeoBox, classes: &[(u8, &str, &str)]) -> Result<Self> {
        let mut band = BandSpec::named("labels");
        for &(value, name, color) in classes {
            let [_, red, green, blue] = u32::from_str_radix(color, 16).unwrap_or_default().to_be_bytes();
            band.colours.push((value, [red, green, blue, 255]));
            band.classes.push((value, name.to_owned()));
        }
        Self::begin(path, CogSpec::classes(geobox.clone(), band, Some(0.0)))
    }

    fn begin(path: &Path, spec: CogSpec) -> Result<Self> {
        let width = spec.geobox.width;
        Ok(Self { writer: CogWriter::create(path, spec)?, width, next: 0 })
    }

    /// Appends whole rows, one slice per band.
    pub(crate) fn rows<T: Sample>(&mut self, bands: &[&[T]]) -> Result<()> {
        let rows = bands.first().map_or(0, |band| band.len() / self.width);
        match bands {
            [band] => self.writer.write_rows(self.next, band)?,
            _ => self.writer.write_rows(self.next, &bands.concat())?,
        }
        self.next += rows;
        Ok(())
    }

    /// Completes the file.
    pub(crate) fn finish(self) -> Result<()> {
        self.writer.finish()?;
        Ok(())
    }
}
