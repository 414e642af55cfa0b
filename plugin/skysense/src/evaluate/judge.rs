//! Counts what a model says against what is true, pixel by pixel or chip by chip.

use skysense_abi::NodeError;
use skysense_contract::{Class, Task};
use skysense_edges::{ChipBatch, ClassFacts, MapBatch, MapFacts, PixelsRef};
use skysense_grid::Window;
use skysense_metric::MetricError;
use skysense_raster::Rows;
use skysense_train::Labels;

use super::band::Band;
use super::{Counts, Shown, Worst};
use crate::tools::rgb;
use crate::training::{Known, LabelDates, LabelReader, LabelSource, Part, PlannedSplit, Span, Truth};

/// How it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) truth: Truth,
    /// Values of classes that do not count.
    pub(crate) ignore: &'a [u8],
    /// Side of the blocks that intervals are drawn from.
    pub(crate) block: usize,
    /// The strip of the map that is scored; all of it where left out.
    pub(crate) strip: Option<Window>,
    /// The part of a given split that is scored, with the split.
    pub(crate) split: Option<(&'a PlannedSplit, Part)>,
    pub(crate) dates: LabelDates,
    /// Chips that are shown.
    pub(crate) worst: usize,
}

/// Counts what a model says against what is true.
pub(crate) struct Judge<'a> {
    facts: &'a MapFacts,
    labels: LabelReader,
    band: Band,
    truth: Truth,
    /// The place of each value among the classes.
    places: [Option<usize>; 256],
    strip: Option<Window>,
    part: Option<Part>,
    dates: LabelDates,
    /// The span that labels must overlap, of the period that is looked at.
    span: Option<Span>,
    period: String,
    pub(crate) counts: Counts,
    pub(crate) worst: Worst,
}

impl<'a> Judge<'a> {
    /// Opens the labels; nothing is counted yet.
    ///
    /// # Errors
    /// Labels that cannot be opened.
    pub(crate) fn new(facts: &'a MapFacts, labels: &[LabelSource], rules: Rules<'_>) -> Result<Self, NodeError> {
        let scored = facts.classes.iter().filter(|class| !rules.ignore.contains(&class.value));
        let class =
            |class: &ClassFacts| Class { value: class.value, name: class.name.clone(), color: class.color.clone() };
        let classes: Vec<Class> = scored.map(class).collect();
        let mut places = [None; 256];
        facts.classes.iter().enumerate().for_each(|(place, class)| places[usize::from(class.value)] = Some(place));
        let counts = Counts::new(rules.truth.task, facts.classes.len(), rules.block).map_err(|error| wrong(&error))?;
        let crs = &facts.chips.geobox.crs;
        Ok(Self {
            facts,
            labels: LabelReader::open(labels, &classes, crs)?.with_split(rules.split.map(|(split, _)| split), crs)?,
            band: Band::new(facts.chips.geobox.width),
            truth: rules.truth,
            places,
            strip: rules.strip,
            part: rules.split.map(|(_, part)| part),
            dates: rules.dates,
            span: None,
            period: String::new(),
            counts,
            worst: Worst::new(rules.worst),
        })
    }

    /// Hears of which period the next chips and rows are.
    pub(crate) fn of_period(&mut self, period: &str) {
        if self.period != period {
            period.clone_into(&mut self.period);
            self.span = self.dates.span(&self.facts.chips, period);
            self.band = Band::new(self.facts.chips.geobox.width);
        }
    }

    fn inside(&self, x: i64, y: i64) -> bool {
        self.strip.as_ref().is_none_or(|p| x >= p.x && x < p.right() && y >= p.y && y < p.bottom())
    }

    /// Sees to it that the truth of these rows is known.
    fn reach(&mut self, from: i64, to: i64) -> Result<(), NodeError> {
        let (grid, ignored) = (&self.facts.chips.geobox, self.labels.ignored());
        let to = to.min(grid.height as i64);
        let (part, span) = (self.part, self.span);
        self.band.reach(from, to, |window| {
            let Some(Known { labels, parts }) = self.truth.of(&self.labels, (grid, &window), span)? else {
                return Ok(vec![f32::NAN; window.area()]);
            };
            let mut values: Vec<f32> = match labels {
                Labels::Values(values) => values,
                Labels::Classes(values) => {
                    values.iter().map(|value| if *value == ignored { f32::NAN } else { f32::from(*value) }).collect()
                }
                Labels::Chip(_) => vec![f32::NAN; window.area()],
            };
            if let (Some(parts), Some(_)) = (parts, part) {
                let others = values.iter_mut().zip(parts).filter(|(_, of)| *of != part);
                others.for_each(|(value, _)| *value = f32::NAN);
            }
            Ok(values)
        })
    }

    /// Counts finished rows of a map.
    ///
    /// # Errors
    /// Labels that cannot be read, values that are none.
    pub(crate) fn rows(&mut self, rows: &Rows) -> Result<(), NodeError> {
        let (first, end) = (rows.y as i64, (rows.y + rows.height) as i64);
        if rows.height == 0 {
            return Ok(());
        }
        self.reach(first, end)?;
        let area = rows.width * rows.height;
        for at in (0..area).filter(|at| rows.valid[*at] != 0) {
            let (x, y) = ((at % rows.width) as i64, first + (at / rows.width) as i64);
            let truth = self.band.at(x, y);
            if truth.is_nan() || !self.inside(x, y) {
                continue;
            }
            let place = [x as f64, y as f64];
            let mut given = rows.values.iter().skip(at).step_by(area).copied();
            let counted = if self.truth.task == Task::Regression {
                self.counts.value(place, f64::from(truth), given.next().map_or(f64::NAN, f64::from))
            } else {
                match self.places[usize::from(truth as u8)] {
                    Some(class) => self.counts.class(place, class, given),
                    None => Ok(()),
                }
            };
            counted.map_err(|error| wrong(&error))?;
        }
        self.band.forget(end);
        Ok(())
    }

    /// Counts a whole chip by its centre.
    ///
    /// # Errors
    /// As [`Judge::rows`].
    pub(crate) fn chip(&mut self, values: &[f32], valid: &[u8], window: &Window) -> Result<(), NodeError> {
        let (x, y) = (window.x + window.width as i64 / 2, window.y + window.height as i64 / 2);
        let Some(seen) = valid.iter().position(|valid| *valid != 0).filter(|_| self.inside(x, y)) else {
            return Ok(());
        };
        let grid = &self.facts.chips.geobox;
        let Some(Known { labels: Labels::Chip(has), parts }) =
            self.truth.of(&self.labels, (grid, window), self.span)?
        else {
            return Ok(());
        };
        if self.part.is_some() && parts.is_some_and(|parts| parts.first().copied().flatten() != self.part) {
            return Ok(());
        }
        let place = [x as f64, y as f64];
        let given = || values.iter().skip(seen).step_by(valid.len()).copied();
        let counted = match self.truth.task {
            Task::MultiLabel => {
                let truth: Vec<bool> = self.facts.classes.iter().map(|class| has.contains(&class.value)).collect();
                self.counts.labels(place, &truth, &given().map(f64::from).collect::<Vec<_>>())
            }
            _ => match has.first().and_then(|value| self.places[usize::from(*value)]) {
                Some(class) => self.counts.class(place, class, given()),
                None => Ok(()),
            },
        };
        counted.map_err(|error| wrong(&error))
    }

    /// Keeps a chip as pictures if it is among the worst.
    ///
    /// # Errors
    /// Labels that cannot be read.
    pub(crate) fn show(
        &mut self,
        maps: &MapBatch,
        row: usize,
        window: &Window,
        seen: Option<&(ChipBatch, usize)>,
    ) -> Result<(), NodeError> {
        let (values, valid) = (maps.values(row), maps.valid(row));
        let (x, y) = (window.x + window.width as i64 / 2, window.y + window.height as i64 / 2);
        // Of whole chips the truth is one colour.
        if self.truth.task.of_chips() || !self.worst.any() || !self.inside(x, y) {
            return Ok(());
        }
        self.reach(window.y, window.bottom())?;
        let area = valid.len();
        let known: Vec<f32> = (0..area)
            .map(|at| self.band.at(window.x + (at % window.width) as i64, window.y + (at / window.width) as i64))
            .collect();
        let color = |class: usize| rgb(&self.facts.classes[class].color).unwrap_or([128; 3]);
        let (mut truth, mut found) = (vec![GREY; area], vec![GREY; area]);
        let (mut count, mut error) = (0_u32, 0.0_f64);
        let of_values = self.truth.task == Task::Regression;
        let numbers = || known.iter().copied().filter(|value| !value.is_nan());
        let range = [numbers().fold(f32::INFINITY, f32::min), numbers().fold(f32::NEG_INFINITY, f32::max)];
        for at in (0..area).filter(|at| valid[*at] != 0 && !known[*at].is_nan()) {
            if of_values {
                count += 1;
                error += f64::from(values[at] - known[at]).powi(2);
                (truth[at], found[at]) = (shade(known[at], range), shade(values[at], range));
                continue;
            }
            let Some(class) = self.places[usize::from(known[at] as u8)] else { continue };
            let given = values.iter().skip(at).step_by(area).enumerate();
            let first = (0, f32::NEG_INFINITY);
            let best = given.fold(first, |best, (class, v)| if *v > best.1 { (class, *v) } else { best }).0;
            count += 1;
            error += f64::from(u8::from(best != class));
            (truth[at], found[at]) = (color(class), color(best));
        }
        let error = error / f64::from(count.max(1));
        let error = if of_values { error.sqrt() } else { error };
        if count > 0 && self.worst.wants(error) {
            let mut pictures = Vec::new();
            pictures.extend(seen.and_then(|(chips, row)| Some(("seen", self.picture(chips, *row)?))));
            pictures.extend([("truth", truth), ("found", found)]);
            let (place, period) = ([window.x, window.y], maps.period(row).to_owned());
            self.worst.add(Shown { place, period, error, side: maps.side(), pictures });
        }
        Ok(())
    }

    /// The clearest date of Sentinel-2 in natural colours.
    fn picture(&self, chips: &ChipBatch, row: usize) -> Option<Vec<[u8; 3]>> {
        let bands = &self.facts.chips.modalities.get("s2")?.bands;
        let place = |name: &str| bands.iter().position(|band| band == name);
        let channels = [place("B04")?, place("B03")?, place("B02")?];
        let series = chips.series("s2", row)?;
        let PixelsRef::I16(pixels) = series.pixels else { return None };
        let area = self.facts.chips.chip_size.pow(2);
        let clear = |date: &usize| series.valid[date * area..][..area].iter().filter(|valid| **valid != 0).count();
        let date = (0..series.datetimes.len()).max_by_key(clear)?;
        // Reflectance of 0.3 is white.
        let byte = |value: i16| (f64::from(value) / 3000.0 * 255.0).clamp(0.0, 255.0) as u8;
        let pixel = |at: usize| channels.map(|band| byte(pixels[(date * bands.len() + band) * area + at]));
        Some((0..area).map(pixel).collect())
    }
}

/// What has no label.
const GREY: [u8; 3] = [200, 200, 200];

/// A value from blue to yellow over a range.
fn shade(value: f32, [low, high]: [f32; 2]) -> [u8; 3] {
    let share = ((value - low) / (high - low).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
    let mix = |from: f32, to: f32| (from + (to - from) * share) as u8;
    [mix(40.0, 250.0), mix(60.0, 220.0), mix(140.0, 60.0)]
}

/// What cannot be counted is a mistake of the model's, such as a probability that is not a number.
pub(crate) fn wrong(error: &MetricError) -> NodeError {
    NodeError::from_error("evaluate.values", error)
}
