//! DynamicEarthNet: daily Planet images of 75 places with land cover of each month, and Sentinel-2 and Sentinel-1 beside.
//!
//! ```text
//! dynnet_training_splits/{train,val,test}.txt     lines of: /folder of images  /file of labels  2018-01
//! split_info/splits.csv                           in their place: split, planet_path, label_path, s1_path, s2_path, year_month
//! planet/…/PF-SR/2018-01-01.tif                   blue, green, red, nir; `files` has the names that copies have
//! labels/…/Labels/Raster/…/…-2018_01_01.tif       a band for each of 7 classes, 255 where it is; the seventh is not scored
//! sentinel2/…/<place>/…2018-01-01….tif            12 bands          (Dyna.-S2 and Dyna.-MM)
//! sentinel1/…/<place>/…2018-01-01….tif            VV, VH            (Dyna.-MM)
//! ```
//!
//! Source: Toker et al., CVPR 2022, and its loader for lists, bands and labels; torchgeo's redistribution. Sentinel images are
//! taken from any depth, by the folder of their place and the date in their name. Their bands are told nowhere that we know: of
//! Sentinel-2 we read those without B10 (others read those without B09; the ten that models know are the same), and Sentinel-1 of
//! more than two bands only by names. Files say where they lie and stay there; all places lie far apart, so search by `bbox`.
//!
//! Of the daily images that of the month's first day is taken, with which labels are drawn. Samples of which a part is missing
//! (62 have no Sentinel image, the images of 1417_3281_13 were never published) are left out and told.

mod files;
mod lists;

use std::path::{Path, PathBuf};

use serde_json::json;

use self::files::Files;
use super::owned;
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::Folder;
use crate::item::{File, Image, about, day, id, named};
use crate::labels::Source;
use crate::pixels::bands;

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

fn adopt(folder: &Folder, catalog: &mut Catalog<'_>, set: &str, [fine, optical, radar]: [bool; 3]) -> Result<()> {
    let samples = lists::read(folder)?;
    let files = Files::of(folder, optical, radar)?;
    let classes = owned(&CLASSES);
    for sample in samples {
        let name = id(&format!("{}-{}", sample.place, sample.month));
        let parts = [
            Some(("labels", files.labels(&sample))),
            fine.then(|| ("planet", files.planet(&sample))),
            optical.then(|| ("sentinel2", files.sentinel_2(&sample))),
            radar.then(|| ("sentinel1", files.sentinel_1(&sample))),
        ];
        let missing: Vec<&str> =
            parts.iter().flatten().filter(|(_, path)| path.is_none()).map(|(part, _)| *part).collect();
        if !missing.is_empty() {
            catalog.leave_out(&name, &format!("no {}", missing.join(" and ")));
            continue;
        }
        let first = day(&format!("{}-01", sample.month));
        let about_it = (name.as_str(), first.as_str(), sample.part.as_str());
        for (part, path) in parts.into_iter().flatten().filter_map(|(part, path)| Some((part, path?))) {
            match part {
                "labels" => labels(catalog, &format!("{set}-labels"), &classes, (about_it, &path))?,
                "planet" => image(catalog, (&format!("{set}-planet"), "hr-rgbn"), (about_it, path), named(&PLANET))?,
                "sentinel2" => image(catalog, (&format!("{set}-s2"), "sentinel-2-l2a"), (about_it, path), named(&S2))?,
                _ => {
                    let bands = radar_bands(&path)?;
                    image(catalog, (&format!("{set}-s1"), "sentinel-1-grd"), (about_it, path), bands)?;
                }
            }
        }
    }
    Ok(())
}

/// Name, date and split of a sample.
type Named<'a> = (&'a str, &'a str, &'a str);

fn labels(
    catalog: &mut Catalog<'_>,
    collection: &str,
    classes: &[String],
    ((name, first, part), truth): (Named<'_>, &Path),
) -> Result<()> {
    let (grid, alone) = catalog.placed(truth, LABELS, 3.0)?;
    if alone {
        return Err(content(truth, "a raster that says where it lies", "none that does"));
    }
    let source = Source::Bands(truth);
    catalog.labels((collection, name, first), &source, (classes, &grid), about(Some(part), &[]))
}

fn image(
    catalog: &mut Catalog<'_>,
    (collection, sensor): (&str, &str),
    ((name, datetime, part), path): (Named<'_>, PathBuf),
    bands: Vec<String>,
) -> Result<()> {
    let (geobox, alone) = catalog.placed(&path, bands.len(), 3.0)?;
    let mut properties = about(Some(part), if alone { &["place"] } else { &[] });
    let optical = sensor.starts_with("sentinel-2");
    if optical {
        properties.insert("s2:processing_baseline".into(), json!("02.00"));
    }
    catalog.sensor(collection, sensor);
    let files = vec![File { key: "image".into(), path, bands, geobox, scale: optical.then_some(1e-4) }];
    catalog.image(collection, &Image { id: name.into(), datetime: datetime.into(), files, properties })
}

/// Bands of Sentinel-1: by their names where both are named, else the two that there are.
fn radar_bands(path: &Path) -> Result<Vec<String>> {
    let found = bands(path)?;
    let upper: Vec<String> = found.iter().map(|name| name.to_ascii_uppercase()).collect();
    if S1.iter().all(|band| upper.iter().filter(|name| name == band).count() == 1) {
        return Ok(upper);
    }
    if found.len() == S1.len() {
        return Ok(named(&S1));
    }
    let expected = "two bands, VV and VH, or bands of these names: where you know which of them are VV and VH, put copies of \
        these two in their place (gdal_translate -b <VV> -b <VH>)";
    let names: Vec<&str> = found.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let called = if names.is_empty() { "without names".into() } else { format!("called {}", names.join(", ")) };
    Err(content(path, expected, format!("{} bands {called}", found.len())))
}
