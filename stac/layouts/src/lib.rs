//! Downloaded data sets of others as STAC catalogs.
//!
//! [`adopt()`] reads a folder by the layout in which a data set is published and writes a static catalog: items of the images
//! where they lie, items of the labels, dates, names of classes, and the `split` of each. Every node that reads a catalog then
//! reads the data set.
//!
//! - **Labels** become class rasters whose values are the place of a class in the list + 1; 0 is not labelled. A scene's class
//!   is a raster of one pixel over the image, several classes are as many columns of one pixel each. Objects become text as
//!   DOTA has it, in pixels of their image.
//! - **Images that say where they lie** and lie close to each other stay as they are. Images that do not are given a place of
//!   their own on a made-up grid in the Gulf of Guinea, which the item says under `skysense:made_up`; their pixels stay where
//!   they are. Patches from all over the Earth, which no one grid holds, are copied to such places.
//!
//! One file for each layout in `sets`, and one line in the table.

mod catalog;
mod csv;
mod error;
mod folder;
mod item;
mod labels;
mod npy;
mod pixels;
mod sets;
mod shelves;
mod table;
mod xml;

pub use catalog::Adopted;
pub use error::LayoutError;
pub use table::{LAYOUTS, Layout, adopt, layout};
