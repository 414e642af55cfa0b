//! Opening what a catalog names: within what access allows, and signed just before.

use skysense_abi::NodeError;
use skysense_address::redact;
use skysense_catalog::{Access, RasterSource};
use skysense_raster::{RasterError, Source};

use crate::errors;
use crate::signing::Signing;

/// Opens the sources of a catalog. What it signs leaves it only for the time of a read.
pub(crate) struct Opener {
    access: Access,
    signing: Signing,
}

impl Opener {
    pub(crate) fn new(access: Access) -> Self {
        Self { access, signing: Signing::default() }
    }

    /// Runs `read` on a source.
    ///
    /// # Errors
    /// An href that the catalog may not reach, and as [`Signing::read`].
    pub(crate) fn open<T>(
        &self,
        source: &RasterSource,
        read: impl Fn(&Source) -> Result<T, RasterError>,
    ) -> Result<T, NodeError> {
        let plain = self.located(source)?;
        self.signing.read(&source.root, &plain, read).map_err(|error| place(error, source))
    }

    /// The source at the first of its places that the catalog may reach.
    fn located(&self, source: &RasterSource) -> Result<Source, NodeError> {
        let mut first_error = None;
        for href in std::iter::once(&source.href).chain(&source.alternates) {
            match self.access.raster(&source.root, href) {
                Ok(location) => {
                    let name = format!("item {}, asset {}", source.item, source.asset);
                    return Ok(Source::new(name, location.raster_href())
                        .with_band(source.band_index)
                        .with_nodata(source.nodata)
                        .with_claimed(source.claimed.clone())
                        .in_any_format(self.access.names(&location))
                        .with_subdataset(source.subdataset.clone()));
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let error = match first_error {
            Some(error) => errors::catalog(&error),
            None => NodeError::new("asset.href", "the asset has no href"),
        };
        Err(error.at("item", &source.item).at("asset", &source.asset))
    }
}

/// An error of a source, with its item and asset.
fn place(error: NodeError, source: &RasterSource) -> NodeError {
    error.at("item", &source.item).at("asset", &source.asset).at("href", redact(&source.href))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use skysense_catalog::{Georeference, Radiometry, Role, Root, Signer};
    use skysense_grid::{Affine, Crs, GeoBox, Window};
    use skysense_raster::{BandSpec, CogSpec, CogWriter, DType, Pixels, Resampling, header, read};

    use super::*;

    /// A store whose files open with the newest token alone, and the service that issues them.
    #[derive(Default)]
    struct Store {
        file: Vec<u8>,
        /// Tokens that were issued.
        issued: Mutex<usize>,
        /// The number of the only token that is good; none is where there is no such token.
        good: Mutex<usize>,
        refusals: Mutex<usize>,
    }

    impl Store {
        fn start(file: Vec<u8>) -> (Arc<Self>, String) {
            let store = Arc::new(Self { file, ..Self::default() });
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let host = listener.local_addr().unwrap().to_string();
            let serving = Arc::clone(&store);
            std::thread::spawn(move || {
                listener.incoming().map_while(Result::ok).for_each(|stream| serving.answer(&stream));
            });
            (store, host)
        }

        fn answer(&self, mut stream: &TcpStream) {
            let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let lines: Vec<String> = lines.map(|line| line.to_ascii_lowercase()).collect();
            let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else { return };
            let range = lines.iter().find_map(|line| line.strip_prefix("range: bytes="));
            let (status, more, body) = if path.starts_with("/token/") {
                let mut issued = self.issued.lock().unwrap();
                let token = format!(r#"{{"token": "se=1&sig=secret{issued}", "msft:expiry": "2999-01-01T00:00:00Z"}}"#);
                *issued += 1;
                ("200 OK", String::new(), token.into_bytes())
            } else if !path.ends_with(&format!("sig=secret{}", self.good.lock().unwrap())) {
                *self.refusals.lock().unwrap() += 1;
                ("403 Forbidden", String::new(), b"expired".to_vec())
            } else if let Some((from, to)) = range.and_then(|range| range.split_once('-')) {
                let (from, last) = (from.parse::<usize>().unwrap(), self.file.len() - 1);
                let to = to.parse().unwrap_or(last).min(last);
                let more = format!("content-range: bytes {from}-{to}/{}\r\n", self.file.len());
                ("206 Partial Content", more, self.file[from..=to].to_vec())
            } else {
                ("200 OK", "accept-ranges: bytes\r\n".into(), self.file.clone())
            };
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n", body.len());
            let body = if lines[0].starts_with("head") { &[] } else { body.as_slice() };
            let _client_may_be_gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    }

    fn geobox() -> GeoBox {
        GeoBox::new(Crs::epsg(32633), Affine::north_up(500_000.0, 5_000_000.0, 10.0), 1200, 1200).unwrap()
    }

    /// A file of several blocks that do not fit into one answer.
    fn cog(folder: &Path) -> Vec<u8> {
        let path = folder.join("a.tif");
        let spec = CogSpec::values(geobox(), DType::UInt16, vec![BandSpec::named("B04")], None);
        let mut writer = CogWriter::create(&path, spec).unwrap();
        let value = |at: usize| {
            let z = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as u16
        };
        writer.write_rows(0, &(0..1200 * 1200).map(value).collect::<Vec<u16>>()).unwrap();
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    fn source(host: &str, name: &str) -> RasterSource {
        RasterSource {
            item: "S2A".into(),
            asset: "B04".into(),
            band: "B04".into(),
            role: Role::Data,
            href: format!("http://{host}/scenes/{name}.tif"),
            alternates: Vec::new(),
            band_index: 1,
            subdataset: None,
            band_count: 1,
            claimed: None,
            georeference: Georeference::Affine,
            dtype: None,
            nodata: None,
            resolution: None,
            radiometry: Radiometry::Display,
            root: Root::Remote(format!("http://{host}/")),
        }
    }

    fn opener(host: &str) -> Opener {
        let signer = Signer::at(&format!("http://{host}/token")).also_for(host);
        Opener { access: Access::default(), signing: Signing::by(signer) }
    }

    fn window(opener: &Opener, source: &RasterSource, x: i64) -> Result<Pixels, NodeError> {
        let dst = geobox().window(&Window { x, y: x, width: 64, height: 64 }).unwrap();
        opener.open(source, |opened| read(opened, &header(opened)?, &dst, Resampling::Nearest))
    }

    #[test]
    fn a_token_that_ends_while_files_are_open_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (store, host) = Store::start(cog(folder.path()));
        let (opener, source) = (opener(&host), source(&host, "a"));
        let first = window(&opener, &source, 0).unwrap();
        assert_eq!((first.values[0], first.valid_share()), (0.0, 1.0));
        assert_eq!(*store.issued.lock().unwrap(), 1);
        // The file is open, its last block was not read yet, and its token ends.
        *store.good.lock().unwrap() = 1;
        let second = window(&opener, &source, 1100).unwrap();
        assert_eq!(second.valid_share(), 1.0);
        assert!(*store.refusals.lock().unwrap() > 0, "the old token was tried");
        assert_eq!(*store.issued.lock().unwrap(), 2);
        // A token that is good serves all files of its container.
        window(&opener, &super::tests::source(&host, "b"), 600).unwrap();
        assert_eq!(*store.issued.lock().unwrap(), 2);
    }

    #[test]
    fn a_store_that_refuses_is_asked_twice_and_no_signature_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (store, host) = Store::start(cog(folder.path()));
        *store.good.lock().unwrap() = usize::MAX;
        let error = window(&opener(&host), &source(&host, "c"), 0).unwrap_err();
        assert_eq!(*store.issued.lock().unwrap(), 2);
        let told = format!("{error} {error:?}");
        assert!(told.contains("S2A") && told.contains("/scenes/c.tif") && told.contains("403"), "{told}");
        assert!(!told.contains("secret"), "{told}");
        // Other servers than those that need a signature are not asked for one.
        let plain =
            Opener { access: Access::default(), signing: Signing::by(Signer::at(&format!("http://{host}/token"))) };
        assert!(!format!("{:?}", window(&plain, &source(&host, "d"), 0).unwrap_err()).contains("secret"));
        assert_eq!(*store.issued.lock().unwrap(), 2);
    }
}
