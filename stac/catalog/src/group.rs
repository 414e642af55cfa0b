//! Granules of one overpass as one date.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Modality, Scene, solar_day};

/// Granules further apart belong to different orbits; an orbit takes about 100 minutes.
const OVERPASS: TimeDelta = TimeDelta::minutes(20);

/// Scenes of one satellite, one overpass and one day by the sun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// Day by the sun.
    pub day: NaiveDate,
    /// First moment.
    pub datetime: DateTime<Utc>,
    /// Input of the model.
    pub modality: Modality,
    /// Satellite, where known.
    pub platform: Option<String>,
    /// Which of the given scenes, in order of time and then id.
    pub scenes: Vec<usize>,
}

/// Groups scenes by sensor, satellite, solar day and overpass; groups come in order of time.
///
/// The day is taken at the middle of each scene, so that granules on both sides of midnight UTC, or of the
/// antimeridian, stay together.
pub fn by_solar_day(scenes: &[Scene]) -> Vec<Day> {
    let mut order: Vec<usize> = (0..scenes.len()).collect();
    let place = |index: usize| {
        let scene = &scenes[index];
        (scene.modality, &scene.sensor, &scene.platform, scene.orbit_state.as_deref(), scene.datetime, &scene.item)
    };
    order.sort_by(|&a, &b| place(a).cmp(&place(b)));
    let mut days: Vec<Day> = Vec::new();
    for index in order {
        let scene = &scenes[index];
        let day = solar_day(scene.datetime, scene.bbox.center_longitude());
        let same = days.last_mut().filter(|last| {
            let previous = last.scenes.last().map(|&at| &scenes[at]);
            last.day == day
                && previous.is_some_and(|previous| {
                    previous.sensor == scene.sensor
                        && previous.platform == scene.platform
                        && previous.orbit_state == scene.orbit_state
                        && scene.datetime - previous.datetime <= OVERPASS
                })
        });
        match same {
            Some(last) => last.scenes.push(index),
            None => days.push(Day {
                day,
                datetime: scene.datetime,
                modality: scene.modality,
                platform: scene.platform.clone(),
                scenes: vec![index],
            }),
        }
    }
    days.sort_by(|a, b| (a.datetime, a.modality, &a.platform).cmp(&(b.datetime, b.modality, &b.platform)));
    days
}
