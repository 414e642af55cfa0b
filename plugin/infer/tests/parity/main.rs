//! Every reference set in the folder that SKYSENSE_PARITY names, made with the official modules: through Burn, and through
//! exported ONNX graphs and ONNX Runtime.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod burn;
mod onnx;
mod set;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use set::Set;

#[test]
fn every_reference_set_is_met() {
    let Some(folder) = std::env::var_os("SKYSENSE_PARITY").map(PathBuf::from) else {
        eprintln!("\n*** SKYSENSE_PARITY is not set: parity with the official modules was NOT checked ***\n");
        return;
    };
    let environment = skysense_infer::environment(None).unwrap();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("SKYSENSE_PARITY names a folder")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no reference set in {}", folder.display());
    let mut failed = Vec::new();
    for path in paths {
        let set = Set::read(&path);
        // Every set is tried both ways, so that one failure does not hide the others.
        let burn = catch_unwind(AssertUnwindSafe(|| burn::check(&set)));
        let onnx = catch_unwind(AssertUnwindSafe(|| onnx::check(&set, &environment)));
        let told = |worst: &Result<f64, _>| match worst {
            Ok(worst) => format!("{worst:.3e}"),
            Err(_) => "FAILED".to_owned(),
        };
        println!("{}: largest error in Burn {}, in ONNX Runtime {}", set.name, told(&burn), told(&onnx));
        if burn.is_err() || onnx.is_err() {
            failed.push(set.name);
        }
    }
    assert!(failed.is_empty(), "beyond the tolerance: {failed:?}");
}
