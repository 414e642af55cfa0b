//! Whole ONNX graphs, one per module, as the contract of a model package describes them.

use std::path::Path;

use crate::Result;
use crate::fusion::{Fusion, FusionValues};
use crate::geo_context::GeoContext;
use crate::heads::Head;
use crate::normalise::Normalisation;
use crate::onnx::{ElementType, Graph, Side, Value};
use crate::pixel_encoder::PixelEncoder;
use crate::swin::SwinV2;
use crate::up_head::UpHead;
use crate::vit::Vit;

/// Type of the pixels that an encoder graph takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelType {
    /// Unsigned 8 bit.
    U8,
    /// Signed 16 bit.
    I16,
    /// 32 bit float.
    F32,
}

impl PixelType {
    fn element(self) -> ElementType {
        match self {
            Self::U8 => ElementType::U8,
            Self::I16 => ElementType::I16,
            Self::F32 => ElementType::F32,
        }
    }
}

/// `pixels` `[batch, band, height, width]` → `features` `[batch, channel, height/32, width/32]`.
pub fn export_hr(backbone: &SwinV2, normalisation: &Normalisation, pixels: PixelType, size: [usize; 2]) -> Vec<u8> {
    let mut graph = Graph::new("hr");
    hr(&mut graph, backbone, normalisation, pixels, size);
    graph.into_bytes()
}

/// As [`export_hr`], with the weights in the file `data`, which must come to lie beside the graph.
///
/// # Errors
/// A file that cannot be written.
pub fn export_hr_beside(
    backbone: &SwinV2,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
    data: &Path,
) -> Result<Vec<u8>> {
    let mut graph = Graph::beside("hr", data)?;
    hr(&mut graph, backbone, normalisation, pixels, size);
    graph.finish()
}

fn hr(graph: &mut Graph, backbone: &SwinV2, normalisation: &Normalisation, pixels: PixelType, size: [usize; 2]) {
    let config = backbone.config();
    let input = normalised(graph, normalisation, pixels, [config.bands, size[0], size[1]]);
    let features = backbone.onnx(graph, &input, size);
    let last = config.depths.len().saturating_sub(1);
    let [height, width] = config.stage_sizes(size)[last];
    map_output(graph, "features", &features, [config.stage_channels(last), height, width]);
}

/// `pixels` `[batch, band, height, width]` → `features` `[batch, channel, height, width]` of the image's own pixels.
pub fn export_pixels(
    encoder: &PixelEncoder,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
) -> Vec<u8> {
    let mut graph = Graph::new("hr_pixels");
    of_pixels(&mut graph, encoder, normalisation, pixels, size);
    graph.into_bytes()
}

/// As [`export_pixels`], with the weights in the file `data`, which must come to lie beside the graph.
///
/// # Errors
/// A file that cannot be written.
pub fn export_pixels_beside(
    encoder: &PixelEncoder,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
    data: &Path,
) -> Result<Vec<u8>> {
    let mut graph = Graph::beside("hr_pixels", data)?;
    of_pixels(&mut graph, encoder, normalisation, pixels, size);
    graph.finish()
}

fn of_pixels(
    graph: &mut Graph,
    encoder: &PixelEncoder,
    normalisation: &Normalisation,
    pixels: PixelType,
    [height, width]: [usize; 2],
) {
    let bands = encoder.backbone_hr.config().bands;
    let input = normalised(graph, normalisation, pixels, [bands, height, width]);
    let features = encoder.onnx(graph, &input, [height, width]);
    map_output(graph, "features", &features, [encoder.channels(), height, width]);
}

/// `pixels` `[batch, band, height, width]` → `features` `[batch, channel, height, width]`; batch counts dates.
pub fn export_series(
    backbone: &Vit,
    head: &UpHead,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
) -> Vec<u8> {
    let mut graph = Graph::new("series");
    series(&mut graph, (backbone, head), normalisation, pixels, size);
    graph.into_bytes()
}

/// As [`export_series`], with the weights in the file `data`, which must come to lie beside the graph.
///
/// # Errors
/// A file that cannot be written.
pub fn export_series_beside(
    encoder: (&Vit, &UpHead),
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
    data: &Path,
) -> Result<Vec<u8>> {
    let mut graph = Graph::beside("series", data)?;
    series(&mut graph, encoder, normalisation, pixels, size);
    graph.finish()
}

fn series(
    graph: &mut Graph,
    (backbone, head): (&Vit, &UpHead),
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
) {
    let config = backbone.config();
    let input = normalised(graph, normalisation, pixels, [config.bands, size[0], size[1]]);
    let features = backbone.onnx(graph, &input, size);
    let features = head.onnx(graph, &features);
    let side = |pixels: usize| pixels.div_ceil(config.patch) * head.scale();
    map_output(graph, "features", &features, [head.channels(), side(size[0]), side(size[1])]);
}

/// As [`export_series`] without an up head: a token's features stand on all pixels of its patch.
pub fn export_vit(backbone: &Vit, normalisation: &Normalisation, pixels: PixelType, size: [usize; 2]) -> Vec<u8> {
    let mut graph = Graph::new("encoder");
    spread(&mut graph, backbone, normalisation, pixels, size);
    graph.into_bytes()
}

/// As [`export_vit`], with the weights in the file `data`, which must come to lie beside the graph.
///
/// # Errors
/// A file that cannot be written.
pub fn export_vit_beside(
    backbone: &Vit,
    normalisation: &Normalisation,
    pixels: PixelType,
    size: [usize; 2],
    data: &Path,
) -> Result<Vec<u8>> {
    let mut graph = Graph::beside("encoder", data)?;
    spread(&mut graph, backbone, normalisation, pixels, size);
    graph.finish()
}

fn spread(graph: &mut Graph, backbone: &Vit, normalisation: &Normalisation, pixels: PixelType, size: [usize; 2]) {
    let config = backbone.config();
    let input = normalised(graph, normalisation, pixels, [config.bands, size[0], size[1]]);
    let features = backbone.onnx(graph, &input, size);
    let patch = config.patch;
    let [rows, columns] = size.map(|side| side.div_ceil(patch));
    let along = graph.reshape(&features, &[0, 0, rows as i64, columns as i64, 1]);
    let along = graph.concat(&vec![&along; patch], 4);
    let lines = graph.reshape(&along, &[0, 0, rows as i64, 1, (columns * patch) as i64]);
    let lines = graph.concat(&vec![&lines; patch], 3);
    let sides = [rows * patch, columns * patch];
    let map = graph.reshape(&lines, &[0, 0, sides[0] as i64, sides[1] as i64]);
    map_output(graph, "features", &map, [config.channels, sides[0], sides[1]]);
}

/// `tokens`, `day`, `calendar`, `present` → `features` `[batch, channel, height, width]`.
pub fn export_fusion(fusion: &Fusion, size: [usize; 2]) -> Vec<u8> {
    let mut graph = Graph::new("fusion");
    fused(&mut graph, fusion, size);
    graph.into_bytes()
}

/// As [`export_fusion`], with the weights in the file `data`, which must come to lie beside the graph.
///
/// # Errors
/// A file that cannot be written.
pub fn export_fusion_beside(fusion: &Fusion, size: [usize; 2], data: &Path) -> Result<Vec<u8>> {
    let mut graph = Graph::beside("fusion", data)?;
    fused(&mut graph, fusion, size);
    graph.finish()
}

fn fused(graph: &mut Graph, fusion: &Fusion, [height, width]: [usize; 2]) {
    let (batch, time) = (Side::Free("batch"), Side::Free("time"));
    let row = [batch.clone(), time.clone()];
    let channels = fusion.config().channels_in;
    let tokens = [batch, time, Side::Fixed(channels), Side::Fixed(height), Side::Fixed(width)];
    let inputs = FusionValues {
        tokens: graph.input("tokens", ElementType::F32, &tokens),
        day: graph.input("day", ElementType::I64, &row),
        calendar: graph.input("calendar", ElementType::F32, &row),
        present: graph.input("present", ElementType::Bool, &row),
    };
    let features = fusion.onnx(graph, &inputs, [height, width]);
    map_output(graph, "features", &features, [fusion.config().channels, height, width]);
}

/// `features` and `region` `[batch]` → `features` with prototypes attached.
pub fn export_geo_context(context: &GeoContext, size: [usize; 2]) -> Vec<u8> {
    let mut graph = Graph::new("geo_context");
    attached(&mut graph, context, size);
    graph.into_bytes()
}

/// As [`export_geo_context`], with the weights in the file `data`, which must come to lie beside the graph.
///
/// # Errors
/// A file that cannot be written.
pub fn export_geo_context_beside(context: &GeoContext, size: [usize; 2], data: &Path) -> Result<Vec<u8>> {
    let mut graph = Graph::beside("geo_context", data)?;
    attached(&mut graph, context, size);
    graph.finish()
}

fn attached(graph: &mut Graph, context: &GeoContext, [height, width]: [usize; 2]) {
    let channels = context.channels();
    let sides = [Side::Free("batch"), Side::Fixed(channels), Side::Fixed(height), Side::Fixed(width)];
    let input = graph.input("features", ElementType::F32, &sides);
    let region = graph.input("region", ElementType::I64, &[Side::Free("batch")]);
    let output = context.onnx(graph, &input, &region, [height, width]);
    map_output(graph, "attached", &output, [2 * channels, height, width]);
}

/// `features` → `logits` `[batch, class, height, width]`.
pub fn export_head(head: &Head, channels: usize, [height, width]: [usize; 2]) -> Vec<u8> {
    let mut graph = Graph::new("head");
    let sides = [Side::Free("batch"), Side::Fixed(channels), Side::Fixed(height), Side::Fixed(width)];
    let input = graph.input("features", ElementType::F32, &sides);
    let logits = head.onnx(&mut graph, &input, [height, width]);
    map_output(&mut graph, "logits", &logits, [head.outputs(), height, width]);
    graph.into_bytes()
}

pub(crate) fn normalised(
    graph: &mut Graph,
    normalisation: &Normalisation,
    pixels: PixelType,
    [band, height, width]: [usize; 3],
) -> Value {
    let sides = [Side::Free("batch"), Side::Fixed(band), Side::Fixed(height), Side::Fixed(width)];
    let input = graph.input("pixels", pixels.element(), &sides);
    let floats = match pixels {
        PixelType::F32 => input,
        _ => graph.cast(&input, ElementType::F32),
    };
    normalisation.onnx(graph, &floats)
}

pub(crate) fn map_output(graph: &mut Graph, name: &str, value: &Value, [channel, height, width]: [usize; 3]) {
    graph.output(name, value, &[Side::Free("batch"), Side::Fixed(channel), Side::Fixed(height), Side::Fixed(width)]);
}
