//! ISPRS Potsdam: orthophotos of 5 cm with masks in colours.
//!
//! ```text
//! 2_Ortho_RGB/top_potsdam_2_10_RGB.tif
//! 5_Labels_all/top_potsdam_2_10_label.tif   (or 5_Labels_for_participants)
//! ```
//!
//! The 24 tiles that the benchmark gave to participants train, the 14 others test. Where the files say where they lie they stay
//! there; chips of 32 pixels to 10 m are then coarser than the photos, so name `resolution: 1.6` to take pixels as they are.

use super::{SOME_DAY, made_up, owned, rgb};
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::{Folder, IMAGES, stem};
use crate::item::{about, id};
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

const TEST: [&str; 14] =
    ["2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15", "5_13", "5_14", "5_15", "6_13", "6_14", "6_15", "7_13"];

pub(crate) fn adopt(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let classes = owned(&CLASSES.map(|(name, _)| name));
    let colours = CLASSES.map(|(_, colour)| colour);
    let images = folder.dir("2_Ortho_RGB")?;
    let labels = folder.first(&["5_Labels_all", "5_Labels_for_participants"])?;
    catalog.sensor("potsdam", "hr-rgb");
    for path in images.files(IMAGES)? {
        let named = stem(&path);
        let tile = named.strip_prefix("top_potsdam_").and_then(|rest| rest.strip_suffix("_RGB"));
        let tile = tile.ok_or_else(|| content(&path, "a name like top_potsdam_2_10_RGB.tif", named.clone()))?;
        let part = if TEST.contains(&tile) { "test" } else { "train" };
        let (geobox, alone) = catalog.placed(&path, 3, FINE)?;
        let (id, properties) = (id(&format!("potsdam-{tile}")), about(Some(part), made_up(alone)));
        let truth = labels.path().join(format!("top_potsdam_{tile}_label.tif"));
        // Of participants' labels those of the test are not there.
        if part == "train" || truth.is_file() {
            let truth = labels.file(&format!("top_potsdam_{tile}_label.tif"))?;
            let source = Source::Colours(&truth, &colours);
            catalog.labels(("potsdam-labels", &id, SOME_DAY), &source, (&classes, &geobox), properties.clone())?;
        }
        catalog.image("potsdam", &rgb(&id, path, geobox, SOME_DAY, properties))?;
    }
    Ok(())
}
