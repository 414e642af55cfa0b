//! Chips through the graphs of a model.

use skysense_contract::{Dtype, GeoContext, Head, Modality, Module, Task};

use super::Model;
use super::graphs::tensor;
use crate::prepare::{Prepared, Shape};
use crate::tokens::Tokens;
use crate::{ChipInput, InferError, Maps, Pixel, Series};

impl Model {
    /// Feature maps of the chips, `[chip, channel, height, width]`.
    ///
    /// # Errors
    /// [`InferError::Chip`] for a chip that does not fit, [`InferError::Run`] when a graph fails.
    pub fn features(&self, chips: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        let contract = self.package().contract();
        let mut maps = Maps::new(self.channels(), contract.chip_size);
        for (group, members) in chips.chunks(self.batch).enumerate() {
            self.group(group * self.batch, members, false, &mut maps)?;
        }
        Ok(maps)
    }

    /// What the head says, `[chip, channel, height, width]`: probabilities of its classes in the order of the contract, or
    /// values of its quantity.
    ///
    /// # Errors
    /// As [`Self::features`], and a contract error when the package has no head.
    pub fn predict(&self, chips: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        Ok(self.answered(self.logits(chips)?))
    }

    /// As [`Self::predict`] for a head that compares two times, each earlier chip with the later one at its place. Valid is
    /// what was seen at both.
    ///
    /// # Errors
    /// As [`Self::predict`], and lists of different lengths.
    pub fn compare(&self, before: &[ChipInput<'_>], after: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        Ok(self.answered(self.compared(before, after)?))
    }

    /// Logits as what they mean.
    fn answered(&self, mut maps: Maps) -> Maps {
        let (area, length) = (maps.size * maps.size, maps.channels * maps.size * maps.size);
        if let Some(head) = &self.package().contract().head {
            for chip in 0..maps.chips {
                if maps.chip_valid(chip).contains(&1) {
                    answer(head, &mut maps.values[chip * length..(chip + 1) * length], area);
                }
            }
        }
        maps
    }

    /// What a head that compares gives before it becomes probabilities.
    pub(crate) fn compared(&self, before: &[ChipInput<'_>], after: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        let contract = self.package().contract();
        self.package().graph(Module::Head)?;
        if before.len() != after.len() {
            return Err(InferError::Pairs { before: before.len(), after: after.len() });
        }
        let (before, after) = (self.features(before)?, self.features(after)?);
        let mut maps = Maps::new(contract.head.as_ref().map_or(0, Head::channels), contract.chip_size);
        for chip in 0..before.chips {
            let both = [before.chip(chip), after.chip(chip)].concat();
            let valid: Vec<u8> =
                before.chip_valid(chip).iter().zip(after.chip_valid(chip)).map(|(one, other)| one & other).collect();
            let mut values = self.head(1, &both)?;
            if !valid.contains(&1) {
                values.fill(0.0);
            }
            maps.push(&values, &valid);
        }
        Ok(maps)
    }

    /// What the head gives before the softmax.
    pub(crate) fn logits(&self, chips: &[ChipInput<'_>]) -> Result<Maps, InferError> {
        let contract = self.package().contract();
        self.package().graph(Module::Head)?;
        let mut maps = Maps::new(contract.head.as_ref().map_or(0, Head::channels), contract.chip_size);
        for (group, members) in chips.chunks(self.batch).enumerate() {
            self.group(group * self.batch, members, true, &mut maps)?;
        }
        Ok(maps)
    }

    /// Runs a group of chips, the first of which is the `from`-th of its batch.
    fn group(&self, from: usize, chips: &[ChipInput<'_>], head: bool, maps: &mut Maps) -> Result<(), InferError> {
        let contract = self.package().contract();
        let size = contract.chip_size;
        let mut tokens = Tokens::new(chips.len(), &self.slots);
        let mut valid = vec![vec![0_u8; size * size]; chips.len()];
        for (index, chip) in chips.iter().enumerate() {
            for modality in Modality::ALL {
                let Some(series) = chip.series(modality).filter(|_| self.takes(modality)) else { continue };
                let mask = self.encode((from + index, index), modality, series, &mut tokens)?;
                valid[index].iter_mut().zip(mask).for_each(|(all, one)| *all |= one);
            }
        }
        let seen: Vec<bool> = (0..chips.len()).map(|chip| tokens.any(chip)).collect();
        let mut values = self.fuse(tokens)?;
        if self.token_channels.is_some() && contract.graphs.contains_key(&Module::GeoContext) {
            values = self.geo_context(from, chips, &values)?;
        }
        if head {
            values = self.head(chips.len(), &values)?;
        }
        let length = values.len() / chips.len();
        for (index, valid) in valid.iter().enumerate() {
            let values = &mut values[index * length..(index + 1) * length];
            if !seen[index] {
                values.fill(0.0);
            }
            maps.push(values, valid);
        }
        Ok(())
    }

    /// Encodes a chip's acquisitions of one modality into its slots; gives their validity on the 10 m grid.
    fn encode(
        &self,
        (chip, place): (usize, usize),
        modality: Modality,
        series: &Series<'_>,
        tokens: &mut Tokens,
    ) -> Result<Vec<u8>, InferError> {
        let contract = self.package().contract();
        let Some(bands) = self.inputs.get(&modality) else {
            let fault = "the model was opened without this modality".into();
            return Err(InferError::Chip { chip, modality, fault });
        };
        let input = &contract.modalities[&modality];
        let shape = Shape { modality, input, bands, size: contract.chip_size, dates: self.dates[&modality] };
        match input.dtype {
            Dtype::U8 => self.encode_as(&shape, shape.prepare::<u8>(series, chip)?, place, tokens),
            Dtype::I16 => self.encode_as(&shape, shape.prepare::<i16>(series, chip)?, place, tokens),
            Dtype::F32 => self.encode_as(&shape, shape.prepare::<f32>(series, chip)?, place, tokens),
        }
    }

    fn encode_as<T: Pixel>(
        &self,
        shape: &Shape<'_>,
        prepared: Prepared<'_, T>,
        place: usize,
        tokens: &mut Tokens,
    ) -> Result<Vec<u8>, InferError> {
        let (modality, size) = (shape.modality, shape.size);
        let side = size * shape.input.scale;
        let one = shape.bands.len() * side * side;
        let mut first = self.slots.first(modality);
        tokens.mark(place, first, &prepared.days, self.package().contract().calendar.covers(modality));
        for piece in prepared.pixels.chunks(one * self.acquisitions) {
            let dates = piece.len() / one;
            let pixels = tensor(Module::from(modality), vec![dates, shape.bands.len(), side, side], piece)?;
            let to = tokens.values_mut(&self.slots, place, first..first + dates);
            let width = to.len() / dates / (size * size);
            self.with(Module::from(modality), |graph| {
                graph.run(vec![("pixels", pixels)], &[dates, width, size, size], |from| {
                    to.copy_from_slice(from);
                })
            })?;
            first += dates;
        }
        Ok(prepared.valid)
    }

    /// What the fusion makes of the tokens; where there is none, or one encoder alone is asked for, these themselves, side
    /// by side.
    fn fuse(&self, tokens: Tokens) -> Result<Vec<f32>, InferError> {
        let (batch, time, size) = (tokens.batch, tokens.time, self.package().contract().chip_size);
        let of = Module::Fusion;
        let Some(width) = self.token_channels else { return Ok(tokens.values) };
        let inputs = vec![
            ("tokens", tensor(of, vec![batch, time, width, size, size], &tokens.values)?),
            ("day", tensor(of, vec![batch, time], &tokens.day)?),
            ("calendar", tensor(of, vec![batch, time], &tokens.calendar)?),
            ("present", tensor(of, vec![batch, time], &tokens.present)?),
        ];
        let channels = self.fused_channels();
        self.with(of, |graph| graph.run(inputs, &[batch, channels, size, size], <[f32]>::to_vec))
    }

    /// Channels that the fusion gives: prototypes double them.
    fn fused_channels(&self) -> usize {
        let contract = self.package().contract();
        let attached = contract.graphs.contains_key(&Module::GeoContext);
        if attached { contract.channels / 2 } else { contract.channels }
    }

    fn geo_context(&self, from: usize, chips: &[ChipInput<'_>], features: &[f32]) -> Result<Vec<f32>, InferError> {
        let contract = self.package().contract();
        let (batch, size, of) = (chips.len(), contract.chip_size, Module::GeoContext);
        let known = contract.geo_context.as_ref().map_or(0, GeoContext::regions);
        let of_chip = |(index, chip): (usize, &ChipInput<'_>)| {
            let found = chip.region.filter(|region| usize::try_from(*region).is_ok_and(|region| region < known));
            let model = &contract.name;
            found.ok_or_else(|| InferError::Region {
                chip: from + index,
                region: chip.region,
                regions: known,
                model: model.clone(),
            })
        };
        let regions: Vec<i64> = chips.iter().enumerate().map(of_chip).collect::<Result<_, _>>()?;
        let inputs = vec![
            ("features", tensor(of, vec![batch, self.fused_channels(), size, size], features)?),
            ("region", tensor(of, vec![batch], &regions)?),
        ];
        self.with(of, |graph| graph.run(inputs, &[batch, contract.channels, size, size], <[f32]>::to_vec))
    }

    fn head(&self, batch: usize, features: &[f32]) -> Result<Vec<f32>, InferError> {
        let contract = self.package().contract();
        let (size, of) = (contract.chip_size, Module::Head);
        let channels = contract.head.as_ref().map_or(0, Head::channels);
        let width = features.len() / (batch * size * size);
        let inputs = vec![("features", tensor(of, vec![batch, width, size, size], features)?)];
        self.with(of, |graph| graph.run(inputs, &[batch, channels, size, size], <[f32]>::to_vec))
    }
}

/// Logits of `[channel, area]` as what they mean, in place.
fn answer(head: &Head, values: &mut [f32], area: usize) {
    if let Some(temperature) = head.temperature {
        values.iter_mut().for_each(|value| *value = (f64::from(*value) / temperature) as f32);
    }
    match (head.task, &head.quantity) {
        (Task::Regression, Some(quantity)) => {
            values.iter_mut().for_each(|value| *value = (f64::from(*value) * quantity.std + quantity.mean) as f32);
        }
        // The contract is refused where a regression has no quantity.
        (Task::Regression, None) => {}
        (Task::MultiLabel, _) => values.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-*value).exp())),
        _ => softmax(values, area),
    }
}

/// Softmax over the classes of `[class, area]`, in place.
fn softmax(values: &mut [f32], area: usize) {
    for place in 0..area {
        let largest = values[place..].iter().step_by(area).copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for value in values[place..].iter_mut().step_by(area) {
            *value = (*value - largest).exp();
            sum += *value;
        }
        values[place..].iter_mut().step_by(area).for_each(|value| *value /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_become_what_the_task_means() {
        let head = |task| Head::of(task, Vec::new());
        let mut values = [0.0, 2.0_f32.ln()];
        answer(&head(Task::MultiLabel), &mut values, 1);
        assert!((values[0] - 0.5).abs() < 1e-6 && (values[1] - 2.0 / 3.0).abs() < 1e-6, "{values:?}");
        let quantity = skysense_contract::Quantity { mean: 10.0, std: 2.0, ..skysense_contract::Quantity::unnamed() };
        let mut values = [-1.0, 0.5];
        answer(&Head { quantity: Some(quantity), ..head(Task::Regression) }, &mut values, 2);
        assert_eq!(values, [8.0, 11.0]);
        // Twice as undecided: the odds of 4 to 1 become 2 to 1.
        let mut values = [4.0_f32.ln(), 0.0];
        answer(&Head { temperature: Some(2.0), ..head(Task::Segmentation) }, &mut values, 1);
        assert!((values[0] - 2.0 / 3.0).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn softmax_runs_over_classes_and_sums_to_one() {
        let mut values = [0.0, 1000.0, 0.0, 1000.0, 0.0, -1000.0];
        softmax(&mut values, 2);
        let third = 1.0_f32 / 3.0;
        assert_eq!(values, [third, 0.5, third, 0.5, third, 0.0]);
    }
}
