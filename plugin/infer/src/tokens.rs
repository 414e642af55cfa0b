//! The sequence that the fusion sees: one slot for each date of the plan, filled or absent.

use std::collections::BTreeMap;

use skysense_contract::Modality;

/// Slots of each modality in the order HR, S2, S1, as many as the plan has dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slots {
    first: BTreeMap<Modality, usize>,
    pub(crate) count: usize,
}

impl Slots {
    pub(crate) fn new(dates: &BTreeMap<Modality, usize>) -> Self {
        let mut slots = Self { first: BTreeMap::new(), count: 0 };
        for (modality, dates) in dates {
            slots.first.insert(*modality, slots.count);
            slots.count += dates;
        }
        slots
    }

    /// First slot of a modality of the plan.
    pub(crate) fn first(&self, modality: Modality) -> usize {
        self.first[&modality]
    }
}

/// Inputs of the fusion for a group of chips; absent slots hold zeros, which `present` hides from attention.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// `[batch, time, channel, height, width]`.
    pub(crate) values: Vec<f32>,
    /// `[batch, time]`.
    pub(crate) day: Vec<i64>,
    /// `[batch, time]`.
    pub(crate) calendar: Vec<f32>,
    /// `[batch, time]`.
    pub(crate) present: Vec<bool>,
    /// Count of chips and of slots.
    pub(crate) batch: usize,
    pub(crate) time: usize,
    /// Values of one token, channel × height × width.
    length: usize,
}

impl Tokens {
    pub(crate) fn new(batch: usize, time: usize, length: usize) -> Self {
        Self {
            values: vec![0.0; batch * time * length],
            day: vec![0; batch * time],
            calendar: vec![0.0; batch * time],
            present: vec![false; batch * time],
            batch,
            time,
            length,
        }
    }

    /// Marks the dates of a modality that a chip has, from slot `first` on.
    pub(crate) fn mark(&mut self, chip: usize, first: usize, days: &[i64], calendar: bool) {
        let from = chip * self.time + first;
        self.day[from..from + days.len()].copy_from_slice(days);
        self.present[from..from + days.len()].fill(true);
        self.calendar[from..from + days.len()].fill(f32::from(u8::from(calendar)));
    }

    /// The values of `dates` slots of a chip from slot `first` on.
    pub(crate) fn values_mut(&mut self, chip: usize, first: usize, dates: usize) -> &mut [f32] {
        let from = (chip * self.time + first) * self.length;
        &mut self.values[from..from + dates * self.length]
    }

    /// Whether a chip has any date.
    pub(crate) fn any(&self, chip: usize) -> bool {
        self.present[chip * self.time..(chip + 1) * self.time].contains(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_plan_and_dates_fill_them_from_the_left() {
        let slots = Slots::new(&BTreeMap::from([(Modality::S1, 2), (Modality::Hr, 1), (Modality::S2, 3)]));
        assert_eq!((slots.first(Modality::S2), slots.first(Modality::S1), slots.count), (1, 4, 6));
        let mut tokens = Tokens::new(2, slots.count, 2);
        tokens.mark(1, slots.first(Modality::S2), &[40, 50], true);
        tokens.values_mut(1, slots.first(Modality::S2), 2).fill(7.0);
        assert!(!tokens.any(0) && tokens.any(1));
        assert_eq!(tokens.day[6..], [0, 40, 50, 0, 0, 0]);
        assert_eq!(tokens.calendar[6..], [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(tokens.values.iter().filter(|v| **v == 7.0).count(), 4);
        assert_eq!(tokens.values[14..18], [7.0; 4]);
    }
}
