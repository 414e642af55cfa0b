//! GDAL's settings, made once for the process, and what was found.
//!
//! Where another program had set GDAL up before we came (QGIS, `gdal_translate`, Python), GDAL is that program's: then
//! our settings hold for the threads that read for us, and its block cache, error handlers and options stay as they are.
//! Whoever calls us there does it from threads of its own.

use std::cell::Cell;
use std::ffi::CString;
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use serde::Serialize;

use crate::messages;
use crate::{RasterError, Result};

/// Formats that a catalog may name. No VRT and nothing else that points on to further files.
pub(crate) const DRIVERS: [&str; 5] = ["GTiff", "JP2OpenJPEG", "PNG", "JPEG", "netCDF"];

/// A workflow is no input: it reads files itself, and may read itself.
const NEVER: &str = "SKYSENSE";

/// All formats of this GDAL, for files that a user names.
pub(crate) fn all_formats() -> &'static [&'static str] {
    static ALL: OnceLock<Vec<&'static str>> = OnceLock::new();
    ALL.get_or_init(|| {
        let drivers = (0..gdal::DriverManager::count()).filter_map(|at| gdal::DriverManager::get_driver(at).ok());
        let names = drivers.map(|driver| driver.short_name()).filter(|name| name != NEVER);
        // Kept as long as the process lives, as the drivers are.
        names.map(|name| &*name.leak()).collect()
    })
}

/// What is ours to say, whatever the environment says.
const OURS: [(&str, &str); 4] = [
    ("GDAL_PAM_ENABLED", "NO"),
    ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR"),
    ("GTIFF_IGNORE_READ_ERRORS", "NO"),
    // Our own code is the pool of threads.
    ("GDAL_NUM_THREADS", "1"),
];

/// How GDAL shall behave in this process.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Decoded blocks that GDAL may hold, in bytes: part of the fixed memory of a run.
    pub cache_bytes: u64,
    /// Bytes of remote files that GDAL may hold.
    pub remote_cache_bytes: u64,
    /// Seconds until a connection or a request is given up.
    pub timeout_seconds: u32,
    /// How often a request is tried again after a server fault or a broken connection.
    pub retries: u32,
    /// Files that stay open between reads; at most half of what the system allows the process.
    ///
    /// The bands and dates of a scene are read window by window: where fewer files stay open than a scene has, each
    /// of them is opened and decoded anew for each window.
    pub open_files: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, remote_cache_bytes: 32 << 20, timeout_seconds: 60, retries: 4, open_files: 384 }
    }
}

static ONCE: Once = Once::new();
static CURRENT: Mutex<Option<Options>> = Mutex::new(None);

/// Sets GDAL up for the process. Later calls change the cache sizes and leave the rest. In another program's process
/// nothing is set but what concerns our threads.
///
/// Reading and writing call this with the defaults where nobody did before. Settings for HTTP that stand
/// in the environment (`GDAL_HTTP_TIMEOUT`, …) are kept; the block cache and sidecar files are ours to say.
///
/// # Errors
/// A setting that GDAL refuses.
pub fn setup(options: &Options) -> Result<()> {
    let mut problem = None;
    ONCE.call_once(|| problem = begin(options).err());
    if let Some(error) = problem {
        return Err(refused(&error));
    }
    if is_guest() {
        return settle();
    }
    let bytes = i64::try_from(options.cache_bytes).unwrap_or(i64::MAX);
    // SAFETY: a plain setter guarded by GDAL's own lock.
    unsafe { gdal_sys::GDALSetCacheMax64(bytes) };
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(options.clone());
    Ok(())
}

/// Sets up with the defaults unless it was done.
pub(crate) fn ensure() -> Result<()> {
    match (ONCE.is_completed(), is_guest()) {
        (false, _) => setup(&Options::default()),
        (true, true) => settle(),
        (true, false) => Ok(()),
    }
}

fn refused(error: &gdal::errors::GdalError) -> RasterError {
    RasterError::Gdal { call: "CPLSetConfigOption", message: error.to_string() }
}

/// Whether GDAL is another program's. Asked first before we register a driver.
fn is_guest() -> bool {
    static GUEST: OnceLock<bool> = OnceLock::new();
    // SAFETY: a plain getter guarded by GDAL's own lock.
    *GUEST.get_or_init(|| unsafe { gdal_sys::GDALGetDriverCount() } > 0)
}

/// Settings that a result may depend on, for this thread alone, once.
fn settle() -> Result<()> {
    thread_local! {
        static SETTLED: Cell<bool> = const { Cell::new(false) };
    }
    if SETTLED.replace(true) {
        return Ok(());
    }
    let set =
        |key, value: &str| gdal::config::set_thread_local_config_option(key, value).map_err(|error| refused(&error));
    OURS.into_iter().try_for_each(|(key, value)| set(key, value))?;
    let unset = where_unset(&Options::default()).map_err(|error| refused(&error))?;
    unset.iter().try_for_each(|(key, value)| set(key, value))
}

fn begin(options: &Options) -> gdal::errors::Result<()> {
    if is_guest() { Ok(()) } else { configure(options) }
}

/// How many files stay open.
pub(crate) fn open_files() -> usize {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = current.as_ref().map_or_else(|| Options::default().open_files, |options| options.open_files);
    static ALLOWED: OnceLock<usize> = OnceLock::new();
    wanted.min(*ALLOWED.get_or_init(|| allowed_files() / 2))
}

/// How many files the system lets the process open.
#[cfg(unix)]
fn allowed_files() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to a structure of the right type.
    let code = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if code == 0 { usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX) } else { 256 }
}

#[cfg(not(unix))]
fn allowed_files() -> usize {
    512
}

fn configure(options: &Options) -> gdal::errors::Result<()> {
    gdal::config::set_error_handler(messages::handle);
    gdal::DriverManager::register_all();
    // SAFETY: a plain setter; grids are never fetched, so the same input gives the same coordinates everywhere.
    unsafe { gdal_sys::OSRSetPROJEnableNetwork(0) };
    let remote_cache = options.remote_cache_bytes.to_string();
    for (key, value) in OURS.into_iter().chain([("CPL_VSIL_CURL_CACHE_SIZE", remote_cache.as_str())]) {
        gdal::config::set_config_option(key, value)?;
    }
    for (key, value) in where_unset(options)? {
        gdal::config::set_config_option(key, &value)?;
    }
    Ok(())
}

/// Settings for HTTP that nobody made.
fn where_unset(options: &Options) -> gdal::errors::Result<Vec<(&'static str, String)>> {
    let (timeout, retries) = (options.timeout_seconds.to_string(), options.retries.to_string());
    let all = [
        ("GDAL_HTTP_TIMEOUT", timeout.as_str()),
        ("GDAL_HTTP_CONNECTTIMEOUT", "15"),
        ("GDAL_HTTP_LOW_SPEED_TIME", "30"),
        ("GDAL_HTTP_LOW_SPEED_LIMIT", "100"),
        ("GDAL_HTTP_MAX_RETRY", retries.as_str()),
        ("GDAL_HTTP_RETRY_DELAY", "0.5"),
        ("GDAL_HTTP_MULTIPLEX", "YES"),
        ("GDAL_HTTP_VERSION", "2TLS"),
        ("GDAL_HTTP_MERGE_CONSECUTIVE_RANGES", "YES"),
        ("GDAL_HTTP_USERAGENT", concat!("skysense/", env!("CARGO_PKG_VERSION"))),
        ("GDAL_INGESTED_BYTES_AT_OPEN", "32768"),
    ];
    let mut unset = Vec::new();
    for (key, value) in all {
        if gdal::config::get_config_option(key, "")?.is_empty() {
            unset.push((key, value.to_owned()));
        }
    }
    Ok(unset)
}

/// What `doctor` says about this crate.
#[derive(Debug, Clone, Serialize)]
pub struct Versions {
    /// Version of GDAL.
    pub gdal: String,
    /// Version of PROJ.
    pub proj: String,
    /// Whether PROJ finds its database: without it no reference system can be resolved.
    pub proj_database: bool,
    /// The formats that are opened, and whether this GDAL has each.
    pub formats: Vec<(String, bool)>,
    /// Whether GDAL was built with the driver that writes COGs.
    pub cog_writer: bool,
    /// Whether GDAL can read from http.
    pub http: bool,
}

/// Versions of the libraries below, and which formats are there.
///
/// # Errors
/// A setup that fails.
pub fn versions() -> Result<Versions> {
    ensure()?;
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    // SAFETY: three valid pointers to integers.
    unsafe { gdal_sys::OSRGetPROJVersion(&mut major, &mut minor, &mut patch) };
    let has = |name: &str| gdal::DriverManager::get_driver_by_name(name).is_ok();
    let (formats, _) = messages::capture(|| DRIVERS.iter().map(|name| ((*name).to_owned(), has(name))).collect());
    let (cog_writer, _) = messages::capture(|| has("COG"));
    Ok(Versions {
        gdal: gdal::version::VersionInfo::release_name(),
        proj: format!("{major}.{minor}.{patch}"),
        proj_database: crate::crs::spatial_reference(&skysense_grid::Crs::epsg(32633)).is_ok(),
        formats,
        cog_writer,
        http: has_http(),
    })
}

fn has_http() -> bool {
    let Ok(key) = CString::new("BUILD_INFO") else { return false };
    // SAFETY: a valid C string in; GDAL returns a string that it owns, or null.
    let text = unsafe { gdal_sys::GDALVersionInfo(key.as_ptr()) };
    if text.is_null() {
        return false;
    }
    // SAFETY: not null, terminated by GDAL.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().contains("CURL_ENABLED=YES")
}
