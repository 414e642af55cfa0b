//! `skysense.distill` as a workflow uses it: chips without labels in, a student's package out.

use serde_json::{Value, json};
use skysense_contract::Package;

use crate::bench::{SATELLITES, Way, chips, package, read, scene, search};
use crate::harness::{Bench, Planned, good, messages};

/// Chips of both satellites, planned.
fn planned_chips(bench: &Bench) -> (Planned, Planned) {
    let scenes = good(bench.plan("stac.search", search(scene(), &SATELLITES), &[]));
    let chips = good(bench.plan("raster.chips", chips(&json!({})), &[("items", &scenes)]));
    (scenes, chips)
}

#[test]
fn a_student_of_chips_gives_features_and_names_its_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let (scenes, chips) = planned_chips(&bench);
    let settings = json!({
        "teacher": {"package": package()}, "modalities": ["s2"], "steps": 3, "name": "pupil", "out": "student",
        "holdout": {"share": 0.25, "side": "east"},
    });
    let student = good(bench.plan("skysense.distill", settings.clone(), &[("chips", &chips)]));
    // What is known before anything is taught: the nodes behind plan with it.
    let contract = &student.plan.facts["contract"];
    assert_eq!((&contract["name"], &contract["head"]), (&json!("pupil"), &Value::Null));
    assert_eq!(contract["modalities"].as_object().unwrap().keys().collect::<Vec<_>>(), ["s2"]);
    let batches = bench.run(&chips, &[("items", &scenes, Vec::new())]).unwrap();
    let rows = bench.run(&student, &[("chips", &chips, batches)]).unwrap();
    assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);

    let out = folder.path().join("student");
    let written = Package::open(&out).unwrap();
    written.verify().unwrap();
    let teacher = Package::open(package()).unwrap();
    let note = &written.contract().notes["distilled"];
    assert_eq!(note["teacher"], json!(teacher.contract().name));
    assert_eq!(note["teacher_weights_sha256"], json!(teacher.contract().weights_sha256));
    assert_eq!(note["features"], json!(["fused", "s2"]));
    assert!(note["held_out"]["fused"]["positions"].as_u64() > Some(0), "{note}");
    assert!(read(&out.join("mlm.json"))["properties"]["mlm:total_parameters"].as_u64() > Some(0));
    let told = bench.told.of("decision");
    assert!(told.iter().any(|record| record["what"] == "distillation" && record["value"]["held_out"].is_object()));

    // Features of the student, for chips of what it was taught on.
    let embed = Way {
        collections: &SATELLITES[..1],
        apply: "skysense.embed",
        model: json!({"model": out, "device": "cpu"}),
        ..Way::of(scene())
    };
    let (maps, _) = embed.run(&bench).unwrap();
    assert_eq!(maps.plan.facts["channels"], contract["channels"]);

    let again = bench.plan("skysense.distill", settings, &[("chips", &chips)]).err().unwrap_or_default();
    assert!(messages(&again).contains("/out") && messages(&again).contains("exists: replace"), "{}", messages(&again));
}

#[test]
fn a_run_that_goes_on_knows_its_own_student_and_no_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(2, folder.path());
    let (scenes, chips) = planned_chips(&bench);
    let batches = bench.run(&chips, &[("items", &scenes, Vec::new())]).unwrap();
    let taught = |bench: &Bench, steps: usize| {
        let settings = json!({
            "teacher": {"package": package()}, "modalities": ["s2"], "steps": steps, "out": "student", "exists": "replace",
        });
        let student = good(bench.plan("skysense.distill", settings, &[("chips", &chips)]));
        bench.run(&student, &[("chips", &chips, batches.clone())]).unwrap();
        Package::open(folder.path().join("student")).unwrap().contract().weights_sha256.clone()
    };
    let older = taught(&bench, 1);
    // Of another run, whose folder this one does not have.
    std::fs::remove_dir_all(folder.path().join("scratch")).unwrap();
    let resumed = Bench::resumed(2, folder.path());
    let own = taught(&resumed, 2);
    assert_ne!(own, older, "the older student of the same name was taken for the run's own");
    // Nothing is taught twice: what stands there is what this run made.
    assert_eq!(taught(&resumed, 3), own);
}

#[test]
fn what_does_not_fit_the_teacher_is_told_while_planning() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let (scenes, all) = planned_chips(&bench);
    let told = |chips: &Planned, more: Value| {
        let mut settings = json!({"teacher": {"package": package()}});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        messages(&bench.plan("skysense.distill", settings, &[("chips", chips)]).err().unwrap_or_default())
    };
    let fewer = chips(&json!({"bands": {"s2": ["B02", "B03", "B04"]}}));
    let fewer = good(bench.plan("raster.chips", fewer, &[("items", &scenes)]));
    let lacking = told(&fewer, json!({}));
    assert!(lacking.contains("model.misfit") && lacking.contains("s2 lacks band B05"), "{lacking}");
    let unseen = told(&all, json!({"modalities": ["hr"]}));
    assert!(unseen.contains("/modalities") && unseen.contains("s2, s1"), "{unseen}");
    let missing = told(&all, json!({"teacher": {"package": "no/teacher"}}));
    assert!(missing.contains("/teacher/package") && missing.contains("no/teacher"), "{missing}");
    let itself = told(&all, json!({"out": package(), "exists": "replace"}));
    assert!(itself.contains("/out") && itself.contains("its teacher"), "{itself}");
    let endless = told(&all, json!({"batch": u64::MAX}));
    assert!(endless.is_empty(), "a batch that fits no machine is the memory's fault, not a panic: {endless}");
    let backwards = told(&all, json!({"seconds": -1.0}));
    assert!(backwards.contains("/seconds"), "{backwards}");
    let unknown = told(&all, json!({"preset": "huge"}));
    assert!(unknown.contains("/preset") && unknown.contains("tiny"), "{unknown}");
    let joined = told(&all, json!({"exists": "append", "out": "student"}));
    assert!(joined.contains("/exists") && joined.contains("exists: replace"), "{joined}");
    let licence = told(&all, json!({"licence": "research only"}));
    assert!(licence.contains("/licence") && licence.contains("CC-BY-4.0"), "{licence}");
    let device = told(&all, json!({"device": "gpu"}));
    assert!(device.contains("/device") && device.contains("cuda:1"), "{device}");
    let calendar = told(&all, json!({"start": package(), "calendar": "all"}));
    assert!(calendar.contains("/calendar") && calendar.contains("brings its own"), "{calendar}");
    let computed = told(&all, json!({"precision": "bf16", "checkpointing": "blocks", "calendar": "all"}));
    assert!(computed.is_empty(), "{computed}");
    let nameless = told(&all, json!({"teacher": {"packages": "x"}}));
    assert!(nameless.contains("packages"), "{nameless}");
}
