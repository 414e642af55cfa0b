//! Places drawn from polygons: on a grid, at random, or of each polygon by its area.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_edges::PlaceRow;
use skysense_grid::Crs;
use skysense_raster::{RasterError, transform_bounds};

use super::lattice::{Cell, LATITUDES, Lattice};
use super::polygon::Polygons;

/// Squares that a grid is looked for in, at most.
const MOST_SQUARES: i64 = 200_000_000;
/// Draws without a new place before an area counts as full.
const FRUITLESS: usize = 20_000;

/// How places are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// All ground of all polygons is as likely.
    #[default]
    Random,
    /// Of each polygon a number in proportion to its area, at random within it.
    Weighted,
    /// Every so many metres, from the zero point of each zone.
    Grid,
}

/// What is drawn, and from where.
pub(crate) struct Sampling {
    pub(crate) method: Method,
    pub(crate) lattice: Lattice,
    /// How many; for a grid, all there are.
    pub(crate) count: usize,
    /// Metres from place to place of a grid.
    pub(crate) spacing: f64,
    /// Places lie in these,
    pub(crate) inside: Polygons,
    /// in these, too, where there are any,
    pub(crate) mask: Option<Polygons>,
    /// and not in these.
    pub(crate) exclude: Option<Polygons>,
    /// Whether all of a place must lie there, or its middle.
    pub(crate) whole: bool,
}

/// Why nothing is drawn.
#[derive(Debug)]
pub(crate) enum DrawError {
    /// A place that cannot be projected.
    Raster(RasterError),
    /// A grid of more squares than anyone wants.
    Many(i64),
}

impl From<RasterError> for DrawError {
    fn from(error: RasterError) -> Self {
        Self::Raster(error)
    }
}

/// Draws places, in the order in which they were drawn; fewer than asked for where the area holds no more. `next` gives
/// numbers from 0 to 1.
///
/// # Errors
/// Places that cannot be projected, and a grid that is too fine for its area.
pub(crate) fn draw(sampling: &Sampling, next: &mut dyn FnMut() -> f64) -> Result<Vec<PlaceRow>, DrawError> {
    match sampling.method {
        Method::Grid => grid(sampling),
        Method::Random => {
            let mut found = BTreeSet::new();
            let weights = sampling.inside.areas();
            let total: f64 = weights.iter().sum();
            let mut choose = |next: &mut dyn FnMut() -> f64| {
                let mut rest = next() * total;
                weights.iter().position(|weight| {
                    rest -= weight;
                    rest < 0.0
                })
            };
            at_random(sampling, sampling.count, &mut found, next, &mut choose)
        }
        Method::Weighted => {
            let mut found = BTreeSet::new();
            let mut places = Vec::new();
            for (polygon, count) in shares(&sampling.inside.areas(), sampling.count).into_iter().enumerate() {
                places.extend(at_random(sampling, count, &mut found, next, &mut |_| Some(polygon))?);
            }
            Ok(places)
        }
    }
}

/// `count` in proportion to weights; what rounding leaves goes to the largest remainders, the first of equal ones.
fn shares(weights: &[f64], count: usize) -> Vec<usize> {
    let total: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|weight| count as f64 * weight / total.max(f64::MIN_POSITIVE)).collect();
    let mut shares: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let left = count.saturating_sub(shares.iter().sum());
    order.into_iter().take(left).for_each(|place| shares[place] += 1);
    shares
}

fn at_random(
    sampling: &Sampling,
    count: usize,
    found: &mut BTreeSet<Cell>,
    next: &mut dyn FnMut() -> f64,
    choose: &mut dyn FnMut(&mut dyn FnMut() -> f64) -> Option<usize>,
) -> Result<Vec<PlaceRow>, DrawError> {
    let (mut places, mut fruitless) = (Vec::new(), 0);
    while places.len() < count && fruitless < FRUITLESS {
        fruitless += 1;
        let Some(point) = choose(next).and_then(|polygon| sampling.inside.point(polygon, next)) else { continue };
        // Where polygons overlap a point is drawn for each of them, and kept for one.
        if sampling.method == Method::Random && next() * sampling.inside.holding(point) as f64 >= 1.0 {
            continue;
        }
        let Some(cell) = sampling.lattice.cell(point)? else { continue };
        if found.contains(&cell) {
            continue;
        }
        if let Some(place) = sampling.lattice.place(&cell)?.filter(|place| sampling.allows(place)) {
            let _new = found.insert(cell);
            places.push(place);
            fruitless = 0;
        }
    }
    Ok(places)
}

/// Every so many squares of each zone that the polygons touch.
fn grid(sampling: &Sampling) -> Result<Vec<PlaceRow>, DrawError> {
    let lattice = &sampling.lattice;
    let stride = ((sampling.spacing / lattice.side()).round() as i64).max(1);
    let mut cells = BTreeSet::new();
    let mut looked = 0_i64;
    for [west, south, east, north] in sampling.inside.bounds() {
        let (south, north) = (south.max(LATITUDES[0]), north.min(LATITUDES[1]));
        for (crs, [w, e]) in strips([west, east], [south, north]) {
            let [left, bottom, right, top] = transform_bounds(&Crs::lon_lat(), [w, south, e, north], &crs)?;
            let first = |value: f64| (value / lattice.side()).floor() as i64 / stride * stride - stride;
            let last = |value: f64| (value / lattice.side()).ceil() as i64 + stride;
            let numbers = |from: f64, to: f64| (first(from)..=last(to)).step_by(stride as usize);
            looked += (numbers(left, right).count() as i64).saturating_mul(numbers(bottom, top).count() as i64);
            if looked > MOST_SQUARES {
                return Err(DrawError::Many(looked));
            }
            for row in numbers(bottom, top) {
                for column in numbers(left, right) {
                    let cell = Cell { crs: crs.clone(), row, column };
                    let place = lattice.place(&cell)?;
                    if place.is_some_and(|place| sampling.allows(&place)) {
                        let _new = cells.insert(cell);
                    }
                }
            }
        }
    }
    let places = cells.iter().map(|cell| lattice.place(cell)).collect::<Result<Vec<_>, _>>()?;
    Ok(places.into_iter().flatten().collect())
}

/// The zones that a box touches, each with the longitudes that it may have there. Zones that are wider than six degrees
/// in the north are met, too: which zone a square belongs to is asked of its middle.
fn strips([west, east]: [f64; 2], [south, north]: [f64; 2]) -> Vec<(Crs, [f64; 2])> {
    let mut strips = Vec::new();
    let mut longitude = (west / 6.0).floor() * 6.0 - 6.0;
    while longitude < east + 6.0 {
        let middle = longitude + 3.0;
        for latitude in [south, north] {
            let hemisphere = if latitude < 0.0 { -1.0 } else { 1.0 };
            // Of the plain zones: the equator knows no exceptions.
            let crs = Crs::utm(middle, hemisphere);
            let part = [west.max(longitude - 6.0), east.min(longitude + 12.0)];
            if part[0] < part[1] && !strips.iter().any(|(known, _)| *known == crs) {
                strips.push((crs, part));
            }
        }
        longitude += 6.0;
    }
    strips
}

impl Sampling {
    /// Whether a place lies where it may.
    fn allows(&self, place: &PlaceRow) -> bool {
        let allowed = |point: [f64; 2]| {
            self.inside.hold(point)
                && self.mask.as_ref().is_none_or(|mask| mask.hold(point))
                && self.exclude.as_ref().is_none_or(|exclude| !exclude.hold(point))
        };
        if !allowed(place.centre) {
            return false;
        }
        // A place that touches what is left out must not be learned from, wherever its middle lies.
        let rim = rim(place);
        let touches = |polygons: &Polygons| rim.iter().any(|&point| polygons.hold(point));
        !self.exclude.as_ref().is_some_and(touches) && (!self.whole || rim.iter().all(|&point| allowed(point)))
    }
}

/// Points along the edges of a place, in degrees.
fn rim(place: &PlaceRow) -> Vec<[f64; 2]> {
    let outline = skysense_raster::footprint(&place.grid);
    outline.map_or_else(|_| Vec::new(), |outline| outline.rings.concat())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use skysense_catalog::Bbox;

    use super::*;

    fn numbers() -> impl FnMut() -> f64 {
        let mut state = 7_u64;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    fn sampling(method: Method, boxes: &[[f64; 4]], count: usize) -> Sampling {
        Sampling {
            method,
            lattice: Lattice { size: 16, resolution: 10.0 },
            count,
            spacing: 1600.0,
            inside: Polygons::of_boxes(boxes.iter().map(|&bounds| Bbox(bounds))),
            mask: None,
            exclude: None,
            whole: false,
        }
    }

    #[test]
    fn random_places_follow_the_area_and_overlapping_polygons_count_once() {
        // The second box lies in the first: its ground is no likelier.
        let boxes = [[10.0, 40.0, 14.0, 42.0], [10.0, 40.0, 11.0, 42.0]];
        let places = draw(&sampling(Method::Random, &boxes, 4000), &mut numbers()).unwrap();
        assert_eq!(places.len(), 4000);
        let west = places.iter().filter(|place| place.centre[0] < 11.0).count();
        assert!((850..1150).contains(&west), "a quarter: {west}");
        let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
        places.iter().for_each(|place| *zones.entry(place.grid.crs.as_str()).or_default() += 1);
        assert_eq!(zones.keys().copied().collect::<Vec<_>>(), ["EPSG:32632", "EPSG:32633"]);
        let mut names: Vec<_> = places.iter().map(|place| &place.place).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 4000, "no place twice");
        assert_eq!(draw(&sampling(Method::Random, &boxes, 4000), &mut numbers()).unwrap(), places);
    }

    #[test]
    fn weighted_places_have_exactly_their_share() {
        // Equal longitudes between the equator and 30°, and 30° and 90°: equal areas.
        let boxes = [[0.0, 0.0, 1.0, 30.0], [5.0, 30.0, 6.0, 80.0], [8.0, 0.0, 8.001, 0.001]];
        let places = draw(&sampling(Method::Weighted, &boxes, 99), &mut numbers()).unwrap();
        let south = places.iter().filter(|place| place.centre[1] < 30.0).count();
        let share = 0.5 / (0.5 + 80.0_f64.to_radians().sin() - 0.5);
        assert_eq!(south, (99.0 * share).round() as usize);
        assert_eq!(shares(&[1.0, 1.0, 1.0], 5), [2, 2, 1]);
    }

    #[test]
    fn a_grid_is_regular_in_each_zone_and_does_not_depend_on_the_box() {
        let of = |bounds: [f64; 4]| draw(&sampling(Method::Grid, &[bounds], 0), &mut numbers()).unwrap();
        let large = of([11.9, 45.0, 12.1, 45.1]);
        let small = of([11.95, 45.02, 12.05, 45.08]);
        assert!(small.len() > 8 && small.iter().all(|place| large.contains(place)));
        for place in &large {
            assert_eq!(place.grid.transform.c.rem_euclid(1600.0), 0.0);
        }
        let zones: BTreeSet<&str> = large.iter().map(|place| place.grid.crs.as_str()).collect();
        assert_eq!(zones.len(), 2);
        // 1.6 km apart over about 15.7 by 11.1 km.
        assert!((50..90).contains(&large.len()), "{}", large.len());
        let fiji = of([179.95, -17.05, -179.95, -17.0]);
        let zones: BTreeSet<&str> = fiji.iter().map(|place| place.grid.crs.as_str()).collect();
        assert_eq!(zones.into_iter().collect::<Vec<_>>(), ["EPSG:32701", "EPSG:32760"]);
    }

    #[test]
    fn masks_and_what_is_left_out_bind() {
        let mut rule = sampling(Method::Random, &[[10.0, 40.0, 10.2, 40.2]], 200);
        rule.mask = Some(Polygons::of_boxes([Bbox([10.0, 40.0, 10.1, 41.0])]));
        rule.exclude = Some(Polygons::of_boxes([Bbox([10.0, 40.0, 10.05, 41.0])]));
        rule.whole = true;
        let places = draw(&rule, &mut numbers()).unwrap();
        assert_eq!(places.len(), 200);
        for place in &places {
            for point in rim(place) {
                assert!(point[0] > 10.05 && point[0] < 10.1, "{point:?}");
            }
        }
    }

    #[test]
    fn a_small_area_gives_what_it_holds() {
        let places = draw(&sampling(Method::Random, &[[10.0, 40.0, 10.005, 40.005]], 1000), &mut numbers()).unwrap();
        // 430 m by 555 m in squares of 160 m.
        assert!((6..=20).contains(&places.len()), "{}", places.len());
    }
}
