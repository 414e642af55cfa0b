//! What each material looks like to Sentinel-2 and Sentinel-1.
//!
//! Reflectance of pure materials in the ten bands, backscatter in two polarisations; a spot is the mixture of
//! its [`Cover`] in reflectance and in linear power. The numbers were set by hand inside the ranges that the
//! public spectral libraries and C-band studies show; docs/SIMULATION.md has the table and the sources.

use crate::classes::Material;
use crate::noise::unit_of;
use crate::phenology::{Cover, cover};

/// Bands in the order of every spectrum here.
pub(crate) const BANDS: [&str; 10] = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"];

/// Reflectance in percent, one number per band.
type Spectrum = [f64; 10];

/// A pure material: its name in the documentation, its spectrum, and its backscatter VV and VH in dB.
pub(crate) struct Pure {
    #[cfg_attr(not(test), expect(dead_code, reason = "the test that holds the documented table to this one reads it"))]
    pub(crate) name: &'static str,
    pub(crate) spectrum: Spectrum,
    pub(crate) backscatter: [f64; 2],
}

const fn pure(name: &'static str, spectrum: Spectrum, backscatter: [f64; 2]) -> Pure {
    Pure { name, spectrum, backscatter }
}

//                                                B02   B03   B04   B05   B06   B07   B08   B8A   B11   B12     VV     VH
pub(crate) const WATER: Pure = pure("water", [4.2, 4.4, 2.6, 2.1, 1.7, 1.6, 1.4, 1.3, 0.7, 0.5], [-20.5, -28.0]);
pub(crate) const SOIL: Pure =
    pure("bare soil", [7.4, 10.2, 13.4, 15.6, 17.0, 18.4, 19.8, 21.2, 28.0, 24.0], [-12.0, -20.5]);
pub(crate) const STRAW: Pure =
    pure("straw, dry leaves", [8.6, 12.8, 17.5, 21.5, 25.5, 28.5, 31.5, 33.5, 38.0, 27.5], [-13.0, -19.5]);
pub(crate) const WHEAT: Pure =
    pure("wheat, green", [2.8, 5.4, 3.0, 8.6, 30.0, 38.5, 41.5, 43.5, 18.5, 8.6], [-17.0, -21.5]);
pub(crate) const MAIZE: Pure =
    pure("maize, green", [3.2, 6.2, 3.6, 10.0, 31.5, 39.5, 42.5, 44.5, 22.0, 11.0], [-10.3, -15.3]);
pub(crate) const RAPESEED: Pure =
    pure("rapeseed, green", [3.4, 6.8, 3.6, 10.8, 34.0, 42.5, 45.5, 47.5, 23.5, 12.0], [-11.5, -14.3]);
pub(crate) const RAPE_FLOWER: Pure =
    pure("rapeseed, flowering", [6.2, 18.5, 15.5, 22.5, 39.5, 45.5, 48.5, 50.0, 27.0, 14.5], [-11.5, -14.8]);
pub(crate) const BEET: Pure =
    pure("sugar beet, green", [3.5, 7.6, 3.5, 11.5, 38.5, 49.5, 53.0, 55.0, 21.5, 10.0], [-8.8, -15.2]);
pub(crate) const GRASS: Pure =
    pure("grass, green", [3.6, 7.2, 4.4, 11.0, 28.0, 34.5, 37.5, 39.5, 23.0, 12.5], [-12.8, -19.0]);
pub(crate) const BROADLEAF: Pure =
    pure("broad leaves", [2.2, 4.4, 2.5, 7.4, 26.5, 35.0, 38.0, 40.0, 17.5, 7.6], [-9.2, -14.4]);
pub(crate) const AUTUMN: Pure =
    pure("autumn leaves", [3.6, 6.8, 8.8, 13.2, 21.5, 25.0, 27.5, 29.5, 23.5, 13.5], [-8.9, -14.2]);
pub(crate) const LEAFLESS: Pure =
    pure("leafless wood", [3.8, 5.2, 6.6, 8.8, 12.6, 14.6, 16.4, 18.4, 20.5, 13.5], [-8.5, -13.9]);
pub(crate) const CONIFER: Pure =
    pure("conifers", [1.8, 3.0, 2.0, 4.4, 13.6, 17.4, 19.4, 20.6, 9.8, 4.6], [-9.9, -15.8]);
pub(crate) const TILE: Pure =
    pure("tile roof", [7.0, 9.2, 16.5, 19.0, 21.0, 22.6, 24.5, 26.0, 33.0, 31.5], [-3.5, -10.5]);
pub(crate) const GREY_ROOF: Pure =
    pure("concrete or metal roof", [17.5, 19.5, 21.5, 22.5, 23.2, 24.0, 25.0, 25.5, 27.5, 26.5], [-2.0, -10.0]);
pub(crate) const PAVED: Pure =
    pure("paved yard", [11.5, 13.4, 15.2, 16.2, 16.8, 17.6, 18.6, 19.2, 22.5, 20.5], [-9.0, -17.5]);
pub(crate) const ASPHALT: Pure =
    pure("asphalt", [8.0, 8.9, 9.7, 10.3, 10.7, 11.2, 11.9, 12.4, 14.2, 13.4], [-16.5, -24.5]);

/// All pure materials, for the documentation.
#[cfg(test)]
pub(crate) const PURE: [&Pure; 17] = [
    &WATER,
    &SOIL,
    &STRAW,
    &WHEAT,
    &MAIZE,
    &RAPESEED,
    &RAPE_FLOWER,
    &BEET,
    &GRASS,
    &BROADLEAF,
    &AUTUMN,
    &LEAFLESS,
    &CONIFER,
    &TILE,
    &GREY_ROOF,
    &PAVED,
    &ASPHALT,
];

/// The pure materials of a spot: bare, green, dry, flower.
fn parts(material: Material) -> [&'static Pure; 4] {
    match material {
        Material::Water => [&WATER; 4],
        Material::Broadleaf => [&LEAFLESS, &BROADLEAF, &AUTUMN, &BROADLEAF],
        Material::Conifer => [&LEAFLESS, &CONIFER, &CONIFER, &CONIFER],
        Material::Grass | Material::Garden => [&SOIL, &GRASS, &STRAW, &GRASS],
        Material::Wheat => [&SOIL, &WHEAT, &STRAW, &WHEAT],
        Material::Maize => [&SOIL, &MAIZE, &STRAW, &MAIZE],
        Material::Rapeseed => [&SOIL, &RAPESEED, &STRAW, &RAPE_FLOWER],
        Material::Beet => [&SOIL, &BEET, &STRAW, &BEET],
        Material::TileRoof => [&TILE; 4],
        Material::GreyRoof => [&GREY_ROOF; 4],
        Material::Paved => [&PAVED; 4],
        Material::Asphalt => [&ASPHALT; 4],
    }
}

fn shares(cover: Cover, texture: f64) -> [f64; 4] {
    // Patchy growth moves cover between leaf and soil; it never makes more than all of it.
    let green = (cover.green * (1.0 + 0.16 * texture)).clamp(0.0, 1.0 - cover.dry - cover.flower);
    [(1.0 - green - cover.dry - cover.flower).max(0.0), green, cover.dry, cover.flower]
}

/// One parcel on one day, ready to be drawn: the costly part, shared by its pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    material: Material,
    cover: Cover,
    /// How bright this parcel's soil, roof or water is against the table.
    tone: f64,
    /// Soil moisture of the day, 0 dry to 1 wet.
    moisture: f64,
}

impl Look {
    /// The look of a parcel on a day of the year with a soil moisture in `[0, 1]`.
    pub(crate) fn new(material: Material, parcel: u64, day: f64, moisture: f64) -> Self {
        let vary = match material {
            Material::TileRoof | Material::GreyRoof => 0.5,
            Material::Water => 0.12,
            Material::Broadleaf | Material::Conifer => 0.2,
            _ => 0.3,
        };
        Self { material, cover: cover(material, parcel, day), tone: 1.0 + vary * (unit_of(parcel, 50) - 0.5), moisture }
    }

    /// Share of green leaves, 0 to 1.
    pub(crate) fn green(&self) -> f64 {
        self.cover.green
    }

    /// Surface reflectance `[band]`, 0 to 1, where `texture` in `[-1, 1]` is the unevenness within the parcel.
    pub(crate) fn reflectance(&self, texture: f64) -> [f64; 10] {
        let parts = parts(self.material);
        let shares = shares(self.cover, texture);
        let built = matches!(
            self.material,
            Material::TileRoof | Material::GreyRoof | Material::Paved | Material::Asphalt | Material::Water
        );
        // Wet soil is darker (Lobell and Asner 2002): down to about two thirds.
        let damp = if built { 1.0 } else { 1.0 - 0.33 * self.moisture };
        let bare = self.tone * damp * (1.0 + 0.05 * texture);
        let leaf = 1.0 + 0.35 * (self.tone - 1.0) + 0.03 * texture;
        std::array::from_fn(|band| {
            let of = |part: usize| parts[part].spectrum[band] / 100.0 * shares[part];
            of(0) * bare + (of(1) + of(2) + of(3)) * leaf
        })
    }

    /// Mean backscatter `[VV, VH]` in linear power.
    pub(crate) fn backscatter(&self, texture: f64) -> [f64; 2] {
        let parts = parts(self.material);
        let shares = shares(self.cover, texture);
        // Wet soil is brighter by up to 3 dB; roofs differ by their angle to the orbit.
        let soil = match self.material {
            Material::TileRoof | Material::GreyRoof => 10.0 * (self.tone - 1.0),
            Material::Water | Material::Asphalt | Material::Paved => 4.0 * (self.tone - 1.0),
            _ => 3.0 * self.moisture + 5.0 * (self.tone - 1.0),
        };
        std::array::from_fn(|band| {
            let power =
                |part: usize, extra: f64| 10f64.powf((parts[part].backscatter[band] + extra) / 10.0) * shares[part];
            power(0, soil) + power(1, 0.0) + power(2, 0.0) + power(3, 0.0)
        })
    }

    /// Whether this is open water.
    pub(crate) fn is_water(&self) -> bool {
        self.material == Material::Water
    }
}

/// One line per pure material for the documentation.
#[cfg(test)]
pub(crate) fn table() -> String {
    let mut lines =
        format!("| material | {} | VV dB | VH dB |\n|---{}|---|---|\n", BANDS.join(" | "), "|---".repeat(BANDS.len()));
    for pure in PURE {
        let values: Vec<String> = pure.spectrum.iter().map(|value| format!("{value:.1}")).collect();
        lines += &format!(
            "| {} | {} | {:.1} | {:.1} |\n",
            pure.name,
            values.join(" | "),
            pure.backscatter[0],
            pure.backscatter[1]
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_this_one() {
        let documented = include_str!("../../../docs/SIMULATION.md");
        for (name, table) in [("signatures", table()), ("calendars", crate::phenology::table())] {
            assert!(documented.contains(&table), "docs/SIMULATION.md: the table of {name} should read\n\n{table}");
        }
    }

    #[test]
    fn vegetation_has_its_red_edge_and_water_none() {
        let ndvi = |material, day| {
            let r = Look::new(material, 77, day, 0.3).reflectance(0.0);
            (r[6] - r[2]) / (r[6] + r[2])
        };
        assert!(ndvi(Material::Wheat, 150.0) > 0.7 && ndvi(Material::Wheat, 230.0) < 0.4);
        assert!(
            ndvi(Material::Conifer, 20.0) > 0.6
                && ndvi(Material::Water, 200.0) < 0.0
                && ndvi(Material::TileRoof, 200.0) < 0.3
        );
    }

    #[test]
    fn radar_tells_water_from_roofs_and_wood_from_fields() {
        let vh = |material, day| 10.0 * Look::new(material, 77, day, 0.3).backscatter(0.0)[1].log10();
        assert!(vh(Material::Water, 200.0) < -26.0 && vh(Material::TileRoof, 200.0) > -13.0);
        assert!(vh(Material::Broadleaf, 100.0) > vh(Material::Maize, 100.0) + 3.0);
        assert!(vh(Material::Maize, 220.0) > vh(Material::Wheat, 150.0) + 3.0);
    }
}
