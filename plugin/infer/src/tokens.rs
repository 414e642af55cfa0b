//! The sequence that the fusion sees: one slot for each date of the plan, filled or absent.

use std::collections::BTreeMap;
use std::ops::Range;

use skysense_contract::Modality;

/// Slots of each modality in the order HR, S2, S1, as many as the plan has dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slots {
    first: BTreeMap<Modality, usize>,
    /// Where the values of each slot begin in those of a chip, and the end of the last.
    starts: Vec<usize>,
}

impl Slots {
    /// Slots for dates; `length` gives the values of one date.
    pub(crate) fn new(dates: &BTreeMap<Modality, usize>, length: impl Fn(Modality) -> usize) -> Self {
        let mut slots = Self { first: BTreeMap::new(), starts: vec![0] };
        let mut end = 0;
        for (modality, dates) in dates {
            slots.first.insert(*modality, slots.count());
            for _ in 0..*dates {
                end += length(*modality);
                slots.starts.push(end);
            }
        }
        slots
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Values of a chip.
    fn values(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }

    /// First slot of a modality of the plan.
    pub(crate) fn first(&self, modality: Modality) -> usize {
        self.first[&modality]
    }
}

/// What encoders give for a group of chips; absent slots hold zeros, which `present` hides from a fusion's attention.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// `[batch, time, channel, height, width]`; where encoders differ in channels, those of a chip one after the other.
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
}

impl Tokens {
    pub(crate) fn new(batch: usize, slots: &Slots) -> Self {
        let time = slots.count();
        Self {
            values: vec![0.0; batch * slots.values()],
            day: vec![0; batch * time],
            calendar: vec![0.0; batch * time],
            present: vec![false; batch * time],
            batch,
            time,
        }
    }

    /// Marks the dates of a modality that a chip has, from slot `first` on.
    pub(crate) fn mark(&mut self, chip: usize, first: usize, days: &[i64], calendar: bool) {
        let from = chip * self.time + first;
        self.day[from..from + days.len()].copy_from_slice(days);
        self.present[from..from + days.len()].fill(true);
        self.calendar[from..from + days.len()].fill(f32::from(u8::from(calendar)));
    }

    /// The values of some slots of a chip.
    pub(crate) fn values_mut(&mut self, slots: &Slots, chip: usize, of: Range<usize>) -> &mut [f32] {
        let from = chip * slots.values();
        &mut self.values[from + slots.starts[of.start]..from + slots.starts[of.end]]
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
        let dates = BTreeMap::from([(Modality::S1, 2), (Modality::Hr, 1), (Modality::S2, 3)]);
        let slots = Slots::new(&dates, |_| 2);
        assert_eq!((slots.first(Modality::S2), slots.first(Modality::S1), slots.count()), (1, 4, 6));
        let mut tokens = Tokens::new(2, &slots);
        tokens.mark(1, slots.first(Modality::S2), &[40, 50], true);
        tokens.values_mut(&slots, 1, 1..3).fill(7.0);
        assert!(!tokens.any(0) && tokens.any(1));
        assert_eq!(tokens.day[6..], [0, 40, 50, 0, 0, 0]);
        assert_eq!(tokens.calendar[6..], [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(tokens.values.iter().filter(|v| **v == 7.0).count(), 4);
        assert_eq!(tokens.values[14..18], [7.0; 4]);
    }

    #[test]
    fn encoders_of_different_widths_stand_side_by_side() {
        let dates = BTreeMap::from([(Modality::Hr, 1), (Modality::S2, 1)]);
        let slots = Slots::new(&dates, |modality| if modality == Modality::Hr { 3 } else { 1 });
        let mut tokens = Tokens::new(2, &slots);
        tokens.values_mut(&slots, 1, 1..2).fill(7.0);
        assert_eq!(tokens.values, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0]);
    }
}
