//! What comes out: a batch of maps.

/// Maps of a batch of chips: features, or probabilities by class.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    /// Count of chips.
    pub chips: usize,
    /// Channels, or classes.
    pub channels: usize,
    /// Height and width in pixels of the 10 m grid.
    pub size: usize,
    /// `[chip, channel, height, width]`. Zeros for a chip without any valid input.
    pub values: Vec<f32>,
    /// `[chip, height, width]`: 1 where any acquisition of any modality was valid, else 0. A model gives
    /// something everywhere; whoever writes a map writes nodata where this is 0.
    pub valid: Vec<u8>,
}

impl Maps {
    pub(crate) fn new(channels: usize, size: usize) -> Self {
        Self { chips: 0, channels, size, values: Vec::new(), valid: Vec::new() }
    }

    pub(crate) fn push(&mut self, values: &[f32], valid: &[u8]) {
        self.chips += 1;
        self.values.extend_from_slice(values);
        self.valid.extend_from_slice(valid);
    }

    /// Values of one chip, `[channel, height, width]`.
    ///
    /// # Panics
    /// When there is no such chip.
    pub fn chip(&self, index: usize) -> &[f32] {
        let length = self.channels * self.size * self.size;
        &self.values[index * length..(index + 1) * length]
    }

    /// Validity of one chip, `[height, width]`.
    ///
    /// # Panics
    /// When there is no such chip.
    pub fn chip_valid(&self, index: usize) -> &[u8] {
        let length = self.size * self.size;
        &self.valid[index * length..(index + 1) * length]
    }
}
