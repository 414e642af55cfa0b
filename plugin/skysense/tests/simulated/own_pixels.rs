//! Maps of an orthophoto's own pixels, learned from outlines.

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_contract::Package;
use skysense_edges::{MapBatch, MapFacts};

use crate::bench::{names, search};
use crate::harness::{Bench, Planned, good, messages};
use crate::objects::scene;

/// Side of a chip in pixels of the image.
const SIZE: usize = 128;

fn cut(bench: &Bench, images: &Planned, more: Value) -> Result<Planned, Vec<skysense_abi::Fault>> {
    let mut settings = json!({
        "resolution": 0.3125, "hr_scale": 1, "size": SIZE, "overlap": 32, "sensors": {"aerial-rgb": "hr-rgb"},
        // A corner of the image.
        "bbox": corner(),
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.plan("raster.chips", settings, &[("items", images)])
}

/// West, south, east, north of the middle of the image, 100 m wide.
fn corner() -> [f64; 4] {
    let folder = crate::bench::items(scene(), "aerial-rgb").remove(0);
    let item: Value = serde_json::from_str(&std::fs::read_to_string(folder).unwrap()).unwrap();
    let at = |index: usize| item["bbox"][index].as_f64().unwrap();
    let [x, y] = [(at(0) + at(2)) / 2.0, (at(1) + at(3)) / 2.0];
    [x - 6.5e-4, y - 4.5e-4, x + 6.5e-4, y + 4.5e-4]
}

fn maps(batches: &[RecordBatch]) -> Vec<(Vec<f32>, Vec<u8>)> {
    let rows = |batch: &RecordBatch| {
        let maps = MapBatch::predictions(batch).unwrap();
        (0..maps.len()).map(|row| (maps.values(row).to_vec(), maps.valid(row).to_vec())).collect::<Vec<_>>()
    };
    batches.iter().flat_map(rows).collect()
}

#[test]
fn buildings_are_mapped_at_the_pixels_of_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let images = good(bench.plan("stac.search", search(scene(), &["aerial-rgb"]), &[]));
    let truth = good(bench.plan("stac.search", search(scene(), &["objects"]), &[]));
    let chips = good(cut(&bench, &images, json!({})));
    let batches = bench.run(&chips, &[("items", &images, Vec::new())]).unwrap();
    let with = json!({
        "head": "uper", "steps": 4, "batch": 2, "out": "model", "shapes": {"field": "class", "background": "ground"},
    });
    let ports = [("chips", &chips), ("labels", &truth)];
    let model = good(bench.plan("skysense.finetune", with, &ports));
    let inputs = [("chips", &chips, batches.clone()), ("labels", &truth, Vec::new())];
    let trained = bench.run(&model, &inputs).unwrap();
    let apply = |node: &'static str, settings: Value| {
        let maps = good(bench.plan(node, settings, &[("chips", &chips), ("model", &model)]));
        let inputs = [("chips", &chips, batches.clone()), ("model", &model, trained.clone())];
        let found = bench.run(&maps, &inputs).unwrap();
        (maps, found)
    };
    let (plan, plain) = apply("skysense.segment", json!({"device": "cpu"}));
    let facts: MapFacts = serde_json::from_value(plan.plan.facts.clone()).unwrap();
    assert_eq!(facts.chips.geobox.resolution().0, 0.3125);
    let found = maps(&plain);
    assert_eq!(found[0].0.len(), facts.classes.len() * SIZE * SIZE);
    for (values, valid) in &found {
        for place in (0..SIZE * SIZE).filter(|place| valid[*place] != 0).step_by(97) {
            let sum: f32 = values.iter().skip(place).step_by(SIZE * SIZE).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        }
    }
    // One chip at a time or several, and with flips.
    assert!(maps(&apply("skysense.segment", json!({"device": "cpu", "batch": 3})).1) == found);
    let (_, flipped) = apply("skysense.segment", json!({"device": "cpu", "flips": true}));
    assert!(maps(&flipped) != found, "flips change what is said");
    let write = good(bench.plan("stac.write", json!({"href": "out", "collection": "made"}), &[("maps", &plan)]));
    bench.run(&write, &[("maps", &plan, plain.clone())]).unwrap();
    let files = names(&folder.path().join("out"));
    let path = files.iter().find(|file| file.ends_with("class.tif")).unwrap();
    let source = skysense_raster::Source::new("map", folder.path().join("out").join(path).display().to_string());
    let header = skysense_raster::header(&source).unwrap();
    assert_eq!(header.geobox().unwrap().resolution().0, 0.3125);
    // The features are those that the head stands on, at the same pixels.
    let (plan, _) = apply("skysense.embed", json!({"device": "cpu"}));
    let facts: MapFacts = serde_json::from_value(plan.plan.facts.clone()).unwrap();
    assert_eq!(facts.channels, Package::open(folder.path().join("model")).unwrap().contract().channels);
}

#[test]
fn grids_and_tasks_that_do_not_suit_are_told_while_planning() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let images = good(bench.plan("stac.search", search(scene(), &["aerial-rgb"]), &[]));
    let truth = good(bench.plan("stac.search", search(scene(), &["objects"]), &[]));
    // Ten metres would be read where the image has thirty centimetres.
    let told = messages(&cut(&bench, &images, json!({"resolution": 10})).err().unwrap());
    assert!(told.contains("0.3125") && told.contains("hr_scale: 1"), "{told}");
    assert!(messages(&cut(&bench, &images, json!({"hr_scale": 8})).err().unwrap()).contains("1 or 32"));
    let chips = good(cut(&bench, &images, json!({})));
    let refused = |settings: Value| {
        let ports = [("chips", &chips), ("labels", &truth)];
        messages(&bench.plan("skysense.finetune", settings, &ports).err().unwrap())
    };
    let shapes = json!({"field": "class", "background": "ground"});
    let told = refused(json!({"shapes": shapes}));
    assert!(told.contains("head") && told.contains("uper"), "{told}");
    assert!(refused(json!({"shapes": shapes, "task": "classification"})).contains("hr_scale: 32"));
    assert!(refused(json!({"task": "detection"})).contains("hr_scale"));
    // A model of the coarse grid is not applied to chips of the image's own, however alike their sides.
    let ports = [("chips", &chips)];
    let settings = json!({"model": crate::bench::package()});
    let told = messages(&bench.plan("skysense.segment", settings, &ports).err().unwrap());
    assert!(told.contains("hr_scale: 32"), "{told}");
}
