//! Two times of a place: nodes whose periods have names of their own.

use crate::bench::{Lot, bench, cut, open};

const SIDE: usize = 64;

/// A workflow that compares 2021 with 2022.
fn workflow(period: &str, more: &str) -> String {
    let times = |name: &str, year: u32| {
        format!(
            "  scenes-{name}:
    uses: stac.search
    with: {{href: changed/catalog.json, collections: [sentinel-2-l2a], datetime: {year}-01-01/{year}-12-31}}
  {name}:
    uses: raster.chips
    from: scenes-{name}
    with: {{size: 16, overlap: 4, dates: {{max: 2, prefer: clear}}, period: {period}}}
"
        )
    };
    format!("skysense: 1\nnodes:\n{}{}{more}", times("before", 2021), times("after", 2022))
}

#[test]
fn a_map_of_change_is_that_of_the_whole_run() {
    let side = SIDE.to_string();
    let scene = ["--out", "changed", "--size", &side, "--dates", "4", "--radar-dates", "0", "--changed", "0.25"];
    bench().skysense(&[&["simulate", "scene"], &scene[..]].concat());
    let learn = "  truth: {uses: stac.search, with: {href: changed/catalog.json, collections: [changes]}}
  model:
    uses: skysense.finetune
    from: {chips: after, before: before, labels: truth}
    with: {task: change, preset: tiny, steps: 4, holdout: {share: 0.0}, out: change-model}
";
    std::fs::write(bench().path("learn-change.yaml"), workflow("none", learn)).unwrap();
    bench().skysense(&["run", "learn-change.yaml"]);
    let map = "  changes: {uses: skysense.segment, from: {chips: after, before: before}, with: {model: change-model}}
  map: {uses: stac.write, from: changes, with: {href: changes, collection: changes, outputs: [probability]}}
";
    let file = bench().path("change.skysense.yaml");
    std::fs::write(&file, workflow("P1Y", map)).unwrap();
    bench().skysense(&["run", "change.skysense.yaml"]);
    let written = bench().path("changes/changes-2022/probability.tif");
    let whole = open(&written.display().to_string(), &[]).window(1, [0, 0, SIDE, SIDE]).unwrap();
    assert!(whole.iter().any(|value| *value != whole[0]), "a map of one value tells nothing");
    let live = open(&file.display().to_string(), &["CACHE=NO"]);
    let mut lot = Lot::new(11);
    for _ in 0..6 {
        let window = lot.window(SIDE);
        assert_eq!(live.window(1, window).unwrap(), cut(&whole, SIDE, window), "{window:?}");
    }
}
