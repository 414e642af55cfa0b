//! The catalog that is written: into a hidden folder beside its place, then renamed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};
use skysense_grid::GeoBox;

use crate::error::{LayoutError, Result, content, io};
use crate::item::{Image, classes_asset, item};
use crate::labels::Source;
use crate::pixels::probe;
use crate::shelves::Shelves;

/// What was adopted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Adopted {
    /// The catalog.
    pub catalog: PathBuf,
    /// Items by collection.
    pub collections: BTreeMap<String, usize>,
    /// Items of images and series by split, where it is known.
    pub splits: BTreeMap<String, usize>,
    /// The sensor of each collection of images: `sensors` of `stac.search` and `raster.chips`.
    pub sensors: BTreeMap<String, String>,
    /// `allow_paths` of `stac.search`: where the images lie that were not copied.
    pub allow_paths: Vec<PathBuf>,
    /// Side of the chips of which each holds one image, in pixels of the 10 m grid, where images have one side.
    pub chip_size: Option<usize>,
    /// Samples of the lists of which a part is missing, by what is missing: they are not in the catalog.
    pub left_out: BTreeMap<String, Vec<String>>,
    /// What else the user should know of the copy: lists that are not there, how many samples were left out.
    pub notes: Vec<String>,
}

/// The catalog as it grows; what is unfinished is removed again.
pub(crate) struct Catalog<'a> {
    target: PathBuf,
    partial: PathBuf,
    finished: bool,
    shelves: Shelves,
    side: Option<usize>,
    collections: BTreeMap<String, Vec<String>>,
    splits: BTreeMap<String, usize>,
    sensors: BTreeMap<String, String>,
    left_out: BTreeMap<String, Vec<String>>,
    notes: Vec<String>,
    /// Hears how many items there are; `false` ends it.
    tell: &'a mut dyn FnMut(usize) -> bool,
    items: usize,
}

impl<'a> Catalog<'a> {
    /// Begins a catalog at a place that is not there or empty.
    pub(crate) fn begin(target: &Path, side: Option<usize>, tell: &'a mut dyn FnMut(usize) -> bool) -> Result<Self> {
        if target.is_file() || fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(LayoutError::Exists(target.to_owned()));
        }
        let target = std::path::absolute(target).map_err(io(target))?;
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let partial = target.with_file_name(format!(".{name}.partial-{}", std::process::id()));
        fs::create_dir_all(&partial).map_err(io(&partial))?;
        Ok(Self {
            target,
            partial,
            finished: false,
            shelves: Shelves::new(side),
            side,
            collections: BTreeMap::new(),
            splits: BTreeMap::new(),
            sensors: BTreeMap::new(),
            left_out: BTreeMap::new(),
            notes: Vec::new(),
            tell,
            items: 0,
        })
    }

    /// Says which sensor the images of a collection are of.
    pub(crate) fn sensor(&mut self, collection: &str, sensor: &str) {
        self.sensors.insert(collection.into(), sensor.into());
    }

    /// Says that a sample of the lists is not taken, and what of it is missing.
    pub(crate) fn leave_out(&mut self, sample: &str, missing: &str) {
        self.left_out.entry(missing.into()).or_default().push(sample.into());
    }

    /// Says what the user should know.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Where an image lies: as it says, else on a place of its own, which is told. It must have so many bands at least.
    pub(crate) fn placed(&mut self, path: &Path, bands: usize, metres: f64) -> Result<(GeoBox, bool)> {
        let found = probe(path)?;
        if found.bands < bands {
            return Err(content(path, format!("{bands} bands"), format!("{}", found.bands)));
        }
        match found.geobox {
            Some(geobox) => Ok((geobox, false)),
            None => Ok((self.place([found.width, found.height], metres)?, true)),
        }
    }

    /// A made-up place.
    pub(crate) fn place(&mut self, size: [usize; 2], metres: f64) -> Result<GeoBox> {
        self.shelves.place(size, metres)
    }

    /// The path of a file that is written beside an item.
    pub(crate) fn beside(&self, collection: &str, id: &str, name: &str) -> Result<PathBuf> {
        let folder = self.partial.join(collection).join(id);
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        Ok(folder.join(name))
    }

    /// Writes the item of an image. Files that were written beside it are named from there.
    pub(crate) fn image(&mut self, collection: &str, image: &Image) -> Result<()> {
        if let Some(split) = image.properties.get("split").and_then(Value::as_str) {
            *self.splits.entry(split.into()).or_default() += 1;
        }
        let mut value = image.json(collection)?;
        let own = self.partial.join(collection).join(&image.id);
        for (_, asset) in value["assets"].as_object_mut().into_iter().flatten() {
            let below = asset["href"].as_str().map(Path::new).and_then(|path| path.strip_prefix(&own).ok());
            if let Some(below) = below {
                let relative = json!(format!("./{}", below.display()));
                asset["href"] = relative;
            }
        }
        self.write(collection, &image.id, &value)
    }

    /// Writes a class raster and its item.
    pub(crate) fn labels(
        &mut self,
        (collection, id, datetime): (&str, &str, &str),
        source: &Source<'_>,
        (classes, geobox): (&[String], &GeoBox),
        properties: Map<String, Value>,
    ) -> Result<()> {
        let geobox = source.write(&self.beside(collection, id, "labels.tif")?, classes, geobox)?;
        let assets = Map::from_iter([("labels".to_owned(), classes_asset("./labels.tif", classes, &geobox))]);
        let value = item(id, collection, datetime, Some(&geobox), (properties, assets))?;
        self.write(collection, id, &value)
    }

    /// Writes a text of objects and its item.
    pub(crate) fn objects(
        &mut self,
        (collection, id, datetime): (&str, &str, &str),
        text: &str,
        geobox: &GeoBox,
        properties: Map<String, Value>,
    ) -> Result<()> {
        // Named like the image: so its pixels are found.
        let name = format!("{id}.txt");
        let path = self.beside(collection, id, &name)?;
        fs::write(&path, text).map_err(io(&path))?;
        let asset = json!({"href": format!("./{name}"), "type": "text/plain", "roles": ["labels"]});
        let assets = Map::from_iter([("objects".to_owned(), asset)]);
        let value = item(id, collection, datetime, Some(geobox), (properties, assets))?;
        self.write(collection, id, &value)
    }

    fn write(&mut self, collection: &str, id: &str, value: &Value) -> Result<()> {
        let path = self.beside(collection, id, &format!("{id}.json"))?;
        if path.exists() {
            return Err(content(&path, "each item once", format!("two items {id} in {collection}")));
        }
        write(&path, value)?;
        self.collections.entry(collection.into()).or_default().push(id.into());
        self.items += 1;
        match (self.tell)(self.items) {
            true => Ok(()),
            false => Err(LayoutError::Cancelled { items: self.items }),
        }
    }

    /// Writes collections and catalog, and moves everything to its place.
    pub(crate) fn finish(mut self, name: &str, title: &str, images: &Path) -> Result<Adopted> {
        let left: Vec<String> =
            self.left_out.iter().map(|(missing, samples)| format!("{} for {missing}", samples.len())).collect();
        if self.items == 0 {
            let found = if left.is_empty() { "none".into() } else { format!("samples left out: {}", left.join("; ")) };
            return Err(content(images, "at least one sample with all its parts", found));
        }
        if !left.is_empty() {
            self.notes.push(format!("samples of which a part is missing were left out: {}", left.join("; ")));
        }
        let link = |rel: &str, href: String| json!({"rel": rel, "href": href, "type": "application/json"});
        for (collection, ids) in &self.collections {
            let mut links = vec![link("root", "../catalog.json".into()), link("parent", "../catalog.json".into())];
            links.extend(ids.iter().map(|id| link("item", format!("./{id}/{id}.json"))));
            let value = json!({
                "type": "Collection", "stac_version": "1.1.0", "id": collection,
                "description": format!("{title}: {collection}"), "license": "other",
                "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[null, null]]}},
                "links": links,
            });
            write(&self.partial.join(collection).join("collection.json"), &value)?;
        }
        let children = self.collections.keys().map(|id| link("child", format!("./{id}/collection.json")));
        let value = json!({
            "type": "Catalog", "stac_version": "1.1.0", "id": name, "description": title,
            "links": std::iter::once(link("root", "./catalog.json".into())).chain(children).collect::<Vec<_>>(),
        });
        write(&self.partial.join("catalog.json"), &value)?;
        // An empty folder may stand there.
        let _ = fs::remove_dir(&self.target);
        fs::rename(&self.partial, &self.target).map_err(io(&self.target))?;
        self.finished = true;
        Ok(Adopted {
            catalog: self.target.join("catalog.json"),
            collections: self.collections.iter().map(|(id, items)| (id.clone(), items.len())).collect(),
            splits: self.splits.clone(),
            sensors: self.sensors.clone(),
            allow_paths: vec![images.to_owned()],
            chip_size: self.side,
            left_out: std::mem::take(&mut self.left_out),
            notes: std::mem::take(&mut self.notes),
        })
    }
}

impl Drop for Catalog<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody can be told here, and what is left is hidden.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

fn write(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).unwrap_or_default();
    fs::write(path, text).map_err(io(path))
}
