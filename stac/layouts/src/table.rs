//! The table of layouts.

use std::path::Path;

use crate::catalog::{Adopted, Catalog};
use crate::error::{LayoutError, Result};
use crate::folder::Folder;
use crate::sets;

/// A layout.
pub struct Layout {
    /// What it is called.
    pub name: &'static str,
    /// The data set.
    pub title: &'static str,
    /// `task` of `skysense.finetune`.
    pub task: &'static str,
    /// Side of its images in pixels of the 10 m grid, where they have one and a chip shall hold one image.
    side: Option<usize>,
    adopt: fn(&Folder, &mut Catalog<'_>) -> Result<()>,
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Layout").field("name", &self.name).field("task", &self.task).finish_non_exhaustive()
    }
}

macro_rules! layouts {
    ($($name:literal, $title:literal, $task:literal, $side:expr, $adopt:path;)*) => {
        /// All layouts: those of the data sets that the paper evaluates on.
        pub const LAYOUTS: &[Layout] = &[
            $(Layout { name: $name, title: $title, task: $task, side: $side, adopt: $adopt },)*
        ];
    };
}

layouts! {
    "dynamicearthnet-planet", "DynamicEarthNet, Planet", "segmentation", None, sets::dynamicearthnet::planet;
    "isaid", "iSAID", "segmentation", None, sets::isaid::adopt;
    "potsdam", "ISPRS Potsdam", "segmentation", None, sets::potsdam::adopt;
    "dynamicearthnet-s2", "DynamicEarthNet, Sentinel-2", "segmentation", None, sets::dynamicearthnet::s2;
    "dior", "DIOR", "detection", None, sets::objects::dior;
    "dior-r", "DIOR-R", "oriented_detection", None, sets::objects::dior_r;
    "fair1m", "FAIR1M", "oriented_detection", None, sets::objects::fair1m;
    "levir-cd", "LEVIR-CD", "change", Some(32), sets::levir::adopt;
    "oscd", "OSCD", "change", None, sets::oscd::adopt;
    "aid", "AID", "classification", Some(20), sets::scenes::aid;
    "resisc45", "NWPU-RESISC45", "classification", Some(8), sets::scenes::resisc45;
    "bigearthnet-s2", "BigEarthNet, Sentinel-2", "multi_label", Some(120), sets::bigearthnet::s2;
    "fmow-s2", "fMoW-Sentinel", "classification", Some(96), sets::fmow::adopt;
    "dynamicearthnet-mm", "DynamicEarthNet, Planet with Sentinel-2 and Sentinel-1", "segmentation", None, sets::dynamicearthnet::mm;
    "pastis", "PASTIS-R and PASTIS-HD", "segmentation", Some(128), sets::pastis::adopt;
    "bigearthnet-mm", "BigEarthNet-MM", "multi_label", Some(120), sets::bigearthnet::mm;
}

/// The layout of a name.
///
/// # Errors
/// [`LayoutError::Unknown`].
pub fn layout(name: &str) -> std::result::Result<&'static Layout, LayoutError> {
    let known = || LAYOUTS.iter().map(|layout| layout.name).collect();
    LAYOUTS
        .iter()
        .find(|layout| layout.name == name)
        .ok_or_else(|| LayoutError::Unknown { name: name.into(), known: known() })
}

/// Writes the catalog of a data set to `out`, which must not be there or be empty. `tell` hears how many items there are, and
/// ends it with `false`; then, as after any error, nothing is left.
///
/// # Errors
/// A layout that is not known, and what in the folder is not as it says: with the file, what was expected and what was found.
pub fn adopt(
    name: &str,
    folder: &Path,
    out: &Path,
    tell: &mut dyn FnMut(usize) -> bool,
) -> std::result::Result<Adopted, LayoutError> {
    let layout = layout(name)?;
    let folder = Folder::root(folder)?;
    let mut catalog = Catalog::begin(out, layout.side, tell)?;
    (layout.adopt)(&folder, &mut catalog)?;
    catalog.finish(layout.name, layout.title, folder.path())
}
