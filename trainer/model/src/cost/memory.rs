//! Predicting memory of a pass in Burn.
//!
//! Training keeps the input of every operation whose gradient needs it; the counts below follow what `burn-autodiff`
//! keeps, operation by operation. With mixed precision, what norms and softmax keep stays in single precision, and beside
//! it stand copies in 16 bits that products read. With checkpointing by blocks, of a block only its input is kept, and of
//! one block at a time the rest. On top of that comes what is held for the moment, in the layer that holds most, always
//! counted in single precision: the CPU multiplies bf16 in it. An allocator rounds up and fragments, which is not counted:
//! docs/MODEL.md has measured peaks beside predictions.

use std::ops::{Add, Mul};

use super::{Chip, parameters};
use crate::encoder::SkySenseConfig;
use crate::fusion::FusionConfig;
use crate::geo_context::GeoContextConfig;
use crate::heads::SegmentationHeadConfig;
use crate::precision::Precision;
use crate::swin::SwinV2Config;
use crate::tape::Checkpointing;
use crate::up_head::UpHeadConfig;
use crate::vit::VitConfig;

/// Bytes of a value in single precision.
const VALUE: u64 = 4;

/// Bytes of a value in 16 bits.
const HALF: u64 = 2;

/// Moments that AdamW keeps for each parameter.
const MOMENTS: u64 = 2;

/// Memory of a forward pass without gradients, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inference {
    /// Weights.
    pub parameters: u64,
    /// Pixels, features and what the widest layer holds.
    pub activations: u64,
}

/// Memory of training with AdamW, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Training {
    /// Weights.
    pub parameters: u64,
    /// One for each weight, in each part of a step.
    pub gradients: u64,
    /// Both moments of each weight.
    pub optimiser: u64,
    /// What the backward pass needs of the forward pass, and what the widest layer holds for the moment.
    pub activations: u64,
}

impl Inference {
    /// The predicted peak.
    pub fn total(self) -> u64 {
        self.parameters + self.activations
    }
}

impl Training {
    /// The predicted peak: all parts at once.
    pub fn total(self) -> u64 {
        self.parameters + self.gradients + self.optimiser + self.activations
    }
}

/// How training computes, and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    /// Type of activations and products.
    pub precision: Precision,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
    /// Parts that the samples of a step are cut into at most, each with gradients of its own.
    pub parts: u64,
}

impl Mode {
    /// Whether products are in 16 bits.
    fn mixed(self) -> bool {
        self.precision != Precision::F32
    }

    /// Bytes of values in the type of activations, and of values that are always in single precision.
    fn bytes(self, own: u64, single: u64) -> u64 {
        (if self.mixed() { HALF } else { VALUE }) * own + VALUE * single
    }

    /// Bytes of what a layer keeps: so many values where fused operations run in single precision, and in 16 bits what
    /// the composed ones keep.
    fn bytes_of(self, fused: u64, composed: Composed) -> u64 {
        if self.mixed() { HALF * composed.half + VALUE * composed.single } else { VALUE * fused }
    }

    /// Bytes of copies that there are only because products are in another type.
    fn copies(self, values: u64) -> u64 {
        if self.mixed() { HALF * values } else { 0 }
    }

    /// A block of layers over an input of so many values.
    fn block(self, block: Activations, input: u64) -> Activations {
        match self.checkpointing {
            Checkpointing::Off => block,
            Checkpointing::Blocks => Activations { kept: self.bytes(input, 0), again: block.kept, ..block },
        }
    }
}

/// Values that composed operations keep where products are in 16 bits: in that type, and in single precision.
#[derive(Debug, Clone, Copy)]
struct Composed {
    half: u64,
    single: u64,
}

/// Bytes of a module's forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activations {
    /// Kept for the backward pass.
    pub kept: u64,
    /// Kept while a block is computed again, of the block that keeps most.
    pub again: u64,
    /// Held at once where no backward pass follows.
    pub working: u64,
}

/// One after the other: what is kept adds up, what is held is the larger.
impl Add for Activations {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            kept: self.kept + other.kept,
            again: self.again.max(other.again),
            working: self.working.max(other.working),
        }
    }
}

impl Mul<usize> for Activations {
    type Output = Self;

    fn mul(self, times: usize) -> Self {
        match times {
            0 => Self::default(),
            _ => Self { kept: self.kept * times as u64, ..self },
        }
    }
}

/// `count` sequences through a pre-norm layer.
fn layer(mode: Mode, count: u64, tokens: u64, (channels, heads, ratio): (u64, u64, u64)) -> Activations {
    let (map, weights) = (count * tokens * channels, count * heads * tokens * tokens);
    let layer = Activations {
        // In single precision the inputs of two norms and what they give, packed projections, the joined heads, both
        // sides of the activation; the attention's weights. In 16 bits, of two norms what they give; query, key, value,
        // the joined heads, both sides of the activation; singly, of the norms the centred and the normalised map, of
        // the softmax its input, its exponentials and its weights.
        kept: mode.bytes_of(
            (8 + 2 * ratio) * map + weights,
            Composed { half: (6 + 2 * ratio) * map + weights, single: 4 * map + 3 * weights },
        ),
        // The stream beside packed projections, weights and joined heads, or beside both wide maps.
        working: VALUE * (5 * map + weights).max((1 + 2 * ratio) * map),
        again: 0,
    };
    mode.block(layer, map)
}

/// The same where only the first token goes on.
fn last_layer(mode: Mode, count: u64, tokens: u64, (channels, heads, ratio): (u64, u64, u64)) -> Activations {
    let (map, first, weights) = (count * tokens * channels, count * channels, count * heads * tokens);
    let layer = Activations {
        kept: mode.bytes_of(
            4 * map + (5 + 2 * ratio) * first + weights,
            Composed { half: 3 * map + (4 + 2 * ratio) * first + weights, single: 2 * map + 2 * first + 3 * weights },
        ),
        working: VALUE * (4 * map + weights),
        again: 0,
    };
    mode.block(layer, map)
}

/// The high-resolution encoder over `batch` images of `[height, width]` pixels.
pub fn swin_v2(mode: Mode, config: &SwinV2Config, size: [usize; 2], batch: u64) -> Activations {
    let ratio = config.mlp_ratio as u64;
    let mut sum = Activations::default();
    for (stage, &[rows, columns]) in config.stage_sizes(size).iter().enumerate() {
        let (window, c, heads) =
            (config.stage_window(stage), config.stage_channels(stage) as u64, config.heads[stage] as u64);
        let padded = (rows.next_multiple_of(window) * columns.next_multiple_of(window)) as u64 * batch;
        let map = (rows * columns) as u64 * batch * c;
        let (windowed, pairs) = (padded * c, (window * window) as u64);
        let weights = padded * heads * pairs;
        let depth = config.depths[stage];
        let extra = depth.checked_div(config.extra_norm_every).unwrap_or(0) as u64;
        let offsets = (2 * window as u64 - 1).pow(2);
        let bias = offsets * config.bias_hidden as u64 + heads * pairs * pairs;
        let block = Activations {
            // Tokens in windows, packed projections, the attention's weights, joined heads; the inputs of two norms, the
            // stream and both sides of the activation; the network of the position bias. Attention is singly in 16 bits,
            // too, and so is what norms keep, of two the centred and the normalised map.
            kept: mode.bytes_of(
                5 * windowed + (3 + 2 * ratio) * map + weights + bias,
                Composed {
                    half: 2 * windowed + (1 + 2 * ratio) * map,
                    single: 3 * windowed + 4 * map + weights + bias,
                },
            ),
            working: VALUE * (5 * windowed + map + weights).max((1 + 2 * ratio) * map),
            again: 0,
        };
        let normed = |count: u64| Activations {
            kept: mode.bytes_of(count * map, Composed { half: 0, single: 2 * count * map }),
            working: VALUE * 2 * map,
            again: 0,
        };
        let merged = Activations {
            kept: mode.bytes_of(3 * map, Composed { half: 2 * map, single: 2 * map }),
            working: VALUE * 4 * map,
            again: 0,
        };
        let entrance = match stage {
            0 => normed(1),
            _ => mode.block(merged, 2 * map),
        };
        let outputs = config.out_stages.iter().filter(|&&given| given == stage).count() as u64;
        // A third norm is part of its block.
        let extra = match mode.checkpointing {
            Checkpointing::Off => normed(extra),
            Checkpointing::Blocks => Activations::default(),
        };
        sum = sum + entrance + mode.block(block, map) * depth + extra + normed(outputs);
    }
    sum
}

/// A series encoder over `images` dates of `[height, width]` pixels.
pub fn vit(mode: Mode, config: &VitConfig, [height, width]: [usize; 2], images: u64) -> Activations {
    let tokens = (height.div_ceil(config.patch) * width.div_ceil(config.patch)) + usize::from(config.class_token);
    let widths = (config.channels as u64, config.heads as u64, config.mlp_ratio as u64);
    layer(mode, images, tokens as u64, widths) * config.layers
}

/// An up head over `tokens` of all dates.
pub fn up_head(mode: Mode, config: &UpHeadConfig, tokens: u64) -> Activations {
    let input = tokens * config.channels_in as u64;
    let output = tokens * (config.channels_out * config.scale * config.scale) as u64;
    Activations { kept: mode.bytes(input, 0), working: VALUE * (input + 2 * output), again: 0 }
}

/// The fusion over `positions` with `dates` tokens each.
pub fn fusion(mode: Mode, config: &FusionConfig, positions: u64, dates: u64) -> Activations {
    let widths = (config.channels as u64, config.heads as u64, config.mlp_ratio as u64);
    let sequences = positions * dates * config.channels_in as u64;
    let projected = positions * (dates + 1) * config.channels as u64;
    // With the calendar, tokens stand beside their sum with it, and that beside its order by position.
    let working = VALUE * (2 * sequences).max(sequences + 2 * projected);
    let entrance = Activations { kept: mode.bytes(sequences, 0), working, again: 0 };
    match config.layers {
        0 => entrance,
        count => {
            entrance
                + layer(mode, positions, dates + 1, widths) * (count - 1)
                + last_layer(mode, positions, dates + 1, widths)
        }
    }
}

/// The prototypes' attention over `positions` of each of `batch` chips.
pub fn geo_context(config: &GeoContextConfig, positions: u64, batch: u64) -> Activations {
    let map = positions * batch * config.channels as u64;
    let prototypes = batch * (config.prototypes * config.table_width()) as u64;
    let weights = positions * batch * config.prototypes as u64;
    // Queries and what prototypes say, before their projections.
    let projected = config.width.map_or(0, |width| 2 * positions * batch * width as u64);
    Activations {
        kept: VALUE * (map + projected + prototypes + 3 * weights),
        working: VALUE * (4 * map + projected + prototypes + 2 * weights),
        again: 0,
    }
}

/// A segmentation head over `positions` of all chips.
pub fn segmentation_head(mode: Mode, config: &SegmentationHeadConfig, positions: u64) -> Activations {
    let (input, hidden) = (positions * config.channels as u64, positions * config.hidden as u64);
    // The loss keeps what a softmax does.
    let logits = positions * config.classes as u64;
    Activations {
        kept: mode.bytes(input + 2 * hidden, 3 * logits),
        working: VALUE * (input + 2 * hidden + logits),
        again: 0,
    }
}

/// Pixels of a batch in values.
fn pixels(config: &SkySenseConfig, chip: Chip, batch: u64) -> u64 {
    let area = |[height, width]: [usize; 2]| (height * width) as u64;
    let hr = config.hr.as_ref().map_or(0, |hr| hr.bands as u64 * area(chip.hr()));
    let series = |series: &Option<(VitConfig, UpHeadConfig)>, dates: usize| {
        series.as_ref().map_or(0, |(vit, _)| (vit.bands * dates) as u64 * area(chip.series()))
    };
    (hr + series(&config.s2, chip.dates_s2) + series(&config.s1, chip.dates_s1)) * batch
}

/// The encoders and up heads, whose largest working set stands beside features that are ready.
fn encoders(mode: Mode, config: &SkySenseConfig, chip: Chip, batch: u64) -> Activations {
    let mut sum = Activations::default();
    if let Some(hr) = &config.hr {
        sum = sum + swin_v2(mode, hr, chip.hr(), batch);
    }
    for (series, dates) in [(&config.s2, chip.dates_s2), (&config.s1, chip.dates_s1)] {
        let Some((vit_config, up)) = series else { continue };
        let (images, side) = (dates as u64 * batch, chip.size.div_ceil(vit_config.patch));
        sum = sum + vit(mode, vit_config, chip.series(), images) + up_head(mode, up, images * (side * side) as u64);
    }
    sum
}

/// All modules in turn: what is kept, and what is held at once beside the pixels.
fn whole(mode: Mode, config: &SkySenseConfig, head: &SegmentationHeadConfig, chip: Chip, batch: u64) -> Activations {
    let (positions, dates) = (chip.positions() * batch, chip.dates(config));
    let features = VALUE * positions * dates * config.fusion.channels_in as u64;
    let mut encoded = encoders(mode, config, chip, batch);
    // Features of the modalities that are ready stand beside the work on the last one; then all are joined.
    encoded.working = features + encoded.working.max(features);
    let mut sum = encoded + fusion(mode, &config.fusion, positions, dates);
    if let Some(context) = &config.geo_context {
        sum = sum + geo_context(context, chip.positions(), batch);
    }
    sum = sum + segmentation_head(mode, head, positions);
    sum
}

/// Parameters of encoder and head, in values.
fn weights(config: &SkySenseConfig, head: &SegmentationHeadConfig) -> u64 {
    let encoder: usize = parameters::by_module(config).iter().map(|entry| entry.1).sum();
    (encoder + parameters::segmentation_head(head)) as u64
}

/// A forward pass over `batch` chips.
pub fn inference(config: &SkySenseConfig, head: &SegmentationHeadConfig, chip: Chip, batch: u64) -> Inference {
    let working = whole(Mode::default(), config, head, chip, batch).working;
    Inference { parameters: VALUE * weights(config, head), activations: VALUE * pixels(config, chip, batch) + working }
}

/// A training step over `batch` chips, every parameter learning.
pub fn training(
    mode: Mode,
    config: &SkySenseConfig,
    head: &SegmentationHeadConfig,
    chip: Chip,
    batch: u64,
) -> Training {
    let weights = weights(config, head);
    let parameters = VALUE * weights;
    // Prototypes follow averages, not gradients.
    let table = config.geo_context.as_ref().map_or(0, |c| c.regions * c.prototypes * c.table_width()) as u64;
    let learned = VALUE * (weights - table);
    let pixels = pixels(config, chip, batch);
    let Activations { kept, again, working } = whole(mode, config, head, chip, batch);
    // Products keep weights in their own type; blocks that are computed again do so one at a time.
    let copies = match mode.checkpointing {
        Checkpointing::Off => mode.copies(weights - table),
        Checkpointing::Blocks => 0,
    };
    Training {
        parameters,
        gradients: learned * mode.parts.min(batch).max(1),
        optimiser: MOMENTS * learned,
        activations: VALUE * pixels + mode.copies(pixels) + kept + again + copies + working,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;

    const CHIP: Chip = Chip { size: 16, dates_s2: 4, dates_s1: 2 };

    fn head(config: &SkySenseConfig) -> SegmentationHeadConfig {
        SegmentationHeadConfig { channels: config.channels(), hidden: 64, classes: 5 }
    }

    #[test]
    fn weights_cost_four_times_their_size_in_training_whatever_the_batch() {
        let config = preset("skysense").unwrap();
        let one = training(Mode::default(), &config, &head(&config), CHIP, 1);
        let eight = training(Mode::default(), &config, &head(&config), CHIP, 8);
        assert_eq!(one.gradients + one.optimiser, 3 * one.parameters);
        assert_eq!(one.parameters, eight.parameters);
        assert!(eight.activations > 7 * one.activations && eight.activations <= 8 * one.activations);
    }

    /// One layer of 2 sequences of 5 tokens, 64 channels, 4 heads, written out.
    #[test]
    fn a_layer_by_hand() {
        let map = 2 * 5 * 64;
        let norms = 2 * (map + map);
        let attention = 3 * map + map;
        let weights = 2 * 4 * 5 * 5;
        let feed_forward = 2 * (4 * map);
        let layer = |mode| layer(mode, 2, 5, (64, 4, 4));
        assert_eq!(layer(Mode::default()).kept, 4 * (norms + attention + weights + feed_forward));
        let mixed = Mode { precision: Precision::Bf16, ..Mode::default() };
        let singly = 2 * (map + map) + 3 * weights;
        let halved = 2 * map + attention + feed_forward + weights;
        assert_eq!(layer(mixed).kept, 4 * singly + 2 * halved);
        let blocks = layer(Mode { checkpointing: Checkpointing::Blocks, ..Mode::default() });
        assert_eq!((blocks.kept, blocks.again), (4 * map, layer(Mode::default()).kept));
    }

    #[test]
    fn less_is_kept_in_16_bits_and_by_blocks() {
        let config = preset("base").unwrap();
        let activations = |precision, checkpointing| {
            training(Mode { precision, checkpointing, parts: 1 }, &config, &head(&config), CHIP, 8).activations as f64
        };
        let plain = activations(Precision::F32, Checkpointing::Off);
        assert!(activations(Precision::Bf16, Checkpointing::Off) < plain);
        assert!(activations(Precision::F32, Checkpointing::Blocks) < 0.3 * plain);
        assert!(
            activations(Precision::F16, Checkpointing::Blocks) < activations(Precision::F32, Checkpointing::Blocks)
        );
    }

    #[test]
    fn training_holds_more_than_inference_and_fewer_modalities_less() {
        for name in crate::PRESETS {
            let mut config = preset(name).unwrap();
            let all = training(Mode::default(), &config, &head(&config), CHIP, 2);
            assert!(all.total() > inference(&config, &head(&config), CHIP, 2).total());
            config.hr = None;
            let series = training(Mode::default(), &config, &head(&config), CHIP, 2);
            assert!(series.activations < all.activations && series.parameters < all.parameters, "{name}");
        }
    }
}
