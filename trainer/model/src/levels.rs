//! ONNX graphs of single modules with the features of every level, as heads on several levels read them.

use crate::export::{map_output, normalised};
use crate::fusion::Fusion;
use crate::normalise::Normalisation;
use crate::onnx::{ElementType, Graph, Side};
use crate::swin::SwinV2;
use crate::up_head::UpHead;
use crate::vit::Vit;
use crate::{PixelType, SwinV2Config};

/// `pixels` `[batch, band, height, width]` → for each stage that the backbone gives `features.STAGE`
/// `[batch, channel, rows, columns]`, counted from 0.
pub fn export_hr_levels(
    backbone: &SwinV2,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
) -> Vec<u8> {
    let mut graph = Graph::new("hr_levels");
    let config: &SwinV2Config = backbone.config();
    let input = normalised(&mut graph, normalisation, pixels, [config.bands, size[0], size[1]]);
    let sizes = config.stage_sizes(size);
    for (stage, features) in backbone.onnx_stages(&mut graph, &input, size) {
        let [rows, columns] = sizes[stage];
        let sides = [config.stage_channels(stage), rows, columns];
        map_output(&mut graph, &format!("features.{stage}"), &features, sides);
    }
    graph.into_bytes()
}

/// `pixels` `[batch, band, height, width]` → `features.LAYER` `[batch, channel, rows, columns]` for each of these
/// layers, counted from 0; batch counts dates.
pub fn export_series_levels(
    backbone: &Vit,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
    layers: &[usize],
) -> Vec<u8> {
    let mut graph = Graph::new("series_levels");
    let config = backbone.config();
    let input = normalised(&mut graph, normalisation, pixels, [config.bands, size[0], size[1]]);
    let [rows, columns] = size.map(|side| side.div_ceil(config.patch));
    // Layers come in their own order, whatever order they are asked for in.
    let mut layers = layers.to_vec();
    layers.sort_unstable();
    layers.dedup();
    for (layer, features) in layers.iter().zip(backbone.onnx_layers(&mut graph, &input, size, &layers)) {
        map_output(&mut graph, &format!("features.{layer}"), &features, [config.channels, rows, columns]);
    }
    graph.into_bytes()
}

/// `tokens` `[sequence, token, channel in]` → `features.LAYER` `[sequence, token, channel]` after each layer, counted
/// from 0; with the extra token in front where `extra` says so.
pub fn export_fusion_levels(fusion: &Fusion, extra: bool) -> Vec<u8> {
    let mut graph = Graph::new("fusion_levels");
    let config = fusion.config();
    let side = |channels| [Side::Free("sequence"), Side::Free("token"), Side::Fixed(channels)];
    let input = graph.input("tokens", ElementType::F32, &side(config.channels_in));
    for (layer, features) in fusion.onnx_layers(&mut graph, &input, extra).iter().enumerate() {
        let sides = [Side::Free("sequence"), Side::Free("token out"), Side::Fixed(config.channels)];
        graph.output(&format!("features.{layer}"), features, &sides);
    }
    graph.into_bytes()
}

/// `features` `[batch, channel, height, width]` → `raised` `[batch, channel out, scale · height, scale · width]`.
pub fn export_up_head(head: &UpHead, [height, width]: [usize; 2]) -> Vec<u8> {
    let mut graph = Graph::new("up_head");
    let sides = [Side::Free("batch"), Side::Fixed(head.channels_in()), Side::Fixed(height), Side::Fixed(width)];
    let input = graph.input("features", ElementType::F32, &sides);
    let raised = head.onnx(&mut graph, &input);
    let scale = head.scale();
    map_output(&mut graph, "raised", &raised, [head.channels(), scale * height, scale * width]);
    graph.into_bytes()
}
