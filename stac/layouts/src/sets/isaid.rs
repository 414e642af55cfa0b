//! iSAID for semantic segmentation: images of DOTA with masks in colours.
//!
//! ```text
//! train/images/P0000.png  train/Semantic_masks/images/P0000_instance_color_RGB.png
//! val/…                   test/images/…   (no masks)
//! train/images/P0000_instance_color_RGB.png     masks beside the images, as the set's devkit has them
//! train/images/images/P0000.png                 one folder deeper, as the zips unpack; masks alike
//! ```
//!
//! Colours: the set's own, as mmsegmentation lists them.

use std::path::PathBuf;

use super::{SOME_DAY, made_up, owned, rgb};
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::{Folder, IMAGES, stem};
use crate::item::{about, key};
use crate::labels::Source;
use crate::shelves::FINE;

const CLASSES: [(&str, [u8; 3]); 16] = [
    ("background", [0, 0, 0]),
    ("ship", [0, 0, 63]),
    ("storage_tank", [0, 63, 63]),
    ("baseball_diamond", [0, 63, 0]),
    ("tennis_court", [0, 63, 127]),
    ("basketball_court", [0, 63, 191]),
    ("ground_track_field", [0, 63, 255]),
    ("bridge", [0, 127, 63]),
    ("large_vehicle", [0, 127, 127]),
    ("small_vehicle", [0, 0, 127]),
    ("helicopter", [0, 0, 191]),
    ("swimming_pool", [0, 0, 255]),
    ("roundabout", [0, 191, 127]),
    ("soccer_ball_field", [0, 127, 191]),
    ("plane", [0, 127, 255]),
    ("harbor", [0, 100, 155]),
];

pub(crate) fn adopt(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let classes = owned(&CLASSES.map(|(name, _)| name));
    let colours = CLASSES.map(|(_, colour)| colour);
    catalog.sensor("isaid", "hr-rgb");
    for part in ["train", "val", "test"] {
        let inside = match (part, folder.maybe(part)) {
            // Its masks are not published, and many have not its images either.
            ("test", None) => continue,
            (_, Some(inside)) => inside,
            _ => folder.dir(part)?,
        };
        let images = unpacked(inside.dir("images")?);
        for path in images.files(IMAGES)? {
            // Masks may lie beside the images.
            if stem(&path).contains("_instance_") {
                continue;
            }
            let id = key(&path);
            let (geobox, alone) = catalog.placed(&path, 3, FINE)?;
            let properties = about(Some(part), made_up(alone));
            if part != "test" {
                let mask = mask(&inside, &images, &stem(&path))?;
                let source = Source::Colours(&mask, &colours);
                catalog.labels(("isaid-labels", &id, SOME_DAY), &source, (&classes, &geobox), properties.clone())?;
            }
            catalog.image("isaid", &rgb(&id, path, geobox, SOME_DAY, properties))?;
        }
    }
    Ok(())
}

/// A zip that was unpacked in the folder of its name has the name once more.
fn unpacked(images: Folder) -> Folder {
    images.maybe("images").unwrap_or(images)
}

/// The mask of an image: of the folder of masks, else beside the image.
fn mask(inside: &Folder, images: &Folder, image: &str) -> Result<PathBuf> {
    let name = format!("{image}_instance_color_RGB.png");
    let apart = inside.maybe("Semantic_masks").map(|masks| masks.maybe("images").map_or(masks, unpacked));
    let found = apart.iter().chain([images]).find_map(|folder| folder.maybe_file(&name));
    found.ok_or_else(|| {
        let expected = format!("{name} in Semantic_masks/images/ or beside its image");
        content(inside.path(), expected, apart.as_ref().unwrap_or(images).shown())
    })
}
