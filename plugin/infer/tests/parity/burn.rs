//! A set through the forward functions in Burn.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use skysense_model::{Inputs, Series, SkySense, SwinV2, UpHead, Vit, checkpoint, official};

use crate::set::Set;

/// Loads the weights of a set into a module; each must find its place.
fn loaded<M: Module>(set: &Set, module: M, prefix: &str) -> M {
    let (module, report) = checkpoint::load(module, prefix, &set.weights()).unwrap();
    let _all_fit = report.strict().unwrap_or_else(|error| panic!("{}: {error}", set.name));
    module
}

pub(crate) fn swin(set: &Set) -> SwinV2 {
    loaded(set, official::swin_v2(set.config()).unwrap().init(&Device::flex()).unwrap(), "backbone")
}

pub(crate) fn vit(set: &Set) -> Vit {
    loaded(set, official::vit(set.config()).unwrap().init(&Device::flex()), "")
}

pub(crate) fn up_head(set: &Set) -> UpHead {
    loaded(set, official::up_head(set.config()).unwrap().init(&Device::flex()), "decoder.0")
}

pub(crate) fn fusion(set: &Set) -> skysense_model::Fusion {
    loaded(set, official::fusion(set.config()).unwrap().init(&Device::flex()), "")
}

pub(crate) fn encoder(set: &Set) -> SkySense {
    loaded(set, official::encoder(set.config()).unwrap().init(&Device::flex()).unwrap(), "")
}

/// The largest error over all outputs.
pub(crate) fn check(set: &Set) -> f64 {
    let module = set.module();
    if module.starts_with("swin") {
        let model = swin(set);
        let maps = model.forward(tensor(set, "input.x"));
        let stages = model.config().out_stages.clone();
        stages.iter().zip(maps).map(|(stage, map)| hold(set, &format!("output.{stage}"), map)).fold(0.0, f64::max)
    } else if module.starts_with("vit") {
        let levels = set.levels();
        let maps = vit(set).forward_layers(tensor(set, "input.x"), &levels);
        levels.iter().zip(maps).map(|(layer, map)| hold(set, &format!("output.{layer}"), map)).fold(0.0, f64::max)
    } else if module.starts_with("uphead") {
        hold(set, "output", up_head(set).forward(tensor(set, "input.x")))
    } else if module.starts_with("fusion") {
        hold(set, "output", fusion(set).forward_sequences(tensor(set, "input.x"), None))
    } else if module.starts_with("encoder") {
        hold(set, "output", encoder(set).forward(inputs(set)).unwrap())
    } else {
        panic!("{}: a module named {module} is not known", set.name);
    }
}

fn tensor<const D: usize>(set: &Set, name: &str) -> Tensor<D> {
    let (shape, values) = set.tensor(name);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn hold<const D: usize>(set: &Set, name: &str, ours: Tensor<D>) -> f64 {
    let shape = ours.dims();
    let values: Vec<f32> = ours.into_data().iter::<f32>().collect();
    set.hold(name, &shape, &values)
}

fn inputs(set: &Set) -> Inputs {
    let series = |name: &str, days: &str| {
        set.data(name).map(|_| {
            let pixels = tensor::<5>(set, name).permute([0, 2, 1, 3, 4]);
            let [batch, time, ..] = pixels.dims();
            let days = TensorData::new(set.days(days, batch * time), [batch, time]);
            Series { pixels, day: Tensor::<2, Int>::from_data(days, &Device::flex()), present: None }
        })
    };
    Inputs {
        hr: set.data("input.hr").map(|_| tensor(set, "input.hr")),
        s2: series("input.s2", "input.s2_ct"),
        s1: series("input.s1", "input.s1_ct"),
        ..Inputs::default()
    }
}
