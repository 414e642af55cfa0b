//! Encoders without a fusion.

use std::path::PathBuf;

use skysense_contract::{Modality, Module, Package};
use skysense_train::{FilesConfig, ImportConfig, ImportFiles, export_files, import};

use super::{asked, file};

/// What a package's probe gives, with its sides.
fn output(package: &Package) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(package.probe()).unwrap();
    let probe = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let output = probe.tensor("output").unwrap();
    let values = output.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (output.shape().to_vec(), values)
}

/// Several encoders stand side by side, each as it would alone.
#[test]
fn encoders_without_a_fusion_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, parts: &[&str]| {
        let to = folder.path().join(format!("{name}.pth"));
        std::fs::rename(file(folder.path(), parts), &to).unwrap();
        Some(to)
    };
    let s2 = part("s2", &["hr", "s1", "head_s2", "fusion", "ctpe"]);
    let s1 = part("s1", &["hr", "s2", "head_s1", "fusion", "ctpe"]);
    let head_s1 = part("head_s1", &["backbone", "head_s2", "fusion", "ctpe"]);
    let of = |s2: &Option<PathBuf>, s1: &Option<PathBuf>| {
        let head_s1 = s1.as_ref().and(head_s1.clone());
        let files = ImportFiles { s2: s2.clone(), s1: s1.clone(), head_s1, ..ImportFiles::default() };
        ImportConfig { files, ..asked(PathBuf::new()) }
    };
    let made = |config: &ImportConfig, name: &str| import(config, &folder.path().join(name)).unwrap().package;
    let (both, alone) = (of(&s2, &s1), made(&of(&s2, &None), "alone"));
    let package = made(&both, "both");
    package.verify().unwrap();
    assert!(skysense_train::check_weights(&package).unwrap().problems.is_empty());
    let contract = package.contract();
    assert_eq!(contract.graphs.keys().copied().collect::<Vec<_>>(), [Module::S2, Module::S1]);
    // Sentinel-2 as its last layer gives it, Sentinel-1 through its up head, which need not be as wide.
    assert_eq!(contract.encoders, [(Modality::S2, 128), (Modality::S1, 96)].into());
    assert_eq!(contract.channels, 128 + 96);
    assert!(contract.modalities.values().all(|input| input.dates == 1));
    let ((shape, values), (_, own)) = (output(&package), output(&alone));
    assert_eq!(shape, [1, 128 + 96, 16, 16]);
    assert_eq!(values[..own.len()], own, "the first are those of Sentinel-2 alone");
    // Each can be taken out by itself, with its graph, and comes back as it was.
    for (module, files) in [(Module::S2, 1), (Module::S1, 2)] {
        let out = folder.path().join(format!("{module}_files"));
        let modules = vec![module];
        let written = export_files(&package, &FilesConfig { modules, ..FilesConfig::default() }, &out).unwrap();
        assert_eq!((written.graphs.len(), written.weights.len()), (1, files), "{module}");
        let graph = std::fs::read(out.join(format!("{module}.onnx"))).unwrap();
        assert_eq!(graph, std::fs::read(package.graph(module).unwrap()).unwrap(), "{module}: the graph of the package");
    }
    let again = ImportFiles {
        s2: Some(folder.path().join("s2_files/skysense_model_backbone_s2.safetensors")),
        s1: Some(folder.path().join("s1_files/skysense_model_backbone_s1.safetensors")),
        head_s1: Some(folder.path().join("s1_files/skysense_model_head_s1.safetensors")),
        ..ImportFiles::default()
    };
    let again = made(&ImportConfig { files: again, ..both.clone() }, "again");
    assert_eq!(output(&again), output(&package));
    // With what may lack, a fusion is made that starts untrained.
    let whole = made(&ImportConfig { allow_missing: true, ..both }, "whole");
    assert!(whole.contract().graphs.contains_key(&Module::Fusion));
    assert_eq!(whole.contract().encoders, [(Modality::S2, 96), (Modality::S1, 96)].into());
}

#[test]
fn an_encoder_alone_is_a_model_of_its_own_features() {
    let folder = tempfile::tempdir().unwrap();
    let whole = file(folder.path(), &[]);
    let without = |parts: &[&str], name: &str| {
        let to = folder.path().join(name);
        std::fs::rename(file(folder.path(), parts), &to).unwrap();
        to
    };
    let of = |files: ImportFiles| ImportConfig { files, ..asked(whole.clone()) };
    let no_head = without(&["hr", "s1", "head_s2", "fusion", "ctpe"], "s2.pth");
    let raised = without(&["hr", "s1", "fusion", "ctpe"], "s2_head.pth");
    let hr = without(&["s2", "s1", "fusion", "ctpe"], "hr.pth");
    // Features of the last layer, of the up head, and of the last stage.
    let cases = [
        ("s2", ImportFiles { s2: Some(no_head), ..ImportFiles::default() }, Module::S2, 128),
        ("raised", ImportFiles { full: Some(raised), ..ImportFiles::default() }, Module::S2, 96),
        ("hr", ImportFiles { hr: Some(hr), ..ImportFiles::default() }, Module::Hr, 96),
    ];
    for (name, files, module, channels) in cases {
        let made = import(&of(files), &folder.path().join(name)).unwrap();
        assert!(made.report.complete() && made.report.missing.iter().all(|missing| missing.allowed), "{name}");
        let package = Package::open(folder.path().join(name)).unwrap();
        package.verify().unwrap();
        let contract = package.contract();
        assert_eq!(contract.graphs.keys().copied().collect::<Vec<_>>(), [module], "{name}");
        assert_eq!((contract.channels, contract.chip_size), (channels, 16), "{name}");
        assert!(contract.modalities.values().all(|input| input.dates == 1));
        let check = skysense_train::check_weights(&package).unwrap();
        assert!(check.problems.is_empty() && check.tensors > 10, "{name}: {:?}", check.problems);
        let (shape, values) = output(&package);
        assert_eq!(shape, [1, channels, 16, 16], "{name}");
        let map = &values[..256];
        assert!(map.iter().any(|value| value != &map[0]), "{name} gives one value everywhere");
        // A token's features stand on all pixels of its patch; an up head gives each pixel its own.
        let same = (0..256).all(|at| map[at] == map[at / 64 * 64 + at % 16 / 4 * 4]);
        assert_eq!(same, name == "s2", "{name}");
    }
    // A fusion or an up head cannot run by itself.
    let fusion = without(&["hr", "s2", "s1"], "fusion.pth");
    let error = import(&of(ImportFiles { fusion: Some(fusion), ..ImportFiles::default() }), &folder.path().join("f"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("a fusion alone"), "{error}");
}
