//! Counting parameters from a configuration.

use crate::calendar::Calendar;
use crate::encoder::SkySenseConfig;
use crate::fusion::FusionConfig;
use crate::geo_context::GeoContextConfig;
use crate::heads::SegmentationHeadConfig;
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

/// The table of the calendar encoding, where it is on.
pub fn calendar(config: &FusionConfig) -> usize {
    if config.calendar == Calendar::None { 0 } else { config.days * config.channels_in }
}

/// Parameters of the prototypes, and of their two projections where they have a width of their own.
pub fn geo_context(config: &GeoContextConfig) -> usize {
    let projections = config.width.map_or(0, |width| 2 * config.channels * width);
    config.regions * config.prototypes * config.table_width() + projections
}

/// Parameters of a segmentation head.
pub fn segmentation_head(config: &SegmentationHeadConfig) -> usize {
    (9 * config.channels + 1) * config.hidden + (config.hidden + 1) * config.classes
}

/// Parameters of each module that the encoder has.
///
/// At the paper's sizes its table of the parts of SkySense says 654 M for the high-resolution encoder, 302 M for each
/// series encoder, 398 M for the fusion, 215 M for the prototypes and 2.06 B in all. Where that differs:
/// - "fusion" holds both up heads, 305,195,008 + 2 × 46,182,400 = 397,559,808 here; 0.64 M stay unexplained.
/// - The backbones' 1,260.31 M are, without patch embeddings, with buffers and one output norm, those with
///   position tables of 16 × 16 tokens. The
///   preset has the 4 × 4 of the official configuration, 245,760 parameters fewer in each series encoder:
///   [`SkySenseConfig::with_positions`] gives the other.
/// - Prototypes of 4096 regions × 100 have 209.7 M at a width of 512, so the paper's 215 M seem to be that with
///   projections. With two linear ones there are 210.8 M here, so 4.2 M stay unexplained; as wide as the features, 1024,
///   and without projections 419.4 M.
pub fn by_module(config: &SkySenseConfig) -> Vec<(&'static str, usize)> {
    let mut counts = Vec::new();
    if let Some(hr) = &config.hr {
        counts.push(("hr", swin_v2(hr)));
    }
    for (encoder, head, series) in [("s2", "head_s2", &config.s2), ("s1", "head_s1", &config.s1)] {
        if let Some((vit_config, up)) = series {
            counts.extend([(encoder, vit(vit_config)), (head, up_head(up))]);
        }
    }
    counts.push(("fusion", fusion(&config.fusion)));
    if config.fusion.calendar != Calendar::None {
        counts.push(("ctpe", calendar(&config.fusion)));
    }
    counts.extend(config.geo_context.as_ref().map(|context| ("geo_context", geo_context(context))));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;
    use burn::module::Module;
    use burn::tensor::Device;

    fn count(config: &SkySenseConfig, name: &str) -> usize {
        by_module(config).into_iter().find(|entry| entry.0 == name).unwrap().1
    }

    #[test]
    fn the_papers_model_has_the_published_counts() {
        let config = preset("skysense").unwrap();
        // Four output norms; with that of the last stage alone there are 655,074,704.
        assert_eq!(count(&config, "hr"), 655_079_632);
        let last = SwinV2Config { out_stages: vec![3], ..config.hr.clone().unwrap() };
        assert_eq!(swin_v2(&last), 655_074_704);
        assert_eq!(count(&config, "head_s2"), 46_182_400);
        assert_eq!(count(&config, "head_s1"), 46_182_400);
        assert_eq!(count(&config, "fusion"), 305_195_008);
        assert_eq!(count(&config, "s2"), 302_491_648);
        assert_eq!(count(&config, "s1"), 302_360_576);
        assert_eq!(count(&config, "ctpe"), 1_027_840);
        let context = |width| GeoContextConfig { regions: 4096, prototypes: 100, channels: 1024, width };
        assert_eq!(geo_context(&context(Some(512))), 209_715_200 + 1_048_576);
        assert_eq!(geo_context(&context(None)), 419_430_400);
    }

    #[test]
    fn the_backbones_of_the_papers_table_have_position_tables_of_16_by_16() {
        // Without patch embeddings, with one output norm and the buffers of 24 blocks: indices of 64² pairs of tokens,
        // coordinates of 15² offsets.
        let buffers = 24 * (4096 + 450);
        let patch_embeddings = 17_952 + 164_864 + 33_792;
        let millions = |side| {
            let config = preset("skysense").unwrap().with_positions(side, false);
            let last = SwinV2Config { out_stages: vec![3], ..config.hr.clone().unwrap() };
            let backbones = swin_v2(&last) + count(&config, "s2") + count(&config, "s1");
            (backbones - patch_embeddings + buffers) as f64 / 1e6
        };
        assert_eq!(format!("{:.2}", millions(16)), "1260.31");
        assert_eq!(format!("{:.2}", millions(4)), "1259.82");
    }

    #[test]
    fn the_formula_counts_what_is_made() {
        for name in ["tiny", "small"] {
            let mut config = preset(name).unwrap();
            let channels = config.fusion.channels;
            for (side, of_class, width) in [(4, false, None), (7, true, Some(24))] {
                let mut config = config.clone().with_positions(side, of_class);
                config.geo_context = Some(GeoContextConfig { regions: 3, prototypes: 5, channels, width });
                let model = config.init(&Device::default()).unwrap();
                let encoders = &model.encoders;
                let made = [
                    ("hr", encoders.backbone_hr.as_ref().unwrap().num_params()),
                    ("s2", encoders.backbone_s2.as_ref().unwrap().num_params()),
                    ("head_s2", encoders.head_s2.as_ref().unwrap().num_params()),
                    ("s1", encoders.backbone_s1.as_ref().unwrap().num_params()),
                    ("head_s1", encoders.head_s1.as_ref().unwrap().num_params()),
                    ("fusion", model.fusion.num_params() - calendar(&config.fusion)),
                    ("ctpe", 365 * config.fusion.channels_in),
                    ("geo_context", model.geo_context.as_ref().unwrap().num_params()),
                ];
                assert_eq!(by_module(&config), made, "{name}");
                assert_eq!(model.num_params(), made.iter().map(|entry| entry.1).sum::<usize>(), "{name}");
            }
            config.fusion.calendar = Calendar::None;
            config.geo_context = Some(GeoContextConfig { regions: 3, prototypes: 5, channels, width: Some(channels) });
            let model = config.init(&Device::default()).unwrap();
            assert_eq!(model.num_params(), by_module(&config).iter().map(|entry| entry.1).sum::<usize>());
            let head = SegmentationHeadConfig { channels: config.channels(), hidden: 64, classes: 9 };
            assert_eq!(head.init(&Device::default()).num_params(), segmentation_head(&head));
        }
    }

    #[test]
    fn extra_norms_are_counted_where_they_are_made() {
        let hr = SwinV2Config { depths: vec![1, 2, 5, 3], extra_norm_every: 2, ..preset("tiny").unwrap().hr.unwrap() };
        assert_eq!(hr.init(&Device::default()).unwrap().num_params(), swin_v2(&hr));
    }
}
