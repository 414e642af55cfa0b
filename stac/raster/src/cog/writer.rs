//! Rows in, one finished COG out, or nothing.

use std::path::{Path, PathBuf};

use gdal::raster::{ColorEntry, ColorTable, PaletteInterpretation, RasterBand, RasterCreationOptions};
use gdal::{Dataset, DriverManager, Metadata};
use gdal_sys::GDALRWFlag::GF_Write;
use tempfile::TempDir;

use super::info::checksum;
use super::statistics::Running;
use super::{CogInfo, CogSpec, Compression, Content};
use crate::messages::{Messages, capture};
use crate::{DType, RasterError, Result, Sample, crs, setup};

/// Writes a COG from rows that come in order.
///
/// Rows go to an uncompressed file in a hidden folder beside the output; [`CogWriter::finish`] orders it as
/// a COG there and renames that to the output. Until then the output does not exist, and whatever happens
/// the hidden folder is removed. The same rows give the same bytes.
#[derive(Debug)]
pub struct CogWriter {
    // Closed before its folder is removed: fields are dropped in this order.
    rows: Option<Dataset>,
    folder: TempDir,
    path: PathBuf,
    spec: CogSpec,
    next: usize,
    running: Vec<Running>,
}

impl CogWriter {
    /// Begins a COG at `path`. A file that is there is replaced when the new one is finished.
    ///
    /// # Errors
    /// A specification that contradicts itself, a folder that is not there or not writable, a full disk.
    pub fn create(path: impl Into<PathBuf>, spec: CogSpec) -> Result<Self> {
        setup::ensure()?;
        let path = path.into();
        spec.validate(&path.display().to_string())?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.is_empty() || path.is_dir() {
            return Err(RasterError::Spec {
                path: path.display().to_string(),
                problem: "it names a folder, not a file".into(),
            });
        }
        let folder = tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".part").tempdir_in(parent);
        let folder = folder.map_err(|error| write_fault(&path, error.to_string()))?;
        let running = vec![Running::default(); spec.bands.len()];
        let mut writer = Self { rows: None, folder, path, spec, next: 0, running };
        writer.rows = Some(writer.begin()?);
        Ok(writer)
    }

    /// Bytes of the hidden file that is written besides the COG itself: what the disk must hold for a while.
    pub fn scratch_bytes(spec: &CogSpec) -> u64 {
        spec.geobox.width as u64 * spec.geobox.height as u64 * spec.bands.len() as u64 * spec.dtype.bytes() as u64
    }

    /// Writes rows from `y` on: `[band, height, width]` in the type of the COG.
    ///
    /// # Errors
    /// Rows that do not follow the last ones, that are not whole or of another type; a full disk.
    pub fn write_rows<T: Sample>(&mut self, y: usize, rows: &[T]) -> Result<()> {
        let (width, bands) = (self.spec.geobox.width, self.spec.bands.len());
        let fault = |problem: String| Err(RasterError::Rows { path: self.path.display().to_string(), problem });
        if T::DTYPE != self.spec.dtype {
            return fault(format!("rows of {} for a COG of {}", T::DTYPE, self.spec.dtype));
        }
        let height = rows.len() / (width * bands);
        if height * width * bands != rows.len() {
            return fault(format!("{} values are no whole rows of {bands} bands x {width} px", rows.len()));
        }
        if y != self.next || y + height > self.spec.geobox.height {
            return fault(format!(
                "rows {y}..{} came where row {} of {} was next",
                y + height,
                self.next,
                self.spec.geobox.height
            ));
        }
        if height == 0 {
            return Ok(());
        }
        let Some(dataset) = &self.rows else { return fault("the writer has failed before".into()) };
        for (at, band) in rows.chunks_exact(height * width).enumerate() {
            let ((), messages) = capture_result(|| write_band(&dataset.rasterband(at + 1)?, y, height, width, band))
                .map_err(|message| write_fault(&self.path, message))?;
            if messages.failed() {
                return Err(write_fault(&self.path, messages.text()));
            }
        }
        let nodata = self.spec.nodata.map(T::from_f64);
        for (running, band) in self.running.iter_mut().zip(rows.chunks_exact(height * width)) {
            band.chunks_exact(width).for_each(|row| running.add(row, nodata));
        }
        self.next += height;
        Ok(())
    }

    /// Orders the rows as a COG, moves it to its place and says what it is.
    ///
    /// # Errors
    /// Rows that are missing, a full disk. Nothing is left then.
    pub fn finish(mut self) -> Result<CogInfo> {
        let height = self.spec.geobox.height;
        if self.next != height {
            let problem = format!("only {} of {height} rows were written", self.next);
            return Err(RasterError::Rows { path: self.path.display().to_string(), problem });
        }
        let fault = |message: String| write_fault(&self.path, message);
        let Some(mut rows) = self.rows.take() else { return Err(fault("the writer has failed before".into())) };
        let bands: Vec<_> = self.running.iter().map(Running::finish).collect();
        let whole = self.folder.path().join("cog.tif");
        let (overviews, messages) = capture_result(|| {
            for (at, found) in bands.iter().enumerate() {
                set_statistics(&mut rows.rasterband(at + 1)?, found)?;
            }
            rows.flush_cache()?;
            let cog = rows.create_copy(&DriverManager::get_driver_by_name("COG")?, &whole, &self.cog_options())?;
            let band = cog.rasterband(1)?;
            let overviews = (0..band.overview_count()?)
                .map(|at| Ok(band.overview(at as usize)?.size()))
                .collect::<gdal::errors::Result<Vec<_>>>()?;
            cog.close()?;
            rows.close()?;
            Ok(overviews)
        })
        .map_err(fault)?;
        // GDAL reports a full disk as a message and goes on.
        if messages.failed() {
            return Err(fault(messages.text()));
        }
        let place = || {
            std::fs::File::open(&whole)?.sync_all()?;
            let found = checksum(&whole)?;
            std::fs::rename(&whole, &self.path)?;
            Ok(found)
        };
        let (bytes, sha256) = place().map_err(|error: std::io::Error| write_fault(&self.path, error.to_string()))?;
        Ok(CogInfo { path: self.path.clone(), bytes, sha256, bands, overviews })
    }

    fn begin(&self) -> Result<Dataset> {
        let spec = &self.spec;
        let reference = crs::spatial_reference(&spec.geobox.crs)?;
        let file = self.folder.path().join("rows.tif");
        let block = spec.block();
        let (dataset, messages) = capture_result(|| {
            let options = RasterCreationOptions::from_iter([
                "TILED=YES".to_owned(),
                format!("BLOCKXSIZE={block}"),
                format!("BLOCKYSIZE={block}"),
                "INTERLEAVE=BAND".into(),
                "BIGTIFF=IF_SAFER".into(),
                // Four unnamed bytes are not a picture with transparency.
                "PHOTOMETRIC=MINISBLACK".into(),
                "ALPHA=NO".into(),
            ]);
            let driver = DriverManager::get_driver_by_name("GTiff")?;
            let (width, height, bands) = (spec.geobox.width, spec.geobox.height, spec.bands.len());
            let mut dataset = match spec.dtype {
                DType::UInt8 => {
                    driver.create_with_band_type_with_options::<u8, _>(&file, width, height, bands, &options)
                }
                DType::UInt16 => {
                    driver.create_with_band_type_with_options::<u16, _>(&file, width, height, bands, &options)
                }
                DType::Int16 => {
                    driver.create_with_band_type_with_options::<i16, _>(&file, width, height, bands, &options)
                }
                _ => driver.create_with_band_type_with_options::<f32, _>(&file, width, height, bands, &options),
            }?;
            dataset.set_spatial_ref(&reference)?;
            dataset.set_geo_transform(&spec.geobox.transform.to_gdal())?;
            for (key, value) in &spec.metadata {
                dataset.set_metadata_item(key, value, "")?;
            }
            for at in 0..bands {
                describe(&mut dataset.rasterband(at + 1)?, spec, at)?;
            }
            Ok(dataset)
        })
        .map_err(|message| write_fault(&self.path, message))?;
        if messages.failed() { Err(write_fault(&self.path, messages.text())) } else { Ok(dataset) }
    }

    fn cog_options(&self) -> RasterCreationOptions {
        let compression = match self.spec.compression {
            Compression::Deflate => "DEFLATE",
            Compression::Zstd => "ZSTD",
            Compression::None => "NONE",
        };
        let resampling = match self.spec.content {
            Content::Classes => "NEAREST",
            Content::Values => "AVERAGE",
        };
        let predictor = if self.spec.compression == Compression::None { "NO" } else { "YES" };
        RasterCreationOptions::from_iter([
            format!("COMPRESS={compression}"),
            format!("PREDICTOR={predictor}"),
            format!("BLOCKSIZE={}", self.spec.block()),
            format!("OVERVIEW_RESAMPLING={resampling}"),
            "BIGTIFF=IF_SAFER".into(),
            format!("NUM_THREADS={}", self.spec.threads.max(1)),
        ])
    }
}

/// Runs a chain of GDAL calls; an error comes as GDAL's message.
fn capture_result<T>(call: impl FnOnce() -> gdal::errors::Result<T>) -> std::result::Result<(T, Messages), String> {
    let (result, messages) = capture(call);
    match result {
        Ok(value) => Ok((value, messages)),
        Err(error) if messages.failures.is_empty() => Err(error.to_string()),
        Err(_) => Err(messages.text()),
    }
}

fn write_band<T: Sample>(
    band: &RasterBand<'_>,
    y: usize,
    height: usize,
    width: usize,
    values: &[T],
) -> gdal::errors::Result<()> {
    // The grid was checked to fit into GDAL's 32-bit sides when it was made.
    let (y, height, width) = (y as i32, height as i32, width as i32);
    // SAFETY: `values` holds height x width pixels of the type that is named, without gaps; GDAL only reads them.
    let code = unsafe {
        gdal_sys::GDALRasterIO(
            band.c_rasterband(),
            GF_Write,
            0,
            y,
            width,
            height,
            values.as_ptr().cast_mut().cast(),
            width,
            height,
            T::DTYPE.to_gdal(),
            0,
            0,
        )
    };
    if code == gdal_sys::CPLErr::CE_None {
        Ok(())
    } else {
        Err(gdal::errors::GdalError::BadArgument("GDALRasterIO".into()))
    }
}

fn describe(band: &mut RasterBand<'_>, spec: &CogSpec, at: usize) -> gdal::errors::Result<()> {
    let about = &spec.bands[at];
    band.set_description(&about.name)?;
    band.set_no_data_value(spec.nodata)?;
    if let Some(scale) = about.scale {
        band.set_scale(scale)?;
    }
    if let Some(offset) = about.offset {
        band.set_offset(offset)?;
    }
    for (key, value) in [("DESCRIPTION_LONG", &about.description), ("UNIT", &about.unit)] {
        if let Some(value) = value {
            band.set_metadata_item(key, value, "")?;
        }
    }
    for (value, name) in &about.classes {
        band.set_metadata_item(&format!("CLASS_{value}"), name, "")?;
    }
    if !about.colours.is_empty() {
        let mut table = ColorTable::new(PaletteInterpretation::Rgba);
        for (value, [red, green, blue, alpha]) in &about.colours {
            let [red, green, blue, alpha] = [red, green, blue, alpha].map(|part| i16::from(*part));
            table.set_color_entry(u16::from(*value), &ColorEntry::rgba(red, green, blue, alpha));
        }
        band.set_color_table(&table);
    }
    Ok(())
}

fn set_statistics(band: &mut RasterBand<'_>, found: &super::BandStatistics) -> gdal::errors::Result<()> {
    let named = [
        ("MINIMUM", found.minimum),
        ("MAXIMUM", found.maximum),
        ("MEAN", found.mean),
        ("STDDEV", found.stddev),
        ("VALID_PERCENT", Some(found.valid_percent)),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            band.set_metadata_item(&format!("STATISTICS_{name}"), &value.to_string(), "")?;
        }
    }
    Ok(())
}

fn write_fault(path: &Path, message: String) -> RasterError {
    let says = |text: &str| message.to_lowercase().contains(text);
    let hint = if says("no space") || says("disk full") || says("quota") || says("file too large") {
        "free some space or write to another disk; rows are kept uncompressed beside the output until it is finished"
    } else if says("permission") || says("read-only") {
        "choose a folder that you may write to"
    } else if says("no such file") {
        "make the folder first"
    } else {
        "the disk may be full, or the folder not writable"
    };
    RasterError::Write { path: path.display().to_string(), message, hint: hint.into() }
}
