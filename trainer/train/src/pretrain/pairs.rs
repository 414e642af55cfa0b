//! Which features of student and teacher show the same.
//!
//! A student's view and a teacher's view of a place are cropped and turned apart and show other dates. What both show is
//! found by where on the ground a pixel lies and by the date: each pixel of the student gets the row of the teacher's
//! features that shows the same, and a weight of 0 where there is none or where nothing was seen.

use skysense_contract::Modality;

use super::stream::Stream;
use super::view::View;

/// Features that are compared, of one stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pairs {
    /// Images of the student that have a counterpart.
    pub(super) images: Vec<i64>,
    /// `[image, pixel]` of these: the teacher's pixel, among all pixels of all of its images.
    pub(super) rows: Vec<i64>,
    /// `[image, pixel]`, 0 where a pixel does not count.
    pub(super) weights: Vec<f32>,
    /// `[image, pixel that is looked at]`: which of the pixels of all images here the loss of pixels looks at.
    pub(super) looked: Vec<i64>,
    /// The same for its weights.
    pub(super) looked_weights: Vec<f32>,
    /// Pixels of an image.
    pub(super) area: usize,
}

/// Views that are compared: of the student, of the teacher, and which with which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'a> {
    pub(super) students: &'a [&'a View],
    pub(super) teachers: &'a [&'a View],
    /// Places in both.
    pub(super) pairs: &'a [(usize, usize)],
    /// Pixels of an image that the loss of pixels looks at; `None` for all.
    pub(super) pixels: Option<usize>,
}

impl Compared<'_> {
    /// What is compared of a stream.
    pub(super) fn of(&self, stream: Stream) -> Pairs {
        let mut all = Pairs { area: self.students.first().map_or(0, |view| view.ground.len()), ..Pairs::default() };
        let [students, teachers] = [self.students, self.teachers].map(|views| time(views, stream));
        for &(student, teacher) in self.pairs {
            let (ours, theirs) = (self.students[student], self.teachers[teacher]);
            let counterparts = counterparts(ours, theirs);
            match stream {
                Stream::Fused => {
                    let counts = |pixel: usize, there: usize| ours.seen_at_all(pixel) && theirs.seen_at_all(there);
                    self.add(&mut all, (student, teacher, ours), &counterparts, counts);
                }
                Stream::Modality(modality) => {
                    for (date, there) in same_dates(ours, theirs, modality) {
                        let images = (student * students + date, teacher * teachers + there, ours);
                        let counts = |pixel, counterpart| {
                            ours.seen(modality, date, pixel) && theirs.seen(modality, there, counterpart)
                        };
                        self.add(&mut all, images, &counterparts, counts);
                    }
                }
            }
        }
        all
    }

    /// Adds an image of the student and its counterpart; nothing where no pixel of theirs counts.
    fn add(
        &self,
        all: &mut Pairs,
        (image, teacher, view): (usize, usize, &View),
        counterparts: &[Option<usize>],
        counts: impl Fn(usize, usize) -> bool,
    ) {
        let area = self.teachers[0].ground.len();
        let counted: Vec<bool> = counterparts
            .iter()
            .enumerate()
            .map(|(pixel, there)| there.is_some_and(|there| counts(pixel, there)))
            .collect();
        if !counted.contains(&true) {
            return;
        }
        let from = all.weights.len();
        all.images.push(image as i64);
        all.rows.extend(counterparts.iter().map(|there| (teacher * area + there.unwrap_or(0)) as i64));
        all.weights.extend(counted.iter().map(|counts| f32::from(u8::from(*counts))));
        // First those that count, so that as many as can be are looked at.
        let order = || view.order.iter().map(|pixel| *pixel as usize);
        let chosen = order().filter(|pixel| counted[*pixel]).chain(order().filter(|pixel| !counted[*pixel]));
        for pixel in chosen.take(self.pixels.unwrap_or(usize::MAX)) {
            all.looked.push((from + pixel) as i64);
            all.looked_weights.push(f32::from(u8::from(counted[pixel])));
        }
    }
}

/// Dates of the longest series, which all are padded to.
fn time(views: &[&View], stream: Stream) -> usize {
    let Stream::Modality(modality) = stream else { return 1 };
    views.iter().filter_map(|view| view.shown.get(&modality)).map(|shown| shown.dates.len()).max().unwrap_or(0)
}

/// Dates that both show, by their places in both.
fn same_dates(ours: &View, theirs: &View, modality: Modality) -> Vec<(usize, usize)> {
    let Some((ours, theirs)) = ours.shown.get(&modality).zip(theirs.shown.get(&modality)) else { return Vec::new() };
    let same = |(at, date): (usize, &usize)| Some((at, theirs.dates.iter().position(|other| other == date)?));
    ours.dates.iter().enumerate().filter_map(same).collect()
}

/// For each pixel the one of the other view that lies on the same ground.
fn counterparts(ours: &View, theirs: &View) -> Vec<Option<usize>> {
    let most = ours.ground.iter().chain(&theirs.ground).max().map_or(0, |most| *most as usize + 1);
    let mut at = vec![None; most];
    for (pixel, ground) in theirs.ground.iter().enumerate() {
        at[*ground as usize] = Some(pixel);
    }
    ours.ground.iter().map(|ground| at[*ground as usize]).collect()
}
