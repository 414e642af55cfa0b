//! The lists of samples: a month of a place each.

use std::path::Path;

use crate::csv::Table;
use crate::error::{Result, content, io};
use crate::folder::Folder;

/// A month of a place, with paths as the lists have them, from the folder of the data set.
pub(super) struct Sample {
    pub(super) part: String,
    /// `1311_3077_13_10N`.
    pub(super) place: String,
    /// `2018-01`.
    pub(super) month: String,
    /// The folder of daily images.
    pub(super) images: String,
    pub(super) labels: String,
    pub(super) sentinel_2: Option<String>,
    pub(super) sentinel_1: Option<String>,
}

/// All samples, of the table of torchgeo's redistribution or of the authors' lists.
pub(super) fn read(folder: &Folder) -> Result<Vec<Sample>> {
    if let Some(path) = ["split_info/splits.csv", "splits.csv"].iter().find_map(|name| folder.maybe_file(name)) {
        return table(&path);
    }
    let lists = folder.first(&["dynnet_training_splits", "split_info/splits", "split_info"])?;
    let mut samples = Vec::new();
    for part in ["train", "val", "test"] {
        let name = format!("{part}.txt");
        let (path, text) = (lists.path().join(&name), lists.text(&name)?);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [images, labels, month] = words[..] else {
                return Err(content(&path, "folder of images, file of labels and month in a line", line));
            };
            samples.push(sample(&path, part, [images, labels, month], [None, None])?);
        }
    }
    Ok(samples)
}

fn table(path: &Path) -> Result<Vec<Sample>> {
    let table = Table::parse(&std::fs::read_to_string(path).map_err(io(path))?, path)?;
    let [part, images, labels, month] =
        ["split", "planet_path", "label_path", "year_month"].map(|column| table.column(column, path));
    let (part, images, labels, month) = (part?, images?, labels?, month?);
    let sentinel = ["s2_path", "s1_path"].map(|column| table.maybe(column));
    let of = |row: &Vec<String>| {
        let sentinel = sentinel.map(|column| column.map(|column| row[column].as_str()));
        sample(path, &row[part], [&row[images], &row[labels], &row[month]], sentinel)
    };
    table.rows.iter().map(of).collect()
}

fn sample(
    path: &Path,
    part: &str,
    [images, labels, month]: [&str; 3],
    [sentinel_2, sentinel_1]: [Option<&str>; 2],
) -> Result<Sample> {
    let below = |path: &str| path.trim_start_matches('/').to_owned();
    let whole = |path: Option<&str>| path.map(below).filter(|path| !path.is_empty());
    // A table may name the day, too.
    let first = month.get(..7).map(|month| month.replace('_', "-"));
    let good =
        |month: &String| month.bytes().enumerate().all(|(at, c)| if at == 4 { c == b'-' } else { c.is_ascii_digit() });
    let Some(month) = first.filter(good) else {
        return Err(content(path, "a month like 2018-01", format!("{month:?} of {labels}")));
    };
    let place = place(labels).ok_or_else(|| content(path, "labels in a folder of their place", labels))?;
    Ok(Sample {
        part: part.into(),
        place: place.into(),
        month,
        images: below(images),
        labels: below(labels),
        sentinel_2: whole(sentinel_2),
        sentinel_1: whole(sentinel_1),
    })
}

/// The folder that holds `Labels`, else the one in which the file lies.
fn place(labels: &str) -> Option<&str> {
    let folders: Vec<&str> = labels.split('/').filter(|name| !name.is_empty()).collect();
    let (_, folders) = folders.split_last()?;
    match folders.iter().position(|name| *name == "Labels") {
        Some(at) if at > 0 => Some(folders[at - 1]),
        _ => folders.last().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_months() {
        assert_eq!(place("/labels/5111_4560_13_38S/Labels/Raster/x/x-2018_01_01.tif"), Some("5111_4560_13_38S"));
        assert_eq!((place("/labels/a/2018.tif"), place("2018.tif")), (Some("a"), None));
        let of = |month| sample(Path::new("train.txt"), "train", ["/a", "/labels/b/c.tif", month], [Some(""), None]);
        let good = of("2018_02-01").map(|sample| (sample.month, sample.images, sample.sentinel_2)).ok();
        assert_eq!(good, Some(("2018-02".into(), "a".into(), None)));
        let fault = of("Feb2018").err().map(|error| error.to_string());
        assert_eq!(
            fault.as_deref(),
            Some("train.txt: expected a month like 2018-01, found \"Feb2018\" of /labels/b/c.tif")
        );
    }
}
