//! Counting floating-point operations.
//!
//! What is counted are the matrix products and convolutions, a multiplication with its addition as two operations.
//! Norms, softmax, activations and additions are left out, as is usual: they are a few per cent of the operations, though
//! more of the time. Also left out is what does not grow with the batch: the networks that give the position bias and
//! the resizing of the position table, which are constants of the exported graphs.
//!
//! The backward pass has two products for each of the forward pass, one for the gradient of either factor, and one
//! where a factor is data: pixels have no gradient.

use std::iter::Sum;
use std::ops::{Add, Mul};

use super::Chip;
use crate::encoder::SkySenseConfig;
use crate::fusion::FusionConfig;
use crate::geo_context::GeoContextConfig;
use crate::heads::SegmentationHeadConfig;
use crate::swin::SwinV2Config;
use crate::up_head::UpHeadConfig;
use crate::vit::VitConfig;

/// Operations of one pass over one chip, in FLOP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flops {
    /// Of the forward pass.
    pub forward: u64,
    /// Of the gradients.
    pub backward: u64,
}

impl Flops {
    /// Of a training step: both passes.
    pub fn training(self) -> u64 {
        self.forward + self.backward
    }

    /// `[rows, inner] · [inner, columns]`, both with a gradient.
    fn product([rows, inner, columns]: [usize; 3]) -> Self {
        let forward = 2 * rows as u64 * inner as u64 * columns as u64;
        Self { forward, backward: 2 * forward }
    }

    /// The same where the first factor is data.
    fn of_data(shape: [usize; 3]) -> Self {
        let Self { forward, .. } = Self::product(shape);
        Self { forward, backward: forward }
    }
}

impl Add for Flops {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { forward: self.forward + other.forward, backward: self.backward + other.backward }
    }
}

impl Mul<usize> for Flops {
    type Output = Self;

    fn mul(self, times: usize) -> Self {
        Self { forward: self.forward * times as u64, backward: self.backward * times as u64 }
    }
}

impl Sum for Flops {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// `queries` that each attend to `keys` of `channels`, over all heads: logits and the weighted sum of values.
fn attention(queries: usize, keys: usize, channels: usize) -> Flops {
    Flops::product([queries, channels, keys]) * 2
}

/// Two linear layers.
fn feed_forward(tokens: usize, channels: usize, ratio: usize) -> Flops {
    Flops::product([tokens, channels, ratio * channels]) * 2
}

/// A pre-norm layer over one sequence.
fn layer(tokens: usize, channels: usize, ratio: usize) -> Flops {
    let projections = Flops::product([tokens, channels, 4 * channels]);
    projections + attention(tokens, tokens, channels) + feed_forward(tokens, channels, ratio)
}

/// A pre-norm layer of which only the first token is read.
fn last_layer(tokens: usize, channels: usize, ratio: usize) -> Flops {
    let keys_and_values = Flops::product([tokens, channels, 2 * channels]);
    let query_and_output = Flops::product([1, channels, 2 * channels]);
    keys_and_values + query_and_output + attention(1, tokens, channels) + feed_forward(1, channels, ratio)
}

/// The high-resolution encoder over one image of `[height, width]` pixels.
pub fn swin_v2(config: &SwinV2Config, size: [usize; 2]) -> Flops {
    let sizes = config.stage_sizes(size);
    let pixels = config.bands * config.patch * config.patch;
    let first = sizes.first().map_or(0, |[rows, columns]| rows * columns);
    let embed = Flops::of_data([first, pixels, config.channels]);
    let stages = sizes.iter().enumerate().map(|(stage, &[rows, columns])| {
        let (tokens, c, window) = (rows * columns, config.stage_channels(stage), config.stage_window(stage));
        // Windows that reach over the map are full of padding there, which is multiplied like the rest.
        let padded = rows.next_multiple_of(window) * columns.next_multiple_of(window);
        let block = Flops::product([padded, c, 4 * c])
            + attention(padded, window * window, c)
            + feed_forward(tokens, c, config.mlp_ratio);
        let merge = if stage > 0 { Flops::product([tokens, 2 * c, c]) } else { Flops::default() };
        merge + block * config.depths[stage]
    });
    embed + stages.sum()
}

/// A series encoder over one date of `[height, width]` pixels.
pub fn vit(config: &VitConfig, [height, width]: [usize; 2]) -> Flops {
    let places = height.div_ceil(config.patch) * width.div_ceil(config.patch);
    let tokens = places + usize::from(config.class_token);
    let embed = Flops::of_data([places, config.bands * config.patch * config.patch, config.channels]);
    embed + layer(tokens, config.channels, config.mlp_ratio) * config.layers
}

/// An up head over the features of one date, `tokens` of them.
pub fn up_head(config: &UpHeadConfig, tokens: usize) -> Flops {
    Flops::product([tokens, config.channels_in, config.channels_out * config.scale * config.scale])
}

/// The fusion over one position with `dates` tokens.
pub fn fusion(config: &FusionConfig, dates: usize) -> Flops {
    let (c, tokens) = (config.channels, dates + 1);
    let project = Flops::product([dates, config.channels_in, c]);
    let layers = match config.layers {
        0 => Flops::default(),
        count => layer(tokens, c, config.mlp_ratio) * (count - 1) + last_layer(tokens, c, config.mlp_ratio),
    };
    project + layers
}

/// The prototypes' attention over one position, and what is projected to their width and back.
pub fn geo_context(config: &GeoContextConfig) -> Flops {
    let projections = config.width.map_or(Flops::default(), |width| Flops::product([1, config.channels, width]) * 2);
    // Prototypes have no gradient, as pixels have none.
    Flops::of_data([1, config.table_width(), config.prototypes]) * 2 + projections
}

/// A segmentation head over one position.
pub fn segmentation_head(config: &SegmentationHeadConfig) -> Flops {
    let neighbours = Flops::product([1, 9 * config.channels, config.hidden]);
    neighbours + Flops::product([1, config.hidden, config.classes])
}

/// Each module over one chip with all of its dates.
pub fn by_module(config: &SkySenseConfig, chip: Chip) -> Vec<(&'static str, Flops)> {
    let mut counts = Vec::new();
    if let Some(hr) = &config.hr {
        counts.push(("hr", swin_v2(hr, chip.hr())));
    }
    for (name, head, series, dates) in
        [("s2", "head_s2", &config.s2, chip.dates_s2), ("s1", "head_s1", &config.s1, chip.dates_s1)]
    {
        let Some((vit_config, up)) = series else { continue };
        let side = chip.size.div_ceil(vit_config.patch);
        counts.push((name, vit(vit_config, chip.series()) * dates));
        counts.push((head, up_head(up, side * side) * dates));
    }
    let positions = chip.positions() as usize;
    counts.push(("fusion", fusion(&config.fusion, chip.dates(config) as usize) * positions));
    counts.extend(config.geo_context.as_ref().map(|context| ("geo_context", geo_context(context) * positions)));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;

    /// `tiny` on a chip of 8 px with two dates of Sentinel-2 and one of Sentinel-1, written out product by product.
    #[test]
    fn a_count_by_hand() {
        let config = preset("tiny").unwrap();
        let chip = Chip { size: 8, dates_s2: 2, dates_s1: 1 };
        chip.check(&config).unwrap();
        let counts = by_module(&config, chip);
        let find = |name: &str| counts.iter().find(|entry| entry.0 == name).unwrap().1;

        // HR: 256 × 256 px, 64 × 64 patches of 4 × 4 × 3 = 48 values to 12 channels.
        let embed = 2 * 4096 * 48 * 12;
        // Stage 0: 4096 tokens, 12 channels, one block: qkv 12 → 36, windows of 16 tokens (logits, values), proj 12 → 12,
        // feed-forward 12 → 48 → 12.
        let stage_0 = 2 * 4096 * (12 * 36 + 16 * 12 + 16 * 12 + 12 * 12 + 12 * 48 + 48 * 12);
        // Stage 1: merged from 48 to 24 channels, 32 × 32 tokens.
        let stage_1 = 2 * 1024 * (48 * 24) + 2 * 1024 * (24 * 72 + 16 * 24 + 16 * 24 + 24 * 24 + 24 * 96 + 96 * 24);
        // Stage 2: two blocks.
        let stage_2 =
            2 * 256 * (96 * 48) + 2 * 2 * 256 * (48 * 144 + 16 * 48 + 16 * 48 + 48 * 48 + 48 * 192 + 192 * 48);
        // Stage 3: 8 × 8 tokens in four windows.
        let stage_3 = 2 * 64 * (192 * 96) + 2 * 64 * (96 * 288 + 16 * 96 + 16 * 96 + 96 * 96 + 96 * 384 + 384 * 96);
        let hr = embed + stage_0 + stage_1 + stage_2 + stage_3;
        assert_eq!(find("hr").forward, hr);
        assert_eq!(find("hr").training(), 3 * hr - embed, "pixels have no gradient");

        // S2, a date: 2 × 2 tokens of 4 × 4 × 10 values, 128 channels, three layers.
        let series_layer = 2 * 4 * (128 * 384 + 4 * 128 + 4 * 128 + 128 * 128 + 128 * 512 + 512 * 128);
        let (embed_s2, embed_s1) = (2 * 4 * 160 * 128, 2 * 4 * 32 * 128);
        assert_eq!(find("s2").forward, 2 * (embed_s2 + 3 * series_layer));
        assert_eq!(find("s1").forward, embed_s1 + 3 * series_layer);
        assert_eq!(find("s1").backward, embed_s1 + 2 * 3 * series_layer);
        // Up heads: 128 → 96 × 16 for each token.
        assert_eq!(find("head_s2").forward, 2 * 2 * 4 * 128 * 1536);
        assert_eq!(find("head_s1").forward, 2 * 4 * 128 * 1536);

        // Fusion: 64 positions, four tokens of 96 → 64, one layer of five tokens of which the first is read: keys and
        // values of all, query, output and feed-forward of one.
        let project = 2 * 4 * 96 * 64;
        let layer = 2 * (5 * 64 * 128) + 2 * (64 * 64) + 2 * (5 * 64 + 5 * 64) + 2 * (64 * 64) + 2 * (2 * 64 * 256);
        assert_eq!(find("fusion").forward, 64 * (project + layer));
        assert_eq!(find("fusion").backward, 2 * 64 * (project + layer));

        let head = SegmentationHeadConfig { channels: 64, hidden: 64, classes: 5 };
        assert_eq!(segmentation_head(&head).forward, 2 * (9 * 64 * 64 + 64 * 5));
        let context = |width| GeoContextConfig { regions: 4096, prototypes: 100, channels: 64, width };
        assert_eq!(geo_context(&context(None)).forward, 2 * (64 * 100 + 100 * 64));
        assert_eq!(geo_context(&context(None)).backward, geo_context(&context(None)).forward);
        let (projections, attention) = (2 * (64 * 16 + 16 * 64), 2 * (16 * 100 + 100 * 16));
        let narrow = geo_context(&context(Some(16)));
        assert_eq!((narrow.forward, narrow.backward), (projections + attention, 2 * projections + attention));
    }

    #[test]
    fn windows_over_the_rim_are_multiplied_whole() {
        let hr = preset("small").unwrap().hr.unwrap();
        let blocks = |size| swin_v2(&SwinV2Config { depths: vec![1], ..hr.clone() }, [size; 2]).forward;
        // 9 × 9 tokens are 16 × 16 in windows; the feed-forward branch sees 81.
        let (inside, outside) = (2 * 256 * (4 * 48 * 48 + 2 * 64 * 48), 2 * 81 * (8 * 48 * 48));
        assert_eq!(blocks(36), 2 * 81 * 48 * 48 + inside + outside);
    }

    #[test]
    fn what_does_not_grow_with_the_batch_is_little() {
        for name in crate::PRESETS {
            let hr = preset(name).unwrap().hr.unwrap();
            let offsets = (2 * hr.window - 1).pow(2) as u64;
            let bias = |(&depth, &heads): (&usize, &usize)| {
                2 * depth as u64 * offsets * hr.bias_hidden as u64 * (2 + heads as u64)
            };
            let left_out: u64 = hr.depths.iter().zip(&hr.heads).map(bias).sum();
            let counted = swin_v2(&hr, [512; 2]).forward;
            assert!(left_out * 50 < counted, "{name}: {left_out} of {counted}");
        }
    }
}
