//! A set through the importer and the forward functions in Burn.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use skysense_model::checkpoint::{Part, load_files};
use skysense_model::{Calendar, Fusion, Inputs, Series, SkySense, SwinV2, UpHead, Vit, VitConfig, official};

use crate::set::{Kind, Set, Shaped};

/// Loads the weights of a set into a module, as an import does; each parameter must find its values.
fn loaded<M: Module>(set: &Set, module: M, part: Part) -> M {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, set.weights()).expect("room for the weights");
    let files = [(part, path)];
    let (module, report) = load_files(module, part.module().unwrap_or_default(), &files, None).unwrap();
    let (missing, mismatched) = (&report.missing, &report.mismatched);
    assert!(missing.is_empty() && mismatched.is_empty(), "{}: missing {missing:?}, other {mismatched:?}", set.name);
    let unexpected = &report.unexpected;
    assert!(unexpected.is_empty(), "{}: weights that the configuration does not name: {unexpected:?}", set.name);
    module
}

pub(crate) fn swin(set: &Set) -> SwinV2 {
    loaded(set, official::swin_v2(set.config()).unwrap().init(&Device::flex()).unwrap(), Part::Hr)
}

pub(crate) fn vit(set: &Set) -> Vit {
    let mut config = official::vit(set.config()).unwrap();
    slot(&mut config, set.config(), set.shape_of("pos_embed"));
    // Keys may carry the name of the modality.
    let part = if set.shape_of("backbone_s1.pos_embed").is_some() { Part::S1 } else { Part::S2 };
    loaded(set, config.init(&Device::flex()), part)
}

pub(crate) fn up_head(set: &Set) -> UpHead {
    let part = if set.shape_of("head_s1.decoder.0.weight").is_some() { Part::HeadS1 } else { Part::HeadS2 };
    loaded(set, official::up_head(set.config()).unwrap().init(&Device::flex()), part)
}

pub(crate) fn fusion(set: &Set) -> Fusion {
    loaded(set, official::fusion(set.config()).unwrap().init(&Device::flex()), Part::Fusion)
}

pub(crate) fn encoder(set: &Set) -> SkySense {
    let mut config = official::encoder(set.config()).unwrap();
    for (series, name) in [(&mut config.s2, "backbone_s2"), (&mut config.s1, "backbone_s1")] {
        if let Some((vit, _)) = series {
            slot(vit, &set.config()[name], set.shape_of(&format!("{name}.pos_embed")));
        }
    }
    // Without days there is nothing to look up in a calendar.
    if set.data("input.s2_ct").is_none() {
        config.fusion.calendar = Calendar::None;
    } else if let Some(&[1, days, _]) = set.shape_of("ctpe") {
        config.fusion.days = days;
    }
    loaded(set, config.init(&Device::flex()).unwrap(), Part::Full)
}

/// Where a configuration does not say whether the position table has a slot for the class token, its length does.
fn slot(config: &mut VitConfig, words: &serde_json::Value, table: Option<&[usize]>) {
    if words.get("pos_has_cls").is_none()
        && let Some(&[_, rows, _]) = table
    {
        config.position_of_class = rows == config.positions[0] * config.positions[1] + 1;
    }
}

/// What the module gives for the inputs of the set, under the names of the stored outputs.
pub(crate) fn outputs(set: &Set) -> Vec<(String, Shaped)> {
    match set.kind() {
        Kind::Swin => {
            let model = swin(set);
            let (stages, count) = (model.config().out_stages.clone(), model.config().depths.len());
            let maps = model.forward(input(set));
            let named = stages.iter().zip(maps).map(|(stage, map)| (set.level_name(*stage, count), shaped(map)));
            named.collect()
        }
        Kind::Vit => {
            let model = vit(set);
            let (levels, count) = levels(set, &model);
            let maps = model.forward_layers(input(set), &levels);
            levels.iter().zip(maps).map(|(level, map)| (set.level_name(*level, count), shaped(map))).collect()
        }
        Kind::UpHead => vec![("output".into(), shaped(up_head(set).forward(input(set))))],
        Kind::Fusion => {
            let model = fusion(set);
            let layers = || model.forward_layers(input(set), extra(set)).into_iter().map(shaped).collect();
            fused(set, || shaped(model.forward_sequences(input(set), None)), layers)
        }
        Kind::Encoder => vec![("output".into(), shaped(encoder(set).forward(inputs(set)).unwrap()))],
    }
}

/// Layers whose outputs are given, and how many there are.
pub(crate) fn levels(set: &Set, model: &Vit) -> (Vec<usize>, usize) {
    let count = model.config().layers;
    (official::out_levels(set.config(), count).unwrap(), count)
}

/// Whether a fusion puts its extra token in front.
pub(crate) fn extra(set: &Set) -> bool {
    set.config()["with_cls_token"].as_bool() != Some(false)
}

/// The outputs of a fusion: what its extra token holds, or, where more axes are stored, its first tokens, after the last
/// layer or after the layer that stands last in the output's name.
pub(crate) fn fused(set: &Set, first: impl Fn() -> Shaped, layers: impl Fn() -> Vec<Shaped>) -> Vec<(String, Shaped)> {
    let output = |name: &str| {
        let stored = set.data(name).map(|(shape, _)| shape).unwrap_or_default();
        let &[_, wanted, _] = &stored[..] else { return first() };
        let layers = layers();
        let digits = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let layer = digits.parse().unwrap_or(layers.len() - 1);
        let (shape, values) = layers.get(layer).unwrap_or_else(|| panic!("{}: {name} is of no layer", set.name));
        let (tokens, channels) = (shape[1], shape[2]);
        let taken = wanted.min(tokens);
        let kept = values.chunks_exact(tokens * channels).flat_map(|sequence| &sequence[..taken * channels]);
        (vec![shape[0], taken, channels], kept.copied().collect())
    };
    set.outputs().into_iter().map(|name| (name.to_string(), output(name))).collect()
}

fn input<const D: usize>(set: &Set) -> Tensor<D> {
    let (shape, values) = set.input();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn shaped<const D: usize>(tensor: Tensor<D>) -> Shaped {
    let shape = tensor.dims().to_vec();
    (shape, tensor.into_data().iter::<f32>().collect())
}

fn inputs(set: &Set) -> Inputs {
    let tensor = |(shape, values): Shaped| TensorData::new(values, shape);
    let series = |name: &str, days: &str| {
        set.data(name).map(|data| {
            let pixels = Tensor::<5>::from_data(tensor(data), &Device::flex()).permute([0, 2, 1, 3, 4]);
            let [batch, time, ..] = pixels.dims();
            let days = TensorData::new(set.days(days, batch * time), [batch, time]);
            Series { pixels, day: Tensor::<2, Int>::from_data(days, &Device::flex()), present: None }
        })
    };
    Inputs {
        hr: set.data("input.hr").map(|data| Tensor::from_data(tensor(data), &Device::flex())),
        s2: series("input.s2", "input.s2_ct"),
        s1: series("input.s1", "input.s1_ct"),
        ..Inputs::default()
    }
}
