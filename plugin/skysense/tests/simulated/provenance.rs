//! What an item says of the items it was made from: all of them, and nothing of those that it was not made from.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bench::{SATELLITES, Way, chips, copy, id, items, read, rewrite, write};
use crate::harness::Bench;

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Ids of the items that an item names as its sources, by the names of their files.
fn sources(item: &Value) -> BTreeSet<String> {
    let links = item["links"].as_array().unwrap().iter();
    let sources = links.filter(|link| link["rel"] == "derived_from" && link.get("mlm:name").is_none());
    let names = sources.map(|link| link["href"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
    names.map(|name| name.trim_end_matches(".json").to_owned()).collect()
}

#[test]
fn every_period_names_its_own_items_and_what_was_decided_for_them() {
    let scene = copy();
    // Public catalogs give milliseconds.
    let all: Vec<_> = SATELLITES.iter().flat_map(|collection| items(scene.path(), collection)).collect();
    for path in &all {
        rewrite(path, |item| {
            let moment = item["properties"]["datetime"].as_str().unwrap().replace("Z", ".824Z");
            item["properties"]["datetime"] = json!(moment);
        });
    }
    let expected: BTreeSet<String> = all.iter().map(|path| id(path)).collect();
    let bench = Bench::new(2, scene.path());
    for period in ["none", "P1M"] {
        let way = Way { chips: chips(&json!({"period": period})), ..Way::of(scene.path()) };
        let out = scene.path().join(format!("out-{period}"));
        let maps = way.run(&bench).unwrap();
        write(&bench, &maps, &out, &json!({})).unwrap();
        let mut named = BTreeSet::new();
        for name in maps.0.plan.facts["chips"]["periods"].as_array().unwrap() {
            let item = format!("land-cover-{}", name["name"].as_str().unwrap());
            let item = read(&out.join(&item).join(format!("{item}.json")));
            let sources = sources(&item);
            let mut decided = BTreeSet::new();
            for decision in item["properties"]["skysense:decisions"].as_array().unwrap() {
                let of = strings(&decision["items"]);
                assert!(of.is_subset(&sources), "{period}: {decision}");
                let seen = decision["seen"].as_object().into_iter().flatten();
                assert!(seen.map(|(id, _)| id).all(|id| of.contains(id)), "{decision}");
                decided.extend(of);
            }
            assert_eq!(decided, sources, "{period}: every source has a decision");
            let lineage = item["properties"]["processing:lineage"].as_str().unwrap();
            assert!(lineage.starts_with(&format!("{} items", sources.len())), "{lineage}");
            for (kind, sentence) in [("S2", "offset "), ("S1", "linear power")] {
                let has = sources.iter().any(|id| id.starts_with(kind));
                assert_eq!(lineage.contains(sentence), has, "{kind}: {lineage}");
            }
            // One sentence for all scenes, however different their pixels are.
            assert!(lineage.matches("linear power").count() <= 1, "{lineage}");
            named.extend(sources);
        }
        assert_eq!(named, expected, "{period}");
    }
}
