//! What a task learns of a chip, from labels of pixels.

use skysense_abi::NodeError;
use skysense_contract::Task;
use skysense_grid::{GeoBox, Window};
use skysense_train::Labels;

use super::LabelReader;
use super::given_split::{Part, whole};
use super::label_dates::Span;

/// How labels of pixels become what a task learns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) task: Task,
    /// Least share of a chip's labelled pixels from which on it has a class, where it may have any.
    pub(crate) share: f64,
}

/// What is known of a window.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) labels: Labels,
    /// The part of each pixel, `[height, width]`, where a split is given; of a chip that has classes as a whole it is the
    /// same for all.
    pub(crate) parts: Option<Vec<Option<Part>>>,
}

impl Truth {
    /// What is known of a chip; `None` where nothing is. With a span only labels count whose own overlaps it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn of(
        &self,
        labels: &LabelReader,
        (grid, window): (&GeoBox, &Window),
        span: Option<Span>,
    ) -> Result<Option<Known>, NodeError> {
        if self.task == Task::Regression {
            let read = labels.values(grid, window, span)?;
            let any = read.values.iter().any(|value| value.is_finite());
            return Ok(any.then_some(Known { labels: Labels::Values(read.values), parts: read.parts }));
        }
        let read = labels.read(grid, window, span)?;
        if read.values.iter().all(|value| *value == labels.ignored()) {
            return Ok(None);
        }
        if !self.task.of_chips() {
            return Ok(Some(Known { labels: Labels::Classes(read.values), parts: read.parts }));
        }
        let share = (self.task == Task::MultiLabel).then_some(self.share);
        let found = classes_of_chip(&read.values, labels.ignored(), share);
        // Pixels of a chip that have no label say nothing of its part, but for places, which say it of all.
        let labelled = |parts: Vec<Option<Part>>| {
            let known: Vec<Option<Part>> = parts
                .iter()
                .zip(&read.values)
                .filter(|(_, value)| **value != labels.ignored())
                .map(|(p, _)| *p)
                .collect();
            vec![whole(&known); parts.len()]
        };
        Ok(Some(Known { labels: Labels::Chip(found), parts: read.parts.map(labelled) }))
    }
}

/// The commonest class of the labelled pixels, the lowest of equal ones; or with a share all that have as much of them.
fn classes_of_chip(values: &[u8], ignored: u8, share: Option<f64>) -> Vec<u8> {
    let mut counts = [0_usize; 256];
    values.iter().filter(|value| **value != ignored).for_each(|value| counts[usize::from(*value)] += 1);
    let total: usize = counts.iter().sum();
    match share {
        Some(share) => {
            let least = share * total as f64;
            (0..=255)
                .filter(|value| counts[usize::from(*value)] > 0 && counts[usize::from(*value)] as f64 >= least)
                .collect()
        }
        None => (0..=255_u8).rev().max_by_key(|value| counts[usize::from(*value)]).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_has_its_commonest_class_or_all_that_are_common_enough() {
        let values = [1, 1, 2, 2, 2, 3, 255, 255, 255, 255];
        assert_eq!(classes_of_chip(&values, 255, None), [2]);
        assert_eq!(classes_of_chip(&values, 255, Some(0.3)), [1, 2]);
        assert_eq!(classes_of_chip(&values, 255, Some(0.0)), [1, 2, 3]);
        assert_eq!(classes_of_chip(&[5, 4], 255, None), [4]);
    }
}
