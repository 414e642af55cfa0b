//! Reading chips of a scene against odc-stac, with raw decoding as the limit.
//!
//! `cargo bench -p skysense-raster --bench read -- [--rounds N] [--threads N] [--side PX] [--python PATH]`
//! prints one JSON object. The scene has 3 dates x 10 bands + SCL in two UTM zones that share the target grid.
//! Each contender runs in a process of its own, in turn. Without `--python` an environment for odc-stac is made
//! once from benches/peer/requirements.txt.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and benchmarks say what they expect by failing")]

#[path = "read/contenders.rs"]
mod contenders;
#[path = "read/scene.rs"]
mod scene;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Times the speed of odc-stac that must be reached.
const LIMIT: f64 = 1.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str, default: usize| {
        value(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} {text}: expected a number")))
    };
    let threads = number("--threads", 2);
    if let (Some(contender), Some(scene)) = (value("--contender"), value("--scene")) {
        println!("{}", contenders::run(contender, Path::new(scene), threads));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let scene = scene::write(folder.path(), number("--side", 2048));
    let python = value("--python").map(PathBuf::from).map_or_else(environment, Ok);
    let mut rounds: Vec<(Value, Option<Value>, Value)> = Vec::new();
    for round in 0..number("--rounds", 3) {
        eprintln!("round {}", round + 1);
        let ours = ours("read", &scene, threads);
        let theirs = python.as_ref().ok().map(|python| theirs(python, &scene, threads));
        rounds.push((ours, theirs, self::ours("decode", &scene, threads)));
    }
    let report = report(&rounds, threads, python.err());
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    let ratio = report["times_odc_stac"].as_f64().unwrap_or_else(|| panic!("nothing to compare with: {report}"));
    assert!(ratio >= LIMIT, "{ratio:.2} times the speed of odc-stac, expected at least {LIMIT}");
}

fn ours(contender: &str, scene: &Path, threads: usize) -> Value {
    let me = std::env::current_exe().unwrap();
    answer(Command::new(me).args(["--contender", contender, "--threads", &threads.to_string(), "--scene"]).arg(scene))
}

fn theirs(python: &Path, scene: &Path, threads: usize) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer/odc_stac_read.py");
    answer(Command::new(python).arg(script).arg(scene).arg(threads.to_string()))
}

fn answer(command: &mut Command) -> Value {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The Python of an environment with odc-stac, made when it is not there.
fn environment() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("odc-stac");
    let python = folder.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    };
    if run(&python, &["-c", "import odc.stac, rasterio"]).is_err() {
        let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer/requirements.txt");
        run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()])?;
        run(&python, &["-m", "pip", "install", "--quiet", "-r", requirements])?;
    }
    Ok(python)
}

fn report(rounds: &[(Value, Option<Value>, Value)], threads: usize, missing: Option<String>) -> Value {
    let median = |values: Vec<f64>| {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let field = |all: &[&Value], name: &str| median(all.iter().map(|found| found[name].as_f64().unwrap()).collect());
    let of = |all: Vec<&Value>| {
        let (seconds, cpu) = (field(&all, "seconds"), field(&all, "cpu_seconds"));
        let described = json!({
            "seconds": seconds, "cpu_seconds": cpu, "peak_mib": (field(&all, "peak_bytes") / 1_048_576.0).round(),
            "all_seconds": all.iter().map(|found| &found["seconds"]).collect::<Vec<_>>(),
        });
        (seconds, described)
    };
    let (seconds, ours) = of(rounds.iter().map(|round| &round.0).collect());
    let (limit, decode) = of(rounds.iter().map(|round| &round.2).collect());
    let peers: Vec<&Value> = rounds.iter().filter_map(|round| round.1.as_ref()).collect();
    let mut report = json!({
        "benchmark": "read", "threads": threads, "skysense": ours, "raw_decode": decode,
        "share_of_limit": limit / seconds, "gdal": skysense_raster::versions().unwrap().gdal,
    });
    if let (Some(peer), false) = (peers.first(), peers.is_empty()) {
        let (theirs, described) = of(peers.clone());
        report["odc_stac"] = described;
        report["odc_stac"]["versions"] = peer["versions"].clone();
        report["times_odc_stac"] = json!(theirs / seconds);
        report["limit"] = json!(LIMIT);
        report["pass"] = json!(theirs / seconds >= LIMIT);
        // What does not depend on who else uses the machine.
        let cpu = |name: &str| report[name]["cpu_seconds"].as_f64().unwrap();
        report["times_odc_stac_by_cpu"] = json!(cpu("odc_stac") / cpu("skysense"));
        report["worst_difference_of_band_means"] = json!(same_job(&rounds[0].0, peer));
    } else {
        report["odc_stac"] = json!({"missing": missing});
    }
    report
}

/// Both must have read the same scene: the means of all bands agree.
fn same_job(ours: &Value, theirs: &Value) -> f64 {
    let mut worst: f64 = 0.0;
    for (band, mean) in ours["means"].as_object().unwrap() {
        let (ours, theirs) = (mean.as_f64().unwrap(), theirs["means"][band].as_f64().unwrap());
        worst = worst.max((ours - theirs).abs() / theirs);
    }
    assert!(worst < 0.005, "the contenders did not do the same: band means differ by {worst}");
    worst
}
