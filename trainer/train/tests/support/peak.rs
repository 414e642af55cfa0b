//! Peak resident memory of an import in a process of its own.

#[path = "status.rs"]
mod status;

use std::path::Path;
use std::process::Command;

use burn::tensor::Device;
use skysense_model::SkySenseConfig;
use skysense_model::checkpoint::parameters;

pub(crate) use status::own_peak;

use crate::pth;

/// Most that an import may take, of the size of its file.
pub(crate) const RATIO: f64 = 1.2;

/// Writes all weights of a model into one `.pth` file, one tensor at a time, and gives its size.
pub(crate) fn write(path: &Path, config: &SkySenseConfig) -> u64 {
    let shapes = parameters(&config.init(&Device::default()).expect("a sound configuration"), "");
    pth::write(path, &["state_dict"], &shapes, &mut |index| {
        let (name, shape) = &shapes[index];
        let count: usize = shape.iter().product();
        // Norms near one, the rest small, so that features stay finite over all layers.
        let centre = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
        (0..count).map(|place| centre + 0.02 * (((place * 31 + index * 17) % 41) as f32 / 20.0 - 1.0)).collect()
    });
    std::fs::metadata(path).expect("it was written").len()
}

/// Runs this program again with `arguments` and `FILE` and `OUT` in the environment; gives what it printed of its peak.
pub(crate) fn peak_of_child(arguments: &[&str], file: &Path, out: &Path) -> u64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(arguments).env("FILE", file).env("OUT", out).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.split_once("peak: ")).expect("the child tells its peak");
    line.1.trim().parse().expect("a number of bytes")
}
