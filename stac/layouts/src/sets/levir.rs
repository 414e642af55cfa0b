//! LEVIR-CD: two times of each place, and what was built or torn down.
//!
//! ```text
//! train/A/train_1.png  train/B/train_1.png  train/label/train_1.png   (0 unchanged, 255 changed)
//! val/…  test/…
//! A/train_1.png  B/train_1.png  label/train_1.png  A/val_1.png …      (as torchgeo has it: the part in the name)
//! ```

use super::{made_up, owned, rgb};
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::{Folder, IMAGES, name, stem};
use crate::item::{about, key};
use crate::labels::Source;
use crate::pixels::probe;
use crate::shelves::FINE;

/// The set says years alone, and not which image is of which: both are made up.
const TIMES: [(&str, &str); 2] = [("A", "2002-01-01T00:00:00Z"), ("B", "2018-01-01T00:00:00Z")];

const PARTS: [&str; 3] = ["train", "val", "test"];

pub(crate) fn adopt(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let classes = owned(&["unchanged", "changed"]);
    let numbers = [(0.0, Some(0)), (255.0, Some(1)), (1.0, Some(1))];
    let flat = folder.first(&["train", "A"])?.name() == "A";
    if flat {
        parts_in_names(&folder.dir("A")?)?;
    }
    for part in PARTS {
        let inside = if flat { folder.clone() } else { folder.dir(part)? };
        let (earlier, later, label) = (inside.dir("A")?, inside.dir("B")?, inside.dir("label")?);
        for path in earlier.files(IMAGES)? {
            if flat && !stem(&path).starts_with(part) {
                continue;
            }
            let (file, id) = (name(&path), key(&path));
            let (geobox, alone) = catalog.placed(&path, 3, FINE)?;
            let properties = about(Some(part), made_up(alone));
            let after = later.file(&file)?;
            let size = probe(&after)?;
            if (size.width, size.height) != (geobox.width, geobox.height) {
                let (expected, found) = ((geobox.width, geobox.height), (size.width, size.height));
                return Err(content(
                    &after,
                    format!("{} × {} pixels, as in A", expected.0, expected.1),
                    format!("{} × {}", found.0, found.1),
                ));
            }
            let truth = label.file(&file)?;
            let source = Source::Numbers(&truth, &numbers);
            catalog.labels(("levir-cd-labels", &id, TIMES[1].1), &source, (&classes, &geobox), properties.clone())?;
            for ((_, time), (collection, path)) in
                TIMES.iter().zip([("levir-cd-before", path.clone()), ("levir-cd-after", after)])
            {
                catalog.sensor(collection, "hr-rgb");
                catalog.image(collection, &rgb(&id, path, geobox.clone(), time, properties.clone()))?;
            }
        }
    }
    Ok(())
}

/// All images of one folder must begin with their part.
fn parts_in_names(images: &Folder) -> Result<()> {
    for path in images.files(IMAGES)? {
        if !PARTS.iter().any(|part| stem(&path).starts_with(part)) {
            return Err(content(&path, "a name that begins with train, val or test", name(&path)));
        }
    }
    Ok(())
}
