//! What a task learns of a chip, from label rasters.

use skysense_abi::NodeError;
use skysense_contract::Task;
use skysense_grid::{GeoBox, Window};
use skysense_train::Labels;

use super::LabelReader;

/// How labels of pixels become what a task learns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) task: Task,
    /// Least share of a chip's labelled pixels from which on it has a class, where it may have any.
    pub(crate) share: f64,
}

impl Truth {
    /// What is known of a chip; `None` where nothing is.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn of(&self, labels: &LabelReader, grid: &GeoBox, window: &Window) -> Result<Option<Labels>, NodeError> {
        if self.task == Task::Regression {
            let values = labels.values(grid, window)?;
            return Ok(values.iter().any(|value| value.is_finite()).then_some(Labels::Values(values)));
        }
        let values = labels.read(grid, window)?;
        if values.iter().all(|value| *value == labels.ignored()) {
            return Ok(None);
        }
        if !self.task.of_chips() {
            return Ok(Some(Labels::Classes(values)));
        }
        let found = classes_of_chip(&values, labels.ignored(), (self.task == Task::MultiLabel).then_some(self.share));
        Ok(Some(Labels::Chip(found)))
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
