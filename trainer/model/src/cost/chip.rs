//! The chip that costs are counted for.

use crate::encoder::SkySenseConfig;
use crate::{ModelError, Result};

/// High-resolution pixels along a pixel of the 10 m grid.
const HR_SCALE: usize = 32;

/// Size and dates of a chip. Dates of a modality that the model lacks count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Side in pixels of the 10 m grid; high resolution has 32 times as many.
    pub size: usize,
    /// Sentinel-2 dates.
    pub dates_s2: usize,
    /// Sentinel-1 dates.
    pub dates_s1: usize,
}

impl Chip {
    /// Rows and columns of Sentinel pixels, which are those of the fused features.
    pub(super) fn series(self) -> [usize; 2] {
        [self.size; 2]
    }

    /// Rows and columns of high-resolution pixels.
    pub(super) fn hr(self) -> [usize; 2] {
        [self.size * HR_SCALE; 2]
    }

    /// Places of the fused features.
    pub(super) fn positions(self) -> u64 {
        (self.size * self.size) as u64
    }

    /// Dates that a position's sequence has over all modalities of the model.
    pub(super) fn dates(self, config: &SkySenseConfig) -> u64 {
        let of = |has: bool, dates: usize| if has { dates as u64 } else { 0 };
        of(config.hr.is_some(), 1) + of(config.s2.is_some(), self.dates_s2) + of(config.s1.is_some(), self.dates_s1)
    }

    /// Whether the model can read such a chip.
    ///
    /// # Errors
    /// No modality or no dates, sides that do not give the fusion one grid, maps smaller than an attention window.
    pub fn check(self, config: &SkySenseConfig) -> Result<()> {
        if let Some(hr) = &config.hr {
            hr.check_size(self.hr())?;
        }
        for (name, series, dates) in [("s2", &config.s2, self.dates_s2), ("s1", &config.s1, self.dates_s1)] {
            let Some((vit, up)) = series else { continue };
            if dates == 0 {
                return Err(ModelError::Config(format!(
                    "{name} has 0 dates, expected at least 1: leave the modality out, or give it dates"
                )));
            }
            let side = self.size.div_ceil(vit.patch) * up.scale;
            if side != self.size || self.size == 0 {
                return Err(ModelError::Config(format!(
                    "a chip of {} px gives {name} features of {side} px, expected the size of the chip: take a multiple \
                     of {}",
                    self.size, vit.patch
                )));
            }
        }
        match self.dates(config) {
            0 => Err(ModelError::Config("the model has no modality: at least one of hr, s2 and s1 is needed".into())),
            _ => Ok(()),
        }
    }
}
