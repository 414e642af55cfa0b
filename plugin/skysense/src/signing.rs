//! Signatures of hrefs: made just before a read, renewed where a server refuses one.

use std::sync::{Arc, LazyLock};

use skysense_abi::NodeError;
use skysense_catalog::{Root, Signer};
use skysense_raster::{RasterError, Source};

use crate::errors;

/// Tokens serve all nodes and tools of the process.
static SIGNER: LazyLock<Arc<Signer>> = LazyLock::new(Arc::default);

/// Reads sources whose server wants a signature. What is signed leaves it only for the time of a read.
pub(crate) struct Signing(Arc<Signer>);

impl Default for Signing {
    fn default() -> Self {
        Self(Arc::clone(&SIGNER))
    }
}

impl Signing {
    /// With a signer of one's own.
    #[cfg(test)]
    pub(crate) fn by(signer: Signer) -> Self {
        Self(Arc::new(signer))
    }

    /// Runs `read` on a source of a catalog that lives at `root`. Where a server refuses its signature, it runs once
    /// more with a new one: tokens end while files are open.
    ///
    /// # Errors
    /// A token service that does not answer, and what `read` meets.
    pub(crate) fn read<T>(
        &self,
        root: &Root,
        plain: &Source,
        read: impl Fn(&Source) -> Result<T, RasterError>,
    ) -> Result<T, NodeError> {
        let href = self.0.sign(root, &plain.href).map_err(|error| errors::catalog(&error))?;
        let signed = Source { href, ..plain.clone() };
        let refused = match read(&signed) {
            Err(error) if error.is_refused() => error,
            result => return result.map_err(|error| errors::raster(&error)),
        };
        match self.0.sign_again(root, &signed.href).map_err(|error| errors::catalog(&error))? {
            Some(href) => read(&Source { href, ..signed }).map_err(|error| errors::raster(&error)),
            None => Err(errors::raster(&refused)),
        }
    }
}
