//! Where training has its samples from.

use std::borrow::Cow;
use std::path::Path;

use crate::{Sample, TrainError, Use};

/// Samples, held in memory as slices and vectors are, or read as they are asked for.
///
/// Training looks at each whole sample a few times before the first step, and never at two at once.
pub trait Samples: Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// One of them, whole.
    ///
    /// # Errors
    /// [`TrainError`]: one that cannot be read.
    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError>;

    /// What is small of one, at no cost.
    fn outline(&self, index: usize) -> Outline<'_>;

    /// The folder of files for what is made of the samples; `None` where that is held in memory, too.
    fn spool(&self) -> Option<&Path> {
        None
    }
}

/// What is small of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outline<'a> {
    /// See [`Sample::origin`].
    pub origin: [i64; 2],
    /// See [`Sample::centre`].
    pub centre: Option<[f64; 2]>,
    /// See [`Sample::uses`].
    pub uses: Option<&'a [Use]>,
}

impl<'a> Outline<'a> {
    /// That of a sample.
    pub fn of(sample: &'a Sample) -> Self {
        Self { origin: sample.origin, centre: sample.centre, uses: sample.uses.as_deref() }
    }
}

impl Samples for [Sample] {
    fn count(&self) -> usize {
        self.len()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError> {
        Ok(Cow::Borrowed(&self[index]))
    }

    fn outline(&self, index: usize) -> Outline<'_> {
        Outline::of(&self[index])
    }
}

impl Samples for Vec<Sample> {
    fn count(&self) -> usize {
        self.len()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError> {
        self.as_slice().sample(index)
    }

    fn outline(&self, index: usize) -> Outline<'_> {
        self.as_slice().outline(index)
    }
}

impl<const COUNT: usize> Samples for [Sample; COUNT] {
    fn count(&self) -> usize {
        self.len()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError> {
        self.as_slice().sample(index)
    }

    fn outline(&self, index: usize) -> Outline<'_> {
        self.as_slice().outline(index)
    }
}

impl<S: Samples + ?Sized> Samples for &S {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError> {
        (**self).sample(index)
    }

    fn outline(&self, index: usize) -> Outline<'_> {
        (**self).outline(index)
    }

    fn spool(&self) -> Option<&Path> {
        (**self).spool()
    }
}
