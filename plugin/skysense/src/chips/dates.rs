//! Which dates of a period are used when there are more than asked for.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many dates a chip has at most, and which ones are taken when there are more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dates {
    /// Most dates of Sentinel-2, and of Sentinel-1, in a period.
    #[schemars(range(min = 1))]
    pub(crate) max: usize,
    /// Most high-resolution dates in a period.
    #[schemars(range(min = 1))]
    pub(crate) hr: usize,
    /// Which dates are taken when there are more.
    pub(crate) prefer: Prefer,
}

impl Default for Dates {
    fn default() -> Self {
        Self { max: 12, hr: 1, prefer: Prefer::Clear }
    }
}

/// Which dates are taken when there are more than asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Prefer {
    /// Those with the least cloud, as the items say; items that say nothing come last.
    #[default]
    Clear,
    /// The earliest.
    First,
    /// As evenly spread over the period as the dates allow.
    Spread,
}

/// What is known of a date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) datetime: DateTime<Utc>,
    /// Cloud cover in percent, averaged over the day's items.
    pub(crate) cloud_cover: Option<f64>,
    /// Share of the target's bounds that the day's items cover, 0 to 1.
    pub(crate) coverage: f64,
}

/// The numbers of the chosen dates, in order of time.
pub(crate) fn choose(candidates: &[Candidate], max: usize, prefer: Prefer) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|&place| (candidates[place].datetime, place));
    if order.len() > max {
        order = match prefer {
            Prefer::First => order[..max].to_vec(),
            Prefer::Spread => spread(&order, max),
            Prefer::Clear => {
                // Ground that is seen: a half-covered clear day shows no more than a whole half-cloudy one.
                // A sensor without clouds says nothing, so for it coverage alone decides.
                let seen = |place: usize| {
                    candidates[place].coverage * (1.0 - candidates[place].cloud_cover.unwrap_or(100.0) / 100.0)
                };
                let known = candidates.iter().any(|c| c.cloud_cover.is_some());
                let worth = |place: usize| if known { seen(place) } else { candidates[place].coverage };
                let mut best = order.clone();
                best.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)));
                let mut best = if known { best[..max].to_vec() } else { ties_spread(&best, max, worth) };
                best.sort_by_key(|&place| (candidates[place].datetime, place));
                best
            }
        };
    }
    order
}

/// `max` of the places, evenly by rank, with the first and the last.
fn spread(order: &[usize], max: usize) -> Vec<usize> {
    match max {
        0 => Vec::new(),
        1 => vec![order[order.len() / 2]],
        _ => (0..max).map(|step| order[step * (order.len() - 1) / (max - 1)]).collect(),
    }
}

/// The best places; where the last of them are as good as others, those are spread over time.
fn ties_spread(best: &[usize], max: usize, worth: impl Fn(usize) -> f64) -> Vec<usize> {
    let limit = worth(best[max - 1]);
    let (better, rest): (Vec<usize>, Vec<usize>) = best.iter().partition(|&&place| worth(place) > limit);
    let equal: Vec<usize> = rest.into_iter().filter(|&place| worth(place) == limit).collect();
    let more = spread(&equal, max - better.len());
    better.into_iter().chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64, cloud_cover: Option<f64>) -> Candidate {
        let datetime = DateTime::from_timestamp(number * 86_400, 0).unwrap();
        Candidate { datetime, cloud_cover, coverage: 1.0 }
    }

    #[test]
    fn clear_takes_the_clearest_and_gives_them_in_order() {
        let days = [day(3, Some(0.0)), day(1, Some(80.0)), day(2, None), day(0, Some(10.0))];
        assert_eq!(choose(&days, 2, Prefer::Clear), [3, 0]);
        assert_eq!(choose(&days, 3, Prefer::Clear), [3, 1, 0]);
        assert_eq!(choose(&days, 9, Prefer::Clear), [3, 1, 2, 0]);
    }

    #[test]
    fn a_day_that_covers_little_is_worth_little() {
        let half = Candidate { coverage: 0.1, ..day(0, Some(0.0)) };
        assert_eq!(choose(&[half, day(1, Some(50.0))], 1, Prefer::Clear), [1]);
    }

    #[test]
    fn radar_has_no_clouds_and_is_spread() {
        let days: Vec<_> = (0..5).map(|number| day(number, None)).collect();
        assert_eq!(choose(&days, 3, Prefer::Clear), [0, 2, 4]);
    }

    #[test]
    fn first_and_spread() {
        let days: Vec<_> = (0..7).map(|number| day(6 - number, Some(number as f64))).collect();
        assert_eq!(choose(&days, 2, Prefer::First), [6, 5]);
        assert_eq!(choose(&days, 3, Prefer::Spread), [6, 3, 0]);
        assert_eq!(choose(&days, 1, Prefer::Spread), [3]);
    }
}
