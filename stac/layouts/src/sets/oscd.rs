//! OSCD (Onera Satellite Change Detection): Sentinel-2 L1C of two times over 24 towns.
//!
//! ```text
//! Onera Satellite Change Detection dataset - Images/{train.txt,test.txt}   names of towns, with commas
//! Onera Satellite Change Detection dataset - Images/abudhabi/{imgs_1_rect,imgs_2_rect}/B01.tif …   dates.txt
//! Onera Satellite Change Detection dataset - {Train,Test} Labels/abudhabi/cm/abudhabi-cm.tif   (1 unchanged, 2 changed)
//! Onera Satellite Change Detection dataset - {Train,Test} Labels/abudhabi/cm/cm.png             (0 unchanged, 255 changed)
//! onera_satellite_change_detection dataset__{images,train_labels,test_labels}/…                 (older copies)
//! ```
//!
//! Images are those that the set brought to one grid (`_rect`). They do not say where they lie.

use std::path::PathBuf;

use super::owned;
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::Folder;
use crate::item::{File, Image, about, day};
use crate::labels::Source;
use crate::pixels::probe;
use crate::shelves::COARSE;

const NAME: &str = "Onera Satellite Change Detection dataset";
const BANDS: [&str; 13] = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"];

pub(crate) fn adopt(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let images = part_of(folder, "Images")?;
    let classes = owned(&["unchanged", "changed"]);
    for (part, labels) in [("train", "Train"), ("test", "Test")] {
        let labels = part_of(folder, &format!("{labels} Labels"))?;
        for town in &towns(&images, &labels, part)? {
            let inside = images.dir(town)?;
            let dates = dates(&inside)?;
            let (geobox, alone) = catalog.placed(&inside.dir("imgs_1_rect")?.file("B02.tif")?, 1, COARSE)?;
            let properties = about(Some(part), if alone { &["place"] } else { &[] });
            let (truth, numbers) = truth(&labels.dir(town)?.dir("cm")?, town)?;
            let source = Source::Numbers(&truth, numbers);
            catalog.labels(("oscd-labels", town, &dates[1]), &source, (&classes, &geobox), properties.clone())?;
            for (at, collection) in ["oscd-before", "oscd-after"].into_iter().enumerate() {
                let taken = inside.dir(["imgs_1_rect", "imgs_2_rect"][at])?;
                let mut files = Vec::new();
                for band in BANDS {
                    let path = taken.file(&format!("{band}.tif"))?;
                    let found = probe(&path)?;
                    if (found.width, found.height) != (geobox.width, geobox.height) {
                        let expected = format!("{} × {} pixels, as B02 of imgs_1_rect", geobox.width, geobox.height);
                        return Err(content(&path, expected, format!("{} × {}", found.width, found.height)));
                    }
                    let bands = vec![band.to_owned()];
                    files.push(File { key: band.into(), path, bands, geobox: geobox.clone(), scale: Some(1e-4) });
                }
                catalog.sensor(collection, "sentinel-2-l1c");
                let (datetime, properties) = (dates[at].clone(), properties.clone());
                catalog.image(collection, &Image { id: town.clone(), datetime, files, properties })?;
            }
        }
    }
    Ok(())
}

/// A folder of the data set: `… - Images`, and in older copies `…__images`.
fn part_of(folder: &Folder, part: &str) -> Result<Folder> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let name = format!("{NAME} - {part}");
    folder.fitting(&name, |found| plain(found) == plain(&name))
}

/// The towns of the list beside the images; where there is none, those that have labels.
fn towns(images: &Folder, labels: &Folder, part: &str) -> Result<Vec<String>> {
    let list = format!("{part}.txt");
    if images.maybe_file(&list).is_none() {
        return Ok(labels.dirs()?.iter().map(Folder::name).collect());
    }
    let list = images.text(&list)?;
    Ok(list.split([',', '\n']).map(str::trim).filter(|town| !town.is_empty()).map(str::to_owned).collect())
}

/// Numbers of a raster of changes, and the class of each.
type Numbers = &'static [(f32, Option<u8>)];

/// The changes of a town: the raster, else the picture, which have other numbers.
fn truth(changes: &Folder, town: &str) -> Result<(PathBuf, Numbers)> {
    let (raster, picture) = (format!("{town}-cm.tif"), "cm.png");
    if let Some(path) = changes.maybe_file(&raster) {
        return Ok((path, &[(1.0, Some(0)), (2.0, Some(1))]));
    }
    let path = changes.maybe_file(picture);
    let path = path.ok_or_else(|| content(changes.path(), format!("{raster} or {picture}"), changes.shown()))?;
    Ok((path, &[(0.0, Some(0)), (255.0, Some(1))]))
}

/// `date_1: 20160120` and `date_2: …`.
fn dates(inside: &Folder) -> Result<[String; 2]> {
    let text = inside.text("dates.txt")?;
    let fault = || content(&inside.path().join("dates.txt"), "date_1: YYYYMMDD and date_2", text.trim());
    let of = |name: &str| -> Result<String> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).ok_or_else(fault)?;
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        match digits.len() {
            8 => Ok(day(&format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]))),
            _ => Err(fault()),
        }
    };
    Ok([of("date_1")?, of("date_2")?])
}
