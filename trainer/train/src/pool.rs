//! The samples of a run, ready for the model: held in memory, or with their pixels in a file.

use std::borrow::Cow;
use std::path::Path;

use crate::TrainError;
use crate::dataset::{Legend, Prepared, prepare_one};
use crate::samples::Samples;
use crate::setup::Setup;
use crate::spool::{Fields, Record, Spool};

/// A sample that is ready.
pub(crate) trait Ready: Clone {
    /// Its pixels, row by row: what waits in a file where it is not held.
    fn pixels(&mut self) -> impl Iterator<Item = &mut Vec<f32>>;
}

/// Samples that are ready.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    known: Vec<T>,
    /// Their pixels, where they are not held, and the memory in which a record of them is put together.
    spool: Option<(Spool, Record)>,
}

impl<T: Ready> Pool<T> {
    /// Those that are held.
    pub(crate) fn held(ready: Vec<T>) -> Self {
        Self { known: ready, spool: None }
    }

    /// None so far; with a folder, their pixels wait in a file there.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub(crate) fn new(folder: Option<&Path>) -> Result<Self, TrainError> {
        let spool = folder.map(Spool::new).transpose()?;
        Ok(Self { known: Vec::new(), spool: spool.map(|spool| (spool, Record::default())) })
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn push(&mut self, mut sample: T) -> Result<(), TrainError> {
        if let Some((spool, record)) = &mut self.spool {
            record.clear();
            sample.pixels().for_each(|pixels| record.floats(&std::mem::take(pixels)));
            spool.push(record.written())?;
        }
        self.known.push(sample);
        Ok(())
    }

    /// What is known of all without a look into the file. Pixels are there only where they are held.
    pub(crate) fn known(&self) -> &[T] {
        &self.known
    }

    /// As [`Self::known`], to be marked.
    pub(crate) fn known_mut(&mut self) -> &mut [T] {
        &mut self.known
    }

    /// A sample with its pixels.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn get(&self, index: usize) -> Result<Cow<'_, T>, TrainError> {
        let Some((spool, _)) = &self.spool else { return Ok(Cow::Borrowed(&self.known[index])) };
        let mut sample = self.known[index].clone();
        let record = spool.read(index)?;
        let mut fields = Fields::new(&record);
        for pixels in sample.pixels() {
            *pixels = fields.floats().ok_or_else(|| spool.damaged("it holds another sample"))?;
        }
        Ok(Cow::Owned(sample))
    }
}

impl Pool<Prepared> {
    /// Prepares samples one by one, as [`prepare_one`] does. Pixels of spooled ones are spooled as well.
    ///
    /// # Errors
    /// Samples that do not fit, files that cannot be written or read, [`TrainError::Cancelled`].
    pub(crate) fn prepare(
        samples: &dyn Samples,
        setup: &Setup,
        legend: Legend<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, TrainError> {
        let mut pool = Self::new(samples.spool())?;
        for index in 0..samples.count() {
            if cancelled() {
                return Err(TrainError::Cancelled { step: 0 });
            }
            let sample = samples.sample(index)?;
            let ready = prepare_one(&sample, (&setup.inputs, &setup.bands), setup.chip_size, legend)
                .map_err(|fault| TrainError::Sample { sample: index, fault })?;
            pool.push(ready)?;
        }
        Ok(pool)
    }
}

impl Ready for Prepared {
    fn pixels(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        self.series.values_mut().chain(self.before.values_mut()).map(|series| &mut series.pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::prepared;

    #[test]
    fn a_spooled_sample_is_the_held_one_and_what_is_known_has_no_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let mut samples = vec![prepared(2, 3), prepared(1, 2), prepared(0, 0)];
        samples[1].before = prepared(2, 1).series;
        samples[1].region = Some(4);
        let mut spooled = Pool::new(Some(folder.path())).unwrap();
        samples.iter().for_each(|sample| spooled.push(sample.clone()).unwrap());
        let held = Pool::held(samples.clone());
        for at in [2, 0, 1] {
            assert_eq!(*held.get(at).unwrap(), samples[at]);
            assert_eq!(*spooled.get(at).unwrap(), samples[at]);
            let known = &spooled.known()[at];
            assert!(known.series.values().chain(known.before.values()).all(|series| series.pixels.is_empty()));
            assert_eq!(known.trains(), samples[at].trains());
        }
        // What is marked later is told with the pixels.
        spooled.known_mut()[0].targets[1].validates = true;
        assert!(spooled.get(0).unwrap().targets[1].validates);
    }
}
