//! `data.inspect`, `data.verify` and `data.stats`.

use serde_json::json;
use skysense_contract::Modality;
use skysense_plugin::ShardPlaces;
use skysense_shards::{Part, Shards};
use skysense_train::pretrain::Places;

use crate::support::small_set;

#[test]
fn inspect_counts_what_is_there_and_draws_it() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, _) = small_set(folder.path());
    let found = bench.call("data.inspect", &json!({"data": "set", "out": "pictures", "samples": 7})).unwrap();
    let shards = Shards::open(&folder.path().join("set")).unwrap();
    let (mut samples, mut dates) = (0, 0);
    for part in Part::ALL {
        let reader = shards.part(part);
        assert_eq!(found["parts"][part.name()]["samples"], reader.count());
        for number in 0..reader.count() {
            let about = reader.about(number).unwrap();
            samples += 1;
            dates += about.dates.get("s2").map_or(0, Vec::len);
        }
    }
    assert_eq!(
        (found["samples"].as_u64().unwrap(), found["modalities"]["s2"]["dates"].as_u64().unwrap()),
        (samples, dates as u64)
    );
    let by_month = found["modalities"]["s2"]["dates_by_month"].as_object().unwrap();
    assert_eq!(by_month.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), dates as u64);
    assert!(by_month.keys().all(|month| month.starts_with("2021-")), "{by_month:?}");
    for (name, least) in [("map.png", 2), ("samples.png", 50)] {
        let image = image::open(folder.path().join("pictures").join(name)).unwrap().to_rgb8();
        let mut colours: Vec<_> = image.pixels().map(|pixel| pixel.0).collect();
        colours.sort_unstable();
        colours.dedup();
        assert!(colours.len() > least, "{name} has {} colours", colours.len());
    }
    assert_eq!(found["pictures"].as_array().unwrap().len(), 2);
}

#[test]
fn verify_names_the_file_and_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, _) = small_set(folder.path());
    let good = bench.call("data.verify", &json!({"data": "set"})).unwrap();
    assert_eq!((good["ok"].as_bool(), good["problems"].as_array().map(Vec::len)), (Some(true), Some(0)), "{good}");
    let train = Shards::open(&folder.path().join("set")).unwrap().part(Part::Train);
    let about = train.about(1).unwrap();
    let file = folder.path().join("set/train-00000.arrow");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[(about.block.0 + about.block.1 / 2) as usize] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let bad = bench.call("data.verify", &json!({"data": "set"})).unwrap();
    let told = bad["problems"].to_string();
    assert!(bad["ok"] == false && told.contains("train-00000.arrow") && told.contains(&about.name[0]), "{told}");
    // Pretraining is told the same, and reads the others.
    let places = ShardPlaces::open(&folder.path().join("set"), Part::Train).unwrap();
    let error = places.read(1).unwrap_err().to_string();
    assert!(error.contains("train-00000.arrow") && error.contains(&about.name[0]), "{error}");
    places.read(0).unwrap();
    let none = bench.call("data.verify", &json!({"data": "nothing"})).unwrap_err();
    assert!(none.code == "data.missing" && none.to_string().contains("nothing"), "{none}");
}

#[test]
fn stats_are_those_of_plain_loops_and_fit_a_contract() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, _) = small_set(folder.path());
    let found = bench.call("data.stats", &json!({"data": "set", "out": "normalisation.json"})).unwrap();
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("normalisation.json")).unwrap()).unwrap();
    let places = ShardPlaces::open(&folder.path().join("set"), Part::Train).unwrap();
    let mut told = 0;
    for (modality, offer) in places.offers() {
        for (band, name) in offer.bands.iter().enumerate() {
            let mut values = Vec::new();
            for index in 0..places.count() {
                let place = places.read(index).unwrap();
                let Some(series) = place.series.get(modality) else { continue };
                let area = offer.size * offer.size;
                for (at, value) in series.pixels.iter().enumerate() {
                    let (date, of, pixel) = (at / (area * offer.bands.len()), at / area % offer.bands.len(), at % area);
                    if of == band && series.valid[date * area + pixel] != 0 {
                        values.push(f64::from(*value));
                    }
                }
            }
            let number = |from: &serde_json::Value, field: &str| from[modality.name()][field][band].as_f64().unwrap();
            // Where no training sample has the modality there is nothing to tell.
            if values.is_empty() {
                assert_eq!((number(&written, "mean"), number(&written, "std")), (0.0, 1.0), "{modality} {name}");
                continue;
            }
            told += 1;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs().max(1.0);
            assert!(near(number(&found["statistics"], "mean"), mean), "{modality} {name}");
            assert!(near(number(&written, "std"), std), "{modality} {name}");
        }
        assert_eq!(written[modality.name()]["bands"], json!(offer.bands));
    }
    assert!(places.offers().contains_key(&Modality::S1) && told >= 12, "ten bands of Sentinel-2 and two of Sentinel-1");
}
