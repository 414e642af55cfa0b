//! Prototypes by region: each chip's region follows from where its centre lies.

use std::collections::BTreeSet;

use serde_json::json;
use skysense_contract::Division;
use skysense_edges::{MapBatch, MapFacts};

use crate::bench::{CHIPS, Way, simulate, write_package};
use crate::harness::Bench;
use crate::tiny::Tiny;

const REGIONS: usize = 4096;

#[test]
fn chips_on_either_side_of_a_border_have_prototypes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    // A scene whose middle lies on the border between two regions.
    let division = Division::EqualArea(REGIONS);
    let [west, south, _, north] = division.bounds(division.cell(14.6, 48.2)).unwrap();
    let center = [west, (south + north) / 2.0];
    let scene = folder.path().join("scene");
    simulate(&scene, &json!({"center": center, "cloud": 0.0, "dates": 1, "radar_dates": 0}));
    let tiny = Tiny::with_regions(3, REGIONS);
    let model = write_package(&folder.path().join("model"), &tiny, Some(5));
    let collections = ["sentinel-2-l2a"];
    let bench = Bench::new(2, folder.path());
    let way = Way {
        collections: &collections,
        apply: "skysense.embed",
        model: json!({"model": model, "device": "cpu"}),
        ..Way::of(&scene)
    };
    let (maps, batches) = way.run(&bench).unwrap();
    let facts: MapFacts = serde_json::from_value(maps.plan.facts.clone()).unwrap();
    let half = facts.channels / 2 * 256;
    let (mut regions, mut chips) = (BTreeSet::new(), 0);
    for batch in &batches {
        let maps = MapBatch::features(batch).unwrap();
        for row in 0..maps.len() {
            chips += 1;
            let place = facts.chips.geobox.window(&maps.window(row).unwrap()).unwrap();
            let (longitude, latitude) = skysense_raster::centre_lon_lat(&place).unwrap();
            let here = division.cell(longitude, latitude);
            regions.insert(here);
            // What Burn makes of the fused features and the prototypes of that region.
            let fused = &maps.values(row)[..half];
            let context = tiny.with_prototypes(fused, here as i64);
            crate::tiny::hold("context", maps.values(row), &context);
        }
    }
    assert_eq!(chips, CHIPS);
    assert_eq!(regions.len(), 2, "{regions:?}");
}
