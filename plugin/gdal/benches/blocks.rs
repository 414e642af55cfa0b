//! Time to the first block and cost of a block, held against the command line.
//!
//! `cargo bench --workspace --bench blocks` prints a table. The scene, the model and the workflow are those of the tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark says what it expects by failing")]
#![allow(dead_code, reason = "the tests use more of the bench")]

#[path = "../tests/driver/bench.rs"]
mod bench;

use std::time::Instant;

use bench::{SIDE, bench, open};

/// Seconds that something takes, the least of several times.
fn least(times: usize, mut work: impl FnMut(usize)) -> f64 {
    let once = |n| {
        let begun = Instant::now();
        work(n);
        begun.elapsed().as_secs_f64()
    };
    (0..times).map(once).fold(f64::INFINITY, f64::min)
}

fn main() {
    let name = bench().name();
    let cache = |n: usize| format!("CACHE_DIR={}", bench().path(&format!("bench-{n}")).display());
    let say = |what: &str, seconds: f64| println!("{what:<60} {:9.1} ms", seconds * 1e3);
    let formats = |driver: bool| {
        least(5, |_| {
            let mut program = bench().program("gdalinfo");
            if !driver {
                program.env_remove("GDAL_DRIVER_PATH");
            }
            assert!(program.arg("--formats").output().unwrap().status.success());
        })
    };
    say("gdalinfo --formats without the plugin", formats(false));
    say("gdalinfo --formats with the plugin", formats(true));
    say("open and close, for the first time", least(1, |_| drop(open(&name, &["CACHE=NO"]))));
    say("open and close", least(10, |_| drop(open(&name, &["CACHE=NO"]))));
    let kept = open(&name, &[&cache(0)]);
    say("open while another dataset of the workflow is open", least(10, |_| drop(open(&name, &[&cache(0)]))));
    let begun = Instant::now();
    let block = kept.window(1, [0, 0, 72, 72]).unwrap();
    let first = begun.elapsed().as_secs_f64();
    say("first block of 72 px, 49 chips, model opened", first);
    let second = open(&name, &[&cache(1)]);
    let mut at = 0;
    second.window(1, [0, 0, 12, 12]).unwrap();
    let next = least(4, |n| {
        at = 12 * n;
        second.window(1, [24 + at, 120, 12, 12]).unwrap();
    });
    say("next window of 12 px: 2 to 4 chips that are new", next);
    say("a block that is in memory", least(20, |_| assert_eq!(kept.window(1, [0, 0, 72, 72]).unwrap(), block)));
    drop(kept);
    let disk = least(5, |_| {
        let again = open(&name, &[&cache(0)]);
        assert_eq!(again.window(1, [0, 0, 72, 72]).unwrap(), block);
    });
    say("open and a block that is on disk", disk);
    let whole = open(&name, &["CACHE=NO"]);
    let begun = Instant::now();
    let pixels = whole.window(1, [0, 0, SIDE, SIDE]).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    say("the whole map, 529 chips", seconds);
    say("  for each chip", seconds / 529.0);
    let kept = open(&name, &[&cache(2)]);
    let begun = Instant::now();
    assert!(kept.window(1, [0, 0, SIDE, SIDE]).unwrap() == pixels);
    say("the whole map, chips kept on disk", begun.elapsed().as_secs_f64());
    let run = least(3, |n| {
        let out = format!("out=bench-run-{n}");
        bench().skysense(&["run", "map.yaml", "-p", &out]);
    });
    say("skysense run of the same, with its start and its COG", run);
    say("  for each chip", run / 529.0);
    println!("{:<60} {:9.2}", "a chip through GDAL, in chips of the command line", seconds / run);
    println!("{:<60} {:9.2}", "the first block, in runs of the command line", first / run);
}
