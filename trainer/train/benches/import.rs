//! Import of a file of the published model's full size: seconds, and peak resident memory of the process that does it.
//!
//! Prints one JSON object. Writes 6.6 GB of generated weights and as much again twice (weights and graphs) into a folder
//! in `TMPDIR`, and removes it. `-- --keep=FOLDER` puts the package there and leaves it, for `skysense model verify`.

#[path = "../tests/support/peak.rs"]
mod peak;
#[path = "../../model/tests/support/pth.rs"]
mod pth;

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use skysense_model::cost::parameters;
use skysense_model::preset;
use skysense_train::{ImportConfig, ImportFiles, import};

const CHILD: &str = "--child";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == CHILD) {
        child();
    } else if arguments.iter().any(|argument| argument == "--bench") {
        bench();
    } else {
        println!("run as a bench: cargo bench --bench import");
    }
}

fn bench() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let kept = std::env::args().find_map(|argument| argument.strip_prefix("--keep=").map(PathBuf::from));
    let (file, out) = (folder.path().join("skysense.pth"), kept.unwrap_or_else(|| folder.path().join("model")));
    let config = preset("skysense").expect("a preset");
    let started = Instant::now();
    let size = peak::write(&file, &config);
    let written = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let peak = peak::peak_of_child(&[CHILD], &file, &out);
    let seconds = started.elapsed().as_secs_f64();
    let count: usize = parameters::by_module(&config).iter().map(|(_, count)| count).sum();
    let files = std::fs::read_dir(&out).expect("a package").filter_map(Result::ok);
    let made: u64 = files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum();
    let ratio = peak as f64 / size as f64;
    let report = json!({
        "parameters": count, "file_bytes": size, "package_bytes": made, "peak_bytes": peak,
        "peak_of_file": (100.0 * ratio).round() / 100.0, "allowed": peak::RATIO,
        "seconds": seconds.round(), "seconds_to_write_the_file": written.round(),
    });
    println!("{report:#}");
    assert!(ratio < peak::RATIO, "peak memory is {ratio:.2} times the file");
}

fn child() {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from).expect("the parent names it");
    let config = ImportConfig {
        files: ImportFiles { full: Some(path("FILE")), ..ImportFiles::default() },
        ..ImportConfig::default()
    };
    let _made = import(&config, &path("OUT")).expect("a package");
    println!("peak: {}", peak::own_peak().expect("the system tells it"));
}
