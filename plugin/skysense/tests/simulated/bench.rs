//! What all these tests need: a scene, a model, and the way from one to the other.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_abi::{NodeError, NodePlan};
use skysense_edges::{MapBuilder, MapRow, feature_schema, prediction_schema};
use skysense_grid::{Affine, Chip, ChipGrid, Crs, GeoBox};

use crate::harness::{Bench, Planned, good};
use crate::tiny::{DATES, Tiny};

/// Side of the scene in pixels of 10 m, the least that the simulator makes.
pub(crate) const SIDE: usize = 64;
/// Chips of the scene: 16 px that share 4, so 64 px take ⌈(64 − 4) / (16 − 4)⌉ = 5 a row.
pub(crate) const CHIPS: usize = 25;
/// Dates of either satellite.
pub(crate) const DATES_SEEN: usize = 3;
/// 10 m pixels that the aerial image covers.
pub(crate) const AERIAL: usize = 16;

/// A new folder for what the tests of this process share.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulated").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    folder
}

/// A scene with three dates of each satellite and an aerial image in its middle, made once.
pub(crate) fn scene() -> &'static Path {
    static SCENE: OnceLock<PathBuf> = OnceLock::new();
    SCENE.get_or_init(|| {
        let folder = scratch("scene");
        simulate(&folder, &json!({"seed": 7, "hr": AERIAL}));
        folder
    })
}

/// Simulates a scene; `more` are arguments beside the usual ones.
pub(crate) fn simulate(folder: &Path, more: &Value) {
    let mut arguments = json!({
        "out": folder, "size": SIDE, "dates": DATES_SEEN, "radar_dates": DATES_SEEN, "season": [120, 240], "cloud": 0.1,
    });
    let more = more.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    Bench::new(2, folder.parent().unwrap()).call("simulate.scene", &arguments).unwrap();
}

/// A copy of the scene, to be changed.
pub(crate) fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(scene(), folder.path());
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The JSON files of the items of a collection, in order.
pub(crate) fn items(scene: &Path, collection: &str) -> Vec<PathBuf> {
    let mut items: Vec<PathBuf> = std::fs::read_dir(scene.join(collection))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.join(path.file_name().unwrap()).with_added_extension("json"))
        .collect();
    items.sort();
    assert!(!items.is_empty(), "{collection} has items");
    items
}

/// The id of an item, by the file it lies in.
pub(crate) fn id(item: &Path) -> String {
    item.file_stem().unwrap().to_string_lossy().into_owned()
}

pub(crate) fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn rewrite(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = read(path);
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// Names of all files and folders below a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        all.extend(names(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
        all.push(name);
    }
    all.sort();
    all
}

/// A model package with random weights for all three modalities and three classes, made once.
pub(crate) fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| write_package(&scratch("model"), &Tiny::new(1), None))
}

/// Writes a package; its probe lies in `region`, where the model has prototypes.
pub(crate) fn write_package(folder: &Path, tiny: &Tiny, region: Option<i64>) -> PathBuf {
    let chip = crate::tiny::Chip { region, ..crate::tiny::Chip::new(1, [DATES, 2]) };
    tiny.write(folder, &chip, 0.0)
}

/// Settings of `stac.search` for collections of a scene.
pub(crate) fn search(scene: &Path, collections: &[&str]) -> Value {
    json!({"href": scene.join("catalog.json"), "collections": collections, "sensors": {"aerial-rgb": "hr-rgb"}})
}

/// Settings of `raster.chips` for the package, with others beside.
pub(crate) fn chips(more: &Value) -> Value {
    let mut settings = json!({"size": 16, "overlap": 4, "dates": {"max": DATES}});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

/// Both satellites of a scene.
pub(crate) const SATELLITES: [&str; 2] = ["sentinel-2-l2a", "sentinel-1-rtc"];

/// From a scene to maps: planned and run. `apply` is `skysense.segment` or `skysense.embed`.
pub(crate) struct Way<'a> {
    pub(crate) scene: &'a Path,
    pub(crate) collections: &'a [&'a str],
    pub(crate) chips: Value,
    pub(crate) apply: &'static str,
    pub(crate) model: Value,
}

impl Way<'_> {
    pub(crate) fn of(scene: &Path) -> Way<'_> {
        Way {
            scene,
            collections: &SATELLITES,
            chips: chips(&json!({})),
            apply: "skysense.segment",
            model: json!({"model": package(), "device": "cpu"}),
        }
    }

    pub(crate) fn run(&self, bench: &Bench) -> Result<(Planned, Vec<RecordBatch>), NodeError> {
        let scenes = good(bench.plan("stac.search", search(self.scene, self.collections), &[]));
        let chips = good(bench.plan("raster.chips", self.chips.clone(), &[("items", &scenes)]));
        let maps = good(bench.plan(self.apply, self.model.clone(), &[("chips", &chips)]));
        let batches = bench.run(&chips, &[("items", &scenes, Vec::new())])?;
        let batches = bench.run(&maps, &[("chips", &chips, batches)])?;
        Ok((maps, batches))
    }
}

/// The prediction for the scene, made once: its plan and its batches.
pub(crate) fn predicted() -> &'static (Planned, Vec<RecordBatch>) {
    static PREDICTED: OnceLock<(Planned, Vec<RecordBatch>)> = OnceLock::new();
    PREDICTED.get_or_init(|| Way::of(scene()).run(&Bench::new(2, scene())).unwrap())
}

/// Writes maps to a folder with other settings beside the usual ones.
pub(crate) fn write(
    bench: &Bench,
    (maps, batches): &(Planned, Vec<RecordBatch>),
    out: &Path,
    more: &Value,
) -> Result<Vec<RecordBatch>, NodeError> {
    let write = good(bench.plan("stac.write", write_settings(out, more), &[("maps", maps)]));
    bench.run(&write, &[("maps", maps, batches.clone())])
}

pub(crate) fn write_settings(out: &Path, more: &Value) -> Value {
    let mut settings = json!({"href": out, "collection": "land-cover"});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

/// Maps without a scene or a model behind them, a batch for each chip: features of so many channels.
pub(crate) fn made_up_features(channels: usize) -> (Planned, Vec<RecordBatch>) {
    made_up_on(&small(), "feature", channels, (16, 4))
}

/// The same, as probabilities of three classes.
pub(crate) fn made_up_prediction() -> (Planned, Vec<RecordBatch>) {
    made_up_on(&small(), "prediction", 3, (16, 4))
}

fn small() -> GeoBox {
    GeoBox::new(Crs::epsg(32633), Affine::north_up(469_000.0, 5_339_880.0, 10.0), SIDE, SIDE).unwrap()
}

/// Maps of chips of `size` px that share `overlap` px.
pub(crate) fn made_up_on(
    geobox: &GeoBox,
    kind: &str,
    channels: usize,
    (size, overlap): (usize, usize),
) -> (Planned, Vec<RecordBatch>) {
    let class = |value: usize| json!({"value": value, "name": format!("class {value}"), "color": "20a040"});
    let classes: Vec<Value> = if kind == "prediction" { (1..=channels).map(class).collect() } else { Vec::new() };
    let period = json!({"name": "all", "start": "2021-06-01T00:00:00Z", "end": "2021-06-30T00:00:00Z"});
    let facts = json!({
        "chips": {"geobox": geobox, "chip_size": size, "overlap": overlap, "periods": [period], "modalities": {},
            "items": [], "decisions": []},
        "model": {"name": "made up", "preset": "none", "licence": "CC0-1.0"},
        "channels": channels, "classes": classes, "margin": 0,
    });
    let schema = if kind == "feature" { feature_schema(channels, size) } else { prediction_schema(channels, size) };
    let area = size * size;
    let batch = |chip: Chip| {
        let mut builder = if kind == "feature" {
            MapBuilder::features(channels, size)
        } else {
            MapBuilder::predictions(channels, size)
        };
        // Values that no compression makes small.
        let value = |at: usize| ((at * 7919 + chip.index * 104_729 + at * at % 8191) % 4001) as f32 / 4000.0;
        let values = (0..channels * area).map(value).collect();
        let number = u32::try_from(chip.index).unwrap();
        builder
            .push(MapRow { chip: number, period: "all".into(), window: chip.window, values, valid: vec![1; area] })
            .unwrap();
        builder.finish().unwrap()
    };
    let batches = ChipGrid::new(geobox.clone(), size, overlap).unwrap().iter().map(batch).collect();
    (Planned::of_kind(kind, NodePlan::new(schema).facts(facts)), batches)
}
