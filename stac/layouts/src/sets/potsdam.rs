//! ISPRS Potsdam: orthophotos of 5 cm with masks in colours.
//!
//! ```text
//! 2_Ortho_RGB/top_potsdam_2_10_RGB.tif         or 4_Ortho_RGBIR/top_potsdam_2_10_RGBIR.tif
//! 5_Labels_all/top_potsdam_2_10_label.tif      or 5_Labels_for_participants, or beside the folders, as the zip unpacks
//! 5_Labels_all_noBoundary/top_potsdam_2_10_label_noBoundary.tif    where no others are there; black is not labelled
//! ```
//!
//! The 24 tiles that the benchmark gave to participants train, the 14 others test. Where the files say where they lie they stay
//! there; chips of 32 pixels to 10 m are then coarser than the photos, so name `resolution: 1.6` to take pixels as they are.
//!
//! Two of the published masks are not of the six colours alone: 4_12 was encoded with loss, and most cars of 6_7 are
//! (252, 255, 0). So each channel counts as 0 or 255, whichever is nearer.

use std::path::PathBuf;

use super::{SOME_DAY, made_up, owned, rgb};
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::{Folder, IMAGES, stem};
use crate::item::{RGB, RGBN, about, id, named};
use crate::labels::Source;
use crate::shelves::FINE;

const CLASSES: [(&str, [u8; 3]); 6] = [
    ("impervious_surface", [255, 255, 255]),
    ("building", [0, 0, 255]),
    ("low_vegetation", [0, 255, 255]),
    ("tree", [0, 255, 0]),
    ("car", [255, 255, 0]),
    ("clutter", [255, 0, 0]),
];
/// The rim of objects in masks without boundaries.
const BLACK: [u8; 3] = [0, 0, 0];

const TEST: [&str; 14] =
    ["2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15", "5_13", "5_14", "5_15", "6_13", "6_14", "6_15", "7_13"];

/// Folders of masks, those that are whole first.
const MASKS: [&str; 4] =
    ["5_Labels_all", "5_Labels_for_participants", "5_Labels_all_noBoundary", "5_Labels_for_participants_no_Boundary"];

pub(crate) fn adopt(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let classes = owned(&CLASSES.map(|(name, _)| name));
    let mut colours: Vec<_> = CLASSES.iter().enumerate().map(|(at, (_, colour))| (*colour, Some(at as u8))).collect();
    colours.push((BLACK, None));
    let images = folder.first(&["2_Ortho_RGB", "4_Ortho_RGBIR"])?;
    let (kind, bands, sensor) = match images.name().ends_with("RGBIR") {
        true => ("RGBIR", RGBN, "hr-rgbn"),
        false => ("RGB", RGB, "hr-rgb"),
    };
    let masks = masks(folder)?;
    catalog.sensor("potsdam", sensor);
    for path in images.files(IMAGES)? {
        let name = stem(&path);
        let tile = name.strip_prefix("top_potsdam_").and_then(|rest| rest.strip_suffix(kind)?.strip_suffix('_'));
        let tile =
            tile.ok_or_else(|| content(&path, format!("a name like top_potsdam_2_10_{kind}.tif"), name.clone()))?;
        let part = if TEST.contains(&tile) { "test" } else { "train" };
        let (geobox, alone) = catalog.placed(&path, bands.len(), FINE)?;
        let (id, properties) = (id(&format!("potsdam-{tile}")), about(Some(part), made_up(alone)));
        // Of participants' labels those of the test are not there.
        let truth = match mask(&masks, tile) {
            None if part == "train" => Some((masks.file(&format!("top_potsdam_{tile}_label.tif"))?, false)),
            found => found,
        };
        if let Some((truth, rims)) = truth {
            let source = Source::Corners(&truth, if rims { &colours } else { &colours[..CLASSES.len()] });
            catalog.labels(("potsdam-labels", &id, SOME_DAY), &source, (&classes, &geobox), properties.clone())?;
        }
        let mut image = rgb(&id, path, geobox, SOME_DAY, properties);
        image.files.iter_mut().for_each(|file| file.bands = named(bands));
        catalog.image("potsdam", &image)?;
    }
    Ok(())
}

/// The folder of the masks: one of theirs, else that of the data set where masks lie in it.
fn masks(folder: &Folder) -> Result<Folder> {
    let beside = |path: &PathBuf| stem(path).ends_with("_label") || stem(path).ends_with("_label_noBoundary");
    match folder.first(&MASKS) {
        // No file at all is told as no folder of masks.
        Err(_) if folder.files(IMAGES).is_ok_and(|files| files.iter().any(beside)) => Ok(folder.clone()),
        found => found,
    }
}

/// The mask of a tile, and whether rims of objects are black in it.
fn mask(masks: &Folder, tile: &str) -> Option<(PathBuf, bool)> {
    [("label", false), ("label_noBoundary", true)]
        .iter()
        .find_map(|(kind, rims)| Some((masks.maybe_file(&format!("top_potsdam_{tile}_{kind}.tif"))?, *rims)))
}
