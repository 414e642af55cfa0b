//! Chips that go along with others: those of an earlier time, or those that maps were made of.

use std::ops::Range;

use skysense_abi::{NodeError, RunInput};
use skysense_edges::ChipBatch;
use skysense_grid::Window;

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
            found.push(self.at(&window, later.chip(row))?);
        }
        Ok(found)
    }

    /// The next row, which must lie at this place.
    ///
    /// # Errors
    /// As [`Rows::beside`].
    pub(crate) fn at(&mut self, window: &Window, chip: u32) -> Result<(ChipBatch, usize), NodeError> {
        let fault = |message: String| NodeError::new("chips.pairs", message).at("chip", chip);
        let Some((batch, row)) = self.next()? else {
            return Err(fault("the chips that go with these came to an end before them".into()));
        };
        let place = batch.window(row).map_err(|error| errors::edge(&error))?;
        match place == *window {
            true => Ok((batch, row)),
            false => Err(fault(format!("the chip that goes with it lies at {place:?}, it lies at {window:?}"))),
        }
    }
}
