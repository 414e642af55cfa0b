//! Views of a place: what the two networks see of it, and which of its pixels each of theirs shows.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use skysense_contract::{Input, Modality};

use super::Place;
use super::augment::{Crops, Photometric};
use crate::augment::{Turn, drop_modalities};
use crate::dataset::{Bands, Prepared, Target, Truth, prepare_series};
use crate::{Augmentation, SampleSeries};

/// Days that a disturbed date may fall on, from 0: 31 December of a leap year is the last.
const DAYS: i64 = 366;

/// One view.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    /// As the model takes it.
    pub(super) sample: Prepared,
    /// What it shows of the place, by modality; those that `sample` has.
    pub(super) shown: BTreeMap<Modality, Shown>,
    /// The pixel of the place under each of its pixels on the 10 m grid.
    pub(super) ground: Vec<u32>,
    /// Its pixels in a random order: the first of them that count are those that the loss of pixels looks at.
    pub(super) order: Vec<u32>,
}

/// What a view shows of one modality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Which dates of the place, in their order.
    pub(super) dates: Vec<usize>,
    /// `[date, height, width]` on the 10 m grid, 0 where nothing was seen.
    pub(super) valid: Vec<u8>,
}

/// All views of a place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Views {
    /// What messages call the place.
    pub(super) name: String,
    /// Longitude and latitude.
    pub(super) centre: [f64; 2],
    /// What both networks see.
    pub(super) globals: [View; 2],
    /// What the student alone sees.
    pub(super) locals: Vec<View>,
}

/// How views are made.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) inputs: BTreeMap<Modality, Input>,
    pub(super) bands: BTreeMap<Modality, Bands>,
    /// Side of a place in pixels of the 10 m grid.
    pub(super) of: usize,
    /// Side of a view.
    pub(super) size: usize,
    pub(super) crops: Crops,
    pub(super) augmentation: Augmentation,
    pub(super) photometric: Photometric,
    pub(super) day_jitter: usize,
}

impl Viewer {
    /// Views of a place, a function of the place and the generator.
    ///
    /// # Errors
    /// A place that does not hold what the offers say, or nothing that can be seen; in words.
    pub(super) fn views(&self, place: &Place, rng: &mut ChaCha8Rng) -> Result<Views, String> {
        self.check(place)?;
        // A date that every view may show: without one in common two views have nothing to compare.
        let anchors: BTreeMap<Modality, usize> = place
            .series
            .iter()
            .map(|(modality, series)| (*modality, rng.random_range(0..series.datetimes.len().max(1))))
            .collect();
        let corners = self.crops.globals(self.of, self.size, rng);
        let [first, second] = [0, 1].map(|view| self.view(place, &anchors, (corners[view], self.size), rng));
        let globals = [first?, second?];
        if globals.iter().any(|view| view.sample.series.is_empty()) {
            return Err("no pixel of one view is valid on any date".into());
        }
        let mut locals = Vec::new();
        for local in 0..self.crops.locals {
            let corner = Crops::local(corners[local % 2], self.size, self.crops.local_size, rng);
            locals.push(self.view(place, &anchors, (corner, self.crops.local_size), rng)?);
        }
        Ok(Views { name: place.name.clone(), centre: place.centre, globals, locals })
    }

    /// Whether a place holds what it should.
    fn check(&self, place: &Place) -> Result<(), String> {
        if place.series.is_empty() {
            return Err("it has no acquisition".into());
        }
        for (modality, series) in &place.series {
            let unknown = || format!("{modality} is not among the offers");
            let (input, bands) = self.inputs.get(modality).zip(self.bands.get(modality)).ok_or_else(unknown)?;
            let (time, side) = (series.datetimes.len(), self.of * input.scale);
            let wanted = [time * bands.of * side * side, time * side * side];
            if [series.pixels.len(), series.valid.len()] != wanted {
                return Err(format!(
                    "{modality}: {} pixel values and {} of validity, expected {time} dates × {} bands × {side} × {side}",
                    series.pixels.len(),
                    series.valid.len(),
                    bands.of
                ));
            }
        }
        let [longitude, latitude] = place.centre;
        if !(longitude.is_finite() && (-90.0..=90.0).contains(&latitude)) {
            return Err(format!("its centre is longitude {longitude} and latitude {latitude}, expected degrees"));
        }
        Ok(())
    }

    fn view(
        &self,
        place: &Place,
        anchors: &BTreeMap<Modality, usize>,
        (corner, size): ([usize; 2], usize),
        rng: &mut ChaCha8Rng,
    ) -> Result<View, String> {
        let turn = Turn::draw(rng);
        let turn = self.augmentation.turns.then_some(turn);
        let mut series = BTreeMap::new();
        let mut shown = BTreeMap::new();
        for (modality, whole) in &place.series {
            let (input, bands) = (&self.inputs[modality], &self.bands[modality]);
            let side = size * input.scale;
            let dates = some_dates(whole.datetimes.len(), input.dates, self.augmentation.dates, anchors[modality], rng);
            let window = Window { corner: corner.map(|at| at * input.scale), side, of: self.of * input.scale };
            let part = cut(whole, bands.of, &dates, window);
            let (mut prepared, seen) =
                prepare_series(&part, input, bands, side).map_err(|fault| format!("{modality}: {fault}"))?;
            if *modality == Modality::Hr {
                // Before it is turned: noise of the light knows no direction, and blur none either.
                let band = bands.sources.len();
                for date in prepared.pixels.chunks_exact_mut(band * side * side) {
                    self.photometric.vary(date, side, rng);
                }
            }
            let jitter = self.day_jitter as i64;
            for day in &mut prepared.days {
                *day = (*day + rng.random_range(-jitter..=jitter)).rem_euclid(DAYS);
            }
            let mut valid: Vec<u8> = on_grid(&seen.valid, side, input.scale);
            if let Some(turn) = turn {
                prepared.pixels = turn.planes(&prepared.pixels, side);
                valid = turn.planes(&valid, size);
            }
            let dates: Vec<usize> = seen.dates.iter().map(|date| dates[*date]).collect();
            if !dates.is_empty() {
                let _new = series.insert(*modality, prepared);
                let _new = shown.insert(*modality, Shown { dates, valid });
            }
        }
        let targets = vec![Target { class: Some(0), validates: false }; size * size];
        let mut sample =
            Prepared { series, before: BTreeMap::new(), targets, truth: Truth::Pixels, size, region: None };
        drop_modalities(&mut sample, self.augmentation.modality_dropout, rng);
        shown.retain(|modality, _| sample.series.contains_key(modality));
        let ground = ground(corner, size, self.of);
        let ground = turn.map_or_else(|| ground.clone(), |turn| turn.planes(&ground, size));
        let mut order: Vec<u32> = (0..(size * size) as u32).collect();
        order.shuffle(rng);
        Ok(View { sample, shown, ground, order })
    }
}

impl View {
    /// Whether a pixel of a date that it shows was seen.
    pub(super) fn seen(&self, modality: Modality, date: usize, pixel: usize) -> bool {
        let area = self.ground.len();
        self.shown.get(&modality).is_some_and(|shown| shown.valid[date * area + pixel] != 0)
    }

    /// Whether a pixel was seen on any date of any modality.
    pub(super) fn seen_at_all(&self, pixel: usize) -> bool {
        let area = self.ground.len();
        self.shown.values().any(|shown| shown.valid.iter().skip(pixel).step_by(area).any(|valid| *valid != 0))
    }
}

/// Places of the dates of a view: a random number of them between the least share and all, at most `most`, `anchor` among
/// them.
fn some_dates(count: usize, most: usize, least: f64, anchor: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let most = most.min(count);
    let fewest = ((count as f64 * least).ceil() as usize).clamp(1, most.max(1));
    let wanted = rng.random_range(fewest..=most.max(fewest));
    let mut others: Vec<usize> = (0..count).filter(|date| *date != anchor).collect();
    others.shuffle(rng);
    let mut dates: Vec<usize> =
        std::iter::once(anchor).filter(|anchor| *anchor < count).chain(others).take(wanted.min(count)).collect();
    dates.sort_unstable();
    dates
}

/// A square window of square planes, in pixels of its own grid.
#[derive(Debug, Clone, Copy)]
struct Window {
    corner: [usize; 2],
    side: usize,
    of: usize,
}

/// Some dates of a series within a window.
fn cut(series: &SampleSeries, bands: usize, dates: &[usize], window: Window) -> SampleSeries {
    let Window { corner: [x, y], side, of } = window;
    let rows = |plane: usize| (y..y + side).map(move |row| plane * of * of + row * of + x);
    let mut part = SampleSeries {
        pixels: Vec::with_capacity(dates.len() * bands * side * side),
        valid: Vec::with_capacity(dates.len() * side * side),
        datetimes: dates.iter().map(|date| series.datetimes[*date]).collect(),
    };
    for date in dates {
        for from in (0..bands).flat_map(|band| rows(date * bands + band)) {
            part.pixels.extend_from_slice(&series.pixels[from..from + side]);
        }
        for from in rows(*date) {
            part.valid.extend_from_slice(&series.valid[from..from + side]);
        }
    }
    part
}

/// Validity of finer planes on the 10 m grid: a pixel counts where any part of it was seen.
fn on_grid(valid: &[u8], side: usize, scale: usize) -> Vec<u8> {
    if scale == 1 {
        return valid.to_vec();
    }
    let size = side / scale;
    let mut coarse = vec![0; valid.len() / (scale * scale)];
    for (at, _) in valid.iter().enumerate().filter(|(_, valid)| **valid != 0) {
        let (plane, place) = (at / (side * side), at % (side * side));
        coarse[plane * size * size + place / side / scale * size + place % side / scale] = 1;
    }
    coarse
}

/// Pixels of a place of side `of` under a window of it.
fn ground([x, y]: [usize; 2], size: usize, of: usize) -> Vec<u32> {
    (0..size * size).map(|at| ((y + at / size) * of + x + at % size) as u32).collect()
}
