//! Output that cannot be finished: a full disk, no permission, a broken input, a cancelled and a killed run. Nothing
//! that looks whole is left, and what was there before still is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use serde_json::json;
use skysense_abi::{BatchStream, NodeError};

use crate::bench::{made_up_features, made_up_prediction, names, read, scene, search, write, write_settings};
use crate::harness::{Bench, good, messages};

/// A small disk in memory, or a read-only one. Mounting needs root: elsewhere the test says so and ends.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "skysense-test"]).arg(at).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!(
            "\n*** SKIPPED: mounting a tmpfs needs root, so the disk of this test ({options}) was NOT tried ***\n"
        );
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("small");
    let Some(_disk) = Disk::mount(&place, "size=2m,mode=777") else { return };
    let out = place.join("out");
    let bench = Bench::new(1, folder.path());
    // 64 bands of float32 in blocks of 256 px square take 64 · 256² · 4 bytes = 16 MiB while they are written.
    let error = write(&bench, &made_up_features(64), &out, &json!({})).expect_err("two MiB cannot hold it");
    assert_eq!(error.code, "output.full", "{error:?}");
    assert!(error.hint.as_deref().unwrap().contains("free some space"), "{error:?}");
    assert!(error.to_string().contains("features.tif"), "{error}");
    assert_eq!(names(&place), Vec::<String>::new(), "not even the folder stays");
    // What fits the same disk is written there afterwards: no space was lost.
    write(&bench, &made_up_prediction(), &out, &json!({})).unwrap();
    assert!(out.join("collection.json").is_file());
}

#[test]
fn a_disk_that_fills_up_while_replacing_keeps_the_old_output() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("small");
    let Some(_disk) = Disk::mount(&place, "size=2m,mode=777") else { return };
    let bench = Bench::new(1, folder.path());
    write(&bench, &made_up_prediction(), &place, &json!({})).unwrap();
    let before = names(&place);
    let bytes = std::fs::read(place.join("land-cover-all/class.tif")).unwrap();
    let error = write(&bench, &made_up_features(64), &place, &json!({"exists": "replace"})).err().unwrap();
    assert_eq!(error.code, "output.full", "{error:?}");
    assert_eq!(names(&place), before);
    assert_eq!(std::fs::read(place.join("land-cover-all/class.tif")).unwrap(), bytes);
}

#[test]
fn a_disk_too_small_for_the_chips_of_a_training_is_told_and_is_empty_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("small");
    let Some(_disk) = Disk::mount(&place, "size=200k,mode=777") else { return };
    // Scratch folders lie in that of the bench.
    let bench = Bench::new(1, &place);
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let truth = good(bench.plan("stac.search", search(scene(), &["labels"]), &[]));
    let chips = good(bench.plan("raster.chips", json!({"size": 16, "overlap": 4}), &[("items", &scenes)]));
    let batches = bench.run(&chips, &[("items", &scenes, Vec::new())]).unwrap();
    let out = folder.path().join("model");
    let ports = [("chips", &chips), ("labels", &truth)];
    let model = good(bench.plan("skysense.finetune", json!({"steps": 1, "out": out}), &ports));
    let inputs = [("chips", &chips, batches), ("labels", &truth, Vec::new())];
    // 25 chips of 16 px square with three dates of ten bands in 16 bits take 375 KiB, and half of a disk is not enough.
    let error = bench.run(&model, &inputs).expect_err("they do not fit");
    assert_eq!(error.code, "output.full", "{error:?}");
    assert!(error.to_string().contains("small/scratch"), "{error}");
    assert!(error.hint.as_deref().unwrap().contains("free some space"), "{error:?}");
    assert!(!out.exists());
    assert_eq!(names(&place.join("scratch")), Vec::<String>::new());
}

#[test]
fn memory_of_a_training_is_planned_without_the_pixels_of_its_chips() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let scenes = good(bench.plan("stac.search", search(scene(), &["sentinel-2-l2a"]), &[]));
    let truth = good(bench.plan("stac.search", search(scene(), &["labels"]), &[]));
    let planned = |overlap: usize| {
        let chips = good(bench.plan("raster.chips", json!({"size": 16, "overlap": overlap}), &[("items", &scenes)]));
        let ports = [("chips", &chips), ("labels", &truth)];
        let plan = good(bench.plan("skysense.finetune", json!({"out": "model"}), &ports)).plan;
        let cost = |name: &str| plan.costs.iter().find(|cost| cost.name == name).unwrap().value;
        (cost("training_chips"), cost("scratch"), plan.memory.working_bytes as f64)
    };
    let ((few, disk, memory), (many, more_disk, more_memory)) = (planned(0), planned(7));
    // Three dates of ten bands in 16 bits, as they came and as they are fed.
    let pixels = (16 * 16 * 3 * 10 * 2 * 2) as f64;
    assert!(many > 3.0 * few, "{few} and {many} chips");
    assert!((more_disk - disk) >= pixels * (many - few), "{disk} and {more_disk} bytes");
    assert!((more_memory - memory) < pixels / 8.0 * (many - few), "{memory} and {more_memory} bytes");
}

#[test]
fn a_folder_that_may_not_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("locked");
    std::fs::create_dir(&place).unwrap();
    let mut locked = std::fs::metadata(&place).unwrap().permissions();
    locked.set_readonly(true);
    std::fs::set_permissions(&place, locked).unwrap();
    // Permissions do not bind root, a read-only disk does.
    let root = std::fs::write(place.join("probe"), "").is_ok();
    let disk = root.then(|| Disk::mount(&place, "ro"));
    if let Some(None) = disk {
        return;
    }
    let bench = Bench::new(1, folder.path());
    let error = write(&bench, &made_up_prediction(), &place.join("out"), &json!({})).err().unwrap();
    assert_eq!(error.code, "output.permission", "{error:?}");
    assert!(error.to_string().contains("locked/out"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("choose a folder that you may write to"));
}

#[test]
fn a_file_in_the_place_of_the_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("out"), "somebody's own").unwrap();
    let bench = Bench::new(1, folder.path());
    let error = write(&bench, &made_up_prediction(), &folder.path().join("out"), &json!({})).err().unwrap();
    assert!(error.hint.as_deref().unwrap().contains("a file stands where a folder is needed"), "{error:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("out")).unwrap(), "somebody's own");
}

/// Half of the maps, then whatever `end` gives.
fn half(
    batches: &[RecordBatch],
    end: impl FnOnce() -> Option<Result<RecordBatch, NodeError>> + Send + 'static,
) -> BatchStream {
    let first: Vec<RecordBatch> = batches[..batches.len() / 2].to_vec();
    let mut end = Some(end);
    let rest = std::iter::from_fn(move || end.take().and_then(|end| end()));
    Box::new(first.into_iter().map(Ok).chain(rest))
}

#[test]
fn an_input_that_breaks_off_or_a_cancelled_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (maps, batches) = made_up_prediction();
    let plan = |bench: &Bench| good(bench.plan("stac.write", write_settings(&out, &json!({})), &[("maps", &maps)]));

    let bench = Bench::new(1, folder.path());
    let broken = half(&batches, || Some(Err(NodeError::new("model.run", "the head graph failed"))));
    let error = bench.run_streams(&plan(&bench), vec![("maps", &maps, broken)]).err().unwrap();
    assert_eq!(error.code, "model.run", "the node's own error comes through: {error}");
    assert!(!out.exists());

    let bench = Bench::new(1, folder.path());
    let cancelled = bench.told.cancelled.clone();
    let next = batches[batches.len() / 2].clone();
    let stopped = half(&batches, move || {
        cancelled.store(true, Ordering::Relaxed);
        Some(Ok(next))
    });
    let error = bench.run_streams(&plan(&bench), vec![("maps", &maps, stopped)]).err().unwrap();
    assert!(error.is_cancelled(), "{error}");
    assert!(!out.exists());
}

#[test]
fn maps_out_of_order_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (maps, mut batches) = made_up_prediction();
    batches.swap(0, 7);
    let error = write(&Bench::new(1, folder.path()), &(maps, batches), &out, &json!({})).err().unwrap();
    assert!(error.to_string().contains("row-major order") && !out.exists(), "{error}");
}

#[test]
fn a_map_that_did_not_come_is_no_data_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (maps, mut batches) = made_up_prediction();
    // The chip in the middle: 16 px less the 4 px that each of its neighbours covers too leave 8 · 8 of 64 · 64 px.
    batches.remove(12);
    let bench = Bench::new(1, folder.path());
    write(&bench, &(maps, batches), folder.path(), &json!({})).unwrap();
    let item = read(&folder.path().join("land-cover-all/land-cover-all.json"));
    let valid = item["properties"]["skysense:valid_percent"].as_f64().unwrap();
    assert!((valid - 100.0 * (1.0 - 64.0 / 4096.0)).abs() < 1e-9, "{valid}");
    assert_eq!(bench.told.of("count"), [json!({"name": "missing_chips", "value": 1})]);
}

/// Where the child of [`a_killed_run_leaves_nothing_that_looks_whole`] writes.
const CHILD: &str = "SKYSENSE_TEST_KILLED_OUT";

#[test]
#[ignore = "the child of a_killed_run_leaves_nothing_that_looks_whole, which kills it"]
fn child_that_is_killed() {
    let out = PathBuf::from(std::env::var_os(CHILD).expect("started by its parent"));
    let (maps, batches) = made_up_prediction();
    let bench = Bench::new(1, out.parent().unwrap());
    let node = good(bench.plan("stac.write", write_settings(&out, &json!({"exists": "replace"})), &[("maps", &maps)]));
    let marker = out.with_file_name("in the middle");
    let waiting = half(&batches, move || {
        std::fs::write(marker, "").unwrap();
        loop {
            std::thread::park();
        }
    });
    bench.run_streams(&node, vec![("maps", &maps, waiting)]).unwrap();
}

/// Starts the child and waits until it is in the middle of its maps.
fn start(out: &Path) -> Child {
    let marker = out.with_file_name("in the middle");
    let _gone = std::fs::remove_file(&marker);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "unfinished::child_that_is_killed", "--ignored"])
        .env(CHILD, out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !marker.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child
}

#[test]
fn a_killed_run_leaves_nothing_that_looks_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut child = start(&out);
    child.kill().unwrap();
    child.wait().unwrap();
    let left = names(&out);
    assert!(!left.is_empty(), "it was killed while it wrote");
    assert!(left.iter().all(|name| name.starts_with(".land-cover.")), "only its hidden folder is there: {left:?}");
    // The next run, whatever it says of output that exists, finds none and tidies up.
    let bench = Bench::new(1, folder.path());
    write(&bench, &made_up_prediction(), &out, &json!({})).unwrap();
    let item = "land-cover-all";
    assert_eq!(
        names(&out),
        ["collection.json".to_owned(), item.to_owned(), format!("{item}/class.tif"), format!("{item}/{item}.json")]
    );
    // Killed while replacing: the old output is as it was.
    let bytes = std::fs::read(out.join(item).join("class.tif")).unwrap();
    let mut child = start(&out);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read(out.join(item).join("class.tif")).unwrap(), bytes);
    assert_eq!(read(&out.join("collection.json"))["links"].as_array().unwrap().len(), 2);
    let faults = bench.plan("stac.write", write_settings(&out, &json!({})), &[("maps", &made_up_prediction().0)]);
    assert!(messages(&faults.err().unwrap()).contains("output.exists"));
}

#[test]
fn a_living_run_is_not_tidied_away() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut child = start(&out);
    let before = names(&out);
    let bench = Bench::new(1, folder.path());
    write(&bench, &made_up_prediction(), &out, &json!({"exists": "replace"})).unwrap();
    let after = names(&out);
    assert!(before.iter().all(|name| after.contains(name)), "{before:?} {after:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}
