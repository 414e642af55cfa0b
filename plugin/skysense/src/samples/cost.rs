//! What reading the samples will cost.

use std::collections::BTreeMap;

use skysense_abi::Cost;
use skysense_catalog::{Modality, Scene};

use super::pairing::Picked;
use super::plan::SamplePlan;
use crate::chips::{BLOCK_CACHE, Costs, Inspected, PlannedDate};

/// Costs of a plan, and its most samples.
pub(crate) fn costs(
    plan: &SamplePlan,
    picked: impl Iterator<Item = Vec<Picked>>,
    inspected: &BTreeMap<String, Inspected>,
) -> (Costs, usize) {
    let dates: Vec<(Modality, &PlannedDate)> = plan.dates().collect();
    let (mut samples, mut bytes, mut requests) = (0_usize, 0.0_f64, 0_u64);
    let mut counts: BTreeMap<Modality, u64> = BTreeMap::new();
    for picked in picked.flatten() {
        samples += 1;
        for (modality, days) in picked.dates {
            *counts.entry(modality).or_default() += days.len() as u64;
            for (day, scenes) in days {
                for scene in scenes.iter().filter_map(|&scene| dates[day].1.scenes.get(scene)) {
                    let (more, files) = scene_bytes(plan, scene, inspected);
                    (bytes, requests) = (bytes + more, requests + files);
                }
            }
        }
    }
    let mut items: BTreeMap<Modality, u64> = BTreeMap::new();
    plan.chips.scenes().for_each(|scene| *items.entry(scene.modality).or_default() += 1);
    let mut named = Vec::new();
    let mut add = |name: String, value: f64, unit: &str| named.push(Cost { name, value, unit: unit.into() });
    items.into_iter().for_each(|(modality, count)| add(format!("used_items.{}", modality.name()), count as f64, ""));
    counts.into_iter().for_each(|(modality, count)| add(format!("dates.{}", modality.name()), count as f64, ""));
    add("samples".into(), samples as f64, "");
    add("requests".into(), requests as f64, "");
    add("read".into(), bytes.round(), "bytes");
    add("probe".into(), inspected.values().map(|found| found.probe_bytes).sum::<u64>() as f64, "bytes");
    let facts = plan.facts();
    let of = |m: &skysense_edges::ModalityFacts| {
        m.dates as u64 * (m.bands.len() * m.dtype.bytes() + 1) as u64 * ((facts.size * m.scale) as u64).pow(2)
    };
    let sample: u64 = facts.modalities.values().map(of).sum();
    // While a date is decoded its values are wider than on the edge, and the patch of the source lies beside them.
    let decoding = facts
        .modalities
        .values()
        .map(|m| ((m.bands.len() + 2) * 2 * (size_of::<f32>() + 1)) as u64 * ((facts.size * m.scale) as u64).pow(2));
    let threads = super::run::TOGETHER as u64;
    let working_bytes = BLOCK_CACHE + threads * (2 * sample + decoding.max().unwrap_or(0));
    (Costs { named, working_bytes, batch_bytes: sample }, samples)
}

/// Bytes of a scene that one place needs, and how often its files are asked.
fn scene_bytes(plan: &SamplePlan, scene: &Scene, inspected: &BTreeMap<String, Inspected>) -> (f64, u64) {
    let Some(found) = inspected.get(&scene.item) else { return (0.0, 0) };
    let side = plan.chips.size as f64 * plan.resolution;
    let sources = scene.bands.iter().chain(scene.masks.iter().map(|mask| &mask.source));
    let headers = sources.filter_map(|source| found.headers.get(&(source.asset.clone(), source.band_index)));
    headers.fold((0.0, 0), |(bytes, files), header| {
        let pixels = header.geobox().map_or(0.0, |geobox| {
            let (width, height) = geobox.resolution();
            // Pixels in degrees are few metres of longitude: the estimate takes those of the equator.
            let metres = |size: f64| if size < 0.01 { size * 111_195.0 } else { size };
            side * side / (metres(width) * metres(height))
        });
        (bytes + pixels * header.bytes_per_pixel(), files + 1)
    })
}
