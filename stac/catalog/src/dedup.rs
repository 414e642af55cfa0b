//! One scene per acquisition: reprocessings and repeated listings resolved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Scene;

/// What remains, and what was left out for which other scene.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dedup {
    /// One scene per acquisition, in the order given.
    pub kept: Vec<Scene>,
    /// Item left out, item kept in its place, and why.
    pub dropped: Vec<(String, String, String)>,
}

/// Keeps one scene per sensor, platform, second and tile: that of the newest processing baseline, then the one made
/// last, then the one whose id comes last.
///
/// Without a tile the place stands for it. Scenes of one day from different orbits differ in time and all stay.
pub fn deduplicate(scenes: Vec<Scene>) -> Dedup {
    let mut best: BTreeMap<String, usize> = BTreeMap::new();
    let mut dropped = Vec::new();
    let mut keep = vec![true; scenes.len()];
    for (index, scene) in scenes.iter().enumerate() {
        let key = key(scene);
        let Some(&other) = best.get(&key) else {
            best.insert(key, index);
            continue;
        };
        let newer = rank(scene) > rank(&scenes[other]);
        let (winner, loser) = if newer { (index, other) } else { (other, index) };
        keep[loser] = false;
        best.insert(key, winner);
        dropped.push((scenes[loser].item.clone(), scenes[winner].item.clone(), why(&scenes[winner], &scenes[loser])));
    }
    let kept = scenes.into_iter().zip(keep).filter_map(|(scene, keep)| keep.then_some(scene)).collect();
    Dedup { kept, dropped }
}

fn key(scene: &Scene) -> String {
    let place = scene.tile.clone().unwrap_or_else(|| scene.bbox.0.map(|degrees| format!("{degrees:.3}")).join(","));
    let platform = scene.platform.as_deref().unwrap_or("unknown");
    format!("{}|{platform}|{}|{place}", scene.sensor, scene.datetime.timestamp())
}

fn rank(scene: &Scene) -> (Option<u32>, Option<i64>, &str) {
    (scene.baseline, scene.processed.map(|made| made.timestamp_millis()), &scene.item)
}

fn why(winner: &Scene, loser: &Scene) -> String {
    let baseline =
        |scene: &Scene| scene.baseline.map_or_else(|| "unknown".into(), |b| format!("{:02}.{:02}", b / 100, b % 100));
    if winner.item == loser.item {
        "the same item, listed twice".into()
    } else if winner.baseline != loser.baseline {
        format!("the same acquisition with baseline {} instead of {}", baseline(winner), baseline(loser))
    } else {
        "the same acquisition, made later or listed last".into()
    }
}
