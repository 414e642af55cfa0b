//! Which dates go together at a place: high resolution with what Sentinel-2 and Sentinel-1 saw about that time.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_catalog::{Bbox, Modality, Scene};

use crate::chips::{Candidate, Length, Prefer, choose, shared};

/// Which dates within the window are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pair {
    /// All of them, as many as `dates` allows.
    #[default]
    Within,
    /// The one of each modality that is nearest to the high-resolution image.
    Nearest,
}

/// How dates are put together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pairing {
    /// Days before and after a high-resolution image; all dates where there is none.
    pub(crate) window: Option<u32>,
    pub(crate) pair: Pair,
    /// Most dates of Sentinel-2, and of Sentinel-1.
    pub(crate) max: usize,
    /// Most high-resolution images of a place, each of which makes a sample.
    pub(crate) hr: usize,
    pub(crate) prefer: Prefer,
    /// How long a sample without high resolution is: `none`, or a duration.
    pub(crate) period: String,
    /// Modalities without which there is no sample.
    pub(crate) require: Vec<Modality>,
}

/// A sample that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked {
    /// Day of the high-resolution image, or name of the period.
    pub(crate) period: String,
    /// Numbers of days with those of the scenes that touch the place, in order of time.
    pub(crate) dates: BTreeMap<Modality, Vec<(usize, Vec<usize>)>>,
}

/// What was seen when and where, to be asked by place.
pub(crate) struct Days {
    days: Vec<(Modality, Vec<Seen>)>,
    /// Numbers of the days that touch a square of a degree.
    cells: HashMap<(i32, i32), Vec<usize>>,
}

struct Seen {
    bbox: Bbox,
    datetime: DateTime<Utc>,
    cloud_cover: Option<f64>,
}

impl Days {
    /// Of days with their scenes.
    pub(crate) fn new<'a>(days: impl Iterator<Item = (Modality, &'a [Scene])>) -> Self {
        let seen = |scene: &Scene| Seen { bbox: scene.bbox, datetime: scene.datetime, cloud_cover: scene.cloud_cover };
        let days: Vec<_> =
            days.map(|(modality, scenes)| (modality, scenes.iter().map(seen).collect::<Vec<_>>())).collect();
        let mut cells: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
        for (number, (_, scenes)) in days.iter().enumerate() {
            for scene in scenes {
                for cell in squares(&scene.bbox) {
                    let numbers = cells.entry(cell).or_default();
                    if numbers.last() != Some(&number) {
                        numbers.push(number);
                    }
                }
            }
        }
        Self { days, cells }
    }

    /// Days of a modality that touch a place, each with its scenes there and what is known of it.
    fn at(&self, place: &Bbox, modality: Modality) -> Vec<(usize, Vec<usize>, Candidate)> {
        let mut numbers: Vec<usize> =
            squares(place).into_iter().filter_map(|cell| self.cells.get(&cell)).flatten().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let whole = shared(place, place).max(f64::MIN_POSITIVE);
        let day = |number: usize| {
            let (of, scenes) = &self.days[number];
            let share = |scene: &Seen| shared(&scene.bbox, place) / whole;
            let here: Vec<usize> = (0..scenes.len()).filter(|&scene| share(&scenes[scene]) > 0.0).collect();
            if *of != modality || here.is_empty() {
                return None;
            }
            let covers: Vec<f64> = here.iter().filter_map(|&scene| scenes[scene].cloud_cover).collect();
            let candidate = Candidate {
                datetime: here.iter().map(|&scene| scenes[scene].datetime).min().unwrap_or_default(),
                cloud_cover: (!covers.is_empty()).then(|| covers.iter().sum::<f64>() / covers.len() as f64),
                coverage: here.iter().map(|&scene| share(&scenes[scene])).sum::<f64>().min(1.0),
            };
            Some((number, here, candidate))
        };
        numbers.into_iter().filter_map(day).collect()
    }
}

/// The squares of a degree that a box touches.
fn squares(bbox: &Bbox) -> Vec<(i32, i32)> {
    let [west, south, east, north] = bbox.0;
    let east = if east < west { east + 360.0 } else { east };
    let columns = west.floor() as i32..=(east.floor() as i32).min(west.floor() as i32 + 359);
    let rows = south.floor() as i32..=north.floor() as i32;
    columns.flat_map(|column| rows.clone().map(move |row| ((column + 180).rem_euclid(360), row))).collect()
}

impl Pairing {
    /// The samples of a place, in order of time.
    pub(crate) fn pick(&self, place: &Bbox, days: &Days) -> Vec<Picked> {
        let [hr, s2, s1] = [Modality::Hr, Modality::S2, Modality::S1].map(|modality| days.at(place, modality));
        let mut samples = if hr.is_empty() { self.alone(&s2, &s1) } else { self.around(&hr, &s2, &s1) };
        samples.retain(|picked| self.require.iter().all(|modality| picked.dates.contains_key(modality)));
        samples
    }

    /// One sample for each high-resolution image.
    fn around(&self, hr: &[AtPlace], s2: &[AtPlace], s1: &[AtPlace]) -> Vec<Picked> {
        let images = self.choose(&hr.iter().collect::<Vec<_>>(), self.hr);
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let sample = |image: &AtPlace| {
            let at = image.2.datetime;
            let mut dates = BTreeMap::from([(Modality::Hr, vec![(image.0, image.1.clone())])]);
            for (modality, all) in [(Modality::S2, s2), (Modality::S1, s1)] {
                let near: Vec<&AtPlace> = all.iter().filter(|other| self.near(at, other.2.datetime)).collect();
                let found = match self.pair {
                    Pair::Within => self.choose(&near, self.max),
                    Pair::Nearest => near
                        .into_iter()
                        .min_by_key(|other| ((other.2.datetime - at).abs(), other.0))
                        .into_iter()
                        .collect(),
                };
                if !found.is_empty() {
                    let _new = dates.insert(modality, found.iter().map(|day| (day.0, day.1.clone())).collect());
                }
            }
            // Two images of one day are two samples.
            let day = at.format("%Y-%m-%d").to_string();
            let count = names.entry(day.clone()).or_default();
            *count += 1;
            let period = if *count == 1 { day } else { format!("{day}-{count}") };
            Picked { period, dates }
        };
        images.into_iter().map(sample).collect()
    }

    /// One sample for each period, where there is no high resolution.
    fn alone(&self, s2: &[AtPlace], s1: &[AtPlace]) -> Vec<Picked> {
        let all: Vec<(Modality, &AtPlace)> =
            s2.iter().map(|day| (Modality::S2, day)).chain(s1.iter().map(|day| (Modality::S1, day))).collect();
        let moments: Vec<DateTime<Utc>> = all.iter().map(|(_, day)| day.2.datetime).collect();
        // The setting was checked when the plan was made.
        let length = Length::parse(&self.period).unwrap_or(Length::All);
        let sample = |(period, places): (skysense_edges::Period, Vec<usize>)| {
            let mut dates = BTreeMap::new();
            for modality in [Modality::S2, Modality::S1] {
                let of: Vec<&AtPlace> =
                    places.iter().filter(|&&place| all[place].0 == modality).map(|&place| all[place].1).collect();
                let found = self.choose(&of, self.max);
                if !found.is_empty() {
                    let _new = dates.insert(modality, found.iter().map(|day| (day.0, day.1.clone())).collect());
                }
            }
            Picked { period: period.name, dates }
        };
        length.split(&moments).into_iter().map(sample).collect()
    }

    fn near(&self, at: DateTime<Utc>, other: DateTime<Utc>) -> bool {
        self.window.is_none_or(|days| (other - at).abs() <= TimeDelta::days(i64::from(days)))
    }

    fn choose<'a>(&self, days: &[&'a AtPlace], max: usize) -> Vec<&'a AtPlace> {
        let candidates: Vec<Candidate> = days.iter().map(|day| day.2).collect();
        choose(&candidates, max, self.prefer).into_iter().map(|place| days[place]).collect()
    }
}

/// A day at a place: its number, those of its scenes there, and what is known of it.
type AtPlace = (usize, Vec<usize>, Candidate);

/// Days that a window counts, from `none` or an ISO 8601 duration.
pub(crate) fn window(text: &str) -> Result<Option<u32>, String> {
    match Length::parse(text) {
        Ok(Length::All) => Ok(None),
        Ok(Length::Days(days)) => Ok(Some(days)),
        Ok(Length::Months(months)) if months % 12 == 0 => Ok(Some(months / 12 * 365)),
        Ok(Length::Months(months)) => Ok(Some(months * 30)),
        Err(_) => Err(format!("window {text:?} is none of `none`, `P30D`, `P2W`, `P1M`, `P1Y` and the like")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(all: &[(Modality, &str, [f64; 4])]) -> Days {
        let day = |(modality, text, bbox): &(Modality, &str, [f64; 4])| {
            let datetime = DateTime::parse_from_rfc3339(&format!("{text}T10:00:00Z")).unwrap().to_utc();
            (*modality, vec![Seen { bbox: Bbox(*bbox), datetime, cloud_cover: None }])
        };
        let days: Vec<_> = all.iter().map(day).collect();
        let mut cells: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
        for (number, (_, scenes)) in days.iter().enumerate() {
            squares(&scenes[0].bbox).into_iter().for_each(|cell| cells.entry(cell).or_default().push(number));
        }
        Days { days, cells }
    }

    fn pairing() -> Pairing {
        Pairing {
            window: Some(30),
            pair: Pair::Within,
            max: 20,
            hr: 4,
            prefer: Prefer::Spread,
            period: "none".into(),
            require: Vec::new(),
        }
    }

    const HERE: [f64; 4] = [11.0, 45.0, 13.0, 47.0];
    const PLACE: Bbox = Bbox([12.0, 46.0, 12.01, 46.01]);

    fn numbers(picked: &Picked, modality: Modality) -> Vec<usize> {
        picked.dates.get(&modality).into_iter().flatten().map(|(day, _)| *day).collect()
    }

    #[test]
    fn dates_within_the_window_go_with_each_image() {
        use Modality::{Hr, S1, S2};
        let all = days(&[
            (Hr, "2021-06-10", HERE),
            (Hr, "2021-09-01", HERE),
            (S2, "2021-05-10", HERE),
            (S2, "2021-05-11", HERE),
            (S2, "2021-07-11", HERE),
            (S1, "2021-06-12", HERE),
            (S2, "2021-06-11", [20.0, 45.0, 21.0, 47.0]),
        ]);
        let found = pairing().pick(&PLACE, &all);
        assert_eq!(found.iter().map(|p| p.period.as_str()).collect::<Vec<_>>(), ["2021-06-10", "2021-09-01"]);
        assert_eq!((numbers(&found[0], S2), numbers(&found[0], S1)), (vec![3], vec![5]));
        assert_eq!(found[1].dates.len(), 1, "nothing within 30 days, and nothing of elsewhere");
        let open = Pairing { window: None, ..pairing() };
        assert_eq!(numbers(&open.pick(&PLACE, &all)[0], S2), [2, 3, 4]);
        let nearest = Pairing { window: None, pair: Pair::Nearest, ..pairing() };
        assert_eq!(numbers(&nearest.pick(&PLACE, &all)[1], S2), [4]);
        let strict = Pairing { require: vec![S2], ..pairing() };
        assert_eq!(strict.pick(&PLACE, &all).len(), 1);
        let one = Pairing { hr: 1, ..pairing() };
        assert_eq!(one.pick(&PLACE, &all).len(), 1);
    }

    #[test]
    fn places_without_high_resolution_have_periods() {
        use Modality::{Hr, S1, S2};
        let all = days(&[(S2, "2020-05-10", HERE), (S2, "2021-05-11", HERE), (S1, "2021-06-11", HERE)]);
        let found = pairing().pick(&PLACE, &all);
        assert_eq!((found.len(), found[0].period.as_str()), (1, "all"));
        let years = Pairing { period: "P1Y".into(), ..pairing() }.pick(&PLACE, &all);
        assert_eq!(years.iter().map(|p| p.period.as_str()).collect::<Vec<_>>(), ["2020", "2021"]);
        assert_eq!((numbers(&years[1], S2), numbers(&years[1], S1)), (vec![1], vec![2]));
        assert!(Pairing { require: vec![Hr], ..pairing() }.pick(&PLACE, &all).is_empty());
    }

    #[test]
    fn scenes_across_the_antimeridian_are_found_from_both_sides() {
        let all = days(&[(Modality::S2, "2021-05-10", [179.0, -18.0, -179.0, -16.0])]);
        for bbox in
            [[179.5, -17.0, 179.51, -16.99], [-179.51, -17.0, -179.5, -16.99], [179.999, -17.0, -179.999, -16.99]]
        {
            assert_eq!(pairing().pick(&Bbox(bbox), &all).len(), 1, "{bbox:?}");
        }
        assert!(pairing().pick(&Bbox([178.0, -17.0, 178.5, -16.9]), &all).is_empty());
    }

    #[test]
    fn windows_are_durations() {
        assert_eq!((window("none"), window("P30D"), window("P1M")), (Ok(None), Ok(Some(30)), Ok(Some(30))));
        assert_eq!((window("P2W"), window("P1Y")), (Ok(Some(14)), Ok(Some(365))));
        assert!(window("30").unwrap_err().contains("30"));
    }
}
