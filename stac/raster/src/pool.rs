//! Open files, lent to one thread at a time.
//!
//! A dataset of GDAL may move between threads but serves one at a time, and it owns the blocks that it
//! decoded. One pool for all threads therefore keeps more blocks useful than a set of files per thread.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};

use crate::messages::capture;
use crate::setup::{self, DRIVERS};
use crate::sidecars::Sidecars;
use crate::{RasterError, Result, Source};

static IDLE: Mutex<VecDeque<Handle>> = Mutex::new(VecDeque::new());

/// What tells that a local file was replaced since it was opened.
type Stamp = Option<(u64, Option<SystemTime>)>;

struct Handle {
    path: String,
    /// In which formats it was looked for, and which raster of it is open.
    kind: Kind,
    stamp: Stamp,
    dataset: Dataset,
}

/// What tells two ways to open one file apart.
type Kind = (bool, Option<String>);

/// An open file; it returns to the pool when dropped, unless it was found to be damaged.
pub(crate) struct Lease {
    handle: Option<Handle>,
    /// As long as files beside it may be read.
    _beside: Option<Sidecars>,
}

impl Lease {
    /// The open dataset.
    pub(crate) fn dataset(&self) -> &Dataset {
        &self.handle.as_ref().expect("a lease holds its handle until it is dropped or discarded").dataset
    }

    /// Closes the file after a read error, since its cache may hold half a block, and returns what to tell.
    ///
    /// Of a server that begins to refuse while a file is open GDAL says no more than that bytes are missing; opening
    /// the file anew tells.
    pub(crate) fn failed(mut self, source: &Source, error: RasterError) -> RasterError {
        let Some(handle) = self.handle.take() else { return error };
        let path = handle.path.clone();
        drop(handle);
        forget_remote(&path);
        let lost = path.starts_with("/vsi") && matches!(error, RasterError::Read { .. });
        match lost.then(|| open(source)) {
            Some(Err(refused)) if refused.is_refused() => refused,
            _ => error,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        let limit = setup::open_files();
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(handle);
        let over = idle.len().saturating_sub(limit);
        let closing: Vec<_> = idle.drain(..over).collect();
        // Closing may write to the network's caches; others need not wait for it.
        drop(idle);
        drop(closing);
    }
}

/// Opens a source or takes it from the pool.
pub(crate) fn open(source: &Source) -> Result<Lease> {
    setup::ensure()?;
    let path = source.path()?;
    let any = source.any_format && !source.is_remote();
    let beside = if any { Some(Sidecars::allow()?) } else { None };
    let kind = (any, source.subdataset.clone().filter(|_| any));
    let stamp = stamp(&path);
    let found = {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().rposition(|handle| handle.path == path && handle.kind == kind && handle.stamp == stamp);
        at.and_then(|at| idle.remove(at))
    };
    if let Some(handle) = found {
        return Ok(Lease { handle: Some(handle), _beside: beside });
    }
    let whole = dataset(source, &path, any)?;
    let dataset = if any { part(source, whole)? } else { whole };
    Ok(Lease { handle: Some(Handle { path, kind, stamp, dataset }), _beside: beside })
}

fn dataset(source: &Source, path: &str, any: bool) -> Result<Dataset> {
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_RASTER
            | GdalOpenFlags::GDAL_OF_READONLY
            // Ours alone: not listed among the open datasets of the program that we may be part of.
            | GdalOpenFlags::GDAL_OF_INTERNAL
            | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        allowed_drivers: Some(if any { setup::all_formats() } else { &DRIVERS }),
        open_options: None,
        sibling_files: None,
    };
    let (opened, messages) = capture(|| Dataset::open_ex(path, options));
    opened.map_err(|_| {
        forget_remote(path);
        let message = messages.text();
        let hint = if any && message.contains("not recognized") { strange() } else { hint(&message).into() };
        RasterError::Open { name: source.name.clone(), href: source.shown(), message, hint }
    })
}

/// The raster of a file that is meant: the file itself, or one of those that it holds.
fn part(source: &Source, whole: Dataset) -> Result<Dataset> {
    let listed = whole.metadata_domain("SUBDATASETS").unwrap_or_default();
    let names: Vec<&str> = listed
        .iter()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| key.ends_with("_NAME"))
        .map(|one| one.1)
        .collect();
    let refuse = || RasterError::Subdataset {
        name: source.name.clone(),
        href: source.shown(),
        wanted: source.subdataset.clone(),
        known: names.iter().map(|name| ending(name).to_owned()).collect(),
    };
    match &source.subdataset {
        Some(wanted) => {
            let plain = wanted.trim_start_matches('/');
            let found = names.iter().find(|name| **name == wanted.as_str() || ending(name) == plain);
            dataset(source, found.ok_or_else(refuse)?, true)
        }
        None if whole.raster_count() == 0 && !names.is_empty() => Err(refuse()),
        None => Ok(whole),
    }
}

/// What tells a raster from the others of its file: what stands behind the file in `NETCDF:"/a.nc":B02`,
/// `HDF5:"/a.h5"://bands/B02` or `GPKG:/a.gpkg:B02`.
fn ending(name: &str) -> &str {
    let behind = name.rsplit_once("\":").or_else(|| name.rsplit_once(':')).map_or(name, |(_, behind)| behind);
    behind.trim_start_matches('/')
}

/// What to do where no driver takes a file.
fn strange() -> String {
    format!(
        "GDAL {} of this machine has {} formats, and the file is in none of them (`gdalinfo --formats` lists them); where its format needs a driver of its own, install that",
        gdal::version::VersionInfo::release_name(),
        setup::all_formats().len()
    )
}

/// Closes all files that nobody reads at the moment.
pub fn close_idle() {
    let closing = std::mem::take(&mut *IDLE.lock().unwrap_or_else(PoisonError::into_inner));
    drop(closing);
}

fn stamp(path: &str) -> Stamp {
    if path.starts_with("/vsi") {
        return None;
    }
    std::fs::metadata(path).ok().map(|found| (found.len(), found.modified().ok()))
}

/// GDAL remembers that a remote file failed; a later try must ask the server again.
fn forget_remote(path: &str) {
    if !path.starts_with("/vsi") {
        return;
    }
    if let Ok(prefix) = std::ffi::CString::new(path) {
        // SAFETY: a valid C string that lives through the call.
        unsafe { gdal_sys::VSICurlPartialClearCache(prefix.as_ptr()) };
    }
}

fn hint(message: &str) -> &'static str {
    let says = |text: &str| message.contains(text);
    if says("404") || says("does not exist") || says("No such file") {
        "the catalog names a file that is not there; look at the href in a browser, or exclude the item"
    } else if says("403") || says("401") {
        "the server wants credentials or a fresh signature; sign the hrefs of this catalog"
    } else if says("Could not resolve") || says("Couldn't connect") || says("timed out") || says("Timeout") {
        "the server cannot be reached; check the network and try again"
    } else if says("not recognized") {
        "it is not a raster of a format that is opened here (GeoTIFF, JPEG 2000, PNG, JPEG, netCDF); an error page of a server looks like this too"
    } else {
        "the file may be truncated or damaged; fetch it again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rasters_of_a_file_are_told_apart_by_what_stands_behind_it() {
        for (name, expected) in [
            ("NETCDF:\"/a b.nc\":B02", "B02"),
            ("HDF5:\"/a.h5\"://bands/B02", "bands/B02"),
            ("GPKG:/a.gpkg:B02", "B02"),
            ("GTIFF_DIR:2:/a.tif", "a.tif"),
            ("plain", "plain"),
        ] {
            assert_eq!(ending(name), expected, "{name}");
        }
    }
}
