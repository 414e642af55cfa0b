//! The images that files of objects name.

use std::collections::BTreeMap;

use skysense_abi::Fault;
use skysense_catalog::{Access, Asset, Item, Location};
use skysense_grid::GeoBox;
use skysense_raster::Source;

use crate::errors;

/// A raster of an item.
struct Raster {
    item: String,
    /// What a reader opens; an image without a grid of its own has the one that its item claims.
    source: Source,
    /// Its path, for comparison.
    path: String,
    /// Whether the item has no other raster.
    only: bool,
}

/// The rasters that an image may be.
pub(super) struct Images {
    rasters: Vec<Raster>,
    items: usize,
}

/// How a file of objects names its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// By the name of a file, as a rule with its ending.
    File,
    /// By the name of a file without its ending.
    Stem,
}

impl Images {
    pub(super) fn new(items: &[Item], access: &Access) -> Self {
        let of = |item: &Item| {
            let assets = item.assets();
            let placed = |asset: Asset| Some((access.raster(item.root(), &asset.href).ok()?, asset));
            let found: Vec<_> = assets.into_iter().filter_map(placed).collect();
            let (item, only) = (item.id().to_owned(), found.len() == 1);
            let raster = move |(location, asset): (Location, Asset)| {
                let href = location.raster_href();
                let path = match &location {
                    Location::Http(url) => url.path().to_owned(),
                    _ => href.replace('\\', "/"),
                };
                let source = Source::new(&item, href)
                    .with_claimed(asset.claimed)
                    .in_any_format(access.names(&location))
                    .with_subdataset(asset.subdataset);
                Raster { item: item.clone(), source, path, only }
            };
            found.into_iter().map(raster).collect::<Vec<_>>()
        };
        Self { rasters: items.iter().flat_map(of).collect(), items: items.len() }
    }

    /// The grid of an image: of the raster whose path ends in its name; else whose path does without its ending; else of the
    /// only raster of the item with that id. The closest way that finds one decides, over all items.
    ///
    /// # Errors
    /// No such raster, several, or one that cannot be read or has no grid of its own.
    pub(super) fn grid(&self, name: &str, named: Named) -> Result<GeoBox, Fault> {
        let raster = self.find(name.trim_start_matches("./"), named)?;
        let header = skysense_raster::header(&raster.source)
            .map_err(|error| Fault { code: CODE.into(), ..Fault::from(errors::raster(&error)) })?;
        let lacking = || {
            fault(format!("image {name} has no grid of its own")).hint("give it a reference system and a geotransform")
        };
        header.geobox().cloned().ok_or_else(lacking)
    }

    fn find(&self, name: &str, named: Named) -> Result<&Raster, Fault> {
        let ends = |path: &str, name: &str| path == name || path.ends_with(&format!("/{name}"));
        let whole = |raster: &Raster| ends(&raster.path, name);
        let stem = |raster: &Raster| ends(bare(&raster.path), name);
        let stems = |raster: &Raster| ends(bare(&raster.path), bare(name));
        let id = |raster: &Raster| raster.only && raster.item == name;
        let bare_id = |raster: &Raster| raster.only && raster.item == bare(name);
        // A point in a name without an ending belongs to the name.
        let ways: &[&dyn Fn(&Raster) -> bool] = match named {
            Named::File => &[&whole, &stem, &stems, &id, &bare_id],
            Named::Stem => &[&stem, &id],
        };
        for way in ways {
            let found: BTreeMap<&str, &Raster> = self
                .rasters
                .iter()
                .filter(|raster| way(raster))
                .map(|raster| (raster.source.href.as_str(), raster))
                .collect();
            match found.values().collect::<Vec<_>>()[..] {
                [] => {}
                [only] => return Ok(only),
                _ => {
                    let shown: Vec<String> = found.keys().map(|href| skysense_address::redact(href)).collect();
                    let message = format!("it names the image {name}, which may be any of {}", shown.join(", "));
                    return Err(fault(message).hint(
                        "name it with folders in front and its ending, or give `images` the items of one of them",
                    ));
                }
            }
        }
        let message = format!("it names the image {name}, which none of {} items has", self.items);
        Err(fault(message).hint("connect the items of the images to the port `images`"))
    }
}

const CODE: &str = "label.image";

fn fault(message: String) -> Fault {
    Fault::new("", CODE, message)
}

/// A path without its ending; a point in a folder's name is none of an ending.
fn bare(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('/') => stem,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(all: &[(&str, &str)]) -> Images {
        let only = |item: &str| all.iter().filter(|(other, _)| *other == item).count() == 1;
        let raster = |(item, href): &(&str, &str)| Raster {
            item: (*item).into(),
            source: Source::new(*item, *href),
            path: (*href).into(),
            only: only(item),
        };
        Images { rasters: all.iter().map(raster).collect(), items: all.len() }
    }

    #[test]
    fn the_closest_way_over_all_items_decides() {
        let all = images(&[
            ("one", "/d/train/P0001.png"),
            ("two", "/d/train/P0001.tif"),
            ("three", "/d/train/P0002.v2.tif"),
            ("P0003", "/d/other.tif"),
            ("four", "/d.x/P0004"),
        ]);
        let found = |name: &str, named| {
            all.find(name, named).map(|raster| raster.source.href.as_str()).map_err(|fault| fault.message)
        };
        // With its ending there is one, whatever item comes first; without, one of two.
        assert_eq!(found("P0001.tif", Named::File), Ok("/d/train/P0001.tif"));
        let several = found("P0001", Named::Stem).unwrap_err();
        assert!(several.contains("/d/train/P0001.png, /d/train/P0001.tif"), "{several}");
        assert!(found("P0001.jpg", Named::File).unwrap_err().contains("may be any of"));
        // A point that is no ending stays.
        assert_eq!(found("P0002.v2", Named::Stem), Ok("/d/train/P0002.v2.tif"));
        assert_eq!(found("P0002.v2.jpg", Named::File), Ok("/d/train/P0002.v2.tif"));
        assert!(found("P0002", Named::Stem).unwrap_err().contains("which none of 5 items has"));
        assert!(found("P0001.v2", Named::Stem).is_err());
        assert_eq!(found("P0003", Named::Stem), Ok("/d/other.tif"));
        assert_eq!(found("P0004.png", Named::File), Ok("/d.x/P0004"));
    }

    #[test]
    fn folders_in_front_tell_copies_of_a_name_apart() {
        let all = images(&[("one", "/d/a/b.tif"), ("two", "/d/c/b.tif"), ("again", "/d/c/b.tif")]);
        assert_eq!(all.find("c/b.tif", Named::File).unwrap().source.href, "/d/c/b.tif");
        assert!(all.find("b.tif", Named::File).is_err());
    }
}
