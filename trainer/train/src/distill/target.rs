//! What a student should give for a batch: the teacher's features, drawn as the student's input was.

use skysense_contract::Modality;

use super::level::Level;
use super::teacher::Features;
use crate::augment::Drawn;
use crate::dataset::Prepared;

/// A sample of a batch: what the student sees, what was done to it, and what the teacher gives for the whole of it.
pub(super) struct Lesson<'a> {
    pub(super) sample: &'a Prepared,
    /// `None` where the sample is as it was.
    pub(super) drawn: Option<&'a Drawn>,
    pub(super) features: &'a Features,
}

/// Targets of a level, in the order of the student's positions.
pub(super) struct Target {
    /// `[position, channel]`, standardised.
    pub(super) values: Vec<f32>,
    /// `[position]`, 1 where a position counts, else 0.
    pub(super) weights: Vec<f32>,
    pub(super) channels: usize,
}

impl Target {
    /// Of all positions together.
    pub(super) fn weight(&self) -> f64 {
        self.weights.iter().map(|weight| f64::from(*weight)).sum()
    }
}

/// The target of a level for a batch; pixels count that belong to the wanted part. `None` where no sample has the
/// level's modality.
///
/// Series are padded to the longest of the batch, as their inputs are. A date counts where the teacher has it too: if a
/// band is not a number on a whole date, a model without that band keeps the date and another does not; then the
/// sample's dates of that modality do not count.
pub(super) fn target(lessons: &[Lesson<'_>], level: Level, channels: usize, validates: bool) -> Option<Target> {
    let time = match level {
        Level::Fused => 1,
        Level::Encoder(modality) => {
            lessons.iter().map(|lesson| lesson.dates(modality)).max().filter(|time| *time > 0)?
        }
    };
    let size = lessons.first()?.sample.size;
    let area = size * size;
    let mut target = Target {
        values: vec![0.0; lessons.len() * time * area * channels],
        weights: vec![0.0; lessons.len() * time * area],
        channels,
    };
    for (index, lesson) in lessons.iter().enumerate() {
        let Some(maps) = lesson.features.maps.get(&level) else { continue };
        for (at, date) in lesson.places(level).into_iter().enumerate() {
            let maps = &maps[date * channels * area..][..channels * area];
            let turned = lesson.drawn.map(|drawn| drawn.planes(maps, size));
            let maps = turned.as_deref().unwrap_or(maps);
            let from = (index * time + at) * area;
            for (place, pixel) in lesson.sample.targets.iter().enumerate() {
                target.weights[from + place] =
                    f32::from(u8::from(pixel.class.is_some() && pixel.validates == validates));
                let row = &mut target.values[(from + place) * channels..][..channels];
                for (channel, value) in row.iter_mut().enumerate() {
                    *value = maps[channel * area + place];
                }
            }
        }
    }
    Some(target)
}

impl Lesson<'_> {
    fn dates(&self, modality: Modality) -> usize {
        self.sample.series.get(&modality).map_or(0, |series| series.days.len())
    }

    /// Where the sample's dates lie among the teacher's; none where they are not the same dates.
    fn places(&self, level: Level) -> Vec<usize> {
        let Level::Encoder(modality) = level else { return vec![0] };
        let Some((series, days)) = self.sample.series.get(&modality).zip(self.features.days.get(&modality)) else {
            return Vec::new();
        };
        let places = match self.drawn {
            Some(drawn) => drawn.dates.get(&modality).cloned().unwrap_or_default(),
            None => (0..days.len()).collect(),
        };
        let found: Option<Vec<i64>> = places.iter().map(|place| days.get(*place).copied()).collect();
        if found.as_ref() == Some(&series.days) { places } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::augment::Augmentation;
    use crate::dataset::tests::prepared;
    use crate::random::{Purpose, rng};

    /// A teacher that gives the pixels themselves back, in one channel.
    fn mirror(sample: &Prepared) -> Features {
        let series = &sample.series[&Modality::S2];
        let fused = series.pixels[..4].to_vec();
        Features {
            maps: BTreeMap::from([(Level::Fused, fused), (Level::Encoder(Modality::S2), series.pixels.clone())]),
            days: BTreeMap::from([(Modality::S2, series.days.clone())]),
        }
    }

    #[test]
    fn targets_follow_turns_and_dates_of_the_input() {
        let sample = prepared(1, 5);
        let features = mirror(&sample);
        let mut shorter = false;
        for step in 0..40 {
            let mut random: ChaCha8Rng = rng(3, Purpose::Augment, step);
            let (input, drawn) = Augmentation::default().draw(std::borrow::Cow::Borrowed(&sample), &mut random);
            let lesson = Lesson { sample: &input, drawn: Some(&drawn), features: &features };
            let target = target(&[lesson], Level::Encoder(Modality::S2), 1, false).unwrap();
            let pixels = &input.series[&Modality::S2].pixels;
            assert_eq!(&target.values, pixels);
            assert_eq!(target.weights, vec![1.0; pixels.len()]);
            shorter |= pixels.len() < 20;
        }
        assert!(shorter, "no date was left out in any draw");
    }

    #[test]
    fn padding_other_dates_and_the_other_part_do_not_count() {
        let (mut long, short) = (prepared(1, 2), prepared(1, 1));
        long.targets[3].validates = true;
        let (of_long, mut of_short) = (mirror(&long), mirror(&short));
        let weights = |of_short: &Features, validates| {
            let lessons = [
                Lesson { sample: &long, drawn: None, features: &of_long },
                Lesson { sample: &short, drawn: None, features: of_short },
            ];
            target(&lessons, Level::Encoder(Modality::S2), 1, validates).unwrap().weights
        };
        let one = [1.0, 1.0, 1.0, 0.0];
        assert_eq!(weights(&of_short, false), [&one[..], &one, &[1.0; 4], &[0.0; 4]].concat());
        assert_eq!(weights(&of_short, true), [&[0.0, 0.0, 0.0, 1.0][..], &[0.0, 0.0, 0.0, 1.0], &[0.0; 8]].concat());
        of_short.days.insert(Modality::S2, vec![7]);
        assert_eq!(weights(&of_short, false)[8..], [0.0; 8], "the teacher saw another date");
    }
}
