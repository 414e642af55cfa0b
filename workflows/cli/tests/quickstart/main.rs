//! What `./x quickstart` runs, on a small scene and with moments of training: not to make a good map, to make every
//! file that is promised, and to say where it is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "../command/mod.rs"]
mod command;

mod api;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use api::Api;
use command::Done;
use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

/// A folder with a name that JSON, YAML and shells trip over where it is not quoted.
struct Room {
    folder: TempDir,
}

impl Room {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("a \"quoted\" 'name' & $more")
    }

    /// A command with what it needs to find, and nothing of the environment that it may find.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        let plugin =
            Path::new(env!("CARGO_BIN_EXE_skysense")).with_file_name(format!("{prefix}skysense_plugin{suffix}"));
        assert!(plugin.exists(), "{} is not there: `cargo build --workspace --lib` builds it", plugin.display());
        for name in ["SKYSENSE_PLUGIN_PATH", "SKYSENSE_REAL_DATA", "SKYSENSE_LOG"] {
            command.env_remove(name);
        }
        command.env("SKYSENSE", env!("CARGO_BIN_EXE_skysense")).env("SKYSENSE_OUT", self.out());
        command.env("SKYSENSE_SECONDS", "2").env("SKYSENSE_RUNS", self.folder.path().join("runs"));
        command.env("XDG_DATA_HOME", self.folder.path()).current_dir(root()).stdin(Stdio::null());
        command
    }

    fn script(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Done {
        let mut command = self.command("sh");
        command.arg("examples/quickstart/run.sh").args(arguments).envs(environment.iter().copied());
        Done::from(command.output().expect("a shell"))
    }

    fn skysense(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(env!("CARGO_BIN_EXE_skysense")).args(arguments).output().expect("the binary starts"))
    }

    /// Everything that the last block of output promises.
    fn holds_what_is_printed(&self, told: &str) {
        let end = told.rsplit_once("== done").map(|(_, end)| end).unwrap_or_else(|| panic!("no last block in\n{told}"));
        let named = |name: &str| -> PathBuf {
            let found = end.lines().find_map(|line| line.strip_prefix(name));
            let path = PathBuf::from(found.unwrap_or_else(|| panic!("no {name} in\n{end}")).trim_start());
            assert!(path.starts_with(self.out()), "{} lies elsewhere", path.display());
            path
        };
        is_a_picture(&named("picture "));
        for (output, asset) in [("map ", "class"), ("features ", "features")] {
            self.holds_a_cog(&named(output), asset);
        }
        let score = named("score ");
        let table = std::fs::read_to_string(&score).expect("a table");
        assert!(told.contains(&table), "the score is printed");
        is_a_score(&json(&score.with_extension("json")), &table);
        let next: Vec<&str> = end.lines().filter_map(|line| line.trim_start().strip_prefix("./x ")).collect();
        assert_eq!(next.len(), 3, "three commands to try next:\n{end}");
        for line in next {
            // What follows two blanks says what the command does.
            let words: Vec<&str> = line.split("  ").next().unwrap_or_default().split(' ').collect();
            if words[0] != "quickstart" {
                self.skysense(&words).exits(0);
            }
        }
    }

    /// A collection whose item passes `verify`, with a COG.
    fn holds_a_cog(&self, collection: &Path, asset: &str) {
        let link = json(collection)["links"].as_array().and_then(|links| {
            let item = links.iter().find(|link| link["rel"] == "item")?;
            Some(item["href"].as_str()?.to_owned())
        });
        let item = collection.with_file_name("").join(link.expect("an item"));
        let checked = self.skysense(&["verify", &item.display().to_string(), "--json"]).exits(0).json();
        let checks = checked["checks"].as_array().expect("checks");
        let wanted = [format!("asset {asset}"), "model skysense-finetuned".into()];
        assert!(wanted.iter().all(|what| checks.iter().any(|check| check["what"] == **what)), "{checked}");
        let href = json(&item)["assets"][asset]["href"].as_str().expect("a href").to_owned();
        let bytes = std::fs::read(item.with_file_name("").join(href)).expect("a raster");
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
        assert!(head.contains("LAYOUT=IFDS_BEFORE_DATA"), "GDAL's mark of a COG is missing in {head:?}");
    }
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_a_score(score: &Value, table: &str) {
    let methods = score["methods"].as_array().expect("methods");
    let names: Vec<&str> = methods.iter().filter_map(|method| method["name"].as_str()).collect();
    let expected = ["map", "majority class", "nearest centroid per pixel", "logistic regression per pixel"];
    assert_eq!(names, expected);
    assert!(score["pixels"].as_u64() > Some(0) && score["trained_on"].as_u64() > score["pixels"].as_u64(), "{score}");
    for method in methods {
        let accuracy = method["accuracy"].as_f64().expect("a number");
        assert!((0.0..=1.0).contains(&accuracy), "{method}");
        assert!(table.contains(&format!("| {} | {:.1} % |", method["name"].as_str().unwrap_or(""), 100.0 * accuracy)));
    }
    // Rivals that see the pixels of the map learn the classes of a scene; on other pixels they would be at a loss.
    assert!(methods[3]["accuracy"].as_f64() > methods[1]["accuracy"].as_f64(), "{score}");
}

/// A PNG with something in each of its quarters, beside paper, ink and pixels without a value.
fn is_a_picture(path: &Path) {
    let image = image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).to_rgb8();
    let (width, height) = image.dimensions();
    assert!(width > 800 && height > 800, "{width} x {height}");
    for (left, top) in [(0, 0), (width / 2, 0), (0, height / 2), (width / 2, height / 2)] {
        let colors: BTreeSet<[u8; 3]> = (left..left + width / 2)
            .flat_map(|x| (top..top + height / 2).map(move |y| (x, y)))
            .map(|(x, y)| image.get_pixel(x, y).0)
            .collect();
        assert!(colors.len() > 5, "{} colours from {left}, {top}", colors.len());
    }
}

#[test]
fn the_quickstart_gives_what_it_prints() {
    let room = Room::new();
    let done = room.script(&[], &[("SKYSENSE_SIZE", "64")]).exits(0);
    for part in
        ["== the plan of the map", "training_chips", "COGs in 4 collections", "| logistic regression per pixel |"]
    {
        assert!(done.stdout.contains(part), "{part} is missing in\n{}", done.stdout);
    }
    room.holds_what_is_printed(&done.stdout);
    let done = room.script(&["--reel"], &[]).exits(2);
    assert!(done.stderr.contains("unknown option --reel"), "{}", done.stderr);
}

#[test]
fn without_real_images_a_public_api_gives_images_and_labels() {
    let room = Room::new();
    let scene = room.folder.path().join("scene");
    let place = scene.display().to_string();
    let simulate =
        ["simulate", "scene", "--out", &place, "--size", "64", "--dates", "3", "--radar-dates", "0", "--json"];
    let more = ["--season", "120,240", "--year", "2021", "--cloud", "0.05"];
    let report = room.skysense(&[&simulate[..], &more].concat()).exits(0).json();
    let bbox: Vec<String> = report["bbox"].as_array().expect("a box").iter().map(Value::to_string).collect();
    let api = Api::serve(scene);
    let environment = [("SKYSENSE_STAC_API", api.url.as_str()), ("SKYSENSE_BBOX", &bbox.join(","))];
    let done = room.script(&["--real"], &environment).exits(0);
    assert!(done.stdout.contains(&format!("ESA WorldCover labels of {} from {}", bbox.join(","), api.url)));
    room.holds_what_is_printed(&done.stdout);
    // `real` lies inside of the folder that was asked for, and nothing beside it.
    assert!(room.out().join("real/public.png").exists() && !room.folder.path().join("real").exists());
    let asked = api.asked();
    assert!(asked.iter().any(|line| line == "POST /search") && asked.iter().any(|line| line.ends_with("/B04.tif")));
    assert!(asked.iter().any(|line| line.ends_with("/labels.tif")), "{asked:?}");
}

#[test]
fn the_public_area_is_the_same_in_script_and_workflow() {
    let text = |file: &str| std::fs::read_to_string(root().join("examples/real").join(file)).expect("a file");
    let (script, workflow) = (text("public.sh"), text("public.yaml"));
    let workflow: Value = serde_yaml::from_str(&workflow).expect("linted elsewhere");
    let default = |name: &str| workflow["params"][name]["default"].clone();
    let bbox: Vec<String> = default("bbox").as_array().expect("a box").iter().map(Value::to_string).collect();
    for expected in [
        format!("${{SKYSENSE_STAC_API:-{}}}", default("api").as_str().expect("text")),
        format!("${{SKYSENSE_BBOX:-{}}}", bbox.join(",")),
        format!("${{SKYSENSE_DATETIME:-{}}}", default("datetime").as_str().expect("text")),
    ] {
        assert!(script.contains(&expected), "public.sh lacks {expected}");
    }
}

#[test]
fn an_api_that_is_not_there_is_told() {
    let room = Room::new();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let done = room.script(&["--real"], &[("SKYSENSE_STAC_API", &format!("http://{free}"))]);
    assert!(![Some(0), Some(2)].contains(&done.code), "{:?}", done.code);
    assert!(done.stderr.contains("error: ") && done.stderr.contains(&free.to_string()), "{}", done.stderr);
}
