//! The two ONNX graphs of a detector, as [`skysense_contract::Detector`] describes them.

use std::path::Path;

use super::network::DetectorNetwork;
use crate::export::{map_output, normalised};
use crate::normalise::Normalisation;
use crate::onnx::{ElementType, Graph, Side, Value};
use crate::{PixelType, Result};

/// `pixels` → `objectness.L`, `codes.L` and `features.L` of each level.
pub fn export_dense(
    network: &DetectorNetwork,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
) -> Vec<u8> {
    let mut graph = Graph::new("detector");
    dense(&mut graph, network, normalisation, pixels, size);
    graph.into_bytes()
}

/// As [`export_dense`], with the weights in the file `data`, which must come to lie beside the graph.
///
/// # Errors
/// A file that cannot be written.
pub fn export_dense_beside(
    network: &DetectorNetwork,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
    data: &Path,
) -> Result<Vec<u8>> {
    let mut graph = Graph::beside("detector", data)?;
    dense(&mut graph, network, normalisation, pixels, size);
    graph.finish()
}

fn dense(
    graph: &mut Graph,
    network: &DetectorNetwork,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
) {
    let (neck, rpn, _) = network.parts();
    let (config, detector) = (network.backbone_hr.config(), network.detector());
    let input = normalised(graph, normalisation, pixels, [config.bands, size[0], size[1]]);
    let maps: Vec<Value> =
        network.backbone_hr.onnx_stages(graph, &input, size).into_iter().map(|(_, map)| map).collect();
    let levels = neck.onnx(graph, &maps, &config.stage_sizes(size));
    let (anchors, codes) = (detector.anchor_ratios.len(), detector.proposal_codes());
    for (level, (map, stride)) in levels.iter().zip(&detector.strides).enumerate() {
        let [rows, columns] = size.map(|side| side.div_ceil(*stride));
        let (logits, told) = rpn.onnx(graph, map);
        map_output(graph, &format!("objectness.{level}"), &logits, [anchors, rows, columns]);
        map_output(graph, &format!("codes.{level}"), &told, [anchors * codes, rows, columns]);
        if level < detector.pooled {
            map_output(graph, &format!("features.{level}"), map, [network.channels(), rows, columns]);
        }
    }
}

/// `pooled` `[region, channel, pool, pool]` → `logits` and `codes`.
pub fn export_regions(network: &DetectorNetwork) -> Vec<u8> {
    let mut graph = Graph::new("regions");
    let (_, _, head) = network.parts();
    let (pool, [classes, codes]) = (network.detector().pool, head.outputs());
    let sides = [Side::Free("region"), Side::Fixed(network.channels()), Side::Fixed(pool), Side::Fixed(pool)];
    let input = graph.input("pooled", ElementType::F32, &sides);
    let (logits, told) = head.onnx(&mut graph, &input);
    graph.output("logits", &logits, &[Side::Free("region"), Side::Fixed(classes)]);
    graph.output("codes", &told, &[Side::Free("region"), Side::Fixed(codes)]);
    graph.into_bytes()
}
