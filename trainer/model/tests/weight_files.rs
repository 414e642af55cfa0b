//! Files of weights: what is read of them, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/pth.rs"]
mod pth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pth::{Pickle, Shape, Zip, rows, state, write, write_legacy};
use safetensors::tensor::{Dtype, TensorView};
use skysense_model::checkpoint::{CheckpointError, WeightFile};

fn shapes(keys: &[&str]) -> Vec<Shape> {
    keys.iter().map(|key| (key.to_string(), vec![2, 3])).collect()
}

/// Values of the tensor at a place.
fn values(index: usize) -> Vec<f32> {
    (0..6).map(|place| (100 * index + place) as f32 + 0.5).collect()
}

fn written(folder: &Path, containers: &[&str], keys: &[&str]) -> PathBuf {
    let path = folder.join("weights.pth");
    write(&path, containers, &shapes(keys), &mut |index| values(index));
    path
}

/// Keys and values of a file.
fn read(path: &Path, variant: Option<&str>) -> Result<Vec<(String, Vec<f32>)>, CheckpointError> {
    let file = WeightFile::open(path, variant)?;
    file.tensors().map(|(key, stored)| Ok((key.to_string(), stored.floats()?))).collect()
}

fn refused(path: &Path) -> String {
    let text = read(path, None).expect_err("this file must be refused").to_string();
    assert!(text.contains(&path.display().to_string()), "the file is not named: {text}");
    assert!(text.contains("hint: ") || text.contains("cannot read"), "no hint: {text}");
    text
}

#[test]
fn both_formats_of_torch_and_safetensors_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let keys = ["a.weight", "a.bias"];
    let expected: Vec<_> = keys.iter().enumerate().map(|(index, key)| (key.to_string(), values(index))).collect();
    for containers in [&[][..], &["state_dict"], &["model"], &["model", "state_dict"]] {
        let path = written(folder.path(), containers, &keys);
        assert_eq!(read(&path, None).unwrap(), expected, "{containers:?}");
        write_legacy(&path, containers, &shapes(&keys), &mut |index| values(index));
        assert_eq!(read(&path, None).unwrap(), expected, "{containers:?}, before 1.6");
        assert_eq!(WeightFile::open(&path, None).unwrap().found().containers, containers);
    }
    let bytes: Vec<Vec<u8>> =
        (0..2).map(|index| values(index).iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let view = |index: usize| TensorView::new(Dtype::F32, vec![2, 3], &bytes[index]).unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, safetensors::serialize([("a.weight", view(0)), ("a.bias", view(1))], None).unwrap()).unwrap();
    let mut sorted = expected.clone();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(read(&path, None).unwrap(), sorted);
    // In shards, by their index, which must not climb out of its folder.
    for (index, key) in keys.iter().enumerate() {
        let shard = safetensors::serialize([(*key, view(index))], None).unwrap();
        std::fs::write(folder.path().join(format!("{index}.safetensors")), shard).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, r#"{"weight_map": {"a.weight": "0.safetensors", "a.bias": "1.safetensors"}}"#).unwrap();
    let mut found = read(&index, None).unwrap();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, sorted);
    std::fs::write(&index, r#"{"weight_map": {"a.weight": "../../etc/passwd"}}"#).unwrap();
    assert!(refused(&index).contains("outside of its folder"));
    std::fs::write(&index, r#"{"weight_map": {"b.weight": "0.safetensors"}}"#).unwrap();
    assert!(refused(&index).contains("does not hold"));
}

#[test]
fn parallel_training_and_variants_are_taken_away_from_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &["state_dict"], &["module.a.weight", "module.a.bias"]);
    assert_eq!(read(&path, None).unwrap()[0].0, "a.weight");
    assert_eq!(WeightFile::open(&path, None).unwrap().found().prefixes, ["module."]);
    // Teacher and student in one dict: one must be chosen.
    let path = written(folder.path(), &["state_dict"], &["module.teacher.a.weight", "student.module.a.weight"]);
    let text = refused(&path);
    assert!(text.contains("student, teacher") && text.contains("--variant"), "{text}");
    assert_eq!(read(&path, Some("teacher")).unwrap(), [("a.weight".to_string(), values(0))]);
    assert_eq!(read(&path, Some("student")).unwrap(), [("a.weight".to_string(), values(1))]);
    let missing = read(&path, Some("ema")).unwrap_err().to_string();
    assert!(missing.contains("no ema"), "{missing}");
    // One alone needs no choice.
    let path = written(folder.path(), &[], &["teacher.a.weight"]);
    assert_eq!(read(&path, None).unwrap()[0].0, "a.weight");
}

#[test]
fn what_wrappers_put_around_weights_is_gone_through() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |path: &Path| read(path, None).unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    for key in ["model.a.weight", "module.model.a.weight", "_orig_mod.a.weight", "model.module.a.weight"] {
        let path = written(folder.path(), &["state_dict"], &[key]);
        assert_eq!(keys(&path), ["a.weight"], "{key}");
    }
    // Containers of other names, when there is one alone; and a dict for each module.
    for containers in [&["weights"][..], &["net", "inner"], &["model", "params"]] {
        assert_eq!(keys(&written(folder.path(), containers, &["a.weight", "b"])), ["a.weight", "b"], "{containers:?}");
    }
    let path = written(folder.path(), &["model", "backbone_s2"], &["pos_embed"]);
    assert_eq!(keys(&path), ["backbone_s2.pos_embed"]);
    // A counter beside the container is not taken for the weights.
    let mut pickle = Pickle::new();
    pickle.code(b"}(").text("iter").tensor("0", "FloatStorage", &[], &[], 6).text("model").code(b"}").text("a");
    let pickle = pickle.tensor("1", "FloatStorage", &[2, 3], &[3, 1], 6).code(b"su").end();
    let path = folder.path().join("iter.pth");
    archive(&path, &pickle, &[&floats(&values(0)), &floats(&values(1))]);
    assert_eq!(read(&path, None).unwrap(), [("a".to_string(), values(1))]);
}

#[test]
fn averages_of_mmcv_are_a_variant_where_their_keys_lead_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &["state_dict"], &["a.b_c", "d", "ema_a_b_c", "ema_d"]);
    assert_eq!(read(&path, None).unwrap(), [("a.b_c".to_string(), values(0)), ("d".to_string(), values(1))]);
    assert_eq!(WeightFile::open(&path, None).unwrap().found().variants, ["ema"]);
    assert_eq!(read(&path, Some("ema")).unwrap(), [("a.b_c".to_string(), values(2)), ("d".to_string(), values(3))]);
    // Two keys become one: there is no way back, and one line says so.
    let path = written(folder.path(), &[], &["a.b_c", "a_b.c", "ema_a_b_c"]);
    let file = WeightFile::open(&path, None).unwrap();
    assert_eq!(file.tensors().count(), 2);
    assert!(file.found().left[0].starts_with("1 averages"), "{:?}", file.found());
    assert!(read(&path, Some("ema")).is_err());
}

#[test]
fn harmless_things_beside_weights_are_stepped_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beside.pth");
    let tensor = |pickle: &mut Pickle| {
        let _same = pickle.tensor("0", "FloatStorage", &[2, 3], &[3, 1], 6);
    };
    let beside: [&[u8]; 5] = [
        b"ccollections\nCounter\n}K\x01K\x02s\x85R",
        b"ccollections\nCounter\n)R",
        b"ccollections\ndefaultdict\ncbuiltins\nlist\n\x85R",
        b"cbuiltins\nset\n](K\x01K\x02e\x85R",
        b"c__builtin__\nfrozenset\n)R",
    ];
    for code in beside {
        let mut pickle = Pickle::new();
        pickle.code(b"}(").text("w");
        tensor(&mut pickle);
        let pickle = pickle.text("x").code(code).code(b"u").end();
        archive(&path, &pickle, &[&floats(&values(0))]);
        assert_eq!(read(&path, None).unwrap(), [("w".to_string(), values(0))]);
    }
    // Tensors and parameters with attributes.
    let plain = "ctorch._utils\n_rebuild_tensor_v2\n";
    for kind in ["ctorch\nTensor\n", "ctorch.nn.parameter\nParameter\n"] {
        let mut pickle = Pickle::new();
        pickle.code(b"}").text("w").code(format!("ctorch._tensor\n_rebuild_from_type_v2\n({plain}{kind}").as_bytes());
        let begin = pickle.0.len();
        tensor(&mut pickle);
        // The arguments of the maker stand between its name and its call.
        let arguments = pickle.0.split_off(begin)[plain.len()..].to_vec();
        let pickle = pickle.code(&arguments[..arguments.len() - 1]).code(b"}tRs").end();
        archive(&path, &pickle, &[&floats(&values(0))]);
        assert_eq!(read(&path, None).unwrap(), [("w".to_string(), values(0))], "{kind}");
    }
    let mut pickle = Pickle::new();
    pickle.code(b"}").text("w").code(b"ctorch._utils\n_rebuild_parameter_with_state\n(");
    tensor(&mut pickle);
    let pickle = pickle.code(b"\x88}}tRs").end();
    archive(&path, &pickle, &[&floats(&values(0))]);
    assert_eq!(read(&path, None).unwrap(), [("w".to_string(), values(0))]);
    // The way with attributes calls makers of tensors alone.
    let pickle = b"\x80\x02}ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nctorch\nTensor\n)}tR.";
    archive(&path, pickle, &[]);
    assert!(refused(&path).contains("a call of Attributed"));
}

#[test]
fn types_that_are_never_read_are_an_error_only_where_they_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f8.pth");
    let with = |bytes: u8, count: u8| {
        let mut pickle = Pickle::new();
        pickle.code(b"}(").text("w").tensor("0", "FloatStorage", &[2, 3], &[3, 1], 6).text("f");
        pickle.code(b"ctorch._utils\n_rebuild_tensor_v3\n((").text("storage");
        pickle.code(b"ctorch.storage\nUntypedStorage\n").text("1").text("cpu").code(&[b'K', bytes]);
        pickle.code(b"tQK\x00").code(&[b'K', count]).code(b"\x85K\x01\x85\x89}ctorch\nuint16\n}tRu").end()
    };
    archive(&path, &with(6, 3), &[&floats(&values(0)), &[0; 6]]);
    let file = WeightFile::open(&path, None).unwrap();
    let found: BTreeMap<_, _> = file.tensors().collect();
    assert_eq!(found["w"].floats().unwrap(), values(0));
    assert_eq!(found["f"].shape(), [3]);
    let error = found["f"].floats().unwrap_err().to_string();
    assert!(error.contains("Other(2)"), "{error}");
    // Four values of two bytes do not lie in six.
    archive(&path, &with(6, 4), &[&floats(&values(0)), &[0; 6]]);
    assert!(refused(&path).contains("3 values"));
}

#[test]
fn averaged_weights_are_taken_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.pth");
    for name in ["state_dict_ema", "ema_state_dict"] {
        let mut pickle = Pickle::new();
        pickle.code(b"}(");
        for (index, container) in ["state_dict", name].into_iter().enumerate() {
            pickle.text(container).code(b"}").text("a").tensor(&index.to_string(), "FloatStorage", &[2, 3], &[3, 1], 6);
            pickle.code(b"s");
        }
        let pickle = pickle.code(b"u").end();
        archive(&path, &pickle, &[&floats(&values(0)), &floats(&values(1))]);
        assert_eq!(read(&path, None).unwrap(), [("a".to_string(), values(0))]);
        assert_eq!(WeightFile::open(&path, None).unwrap().found().variants, ["ema"]);
        assert_eq!(read(&path, Some("ema")).unwrap(), [("a".to_string(), values(1))]);
        assert_eq!(read(&path, Some(name)).unwrap(), [("a".to_string(), values(1))]);
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn archive(path: &Path, pickle: &[u8], storages: &[&[u8]]) {
    let mut zip = Zip::create(path);
    zip.entry("archive/data.pkl", pickle);
    for (index, bytes) in storages.iter().enumerate() {
        zip.entry(&format!("archive/data/{index}"), bytes);
    }
    zip.finish();
}

/// A file with one tensor `w` over one storage.
fn single(path: &Path, kind: &str, shape: &[usize], strides: &[usize], count: u64, storage: &[u8]) {
    let pickle = Pickle::new().code(b"}").text("w").tensor("0", kind, shape, strides, count).code(b"s").end();
    archive(path, &pickle, &[storage]);
}

#[test]
fn transposed_tensors_and_all_floats_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.pth");
    single(&path, "FloatStorage", &[3, 2], &[1, 3], 6, &floats(&values(0)));
    assert_eq!(read(&path, None).unwrap()[0].1, [0.5, 3.5, 1.5, 4.5, 2.5, 5.5]);
    let halves: Vec<u8> = [1.5, -2.0].into_iter().flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect();
    single(&path, "HalfStorage", &[2], &[1], 2, &halves);
    assert_eq!(read(&path, None).unwrap()[0].1, [1.5, -2.0]);
    let brains: Vec<u8> = [1.5, -2.0].into_iter().flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect();
    single(&path, "BFloat16Storage", &[2], &[1], 2, &brains);
    assert_eq!(read(&path, None).unwrap()[0].1, [1.5, -2.0]);
    let doubles: Vec<u8> = [1.5_f64, -2.0].into_iter().flat_map(f64::to_le_bytes).collect();
    single(&path, "DoubleStorage", &[2], &[1], 2, &doubles);
    assert_eq!(read(&path, None).unwrap()[0].1, [1.5, -2.0]);
    // Integers are known and stepped over; as weights they are refused.
    single(&path, "LongStorage", &[2], &[1], 2, &doubles);
    let text = refused(&path);
    assert!(text.contains("key w") && text.contains("I64"), "{text}");
    single(&path, "FloatStorage", &[0, 2], &[2, 1], 0, &[]);
    assert_eq!(read(&path, None).unwrap()[0].1, [] as [f32; 0]);
}

#[test]
fn a_pickle_that_calls_anything_else_is_refused_by_name_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil.pth");
    for (global, name) in [
        (&b"cposix\nsystem\n"[..], "posix.system"),
        (b"cbuiltins\neval\n", "builtins.eval"),
        (b"ctorch.storage\n_load_from_bytes\n", "torch.storage._load_from_bytes"),
        (b"cargparse\nNamespace\n", "argparse.Namespace"),
        (b"\x8c\x02os\x8c\x06system\x93", "os.system"),
    ] {
        // Behind weights that are sound, so that they would be read if it were looked at late.
        let mut pickle = Pickle::new();
        pickle.code(b"}(").text("w").tensor("0", "FloatStorage", &[6], &[1], 6).text("x");
        let at = pickle.0.len() + global.len() - if name == "os.system" { 1 } else { global.len() };
        let pickle = pickle.code(global).text("id").code(b"\x85Ru").end();
        archive(&path, &pickle, &[&floats(&values(0))]);
        let text = refused(&path);
        assert!(text.contains(name) && text.contains(&format!("byte {at} ")), "{text}");
    }
    // Instructions that make objects by other ways.
    for code in [&b"(cposix\nsystem\no"[..], b"(iposix\nsystem\n", b"\x82\x01", b"P0\n"] {
        archive(&path, &Pickle::new().code(b"}").code(code).end(), &[]);
        let _text = refused(&path);
    }
}

#[test]
fn places_outside_of_the_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.pth");
    let bytes = floats(&values(0));
    for (shape, strides, count) in [
        (&[7][..], &[1][..], 6),
        (&[6], &[1], 7),
        (&[2, 3], &[300, 1], 6),
        (&[usize::MAX >> 1, 4], &[4, 1], 6),
        (&[usize::MAX >> 1, usize::MAX >> 1], &[1, 1], u64::MAX >> 1),
        (&[2], &[usize::MAX >> 1], u64::MAX >> 1),
        // One value shown a million times.
        (&[1000, 1000], &[0, 0], 6),
    ] {
        single(&path, "FloatStorage", shape, strides, count, &bytes);
        let text = refused(&path);
        assert!(text.contains("key w") && text.contains("expected"), "{text}");
    }
    // A storage that is not there, and an archive of something else.
    let pickle = Pickle::new().code(b"}").text("w").tensor("9", "FloatStorage", &[6], &[1], 6).code(b"s").end();
    archive(&path, &pickle, &[&bytes]);
    assert!(refused(&path).contains("archive/data/9"));
    let mut zip = Zip::create(&path);
    zip.entry("word/document.xml", b"<w/>");
    zip.finish();
    assert!(refused(&path).contains("without data.pkl"));
    let mut zip = Zip::create(&path);
    zip.entry("archive/data.pkl", &state(&[], &shapes(&["a"])));
    zip.entry("archive/byteorder", b"big");
    zip.entry("archive/data/0", &bytes);
    zip.finish();
    assert!(refused(&path).contains("little"));
}

#[test]
fn files_of_another_kind_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other");
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"<!DOCTYPE html><html>", "page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.", "bare pickle"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "gzip"),
        (b"GGUF\x03\x00\x00\x00\x00\x00\x00\x00", "unknown"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{", "header"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "no tensor"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let text = refused(&path);
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(refused(&folder.path().join("none.pth")).contains("cannot read"));
    assert!(refused(folder.path()).contains("cannot read"));
}

#[test]
fn no_cut_of_a_file_is_taken_for_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pth");
    for legacy in [false, true] {
        let path = folder.path().join("whole.pth");
        let writer = if legacy { write_legacy } else { write };
        writer(&path, &["state_dict"], &shapes(&["a", "b"]), &mut |index| values(index));
        let bytes = std::fs::read(&path).unwrap();
        // The end record of a zip archive has no bytes to spare, and neither has the last storage.
        for length in 0..bytes.len() {
            std::fs::write(&cut, &bytes[..length]).unwrap();
            assert!(read(&cut, None).is_err(), "{length} of {} bytes are taken", bytes.len());
        }
    }
}

/// The checksums of a zip archive find every change of what is read, and tell which part has it.
#[test]
fn a_flipped_bit_in_an_archive_is_found_and_its_part_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.pth");
    write(&path, &["state_dict"], &shapes(&["a", "b"]), &mut |index| values(index));
    let bytes = std::fs::read(&path).unwrap();
    let places = |wanted: &[u8]| bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    let flipped = folder.path().join("flipped.pth");
    for (part, wanted) in [
        ("archive/data/0", floats(&values(0))),
        ("archive/data/1", floats(&values(1))),
        ("archive/data.pkl", state(&["state_dict"], &shapes(&["a", "b"]))),
        ("archive/byteorder", b"little".to_vec()),
    ] {
        for at in places(&wanted)..places(&wanted) + wanted.len() {
            let mut copy = bytes.clone();
            copy[at] ^= 1 << (at % 8);
            std::fs::write(&flipped, copy).unwrap();
            let text = refused(&flipped);
            assert!(text.contains(part) && text.contains("CRC-32"), "byte {at}: {text}");
        }
    }
    // A view of a part of a storage: what lies outside of the view is checked as well.
    let pickle = Pickle::new().code(b"}").text("w").tensor("0", "FloatStorage", &[2], &[2], 6).code(b"s").end();
    archive(&path, &pickle, &[&floats(&values(0))]);
    assert_eq!(read(&path, None).unwrap()[0].1, [0.5, 2.5]);
    let mut copy = std::fs::read(&path).unwrap();
    let at = copy.windows(24).position(|window| window == floats(&values(0))).unwrap();
    copy[at + 23] ^= 1;
    std::fs::write(&flipped, copy).unwrap();
    assert!(refused(&flipped).contains("archive/data/0"));
}

/// torch.save leaves the checksums out when `torch.serialization.set_crc32_options(False)` was called: all are 0 then.
#[test]
fn an_archive_without_checksums_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &[], &["a"]);
    let mut bytes = std::fs::read(&path).unwrap();
    let entries: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).collect();
    assert_eq!(entries.len(), 4);
    for at in entries {
        bytes[at + 16..at + 20].fill(0);
    }
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read(&path, None).unwrap(), [("a".to_string(), values(0))]);
}

/// Damage of every kind must end in an error or in tensors, never in a panic or in memory for sizes that are not there.
#[test]
fn damaged_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    let damaged = folder.path().join("damaged.pth");
    let mut refused = 0;
    for kind in 0..3 {
        let path = folder.path().join("whole.pth");
        match kind {
            0 => write(&path, &["model"], &shapes(&["a", "b"]), &mut |index| values(index)),
            1 => write_legacy(&path, &[], &shapes(&["a", "b"]), &mut |index| values(index)),
            _ => {
                let bytes = floats(&values(0));
                let view = TensorView::new(Dtype::F32, vec![2, 3], &bytes).unwrap();
                std::fs::write(&path, safetensors::serialize([("a", view)], None).unwrap()).unwrap();
            }
        }
        let bytes = std::fs::read(&path).unwrap();
        for _ in 0..1500 {
            let mut copy = bytes.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % copy.len();
                copy[at] = match random() % 4 {
                    0 => 0xff,
                    1 => 0,
                    2 => copy[at] ^ (1 << (random() % 8)),
                    _ => random() as u8,
                };
            }
            std::fs::write(&damaged, copy).unwrap();
            refused += usize::from(read(&damaged, None).is_err());
        }
    }
    assert!(refused > 1000, "only {refused} of 4500 damaged files were refused: the damage misses what is read");
}

#[test]
fn a_pickle_that_grows_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pth");
    // Dicts in dicts, each holding the one before twice: 2^60 places of one tensor.
    let mut pickle = Pickle::new();
    pickle.tensor("0", "FloatStorage", &[6], &[1], 6).code(b"q\x00");
    for level in 0..60_u8 {
        pickle.code(b"0}(").text("a").code(&[b'h', level]).text("b").code(&[b'h', level]).code(&[
            b'u',
            b'q',
            level + 1,
        ]);
    }
    archive(&path, &pickle.end(), &[&floats(&values(0))]);
    let _text = refused(&path);
    // A row that is copied again and again by calls.
    let mut pickle = Pickle::new();
    pickle.code(b"(").code(&vec![b'N'; 100_000]).code(b"tq\x00");
    for _ in 0..1000 {
        pickle.code(b"0ctorch\ndevice\nh\x00R");
    }
    archive(&path, &pickle.end(), &[]);
    assert!(refused(&path).contains("values"), "calls over a long row are not counted");
    assert_eq!(rows(&[2, 3, 4]), [12, 4, 1]);
}
