//! Where links lead: absolute, relative to the file they stand in.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{CatalogError, Result};

/// Where a catalog lives: the folder of its first file, or the server it came from.
///
/// It decides what its hrefs may reach (see [`crate::Access`]). As text: `file:///folder/` or `https://host/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Root {
    /// A folder of this machine.
    Local(PathBuf),
    /// A server.
    Remote(String),
}

impl Root {
    /// The root of a catalog that is opened at this path or URL.
    ///
    /// # Errors
    /// A path that does not exist, or a scheme other than http and https.
    pub fn of(href: &str) -> Result<Self> {
        match remote(href) {
            Some(url) => {
                let url = url?;
                Ok(Self::Remote(format!("{}/", url.origin().ascii_serialization())))
            }
            None => {
                let path = local_path(href)?;
                let path = path.canonicalize().map_err(|source| CatalogError::Read { path: path.clone(), source })?;
                let folder = if path.is_dir() { path } else { path.parent().map(Path::to_path_buf).unwrap_or(path) };
                Ok(Self::Local(folder))
            }
        }
    }

    /// Whether the catalog lies on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }
}

impl fmt::Display for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(folder) => write!(formatter, "file://{}/", folder.display().to_string().trim_end_matches('/')),
            Self::Remote(origin) => formatter.write_str(origin),
        }
    }
}

impl FromStr for Root {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => {
                let trimmed = path.trim_end_matches('/');
                Ok(Self::Local(PathBuf::from(if trimmed.is_empty() { "/" } else { trimmed })))
            }
            _ if text.starts_with("https://") || text.starts_with("http://") => Ok(Self::Remote(text.to_owned())),
            _ => Err(CatalogError::href(text, "is no catalog root", "expected file:///folder/ or https://host/")),
        }
    }
}

impl TryFrom<String> for Root {
    type Error = CatalogError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Root> for String {
    fn from(root: Root) -> Self {
        root.to_string()
    }
}

/// The URL, where this is http or https; an error for any other scheme, `None` for a path.
pub(crate) fn remote(href: &str) -> Option<Result<Url>> {
    let scheme = href.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())?;
    match scheme.as_str() {
        "http" | "https" => Some(
            Url::parse(href)
                .map_err(|error| CatalogError::href(href, format!("is no URL: {error}"), "check its spelling")),
        ),
        "file" => None,
        _ => Some(Err(CatalogError::href(
            href,
            format!("has the scheme `{scheme}`"),
            "catalogs are read from files, http and https",
        ))),
    }
}

/// The path of a local href, absolute against the working folder, without `.` and `..`.
pub(crate) fn local_path(href: &str) -> Result<PathBuf> {
    let path = match href.get(..7) {
        Some(prefix) if prefix.eq_ignore_ascii_case("file://") => {
            Url::parse(href).ok().and_then(|url| url.to_file_path().ok()).ok_or_else(|| {
                CatalogError::href(href, "is no file URL of this machine", "expected file:///absolute/path")
            })?
        }
        _ => PathBuf::from(href),
    };
    let absolute = std::path::absolute(&path).map_err(|source| CatalogError::Read { path: path.clone(), source })?;
    Ok(tidy(&absolute))
}

/// Takes `.` and `..` out of an absolute path by its text alone; links are looked at when access is checked.
pub(crate) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The absolute href that `href` means in the document at `base` (a path or a URL).
///
/// A path stays a path and a URL stays a URL; `s3://` and other schemes pass through unchanged and are judged
/// by [`crate::Access`] when they are opened. An absolute path in a remote document is a path of its server.
pub(crate) fn absolute(base: &str, href: &str) -> Result<String> {
    if href.is_empty() {
        return Err(CatalogError::href(base, "holds an empty href", "every link and asset needs one"));
    }
    if has_scheme(href) {
        return Ok(href.to_owned());
    }
    if let Some(url) = remote(base) {
        let joined = url?.join(href).map_err(|error| {
            CatalogError::href(href, format!("cannot be joined to {base}: {error}"), "check its spelling")
        })?;
        return Ok(joined.into());
    }
    let base = local_path(base)?;
    // A query or fragment belongs to URLs; on disk `B04.tif?x=1` would be another file.
    let folder = base.parent().unwrap_or(&base);
    Ok(tidy(&folder.join(href)).to_string_lossy().into_owned())
}

/// `scheme:` at the front: letters, digits, `+`, `-`, `.`, at least two long so that no drive letter counts.
pub(crate) fn has_scheme(href: &str) -> bool {
    let Some((scheme, _)) = href.split_once(':') else { return false };
    scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_joined_as_their_document_means_them() {
        assert_eq!(absolute("/a/b/item.json", "./B04.tif").unwrap(), "/a/b/B04.tif");
        assert_eq!(absolute("/a/b/item.json", "../../../x.tif").unwrap(), "/x.tif");
        assert_eq!(absolute("https://h/a/b/item.json", "../c.tif?k=1").unwrap(), "https://h/a/c.tif?k=1");
        assert_eq!(absolute("https://h/a/item.json", "/etc/passwd").unwrap(), "https://h/etc/passwd");
        assert_eq!(absolute("/a/item.json", "s3://bucket/key.tif").unwrap(), "s3://bucket/key.tif");
        assert!(absolute("/a/item.json", "").is_err());
    }

    #[test]
    fn roots_survive_their_text() {
        for root in [Root::Local("/a/b".into()), Root::Local("/".into()), Root::Remote("https://host:8080/".into())] {
            assert_eq!(root.to_string().parse::<Root>().unwrap(), root);
        }
        assert!("ftp://x".parse::<Root>().is_err());
        assert_eq!(Root::of("https://user:secret@host/v1/search").unwrap().to_string(), "https://host/");
    }
}
