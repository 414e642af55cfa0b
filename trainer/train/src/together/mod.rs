//! What the processes of a group do as one while they train: each takes its share of a batch, losses are divided by what
//! the whole batch counts, and gradients are added up, so that a step of all is the step of one with the whole batch.

use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor, TensorData};
use skysense_collective::Group;

use crate::TrainError;

/// Values of gradients that are added up at once: what this takes in memory beside them.
const BUCKET: usize = 8 << 20;

/// The part of so many things that this rank has; parts differ by one at most.
pub(crate) fn share(group: &dyn Group, count: usize) -> Range<usize> {
    let (rank, size) = (group.rank(), group.size());
    count * rank / size..count * (rank + 1) / size
}

/// Refuses a batch that does not give each rank a sample.
pub(crate) fn check_batch(group: &dyn Group, batch: usize) -> Result<(), TrainError> {
    if batch >= group.size() {
        return Ok(());
    }
    let expected = format!("a sample for each of {} processes, or fewer processes", group.size());
    Err(TrainError::Setting { setting: "batch", value: batch.to_string(), expected })
}

/// A number added up over all ranks.
pub(crate) fn sum(group: &dyn Group, value: f64) -> Result<f64, TrainError> {
    let mut values = [value];
    group.sum_exact(&mut values)?;
    Ok(values[0])
}

/// Whether any rank says so: all go on or none does.
pub(crate) fn any(group: &dyn Group, said: bool) -> Result<bool, TrainError> {
    Ok(sum(group, f64::from(u8::from(said)))? > 0.0)
}

/// Gradients added up over all ranks. A parameter that has one on some ranks alone, such as of a modality that the places
/// of others lack, has it on all ranks then.
pub(crate) fn sum_gradients<M: Module>(
    group: &dyn Group,
    mut gradients: GradientsParams,
    module: &M,
) -> Result<GradientsParams, TrainError> {
    if group.size() == 1 {
        return Ok(gradients);
    }
    let mut sizes = Sizes { gradients: &gradients, values: Vec::new(), there: Vec::new() };
    module.visit(&mut sizes);
    let (values, mut there) = (sizes.values, sizes.there);
    group.sum(&mut there)?;
    let mut from = 0;
    while from < values.len() {
        let mut to = from + 1;
        let mut count = values[from];
        while to < values.len() && count + values[to] <= BUCKET {
            count += values[to];
            to += 1;
        }
        let wanted = |at: usize| (from..to).contains(&at) && there[at] > 0.0;
        let mut taking = Take { gradients: &mut gradients, wanted: &wanted, at: 0, values: Vec::with_capacity(count) };
        module.visit(&mut taking);
        let mut bucket = taking.values;
        group.sum(&mut bucket)?;
        module.visit(&mut Put { gradients: &mut gradients, wanted: &wanted, at: 0, values: &bucket, from: 0 });
        from = to;
    }
    Ok(gradients)
}

/// How many values each parameter has, in the order of the module, and 1 where it has a gradient here.
struct Sizes<'a> {
    gradients: &'a GradientsParams,
    values: Vec<usize>,
    there: Vec<f32>,
}

impl ModuleVisitor for Sizes<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.values.push(param.val().shape().num_elements());
        self.there.push(f32::from(u8::from(self.gradients.get::<D>(param.id).is_some())));
    }
}

/// Takes gradients into one row of values; one that is not here is 0.
struct Take<'a> {
    gradients: &'a mut GradientsParams,
    wanted: &'a dyn Fn(usize) -> bool,
    at: usize,
    values: Vec<f32>,
}

impl ModuleVisitor for Take<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.at += 1;
        if !(self.wanted)(self.at - 1) {
            return;
        }
        match self.gradients.remove::<D>(param.id) {
            Some(gradient) => self.values.extend(gradient.into_data().convert_dtype(DType::F32).iter::<f32>()),
            None => self.values.resize(self.values.len() + param.val().shape().num_elements(), 0.0),
        }
    }
}

/// Puts gradients back.
struct Put<'a> {
    gradients: &'a mut GradientsParams,
    wanted: &'a dyn Fn(usize) -> bool,
    at: usize,
    values: &'a [f32],
    from: usize,
}

impl ModuleVisitor for Put<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.at += 1;
        if !(self.wanted)(self.at - 1) {
            return;
        }
        let tensor = param.val();
        let to = self.from + tensor.shape().num_elements();
        let data = TensorData::new(self.values[self.from..to].to_vec(), tensor.shape());
        self.from = to;
        // Gradients are not recorded themselves.
        let gradient = Tensor::<D>::from_data(data, &tensor.device().inner()).cast(tensor.dtype());
        self.gradients.register(param.id, gradient);
    }
}

#[cfg(test)]
mod tests {
    use skysense_collective::{Alone, GroupError};

    use super::*;

    #[derive(Debug)]
    struct Fake(usize, usize);

    impl Group for Fake {
        fn rank(&self) -> usize {
            self.0
        }
        fn size(&self) -> usize {
            self.1
        }
        fn sum(&self, _: &mut [f32]) -> Result<(), GroupError> {
            Ok(())
        }
        fn sum_exact(&self, _: &mut [f64]) -> Result<(), GroupError> {
            Ok(())
        }
        fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
            Ok(vec![mine.to_vec(); self.1])
        }
        fn broadcast(&self, mine: &[u8]) -> Result<Vec<u8>, GroupError> {
            Ok(mine.to_vec())
        }
    }

    #[test]
    fn shares_cover_a_batch_once() {
        for (count, size) in [(8, 4), (7, 3), (3, 3), (240, 80)] {
            let shares: Vec<usize> = (0..size).flat_map(|rank| share(&Fake(rank, size), count)).collect();
            assert_eq!(shares, (0..count).collect::<Vec<_>>());
        }
        assert_eq!(share(&Alone, 5), 0..5);
        assert!(check_batch(&Fake(0, 3), 2).unwrap_err().to_string().contains("3 processes"));
    }
}

#[cfg(test)]
pub(crate) mod processes;
