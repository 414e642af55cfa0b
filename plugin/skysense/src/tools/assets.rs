//! Rasters that tools are pointed at: a file, or an asset of an item behind any STAC link.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_abi::{Host, NodeError};
use skysense_catalog::{Access, Bbox, Item, Root, SearchRequest, search};
use skysense_raster::{Header, RasterError, Source, header};

use crate::errors;
use crate::settings;
use crate::signing::Signing;

/// Where a raster is: the path of a file, or a STAC link with an asset.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Place {
    /// Path of a raster, or path or URL of a STAC item, collection or catalog.
    pub(crate) href: String,
    /// Collection to look in.
    pub(crate) collection: Option<String>,
    /// Item to take; else the least cloudy one is taken, and of those the latest.
    pub(crate) id: Option<String>,
    /// `[west, south, east, north]` in degrees that the item must touch.
    pub(crate) bbox: Option<[f64; 4]>,
    /// Datetime or interval that the item must lie in.
    pub(crate) datetime: Option<String>,
    /// Keys of the assets, one for each band to read; left out, the first raster with role `labels`, else `data`.
    pub(crate) assets: Vec<String>,
    /// Bands of the file, counted from 1; left out, all.
    pub(crate) bands: Vec<usize>,
}

/// A raster that was found: its bands, and the item it belongs to.
pub(crate) struct Found {
    pub(crate) item: Option<Item>,
    /// Key of the first asset.
    pub(crate) asset: Option<String>,
    /// One for each band.
    pub(crate) sources: Vec<Source>,
    /// Where its catalog lives, or the file itself.
    root: Root,
}

impl Place {
    /// Finds the raster; paths are relative to the host's folder.
    pub(crate) fn find(&self, host: &Host) -> Result<Found, NodeError> {
        let href = settings::href(&host.about().base, &self.href);
        let lower = href.to_ascii_lowercase();
        if lower.ends_with(".tif") || lower.ends_with(".tiff") {
            let root = Root::of(&href).map_err(|error| errors::catalog(&error))?;
            let sources = self.all_bands(&root, Source::new(&self.href, href))?;
            return Ok(Found { item: None, asset: None, sources, root });
        }
        let mut request = SearchRequest::new(href);
        request.collections.extend(self.collection.clone());
        request.ids.extend(self.id.clone());
        request.datetime.clone_from(&self.datetime);
        request.bbox = self.bbox.map(Bbox);
        let outcome = search(&request, &|| host.cancelled()).map_err(|error| errors::catalog(&error))?;
        let cloud = |item: &Item| item.cloud_cover().unwrap_or(0.0);
        let item =
            outcome.items.into_iter().reduce(|best, next| if cloud(&next) <= cloud(&best) { next } else { best });
        let Some(item) = item else {
            let message = format!(
                "no item in {}{}",
                self.href,
                self.collection.as_ref().map(|id| format!(", collection {id}")).unwrap_or_default()
            );
            return Err(NodeError::new("search.empty", message).hint("check href, collection, id, bbox and datetime"));
        };
        self.of_item(item)
    }

    fn of_item(&self, item: Item) -> Result<Found, NodeError> {
        let assets = item.assets();
        let known = || assets.iter().map(|asset| asset.key.as_str()).collect::<Vec<_>>().join(", ");
        let missing = |what: String| {
            NodeError::new("asset.missing", format!("item {} has no {what}", item.id()))
                .hint(format!("it has {}", known()))
                .at("item", item.id())
        };
        let is_raster = |asset: &&skysense_catalog::Asset| {
            asset.media_type.as_deref().is_some_and(|kind| kind.starts_with("image/tiff"))
                || asset.href.ends_with(".tif")
        };
        let keys: Vec<String> = if self.assets.is_empty() {
            let with =
                |role: &str| assets.iter().filter(is_raster).find(|asset| asset.roles.iter().any(|own| own == role));
            vec![
                with("labels")
                    .or_else(|| with("data"))
                    .or_else(|| assets.iter().find(is_raster))
                    .ok_or_else(|| missing("raster asset".into()))?
                    .key
                    .clone(),
            ]
        } else {
            self.assets.clone()
        };
        let mut sources = Vec::new();
        for key in &keys {
            let asset = assets.iter().find(|asset| asset.key == *key).ok_or_else(|| missing(format!("asset {key}")))?;
            // The tool was pointed at this item by its user, yet its hrefs reach no further than a workflow's would.
            let href = Access::default()
                .raster(item.root(), &asset.href)
                .map_err(|error| errors::catalog(&error).at("asset", key))?
                .raster_href();
            let nodata = asset.bands.first().and_then(|band| band.nodata);
            let source = Source::new(format!("item {}, asset {key}", item.id()), href)
                .with_nodata(nodata)
                .with_claimed(asset.claimed.clone());
            if keys.len() == 1 { sources.extend(self.all_bands(item.root(), source)?) } else { sources.push(source) }
        }
        let root = item.root().clone();
        Ok(Found { asset: keys.into_iter().next(), item: Some(item), sources, root })
    }

    fn all_bands(&self, root: &Root, source: Source) -> Result<Vec<Source>, NodeError> {
        let bands = if self.bands.is_empty() {
            let header = Signing::default().read(root, &source, header)?;
            (1..=header.bands).collect()
        } else {
            self.bands.clone()
        };
        Ok(bands.into_iter().map(|band| source.clone().with_band(band)).collect())
    }
}

impl Found {
    /// The header of the first band.
    pub(crate) fn header(&self) -> Result<Header, NodeError> {
        self.read(self.first()?, header)
    }

    /// The first band.
    pub(crate) fn first(&self) -> Result<&Source, NodeError> {
        self.sources.first().ok_or_else(|| NodeError::new("raster.invalid", "no band was asked for"))
    }

    /// Runs `read` on a band.
    pub(crate) fn read<T>(
        &self,
        band: &Source,
        read: impl Fn(&Source) -> Result<T, RasterError>,
    ) -> Result<T, NodeError> {
        Signing::default().read(&self.root, band, read)
    }

    /// The classes that the item names for the raster: value, name, and colour where it has one.
    pub(crate) fn classes(&self) -> Vec<(u8, String, Option<[u8; 3]>)> {
        let listed = self.item.as_ref().zip(self.asset.as_ref()).and_then(|(item, key)| {
            let asset = item.value().get("assets")?.get(key)?;
            let inside = |name: &str| {
                asset.get(name).and_then(Value::as_array).and_then(|bands| bands.first()?.get("classification:classes"))
            };
            asset
                .get("classification:classes")
                .or_else(|| inside("bands"))
                .or_else(|| inside("raster:bands"))?
                .as_array()
        });
        listed
            .into_iter()
            .flatten()
            .filter_map(|class| {
                let value = u8::try_from(class.get("value")?.as_u64()?).ok()?;
                let name =
                    class.get("name").or_else(|| class.get("title")).and_then(Value::as_str).unwrap_or("unnamed");
                let color = class.get("color_hint").or_else(|| class.get("color-hint")).and_then(Value::as_str);
                Some((value, name.to_owned(), color.and_then(rgb)))
            })
            .collect()
    }
}

/// The colour `rrggbb`, with or without `#`.
pub(crate) fn rgb(text: &str) -> Option<[u8; 3]> {
    let text = text.trim_start_matches('#');
    let [_, red, green, blue] = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6)?.to_be_bytes();
    Some([red, green, blue])
}
