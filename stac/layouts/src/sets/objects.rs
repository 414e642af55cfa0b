//! DIOR, DIOR-R and FAIR1M: images with objects in XML.
//!
//! ```text
//! DIOR       JPEGImages-trainval/00001.jpg  JPEGImages-test/11726.jpg  ImageSets/Main/{train,val,test}.txt
//!            Annotations/Horizontal Bounding Boxes/00001.xml   (DIOR-R: Annotations/Oriented Bounding Boxes/00001.xml)
//!            Images/{trainval,test}/00001.jpg  Annotations/trainval/00001.xml  sample_df.csv with image_path, label_path, split
//!            (DIOR as torchgeo has it; the test has no objects)
//! FAIR1M     train/part1/images/0.tif  train/part1/labelXml/0.xml  train/part2/…
//!            validation/images/0.tif   validation/labelXml/0.xml   test/images/…   (no objects)
//! ```
//!
//! Objects become text as DOTA has it. Spaces in names of classes become dashes.

use std::path::{Path, PathBuf};

use super::{SOME_DAY, made_up, rgb};
use crate::catalog::Catalog;
use crate::csv::Table;
use crate::error::{Result, content, io};
use crate::folder::{Folder, IMAGES, stem};
use crate::item::about;
use crate::shelves::FINE;
use crate::xml::{elements, line, number, text};

/// How the corners of an object are told.
type Ring = fn(&str, &Path) -> Result<[[f64; 2]; 4]>;

pub(crate) fn dior(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    match folder.maybe_file("sample_df.csv") {
        Some(table) => dior_table(folder, catalog, &table),
        None => dior_of(folder, catalog, "dior", "Horizontal Bounding Boxes", upright),
    }
}

pub(crate) fn dior_r(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    dior_of(folder, catalog, "dior-r", "Oriented Bounding Boxes", corners)
}

fn dior_of(folder: &Folder, catalog: &mut Catalog<'_>, set: &str, annotations: &str, ring: Ring) -> Result<()> {
    let sets = folder.dir("ImageSets")?.dir("Main")?;
    let told = folder.dir("Annotations")?.dir(annotations)?;
    for part in ["train", "val", "test"] {
        let images = folder.dir(if part == "test" { "JPEGImages-test" } else { "JPEGImages-trainval" })?;
        let list = sets.text(&format!("{part}.txt"))?;
        for name in list.lines().map(str::trim).filter(|name| !name.is_empty()) {
            let objects = told.file(&format!("{name}.xml"))?;
            let image = images.file(&format!("{name}.jpg"))?;
            one(catalog, set, (name, part, image), Some((&objects, ring)))?;
        }
    }
    Ok(())
}

/// DIOR by a table of images, their objects and splits.
fn dior_table(folder: &Folder, catalog: &mut Catalog<'_>, path: &Path) -> Result<()> {
    let table = Table::parse(&std::fs::read_to_string(path).map_err(io(path))?, path)?;
    let [image, objects, split] = ["image_path", "label_path", "split"].map(|column| table.column(column, path));
    let (image, objects, split) = (image?, objects?, split?);
    for row in &table.rows {
        let from = folder.file(&row[image])?;
        let told = (!row[objects].is_empty()).then(|| folder.file(&row[objects])).transpose()?;
        let name = stem(&from);
        one(catalog, "dior", (&name, &row[split], from), told.as_deref().map(|path| (path, upright as Ring)))?;
    }
    Ok(())
}

pub(crate) fn fair1m(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let train = folder.dir("train")?;
    let mut parts = Vec::new();
    for part in train.dirs()? {
        parts.push(("train", part));
    }
    parts.extend(folder.maybe("validation").map(|part| ("val", part)));
    parts.extend(folder.maybe("test").map(|part| ("test", part)));
    for (part, inside) in parts {
        let told = match part {
            "test" => None,
            _ => Some(inside.first(&["labelXml", "labelXmls"])?),
        };
        for path in inside.dir("images")?.files(IMAGES)? {
            let objects = told.as_ref().map(|told| told.file(&format!("{}.xml", stem(&path)))).transpose()?;
            // Numbers begin at 0 in every part.
            let id = format!("{}-{}", if part == "train" { inside.name() } else { part.into() }, stem(&path));
            one(catalog, "fair1m", (&id, part, path), objects.as_deref().map(|path| (path, points as Ring)))?;
        }
    }
    Ok(())
}

/// An image with its objects.
fn one(
    catalog: &mut Catalog<'_>,
    set: &str,
    (id, part, image): (&str, &str, PathBuf),
    objects: Option<(&Path, Ring)>,
) -> Result<()> {
    let id = crate::item::id(id);
    let (geobox, alone) = catalog.placed(&image, 3, FINE)?;
    let properties = about(Some(part), made_up(alone));
    if let Some((path, ring)) = objects {
        let xml = std::fs::read_to_string(path).map_err(io(path))?;
        if !xml.contains("<annotation") {
            return Err(content(path, "an <annotation> with <object>s", "none"));
        }
        let mut lines = String::new();
        for object in elements(&xml, "object") {
            let difficult = elements(object, "difficult").first().is_some_and(|word| word.trim() == "1");
            lines += &line(&ring(object, path)?, text(object, "name", path)?, difficult);
        }
        let labels = format!("{set}-labels");
        catalog.objects((&labels, &id, SOME_DAY), &lines, &geobox, properties.clone())?;
    }
    catalog.sensor(set, "hr-rgb");
    catalog.image(set, &rgb(&id, image, geobox, SOME_DAY, properties))
}

fn upright(object: &str, path: &Path) -> Result<[[f64; 2]; 4]> {
    let side = |name| number(object, name, path);
    let [west, north, east, south] = [side("xmin")?, side("ymin")?, side("xmax")?, side("ymax")?];
    if east <= west || south <= north {
        return Err(content(path, "xmin < xmax and ymin < ymax", format!("{west} {north} {east} {south}")));
    }
    Ok([[west, north], [east, north], [east, south], [west, south]])
}

fn corners(object: &str, path: &Path) -> Result<[[f64; 2]; 4]> {
    let corner = |name: &str| -> Result<[f64; 2]> {
        Ok([number(object, &format!("x_{name}"), path)?, number(object, &format!("y_{name}"), path)?])
    };
    Ok([corner("left_top")?, corner("right_top")?, corner("right_bottom")?, corner("left_bottom")?])
}

/// Four corners, and mostly the first again.
fn points(object: &str, path: &Path) -> Result<[[f64; 2]; 4]> {
    let mut found = Vec::new();
    for point in elements(object, "point") {
        let numbers: Vec<f64> = point.split(',').filter_map(|word| word.trim().parse().ok()).collect();
        match numbers[..] {
            [x, y] => found.push([x, y]),
            _ => return Err(content(path, "two numbers in <point>", format!("{point:?}"))),
        }
    }
    if found.len() == 5 && found[0] == found[4] {
        found.pop();
    }
    let count = found.len();
    found.try_into().map_err(|_| content(path, "four corners, or five with the first again", format!("{count} points")))
}
