//! Labels that are objects: outlines with a class, from vector layers, COCO JSON and DOTA text.
//!
//! A vector layer says by itself where it lies. COCO and DOTA tell pixels of an image, by the name of its file: the item
//! with that file says where the image lies.

mod coco;
mod dota;
mod images;
mod placed;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use skysense_abi::Fault;
use skysense_catalog::{Access, Item, Location};
use skysense_contract::Class;
use skysense_edges::ItemRow;
use skysense_grid::Crs;

use super::labels::COLORS;
use crate::chips::item;
use crate::errors;
use images::{Images, Named};
pub(super) use placed::Placed;
pub(crate) use placed::in_chip;

/// An object as its file tells it.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    /// Name of the image that its points are pixels of.
    image: String,
    ring: Vec<[f64; 2]>,
    class: String,
    ignored: bool,
}

/// How a file tells objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Format {
    Vector,
    Coco,
    Dota,
}

/// A file of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectSource {
    pub(crate) item: String,
    path: PathBuf,
    format: Format,
    /// Grids of the images that its pixels are of, by the name that it gives them.
    images: BTreeMap<String, skysense_grid::GeoBox>,
}

/// Endings of files of objects.
const ENDINGS: [(&str, Format); 7] = [
    ("geojson", Format::Vector),
    ("fgb", Format::Vector),
    ("gpkg", Format::Vector),
    ("shp", Format::Vector),
    ("parquet", Format::Vector),
    ("json", Format::Coco),
    ("txt", Format::Dota),
];

/// How a file tells objects, by its ending.
fn format(href: &str) -> Option<Format> {
    let name = href.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(&format!(".{ending}"))).map(|(_, format)| *format)
}

/// Whether a file is a vector layer, by its ending.
pub(super) fn is_layer(href: &str) -> bool {
    format(href) == Some(Format::Vector)
}

/// The files of objects of label items; `images` are the items that COCO and DOTA name.
///
/// # Errors
/// Items without such a file, files that cannot be read, images that no item has: every fault.
pub(crate) fn object_sources(
    rows: &[ItemRow],
    asset: Option<&str>,
    images: &[ItemRow],
    access: &Access,
) -> Result<Vec<ObjectSource>, Vec<Fault>> {
    let mut sources = Vec::new();
    let mut faults = Vec::new();
    let readable =
        |row: &ItemRow| item(row).map_err(|reason| Fault::new("", "label.item", format!("item {}: {reason}", row.id)));
    let images: Images = match images.iter().map(readable).collect::<Result<Vec<Item>, Fault>>() {
        Ok(images) => Images::new(&images, access),
        Err(fault) => return Err(Fault::into(fault)),
    };
    for row in rows {
        match readable(row).and_then(|item| source(&item, asset, &images, access)) {
            Ok(source) => sources.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    if sources.is_empty() && faults.is_empty() {
        faults.push(
            Fault::new("", "label.none", "the port `labels` gives no items")
                .hint("search the collection that holds the objects"),
        );
    }
    if faults.is_empty() { Ok(sources) } else { Err(faults) }
}

fn source(item: &Item, wanted: Option<&str>, images: &Images, access: &Access) -> Result<ObjectSource, Fault> {
    let assets = item.assets();
    let keys: Vec<&str> = assets.iter().map(|asset| asset.key.as_str()).collect();
    let fault = |message: String| {
        Fault::new("/label_asset", "label.asset", message)
            .hint("name an asset that is GeoJSON, FlatGeobuf, GeoPackage, COCO JSON or DOTA text with `label_asset`")
    };
    let found = match wanted {
        Some(key) => assets.iter().find(|asset| asset.key == key),
        None => {
            let labelled = |asset: &&skysense_catalog::Asset| asset.roles.iter().any(|role| role.starts_with("label"));
            let ours = |asset: &&skysense_catalog::Asset| format(&asset.href).is_some();
            assets.iter().filter(labelled).find(ours).or_else(|| assets.iter().find(ours))
        }
    };
    let asset = found.ok_or_else(|| {
        fault(format!("item {} has no file of objects; its assets are {}", item.id(), keys.join(", ")))
    })?;
    let kind = format(&asset.href)
        .ok_or_else(|| fault(format!("item {}, asset {}: no known kind of objects", item.id(), asset.key)))?;
    let path = match access.locate(item.root(), &asset.href) {
        Ok(Location::File(path)) => path,
        Ok(_) => return Err(fault(format!("item {}, asset {}: it is not on this machine", item.id(), asset.key))),
        Err(error) => {
            let fault = errors::catalog_fault("/label_asset", &error);
            return Err(Fault { code: "label.href".into(), ..fault });
        }
    };
    let mut source = ObjectSource { item: item.id().into(), path, format: kind, images: BTreeMap::new() };
    let told = source.told().map_err(|message| Fault::new("/label_asset", "label.objects", message))?;
    let named = if kind == Format::Dota { Named::Stem } else { Named::File };
    for object in &told {
        if !source.images.contains_key(&object.image) {
            let geobox = images
                .grid(&object.image, named)
                .map_err(|fault| Fault { message: format!("item {}: {}", item.id(), fault.message), ..fault })?;
            source.images.insert(object.image.clone(), geobox);
        }
    }
    Ok(source)
}

impl ObjectSource {
    /// Objects in pixels; none of a vector layer.
    fn told(&self) -> Result<Vec<Told>, String> {
        let shown = || skysense_address::redact(&self.path.display().to_string());
        let text = || std::fs::read_to_string(&self.path).map_err(|error| format!("{}: {error}", shown()));
        let told = match self.format {
            Format::Vector => Ok(Vec::new()),
            Format::Coco => coco::read(&text()?),
            Format::Dota => {
                let image = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                dota::read(&text()?, &image)
            }
        };
        told.map_err(|error| format!("{}: {error}", shown()))
    }

    /// All its objects on a reference system; `field` of a vector layer names the class.
    ///
    /// # Errors
    /// A file that cannot be read, an object without a class.
    pub(crate) fn read(&self, field: &str, target: &Crs) -> Result<Vec<Placed>, String> {
        if self.format == Format::Vector {
            let found =
                skysense_raster::outlines(&self.path, Some(field), target).map_err(|error| error.to_string())?;
            let placed = found.into_iter().enumerate().map(|(at, outline)| match outline.value {
                Some(class) => Ok(Placed::new(outline.ring, class, false)),
                None => Err(format!("{}: feature {at} has no {field}", self.item)),
            });
            return placed.collect();
        }
        let mut placed = Vec::new();
        for object in self.told()? {
            let Some(geobox) = self.images.get(&object.image) else {
                return Err(format!("{} names the image {}, which the plan does not know", self.item, object.image));
            };
            let mut ring = Vec::with_capacity(object.ring.len());
            for [column, row] in object.ring {
                let (x, y) = geobox.transform.apply(column, row);
                let (x, y) =
                    skysense_raster::transform_point(&geobox.crs, (x, y), target).map_err(|error| error.to_string())?;
                ring.push([x, y]);
            }
            placed.push(Placed::new(ring, object.class, object.ignored));
        }
        Ok(placed)
    }
}

/// The classes of objects: those that are asked for, in their order, else all that there are by name.
///
/// # Errors
/// No class, or more than a map can name.
pub(crate) fn object_classes(placed: &[Placed], wanted: &[String]) -> Result<Vec<Class>, Fault> {
    let mut names: Vec<&str> = match wanted {
        [] => placed.iter().map(|object| object.class.as_str()).collect(),
        _ => wanted.iter().map(String::as_str).collect(),
    };
    if wanted.is_empty() {
        names.sort_unstable();
        names.dedup();
    }
    if names.is_empty() || names.len() > 254 {
        let message = format!("the labels have {} classes of objects, expected 1 to 254", names.len());
        return Err(Fault::new("/objects", "label.classes", message).hint("name them with `objects: {classes: […]}`"));
    }
    let class = |(place, name): (usize, &&str)| Class {
        value: place as u8 + 1,
        name: (*name).to_owned(),
        color: COLORS[place % COLORS.len()].to_owned(),
    };
    Ok(names.iter().enumerate().map(class).collect())
}
