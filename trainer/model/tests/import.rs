//! Checkpoints in several files, of several ages, put together to one model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/pth.rs"]
mod pth;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors};
use skysense_model::checkpoint::{Import, Part, ShapeSettings, load_files, load_stored, save};
use skysense_model::{Inputs, Series, SkySense, SkySenseConfig, VitConfig, official, preset};

/// Values by published name, with shapes.
type Shaped = (Vec<usize>, Vec<f32>);
type Weights = BTreeMap<String, Shaped>;

/// A small model of all modules with a calendar, whose position table has a slot of the class token.
fn config() -> SkySenseConfig {
    let mut config = preset("tiny").unwrap();
    for (vit, _) in [&mut config.s2, &mut config.s1].into_iter().flatten() {
        vit.position_of_class = true;
    }
    if let Some(hr) = &mut config.hr {
        hr.extra_norm_every = 2;
    }
    config
}

fn weights_of(file: &[u8]) -> Weights {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let values = |view: &safetensors::tensor::TensorView<'_>| {
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let floats = tensors.tensors().into_iter().filter(|(_, view)| view.dtype() == Dtype::F32);
    floats.map(|(name, view)| (name, (view.shape().to_vec(), values(&view)))).collect()
}

fn made() -> (SkySenseConfig, Weights) {
    let config = config();
    let model = config.init(&Device::default()).unwrap();
    (config.clone(), weights_of(&save(&model, "").unwrap()))
}

/// Writes the weights of a module, under the keys that `key` makes of what follows the module's name.
fn part(folder: &Path, weights: &Weights, module: &str, key: impl Fn(&str) -> String) -> PathBuf {
    let own: Vec<_> = weights
        .iter()
        .filter_map(|(name, value)| Some((key(name.strip_prefix(&format!("{module}."))?), value)))
        .collect();
    assert!(!own.is_empty(), "no weights of {module}");
    file(&folder.join(format!("{module}.pth")), &["state_dict"], own)
}

fn file(path: &Path, containers: &[&str], tensors: Vec<(String, &Shaped)>) -> PathBuf {
    let shapes: Vec<_> = tensors.iter().map(|(key, (shape, _))| (key.clone(), shape.clone())).collect();
    pth::write(path, containers, &shapes, &mut |index| tensors[index].1.1.clone());
    path.to_path_buf()
}

/// All six files, as the published ones name their keys.
fn files(folder: &Path, weights: &Weights) -> Vec<(Part, PathBuf)> {
    let plain = |key: &str| key.to_string();
    let s2 = weights.iter().filter_map(|(name, value)| Some((name.strip_prefix("backbone_s2.")?.to_string(), value)));
    // The published Sentinel-2 file carries the calendar table.
    let s2 = s2.chain([("ctpe".to_string(), &weights["ctpe"])]).collect();
    vec![
        (Part::Hr, part(folder, weights, "backbone_hr", |key| format!("module.backbone.{key}"))),
        (Part::S2, file(&folder.join("s2.pth"), &[], s2)),
        (Part::S1, part(folder, weights, "backbone_s1", |key| key.replace(".in_proj_", ".Wqkv."))),
        (Part::HeadS2, part(folder, weights, "head_s2", |key| format!("backbone.{key}"))),
        (Part::HeadS1, part(folder, weights, "head_s1", plain)),
        (Part::Fusion, part(folder, weights, "fusion", plain)),
    ]
}

/// Window of the tiny preset, which no tensor tells.
fn settings() -> ShapeSettings {
    ShapeSettings { window: Some(4), ..ShapeSettings::default() }
}

fn loaded(import: &Import) -> SkySense {
    let model = import.config.init(&Device::default()).unwrap();
    let (model, report) = load_stored(model, "", &import.tensors).unwrap();
    // What the import allows to lack starts as it says; nothing else may lack.
    assert!(report.mismatched.is_empty() && report.unexpected.is_empty(), "{report:?}");
    assert_eq!(report.missing.len(), import.report.missing.len(), "{report:?}");
    model
}

#[test]
fn files_of_single_modules_make_the_whole_model() {
    let folder = tempfile::tempdir().unwrap();
    let (config, weights) = made();
    let import = Import::open(&files(folder.path(), &weights), None, &settings()).unwrap();
    assert!(import.report.complete(), "{:?}", import.report.missing);
    let expected = SkySenseConfig { ..config.clone() };
    assert_eq!(import.config, expected);
    assert_eq!(weights_of(&save(&loaded(&import), "").unwrap()), weights);
    assert_eq!(import.report.loaded.len(), weights.len());
    assert!(import.report.unexpected.is_empty() && import.report.ignored.is_empty());
    let counted: u64 = import.report.modules.iter().map(|module| module.parameters).sum();
    let there: u64 = weights.values().map(|(_, values)| values.len() as u64).sum();
    assert_eq!(counted, there);
}

#[test]
fn a_combined_file_may_be_older_and_hold_more() {
    let folder = tempfile::tempdir().unwrap();
    let (_, weights) = made();
    let spare = (vec![2], vec![1.0, 2.0]);
    let mut tensors: Vec<_> =
        weights.iter().map(|(name, value)| (name.replace("backbone_hr.", "backbone_gep."), value)).collect();
    for key in [
        "backbone_gep.stages.0.blocks.0.attn.w_msa.relative_position_index",
        "backbone_gep.mask_token",
        "backbone_s2.vocabulary_token",
        "modality_vae.encoder.weight",
        "head_rec_hr.proj.bias",
    ] {
        tensors.push((key.into(), &spare));
    }
    tensors.push(("decode_head.conv_seg.bias".into(), &spare));
    let full = file(&folder.path().join("full.ckpt"), &["model"], tensors);
    let import = Import::open(&[(Part::Full, full.clone())], None, &settings()).unwrap();
    assert!(import.report.complete());
    assert_eq!(weights_of(&save(&loaded(&import), "").unwrap()), weights);
    assert_eq!(import.report.ignored.len(), 5, "{:?}", import.report.ignored);
    assert_eq!(import.report.unexpected.len(), 1);
    assert_eq!(import.report.unexpected[0].key, "decode_head.conv_seg.bias");
    // The same file for one of its modules: the others are left out and named.
    let hr = Import::open(&[(Part::Hr, full)], None, &settings()).unwrap();
    assert!(hr.config.s2.is_none() && hr.config.hr.is_some());
    assert!(hr.report.complete() && hr.alone.len() == 1, "an encoder alone is a model of its own");
    assert!(
        hr.report.modules.iter().any(|module| module.module == "backbone_hr" && module.loaded == module.parameters)
    );
}

#[test]
fn norms_of_the_first_stages_may_lack_and_others_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut weights) = made();
    for stage in 0..3 {
        for half in ["weight", "bias"] {
            let _gone = weights.remove(&format!("backbone_hr.norm{stage}.{half}")).unwrap();
        }
    }
    let import = Import::open(&files(folder.path(), &weights), None, &settings()).unwrap();
    assert!(import.report.complete());
    assert_eq!(import.report.missing.len(), 6);
    assert!(import.report.missing.iter().all(|missing| missing.allowed && missing.start == "the identity"));
    // The third norm of a block is not the norm of the third stage.
    let _gone = weights.remove("backbone_hr.norm3.weight").unwrap();
    let import = Import::open(&files(folder.path(), &weights), None, &settings()).unwrap();
    assert!(!import.report.complete());
    let lacks: Vec<_> = import.report.missing.iter().filter(|m| !m.allowed).map(|m| m.name.as_str()).collect();
    assert_eq!(lacks, ["backbone_hr.norm3.weight"]);
}

#[test]
fn a_fusion_of_another_width_is_told_tensor_by_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let (config, mut weights) = made();
    let channels = config.fusion.channels;
    let _wide = weights.insert("fusion.porj_linear.weight".into(), (vec![channels, 3], vec![0.0; 3 * channels]));
    let import = Import::open(&files(folder.path(), &weights), None, &settings()).unwrap();
    assert!(!import.report.complete());
    let [mismatched] = &import.report.mismatched[..] else { panic!("{:?}", import.report.mismatched) };
    assert_eq!((mismatched.name.as_str(), &mismatched.found[..]), ("fusion.porj_linear.weight", &[channels, 3][..]));
    assert_eq!(mismatched.expected, [channels, config.fusion.channels_in]);
    assert!(!import.tensors.contains_key("fusion.porj_linear.weight"));
}

#[test]
fn a_weight_that_stands_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, weights) = made();
    let mut twice: Vec<_> = weights.iter().map(|(name, value)| (name.clone(), value)).collect();
    twice.push(("module.fusion.cls_token".into(), &weights["fusion.cls_token"]));
    let full = file(&folder.path().join("full.pth"), &[], twice);
    let error = Import::open(&[(Part::Full, full)], None, &settings()).unwrap_err().to_string();
    assert!(error.contains("a second fusion.cls_token") && error.contains("hint: "), "{error}");
}

#[test]
fn a_file_of_another_model_is_refused_with_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let (_, weights) = made();
    let resnet = file(&folder.path().join("resnet.pth"), &[], vec![("conv1.weight".into(), &weights["ctpe"])]);
    let error = Import::open(&[(Part::Hr, resnet)], None, &settings()).unwrap_err().to_string();
    assert!(error.contains("backbone_hr") && error.contains("hint: "), "{error}");
    let head = part(folder.path(), &weights, "head_s2", str::to_string);
    let error = Import::open(&[(Part::HeadS2, head)], None, &settings()).unwrap_err().to_string();
    assert!(error.contains("backbone_s2"), "{error}");
}

/// Says something that is seen although the test passes.
fn tell(line: &str) {
    // Where nothing can be written, nothing can be told either.
    let _written = writeln!(std::io::stderr(), "{line}");
}

/// Every reference encoder in one file and in pieces gives the same maps.
#[test]
fn a_reference_encoder_in_pieces_is_the_reference_encoder() {
    let Some(folder) = std::env::var_os("SKYSENSE_PARITY").map(PathBuf::from) else {
        tell("\n*** SKYSENSE_PARITY is not set: the import of reference encoders was NOT checked ***\n");
        return;
    };
    let mut checked = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        if ["fusion", "necks"].iter().any(|neck| json["config"][neck].is_object()) {
            let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
            in_pieces(&path, &json["config"], &bytes);
            checked += 1;
        }
    }
    match checked {
        0 => tell(&format!("\n*** no encoder in {}: its import was NOT checked ***\n", folder.display())),
        _ => tell(&format!("{checked} reference encoders, imported in pieces, give the bits of the whole")),
    }
}

fn in_pieces(path: &Path, words: &serde_json::Value, bytes: &[u8]) {
    let name = path.display();
    let all = weights_of(bytes);
    let known = ["input", "inter", "output"];
    let is_weight = |name: &str| !known.contains(&name.split('.').next().unwrap_or(name));
    let weights: Weights =
        all.iter().filter(|(name, _)| is_weight(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    let expected = official::encoder(words).unwrap_or_else(|error| panic!("{name}: {error}"));
    let temporary = tempfile::tempdir().unwrap();
    // What no shape tells is taken from the configuration.
    let positions = |series: usize| series_positions(series_of(&expected, series));
    let settings = ShapeSettings {
        fusion_heads: Some(expected.fusion.heads),
        s2_heads: series_of(&expected, 0).map(|vit| vit.heads),
        s1_heads: series_of(&expected, 1).map(|vit| vit.heads),
        heads: None,
        window: expected.hr.as_ref().map(|hr| hr.window),
        pretrained_windows: expected.hr.as_ref().map(|hr| hr.pretrained_windows.clone()),
        pad_small_map: expected.hr.as_ref().is_some_and(|hr| hr.pad_small_map),
        class_token: series_of(&expected, 0).or(series_of(&expected, 1)).map(|vit| vit.class_token),
        interpolation: series_of(&expected, 0).or(series_of(&expected, 1)).map(|vit| vit.interpolation),
        s2_positions: positions(0),
        s1_positions: positions(1),
        calendar: Some(expected.fusion.calendar),
        untrained_fusion: false,
    };
    // These two are one setting for both series.
    let alike = match [series_of(&expected, 0), series_of(&expected, 1)] {
        [Some(s2), Some(s1)] => (s2.class_token, s2.interpolation) == (s1.class_token, s1.interpolation),
        _ => true,
    };
    let full = vec![(
        Part::Full,
        file(&temporary.path().join("full.pth"), &[], weights.iter().map(|(k, v)| (k.clone(), v)).collect()),
    )];
    let pieces = some_files(temporary.path(), &weights);
    let imports = [&pieces, &full]
        .map(|files| Import::open(files, None, &settings).unwrap_or_else(|error| panic!("{name}: {error}")));
    for import in &imports {
        let (missing, other) = (&import.report.missing, &import.report.mismatched);
        assert!(import.report.complete(), "{name}: missing {missing:?}, of another shape {other:?}");
        // Of the configuration only what no shape tells may differ: rates, epsilons, the stages that are given.
        let mut read = import.config.clone();
        (read.fusion.epsilon, read.fusion.drop_path) = (expected.fusion.epsilon, expected.fusion.drop_path);
        if let (Some(hr), Some(of)) = (&mut read.hr, &expected.hr) {
            (hr.epsilon, hr.drop_path, hr.out_stages) = (of.epsilon, of.drop_path, of.out_stages.clone());
        }
        for (read, of) in [(&mut read.s2, &expected.s2), (&mut read.s1, &expected.s1)] {
            if let (Some((vit, _)), Some((of, _))) = (read, of) {
                (vit.epsilon, vit.drop_path) = (of.epsilon, of.drop_path);
                if !alike {
                    (vit.class_token, vit.interpolation) = (of.class_token, of.interpolation);
                }
            }
        }
        assert_eq!(read, expected, "{name}");
    }
    let [pieces, whole] = imports;
    assert_eq!(pieces.config, whole.config, "{name}");
    let [ours, theirs] = [loaded(&pieces), loaded(&whole)].map(|model| weights_of(&save(&model, "").unwrap()));
    assert!(ours == theirs, "{name}: the same weights must give the same bits");
    if !alike {
        tell(&format!(
            "{name}: its series differ in what is one setting of an import, so its maps were NOT compared here"
        ));
        return;
    }
    let (direct, report) = load_files(expected.init(&Device::default()).unwrap(), "", &full, None).unwrap();
    assert!(report.missing.is_empty() && report.mismatched.is_empty(), "{name}: {report:?}");
    let device = Device::default();
    let tensor = |name: &str| all.get(name).map(|(shape, values)| TensorData::new(values.clone(), shape.clone()));
    let series = |name: &str| {
        let pixels = Tensor::<5>::from_data(tensor(name)?, &device).permute([0, 2, 1, 3, 4]);
        let [batch, time, ..] = pixels.dims();
        Some(Series { pixels, day: Tensor::<2, Int>::full([batch, time], 100, &device), present: None })
    };
    let inputs = || Inputs {
        hr: tensor("input.hr").map(|data| Tensor::from_data(data, &device)),
        s2: series("input.s2"),
        s1: series("input.s1"),
        ..Inputs::default()
    };
    let [ours, theirs] = [loaded(&pieces), direct].map(|model| model.forward(inputs()).unwrap().into_data());
    assert_eq!(ours, theirs, "{name}: the same weights must give the same bits");
}

fn series_of(config: &SkySenseConfig, series: usize) -> Option<&VitConfig> {
    [&config.s2, &config.s1][series].as_ref().map(|(vit, _)| vit)
}

fn series_positions(vit: Option<&VitConfig>) -> Option<[usize; 2]> {
    vit.map(|vit| vit.positions)
}

/// A file for each module that is there, as the published ones name their keys.
fn some_files(folder: &Path, weights: &Weights) -> Vec<(Part, PathBuf)> {
    let parts = [Part::Hr, Part::S2, Part::S1, Part::HeadS2, Part::HeadS1, Part::Fusion];
    let mut files = Vec::new();
    for part in parts {
        let prefix = format!("{}.", part.module().unwrap());
        let own = weights
            .iter()
            .filter_map(|(name, value)| Some((format!("backbone.{}", name.strip_prefix(&prefix)?), value)));
        let mut own: Vec<_> = own.collect();
        if part == Part::Fusion {
            own.extend(weights.get("ctpe").map(|table| ("ctpe".to_string(), table)));
        }
        if !own.is_empty() {
            files.push((part, file(&folder.join(format!("{prefix}pth")), &["state_dict"], own)));
        }
    }
    files
}
