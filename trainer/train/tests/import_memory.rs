//! Memory of an import, at a twentieth of the published model: peak resident memory, mapped files counted too, stays
//! below 1.2 times the file. The bench `import` shows the same at full size.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]
#![cfg(target_os = "linux")]

#[path = "support/peak.rs"]
mod peak;
#[path = "../../model/tests/support/pth.rs"]
mod pth;

use std::path::PathBuf;

use skysense_contract::Package;
use skysense_model::{SkySenseConfig, preset};
use skysense_train::{ImportConfig, ImportFiles, ShapeSettings, import};

/// How much smaller than the published model this one is; limits of files shrink with it.
const SMALLER: u64 = 20;
const HEADS: usize = 12;

/// All layers of the published model, less than a quarter as wide: 86 M parameters.
fn config() -> SkySenseConfig {
    let mut config = preset("skysense").unwrap();
    let (first, series) = (78, 240);
    let hr = config.hr.as_mut().unwrap();
    (hr.channels, hr.heads) = (first, vec![2, 4, 8, 16]);
    for (vit, up) in [&mut config.s2, &mut config.s1].into_iter().flatten() {
        (vit.channels, vit.heads) = (series, HEADS);
        (up.channels_in, up.channels_out) = (series, 8 * first);
    }
    (config.fusion.channels_in, config.fusion.channels, config.fusion.heads) = (8 * first, series, HEADS);
    config
}

#[test]
fn an_import_takes_less_than_its_file_and_a_fifth() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("all.pth"), folder.path().join("model"));
    let size = peak::write(&file, &config());
    assert!((300_000_000..400_000_000).contains(&size), "{size} bytes are not a twentieth of 6.6 GB");
    let peak = peak::peak_of_child(&["the_child", "--exact", "--ignored", "--nocapture"], &file, &out);
    let ratio = peak as f64 / size as f64;
    println!("{size} bytes, peak {peak} bytes: {ratio:.2}");
    assert!(ratio < peak::RATIO, "peak memory is {ratio:.2} times the file");
    // A peak far below one module would mean that the child did not do the work.
    assert!(ratio > 0.2, "peak memory is {ratio:.2} times the file: was it imported?");
    let package = Package::open(&out).unwrap();
    package.verify().unwrap();
    assert!(package.contract().weights_shards.len() > 2);
}

#[test]
#[ignore = "the process whose memory is measured"]
fn the_child() {
    let (Some(file), Some(out)) = (std::env::var_os("FILE"), std::env::var_os("OUT")) else { return };
    let default = ImportConfig::default();
    let config = ImportConfig {
        files: ImportFiles { full: Some(PathBuf::from(file)), ..ImportFiles::default() },
        shapes: ShapeSettings { heads: Some(HEADS), ..ShapeSettings::default() },
        graph_limit: default.graph_limit / SMALLER,
        shard_limit: default.shard_limit / SMALLER,
        ..default
    };
    let _made = import(&config, &PathBuf::from(out)).unwrap();
    println!("peak: {}", peak::own_peak().unwrap());
}
