//! Where a detector has its chips from.

use std::borrow::Cow;
use std::path::Path;

use skysense_detect::Object;

use crate::samples::{Outline, Samples};
use crate::{Sample, SpooledSamples, TrainError};

/// A chip with the objects that are in it.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionSample {
    /// The chip; of its modalities the high-resolution one is looked at, and of that the date that is left.
    pub image: Sample,
    /// Objects that it may show, in its pixels, whole: what the rim leaves of them is decided here.
    pub objects: Vec<Object>,
}

/// Chips with objects, held in memory as slices and vectors are, or read as they are asked for.
pub trait DetectionSamples: Samples {
    /// See [`DetectionSample::objects`].
    fn objects(&self, index: usize) -> &[Object];
}

/// Chips with objects, of which the pixels wait in a file as those of [`SpooledSamples`] do.
#[derive(Debug)]
pub struct SpooledDetectionSamples {
    images: SpooledSamples,
    objects: Vec<Vec<Object>>,
}

impl SpooledDetectionSamples {
    /// As [`SpooledSamples::new`].
    ///
    /// # Errors
    /// [`TrainError::Spool`].
    pub fn new(folder: &Path) -> Result<Self, TrainError> {
        Ok(Self { images: SpooledSamples::new(folder)?, objects: Vec::new() })
    }

    /// Adds a chip.
    ///
    /// # Errors
    /// [`TrainError::Spool`].
    pub fn push(&mut self, sample: DetectionSample) -> Result<(), TrainError> {
        self.images.push(sample.image)?;
        self.objects.push(sample.objects);
        Ok(())
    }
}

impl Samples for SpooledDetectionSamples {
    fn count(&self) -> usize {
        self.images.count()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError> {
        self.images.sample(index)
    }

    fn outline(&self, index: usize) -> Outline<'_> {
        self.images.outline(index)
    }

    fn spool(&self) -> Option<&Path> {
        self.images.spool()
    }
}

impl DetectionSamples for SpooledDetectionSamples {
    fn objects(&self, index: usize) -> &[Object] {
        &self.objects[index]
    }
}

impl Samples for [DetectionSample] {
    fn count(&self) -> usize {
        self.len()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, Sample>, TrainError> {
        Ok(Cow::Borrowed(&self[index].image))
    }

    fn outline(&self, index: usize) -> Outline<'_> {
        Outline::of(&self[index].image)
    }
}

impl DetectionSamples for [DetectionSample] {
    fn objects(&self, index: usize) -> &[Object] {
        &self[index].objects
    }
}

impl Samples for Vec<DetectionSample> {
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

impl DetectionSamples for Vec<DetectionSample> {
    fn objects(&self, index: usize) -> &[Object] {
        self.as_slice().objects(index)
    }
}

impl<S: DetectionSamples + ?Sized> DetectionSamples for &S {
    fn objects(&self, index: usize) -> &[Object] {
        (**self).objects(index)
    }
}
