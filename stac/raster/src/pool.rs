//! Open files, lent to one thread at a time.
//!
//! A dataset of GDAL may move between threads but serves one at a time, and it owns the blocks that it
//! decoded. One pool for all threads therefore keeps more blocks useful than a set of files per thread.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

use crate::messages::capture;
use crate::setup::{self, DRIVERS};
use crate::{RasterError, Result, Source};

static IDLE: Mutex<VecDeque<Handle>> = Mutex::new(VecDeque::new());

/// What tells that a local file was replaced since it was opened.
type Stamp = Option<(u64, Option<SystemTime>)>;

struct Handle {
    path: String,
    stamp: Stamp,
    dataset: Dataset,
}

/// An open file; it returns to the pool when dropped, unless it was found to be damaged.
pub(crate) struct Lease {
    handle: Option<Handle>,
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
    let stamp = stamp(&path);
    let found = {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().rposition(|handle| handle.path == path && handle.stamp == stamp);
        at.and_then(|at| idle.remove(at))
    };
    if let Some(handle) = found {
        return Ok(Lease { handle: Some(handle) });
    }
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_RASTER
            | GdalOpenFlags::GDAL_OF_READONLY
            // Ours alone: not listed among the open datasets of the program that we may be part of.
            | GdalOpenFlags::GDAL_OF_INTERNAL
            | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        allowed_drivers: Some(&DRIVERS),
        open_options: None,
        sibling_files: None,
    };
    let (opened, messages) = capture(|| Dataset::open_ex(&path, options));
    match opened {
        Ok(dataset) => Ok(Lease { handle: Some(Handle { path, stamp, dataset }) }),
        Err(_) => {
            forget_remote(&path);
            let message = messages.text();
            let hint = hint(&message).into();
            Err(RasterError::Open { name: source.name.clone(), href: source.shown(), message, hint })
        }
    }
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
