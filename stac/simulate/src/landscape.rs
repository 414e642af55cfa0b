//! The ground: which material covers each spot, as a pure function of place and seed.
//!
//! Lakes and settlements are level sets of noise, parcels are Voronoi cells that are forest, grassland or
//! one crop as a whole, roads run along the borders of larger cells. Nothing is stored per pixel: the
//! same function draws a label at 10 m and a roof at 0.3125 m.

use crate::classes::Material;
use crate::noise::{Nearest, fractal, hash, nearest, unit_of};
use crate::spec::SceneSpec;

/// Share of a scene under lakes, under settlements, and of the parcels under forest.
const WATER_SHARE: f64 = 0.08;
const SETTLED_SHARE: f64 = 0.09;
const FOREST_SHARE: f64 = 0.28;
/// Half the width of a road in metres; with its verges a road is as wide as a Sentinel-2 pixel.
const ROAD_HALF_WIDTH: f64 = 5.5;
/// Side of a plot in a settlement in metres.
const PLOT: f64 = 26.0;

/// What is found at a spot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ground {
    pub(crate) material: Material,
    /// Names the parcel, plot or water body: what varies between parcels follows from it.
    pub(crate) parcel: u64,
    /// Metres to the border of the parcel.
    pub(crate) border: f64,
}

/// The landscape of one scene, in metres of the scene's first zone.
#[derive(Debug, Clone)]
pub(crate) struct Landscape {
    seed: u64,
    /// Side of a typical parcel, of a road mesh, and wavelength of lakes, woods and settlements, in metres.
    parcel: f64,
    mesh: f64,
    wave: f64,
    water_above: f64,
    settled_above: f64,
    forest_above: f64,
    crops: Vec<(Material, f64)>,
    woods: Vec<Material>,
    has_roads: bool,
    /// Share of the parcels that are built over.
    built: f64,
}

impl Landscape {
    /// The same with a share of its parcels built over.
    pub(crate) fn built(&self, share: f64) -> Self {
        Self { built: share, ..self.clone() }
    }

    /// The landscape of a scene that covers `[west, south, east, north]`.
    pub(crate) fn new(spec: &SceneSpec, bounds: [f64; 4]) -> Self {
        // In a scene of less than 3 km everything shrinks with it, so a small one shows all classes too.
        let relief = ((bounds[2] - bounds[0]) / 3_000.0).clamp(0.4, 1.0);
        let sown = [
            (Material::Grass, 0.20),
            (Material::Wheat, 0.27),
            (Material::Maize, 0.22),
            (Material::Rapeseed, 0.16),
            (Material::Beet, 0.15),
        ];
        let allowed = |material: Material| spec.has(material.class_value());
        let mut landscape = Self {
            seed: spec.seed,
            parcel: 190.0 * relief,
            mesh: 1_100.0 * relief,
            wave: 900.0 * relief,
            water_above: f64::INFINITY,
            settled_above: f64::INFINITY,
            forest_above: f64::INFINITY,
            crops: sown.into_iter().filter(|(material, _)| allowed(*material)).collect(),
            woods: [Material::Broadleaf, Material::Conifer].into_iter().filter(|m| allowed(*m)).collect(),
            has_roads: allowed(Material::Asphalt),
            built: 0.0,
        };
        if allowed(Material::Water) {
            landscape.water_above = quantile(bounds, 1.0 - WATER_SHARE, |x, y| landscape.wetness(x, y));
        }
        if allowed(Material::Paved) {
            landscape.settled_above = quantile(bounds, 1.0 - SETTLED_SHARE, |x, y| landscape.settlement(x, y));
        }
        if landscape.crops.is_empty() {
            landscape.forest_above = f64::NEG_INFINITY;
        } else if !landscape.woods.is_empty() {
            landscape.forest_above = quantile(bounds, 1.0 - FOREST_SHARE, |x, y| landscape.wood(x, y));
        }
        landscape
    }

    /// What covers the spot at easting `x`, northing `y`.
    pub(crate) fn at(&self, x: f64, y: f64) -> Ground {
        let wetness = self.wetness(x, y);
        if wetness > self.water_above {
            // The border of a lake is where the noise crosses its level: steepness 0.5 over a wavelength.
            let border = (wetness - self.water_above) * self.wave;
            return Ground { material: Material::Water, parcel: hash(self.seed, 1, 1), border };
        }
        if self.has_roads {
            let mesh = nearest(self.stream(4), x, y, self.mesh);
            if mesh.border < ROAD_HALF_WIDTH {
                return Ground { material: Material::Asphalt, parcel: mesh.id, border: ROAD_HALF_WIDTH - mesh.border };
            }
        }
        if self.settlement(x, y) > self.settled_above {
            return self.plot(x, y);
        }
        // Bent slightly, so that borders are not ruled with a straight edge.
        let bend = |index: i64| (fractal(self.stream(index), x / 70.0, y / 70.0, 2) - 0.5) * 14.0;
        let cell = nearest(self.stream(5), x + bend(6), (y + bend(7)) * 1.35, self.parcel);
        Ground { material: self.cover(&cell), parcel: cell.id, border: cell.border }
    }

    /// What covers a whole parcel, decided at its site.
    fn cover(&self, cell: &Nearest) -> Material {
        if unit_of(cell.id, 22) < self.built {
            return Material::Paved;
        }
        let (x, y) = (cell.site.0, cell.site.1 / 1.35);
        if self.wood(x, y) > self.forest_above && !self.woods.is_empty() {
            let pick = fractal(self.stream(8), x / self.wave, y / self.wave, 2) + 0.35 * (unit_of(cell.id, 20) - 0.5);
            return self.woods[usize::from(pick > 0.5).min(self.woods.len() - 1)];
        }
        let total: f64 = self.crops.iter().map(|(_, share)| share).sum();
        let mut left = unit_of(cell.id, 21) * total;
        for (material, share) in &self.crops {
            left -= share;
            if left < 0.0 {
                return *material;
            }
        }
        // Rounding only: the shares were all taken off and a hair was left. Without crops all parcels are wood.
        self.crops.last().map_or(Material::Broadleaf, |(material, _)| *material)
    }

    /// Roof, yard or garden within a settlement.
    fn plot(&self, x: f64, y: f64) -> Ground {
        let (column, row) = ((x / PLOT).floor(), (y / PLOT).floor());
        let id = hash(self.stream(9), column as i64, row as i64);
        let share = |index: u64| unit_of(id, index);
        let (half_width, half_depth) = (4.0 + 5.5 * share(1), 4.0 + 5.5 * share(2));
        let middle = |cell: f64, index: u64| (cell + 0.5) * PLOT + (share(index) - 0.5) * 6.0;
        let (dx, dy) = ((x - middle(column, 3)).abs(), (y - middle(row, 4)).abs());
        let border = (half_width - dx).min(half_depth - dy);
        let material = if border > 0.0 {
            if share(5) < 0.62 { Material::TileRoof } else { Material::GreyRoof }
        } else if share(6) < 0.55 || border > -2.5 {
            Material::Paved
        } else {
            Material::Garden
        };
        Ground { material, parcel: id, border: border.abs() }
    }

    fn wetness(&self, x: f64, y: f64) -> f64 {
        fractal(self.stream(1), x / self.wave, y / self.wave, 3)
    }

    fn settlement(&self, x: f64, y: f64) -> f64 {
        fractal(self.stream(2), x / (0.8 * self.wave), y / (0.8 * self.wave), 2)
    }

    fn wood(&self, x: f64, y: f64) -> f64 {
        fractal(self.stream(3), x / (0.9 * self.wave), y / (0.9 * self.wave), 2)
    }

    fn stream(&self, index: i64) -> u64 {
        hash(self.seed, 0x1a4d, index)
    }
}

/// The value that a share `level` of the area lies below, from a lattice of samples.
pub(crate) fn quantile(bounds: [f64; 4], level: f64, field: impl Fn(f64, f64) -> f64) -> f64 {
    const SIDE: usize = 96;
    let [west, south, east, north] = bounds;
    let at = |low: f64, high: f64, index: usize| low + (high - low) * (index as f64 + 0.5) / SIDE as f64;
    let mut values: Vec<f64> =
        (0..SIDE * SIDE).map(|i| field(at(west, east, i % SIDE), at(south, north, i / SIDE))).collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * level.clamp(0.0, 1.0)).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CLASSES;

    fn shares(spec: &SceneSpec) -> Vec<f64> {
        let side = spec.size as f64 * 10.0;
        let landscape = Landscape::new(spec, [400_000.0, 5_300_000.0, 400_000.0 + side, 5_300_000.0 + side]);
        let mut counts = vec![0.0; 11];
        let cells = 128;
        for i in 0..cells * cells {
            let place = |index: usize| (index as f64 + 0.5) * side / cells as f64;
            let ground = landscape.at(400_000.0 + place(i % cells), 5_300_000.0 + place(i / cells));
            counts[usize::from(ground.material.class_value())] += 1.0 / (cells * cells) as f64;
        }
        counts
    }

    #[test]
    fn every_class_occurs_in_scenes_of_any_seed() {
        for (seed, size) in [(1, 256), (2, 256), (3, 512), (4, 320)] {
            let shares = shares(&SceneSpec { seed, size, ..SceneSpec::default() });
            for class in CLASSES {
                assert!(shares[usize::from(class.value)] > 0.005, "seed {seed}, {}: {shares:?}", class.name);
            }
            assert!(shares.iter().all(|share| *share < 0.4), "{shares:?}");
        }
    }

    #[test]
    fn about_the_share_of_parcels_is_built_over_and_nothing_else_changes() {
        let spec = SceneSpec { size: 512, ..SceneSpec::default() };
        let before = Landscape::new(&spec, [400_000.0, 5_300_000.0, 405_120.0, 5_305_120.0]);
        let after = before.built(0.3);
        let (mut parcels, mut built) = (0, 0);
        for at in 0..128 * 128 {
            let place = |index: usize| (index as f64 + 0.5) * 40.0;
            let (x, y) = (400_000.0 + place(at % 128), 5_300_000.0 + place(at / 128));
            let (one, other) = (before.at(x, y), after.at(x, y));
            let open = (2..=8).contains(&one.material.class_value());
            assert!(one == other || (open && other.material == Material::Paved), "{one:?} became {other:?}");
            parcels += usize::from(open);
            built += usize::from(one != other);
        }
        let share = built as f64 / parcels as f64;
        assert!((0.2..0.4).contains(&share), "{share}");
    }

    #[test]
    fn classes_left_out_do_not_occur() {
        let only = |names: &[&str]| SceneSpec {
            classes: names.iter().map(|n| (*n).to_owned()).collect(),
            ..SceneSpec::default()
        };
        let crops = shares(&only(&["maize", "water"]));
        assert!(crops[6] > 0.8 && crops[1] > 0.02 && (crops[6] + crops[1] - 1.0).abs() < 1e-9, "{crops:?}");
        let wood = shares(&only(&["conifer"]));
        assert!((wood[3] - 1.0).abs() < 1e-9, "{wood:?}");
    }
}
