//! What the hrefs of a catalog may reach: the one gate between a catalog's words and an opened file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::href::{has_scheme, local_path, tidy};
use crate::{CatalogError, Result, Root};

/// Extensions of raster files that may be opened, in lower case. No VRT and nothing else that names other files.
pub const RASTER_EXTENSIONS: &[&str] = &["tif", "tiff", "gtiff", "jp2", "j2k", "png", "jpg", "jpeg"];

/// What a run allows, beside what follows from where a catalog lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Local files and folders that local catalogs may reach although they lie outside of their root.
    pub allow_paths: Vec<PathBuf>,
}

/// Where an allowed href leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, with all links resolved.
    File(PathBuf),
    /// A URL, http or https.
    Http(Url),
    /// An object of an S3 bucket.
    S3 {
        /// Bucket.
        bucket: String,
        /// Key.
        key: String,
    },
}

impl Location {
    /// What a reader of rasters opens: a path, or a URL with the signature that it may carry. Not for messages.
    pub fn raster_href(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Http(url) => url.to_string(),
            Self::S3 { bucket, key } => format!("s3://{bucket}/{key}"),
        }
    }
}

impl Access {
    /// Allows only what lies under a catalog's own root.
    pub fn new(allow_paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { allow_paths: allow_paths.into_iter().collect() }
    }

    /// Where a raster href of a catalog leads, if the catalog may open it.
    ///
    /// A remote catalog reaches http, https and s3 only; a local one also files under its root or under
    /// `allow_paths`, after symbolic links are resolved. The path must end in one of [`RASTER_EXTENSIONS`], unless
    /// `allow_paths` names that very file.
    ///
    /// # Errors
    /// Everything else, with the reason.
    pub fn raster(&self, root: &Root, href: &str) -> Result<Location> {
        let location = self.locate(root, href)?;
        let name = match &location {
            Location::File(path) => path.to_string_lossy().into_owned(),
            Location::Http(url) => name_of(url),
            Location::S3 { key, .. } => key.clone(),
        };
        match is_raster_name(&name) || self.names(&location) {
            true => Ok(location),
            false => Err(CatalogError::href(
                href,
                "is not a raster format that may be opened",
                "expected .tif, .tiff, .jp2, .j2k, .png or .jpg",
            )),
        }
    }

    /// Whether `allow_paths` names this very file, so that it was the user who said to read it, and not a catalog alone.
    pub fn names(&self, location: &Location) -> bool {
        let Location::File(file) = location else { return false };
        self.allow_paths.iter().any(|allowed| allowed.canonicalize().is_ok_and(|allowed| allowed == *file))
    }

    /// As [`Access::raster`] for any file, such as the next catalog of a walk.
    ///
    /// # Errors
    /// As [`Access::raster`].
    pub fn locate(&self, root: &Root, href: &str) -> Result<Location> {
        reject_tricks(href)?;
        match href.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest)) {
            Some((scheme, _)) if scheme == "http" || scheme == "https" => Url::parse(href)
                .ok()
                .filter(Url::has_host)
                .map(Location::Http)
                .ok_or_else(|| CatalogError::href(href, "is no URL", "check its spelling")),
            Some((scheme, rest)) if scheme == "s3" => match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                    Ok(Location::S3 { bucket: bucket.into(), key: key.into() })
                }
                _ => Err(CatalogError::href(href, "names no object", "expected s3://bucket/key")),
            },
            Some((scheme, _)) if scheme != "file" => Err(CatalogError::href(
                href,
                format!("has the scheme `{scheme}`"),
                "expected a file, http, https or s3",
            )),
            _ if has_scheme(href) && !href.to_ascii_lowercase().starts_with("file:") => {
                Err(CatalogError::href(href, "is a connection string", "expected a path, http, https or s3"))
            }
            _ => self.local(root, href).map(Location::File),
        }
    }

    fn local(&self, root: &Root, href: &str) -> Result<PathBuf> {
        let Root::Local(folder) = root else {
            return Err(CatalogError::href(
                href,
                "is a local file, named by a remote catalog",
                "a remote catalog may reach http, https and s3 only",
            ));
        };
        let path = local_path(href)?;
        let real = path.canonicalize().map_err(|source| CatalogError::Read { path: path.clone(), source })?;
        let below = |allowed: &Path| real.starts_with(allowed.canonicalize().unwrap_or_else(|_| tidy(allowed)));
        if below(folder) || self.allow_paths.iter().any(|allowed| below(allowed)) {
            return Ok(real);
        }
        Err(CatalogError::href(
            href,
            format!("leads to a file outside of the catalog's folder {}", folder.display()),
            "name it in `allow_paths` if you trust this catalog",
        ))
    }
}

/// Paths that GDAL would take for something other than a plain file.
fn reject_tricks(href: &str) -> Result<()> {
    let lower = href.to_ascii_lowercase();
    let plain = lower.replace('\\', "/");
    let bad = |problem: &str| {
        Err(CatalogError::href(href, problem, "catalogs may name plain files, http, https and s3 only"))
    };
    if plain.split('/').any(|part| part.starts_with("vsi"))
        && (plain.starts_with("/vsi") || plain.starts_with("vsi") || plain.contains("//vsi"))
    {
        return bad("is a GDAL virtual path");
    }
    if href.chars().any(|c| c.is_control()) {
        return bad("holds control characters");
    }
    if lower.trim_start().starts_with(['<', '{']) {
        return bad("is a document and no path");
    }
    Ok(())
}

/// Whether a path ends like a raster that may be opened.
pub(crate) fn is_raster_name(name: &str) -> bool {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty() && RASTER_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
    })
}

/// The file name of a URL: its last path segment, or inside `Nodes(name.jp2)/$value` as some download services write it.
pub(crate) fn name_of(url: &Url) -> String {
    let path = url.path().trim_end_matches("/$value").trim_end_matches("/%24value");
    match path.rsplit('/').next() {
        Some(last) => last.strip_prefix("Nodes(").and_then(|inner| inner.strip_suffix(')')).unwrap_or(last).to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Root {
        Root::Remote("https://host/".into())
    }

    #[test]
    fn a_remote_catalog_never_reaches_local_files() {
        let access = Access::new([PathBuf::from("/")]);
        for href in ["/etc/hosts.tif", "file:///etc/hosts.tif", "FILE:///etc/hosts.tif", "../x.tif", "./x.tif", "x.tif"]
        {
            assert!(access.raster(&remote(), href).is_err(), "{href}");
        }
    }

    #[test]
    fn virtual_paths_documents_and_connection_strings_are_refused() {
        let here = Root::Local("/".into());
        for href in [
            "/vsicurl/http://h/x.tif",
            "/VSIZIP/a.zip/x.tif",
            "/vsimem/x.tif",
            "vsis3/bucket/x.tif",
            "//vsicurl/x.tif",
            "file:////vsicurl/x.tif",
            "PG:host=x.tif",
            "NETCDF:a.nc:x.tif",
            "GTIFF_DIR:1:/a.tif",
            "WMS:http://h/x.tif",
            "<VRTDataset/>.tif",
            "{\"a\":1}.tif",
            "ftp://h/x.tif",
            "gs://b/x.tif",
            "https://h/x.vrt",
            "https://h/x.tif.vrt",
            "https://h/x",
            "https://h/x.vrt?a=x.tif",
            "s3://bucket",
            "/a\nb.tif",
        ] {
            assert!(Access::default().raster(&here, href).is_err(), "{href}");
            assert!(Access::default().raster(&remote(), href).is_err(), "{href}");
        }
    }

    #[test]
    fn plain_remote_rasters_are_allowed() {
        for href in [
            "https://h/x.tif",
            "http://h/a/B04.JP2?sig=1",
            "https://z/odata/v1/Products(1)/Nodes(T36_B04_10m.jp2)/$value",
        ] {
            assert!(matches!(Access::default().raster(&remote(), href), Ok(Location::Http(_))), "{href}");
        }
        assert_eq!(
            Access::default().raster(&remote(), "s3://b/k/x.tif").unwrap(),
            Location::S3 { bucket: "b".into(), key: "k/x.tif".into() }
        );
    }

    #[test]
    fn local_catalogs_stay_under_their_root_links_resolved() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("catalog"), folder.path().join("outside"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        for file in [inside.join("a.tif"), outside.join("b.tif")] {
            std::fs::write(file, "x").unwrap();
        }
        let root = Root::of(inside.to_str().unwrap()).unwrap();
        let href = |path: PathBuf| path.to_str().unwrap().to_owned();
        assert!(Access::default().raster(&root, &href(inside.join("a.tif"))).is_ok());
        assert!(Access::default().raster(&root, &href(inside.join("missing.tif"))).is_err());
        assert!(Access::default().raster(&root, &href(inside.join("../outside/b.tif"))).is_err());
        assert!(Access::new([outside.clone()]).raster(&root, &href(outside.join("b.tif"))).is_ok());
        // A folder allows what catalogs may name, a file is allowed whatever it is.
        let (vrt, other) = (outside.join("c.vrt"), outside.join("d.vrt"));
        [&vrt, &other].into_iter().for_each(|file| std::fs::write(file, "x").unwrap());
        assert!(Access::new([outside.clone()]).raster(&root, &href(vrt.clone())).is_err());
        let named = Access::new([vrt.clone()]);
        assert!(named.names(&named.raster(&root, &href(vrt.clone())).unwrap()));
        assert!(named.raster(&root, &href(other)).is_err());
        assert!(named.raster(&remote(), &href(vrt)).is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outside.join("b.tif"), inside.join("link.tif")).unwrap();
            assert!(
                Access::default()
                    .raster(&root, &href(inside.join("link.tif")))
                    .unwrap_err()
                    .to_string()
                    .contains("outside")
            );
        }
    }
}
