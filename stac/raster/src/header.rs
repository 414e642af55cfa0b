//! What a file says about itself, read once.

use std::ffi::CString;

use gdal::Metadata;
use gdal::raster::RasterBand;
use serde::Serialize;
use skysense_grid::{Affine, Crs, GeoBox};

use crate::messages::capture;
use crate::pool::{self, Lease};
use crate::{DType, RasterError, Result, Source, crs};

/// Where the pixels of a file lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Georeference {
    /// On a grid.
    Grid(GeoBox),
    /// Somewhere between ground control points (Sentinel-1 GRD): reads are warped by a thin-plate spline.
    Gcps {
        /// Reference system of the points.
        crs: Crs,
        /// Number of points.
        count: usize,
        /// `[west, south, east, north]` of the points.
        bounds: [f64; 4],
    },
}

/// What a file says about itself and about the band of one [`Source`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Header {
    /// Where the pixels lie; the catalog's claim counts only where the file is silent.
    pub georeference: Georeference,
    /// Columns of the file.
    pub width: usize,
    /// Rows of the file.
    pub height: usize,
    /// Type of the band's pixels.
    pub dtype: DType,
    /// Value that marks invalid pixels: the file's, else the catalog's.
    pub nodata: Option<f64>,
    /// Whether the file has a mask or an alpha band that is honoured besides.
    pub masked: bool,
    /// Width and height of a block.
    pub block: (usize, usize),
    /// Width and height of each overview, finest first.
    pub overviews: Vec<(usize, usize)>,
    /// Bands in the file.
    pub bands: usize,
    /// GDAL's name of the format.
    pub format: String,
    /// Bytes of the file, where known.
    pub bytes: Option<u64>,
    /// Scale and offset that the file declares for the band; never applied here.
    pub scale_offset: Option<(f64, f64)>,
    /// Where the catalog and the file disagree, and what was done: for the report.
    pub notes: Vec<String>,
}

impl Header {
    /// The grid, where there is one.
    pub fn geobox(&self) -> Option<&GeoBox> {
        match &self.georeference {
            Georeference::Grid(geobox) => Some(geobox),
            Georeference::Gcps { .. } => None,
        }
    }

    /// The reference system of [`Header::bounds`].
    pub fn crs(&self) -> &Crs {
        match &self.georeference {
            Georeference::Grid(geobox) => &geobox.crs,
            Georeference::Gcps { crs, .. } => crs,
        }
    }

    /// `[west, south, east, north]` in [`Header::crs`].
    pub fn bounds(&self) -> [f64; 4] {
        match &self.georeference {
            Georeference::Grid(geobox) => geobox.bounds(),
            Georeference::Gcps { bounds, .. } => *bounds,
        }
    }

    /// About how many bytes of the file one pixel takes: the whole file over all its pixels and bands.
    /// For estimates of what a read will fetch.
    pub fn bytes_per_pixel(&self) -> f64 {
        let pixels = (self.width * self.height * self.bands).max(1) as f64;
        // A third more for the overviews.
        self.bytes.map_or(self.dtype.bytes() as f64, |bytes| {
            bytes as f64 / pixels * if self.overviews.is_empty() { 1.0 } else { 0.75 }
        })
    }
}

/// Columns, rows and bands of a file, wherever it lies.
///
/// # Errors
/// A file that cannot be opened.
pub fn shape(source: &Source) -> Result<(usize, usize, usize)> {
    let lease = pool::open(source)?;
    let dataset = lease.dataset();
    let (width, height) = dataset.raster_size();
    Ok((width, height, dataset.raster_count()))
}

/// What a file calls its bands, in their order; empty for one that has no name.
///
/// # Errors
/// A file that cannot be opened.
pub fn band_names(source: &Source) -> Result<Vec<String>> {
    let lease = pool::open(source)?;
    let dataset = lease.dataset();
    let name = |band| capture(|| dataset.rasterband(band).and_then(|band| band.description())).0.unwrap_or_default();
    Ok((1..=dataset.raster_count()).map(name).collect())
}

/// Opens a file and reads what it says; no pixel is read.
///
/// # Errors
/// A file that cannot be opened, a band or a type of pixel that it does not have, or no georeference.
pub fn header(source: &Source) -> Result<Header> {
    let lease = pool::open(source)?;
    let dataset = lease.dataset();
    let bands = dataset.raster_count();
    if source.band == 0 || source.band > bands {
        return Err(RasterError::Band {
            name: source.name.clone(),
            href: source.shown(),
            band: source.band,
            count: bands,
        });
    }
    let fault =
        |call, message| RasterError::Gdal { call, message: format!("{}: {}: {message}", source.name, source.shown()) };
    let (band, messages) = capture(|| dataset.rasterband(source.band));
    let band = band.map_err(|_| fault("GDALGetRasterBand", messages.text()))?;
    let (width, height) = dataset.raster_size();
    let mut notes = Vec::new();
    let georeference = georeference(source, &lease, &mut notes)?;
    let (overviews, _) = capture(|| overviews(&band));
    let flags = capture(|| band.mask_flags()).0.map_err(|_| fault("GDALGetMaskFlags", "no flags".into()))?;
    Ok(Header {
        georeference,
        width,
        height,
        dtype: dtype(source, &band)?,
        nodata: nodata(source, &band, &mut notes),
        masked: flags.is_per_dataset() || flags.is_alpha(),
        block: band.block_size(),
        overviews,
        bands,
        format: dataset.driver().short_name(),
        bytes: size(source),
        scale_offset: match (band.scale(), band.offset()) {
            (None, None) => None,
            // GDAL says so of every band with a file of statistics beside it, whether the file declares anything or not.
            (Some(1.0), Some(0.0)) if source.any_format => None,
            (scale, offset) => Some((scale.unwrap_or(1.0), offset.unwrap_or(0.0))),
        },
        notes,
    })
}

fn dtype(source: &Source, band: &RasterBand<'_>) -> Result<DType> {
    // SAFETY: the band lives; GDAL returns a number.
    let code = unsafe { gdal_sys::GDALGetRasterDataType(band.c_rasterband()) };
    // GDAL 3.6 has no type of its own for signed bytes and marks them with this word.
    let signed_bytes = band.metadata_item("PIXELTYPE", "IMAGE_STRUCTURE").is_some_and(|kind| kind == "SIGNEDBYTE");
    DType::from_gdal(code).filter(|_| !signed_bytes).ok_or_else(|| RasterError::DType {
        name: source.name.clone(),
        dtype: if signed_bytes { "int8".into() } else { type_name(code) },
        wanted: "a real number (integers of 8, 16 or 32 bits, or floats)".into(),
    })
}

fn type_name(code: gdal_sys::GDALDataType::Type) -> String {
    // SAFETY: any number is taken; GDAL returns a string that it owns, or null.
    let text = unsafe { gdal_sys::GDALGetDataTypeName(code) };
    if text.is_null() {
        return format!("type {code}");
    }
    // SAFETY: not null, terminated by GDAL.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn nodata(source: &Source, band: &RasterBand<'_>, notes: &mut Vec<String>) -> Option<f64> {
    let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    match (band.no_data_value(), source.nodata) {
        (Some(file), Some(claimed)) if !same(file, claimed) => {
            notes.push(format!(
                "{}: the catalog says nodata {claimed}, the file {file}: the file's is used",
                source.name
            ));
            Some(file)
        }
        (Some(file), _) => Some(file),
        (None, claimed) => claimed,
    }
}

fn overviews(band: &RasterBand<'_>) -> Vec<(usize, usize)> {
    let count = band.overview_count().unwrap_or(0).max(0) as usize;
    (0..count).filter_map(|at| band.overview(at).ok()).map(|level| level.size()).collect()
}

fn georeference(source: &Source, lease: &Lease, notes: &mut Vec<String>) -> Result<Georeference> {
    let dataset = lease.dataset();
    let unplaced = || RasterError::Unplaced { name: source.name.clone(), href: source.shown() };
    let (width, height) = dataset.raster_size();
    let ((transform, reference), _) = capture(|| (dataset.geo_transform().ok(), dataset.spatial_ref().ok()));
    let Some(transform) = transform else {
        return match (gcps(lease)?, &source.claimed) {
            (Some(points), _) => Ok(points),
            // The catalog knows where an image lies that does not say it itself: a photo, a mask in PNG.
            (None, Some(claimed)) if (claimed.width, claimed.height) == (width, height) => {
                notes.push(format!("{}: the file does not say where it lies: the catalog's grid is used", source.name));
                Ok(Georeference::Grid(claimed.clone()))
            }
            _ => Err(unplaced()),
        };
    };
    let transform = Affine::from_gdal(transform);
    let crs = match (reference, &source.claimed) {
        (Some(reference), _) => crs::name(&reference)?,
        (None, Some(claimed)) => {
            notes.push(format!(
                "{}: the file names no reference system: the catalog's {} is used",
                source.name, claimed.crs
            ));
            claimed.crs.clone()
        }
        (None, None) => return Err(unplaced()),
    };
    let geobox = GeoBox::new(crs, transform, width, height)?;
    if let Some(claimed) = &source.claimed {
        notes.extend(disagreement(claimed, &geobox).map(|what| format!("{}: {what}: the file's is used", source.name)));
    }
    Ok(Georeference::Grid(geobox))
}

/// In what the claimed grid differs from the file's by more than a hundredth of a pixel.
fn disagreement(claimed: &GeoBox, file: &GeoBox) -> Option<String> {
    if !crs::same(&claimed.crs, &file.crs).unwrap_or(false) {
        return Some(format!("the catalog says {}, the file {}", short(&claimed.crs), short(&file.crs)));
    }
    if (claimed.width, claimed.height) != (file.width, file.height) {
        return Some(format!(
            "the catalog says {} x {} px, the file {} x {} px",
            claimed.width, claimed.height, file.width, file.height
        ));
    }
    let (dx, dy) = file.resolution();
    let far = claimed
        .corners()
        .iter()
        .zip(file.corners())
        .any(|(a, b)| (a.0 - b.0).abs() > 0.01 * dx || (a.1 - b.1).abs() > 0.01 * dy);
    far.then(|| {
        format!(
            "the catalog says transform {:?}, the file {:?}",
            <[f64; 6]>::from(claimed.transform),
            <[f64; 6]>::from(file.transform)
        )
    })
}

fn short(crs: &Crs) -> String {
    if crs.as_str().len() > 40 {
        format!("{}…", crs.as_str().chars().take(40).collect::<String>())
    } else {
        crs.to_string()
    }
}

fn gcps(lease: &Lease) -> Result<Option<Georeference>> {
    let points = lease.dataset().gcps();
    // SAFETY: the dataset lives; GDAL returns a reference that the dataset owns, or null.
    let reference = unsafe { gdal_sys::GDALGetGCPSpatialRef(lease.dataset().c_dataset()) };
    if points.len() < 3 || reference.is_null() {
        return Ok(None);
    }
    // SAFETY: not null; the call copies the reference.
    let reference = unsafe { gdal::spatial_ref::SpatialRef::from_c_obj(reference) };
    let reference =
        reference.map_err(|error| RasterError::Gdal { call: "GDALGetGCPSpatialRef", message: error.to_string() })?;
    let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for point in points {
        bounds =
            [bounds[0].min(point.x()), bounds[1].min(point.y()), bounds[2].max(point.x()), bounds[3].max(point.y())];
    }
    Ok(Some(Georeference::Gcps { crs: crs::name(&reference)?, count: points.len(), bounds }))
}

fn size(source: &Source) -> Option<u64> {
    let path = source.path().ok()?;
    if !path.starts_with("/vsi") {
        return std::fs::metadata(path).ok().map(|found| found.len());
    }
    let path = CString::new(path).ok()?;
    let (bytes, _) = capture(|| {
        // SAFETY: valid C strings; the handle is used between its opening and its closing alone.
        unsafe {
            let file = gdal_sys::VSIFOpenL(path.as_ptr(), c"rb".as_ptr());
            if file.is_null() {
                return None;
            }
            // 2 is the end of the file. A remote file answers from what it said when it was opened.
            let bytes = (gdal_sys::VSIFSeekL(file, 0, 2) == 0).then(|| gdal_sys::VSIFTellL(file));
            gdal_sys::VSIFCloseL(file);
            bytes
        }
    });
    bytes.filter(|&bytes| bytes > 0)
}
