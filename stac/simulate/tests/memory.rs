//! Memory follows the width of a scene, not its area. Alone in its process, since it reads the process's peak.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use skysense_simulate::{SceneSpec, simulate};

#[test]
fn a_large_scene_is_not_held_in_memory() {
    let Ok(before) = std::fs::read_to_string("/proc/self/status") else {
        eprintln!("SKIPPED: no /proc here, the peak cannot be read");
        return;
    };
    let peak = |status: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .unwrap()
            / 1024
    };
    let folder = tempfile::TempDir::new().unwrap();
    simulate(&SceneSpec { size: 2048, dates: 1, radar_dates: 0, ..SceneSpec::default() }, folder.path().join("scene"))
        .unwrap();
    let (before, after) = (peak(&before), peak(&std::fs::read_to_string("/proc/self/status").unwrap()));
    // What is known of 2048 x 2048 spots would take 500 MiB; blocks of rows, GDAL's cache and its overviews take this.
    assert!(after - before < 300, "{before} MiB before, {after} MiB after");
}
