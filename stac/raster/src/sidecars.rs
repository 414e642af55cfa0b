//! Files beside a file: those of a catalog are read as they are, of those that a user names the companions count too.

use std::marker::PhantomData;

use crate::{RasterError, Result};

/// ENVI keeps its header beside the pixels, others their georeference or nodata; a VRT opens what it names when it is read.
const ALLOWED: [(&str, &str); 2] = [("GDAL_PAM_ENABLED", "YES"), ("GDAL_DISABLE_READDIR_ON_OPEN", "FALSE")];

/// Lets GDAL look for them in this thread, until it is dropped.
pub(crate) struct Sidecars {
    /// What was settled for the thread before.
    before: [String; 2],
    /// Settings of a thread are put back by that thread.
    _here: PhantomData<*const ()>,
}

impl Sidecars {
    /// # Errors
    /// A setting that GDAL refuses.
    pub(crate) fn allow() -> Result<Self> {
        let refused = |error: gdal::errors::GdalError| RasterError::Gdal {
            call: "CPLSetThreadLocalConfigOption",
            message: error.to_string(),
        };
        let mut before = <[String; 2]>::default();
        for ((key, value), before) in ALLOWED.into_iter().zip(&mut before) {
            *before = gdal::config::get_thread_local_config_option(key, "").map_err(refused)?;
            gdal::config::set_thread_local_config_option(key, value).map_err(refused)?;
        }
        Ok(Self { before, _here: PhantomData })
    }
}

impl Drop for Sidecars {
    fn drop(&mut self) {
        for ((key, _), before) in ALLOWED.into_iter().zip(&self.before) {
            // Keys and values that were taken once are taken again.
            let _settled = if before.is_empty() {
                gdal::config::clear_thread_local_config_option(key)
            } else {
                gdal::config::set_thread_local_config_option(key, before)
            };
        }
    }
}
