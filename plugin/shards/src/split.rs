//! Which part of the set a sample belongs to: whole blocks of the globe train or validate.
//!
//! Neighbouring samples look alike, so a split by sample would measure how well copies are remembered. The globe is cut
//! into rows of equal height and each row into columns of about the same width on the ground; a block's part follows
//! from the seed and its numbers alone, so that samples that are added later fall where those before them would have.
//! A footprint that touches blocks of both parts belongs to neither: two footprints that share ground share a block,
//! and so never lie in different parts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kilometres of a degree of latitude on the sphere.
const DEGREE_KM: f64 = 111.195;

/// A part of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What is learned from.
    Train,
    /// What is never learned from.
    Validation,
}

impl Part {
    /// Both parts.
    pub const ALL: [Self; 2] = [Self::Train, Self::Validation];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the globe is split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Share of the blocks that validate, 0 to 1.
    pub share: f64,
    /// Kilometres along a side of a block.
    pub block: f64,
    /// Which blocks validate follows from this number.
    pub seed: u64,
}

impl Split {
    /// The part of a footprint with these bounds, `[west, south, east, north]` in degrees where west is greater than
    /// east across the antimeridian; `None` where it touches blocks of both parts.
    pub fn part(&self, bounds: [f64; 4]) -> Option<Part> {
        let [west, south, east, north] = bounds;
        let mut found = None;
        for row in self.row(south)..=self.row(north) {
            let columns = self.columns(row);
            let column = |longitude: f64| {
                let share = (longitude + 180.0).rem_euclid(360.0) / 360.0;
                ((share * columns as f64) as u64).min(columns - 1)
            };
            let (first, last) = (column(west), column(east));
            // A box as wide as the globe begins and ends in any column.
            let whole = if west > east { east + 360.0 - west } else { east - west } >= 360.0;
            let count = if whole { columns } else { (last + columns - first) % columns + 1 };
            for step in 0..count {
                let part = self.of_block(row, (first + step) % columns);
                if found.is_some_and(|found| found != part) {
                    return None;
                }
                found = Some(part);
            }
        }
        found
    }

    fn rows(&self) -> u64 {
        ((180.0 * DEGREE_KM / self.block).round() as u64).max(1)
    }

    fn row(&self, latitude: f64) -> u64 {
        let rows = self.rows();
        (((latitude.clamp(-90.0, 90.0) + 90.0) / 180.0 * rows as f64) as u64).min(rows - 1)
    }

    /// Columns of a row: fewer towards the poles.
    fn columns(&self, row: u64) -> u64 {
        let middle = (row as f64 + 0.5) / self.rows() as f64 * 180.0 - 90.0;
        ((360.0 * DEGREE_KM * middle.to_radians().cos() / self.block).round() as u64).max(1)
    }

    fn of_block(&self, row: u64, column: u64) -> Part {
        let number = mix(mix(mix(self.seed) ^ row) ^ column);
        let share = (number >> 11) as f64 / (1_u64 << 53) as f64;
        if share < self.share { Part::Validation } else { Part::Train }
    }
}

/// SplitMix64, which scatters consecutive numbers.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(share: f64, block: f64) -> Split {
        Split { share, block, seed: 3 }
    }

    /// Footprints of 640 m on a line of 200 km, each shifted by 160 m, so that neighbours overlap.
    fn line(latitude: f64, from: f64) -> Vec<[f64; 4]> {
        let (step, side) = (0.16 / DEGREE_KM / latitude.to_radians().cos(), 0.64 / DEGREE_KM);
        let wrap = |longitude: f64| (longitude + 180.0).rem_euclid(360.0) - 180.0;
        let of = |n: usize| {
            let west = from + step * n as f64;
            [wrap(west), latitude, wrap(west + 4.0 * step), latitude + side]
        };
        (0..1250).map(of).collect()
    }

    #[test]
    fn footprints_that_share_ground_are_never_in_both_parts() {
        for (latitude, from) in [(0.0, 14.0), (47.3, 178.5), (-71.0, -180.0), (83.9, 179.0)] {
            let parts: Vec<_> = line(latitude, from).into_iter().map(|bounds| split(0.5, 5.0).part(bounds)).collect();
            let (mut seen, mut dropped) = ([0, 0], 0);
            for at in 0..parts.len() {
                match parts[at] {
                    Some(part) => seen[part as usize] += 1,
                    None => dropped += 1,
                }
                // The next four begin before this one ends.
                for other in parts.iter().skip(at + 1).take(3) {
                    assert!(parts[at].is_none() || other.is_none() || parts[at] == *other, "{latitude} {at}");
                }
            }
            assert!(seen[0] > 200 && seen[1] > 200 && dropped > 0, "{latitude}: {seen:?} {dropped}");
        }
    }

    #[test]
    fn about_the_share_of_the_globe_validates() {
        let split = split(0.1, 50.0);
        let (mut validates, mut all) = (0, 0);
        for row in 0..split.rows() {
            for column in 0..split.columns(row) {
                all += 1;
                validates += usize::from(split.of_block(row, column) == Part::Validation);
            }
        }
        let share = validates as f64 / all as f64;
        assert!((share - 0.1).abs() < 0.005, "{share} of {all}");
    }

    #[test]
    fn poles_and_the_whole_globe_have_an_answer() {
        let rule = split(0.5, 100.0);
        assert!(rule.part([0.0, 90.0, 0.0, 90.0]).is_some());
        assert_eq!(rule.part([-180.0, 80.0, 180.0, 90.0]), None);
        assert_eq!(split(0.0, 100.0).part([-180.0, -90.0, 180.0, 90.0]), Some(Part::Train));
        assert_eq!(split(1.0, 0.7).part([179.999, 10.0, -179.999, 10.001]), Some(Part::Validation));
    }
}
