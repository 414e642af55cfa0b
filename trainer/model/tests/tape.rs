//! Gradients of blocks that are computed again against those of blocks that are kept.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Device, Distribution, Int, Tensor};
use skysense_model::{Checkpointing, SkySense, Tape, Tokens, preset};

/// Parameters are drawn when first used: before seeds are set.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.val());
    }
}

/// Branches drop often, so that a second draw would show.
fn model(device: &Device) -> SkySense {
    let mut config = preset("tiny").expect("a preset");
    config.fusion.drop_path = 0.5;
    config.hr.as_mut().expect("all modalities").drop_path = 0.5;
    config.s2.as_mut().expect("all modalities").0.drop_path = 0.5;
    let model = config.init(device).expect("it fits together");
    model.visit(&mut Draw);
    model
}

/// Loss, and gradients by name of the parameter, of a pass with high resolution, two dates and one that is absent.
fn pass(tape: Tape, model: &SkySense, pixels: &(Tensor<4>, Tensor<4>)) -> (f32, Vec<Vec<f32>>) {
    let encoders = &model.encoders;
    let (hr, s2) = pixels.clone();
    let device = hr.device();
    let hr = encoders.backbone_hr.as_ref().unwrap().forward_on(&tape, hr).pop().unwrap().unsqueeze_dim::<5>(1);
    let [batch, _, channel, height, width] = hr.dims();
    let s2 = encoders.head_s2.as_ref().unwrap().forward(encoders.backbone_s2.as_ref().unwrap().forward_on(&tape, s2));
    let s2 = s2.reshape([batch, 3, channel, height, width]);
    let present = Tensor::<2, Bool>::from_data([[true, true, false, true]; 2], &device);
    // Read by the fusion, and by the loss itself.
    let features = tape.junction(Tensor::cat(vec![hr, s2], 1));
    let tokens = Tokens {
        features: features.clone(),
        day: Tensor::<2, Int>::from_data([[0, 10, 100, 200]; 2], &device),
        calendar: Tensor::<2>::from_data([[0.0, 1.0, 1.0, 1.0]; 2], &device),
        present: Some(present),
    };
    let fused = model.fusion.forward_on(&tape, tokens);
    let loss = (fused.clone() * fused).mean() + (features.clone() * features).mean();
    let value = loss.clone().into_scalar::<f32>();
    let mut read = Read { gradients: tape.backward(&loss, model), values: Vec::new() };
    model.visit(&mut read);
    (value, read.values)
}

/// Reads gradients in the order of the parameters; none where a parameter has none.
struct Read {
    gradients: GradientsParams,
    values: Vec<Vec<f32>>,
}

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.get::<D>(param.id);
        self.values.push(gradient.map(|gradient| gradient.into_data().try_to_vec().unwrap()).unwrap_or_default());
    }
}

#[test]
fn gradients_are_the_same_with_and_without_recomputation() {
    let device = Device::flex().autodiff();
    let model = model(&device);
    let draw = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &device);
    let pixels = (draw([2, 3, 256, 256]), draw([6, 10, 8, 8]));
    let (loss, kept) = pass(Tape::new(Checkpointing::Off, 7), &model, &pixels);
    let (again, computed) = pass(Tape::new(Checkpointing::Blocks, 7), &model, &pixels);
    assert_eq!(loss, again);
    let learning = kept.iter().filter(|gradient| gradient.iter().any(|value| *value != 0.0)).count();
    assert!(learning > 60 && kept.len() == computed.len(), "{learning} of {}", kept.len());
    for (index, (kept, computed)) in kept.iter().zip(&computed).enumerate() {
        assert_eq!(kept.len(), computed.len(), "parameter {index}");
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
        let apart = norm(&mut kept.iter().zip(computed).map(|(a, b)| a - b));
        let size = norm(&mut kept.iter().copied());
        assert!(apart <= 1e-5 * size + 1e-9, "parameter {index}: {apart} of {size}");
    }
    let (other, _) = pass(Tape::new(Checkpointing::Blocks, 8), &model, &pixels);
    assert!(other != loss, "another seed drops other branches");
}
