//! Encoder, pyramid and the two stages as one network.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use skysense_contract::Detector;
use skysense_detect::{Region, level_of, places};

use super::box_head::{BoxHead, Judged};
use super::fpn::Fpn;
use super::rpn::RpnHead;
use crate::fused::pool;
use crate::precision::single;
use crate::swin::{SwinV2, SwinV2Config};
use crate::tape::Tape;
use crate::{ModelError, Precision, Result};

/// Shape of a [`DetectorNetwork`].
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorConfig {
    /// The encoder; all its stages must be among those that are given.
    pub backbone: SwinV2Config,
    /// Channels of the pyramid.
    pub channels: usize,
    /// Width of the hidden layers of the second stage.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
    /// How the stages are put together.
    pub detector: Detector,
}

/// A detector. Its encoder has the names of the published whole model.
#[derive(Module, Debug)]
pub struct DetectorNetwork {
    /// High-resolution encoder.
    pub backbone_hr: SwinV2,
    neck: Fpn,
    rpn_head: RpnHead,
    roi_head: BoxHead,
    #[module(skip)]
    detector: Detector,
}

/// What the dense part gives for a batch of images, level by level.
#[derive(Debug, Clone)]
pub struct Dense {
    /// `[batch, channel, rows, columns]` of the levels that are pooled.
    pub features: Vec<Tensor<4>>,
    /// Logits `[batch, anchor, rows, columns]`.
    pub objectness: Vec<Tensor<4>>,
    /// `[batch, anchor · code, rows, columns]`.
    pub codes: Vec<Tensor<4>>,
}

impl DetectorConfig {
    /// The usual one on an encoder: 256 channels and 1024 hidden ones, on narrow encoders (up to 48 channels in the first
    /// stage) an eighth of that; our choice.
    pub fn new(backbone: SwinV2Config, classes: usize, detector: Detector) -> Self {
        let out_stages = (0..backbone.depths.len()).collect();
        let (channels, hidden) = if backbone.channels > 48 { (256, 1024) } else { (32, 128) };
        let strides = (0..=backbone.depths.len()).map(|level| backbone.patch << level).collect();
        let detector = Detector { strides, pooled: backbone.depths.len(), ..detector };
        Self { backbone: SwinV2Config { out_stages, ..backbone }, channels, hidden, classes, detector }
    }

    /// A network with fresh weights.
    ///
    /// # Errors
    /// An encoder that makes no sense, or that does not give all its stages.
    pub fn init(&self, device: &Device) -> Result<DetectorNetwork> {
        let Self { backbone, detector, .. } = self;
        let stages = backbone.depths.len();
        if !backbone.out_stages.iter().copied().eq(0..stages) || detector.pooled != stages {
            let message = format!("the pyramid reads all {stages} stages, the encoder gives {:?}", backbone.out_stages);
            return Err(ModelError::Config(message));
        }
        if let Some(fault) = detector.faults().first() {
            return Err(ModelError::Config(format!("detector: {fault}")));
        }
        let inputs: Vec<usize> = (0..stages).map(|stage| backbone.stage_channels(stage)).collect();
        let pooled = self.channels * detector.pool.pow(2);
        Ok(DetectorNetwork {
            backbone_hr: backbone.init(device)?,
            neck: Fpn::new(&inputs, self.channels, device),
            rpn_head: RpnHead::new(self.channels, detector.anchor_ratios.len(), detector.proposal_codes(), device),
            roi_head: BoxHead::new([pooled, self.hidden, self.classes, detector.deviations().len()], device),
            detector: detector.clone(),
        })
    }

    /// Whether an image of this size can be read: its sides must be multiples of the coarsest stride of the encoder.
    ///
    /// # Errors
    /// Another size, or one that is too small.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<()> {
        let stride = self.backbone.patch << (self.backbone.depths.len() - 1);
        if !height.is_multiple_of(stride) || !width.is_multiple_of(stride) {
            let message = format!("an image of {height} x {width} pixels: the pyramid needs multiples of {stride}");
            return Err(ModelError::Config(message));
        }
        self.backbone.check_size([height, width])
    }
}

impl DetectorNetwork {
    /// How the stages are put together.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Channels of the pyramid.
    pub fn channels(&self) -> usize {
        self.roi_head.inputs() / self.detector.pool.pow(2)
    }

    pub(super) fn parts(&self) -> (&Fpn, &RpnHead, &BoxHead) {
        (&self.neck, &self.rpn_head, &self.roi_head)
    }

    /// Normalised pixels `[batch, band, height, width]` → the dense part, in single precision; the encoder computes in the
    /// type of the pixels, and with `frozen` no gradient goes into it.
    pub fn dense(&self, tape: &Tape, pixels: Tensor<4>, frozen: bool) -> Dense {
        let maps = match frozen {
            true => self.backbone_hr.clone().no_grad().forward_on(&Tape::off(), pixels),
            false => self.backbone_hr.forward_on(tape, pixels),
        };
        let single = |map: Tensor<4>| if frozen { Precision::F32.cast(map).detach() } else { single(map) };
        let levels = self.neck.forward(maps.into_iter().map(single).collect());
        let (mut objectness, mut codes) = (Vec::new(), Vec::new());
        for level in &levels {
            let (logits, told) = self.rpn_head.forward(level.clone());
            objectness.push(logits);
            codes.push(told);
        }
        let features = levels.into_iter().take(self.detector.pooled).collect();
        Dense { features, objectness, codes }
    }

    /// Looks at regions: what the second stage says of them, in an order of their levels. Gives that order, too.
    pub fn judge(&self, dense: &Dense, regions: &[Region]) -> (Judged, Vec<usize>) {
        let Detector { pool: bins, samples, strides, pooled, .. } = &self.detector;
        let (mut parts, mut order) = (Vec::new(), Vec::new());
        for (level, map) in dense.features.iter().enumerate() {
            let own: Vec<usize> =
                (0..regions.len()).filter(|at| level_of(&regions[*at].area, *pooled) == level).collect();
            if own.is_empty() {
                continue;
            }
            let [_, _, height, width] = map.dims();
            let areas: Vec<Region> = own.iter().map(|at| regions[*at]).collect();
            let places = places(&areas, strides[level], [height, width], (*bins, *samples));
            parts.push(pool(map.clone(), places, *bins));
            order.extend(own);
        }
        (self.roi_head.forward(Tensor::cat(parts, 0)), order)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use skysense_detect::RotatedBox;

    use super::*;

    fn network(device: &Device) -> DetectorNetwork {
        let backbone = crate::preset("tiny").unwrap().hr.unwrap();
        let detector = Detector { pool: 2, ..Detector::rotated() };
        DetectorConfig { channels: 4, hidden: 6, ..DetectorConfig::new(backbone, 2, detector) }.init(device).unwrap()
    }

    fn image(device: &Device) -> Tensor<4> {
        let value = |at: usize| ((at * 31 % 97) as f32 - 48.0) / 40.0;
        Tensor::from_data(TensorData::new((0..3 * 128 * 128).map(value).collect::<Vec<_>>(), [1, 3, 128, 128]), device)
    }

    fn regions() -> Vec<Region> {
        let area = |size: [f32; 2], angle| RotatedBox { centre: [60.0, 70.0], size, angle };
        [area([20.0, 10.0], 0.3), area([90.0, 240.0], -1.0), area([30.0, 8.0], 0.0)]
            .map(|area| Region { image: 0, area })
            .to_vec()
    }

    #[test]
    fn levels_have_their_sizes_and_regions_come_back_in_order_of_levels() {
        let device = Device::flex();
        let network = network(&device);
        let dense = network.dense(&Tape::off(), image(&device), false);
        let sizes: Vec<_> = dense.codes.iter().map(Tensor::dims).collect();
        assert_eq!(sizes, [32, 16, 8, 4, 2].map(|side| [1, 18, side, side]));
        assert_eq!((dense.features.len(), dense.objectness[4].dims()), (4, [1, 3, 2, 2]));
        let (judged, order) = network.judge(&dense, &regions());
        assert_eq!(order, [0, 2, 1]);
        assert_eq!((judged.logits.dims(), judged.codes.dims()), ([3, 3], [3, 5]));
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let device = Device::flex().autodiff();
        let network = network(&device);
        // Brighter towards the east in one band: not a multiple of the image, which the encoder's norms would take out.
        let ramp = (0..3 * 128 * 128).map(|at| if at < 128 * 128 { (at % 128) as f32 / 64.0 } else { 0.0 });
        let ramp = Tensor::<4>::from_data(TensorData::new(ramp.collect::<Vec<_>>(), [1, 3, 128, 128]), &device);
        let loss = |shift: f32| {
            // Along one direction of all pixels: the derivative is the sum of what comes back to them.
            let pixels = (image(&device) + ramp.clone() * shift).detach().require_grad();
            let dense = network.dense(&Tape::off(), pixels.clone(), false);
            let (judged, _) = network.judge(&dense, &regions());
            let dense = dense.objectness.into_iter().chain(dense.codes).map(|map| map.powi_scalar(2).mean());
            let stages = judged.logits.powi_scalar(2).mean() + judged.codes.powi_scalar(2).mean();
            (dense.fold(stages, |sum, term| sum + term * 100.0), pixels)
        };
        let (value, pixels) = loss(0.0);
        let gradient = pixels.grad(&value.backward()).unwrap();
        let along = (gradient * ramp.clone().inner()).sum().into_scalar::<f32>();
        let step = 5e-4;
        let (after, before) = (loss(step).0.into_scalar::<f32>(), loss(-step).0.into_scalar::<f32>());
        let difference = (after - before) / (2.0 * step);
        assert!((along - difference).abs() < 0.02 * difference.abs().max(0.05), "{along} against {difference}");
    }

    #[test]
    fn what_the_pyramid_cannot_read_is_said() {
        let backbone = crate::preset("tiny").unwrap().hr.unwrap();
        let config = DetectorConfig::new(backbone, 1, Detector::upright());
        assert!(config.check_size([128, 128]).is_ok());
        assert!(config.check_size([128, 144]).unwrap_err().to_string().contains("multiples of 32"));
        let lacking = SwinV2Config { out_stages: vec![3], ..config.backbone.clone() };
        let error = DetectorConfig { backbone: lacking, ..config }.init(&Device::flex()).unwrap_err();
        assert!(error.to_string().contains("reads all 4 stages"), "{error}");
    }
}
