//! Samples made ready for the model: checked, filled as inference fills, labels as class indices, split.

use std::collections::BTreeMap;

use skysense_contract::{Checksum, Class, Dtype, GeoContext, Input, Layout, Modality, Value, day_index, fill};

use crate::samples::Samples;
use crate::split::Split;
use crate::{Labels, Sample, SampleSeries, TrainError, Use};

/// A sample ready for the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prepared {
    pub(crate) series: BTreeMap<Modality, PreparedSeries>,
    /// Those of an earlier time, where a task compares two.
    pub(crate) before: BTreeMap<Modality, PreparedSeries>,
    /// `[height, width]`.
    pub(crate) targets: Vec<Target>,
    /// What is known beside the classes of pixels.
    pub(crate) truth: Truth,
    /// Side in pixels of the 10 m grid.
    pub(crate) size: usize,
    /// Region whose prototypes it gets, where the model has some.
    pub(crate) region: Option<usize>,
}

impl Prepared {
    /// Adds all that it holds to a checksum.
    pub(crate) fn tell(&self, sum: &mut Checksum) {
        for (modality, series) in self.series.iter().chain(&self.before) {
            sum.add(modality.name().as_bytes());
            series.days.iter().for_each(|day| sum.add(&day.to_le_bytes()));
            sum.floats(&series.pixels);
        }
        self.region.iter().for_each(|region| sum.add(&region.to_le_bytes()));
        let targets: Vec<u8> =
            self.targets.iter().flat_map(|t| [t.class.unwrap_or(u8::MAX), u8::from(t.validates)]).collect();
        sum.add(&targets);
        match &self.truth {
            Truth::Pixels => {}
            Truth::Values(values) => sum.floats(values),
            Truth::Chip(classes) => sum.add(&classes.iter().map(|has| u8::from(*has)).collect::<Vec<_>>()),
        }
    }

    /// Whether the chip as a whole validates: more of what counts of it does than does not.
    pub(crate) fn validates(&self) -> bool {
        let counts = || self.targets.iter().filter(|target| target.class.is_some());
        2 * counts().filter(|target| target.validates).count() > counts().count()
    }

    /// Whether any of its pixels trains.
    pub(crate) fn trains(&self) -> bool {
        !self.series.is_empty() && self.targets.iter().any(|t| t.class.is_some() && !t.validates)
    }
}

/// What is known of a sample beside the classes of its pixels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Truth {
    /// Nothing.
    Pixels,
    /// `[height, width]`, a quantity where a target has a class.
    Values(Vec<f32>),
    /// Whether the chip has each class.
    Chip(Vec<bool>),
}

/// A filled series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PreparedSeries {
    /// `[time, band, side, side]` in the contract's unit.
    pub(crate) pixels: Vec<f32>,
    /// Day of the year − 1 of each date.
    pub(crate) days: Vec<i64>,
    /// Side in pixels of its own grid.
    pub(crate) side: usize,
}

/// Where the model's bands lie in the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bands {
    /// Index of each band of the model.
    pub(crate) sources: Vec<usize>,
    /// Count of bands in the samples.
    pub(crate) of: usize,
}

/// What is known of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Index of its class; `None` where it has no label or no valid pixel.
    pub(crate) class: Option<u8>,
    /// Whether it validates and does not train.
    pub(crate) validates: bool,
}

/// How labels become classes. Without a class labels are not looked at: every valid pixel counts, as the only class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Legend<'a> {
    pub(crate) classes: &'a [Class],
    pub(crate) ignore: &'a [u8],
}

impl Legend<'_> {
    /// Index of a label's class; `None` for one that is ignored.
    fn class(&self, label: u8) -> Result<Option<u8>, String> {
        if self.classes.is_empty() {
            return Ok(Some(0));
        }
        if self.ignore.contains(&label) {
            return Ok(None);
        }
        match self.classes.iter().position(|class| class.value == label) {
            Some(index) => Ok(Some(index as u8)),
            None => {
                let known: Vec<_> = self.classes.iter().map(|class| class.value.to_string()).collect();
                let ignored: Vec<_> = self.ignore.iter().map(ToString::to_string).collect();
                Err(format!(
                    "label {label} is no class ({}) and not ignored ({}); add the class, or ignore the value",
                    known.join(", "),
                    ignored.join(", ")
                ))
            }
        }
    }
}

/// Prepares samples; `inputs` names the modalities with their bands. Which pixels validate is set later.
pub(crate) fn prepare(
    samples: &[Sample],
    inputs: &BTreeMap<Modality, Input>,
    bands: &BTreeMap<Modality, Bands>,
    size: usize,
    legend: Legend<'_>,
) -> Result<Vec<Prepared>, TrainError> {
    let one = |(index, sample): (usize, &Sample)| {
        prepare_one(sample, (inputs, bands), size, legend).map_err(|fault| TrainError::Sample { sample: index, fault })
    };
    samples.iter().enumerate().map(one).collect()
}

/// One of them.
pub(crate) fn prepare_one(
    sample: &Sample,
    (inputs, bands): (&BTreeMap<Modality, Input>, &BTreeMap<Modality, Bands>),
    size: usize,
    legend: Legend<'_>,
) -> Result<Prepared, String> {
    let (series, mut valid) = prepare_all(&sample.series, (inputs, bands), size)?;
    let mut before = BTreeMap::new();
    if !sample.before.is_empty() {
        let seen;
        (before, seen) = prepare_all(&sample.before, (inputs, bands), size)?;
        // What was not seen at both times cannot be compared.
        valid.iter_mut().zip(seen).for_each(|(valid, seen)| *valid &= seen);
    }
    let (targets, truth) = targets(&sample.labels, &valid, size, legend)?;
    Ok(Prepared { series, before, targets, truth, size, region: None })
}

/// What is known of pixels and chip, of pixels that were seen.
fn targets(labels: &Labels, valid: &[bool], size: usize, legend: Legend<'_>) -> Result<(Vec<Target>, Truth), String> {
    let check = |found: usize| match found == size * size {
        true => Ok(()),
        false => Err(format!("{found} labels, expected {size} × {size}")),
    };
    let target = |class: Option<u8>| Target { class, validates: false };
    let all = || valid.iter().map(|valid| target(valid.then_some(0))).collect();
    match labels {
        Labels::Classes(labels) => {
            check(labels.len())?;
            let one = |(label, valid): (&u8, &bool)| Ok(target(legend.class(*label)?.filter(|_| *valid)));
            let targets = labels.iter().zip(valid).map(one).collect::<Result<_, String>>()?;
            Ok((targets, Truth::Pixels))
        }
        Labels::Values(values) => {
            check(values.len())?;
            let known = values.iter().zip(valid).map(|(value, valid)| value.is_finite() && *valid);
            Ok((known.map(|known| target(known.then_some(0))).collect(), Truth::Values(values.clone())))
        }
        Labels::Chip(labels) => {
            let mut has = vec![false; legend.classes.len()];
            for label in labels {
                if let Some(class) = legend.class(*label)? {
                    has[usize::from(class)] = true;
                }
            }
            Ok((all(), Truth::Chip(has)))
        }
    }
}

/// The filled series of one time, and which pixels any of them shows.
fn prepare_all(
    all: &BTreeMap<Modality, SampleSeries>,
    (inputs, bands): (&BTreeMap<Modality, Input>, &BTreeMap<Modality, Bands>),
    size: usize,
) -> Result<(BTreeMap<Modality, PreparedSeries>, Vec<bool>), String> {
    let mut series = BTreeMap::new();
    let mut any_valid = vec![false; size * size];
    for (modality, from) in all {
        let unknown = || format!("{modality} is not among the offers");
        let (input, bands) = inputs.get(modality).zip(bands.get(modality)).ok_or_else(unknown)?;
        let side = size * input.scale;
        let (prepared, seen) =
            prepare_series(from, input, bands, side).map_err(|fault| format!("{modality}: {fault}"))?;
        for (at, _) in seen.valid.iter().enumerate().filter(|(_, valid)| **valid != 0) {
            let place = at % (side * side);
            any_valid[place / side / input.scale * size + place % side / input.scale] = true;
        }
        if !prepared.days.is_empty() {
            series.insert(*modality, prepared);
        }
    }
    Ok((series, any_valid))
}

/// What of a series was there before it was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Places of the dates that stay among those of the sample.
    pub(crate) dates: Vec<usize>,
    /// `[date that stays, side, side]`, 0 where a pixel was filled.
    pub(crate) valid: Vec<u8>,
}

/// Fills a series, and says what of it was there before.
pub(crate) fn prepare_series(
    from: &SampleSeries,
    input: &Input,
    bands: &Bands,
    side: usize,
) -> Result<(PreparedSeries, Seen), String> {
    let (time, band, area) = (from.datetimes.len(), bands.of, side * side);
    if from.pixels.len() != time * band * area || from.valid.len() != time * area {
        let found = (from.pixels.len(), from.valid.len());
        return Err(format!(
            "{} pixel values and {} of validity, expected {time} dates × {band} bands × {side} × {side}",
            found.0, found.1
        ));
    }
    let good = |date: usize, place: usize| {
        from.valid[date * area + place] != 0
            && bands.sources.iter().all(|b| from.pixels[(date * band + b) * area + place].is_finite())
    };
    let valid: Vec<u8> = (0..time * area).map(|at| u8::from(good(at / area, at % area))).collect();
    let kept: Vec<usize> = (0..time).filter(|date| valid[date * area..][..area].contains(&1)).collect();
    if kept.len() > input.dates {
        return Err(format!("{} dates, expected at most {}", kept.len(), input.dates));
    }
    let planes = kept.iter().flat_map(|date| bands.sources.iter().map(move |b| (date * band + b) * area));
    let mut pixels: Vec<f32> = planes.flat_map(|plane| &from.pixels[plane..][..area]).copied().collect();
    let band = bands.sources.len();
    let mask: Vec<u8> = kept.iter().flat_map(|date| &valid[date * area..][..area]).copied().collect();
    let instants: Vec<i64> = kept.iter().map(|date| from.datetimes[*date]).collect();
    fill(&mut pixels, &mask, &instants, Layout { time: kept.len(), band, area });
    // The graphs take the contract's type, so training sees the rounding that inference sees.
    pixels.iter_mut().for_each(|value| *value = rounded(*value, input.dtype));
    let days = instants.iter().map(|instant| day_index(*instant)).collect();
    Ok((PreparedSeries { pixels, days, side }, Seen { dates: kept, valid: mask }))
}

fn rounded(value: f32, dtype: Dtype) -> f32 {
    match dtype {
        Dtype::U8 => f32::from(u8::from_f64(f64::from(value))),
        Dtype::I16 => f32::from(i16::from_f64(f64::from(value))),
        Dtype::F32 => value,
    }
}

/// Gives each sample the region whose prototypes it gets, where the model has some.
///
/// # Errors
/// A sample of which it is not known where it lies.
pub(crate) fn locate(
    samples: &dyn Samples,
    prepared: &mut [Prepared],
    context: Option<&GeoContext>,
) -> Result<(), TrainError> {
    let Some(context) = context else { return Ok(()) };
    for (index, ready) in prepared.iter_mut().enumerate() {
        let [longitude, latitude] = samples.outline(index).centre.ok_or_else(|| TrainError::Sample {
            sample: index,
            fault: "it has no longitude and latitude, and the model has prototypes by region; leave these out, or \
                    give the centre of each sample"
                .into(),
        })?;
        ready.region = Some(context.region(longitude, latitude));
    }
    Ok(())
}

/// Counts labelled pixels by block of the map, so that a split can be made of them.
pub(crate) fn labelled_blocks(
    samples: &dyn Samples,
    prepared: &[Prepared],
    block: usize,
) -> BTreeMap<(i64, i64), usize> {
    let mut blocks = BTreeMap::new();
    for (index, ready) in prepared.iter().enumerate() {
        let [x, y] = samples.outline(index).origin;
        for (place, _) in ready.targets.iter().enumerate().filter(|(_, target)| target.class.is_some()) {
            let (x, y) = (x + (place % ready.size) as i64, y + (place / ready.size) as i64);
            *blocks.entry(Split::block_of(block, x, y)).or_insert(0) += 1;
        }
    }
    blocks
}

/// Marks the pixels that validate: those that are said to, or those of the blocks of a split.
///
/// # Errors
/// A sample that says it of another number of pixels.
pub(crate) fn mark(samples: &dyn Samples, prepared: &mut [Prepared], split: &Split) -> Result<(), TrainError> {
    for (index, ready) in prepared.iter_mut().enumerate() {
        let (sample, size) = (samples.outline(index), ready.size);
        if let Some(uses) = sample.uses {
            if uses.len() != ready.targets.len() {
                let fault = format!("{} uses, expected {size} × {size}", uses.len());
                return Err(TrainError::Sample { sample: index, fault });
            }
            for (target, given) in ready.targets.iter_mut().zip(uses) {
                target.validates = *given == Use::Validates;
                target.class = target.class.filter(|_| *given != Use::Neither);
            }
            continue;
        }
        for (place, target) in ready.targets.iter_mut().enumerate() {
            let (x, y) = ((place % size) as i64, (place / size) as i64);
            target.validates = split.validates(sample.origin[0] + x, sample.origin[1] + y);
        }
    }
    Ok(())
}

/// Labelled pixels by class, of the part that trains or of the part that validates.
pub(crate) fn class_counts(prepared: &[Prepared], classes: usize, validates: bool) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for target in prepared.iter().flat_map(|sample| &sample.targets).filter(|t| t.validates == validates) {
        if let Some(class) = target.class {
            counts[usize::from(class)] += 1;
        }
    }
    counts
}

#[cfg(test)]
pub(crate) mod tests {
    use skysense_contract::{Division, Unit};

    use super::*;

    /// A sample of 2 × 2 pixels with this many modalities (S2, S1) and dates.
    pub(crate) fn prepared(modalities: usize, dates: usize) -> Prepared {
        let series = |modality: usize| PreparedSeries {
            pixels: (0..dates * 4).map(|i| (100 * modality + i) as f32).collect(),
            days: (0..dates as i64).map(|date| 10 * date).collect(),
            side: 2,
        };
        let kinds = [Modality::S2, Modality::S1];
        Prepared {
            series: kinds.into_iter().take(modalities).enumerate().map(|(i, m)| (m, series(i))).collect(),
            before: BTreeMap::new(),
            targets: vec![Target { class: Some(0), validates: false }; 4],
            truth: Truth::Pixels,
            size: 2,
            region: None,
        }
    }

    fn inputs() -> BTreeMap<Modality, Input> {
        let input = Input {
            bands: vec!["B02".into()],
            unit: Unit::ReflectanceE4,
            dtype: Dtype::I16,
            mean: vec![0.0],
            std: vec![1.0],
            dates: 4,
            scale: 1,
        };
        BTreeMap::from([(Modality::S2, input)])
    }

    fn bands() -> BTreeMap<Modality, Bands> {
        BTreeMap::from([(Modality::S2, Bands { sources: vec![0], of: 1 })])
    }

    #[test]
    fn bands_are_taken_from_where_they_lie() {
        let classes = classes();
        let legend = Legend { classes: &classes, ignore: &[] };
        let mut sample = sample([3, 3, 3, 3]);
        let series = sample.series.get_mut(&Modality::S2).unwrap();
        (series.pixels, series.valid, series.datetimes) =
            (vec![f32::NAN, 9.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0], vec![1; 4], vec![0]);
        let bands = BTreeMap::from([(Modality::S2, Bands { sources: vec![1], of: 2 })]);
        let ready = prepare(&[sample], &inputs(), &bands, 2, legend).unwrap().remove(0);
        assert_eq!(ready.series[&Modality::S2].pixels, [1.0, 2.0, 3.0, 4.0]);
    }

    fn classes() -> Vec<Class> {
        [3, 7].map(|value| Class { value, name: value.to_string(), color: "000000".into() }).to_vec()
    }

    fn sample(labels: [u8; 4]) -> Sample {
        let series = SampleSeries {
            pixels: vec![1.4, 2.0, 3.0, f32::NAN, 5.0, 6.0, 7.0, f32::NAN],
            valid: vec![1, 1, 1, 1, 1, 0, 1, 1],
            datetimes: vec![0, 86_400_000],
        };
        Sample {
            series: BTreeMap::from([(Modality::S2, series)]),
            labels: labels.to_vec().into(),
            origin: [10, 20],
            ..Sample::default()
        }
    }

    #[test]
    fn pixels_are_filled_and_labels_become_classes() {
        let classes = classes();
        let legend = Legend { classes: &classes, ignore: &[0, 255] };
        let ready = prepare(&[sample([3, 7, 0, 3])], &inputs(), &bands(), 2, legend).unwrap().remove(0);
        let series = &ready.series[&Modality::S2];
        // Pixel 1 of date 1 takes date 0; pixel 3 is on no date a number and takes the lower median of 1.4, 2,
        // 3, 5, 7; then all are rounded to the type.
        assert_eq!(series.pixels, [1.0, 2.0, 3.0, 3.0, 5.0, 2.0, 7.0, 3.0]);
        assert_eq!(series.days, [0, 1]);
        let found: Vec<_> = ready.targets.iter().map(|target| target.class).collect();
        assert_eq!(found, [Some(0), Some(1), None, None]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let classes = classes();
        let legend = Legend { classes: &classes, ignore: &[0] };
        let fault = |sample: Sample| prepare(&[sample], &inputs(), &bands(), 2, legend).unwrap_err().to_string();
        assert!(fault(sample([3, 7, 9, 3])).contains("label 9 is no class (3, 7) and not ignored (0)"));
        let mut short = sample([3, 3, 3, 3]);
        short.labels = vec![3; 3].into();
        assert!(fault(short).contains("3 labels, expected 2 × 2"));
        let mut short = sample([3, 3, 3, 3]);
        short.series.get_mut(&Modality::S2).unwrap().pixels.pop();
        assert!(fault(short).contains("s2: 7 pixel values"));
    }

    #[test]
    fn samples_get_the_region_of_their_centre() {
        let classes = classes();
        let legend = Legend { classes: &classes, ignore: &[] };
        let mut samples = [sample([3, 3, 3, 3])];
        let mut ready = prepare(&samples, &inputs(), &bands(), 2, legend).unwrap();
        let division = Division::EqualArea(64);
        let context = GeoContext { division, cells: Vec::new(), prototypes: 1, width: None };
        let error = locate(&samples, &mut ready, Some(&context)).unwrap_err().to_string();
        assert!(error.contains("no longitude and latitude"), "{error}");
        locate(&samples, &mut ready, None).unwrap();
        assert_eq!(ready[0].region, None);
        samples[0].centre = Some([14.6, 48.2]);
        locate(&samples, &mut ready, Some(&context)).unwrap();
        assert_eq!(ready[0].region, Some(division.cell(14.6, 48.2)));
    }

    #[test]
    fn blocks_are_counted_and_marked_by_place_on_the_map() {
        let classes = classes();
        let samples = [sample([3, 3, 3, 3])];
        let mut ready = prepare(&samples, &inputs(), &bands(), 2, Legend { classes: &classes, ignore: &[] }).unwrap();
        let blocks = labelled_blocks(&samples, &ready, 1);
        assert_eq!(blocks.keys().copied().collect::<Vec<_>>(), [(10, 20), (10, 21), (11, 20)]);
        let split = Split::new(1, 0.3, &blocks, 1);
        mark(&samples, &mut ready, &split).unwrap();
        assert_eq!(class_counts(&ready, 2, true), [1, 0]);
        assert_eq!(class_counts(&ready, 2, false), [2, 0]);
    }

    #[test]
    fn pixels_are_used_as_is_said_and_those_for_nothing_have_no_class() {
        let mut sample = sample([1, 1, 2, 2]);
        sample.uses = Some(vec![Use::Trains, Use::Validates, Use::Neither, Use::Trains]);
        let classes: Vec<Class> =
            [1, 2].map(|value| Class { value, name: value.to_string(), color: "000000".into() }).into();
        let legend = Legend { classes: &classes, ignore: &[] };
        let samples = [sample.clone()];
        let mut ready = prepare(&samples, &inputs(), &bands(), 2, legend).unwrap();
        // A split that would have all of it validate has nothing to say.
        let blocks = BTreeMap::from([((-9, -9), 1), ((0, 0), 1)]);
        mark(&samples, &mut ready, &Split::new(8, 0.9, &blocks, 1)).unwrap();
        let found: Vec<_> = ready[0].targets.iter().map(|target| (target.class, target.validates)).collect();
        // Nothing shows the last pixel.
        assert_eq!(found, [(Some(0), false), (Some(0), true), (None, false), (None, false)]);
        sample.uses = Some(vec![Use::Trains]);
        let told = mark(&vec![sample], &mut ready, &Split::new(8, 0.0, &blocks, 1)).unwrap_err().to_string();
        assert!(told.contains("1 uses, expected 2 × 2"), "{told}");
    }
}
