//! Polygons in degrees: whether they hold a point, how large they are, and random points in them.

use serde_json::Value;
use skysense_catalog::{Area, Bbox};

/// Points that are drawn before a polygon counts as empty: a sliver of a hundredth of its box is hit.
const DRAWS: usize = 100_000;
/// Edges to a strip of latitude, about.
const EDGES: usize = 8;
/// Most strips of a polygon.
const STRIPS: usize = 4096;

type Point = [f64; 2];

/// Polygons that may overlap.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Polygons {
    all: Vec<Polygon>,
}

/// A polygon with its holes. Longitudes may lie beyond 180° where it crosses the antimeridian.
#[derive(Debug, Clone, PartialEq)]
struct Polygon {
    /// `[west, south, east, north]`.
    bounds: [f64; 4],
    /// Edges by strip of latitude, so that a coast of many points is asked quickly.
    strips: Vec<Vec<(Point, Point)>>,
    /// On a sphere of radius 1.
    area: f64,
}

impl Polygons {
    /// From the polygons of an area.
    ///
    /// # Errors
    /// In words: a geometry that is no polygon.
    pub(crate) fn of(area: &Area) -> Result<Self, String> {
        let mut all = Vec::new();
        collect(area.geojson(), &mut all)?;
        if all.is_empty() { Err("it holds no polygon".into()) } else { Ok(Self { all }) }
    }

    /// From boxes.
    pub(crate) fn of_boxes(boxes: impl IntoIterator<Item = Bbox>) -> Self {
        let of = |Bbox([west, south, east, north]): Bbox| {
            let east = if east < west { east + 360.0 } else { east };
            Polygon::new(&[vec![[west, south], [east, south], [east, north], [west, north]]])
        };
        Self { all: boxes.into_iter().map(of).collect() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Areas on a sphere of radius 1.
    pub(crate) fn areas(&self) -> Vec<f64> {
        self.all.iter().map(|polygon| polygon.area).collect()
    }

    /// `[west, south, east, north]` of each; east may lie beyond 180°.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = [f64; 4]> + '_ {
        self.all.iter().map(|polygon| polygon.bounds)
    }

    /// How many of them hold a point.
    pub(crate) fn holding(&self, point: Point) -> usize {
        self.all.iter().filter(|polygon| polygon.holds(point)).count()
    }

    /// Whether any of them holds a point.
    pub(crate) fn hold(&self, point: Point) -> bool {
        self.all.iter().any(|polygon| polygon.holds(point))
    }

    /// A point of a polygon, all of its ground as likely. `next` gives numbers from 0 to 1. `None` for a polygon that
    /// fills next to nothing of its box.
    pub(crate) fn point(&self, polygon: usize, next: &mut dyn FnMut() -> f64) -> Option<Point> {
        let polygon = self.all.get(polygon)?;
        let [west, south, east, north] = polygon.bounds;
        // Equal areas are equal steps of longitude and of the sine of latitude.
        let (low, high) = (south.to_radians().sin(), north.to_radians().sin());
        (0..DRAWS).find_map(|_| {
            let longitude = west + (east - west) * next();
            let latitude = (low + (high - low) * next()).clamp(-1.0, 1.0).asin().to_degrees();
            let wrapped = (longitude + 180.0).rem_euclid(360.0) - 180.0;
            polygon.holds([wrapped, latitude]).then_some([wrapped, latitude])
        })
    }
}

impl Polygon {
    /// Of rings, the outer one first.
    fn new(rings: &[Vec<Point>]) -> Self {
        let points = || rings.iter().flatten();
        let fold = |pick: usize, better: fn(f64, f64) -> f64, start: f64| {
            points().map(|point| point[pick]).fold(start, better)
        };
        let bounds = [
            fold(0, f64::min, f64::INFINITY),
            fold(1, f64::min, f64::INFINITY),
            fold(0, f64::max, f64::NEG_INFINITY),
            fold(1, f64::max, f64::NEG_INFINITY),
        ];
        let edges = || rings.iter().flat_map(|ring| (0..ring.len()).map(|at| (ring[at], ring[(at + 1) % ring.len()])));
        let count = (points().count() / EDGES).clamp(1, STRIPS);
        let mut polygon = Self { bounds, strips: vec![Vec::new(); count], area: 0.0 };
        for edge in edges() {
            let (low, high) = (edge.0[1].min(edge.1[1]), edge.0[1].max(edge.1[1]));
            for strip in polygon.strip(low)..=polygon.strip(high) {
                polygon.strips[strip].push(edge);
            }
        }
        let sizes = rings.iter().map(|ring| ring_area(ring).abs());
        polygon.area = sizes.enumerate().map(|(ring, size)| if ring == 0 { size } else { -size }).sum::<f64>().max(0.0);
        polygon
    }

    fn strip(&self, latitude: f64) -> usize {
        let [_, south, _, north] = self.bounds;
        let share = (latitude - south) / (north - south).max(f64::MIN_POSITIVE);
        ((share * self.strips.len() as f64) as usize).min(self.strips.len() - 1)
    }

    /// By the number of edges to the east of the point: odd inside, so holes need no care.
    fn holds(&self, [longitude, latitude]: Point) -> bool {
        let [west, south, east, north] = self.bounds;
        if latitude < south || latitude > north {
            return false;
        }
        let edges = &self.strips[self.strip(latitude)];
        [-360.0, 0.0, 360.0].into_iter().map(|turn| longitude + turn).filter(|x| (west..=east).contains(x)).any(|x| {
            let east_of = |(a, b): &&(Point, Point)| {
                (a[1] > latitude) != (b[1] > latitude) && x < (b[0] - a[0]) * (latitude - a[1]) / (b[1] - a[1]) + a[0]
            };
            edges.iter().filter(east_of).count() % 2 == 1
        })
    }
}

/// Area within a ring on a sphere of radius 1, its edges taken as lines in longitude and sine of latitude.
fn ring_area(ring: &[Point]) -> f64 {
    let part = |at: usize| {
        let ([x, y], [u, v]) = (ring[at], ring[(at + 1) % ring.len()]);
        (u - x).to_radians() * (y.to_radians().sin() + v.to_radians().sin()) / 2.0
    };
    (0..ring.len()).map(part).sum()
}

fn collect(geometry: &Value, all: &mut Vec<Polygon>) -> Result<(), String> {
    let parts = |name: &str| geometry[name].as_array().map(Vec::as_slice).unwrap_or_default();
    match geometry["type"].as_str().unwrap_or_default() {
        "Polygon" => all.push(polygon(&geometry["coordinates"])?),
        "MultiPolygon" => {
            for part in parts("coordinates") {
                all.push(polygon(part)?);
            }
        }
        "GeometryCollection" => {
            for part in parts("geometries") {
                collect(part, all)?;
            }
        }
        other => return Err(format!("it holds a {other}, and only polygons have an area")),
    }
    Ok(())
}

fn polygon(coordinates: &Value) -> Result<Polygon, String> {
    let rings: Vec<Vec<Vec<f64>>> = serde_json::from_value(coordinates.clone()).map_err(|error| error.to_string())?;
    let point = |point: &Vec<f64>| match point.as_slice() {
        [x, y, ..] if x.is_finite() && y.is_finite() => Ok([*x, *y]),
        _ => Err("a point of it has no two numbers".to_owned()),
    };
    let ring = |ring: &Vec<Vec<f64>>| ring.iter().map(point).collect::<Result<Vec<Point>, String>>();
    let rings = rings.iter().map(ring).collect::<Result<Vec<_>, String>>()?;
    if rings.first().is_none_or(|outer| outer.len() < 3) {
        return Err("a polygon of it has no corners".into());
    }
    Ok(Polygon::new(&rings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Polygons {
        Polygons::of(&Area::from_wkt(text, "test").unwrap()).unwrap()
    }

    #[test]
    fn holes_and_bays_are_outside() {
        let ring = read("POLYGON((0 0, 10 0, 10 10, 5 2, 0 10, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))");
        for (point, inside) in [([5.0, 1.0], true), ([5.0, 5.0], false), ([1.5, 1.5], false), ([9.5, 8.0], true)] {
            assert_eq!(ring.hold(point), inside, "{point:?}");
        }
        assert!(!ring.hold([-1.0, 5.0]) && !ring.hold([5.0, -1.0]));
    }

    #[test]
    fn many_points_give_the_same_answers_as_few() {
        // A circle of 5000 corners against the distance from its middle.
        let corner = |n: i32| {
            let (sine, cosine) = (f64::from(n % 5000) * std::f64::consts::TAU / 5000.0).sin_cos();
            format!("{} {}", 20.0 + 3.0 * cosine, 40.0 + 3.0 * sine)
        };
        let circle = read(&format!("POLYGON(({}))", (0..=5000).map(corner).collect::<Vec<_>>().join(", ")));
        for step in 0..2000 {
            let (x, y) = (16.5 + 0.0035 * f64::from(step), 36.5 + 0.0035 * f64::from(step * 7 % 2000));
            let distance = (x - 20.0).hypot(y - 40.0);
            assert_eq!(circle.hold([x, y]), distance < 3.0, "{x} {y}");
        }
    }

    #[test]
    fn areas_are_those_of_the_sphere() {
        let globe = Polygons::of_boxes([Bbox([-180.0, -90.0, 180.0, 90.0]), Bbox([0.0, 0.0, 90.0, 30.0])]);
        let areas = globe.areas();
        assert!((areas[0] - 4.0 * std::f64::consts::PI).abs() < 1e-9);
        assert!((areas[1] - std::f64::consts::PI / 4.0).abs() < 1e-9, "half of the height of a quarter of a half");
    }

    #[test]
    fn a_box_across_the_antimeridian_holds_both_sides() {
        let fiji = Polygons::of_boxes([Bbox([177.0, -20.0, -178.0, -15.0])]);
        assert!(fiji.hold([179.0, -17.0]) && fiji.hold([-179.0, -17.0]) && !fiji.hold([-177.0, -17.0]));
        let mut state = 0.0_f64;
        let mut next = || {
            state = (state + 0.618_033_988_75).fract();
            state
        };
        for _ in 0..50 {
            let [longitude, latitude] = fiji.point(0, &mut next).unwrap();
            assert!((-180.0..180.0).contains(&longitude) && fiji.hold([longitude, latitude]));
        }
    }

    #[test]
    fn lines_have_no_area() {
        let area = Area::from_wkt("LINESTRING(0 0, 1 1)", "test").unwrap();
        assert!(Polygons::of(&area).unwrap_err().contains("LineString"));
    }
}
