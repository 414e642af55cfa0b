//! The layouts: one file each, or one for those that are alike.

pub(crate) mod bigearthnet;
pub(crate) mod dynamicearthnet;
pub(crate) mod fmow;
pub(crate) mod isaid;
pub(crate) mod levir;
pub(crate) mod objects;
pub(crate) mod oscd;
pub(crate) mod pastis;
pub(crate) mod potsdam;
pub(crate) mod scenes;

use std::path::PathBuf;

use serde_json::Map;
use skysense_grid::GeoBox;

use crate::item::{File, Image, RGB, named};

/// Names as owned text.
pub(crate) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// When an image was taken of which the data set does not say it: told as made up.
pub(crate) const SOME_DAY: &str = "2000-01-01T00:00:00Z";

/// An image of red, green and blue in one file.
pub(crate) fn rgb(
    id: &str,
    path: PathBuf,
    geobox: GeoBox,
    datetime: &str,
    properties: Map<String, serde_json::Value>,
) -> Image {
    let file = File { key: "image".into(), path, bands: named(RGB), geobox, scale: None };
    Image { id: id.into(), datetime: datetime.into(), files: vec![file], properties }
}

/// What is made up of an image of which nobody knows when it was taken, and maybe not where.
pub(crate) fn made_up(place: bool) -> &'static [&'static str] {
    if place { &["place", "date"] } else { &["date"] }
}
