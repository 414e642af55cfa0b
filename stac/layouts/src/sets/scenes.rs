//! AID and NWPU-RESISC45: a folder for each class, an image for each scene.
//!
//! ```text
//! Airport/airport_1.jpg …
//! ```
//!
//! Neither set has a split of its own; papers draw 20 or 50 % (AID), 10 or 20 % (RESISC-45) of each class at random and seldom
//! say which. Here each image has a `rank` in its class from 0 to 1, by a hash of its name: `filter: rank < 0.2` are 20 % of each
//! class, the same for everybody. That is not the draw of the paper.

use serde_json::json;

use super::{SOME_DAY, made_up, rgb};
use crate::catalog::Catalog;
use crate::error::{Result, content};
use crate::folder::{Folder, IMAGES, name};
use crate::item::{about, id, key};
use crate::labels::Source;
use crate::shelves::FINE;

pub(crate) fn aid(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    adopt(folder, catalog, ("aid", 30))
}

pub(crate) fn resisc45(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    adopt(folder, catalog, ("resisc45", 45))
}

fn adopt(folder: &Folder, catalog: &mut Catalog<'_>, (set, count): (&str, usize)) -> Result<()> {
    let folders = folder.dirs()?;
    if folders.len() != count {
        return Err(content(folder.path(), format!("{count} folders, one for each class"), folders.len().to_string()));
    }
    let classes: Vec<String> = folders.iter().map(Folder::name).collect();
    let labels = format!("{set}-labels");
    catalog.sensor(set, "hr-rgb");
    for (class, inside) in folders.iter().enumerate() {
        let files = inside.files(IMAGES)?;
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by_key(|at| (hash(&name(&files[*at])), *at));
        let mut rank = vec![0.0; files.len()];
        order.iter().enumerate().for_each(|(place, at)| rank[*at] = place as f64 / files.len() as f64);
        for (path, rank) in files.into_iter().zip(rank) {
            let (geobox, alone) = catalog.placed(&path, 3, FINE)?;
            // Names of files may repeat in other folders.
            let id = id(&format!("{}-{}", classes[class], key(&path)));
            let mut properties = about(None, made_up(alone));
            properties.insert("rank".into(), json!(rank));
            let class = [class as u8];
            let source = Source::Scene(&class);
            catalog.labels((&labels, &id, SOME_DAY), &source, (&classes, &geobox), properties.clone())?;
            catalog.image(set, &rgb(&id, path, geobox, SOME_DAY, properties))?;
        }
    }
    Ok(())
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
