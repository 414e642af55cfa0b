//! One band of one file, as the catalog names it.

use skysense_grid::GeoBox;

use crate::{RasterError, Result};
use skysense_address::redact;

/// One band of a raster that can be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Item and asset, for messages.
    pub name: String,
    /// A local path, or a `file`, `http`, `https`, `s3` or `gs` URL.
    pub href: String,
    /// Band of the file, counted from 1.
    pub band: usize,
    /// The nodata value that the catalog claims; used where the file declares none.
    pub nodata: Option<f64>,
    /// The grid that the catalog claims; the file wins, and [`crate::Header::notes`] says so.
    pub claimed: Option<GeoBox>,
}

impl Source {
    /// The first band of a file of which the catalog says no more.
    pub fn new(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self { name: name.into(), href: href.into(), band: 1, nodata: None, claimed: None }
    }

    /// Another band of the file, counted from 1.
    #[must_use]
    pub fn with_band(mut self, band: usize) -> Self {
        self.band = band;
        self
    }

    /// The nodata value that the catalog claims.
    #[must_use]
    pub fn with_nodata(mut self, nodata: Option<f64>) -> Self {
        self.nodata = nodata;
        self
    }

    /// The grid that the catalog claims.
    #[must_use]
    pub fn with_claimed(mut self, claimed: Option<GeoBox>) -> Self {
        self.claimed = claimed;
        self
    }

    /// The href without credentials, for messages.
    pub fn shown(&self) -> String {
        redact(&self.href)
    }

    /// Whether the file lies behind a server.
    pub(crate) fn is_remote(&self) -> bool {
        self.href.split_once("://").is_some_and(|(scheme, _)| !scheme.eq_ignore_ascii_case("file"))
    }

    /// The href as GDAL opens it.
    ///
    /// # Errors
    /// An unknown scheme, a virtual path of GDAL, or a local path that is not a file: connection strings
    /// (`NETCDF:…`, `GTIFF_DIR:…`) are no files either.
    pub(crate) fn path(&self) -> Result<String> {
        let refuse =
            |reason: &str| RasterError::Href { name: self.name.clone(), href: self.shown(), reason: reason.into() };
        let href = self.href.as_str();
        if href.contains('\0') {
            return Err(refuse("it holds a zero byte"));
        }
        if let Some((scheme, rest)) = href.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => Ok(format!("/vsicurl/{href}")),
                "s3" => Ok(format!("/vsis3/{rest}")),
                "gs" => Ok(format!("/vsigs/{rest}")),
                "file" => self.local(&file_path(href).unwrap_or_default()),
                _ => Err(refuse("its scheme is not one of file, http, https, s3, gs")),
            };
        }
        self.local(href)
    }

    fn local(&self, path: &str) -> Result<String> {
        // The listing of formats cannot stop `/vsizip/vsicurl/…`: only a real file passes.
        let refused = path.starts_with("/vsi") || path.starts_with('<');
        if refused {
            let reason = "virtual paths are not opened; name the file itself or its URL".into();
            return Err(RasterError::Href { name: self.name.clone(), href: self.shown(), reason });
        }
        let open = |message: String, hint: &str| RasterError::Open {
            name: self.name.clone(),
            href: self.shown(),
            message,
            hint: hint.into(),
        };
        match std::fs::metadata(path) {
            Ok(found) if found.is_file() => Ok(path.to_owned()),
            Ok(_) => Err(open("it is not a file".into(), "name a raster, not a folder")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(open(
                "no such file".into(),
                "the catalog names a file that is not there; check the href and the folder it is relative to",
            )),
            Err(error) => Err(open(error.to_string(), "check the permissions of the file and of the folders above it")),
        }
    }
}

/// The path that a `file` URL means, in whatever case its scheme is; none for what is no such URL.
pub fn file_path(href: &str) -> Option<String> {
    let (scheme, rest) = href.split_once("://")?;
    let local = || percent_decoded(rest.strip_prefix("localhost").unwrap_or(rest));
    scheme.eq_ignore_ascii_case("file").then(local)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_virtual_paths() {
        let path = |href: &str| Source::new("item / asset", href).path();
        assert_eq!(path("https://a.org/b.tif?x=1").unwrap(), "/vsicurl/https://a.org/b.tif?x=1");
        assert_eq!(path("s3://bucket/key.tif").unwrap(), "/vsis3/bucket/key.tif");
        assert!(path("ftp://a.org/b.tif").is_err());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for href in
            ["/vsicurl/http://a.org/b.tif", "/vsimem/a", "NETCDF:a.nc:b", "<VRTDataset/>", "missing.tif", "a\0b"]
        {
            let error = Source::new("item / asset", href).path().unwrap_err().to_string();
            assert!(error.contains("item / asset"), "{error}");
        }
        assert_eq!(percent_decoded("/a%20b%zz"), "/a b%zz");
    }

    #[test]
    fn a_file_url_is_a_path() {
        assert_eq!(file_path("FILE://localhost/a%20b.tif").as_deref(), Some("/a b.tif"));
        assert_eq!(file_path("file:///a.tif").as_deref(), Some("/a.tif"));
        assert_eq!((file_path("/a.tif"), file_path("s3://a/b.tif")), (None, None));
    }
}
