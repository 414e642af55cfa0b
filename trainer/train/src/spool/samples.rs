//! Samples whose pixels, validity and labels wait in a file.

use std::borrow::Cow;
use std::path::Path;

use super::{Fields, Record, Spool};
use crate::samples::{Outline, Samples};
use crate::{Labels, Sample, SampleSeries, TrainError};

/// Samples of which only what is small is held; the rest lies in a file that goes with the value. What training makes of
/// them goes to another one in the same folder.
///
/// They train to the same bits as samples that are held.
#[derive(Debug)]
pub struct SpooledSamples {
    spool: Spool,
    /// Each without what is in the file.
    small: Vec<Sample>,
    record: Record,
}

impl SpooledSamples {
    /// None so far, in a folder that is made if it is not there.
    ///
    /// # Errors
    /// [`TrainError::Spool`]: a folder where no file can be made.
    pub fn new(folder: &Path) -> Result<Self, TrainError> {
        Ok(Self { spool: Spool::new(folder)?, small: Vec::new(), record: Record::default() })
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// [`TrainError::Spool`]: a file that cannot be written, such as on a full disk.
    pub fn push(&mut self, mut sample: Sample) -> Result<(), TrainError> {
        self.record.clear();
        for series in series(&mut sample) {
            self.record.floats(&std::mem::take(&mut series.pixels));
            self.record.bytes(&std::mem::take(&mut series.valid));
        }
        match &mut sample.labels {
            Labels::Values(values) => self.record.floats(&std::mem::take(values)),
            Labels::Classes(labels) | Labels::Chip(labels) => self.record.bytes(&std::mem::take(labels)),
        }
        self.spool.push(self.record.written())?;
        self.small.push(sample);
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.small.is_empty()
    }
}

/// All series of a sample, in the order of the file.
fn series(sample: &mut Sample) -> impl Iterator<Item = &mut SampleSeries> {
    sample.series.values_mut().chain(sample.before.values_mut())
}

/// Puts into a sample what the file has of it.
fn fill(sample: &mut Sample, mut fields: Fields<'_>) -> Option<()> {
    for series in series(sample) {
        (series.pixels, series.valid) = (fields.floats()?, fields.bytes()?);
    }
    match &mut sample.labels {
        Labels::Values(values) => *values = fields.floats()?,
        Labels::Classes(labels) | Labels::Chip(labels) => *labels = fields.bytes()?,
    }
    Some(())
}

impl Samples for SpooledSamples {
    fn count(&self) -> usize {
        self.small.len()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError> {
        let mut sample = self.small[index].clone();
        let record = self.spool.read(index)?;
        fill(&mut sample, Fields::new(&record)).ok_or_else(|| self.spool.damaged("it holds another sample"))?;
        Ok(Cow::Owned(sample))
    }

    fn outline(&self, index: usize) -> Outline<'_> {
        Outline::of(&self.small[index])
    }

    fn spool(&self) -> Option<&Path> {
        Some(self.spool.folder())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use skysense_contract::Modality;

    use super::*;
    use crate::Use;

    fn sample(at: usize) -> Sample {
        let series = |from: usize| SampleSeries {
            pixels: (from..from + 8).map(|value| value as f32 / 2.0).collect(),
            valid: vec![1, 0, 1, (from % 2) as u8],
            datetimes: vec![from as i64],
        };
        Sample {
            series: BTreeMap::from([(Modality::S2, series(at)), (Modality::S1, series(at + 100))]),
            before: BTreeMap::from([(Modality::S2, series(at + 1000))]),
            labels: match at % 3 {
                0 => Labels::Classes(vec![1, 2, 3, at as u8]),
                1 => Labels::Values(vec![0.25, -1.0, at as f32, 0.0]),
                _ => Labels::Chip(vec![at as u8]),
            },
            uses: at.is_multiple_of(2).then(|| vec![Use::Trains, Use::Validates, Use::Neither, Use::Trains]),
            origin: [at as i64, -1],
            centre: Some([at as f64, 48.0]),
        }
    }

    #[test]
    fn samples_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let mut spooled = SpooledSamples::new(folder.path()).unwrap();
        assert!(spooled.is_empty());
        let held: Vec<Sample> = (0..6).map(sample).collect();
        held.iter().for_each(|sample| spooled.push(sample.clone()).unwrap());
        assert_eq!(spooled.count(), 6);
        for at in [5, 0, 3, 2, 4, 1] {
            assert_eq!(*spooled.sample(at).unwrap(), held[at]);
            assert_eq!(spooled.outline(at), held.outline(at));
            let small = &spooled.small[at];
            assert!(small.series.values().all(|series| series.pixels.is_empty() && series.valid.is_empty()));
        }
    }
}
