//! Counting parameters from a configuration, without making a model.

use crate::encoder::SkySenseConfig;
use crate::fusion::FusionConfig;
use crate::swin::SwinV2Config;
use crate::up_head::UpHeadConfig;
use crate::vit::VitConfig;

/// A transformer layer: two norms, packed projections, a feed-forward branch.
fn layer(channels: usize, ratio: usize) -> usize {
    let attention = 4 * channels * channels + 4 * channels;
    let feed_forward = 2 * ratio * channels * channels + (ratio + 1) * channels;
    attention + feed_forward + 4 * channels
}

/// Parameters of the high-resolution encoder.
pub fn swin_v2(config: &SwinV2Config) -> usize {
    let first = config.channels;
    let mut count = config.bands * config.patch * config.patch * first + first + 2 * first;
    for (stage, &depth) in config.depths.iter().enumerate() {
        let c = config.stage_channels(stage);
        if stage > 0 {
            // From half the channels: a projection of four times those, and a norm.
            count += 2 * c * c + 2 * c;
        }
        let attention = 3 * c * c + 2 * c + c * c + c + config.heads[stage];
        let bias = 3 * config.bias_hidden + config.bias_hidden * config.heads[stage];
        let feed_forward = 2 * config.mlp_ratio * c * c + (config.mlp_ratio + 1) * c;
        let extra = depth.checked_div(config.extra_norm_every).unwrap_or(0);
        count += depth * (attention + bias + feed_forward + 4 * c) + extra * 2 * c;
    }
    count + config.out_stages.iter().map(|&stage| 2 * config.stage_channels(stage)).sum::<usize>()
}

/// Parameters of a series encoder.
pub fn vit(config: &VitConfig) -> usize {
    let c = config.channels;
    let slots = config.positions[0] * config.positions[1] + usize::from(config.position_of_class);
    let embed = config.bands * config.patch * config.patch * c + c;
    embed + c + slots * c + config.layers * layer(c, config.mlp_ratio)
}

/// Parameters of an up head.
pub fn up_head(config: &UpHeadConfig) -> usize {
    config.channels_out * config.scale * config.scale * (config.channels_in + 1)
}

/// Parameters of the fusion without the calendar table.
pub fn fusion(config: &FusionConfig) -> usize {
    let c = config.channels;
    (config.channels_in + 1) * c + c + config.layers * layer(c, config.mlp_ratio)
}

/// Parameters of each module by its name in checkpoints.
pub fn by_module(config: &SkySenseConfig) -> Vec<(&'static str, usize)> {
    let mut counts = Vec::new();
    if let Some(hr) = &config.hr {
        counts.push(("backbone_hr", swin_v2(hr)));
    }
    for (backbone, head, series) in [("backbone_s2", "head_s2", &config.s2), ("backbone_s1", "head_s1", &config.s1)] {
        if let Some((encoder, up)) = series {
            counts.extend([(backbone, vit(encoder)), (head, up_head(up))]);
        }
    }
    counts.push(("fusion", fusion(&config.fusion)));
    if config.fusion.calendar != crate::Calendar::None {
        counts.push(("ctpe", crate::DAYS * config.fusion.channels_in));
    }
    if let Some(context) = &config.geo_context {
        counts.push(("geo_context", context.regions * context.prototypes * context.channels));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;
    use burn::module::Module;
    use burn::tensor::Device;

    #[test]
    fn the_papers_model_has_the_published_counts() {
        let config = preset("skysense").unwrap();
        let count = |name: &str| by_module(&config).into_iter().find(|entry| entry.0 == name).unwrap().1;
        // With four output norms; the paper's table says 654 M for the encoder and 398 M for fusion with both up heads.
        assert_eq!(count("backbone_hr"), 655_079_632);
        assert_eq!(count("head_s2"), 46_182_400);
        assert_eq!(count("head_s1"), 46_182_400);
        assert_eq!(count("fusion"), 305_195_008);
        assert_eq!(count("backbone_s2"), 302_491_648);
        assert_eq!(count("backbone_s1"), 302_360_576);
        assert_eq!(count("ctpe"), 1_027_840);
    }

    #[test]
    fn the_formula_counts_what_is_made() {
        let config = preset("tiny").unwrap();
        let model = config.init(&Device::default()).unwrap();
        let counted: usize = by_module(&config).iter().map(|entry| entry.1).sum();
        assert_eq!(model.num_params(), counted);
    }
}
