//! Sizes of the model, in one table.

use crate::calendar::{Calendar, DAYS};
use crate::encoder::SkySenseConfig;
use crate::fusion::FusionConfig;
use crate::position::Interpolation;
use crate::swin::SwinV2Config;
use crate::up_head::UpHeadConfig;
use crate::vit::VitConfig;
use crate::{ModelError, Result};

/// One row of the table: the numbers in which the presets differ.
struct Row {
    name: &'static str,
    /// Channels of the first HR stage, blocks and heads of each stage, norm at the end of every so many blocks.
    hr: (usize, [usize; 4], [usize; 4], usize),
    /// Window of the HR encoder.
    window: usize,
    /// Channels, layers, heads of the series encoders.
    series: (usize, usize, usize),
    /// Channels, layers, heads of the fusion.
    fusion: (usize, usize, usize),
    /// Side of the position table of the series encoders in tokens.
    positions: usize,
    /// Stochastic depth of HR, series and fusion.
    drop_path: [f64; 3],
}

/// `skysense` is the paper's; the others are ours, made so that heads stay 16 to 64 channels wide.
///
/// Its position table of 4 × 4 tokens is that of the official configuration, for chips of 16 px: a model that is trained
/// from nothing on such chips has a row of its own for each token. The released files seem to hold 16 × 16, which the
/// official code resizes to 4 × 4 as it loads them; that size is the file's to give, and
/// [`SkySenseConfig::with_positions`] makes a model for it.
const TABLE: [Row; 5] = [
    Row {
        name: "tiny",
        hr: (12, [1, 1, 2, 1], [1, 2, 4, 8], 0),
        window: 4,
        series: (128, 3, 4),
        fusion: (64, 1, 4),
        positions: 8,
        drop_path: [0.0, 0.0, 0.0],
    },
    Row {
        name: "small",
        hr: (48, [2, 2, 6, 2], [2, 4, 8, 16], 0),
        window: 8,
        series: (192, 6, 6),
        fusion: (192, 4, 6),
        positions: 16,
        drop_path: [0.1, 0.1, 0.1],
    },
    Row {
        name: "base",
        hr: (96, [2, 2, 18, 2], [4, 8, 16, 32], 6),
        window: 8,
        series: (384, 12, 6),
        fusion: (384, 8, 6),
        positions: 16,
        drop_path: [0.2, 0.2, 0.2],
    },
    Row {
        name: "large",
        hr: (192, [2, 2, 18, 2], [6, 12, 24, 48], 6),
        window: 8,
        series: (768, 12, 12),
        fusion: (768, 12, 12),
        positions: 16,
        drop_path: [0.2, 0.3, 0.3],
    },
    Row {
        name: "skysense",
        hr: (352, [2, 2, 18, 2], [8, 16, 32, 64], 6),
        window: 8,
        series: (1024, 24, 16),
        fusion: (1024, 24, 16),
        positions: 4,
        drop_path: [0.2, 0.3, 0.3],
    },
];

/// Names of the presets, from the smallest to the paper's.
pub const PRESETS: [&str; 5] = ["tiny", "small", "base", "large", "skysense"];

/// A preset by name: all three modalities, the calendar encoding as in the official code, no prototypes.
///
/// # Errors
/// A name that is not in the table.
pub fn preset(name: &str) -> Result<SkySenseConfig> {
    let row = TABLE
        .iter()
        .find(|row| row.name == name)
        .ok_or_else(|| ModelError::UnknownPreset { name: name.into(), known: PRESETS.to_vec() })?;
    let (channels, depths, heads, extra_norm_every) = row.hr;
    let hr = SwinV2Config {
        bands: 3,
        patch: 4,
        channels,
        depths: depths.to_vec(),
        heads: heads.to_vec(),
        window: row.window,
        windows: Vec::new(),
        pretrained_windows: vec![0; 4],
        extra_norm_every,
        pad_small_map: false,
        bias_hidden: 512,
        mlp_ratio: 4,
        epsilon: 1e-5,
        drop_path: row.drop_path[0],
        out_stages: vec![0, 1, 2, 3],
    };
    let last = hr.stage_channels(3);
    let series = |bands| {
        let (channels, layers, heads) = row.series;
        let vit = VitConfig {
            bands,
            channels,
            layers,
            heads,
            mlp_ratio: 4,
            patch: 4,
            positions: [row.positions; 2],
            position_of_class: false,
            class_token: false,
            interpolation: Interpolation::Bicubic,
            epsilon: 1e-6,
            drop_path: row.drop_path[1],
        };
        let up = UpHeadConfig { channels_in: channels, channels_out: last, scale: 4 };
        (vit, up)
    };
    let (channels, layers, heads) = row.fusion;
    Ok(SkySenseConfig {
        fusion: FusionConfig {
            channels_in: last,
            channels,
            layers,
            heads,
            mlp_ratio: 4,
            epsilon: 1e-5,
            drop_path: row.drop_path[2],
            calendar: Calendar::S2Only,
            days: DAYS,
        },
        hr: Some(hr),
        s2: Some(series(10)),
        s1: Some(series(2)),
        geo_context: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_the_table() {
        for name in PRESETS {
            assert_eq!(preset(name).unwrap().s2.unwrap().0.bands, 10);
        }
        assert!(preset("huge").unwrap_err().to_string().contains("skysense"));
    }
}
