//! What is wrong is told whole, and nothing falls over.

use crate::bench::{bench, open, try_open};

fn refused(name: &str, options: &[&str]) -> String {
    match try_open(name, options) {
        Ok(_) => panic!("{name} {options:?} was opened"),
        Err(told) => told,
    }
}

#[test]
fn bad_options_are_refused_by_name() {
    let name = bench().name();
    for (option, says) in [
        ("MAX_CHIPS=many", "open option MAX_CHIPS=many: expected a whole number"),
        ("NUM_THREADS=0", "open option NUM_THREADS=0: expected ALL_CPUS"),
        ("CACHE=perhaps", "open option CACHE=perhaps: expected YES or NO"),
        ("LAYER=depth", "open option LAYER=depth: expected one of class"),
        ("LAYER=features", "the workflow has no layer `features`; it has `class`, `probability`, `entropy`"),
        ("PERIOD=2020-01", "the workflow has no period `2020-01`; it has `all`"),
        ("NODE=classes", "has no stac.write called `classes`; it has `map`, `numbers`"),
        ("PARAMS=siez=3", "has no param `siez`"),
        ("PARAMS=size", "`size` is no NAME=VALUE"),
    ] {
        let told = refused(&name, &[option]);
        assert!(told.contains(says), "{option}: {told}");
    }
    let told = refused(&format!("SKYSENSE:{name}#band=1"), &[]);
    assert!(told.contains("expected node, layer, period"), "{told}");
}

#[test]
fn a_file_that_is_not_there_and_a_workflow_that_is_broken_are_told_with_their_place() {
    let told = refused("SKYSENSE:/no/such/workflow.yaml", &[]);
    assert!(told.contains("cannot read /no/such/workflow.yaml"), "{told}");
    let broken = bench().path("broken.skysense.yaml");
    let text = std::fs::read_to_string(bench().name()).unwrap().replace("dates: {max: 2", "dats: {max: 2");
    std::fs::write(&broken, text.replace("uses: skysense.embed", "uses: skysense.embde")).unwrap();
    let told = refused(&broken.display().to_string(), &[]);
    for part in ["no setting `dats`", "broken.skysense.yaml:10:77", "did you mean `dates`", "skysense.embde"] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let empty = bench().path("empty.skysense.yaml");
    std::fs::write(&empty, "").unwrap();
    assert!(!refused(&empty.display().to_string(), &[]).is_empty());
    let told = refused(&format!("SKYSENSE:{}?model=/no/model", bench().name()), &[]);
    assert!(told.contains("/no/model"), "{told}");
}

#[test]
fn a_workflow_that_trains_or_writes_nothing_says_what_to_do() {
    let text = std::fs::read_to_string(bench().path("learn.yaml")).unwrap();
    let file = bench().path("none.yaml");
    std::fs::write(&file, &text).unwrap();
    let told = refused(&format!("SKYSENSE:{}", file.display()), &[]);
    assert!(told.contains("has no stac.write"), "{told}");
    let more = "  classes: {uses: skysense.segment, from: {chips: chips, model: model}}
  map: {uses: stac.write, from: {maps: classes, model: model}, with: {href: there, collection: c}}
";
    std::fs::write(&file, text.replace("out: model", "out: another") + more).unwrap();
    let told = refused(&format!("SKYSENSE:{}", file.display()), &[]);
    assert!(told.contains("makes its model of all chips") && told.contains("skysense run"), "{told}");
    assert!(!bench().path("another").exists(), "and nothing was trained");
}

#[test]
fn a_model_that_is_truncated_fails_the_reading_and_not_the_program() {
    let copy = bench().path("truncated");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(bench().path("model")).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    let graphs = std::fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path());
    let graph = graphs.filter(|path| path.extension().is_some_and(|end| end == "onnx")).min().unwrap();
    let bytes = std::fs::read(&graph).unwrap();
    std::fs::write(&graph, &bytes[..bytes.len() / 2]).unwrap();
    let name = format!("SKYSENSE:{}?model={}", bench().name(), copy.display());
    // Said when it is opened, or when it is first read: never a pixel.
    let told = match try_open(&name, &["CACHE=NO"]) {
        Err(told) => told,
        Ok(map) => map.window(1, [0, 0, 8, 8]).unwrap_err(),
    };
    let file = graph.file_name().unwrap().to_string_lossy().into_owned();
    assert!(told.contains("truncated") && told.contains(&file), "{told}");
    std::fs::write(&graph, &bytes).unwrap();
    assert!(open(&name, &["CACHE=NO"]).window(1, [0, 0, 8, 8]).is_ok(), "mended, it works in the same process");
}

#[test]
fn an_image_that_cannot_be_read_is_left_out_with_a_warning_and_not_kept() {
    let scene = bench().path("damaged-scene");
    let copied = bench().program("cp").arg("-r").arg(bench().path("scene")).arg(&scene).status().unwrap();
    assert!(copied.success());
    let mut images = Vec::new();
    let mut open_folders = vec![scene.join("sentinel-2-l2a")];
    while let Some(folder) = open_folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open_folders.push(path);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains("B04")) {
                images.push(path);
            }
        }
    }
    let image = images.iter().min().unwrap();
    let bytes = std::fs::read(image).unwrap();
    // The header is whole, and the pixels are not.
    std::fs::write(image, &bytes[..bytes.len() * 2 / 5]).unwrap();
    let cache = bench().path("cache-damaged");
    let name = format!("SKYSENSE:{}?catalog={}", bench().name(), scene.join("catalog.json").display());
    let map = match try_open(&name, &[&format!("CACHE_DIR={}", cache.display())]) {
        Ok(map) => map,
        Err(told) => panic!("{told}"),
    };
    let _pixels = map.window(1, [0, 0, 272, 272]).unwrap();
    let told = crate::bench::told();
    assert!(told.contains("is left out"), "{told}");
    let kept = std::fs::read_dir(&cache).into_iter().flatten();
    let kept: usize = kept.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum();
    assert!(kept < 529, "{kept} chips are kept though one image was not read");
}

#[test]
fn a_map_cannot_be_written_to() {
    let name = std::ffi::CString::new(bench().name()).unwrap();
    let _registered = open(&bench().name(), &[]);
    let handle = unsafe { gdal_sys::GDALOpen(name.as_ptr(), gdal_sys::GDALAccess::GA_Update) };
    assert!(handle.is_null());
    assert!(crate::bench::told().contains("cannot be written to"));
}
