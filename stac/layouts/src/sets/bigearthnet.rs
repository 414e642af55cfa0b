//! BigEarthNet: patches of Sentinel-2 L2A (and Sentinel-1) with land cover of the whole patch, in the nomenclature of 19 classes.
//!
//! ```text
//! BigEarthNet-v1.0/S2A_MSIL2A_…_42_53/S2A_…_B02.tif …  S2A_…_labels_metadata.json
//! BigEarthNet-S1-v1.0/S1A_IW_…/S1A_…_VV.tif  …_VH.tif  …_labels_metadata.json     (MM)
//! {train,val,test}.csv or bigearthnet-{train,val,test}.csv      without a head: names of patches, or of pairs of S2 and S1
//! ```
//!
//! Patches lie all over Europe, so they are copied to places of their own; `skysense:from` says where a patch is from. Classes:
//! Sumbul et al., IEEE GRSM 2021, table of the 19 classes; patches without any of them have no label.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skysense_grid::{Affine, GeoBox};

use super::owned;
use crate::catalog::Catalog;
use crate::csv;
use crate::error::{Result, content, io};
use crate::folder::Folder;
use crate::item::{File, Image, about};
use crate::labels::Source;
use crate::pixels::{copy, probe};
use crate::shelves::COARSE;

/// Bands of Sentinel-2 that the model knows, with the side of a patch in pixels.
const S2: [(&str, usize); 10] = [
    ("B02", 120),
    ("B03", 120),
    ("B04", 120),
    ("B05", 60),
    ("B06", 60),
    ("B07", 60),
    ("B08", 120),
    ("B8A", 60),
    ("B11", 60),
    ("B12", 60),
];

/// The 19 classes, each with those of CORINE that it has. Others are left out.
const CLASSES: [(&str, &[&str]); 19] = [
    ("Urban fabric", &["Continuous urban fabric", "Discontinuous urban fabric"]),
    ("Industrial or commercial units", &["Industrial or commercial units"]),
    ("Arable land", &["Non-irrigated arable land", "Permanently irrigated land", "Rice fields"]),
    (
        "Permanent crops",
        &[
            "Vineyards",
            "Fruit trees and berry plantations",
            "Olive groves",
            "Annual crops associated with permanent crops",
        ],
    ),
    ("Pastures", &["Pastures"]),
    ("Complex cultivation patterns", &["Complex cultivation patterns"]),
    (
        "Land principally occupied by agriculture, with significant areas of natural vegetation",
        &["Land principally occupied by agriculture, with significant areas of natural vegetation"],
    ),
    ("Agro-forestry areas", &["Agro-forestry areas"]),
    ("Broad-leaved forest", &["Broad-leaved forest"]),
    ("Coniferous forest", &["Coniferous forest"]),
    ("Mixed forest", &["Mixed forest"]),
    ("Natural grassland and sparsely vegetated areas", &["Natural grassland", "Sparsely vegetated areas"]),
    ("Moors, heathland and sclerophyllous vegetation", &["Moors and heathland", "Sclerophyllous vegetation"]),
    ("Transitional woodland, shrub", &["Transitional woodland/shrub"]),
    ("Beaches, dunes, sands", &["Beaches, dunes, sands"]),
    ("Inland wetlands", &["Inland marshes", "Peatbogs"]),
    ("Coastal wetlands", &["Salt marshes", "Salines"]),
    ("Inland waters", &["Water courses", "Water bodies"]),
    ("Marine waters", &["Coastal lagoons", "Estuaries", "Sea and ocean"]),
];

pub(crate) fn s2(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    adopt(folder, catalog, "bigearthnet-s2", false)
}

pub(crate) fn mm(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    adopt(folder, catalog, "bigearthnet-mm", true)
}

fn adopt(folder: &Folder, catalog: &mut Catalog<'_>, set: &str, radar: bool) -> Result<()> {
    let classes = owned(&CLASSES.map(|(name, _)| name));
    let splits = splits(folder, catalog)?;
    let (mut patches, mut unlisted) = (0, 0);
    let optical = format!("{set}-s2l2a");
    catalog.sensor(&optical, "sentinel-2-l2a");
    let mut grids: BTreeMap<String, (GeoBox, Option<String>)> = BTreeMap::new();
    for patch in folder.dir("BigEarthNet-v1.0")?.dirs()? {
        let name = patch.name();
        let about_it = metadata(&patch)?;
        let datetime = taken(&patch, &about_it)?;
        let grid = catalog.place([120, 120], COARSE)?;
        let split = splits.get(&name).cloned();
        patches += 1;
        unlisted += usize::from(split.is_none());
        let mut files = Vec::new();
        let mut from = Value::Null;
        for (band, side) in S2 {
            let path = patch.file(&format!("{name}_{band}.tif"))?;
            let own = resized(&grid, side)?;
            let to = catalog.beside(&optical, &name, &format!("{band}.tif"))?;
            copy(&path, &to, &own, &[(1, band)])?;
            if band == "B02" {
                from = origin(&probe(&path)?.geobox);
            }
            files.push(File { key: band.into(), path: to, bands: vec![band.into()], geobox: own, scale: Some(1e-4) });
        }
        let mut properties = about(split.as_deref(), &["place"]);
        properties.insert("skysense:from".into(), from);
        // Of before 2022: +1000 is not in the numbers.
        let of_image = with(&properties, "s2:processing_baseline", json!("02.00"));
        let found = of(&patch, &about_it)?;
        let (labels, source) = (format!("{set}-labels"), Source::Scene(&found));
        catalog.labels((&labels, &name, &datetime), &source, (&classes, &grid), properties.clone())?;
        catalog.image(&optical, &Image { id: name.clone(), datetime, files, properties: of_image })?;
        if radar {
            grids.insert(name, (grid, split));
        }
    }
    if unlisted > 0 && !splits.is_empty() {
        catalog.note(format!("{unlisted} of {patches} patches are in none of the lists: their items have no split"));
    }
    if radar { sentinel_1(folder, catalog, set, &grids) } else { Ok(()) }
}

/// The radar of the same patches, at their places.
fn sentinel_1(
    folder: &Folder,
    catalog: &mut Catalog<'_>,
    set: &str,
    grids: &BTreeMap<String, (GeoBox, Option<String>)>,
) -> Result<()> {
    let collection = format!("{set}-s1grd");
    catalog.sensor(&collection, "sentinel-1-grd");
    for patch in folder.dir("BigEarthNet-S1-v1.0")?.dirs()? {
        let name = patch.name();
        let about_it = metadata(&patch)?;
        let path = patch.path().join(format!("{name}_labels_metadata.json"));
        let pair = about_it["corresponding_s2_patch"].as_str();
        let pair = pair.ok_or_else(|| content(&path, "corresponding_s2_patch", about_it.to_string()))?;
        let Some((grid, split)) = grids.get(pair) else {
            return Err(content(&path, format!("a patch {pair} in BigEarthNet-v1.0"), "none"));
        };
        let to = catalog.beside(&collection, &name, "VV.tif")?;
        copy(&patch.file(&format!("{name}_VV.tif"))?, &to, grid, &[(1, "VV")])?;
        let other = catalog.beside(&collection, &name, "VH.tif")?;
        copy(&patch.file(&format!("{name}_VH.tif"))?, &other, grid, &[(1, "VH")])?;
        let file = |band: &str, path| File {
            key: band.into(),
            path,
            bands: vec![band.into()],
            geobox: grid.clone(),
            scale: None,
        };
        let files = vec![file("VV", to), file("VH", other)];
        let properties = about(split.as_deref(), &["place"]);
        // As the set says: backscatter in dB.
        let properties = with(&properties, "raster:unit", json!("dB"));
        let datetime = taken(&patch, &about_it)?;
        catalog.image(&collection, &Image { id: name, datetime, files, properties })?;
    }
    Ok(())
}

fn with(properties: &Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    let mut properties = properties.clone();
    properties.insert(name.into(), value);
    properties
}

/// The same ground in pixels of another size.
fn resized(grid: &GeoBox, side: usize) -> Result<GeoBox> {
    let factor = grid.width as f64 / side as f64;
    Ok(GeoBox::new(grid.crs.clone(), grid.transform.scaled(factor), side, side)?)
}

/// Reference system and bounds that a patch had.
pub(super) fn origin(geobox: &Option<GeoBox>) -> Value {
    let of = |geobox: &GeoBox| {
        let Affine { c, f, .. } = geobox.transform;
        json!({"proj:code": geobox.crs.to_string(), "upper_left": [c, f]})
    };
    geobox.as_ref().map_or(Value::Null, of)
}

fn metadata(patch: &Folder) -> Result<Value> {
    let path = patch.file(&format!("{}_labels_metadata.json", patch.name()))?;
    let text = std::fs::read_to_string(&path).map_err(io(&path))?;
    serde_json::from_str(&text).map_err(|error| content(&path, "JSON", error.to_string()))
}

/// `2017-08-18 10:11:12` or with a T.
fn taken(patch: &Folder, about_it: &Value) -> Result<String> {
    let path = patch.path().join(format!("{}_labels_metadata.json", patch.name()));
    let text = about_it["acquisition_date"].as_str().or_else(|| about_it["acquisition_time"].as_str());
    let text = text.ok_or_else(|| content(&path, "acquisition_date", about_it.to_string()))?;
    let (date, time) = text.trim_end_matches('Z').split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    if date.len() != 10 || date.split('-').count() != 3 {
        return Err(content(&path, "acquisition_date like 2017-08-18 10:11:12", text));
    }
    Ok(format!("{date}T{time}Z"))
}

/// Places of the classes of a patch.
fn of(patch: &Folder, about_it: &Value) -> Result<Vec<u8>> {
    let path = patch.path().join(format!("{}_labels_metadata.json", patch.name()));
    let labels = about_it["labels"].as_array();
    let labels = labels.ok_or_else(|| content(&path, "a list of labels", about_it.to_string()))?;
    let has =
        |(_, corine): &(&str, &[&str])| labels.iter().filter_map(Value::as_str).any(|name| corine.contains(&name));
    Ok((0..CLASSES.len()).filter(|at| has(&CLASSES[*at])).map(|at| at as u8).collect())
}

/// The part of each patch, of the lists that are there; those that are not are told.
fn splits(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<BTreeMap<String, String>> {
    let (mut parts, mut missing) = (BTreeMap::new(), Vec::new());
    for part in ["train", "val", "test"] {
        let names = [format!("{part}.csv"), format!("bigearthnet-{part}.csv")];
        let Some(path) = names.iter().find_map(|name| folder.maybe_file(name)) else {
            missing.push(names.join(" or "));
            continue;
        };
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        for row in csv::rows(&text) {
            parts.extend(row.into_iter().map(|name| (name.trim().to_owned(), part.to_owned())));
        }
    }
    if !missing.is_empty() {
        let lists = missing.join(", ");
        catalog.note(format!("no list {lists} in {}: patches of it have no split", folder.path().display()));
    }
    Ok(parts)
}
