//! DynamicEarthNet: daily Planet images of 75 places with land cover of each month, and Sentinel-2 and Sentinel-1 beside.
//!
//! ```text
//! dynnet_training_splits/{train,val,test}.txt     lines of: /folder of images  /file of labels  2018-01
//! planet/…/2018-01-01.tif                         blue, green, red, nir; the folders are those that the lists name
//! labels/…/Labels/Raster/…/…-2018_01_01.tif       a band for each of 7 classes, 255 where it is; the seventh is not scored
//! sentinel2/…/<place>/…2018-01-01….tif            12 bands          (Dyna.-S2 and Dyna.-MM)
//! sentinel1/…/<place>/…2018-01-01….tif            VV, VH            (Dyna.-MM)
//! ```
//!
//! Source: Toker et al., CVPR 2022, and its loader for lists, bands and labels. Of Sentinel images no loader was at hand: they are
//! taken from any depth, by the folder of their place and the date in their name, with the order of bands that Sentinel-2 has
//! without B10 (our reading). Files say where they lie and stay there; all places lie far apart, so search by `bbox`.
//!
//! Of the daily images that of the month's first day is taken, with which labels are drawn.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::owned;
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::{Folder, stem};
use crate::item::{File, Image, about, day, id, named};
use crate::labels::Source;

const CLASSES: [&str; 6] =
    ["impervious_surface", "agriculture", "forest_and_other_vegetation", "wetlands", "soil", "water"];
/// Bands of the labels: the seventh, snow and ice, is not scored.
const LABELS: usize = 7;
const PLANET: [&str; 4] = ["blue", "green", "red", "nir"];
const S2: [&str; 12] = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"];
const S1: [&str; 2] = ["VV", "VH"];

pub(crate) fn planet(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    adopt(folder, catalog, "dynamicearthnet-planet", [true, false, false])
}

pub(crate) fn s2(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    adopt(folder, catalog, "dynamicearthnet-s2", [false, true, false])
}

pub(crate) fn mm(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    adopt(folder, catalog, "dynamicearthnet-mm", [true, true, true])
}

/// A month of a place, as a list names it.
struct Month<'a> {
    images: &'a str,
    labels: &'a str,
    month: &'a str,
}

fn adopt(folder: &Folder, catalog: &mut Catalog<'_>, set: &str, [fine, optical, radar]: [bool; 3]) -> Result<()> {
    let lists = folder.dir("dynnet_training_splits")?;
    let classes = owned(&CLASSES);
    let series = |wanted: bool, name: &str| if wanted { folder.dir(name)?.deep("tif") } else { Ok(Vec::new()) };
    let (sentinel_2, sentinel_1) = (series(optical, "sentinel2")?, series(radar, "sentinel1")?);
    for part in ["train", "val", "test"] {
        let list = lists.text(&format!("{part}.txt"))?;
        for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [images, labels, month] = words[..] else {
                let path = lists.path().join(format!("{part}.txt"));
                return Err(content(&path, "folder of images, file of labels and month in a line", line));
            };
            let named = Month { images: images.trim_start_matches('/'), labels: labels.trim_start_matches('/'), month };
            let truth = folder.file(named.labels)?;
            let place = place(&truth)?;
            let name = id(&format!("{place}-{month}"));
            let first = day(&format!("{month}-01"));
            let properties = about(Some(part), &[]);
            let (grid, alone) = catalog.placed(&truth, LABELS, 3.0)?;
            if alone {
                return Err(content(&truth, "a raster that says where it lies", "none that does"));
            }
            let collection = format!("{set}-labels");
            let source = Source::Bands(&truth);
            catalog.labels((&collection, &name, &first), &source, (&classes, &grid), properties.clone())?;
            if fine {
                let path = folder.dir(named.images)?.file(&format!("{month}-01.tif"))?;
                image(catalog, (&format!("{set}-planet"), "hr-rgbn"), (&name, path, &first), &PLANET, part)?;
            }
            for (wanted, files, kind, sensor, bands) in [
                (optical, &sentinel_2, "s2", "sentinel-2-l2a", &S2[..]),
                (radar, &sentinel_1, "s1", "sentinel-1-grd", &S1[..]),
            ] {
                if wanted {
                    let path = of_month(files, &place, named.month).ok_or_else(|| {
                        let folder = folder.path().join(if kind == "s2" { "sentinel2" } else { "sentinel1" });
                        content(
                            &folder,
                            format!("a .tif of {month} in a folder {place}"),
                            format!("none of {}", files.len()),
                        )
                    })?;
                    image(catalog, (&format!("{set}-{kind}"), sensor), (&name, path, &first), bands, part)?;
                }
            }
        }
    }
    Ok(())
}

fn image(
    catalog: &mut Catalog<'_>,
    (collection, sensor): (&str, &str),
    (name, path, datetime): (&str, PathBuf, &str),
    bands: &[&str],
    part: &str,
) -> Result<()> {
    let (geobox, alone) = catalog.placed(&path, bands.len(), 3.0)?;
    let mut properties = about(Some(part), if alone { &["place"] } else { &[] });
    let optical = sensor.starts_with("sentinel-2");
    if optical {
        properties.insert("s2:processing_baseline".into(), json!("02.00"));
    }
    catalog.sensor(collection, sensor);
    let scale = optical.then_some(1e-4);
    let files = vec![File { key: "image".into(), path, bands: named(bands), geobox, scale }];
    catalog.image(collection, &Image { id: name.into(), datetime: datetime.into(), files, properties })
}

/// The name of a place: the folder in which its labels lie below `Raster`, or that which holds `Labels`.
fn place(labels: &Path) -> Result<String> {
    let parent = labels.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    parent.filter(|name| !name.is_empty()).ok_or_else(|| content(labels, "a file in the folder of its place", "none"))
}

/// The first image of a month of a place: 2018-01 or 2018_01 in its name, and the place as a folder above it.
fn of_month(files: &[PathBuf], place: &str, month: &str) -> Option<PathBuf> {
    let other = month.replace('-', "_");
    let here = |path: &&PathBuf| path.components().any(|part| part.as_os_str().to_string_lossy() == place);
    let then = |path: &&PathBuf| {
        let name = stem(path);
        name.contains(month) || name.contains(&other)
    };
    files.iter().filter(here).find(then).cloned()
}
