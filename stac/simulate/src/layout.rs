//! Where the scene lies, which granules cover it, and on which days it is seen.

use skysense_grid::{Affine, Crs, GeoBox};

use crate::noise::{hash, unit, unit_of};
use crate::spec::SceneSpec;
use crate::utm::Zone;
use crate::{Result, SimulateError};

/// Side of a Sentinel-2 pixel of the finest bands in metres.
pub(crate) const PIXEL: f64 = 10.0;
/// High-resolution pixels to one of 10 m along a side.
pub(crate) const HR_FACTOR: usize = 32;

/// One Sentinel-2 granule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Granule {
    /// Such as `33N-0`, unique in the scene.
    pub(crate) name: String,
    pub(crate) zone: Zone,
    /// The 10 m grid; both sides are even, so the 20 m grid fits on it.
    pub(crate) geobox: GeoBox,
}

/// All grids of a scene.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Zone of the landscape, the labels, radar and high resolution.
    pub(crate) zone: Zone,
    /// The 10 m grid of the whole scene in that zone.
    pub(crate) area: GeoBox,
    pub(crate) granules: Vec<Granule>,
    /// The grid at 0.3125 m, where high resolution was asked for.
    pub(crate) hr: Option<GeoBox>,
    /// Longitude and latitude of the middle.
    pub(crate) center: (f64, f64),
}

impl Layout {
    pub(crate) fn new(spec: &SceneSpec) -> Result<Self> {
        let [mut longitude, latitude] = spec.center;
        if spec.zones == 2 {
            longitude = ((longitude / 6.0).round() * 6.0).clamp(-174.0, 174.0);
        }
        // On the border itself the western zone comes first.
        let zone = Zone::of(if spec.zones == 2 { longitude - 0.1 } else { longitude }, latitude);
        let (east, north) = zone.forward(longitude, latitude);
        // Grids lie on multiples of 20 m, as those of the real granules do.
        let snap = |value: f64| (value / 20.0).round() * 20.0;
        let side = spec.size as f64 * PIXEL;
        let origin = Affine::north_up(snap(east - side / 2.0), snap(north + side / 2.0), PIXEL);
        let area = GeoBox::new(Crs::epsg(zone.epsg()), origin, spec.size, spec.size)?;
        let granules = granules(spec, zone, &area)?;
        let hr = match spec.hr {
            0 => None,
            pixels => {
                let start = ((spec.size - pixels) / 2) as f64;
                let part = GeoBox::new(area.crs.clone(), area.transform.translated(start, start), pixels, pixels)?;
                Some(part.finer(HR_FACTOR)?)
            }
        };
        Ok(Self { zone, area, granules, hr, center: (longitude, latitude) })
    }
}

fn granules(spec: &SceneSpec, zone: Zone, area: &GeoBox) -> Result<Vec<Granule>> {
    let [west, south, east, north] = area.bounds();
    if spec.zones == 1 {
        return split(zone, [west, south, east, north], spec.granules);
    }
    // The western zone's granules reach a tenth of the scene over the middle, so that the zones overlap.
    let (middle, reach) = ((west + east) / 2.0, (east - west) / 20.0);
    let mut all = split(zone, [west, south, middle + reach, north], spec.granules)?;
    let eastern = zone.east();
    let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for step in 0..=16 {
        let t = f64::from(step) / 16.0;
        let (x, y) = (middle - reach + (east - middle + reach) * t, south + (north - south) * t);
        for (x, y) in [(x, south), (x, north), (middle - reach, y), (east, y)] {
            let (longitude, latitude) = zone.inverse(x, y);
            let (x, y) = eastern.forward(longitude, latitude);
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
        }
    }
    all.extend(split(eastern, bounds, spec.granules)?);
    Ok(all)
}

/// `count` granules side by side, each reaching a tenth of its width into its eastern neighbour.
fn split(zone: Zone, [west, south, east, north]: [f64; 4], count: usize) -> Result<Vec<Granule>> {
    let stride = (east - west) / count as f64;
    (0..count)
        .map(|index| {
            let left = west + stride * index as f64;
            let right = (left + stride * 1.1).min(east);
            // Even numbers of 10 m pixels on multiples of 20 m.
            let coarse = GeoBox::covering(Crs::epsg(zone.epsg()), [left, south, right, north], 20.0, (0.0, 0.0))?;
            let geobox = GeoBox::new(coarse.crs, coarse.transform.scaled(0.5), coarse.width * 2, coarse.height * 2)?;
            let name = format!("{}{}-{index}", zone.number, if zone.south { 'S' } else { 'N' });
            Ok(Granule { name, zone, geobox })
        })
        .collect::<Result<_>>()
}

/// `count` different days of the year within the season, in order, about evenly spaced.
///
/// # Errors
/// More dates than days.
pub(crate) fn days(spec: &SceneSpec, count: usize, stream: i64) -> Result<Vec<u32>> {
    let [first, last] = spec.season;
    let length = (last - first + 1) as usize;
    if count > length {
        return Err(SimulateError::Spec {
            field: "dates",
            value: count.to_string(),
            expected: format!("at most the {length} days of the season"),
        });
    }
    Ok((0..count)
        .map(|index| {
            let (start, end) = (index * length / count, (index + 1) * length / count);
            // Each date falls into its own part of the season, so no two share a day.
            let inside = unit(hash(spec.seed, stream, index as i64)) * (end - start) as f64;
            first + (start + inside as usize) as u32
        })
        .collect())
}

/// Maps pixels of any granule to easting and northing in the landscape's zone.
#[derive(Debug, Clone)]
pub(crate) struct Placement<'a> {
    geobox: &'a GeoBox,
    zones: Option<(Zone, Zone)>,
}

impl<'a> Placement<'a> {
    pub(crate) fn new(geobox: &'a GeoBox, zone: Zone, landscape: Zone) -> Self {
        Self { geobox, zones: (zone != landscape).then_some((zone, landscape)) }
    }

    /// The places of the pixel centres `-1..=width` of a row; the row may lie outside the grid.
    pub(crate) fn row(&self, row: i64) -> Vec<(f64, f64)> {
        let (width, y) = (self.geobox.width as i64, row as f64 + 0.5);
        let exact = |column: i64| {
            let (x, y) = self.geobox.transform.apply(column as f64 + 0.5, y);
            match self.zones {
                None => (x, y),
                Some((from, to)) => {
                    let (longitude, latitude) = from.inverse(x, y);
                    to.forward(longitude, latitude)
                }
            }
        };
        if self.zones.is_none() {
            return (-1..=width).map(exact).collect();
        }
        // Over 32 pixels the map between zones is straight to a millimetre.
        const STEP: i64 = 32;
        let mut places = Vec::with_capacity(width as usize + 2);
        let mut start = -1;
        while start <= width {
            let (a, b) = (exact(start), exact(start + STEP));
            for column in start..(start + STEP).min(width + 1) {
                let t = (column - start) as f64 / STEP as f64;
                places.push((a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t));
            }
            start += STEP;
        }
        places
    }
}

/// Soil moisture of a day in `[0, 1]`: dry and wet spells of some ten days, wetter in winter.
pub(crate) fn moisture(seed: u64, day: u32) -> f64 {
    let spell = hash(seed, 0x3a1f, i64::from(day / 10));
    let winter = 0.25 * (std::f64::consts::TAU * (f64::from(day) + 10.0) / 365.0).cos();
    (0.4 + winter + 0.35 * (unit_of(spell, 0) - 0.5)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn granules_cover_the_scene_and_overlap() {
        let layout = Layout::new(&SceneSpec { size: 301, granules: 3, ..SceneSpec::default() }).unwrap();
        let bounds: Vec<_> = layout.granules.iter().map(|g| g.geobox.bounds()).collect();
        let area = layout.area.bounds();
        assert!(bounds[0][0] <= area[0] && bounds[2][2] >= area[2]);
        for pair in bounds.windows(2) {
            assert!(pair[0][2] - pair[1][0] >= 80.0, "{bounds:?}");
        }
        for granule in &layout.granules {
            assert!(granule.geobox.width % 2 == 0 && granule.geobox.height % 2 == 0);
            assert!(granule.geobox.bounds().iter().all(|value| value.rem_euclid(20.0) == 0.0));
        }
    }

    #[test]
    fn two_zones_share_the_ground() {
        let layout =
            Layout::new(&SceneSpec { size: 200, zones: 2, center: [13.0, 47.9], ..SceneSpec::default() }).unwrap();
        assert_eq!(
            layout.granules.iter().map(|g| g.geobox.crs.to_string()).collect::<Vec<_>>(),
            ["EPSG:32632", "EPSG:32633"]
        );
        let east = &layout.granules[1];
        let placement = Placement::new(&east.geobox, east.zone, layout.zone);
        let row = placement.row(70);
        assert_eq!(row.len(), east.geobox.width + 2);
        for column in [0usize, 17, 50, east.geobox.width - 1] {
            let (x, y) = east.geobox.transform.apply(column as f64 + 0.5, 70.5);
            let (longitude, latitude) = east.zone.inverse(x, y);
            let (ex, ey) = layout.zone.forward(longitude, latitude);
            assert!((row[column + 1].0 - ex).hypot(row[column + 1].1 - ey) < 2e-3);
        }
        // The eastern granule reaches into the western half.
        assert!(row[1].0 < (layout.area.bounds()[0] + layout.area.bounds()[2]) / 2.0);
    }

    #[test]
    fn days_are_different_and_in_season() {
        let spec = SceneSpec { season: [100, 139], ..SceneSpec::default() };
        let days = days(&spec, 40, 1).unwrap();
        assert_eq!(days, (100..140).collect::<Vec<_>>());
        assert!(super::days(&spec, 41, 1).is_err());
    }
}
