//! PASTIS-R, and the high-resolution images of PASTIS-HD where they are there: series of Sentinel-2 and Sentinel-1 with crops.
//!
//! ```text
//! metadata.geojson                    ID_PATCH, Fold, dates-S2, dates-S1A, dates-S1D
//! DATA_S2/S2_10000.npy                [date, 10 bands, 128, 128], int16
//! DATA_S1A/S1A_10000.npy  DATA_S1D/…  [date, VV VH VV/VH, 128, 128], float of 16 bits, in dB; may be missing
//! ANNOTATIONS/TARGET_10000.npy        [3, 128, 128], classes first
//! DATA_SPOT/PASTIS_SPOT6_RVB_1M00_2019/SPOT6_RVB_1M00_2019_10000.tif      may be missing
//! ```
//!
//! Source: Garnot and Landrieu, ICCV 2021; Garnot et al., ISPRS Journal 2022; Astruc et al., 2024 (HD). Arrays become images,
//! one a date, at places of their own. The folds 1 to 3 train, 4 validates, 5 tests, as in the set's first experiment; `fold`
//! is kept. The high-resolution images of the paper's PASTIS-MM are its own and not published under a layout that we know.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skysense_grid::GeoBox;

use super::owned;
use crate::catalog::Catalog;
use crate::error::{Result, content, io};
use crate::folder::Folder;
use crate::item::{File, Image, RGB, about, day, named};
use crate::labels::Source;
use crate::npy::{self, Array};
use crate::pixels::{copy, probe, write};
use crate::shelves::COARSE;

const SIDE: usize = 128;
const S2: [&str; 10] = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"];
const S1: [&str; 2] = ["VV", "VH"];
/// Classes by their numbers; the last one of the set, 19, is void.
const CLASSES: [&str; 19] = [
    "background",
    "meadow",
    "soft_winter_wheat",
    "corn",
    "winter_barley",
    "winter_rapeseed",
    "spring_barley",
    "sunflower",
    "grapevine",
    "beet",
    "winter_triticale",
    "winter_durum_wheat",
    "fruits_vegetables_flowers",
    "potatoes",
    "leguminous_fodder",
    "soybeans",
    "orchard",
    "mixed_cereal",
    "sorghum",
];
const VOID: f32 = 19.0;

pub(crate) fn adopt(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let path = folder.file("metadata.geojson")?;
    let text = std::fs::read_to_string(&path).map_err(io(&path))?;
    let found: Value = serde_json::from_str(&text).map_err(|error| content(&path, "GeoJSON", error.to_string()))?;
    let patches = found["features"].as_array().ok_or_else(|| content(&path, "features", "none"))?;
    let (optical, truth) = (folder.dir("DATA_S2")?, folder.dir("ANNOTATIONS")?);
    let spot = folder.maybe("DATA_SPOT").map(|spot| spot.dir("PASTIS_SPOT6_RVB_1M00_2019")).transpose()?;
    let classes = owned(&CLASSES);
    for patch in patches {
        let about_it = &patch["properties"];
        let fault = |expected: &str| content(&path, expected, about_it.to_string());
        let id = about_it["ID_PATCH"].as_u64().ok_or_else(|| fault("a number ID_PATCH"))?.to_string();
        let fold =
            about_it["Fold"].as_u64().filter(|fold| (1..=5).contains(fold)).ok_or_else(|| fault("Fold, 1 to 5"))?;
        let mut properties = about(Some(["train", "train", "train", "val", "test"][fold as usize - 1]), &["place"]);
        properties.insert("fold".into(), json!(fold));
        let grid = catalog.place([SIDE; 2], COARSE)?;

        let array = patch_of(&optical, &format!("S2_{id}.npy"), S2.len(), 4)?;
        let dates = dates(&about_it["dates-S2"]).ok_or_else(|| fault("dates-S2 like {\"0\": 20180917}"))?;
        catalog.sensor("pastis-s2l2a", "sentinel-2-l2a");
        let mut of_optical = properties.clone();
        of_optical.insert("s2:processing_baseline".into(), json!("02.00"));
        let told = (&optical, format!("S2_{id}.npy"), dates);
        series(catalog, ("pastis-s2l2a", &id), (&array, told), (&S2, &grid, of_optical))?;

        for orbit in ["S1A", "S1D"] {
            let Some(radar) = folder.maybe(&format!("DATA_{orbit}")) else { continue };
            let array = patch_of(&radar, &format!("{orbit}_{id}.npy"), 3, 4)?;
            let dates = self::dates(&about_it[format!("dates-{orbit}")]).ok_or_else(|| fault("dates of Sentinel-1"))?;
            catalog.sensor("pastis-s1grd", "sentinel-1-grd");
            let told = (&radar, format!("{orbit}_{id}.npy"), dates);
            let name = format!("{id}-{orbit}");
            series(catalog, ("pastis-s1grd", &name), (&array, told), (&S1, &grid, properties.clone()))?;
        }

        let target = truth.file(&format!("TARGET_{id}.npy"))?;
        let array = patch_of(&truth, &format!("TARGET_{id}.npy"), 0, 3)?;
        let class = |value: &f32| match *value {
            VOID => Ok(0),
            value if (0.0..VOID).contains(&value) && value.fract() == 0.0 => Ok(value as u8 + 1),
            value => Err(content(&target, "classes from 0 to 19", value.to_string())),
        };
        let values = array.values[..SIDE * SIDE].iter().map(class).collect::<Result<Vec<u8>>>()?;
        let source = Source::Values(&values);
        let season = day("2019-06-01");
        catalog.labels(("pastis-labels", &id, &season), &source, (&classes, &grid), properties.clone())?;
        if let Some(spot) = &spot {
            fine(catalog, spot, &id, &grid, properties)?;
        }
    }
    Ok(())
}

/// An array whose last two axes are those of a patch; of four axes the second are `bands`.
fn patch_of(folder: &Folder, name: &str, bands: usize, axes: usize) -> Result<Array> {
    let path = folder.file(name)?;
    let array = npy::read(&path, axes)?;
    let sides = &array.shape[axes - 2..];
    if sides != [SIDE; 2] || (axes == 4 && array.shape[1] != bands) || array.shape[0] == 0 {
        let expected =
            if axes == 4 { format!("[date, {bands}, {SIDE}, {SIDE}]") } else { format!("[3, {SIDE}, {SIDE}]") };
        return Err(content(&path, expected, format!("{:?}", array.shape)));
    }
    Ok(array)
}

/// The images of a series, one a date.
fn series(
    catalog: &mut Catalog<'_>,
    (collection, id): (&str, &str),
    (array, (folder, name, dates)): (&Array, (&Folder, String, Vec<String>)),
    (bands, grid, properties): (&[&str], &GeoBox, Map<String, Value>),
) -> Result<()> {
    let [time, channels] = [array.shape[0], array.shape[1]];
    if dates.len() != time {
        let expected = format!("{} dates, as metadata.geojson says", dates.len());
        return Err(content(&folder.path().join(name), expected, time.to_string()));
    }
    let area = SIDE * SIDE;
    for (date, taken) in dates.iter().enumerate() {
        let id = format!("{id}-{}", &taken[..10]);
        let values = &array.values[date * channels * area..][..bands.len() * area];
        let to = catalog.beside(collection, &id, "image.tif")?;
        let scale = (bands.len() == S2.len()).then_some(1e-4);
        match scale {
            Some(_) => write::<i16>(&to, grid, bands, &values.iter().map(|value| *value as i16).collect::<Vec<_>>())?,
            None => write::<f32>(&to, grid, bands, values)?,
        }
        let files = vec![File { key: "image".into(), path: to, bands: named(bands), geobox: grid.clone(), scale }];
        catalog.image(collection, &Image { id, datetime: taken.clone(), files, properties: properties.clone() })?;
    }
    Ok(())
}

/// The image of a metre and finer over a patch.
fn fine(
    catalog: &mut Catalog<'_>,
    spot: &Folder,
    id: &str,
    grid: &GeoBox,
    properties: Map<String, Value>,
) -> Result<()> {
    let path = spot.file(&format!("SPOT6_RVB_1M00_2019_{id}.tif"))?;
    let found = probe(&path)?;
    let factor = SIDE as f64 / found.width as f64;
    let own = GeoBox::new(grid.crs.clone(), grid.transform.scaled(factor), found.width, found.height)?;
    let to = catalog.beside("pastis-hr", id, "image.tif")?;
    copy(&path, &to, &own, &[(1, "red"), (2, "green"), (3, "blue")])?;
    catalog.sensor("pastis-hr", "hr-rgb");
    let files = vec![File { key: "image".into(), path: to, bands: named(RGB), geobox: own, scale: None }];
    catalog.image("pastis-hr", &Image { id: id.into(), datetime: day("2019-06-01"), files, properties })
}

/// Days of a series, in the order of its numbers: an object, or one as text.
fn dates(value: &Value) -> Option<Vec<String>> {
    let parsed: Value;
    let object = match value {
        Value::Object(object) => object,
        Value::String(text) => {
            parsed = serde_json::from_str(text).ok()?;
            parsed.as_object()?
        }
        _ => return None,
    };
    let mut days: BTreeMap<usize, String> = BTreeMap::new();
    for (at, date) in object {
        let digits = date.as_u64()?.to_string();
        if digits.len() != 8 {
            return None;
        }
        days.insert(at.parse().ok()?, day(&format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..])));
    }
    Some(days.into_values().collect())
}
