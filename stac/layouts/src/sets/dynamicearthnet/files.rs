//! Where the parts of a sample lie, by the names that the copies in use have.
//!
//! The lists name `/reprocess-cropped/UTM-24000/<zone>/…`, and archives unpack to `planet/<zone>/…` or
//! `planet.<zone>/planet/<zone>/…`; six folders of labels have a dash in place of their last underscore
//! (`5111_4560_13-38S`), and dates have either.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::lists::Sample;
use crate::error::Result;
use crate::folder::{Folder, stem};

/// What the authors' lists have in place of `planet/`.
const LISTED: &str = "reprocess-cropped/UTM-24000/";

pub(super) struct Files {
    root: Folder,
    /// Folders in which those of the zones may lie.
    planet: Vec<Folder>,
    labels: Index,
    sentinel_2: Index,
    sentinel_1: Index,
}

impl Files {
    /// Looks through labels and, where they are wanted, Sentinel-2 and Sentinel-1.
    pub(super) fn of(folder: &Folder, optical: bool, radar: bool) -> Result<Self> {
        let (mut labels, mut planet) = (Index::default(), vec![folder.clone()]);
        for inside in folder.dirs()? {
            let name = inside.name().to_ascii_lowercase();
            if name.contains("labels") {
                labels.add(&inside)?;
            } else if name == "planet" || name.starts_with("planet.") {
                planet.extend(inside.maybe("planet"));
                planet.push(inside);
            }
        }
        let series = |wanted: bool, name: &str| -> Result<Index> {
            let mut index = Index::default();
            if wanted {
                index.add(&folder.dir(name)?)?;
            }
            Ok(index)
        };
        let (sentinel_2, sentinel_1) = (series(optical, "sentinel2")?, series(radar, "sentinel1")?);
        Ok(Self { root: folder.clone(), planet, labels, sentinel_2, sentinel_1 })
    }

    pub(super) fn labels(&self, sample: &Sample) -> Option<PathBuf> {
        self.root.maybe_file(&sample.labels).or_else(|| self.labels.get(sample))
    }

    pub(super) fn sentinel_2(&self, sample: &Sample) -> Option<PathBuf> {
        let named = sample.sentinel_2.as_ref().and_then(|path| self.root.maybe_file(path));
        named.or_else(|| self.sentinel_2.get(sample))
    }

    pub(super) fn sentinel_1(&self, sample: &Sample) -> Option<PathBuf> {
        let named = sample.sentinel_1.as_ref().and_then(|path| self.root.maybe_file(path));
        named.or_else(|| self.sentinel_1.get(sample))
    }

    /// The image of the month's first day, with which labels are drawn.
    pub(super) fn planet(&self, sample: &Sample) -> Option<PathBuf> {
        let listed = [LISTED, "planet/"].iter().find_map(|before| sample.images.strip_prefix(before));
        let below = listed.unwrap_or(&sample.images);
        let folders = self.root.maybe(&sample.images);
        let folders = folders.into_iter().chain(self.planet.iter().filter_map(|folder| folder.maybe(below)));
        let names = [format!("{}-01.tif", sample.month), format!("{}_01.tif", plain(&sample.month))];
        folders.into_iter().find_map(|folder| names.iter().find_map(|name| folder.maybe_file(name)))
    }
}

/// Files by the folders above them, or the name before their date, and their month.
#[derive(Default)]
struct Index(BTreeMap<(String, String), PathBuf>);

impl Index {
    fn add(&mut self, folder: &Folder) -> Result<()> {
        for path in folder.deep("tif")? {
            let name = plain(&stem(&path));
            let Some((before, month)) = month(&name) else { continue };
            let below = path.strip_prefix(folder.path()).unwrap_or(&path).parent().into_iter();
            let mut places: Vec<String> =
                below.flat_map(|below| below.iter()).map(|folder| plain(&folder.to_string_lossy())).collect();
            places.push(before.trim_end_matches('_').to_owned());
            for place in places {
                // The folders of images are named without the zone, those of labels with it.
                if let Some((short, _)) = place.rsplit_once('_') {
                    self.0.entry((short.to_owned(), month.to_owned())).or_insert_with(|| path.clone());
                }
                self.0.entry((place, month.to_owned())).or_insert_with(|| path.clone());
            }
        }
        Ok(())
    }

    /// The file of a sample: by the place, the folder above that of the images, or that of the labels.
    fn get(&self, sample: &Sample) -> Option<PathBuf> {
        let month = plain(&sample.month);
        let above = |path: &str, last: &str| {
            let folders: Vec<&str> = path.split('/').collect();
            let end = folders.iter().position(|name| *name == last).unwrap_or(folders.len());
            folders[..end].last().map(|name| plain(name))
        };
        let file = sample.labels.rsplit('/').next().unwrap_or_default();
        let places = [Some(plain(&sample.place)), above(&sample.images, "PF-SR"), above(&sample.labels, file)];
        places.into_iter().flatten().find_map(|place| self.0.get(&(place, month.clone())).cloned())
    }
}

/// Dashes and underscores stand for each other.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// What stands before the last month of the 2010s in a plain name, such as `2018_01`, and the month.
fn month(name: &str) -> Option<(&str, &str)> {
    let bytes = name.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let here = |at: &usize| {
        let at = *at;
        name.get(at..at + 7).is_some_and(|text| text.starts_with("201"))
            && [3, 5, 6].iter().all(|step| digit(at + step))
            && bytes[at + 4] == b'_'
            && !digit(at + 7)
            && (at == 0 || !digit(at - 1))
    };
    let at = (0..name.len().saturating_sub(6)).rev().find(here)?;
    Some((&name[..at], &name[at..at + 7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_in_names() {
        assert_eq!(month("5111_4560_13_2018_01_01"), Some(("5111_4560_13_", "2018_01")));
        assert_eq!(month("2019_12"), Some(("", "2019_12")));
        for none in ["2018", "5111_4560_13", "12018_01", "2018_011", "é2018-01", ""] {
            assert_eq!(month(none), None, "{none}");
        }
    }
}
