//! What can go wrong between a source and its pixels.

use skysense_grid::GridError;

/// Why pixels could not be read or written. Hrefs and messages carry no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RasterError {
    /// The band number does not exist in the file.
    #[error("{name}: {href} has {count} bands, band {band} was asked for (bands count from 1)")]
    Band {
        /// Item and asset.
        name: String,
        /// Where the file is.
        href: String,
        /// The band that was asked for.
        band: usize,
        /// Bands in the file.
        count: usize,
    },
    /// Chips that were pushed in another order than row by row, or of another shape.
    #[error("chip {chip}: {problem}")]
    Blend {
        /// Number of the chip in row-major order.
        chip: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A coordinate reference system that PROJ does not know, or one that reaches outside its database.
    #[error("coordinate reference system {crs:?}: {message}; use AUTHORITY:CODE (such as EPSG:32633) or WKT")]
    Crs {
        /// The definition as given, shortened.
        crs: String,
        /// What PROJ says.
        message: String,
    },
    /// A pixel type that is not read or written here.
    #[error("{name}: pixel type {dtype} cannot be read as {wanted}")]
    DType {
        /// Item and asset, or the output.
        name: String,
        /// The type of the file.
        dtype: String,
        /// The type that was asked for.
        wanted: String,
    },
    /// A GDAL call failed outside reading and writing of a named file.
    #[error("{call}: {message}")]
    Gdal {
        /// The function of GDAL.
        call: &'static str,
        /// GDAL's own message.
        message: String,
    },
    /// A grid that cannot be.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// An href that is not opened.
    #[error("{name}: {href} is not opened: {reason}")]
    Href {
        /// Item and asset.
        name: String,
        /// Where the file is.
        href: String,
        /// Why it is refused.
        reason: String,
    },
    /// The file could not be opened.
    #[error("{name}: cannot open {href}: {message}\nhint: {hint}")]
    Open {
        /// Item and asset.
        name: String,
        /// Where the file is.
        href: String,
        /// GDAL's own message.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Coordinates that cannot be projected.
    #[error("bounds {bounds:?} in {from} cannot be projected to {to}: {message}")]
    Project {
        /// `[west, south, east, north]`.
        bounds: [f64; 4],
        /// Their reference system.
        from: String,
        /// The one that was asked for.
        to: String,
        /// PROJ's own message.
        message: String,
    },
    /// Pixels could not be read although the file opened.
    #[error(
        "{name}: cannot read pixels x {x}..{right}, y {y}..{bottom} of {href}: {message}\nhint: the file is truncated or damaged, or the connection broke off; fetch it again"
    )]
    Read {
        /// Item and asset.
        name: String,
        /// Where the file is.
        href: String,
        /// First column.
        x: usize,
        /// First row.
        y: usize,
        /// Column after the last.
        right: usize,
        /// Row after the last.
        bottom: usize,
        /// GDAL's own message.
        message: String,
    },
    /// Rows that do not follow each other or do not fill the raster.
    #[error("{path}: {problem}")]
    Rows {
        /// The output.
        path: String,
        /// What is wrong with the rows.
        problem: String,
    },
    /// A description of an output that contradicts itself.
    #[error("{path}: {problem}")]
    Spec {
        /// The output.
        path: String,
        /// What contradicts.
        problem: String,
    },
    /// A file that holds several rasters, of which none was named that there is.
    #[error("{name}: {href} {}; it holds {}\nhint: name one with `subdataset`", unnamed(wanted.as_deref()), listed(known))]
    Subdataset {
        /// Item and asset.
        name: String,
        /// Where the file is.
        href: String,
        /// What was asked for.
        wanted: Option<String>,
        /// Ends of the names that GDAL gives its rasters.
        known: Vec<String>,
    },
    /// A raster without any georeference.
    #[error(
        "{name}: {href} has neither an affine transform with a coordinate reference system nor ground control points: it cannot be placed on the map"
    )]
    Unplaced {
        /// Item and asset.
        name: String,
        /// Where the file is.
        href: String,
    },
    /// The output could not be written; nothing of it is left.
    #[error("cannot write {path}: {message}\nhint: {hint}")]
    Write {
        /// The output.
        path: String,
        /// The message of the system or of GDAL.
        message: String,
        /// What to do.
        hint: String,
    },
}

fn unnamed(wanted: Option<&str>) -> String {
    wanted.map_or_else(|| "is no raster by itself".into(), |wanted| format!("has no raster {wanted:?} in it"))
}

/// Some of many: a day of a satellite's swath may have hundreds.
fn listed(known: &[String]) -> String {
    match known {
        [] => "no others".into(),
        [first @ .., _] if known.len() > 12 => format!("{} and {} more", first[..12].join(", "), known.len() - 12),
        _ => known.join(", "),
    }
}

impl RasterError {
    /// Whether a server refused the file for want of credentials, as it does when a signature has expired.
    pub fn is_refused(&self) -> bool {
        let (Self::Open { message, .. } | Self::Read { message, .. }) = self else { return false };
        let codes = ["401", "403"];
        // GDAL's words differ between versions, the number is always there; in a path it stands between other signs.
        message
            .split(|c: char| c.is_whitespace() || matches!(c, '=' | ':' | ';' | ',' | '.' | '(' | ')'))
            .any(|word| codes.contains(&word))
    }
}

/// The result of reading or writing rasters.
pub type Result<T> = std::result::Result<T, RasterError>;
