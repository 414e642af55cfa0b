//! Each module's graph by itself: ONNX Runtime against Burn on the same input.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod common;

use burn::tensor::Tensor;
use common::{CLASSES, Chip, DATES, SIZE, Tiny, hold};
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use skysense_contract::Module;
use skysense_model::Tokens;

fn run(
    environment: &ort::environment::Environment,
    graph: &[u8],
    inputs: Vec<(&str, SessionInputValue<'_>)>,
) -> Vec<f32> {
    let mut session = Session::builder(environment).unwrap().commit_from_memory(graph).unwrap();
    let outputs = session.run(inputs).unwrap();
    outputs[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn every_module_agrees() {
    let environment = skysense_infer::environment(None).unwrap();
    let (tiny, chip) = (Tiny::new(3), Chip::new(3, [DATES, 2]));
    let (graphs, inputs) = (tiny.graphs(), chip.inputs());
    let encoders = &tiny.encoder.encoders;

    let pixels = TensorRef::from_array_view(([1, 3, 32 * SIZE, 32 * SIZE], chip.hr.as_slice())).unwrap();
    let found = run(&environment, &graphs[&Module::Hr], vec![("pixels", pixels.into())]);
    let hr = encoders.backbone_hr.as_ref().unwrap().forward(inputs.hr.clone().unwrap()).pop().unwrap();
    hold("hr", &found, &values(hr));

    let pixels = TensorRef::from_array_view(([DATES, 10, SIZE, SIZE], chip.s2.as_slice())).unwrap();
    let found = run(&environment, &graphs[&Module::S2], vec![("pixels", pixels.into())]);
    let series = inputs.s2.clone().unwrap().pixels.squeeze_dim::<4>(0);
    let s2 = encoders.head_s2.as_ref().unwrap().forward(encoders.backbone_s2.as_ref().unwrap().forward(series));
    hold("s2", &found, &values(s2));

    let pixels = TensorRef::from_array_view(([2, 2, SIZE, SIZE], chip.s1.as_slice())).unwrap();
    let found = run(&environment, &graphs[&Module::S1], vec![("pixels", pixels.into())]);
    let series = inputs.s1.clone().unwrap().pixels.squeeze_dim::<4>(0);
    let s1 = encoders.head_s1.as_ref().unwrap().forward(encoders.backbone_s1.as_ref().unwrap().forward(series));
    hold("s1", &found, &values(s1));

    let Tokens { features, day, calendar, .. } = tiny.encoder.tokens(&inputs).unwrap();
    let shape = features.dims();
    let [_, time, ..] = shape;
    let tokens = values(features.clone());
    let days: Vec<i64> = day.clone().into_data().convert::<i64>().try_to_vec().unwrap();
    let marks = values(calendar.clone());
    // The second date is hidden in both.
    let present: Vec<bool> = (0..time).map(|date| date != 1).collect();
    let hidden = burn::tensor::Tensor::<2, burn::tensor::Bool>::from_data(
        burn::tensor::TensorData::new(present.clone(), [1, time]),
        &features.device(),
    );
    let found = run(
        &environment,
        &graphs[&Module::Fusion],
        vec![
            ("tokens", TensorRef::from_array_view((shape, tokens.as_slice())).unwrap().into()),
            ("day", TensorRef::from_array_view(([1, time], days.as_slice())).unwrap().into()),
            ("calendar", TensorRef::from_array_view(([1, time], marks.as_slice())).unwrap().into()),
            ("present", TensorRef::from_array_view(([1, time], present.as_slice())).unwrap().into()),
        ],
    );
    let fused = tiny.encoder.fusion.forward(Tokens { features, day, calendar, present: Some(hidden) });
    hold("fusion", &found, &values(fused.clone()));

    let features = values(fused.clone());
    let input = TensorRef::from_array_view((fused.dims(), features.as_slice())).unwrap();
    let found = run(&environment, &graphs[&Module::Head], vec![("features", input.into())]);
    assert_eq!(found.len(), CLASSES * SIZE * SIZE);
    hold("head", &found, &values(tiny.head.forward(fused)));
}
