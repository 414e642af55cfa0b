//! A sheet of samples: what each modality shows, a sample beside the other.

use skysense_edges::{ModalityFacts, SampleBatch, Series};
use skysense_raster::Pixels;
use skysense_shards::{Part, ShardError, Shards};

use crate::tools::picture::canvas::Canvas;
use crate::tools::picture::panel::{radar, separated, stretched};

/// Pixels along a side of an image, between images, and of a line of text.
const SIDE: usize = 128;
const GAP: usize = 10;
const LINE: usize = 14;
/// Samples in a row.
const COLUMNS: usize = 3;

/// Bands that make red, green and blue, in the names of sensors and of plain images.
const RGB: [[&str; 3]; 2] = [["B04", "B03", "B02"], ["red", "green", "blue"]];

/// Draws `count` samples, spread evenly over the set, and names those that cannot be read.
pub(crate) fn draw(shards: &Shards, count: usize) -> (Canvas, Vec<ShardError>) {
    let modalities = &shards.manifest().header.modalities;
    let names: Vec<&str> =
        skysense_edges::MODALITIES.into_iter().filter(|name| modalities.contains_key(*name)).collect();
    let parts: Vec<_> = Part::ALL.into_iter().map(|part| (part, shards.part(part))).collect();
    let total: usize = parts.iter().map(|(_, reader)| reader.count()).sum();
    let count = count.min(total);
    let block = (names.len() * (SIDE + GAP) + GAP, SIDE + LINE + GAP);
    let rows = count.div_ceil(COLUMNS);
    let mut canvas = Canvas::new(COLUMNS.min(count.max(1)) * block.0 + GAP, rows.max(1) * block.1 + GAP);
    let mut bad = Vec::new();
    for place in 0..count {
        let mut number = place * total / count;
        let (x, y) = (GAP + place % COLUMNS * block.0, GAP + place / COLUMNS * block.1);
        let Some((part, reader)) = parts.iter().find(|(_, reader)| {
            let here = number < reader.count();
            number -= if here { 0 } else { reader.count() };
            here
        }) else {
            continue;
        };
        match reader.read(number) {
            Err(error) => bad.push(error),
            Ok(sample) => {
                let name = sample.place(0).map(|place| place.place).unwrap_or_default();
                let text = format!("{name} {} {}", sample.period(0), part.name());
                canvas.text_within(x, y, &text, block.0 - GAP);
                for (column, modality) in names.iter().enumerate() {
                    if let Some(image) = image(&sample, modality, &modalities[*modality]) {
                        canvas.paste(x + column * (SIDE + GAP), y + LINE, &image.resized(SIDE, SIDE));
                    }
                }
            }
        }
    }
    (canvas, bad)
}

/// The clearest date of a modality in colours.
fn image(sample: &SampleBatch, modality: &str, facts: &ModalityFacts) -> Option<Canvas> {
    let series = sample.series(modality, 0)?;
    let [_, _, height, width] = series.shape;
    let clear =
        |date: &usize| series.valid[date * height * width..][..height * width].iter().filter(|&&v| v != 0).count();
    // Of equally clear dates the first.
    let date = (0..series.shape[0]).rev().max_by_key(clear)?;
    let band = |band: usize| plane(&series, date, band);
    if facts.unit == "decibel" {
        let bands: Vec<Pixels> = (0..series.shape[1].min(2)).map(band).collect();
        return Some(stretched(&separated(radar(&bands).ok()?)));
    }
    let find = |name: &str| facts.bands.iter().position(|band| band.eq_ignore_ascii_case(name));
    let named = RGB.iter().find_map(|names| Some([find(names[0])?, find(names[1])?, find(names[2])?]));
    let last = series.shape[1] - 1;
    Some(stretched(&separated(named.unwrap_or([0, 1.min(last), 2.min(last)]).map(band))))
}

fn plane(series: &Series<'_>, date: usize, band: usize) -> Pixels {
    let [_, bands, height, width] = series.shape;
    let (area, first) = (height * width, (date * bands + band) * height * width);
    Pixels {
        values: (first..first + area).map(|at| series.pixels.get(at).unwrap_or(0.0)).collect(),
        valid: series.valid[date * area..][..area].to_vec(),
        width,
        height,
    }
}
