//! Chips of an earlier time, read along with those of a later one.

use std::ops::Range;

use skysense_abi::{NodeError, RunInput};
use skysense_edges::ChipBatch;

use crate::errors;

/// A stream of chips, row by row.
pub(crate) struct Rows {
    chips: RunInput,
    open: Option<(ChipBatch, usize)>,
}

impl Rows {
    pub(crate) fn new(chips: RunInput) -> Self {
        Self { chips, open: None }
    }

    /// The next row.
    ///
    /// # Errors
    /// Chips that cannot be read.
    fn next(&mut self) -> Result<Option<(ChipBatch, usize)>, NodeError> {
        loop {
            if let Some((batch, row)) = &mut self.open
                && *row < batch.len()
            {
                let found = (batch.clone(), *row);
                *row += 1;
                return Ok(Some(found));
            }
            let Some(batch) = self.chips.next() else { return Ok(None) };
            self.open = Some((ChipBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?, 0));
        }
    }

    /// The rows that lie where rows of the later time lie, which come in the same order.
    ///
    /// # Errors
    /// Chips that cannot be read, that have come to an end, or that lie elsewhere.
    pub(crate) fn beside(
        &mut self,
        later: &ChipBatch,
        rows: Range<usize>,
    ) -> Result<Vec<(ChipBatch, usize)>, NodeError> {
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let window = later.window(row).map_err(|error| errors::edge(&error))?;
            let fault = |message: String| NodeError::new("chips.pairs", message).at("chip", later.chip(row));
            let Some((batch, other)) = self.next()? else {
                return Err(fault("the chips of the earlier time came to an end before those of the later one".into()));
            };
            let place = batch.window(other).map_err(|error| errors::edge(&error))?;
            if place != window {
                return Err(fault(format!(
                    "the chip of the earlier time lies at {place:?}, the later one at {window:?}"
                )));
            }
            found.push((batch, other));
        }
        Ok(found)
    }
}
