//! A set through exported ONNX graphs and ONNX Runtime.

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use skysense_model::{
    Calendar, Normalisation, PixelType, export_fusion, export_fusion_levels, export_hr, export_hr_levels,
    export_series, export_series_levels, export_up_head,
};

use crate::burn;
use crate::set::{Kind, Set, Shaped};

/// What the graphs give for the inputs of the set, under the names of the stored outputs.
pub(crate) fn outputs(set: &Set, environment: &Environment) -> Vec<(String, Shaped)> {
    let named = |maps: Vec<Shaped>, levels: &[usize], count: usize| {
        assert_eq!(maps.len(), levels.len(), "{}: outputs of the graph", set.name);
        levels.iter().zip(maps).map(|(level, map)| (set.level_name(*level, count), map)).collect()
    };
    let output = |shaped: Shaped| vec![("output".to_string(), shaped)];
    match set.kind() {
        Kind::Swin => {
            let model = burn::swin(set);
            let (shape, x) = set.input();
            let graph = export_hr_levels(&model, &identity(shape[1]), PixelType::F32, [shape[2], shape[3]]);
            let config = model.config();
            named(run(environment, &graph, &[("pixels", &shape, &x)]), &config.out_stages, config.depths.len())
        }
        Kind::Vit => {
            let model = burn::vit(set);
            let (shape, x) = set.input();
            let (levels, count) = burn::levels(set, &model);
            let size = [shape[2], shape[3]];
            let graph = export_series_levels(&model, &identity(shape[1]), PixelType::F32, size, &levels);
            named(run(environment, &graph, &[("pixels", &shape, &x)]), &levels, count)
        }
        Kind::UpHead => {
            let (shape, x) = set.input();
            let graph = export_up_head(&burn::up_head(set), [shape[2], shape[3]]);
            output(one(run(environment, &graph, &[("features", &shape, &x)])))
        }
        Kind::Fusion => {
            let model = burn::fusion(set);
            let (shape, x) = set.input();
            let first = || {
                let tokens = (vec![shape[0], shape[1], shape[2], 1, 1], x.clone());
                let days = vec![0; shape[0] * shape[1]];
                let graph = export_fusion(&model, [1, 1]);
                let (shape, fused) = fuse(environment, &graph, &tokens, &days, &vec![0.0; days.len()]);
                (shape[..2].to_vec(), fused)
            };
            let layers = || {
                let graph = export_fusion_levels(&model, burn::extra(set));
                run(environment, &graph, &[("tokens", &shape, &x)])
            };
            burn::fused(set, first, layers)
        }
        Kind::Encoder => output(encoder(set, environment)),
    }
}

fn encoder(set: &Set, environment: &Environment) -> Shaped {
    let model = burn::encoder(set);
    let calendar = model.fusion.config().calendar;
    let mut parts: Vec<(Shaped, Vec<i64>, f32)> = Vec::new();
    if let Some((shape, x)) = set.data("input.hr") {
        let backbone = model.encoders.backbone_hr.as_ref().unwrap();
        let graph = export_hr(backbone, &identity(shape[1]), PixelType::F32, [shape[2], shape[3]]);
        let sides = backbone.config().stage_sizes([shape[2], shape[3]]);
        let [height, width] = *sides.last().unwrap();
        let (_, features) = one(run(environment, &graph, &[("pixels", &shape, &x)]));
        let channels = features.len() / (shape[0] * height * width);
        let marks = if calendar == Calendar::All { 1.0 } else { 0.0 };
        parts.push(((vec![shape[0], 1, channels, height, width], features), vec![0; shape[0]], marks));
    }
    let encoders = &model.encoders;
    for (name, days, backbone, head, marks) in [
        ("input.s2", "input.s2_ct", &encoders.backbone_s2, &encoders.head_s2, calendar != Calendar::None),
        ("input.s1", "input.s1_ct", &encoders.backbone_s1, &encoders.head_s1, calendar == Calendar::All),
    ] {
        let Some((shape, x)) = set.data(name) else { continue };
        let (backbone, head) = (backbone.as_ref().unwrap(), head.as_ref().unwrap());
        let [batch, band, time, height, width] = shape[..] else { panic!("{name} is {shape:?}") };
        let x = swap_band_and_time(&x, [batch, band, time, height * width]);
        let graph = export_series(backbone, head, &identity(band), PixelType::F32, [height, width]);
        let (_, features) = one(run(environment, &graph, &[("pixels", &vec![batch * time, band, height, width], &x)]));
        let [rows, columns] = [height, width].map(|side| side.div_ceil(backbone.config().patch) * head.scale());
        let channels = features.len() / (batch * time * rows * columns);
        let days = set.days(days, batch * time);
        let shaped = (vec![batch, time, channels, rows, columns], features);
        parts.push((shaped, days, f32::from(u8::from(marks))));
    }
    let ((shape, tokens), days, marks) = join(parts);
    let graph = export_fusion(&model.fusion, [shape[3], shape[4]]);
    fuse(environment, &graph, &(shape, tokens), &days, &marks)
}

/// Parts one after the other along time.
fn join(parts: Vec<(Shaped, Vec<i64>, f32)>) -> (Shaped, Vec<i64>, Vec<f32>) {
    let mut shape = parts[0].0.0.clone();
    shape[1] = parts.iter().map(|part| part.0.0[1]).sum();
    let (mut tokens, mut days, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    for chip in 0..shape[0] {
        for ((part, values), part_days, mark) in &parts {
            let length = values.len() / shape[0];
            tokens.extend_from_slice(&values[chip * length..][..length]);
            days.extend_from_slice(&part_days[chip * part[1]..][..part[1]]);
            marks.extend(std::iter::repeat_n(*mark, part[1]));
        }
    }
    ((shape, tokens), days, marks)
}

fn swap_band_and_time(x: &[f32], [batch, band, time, area]: [usize; 4]) -> Vec<f32> {
    let mut swapped = Vec::with_capacity(x.len());
    for chip in 0..batch {
        for date in 0..time {
            for b in 0..band {
                swapped.extend_from_slice(&x[((chip * band + b) * time + date) * area..][..area]);
            }
        }
    }
    swapped
}

fn identity(bands: usize) -> Normalisation {
    Normalisation { mean: vec![0.0; bands], std: vec![1.0; bands] }
}

fn fuse(environment: &Environment, graph: &[u8], tokens: &Shaped, days: &[i64], marks: &[f32]) -> Shaped {
    let row = [tokens.0[0], tokens.0[1]];
    let present = vec![true; days.len()];
    let inputs = vec![
        ("tokens", TensorRef::from_array_view((tokens.0.clone(), tokens.1.as_slice())).unwrap().into()),
        ("day", TensorRef::from_array_view((row, days)).unwrap().into()),
        ("calendar", TensorRef::from_array_view((row, marks)).unwrap().into()),
        ("present", TensorRef::from_array_view((row, present.as_slice())).unwrap().into()),
    ];
    one(run_graph(environment, graph, inputs))
}

fn run(environment: &Environment, graph: &[u8], inputs: &[(&'static str, &Vec<usize>, &Vec<f32>)]) -> Vec<Shaped> {
    let inputs = inputs.iter().map(|(name, shape, values)| {
        (*name, TensorRef::from_array_view(((*shape).clone(), values.as_slice())).unwrap().into())
    });
    run_graph(environment, graph, inputs.collect())
}

fn run_graph(environment: &Environment, graph: &[u8], inputs: Vec<(&str, SessionInputValue<'_>)>) -> Vec<Shaped> {
    // The product's level. The next one lays convolutions out anew and leaves the tolerance of the swin set.
    let builder = Session::builder(environment).unwrap();
    let mut builder = builder.with_optimization_level(GraphOptimizationLevel::Level2).unwrap();
    let mut session = builder.commit_from_memory(graph).unwrap();
    let outputs = session.run(inputs).unwrap();
    let shaped = |index: usize| {
        let (shape, values) = outputs[index].try_extract_tensor::<f32>().unwrap();
        (shape.iter().map(|side| *side as usize).collect(), values.to_vec())
    };
    (0..outputs.len()).map(shaped).collect()
}

fn one(outputs: Vec<Shaped>) -> Shaped {
    let [output] = <[Shaped; 1]>::try_from(outputs).expect("a graph of one output");
    output
}
