//! High-resolution RGB: the same ground with crowns, crop rows, roofs and tramlines, as display values.

use crate::classes::Material;
use crate::ground::Looks;
use crate::landscape::{Ground, Landscape};
use crate::layout::Placement;
use crate::noise::{hash, nearest, smooth, unit, unit_of};
use crate::objects::Object;

/// Width of the grass strip around fields in metres.
const MARGIN: f64 = 1.4;

/// One flight over one grid.
pub(crate) struct Flight<'a> {
    pub(crate) landscape: &'a Landscape,
    pub(crate) seed: u64,
    pub(crate) day: f64,
    pub(crate) moisture: f64,
    /// What stands on the ground.
    pub(crate) objects: &'a [Object],
}

impl Flight<'_> {
    /// Red, green and blue of one row.
    pub(crate) fn draw(&self, placement: &Placement<'_>, width: usize, row: usize) -> [Vec<u8>; 3] {
        let mut looks = Looks::new(self.day, self.moisture);
        let places = placement.row(row as i64);
        let mut bands = [Vec::with_capacity(width), Vec::with_capacity(width), Vec::with_capacity(width)];
        let near: Vec<&Object> = self.objects.iter().filter(|object| object.meets_row(places[1].1)).collect();
        for (column, &(x, y)) in places[1..=width].iter().enumerate() {
            let grain = 1.0 + 0.05 * (unit(hash(self.seed ^ 0xf11e, column as i64, row as i64)) - 0.5);
            if let Some(roof) = near.iter().find_map(|object| object.roof((x, y))) {
                for (values, shown) in bands.iter_mut().zip(roof) {
                    values.push((shown * grain).clamp(0.0, 255.0).round() as u8);
                }
                continue;
            }
            let mut ground = self.landscape.at(x, y);
            let field =
                matches!(ground.material, Material::Wheat | Material::Maize | Material::Rapeseed | Material::Beet);
            if field && ground.border < MARGIN {
                ground.material = Material::Garden;
            }
            let (light, patchy) = self.detail(&ground, x, y);
            let reflectance = looks.of(&ground).reflectance(patchy);
            for (values, band) in bands.iter_mut().zip([2, 1, 0]) {
                // A display stretch as orthophotos have: 30 % reflectance is white, dark tones are lifted.
                let shown = (reflectance[band] * light * grain / 0.30).clamp(0.0, 1.0).powf(0.6);
                values.push((255.0 * shown).round() as u8);
            }
        }
        bands
    }

    /// Light on the spot around 1, and unevenness of its cover in `[-1, 1]`.
    fn detail(&self, ground: &Ground, x: f64, y: f64) -> (f64, f64) {
        let rough = |scale: f64| 2.0 * smooth(self.seed ^ 0xde7a, x / scale, y / scale) - 1.0;
        let angle = std::f64::consts::PI * unit_of(ground.parcel, 60);
        let across = x * angle.cos() + y * angle.sin();
        match ground.material {
            Material::Broadleaf => (self.crown(x, y, 8.0), rough(3.0)),
            Material::Conifer => (self.crown(x, y, 5.0), rough(2.0)),
            Material::Maize | Material::Beet => (1.0 + 0.12 * (across * std::f64::consts::TAU / 1.5).sin(), rough(9.0)),
            Material::Wheat | Material::Rapeseed => {
                // The tracks of the sprayer, two wheels every 24 m.
                let track = across.rem_euclid(24.0);
                let driven = track < 0.5 || (1.8..2.3).contains(&track);
                (if driven { 0.72 } else { 1.0 + 0.05 * rough(1.2) }, rough(7.0))
            }
            Material::Grass => (1.0 + 0.10 * rough(2.5), rough(12.0)),
            Material::Garden => (0.95 + 0.30 * rough(2.2), rough(4.0)),
            Material::TileRoof | Material::GreyRoof => {
                (0.8 + 0.35 * (ground.border / 4.0).min(1.0) + 0.05 * rough(0.8), 0.0)
            }
            Material::Paved => (1.0 + 0.15 * rough(3.0), 0.0),
            // A dashed line down the middle.
            Material::Asphalt if ground.border > 5.3 && (x + y).rem_euclid(9.0) < 4.0 => (2.6, 0.0),
            Material::Asphalt => (if ground.border < 1.2 { 1.5 } else { 1.0 + 0.06 * rough(1.0) }, 0.0),
            Material::Water => (1.0 + 0.06 * rough(1.6), 0.0),
        }
    }

    /// Light on a crown: bright towards the sun in the south-east, dark in the gaps.
    fn crown(&self, x: f64, y: f64, size: f64) -> f64 {
        let tree = nearest(self.seed ^ 0x7ee5, x, y, size);
        let (dx, dy) = ((x - tree.site.0) / size, (y - tree.site.1) / size);
        let gap = (tree.border / (0.18 * size)).min(1.0);
        ((0.35 + 0.65 * gap) * (1.0 + 0.7 * (0.6 * dx - 0.8 * dy)) * (0.8 + 0.4 * unit_of(tree.id, 70)))
            .clamp(0.15, 1.9)
    }
}
