//! How much of a spot is green, dry, in flower or bare on a day of the year.

use crate::classes::Material;
use crate::noise::{hash, unit_of};

/// Shares of the ground: green leaves, dry leaves or straw, flowers; the rest is bare (or leafless wood).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cover {
    pub(crate) green: f64,
    pub(crate) dry: f64,
    pub(crate) flower: f64,
}

/// The calendar of one crop or wood; days of the year for the northern middle latitudes.
///
/// After the double logistic model of vegetation indices (Beck et al. 2006, Remote Sens. Environ. 100),
/// with the dry phase, harvest and flowering of crops added. docs/SIMULATION.md names where the days come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    pub(crate) name: &'static str,
    /// Green share in winter, and at the peak.
    base: f64,
    peak: f64,
    /// Day and width in days of the rise and of the fall.
    rise: (f64, f64),
    fall: (f64, f64),
    /// Day of harvest (dry matter goes), and dry share between fall and harvest.
    harvest: f64,
    dry: f64,
    /// Day on which the next winter crop covers the ground again.
    sown: f64,
    /// Day, width and share of flowers at their height.
    flower: (f64, f64, f64),
    /// Days by which parcels differ from each other, either way.
    spread: f64,
}

const NEVER: f64 = 1_000.0;
const NO_FLOWER: (f64, f64, f64) = (0.0, 1.0, 0.0);

#[rustfmt::skip]
pub(crate) const CALENDARS: [Calendar; 7] = [
    Calendar { name: "broadleaf",    base: 0.04, peak: 0.97, rise: (114.0, 6.0),  fall: (291.0, 8.0),  harvest: 318.0, dry: 0.85, sown: NEVER, flower: NO_FLOWER, spread: 6.0 },
    Calendar { name: "grassland",    base: 0.50, peak: 0.88, rise: (100.0, 11.0), fall: (285.0, 16.0), harvest: NEVER, dry: 0.25, sown: NEVER, flower: NO_FLOWER, spread: 8.0 },
    Calendar { name: "winter_wheat", base: 0.22, peak: 0.93, rise: (96.0, 9.0),   fall: (179.0, 6.0),  harvest: 206.0, dry: 0.88, sown: 305.0, flower: NO_FLOWER, spread: 9.0 },
    Calendar { name: "maize",        base: 0.00, peak: 0.92, rise: (166.0, 7.0),  fall: (256.0, 7.0),  harvest: 280.0, dry: 0.80, sown: NEVER, flower: NO_FLOWER, spread: 10.0 },
    Calendar { name: "rapeseed",     base: 0.38, peak: 0.92, rise: (86.0, 8.0),   fall: (166.0, 7.0),  harvest: 196.0, dry: 0.82, sown: 258.0, flower: (124.0, 8.0, 0.62), spread: 7.0 },
    Calendar { name: "sugar_beet",   base: 0.00, peak: 0.95, rise: (152.0, 8.0),  fall: (296.0, 9.0),  harvest: 304.0, dry: 0.20, sown: NEVER, flower: NO_FLOWER, spread: 9.0 },
    Calendar { name: "garden",       base: 0.42, peak: 0.72, rise: (102.0, 12.0), fall: (290.0, 15.0), harvest: NEVER, dry: 0.20, sown: NEVER, flower: NO_FLOWER, spread: 10.0 },
];

impl Calendar {
    fn of(material: Material) -> Option<&'static Self> {
        let name = match material {
            Material::Broadleaf => "broadleaf",
            Material::Grass => "grassland",
            Material::Wheat => "winter_wheat",
            Material::Maize => "maize",
            Material::Rapeseed => "rapeseed",
            Material::Beet => "sugar_beet",
            Material::Garden => "garden",
            _ => return None,
        };
        CALENDARS.iter().find(|calendar| calendar.name == name)
    }
}

/// What one parcel shows on `day` (1 to 366), south of the equator half a year later.
pub(crate) fn cover(material: Material, parcel: u64, day: f64) -> Cover {
    let Some(calendar) = Calendar::of(material) else {
        // Conifers stay; everything else here is water, stone or tile.
        let green = if material == Material::Conifer {
            0.92 + 0.06 * (std::f64::consts::TAU * (day - 105.0) / 365.0).sin()
        } else {
            0.0
        };
        return Cover { green, dry: 0.0, flower: 0.0 };
    };
    let step = |at: f64, width: f64, day: f64| 1.0 / (1.0 + (-(day - at) / width).exp());
    let day = day - calendar.spread * (2.0 * unit_of(parcel, 30) - 1.0);
    let vigour = 0.9 + 0.14 * unit_of(parcel, 31);
    let (risen, fallen) = (step(calendar.rise.0, calendar.rise.1, day), step(calendar.fall.0, calendar.fall.1, day));
    // A crop that is harvested leaves no winter green until the next one is up.
    let resown = if calendar.sown < NEVER { step(calendar.sown, 8.0, day) } else { 0.0 };
    let winter = if calendar.harvest < NEVER { calendar.base * (1.0 - fallen + resown) } else { calendar.base };
    let mut green = (winter + (calendar.peak - calendar.base) * risen * (1.0 - fallen)) * vigour;
    if material == Material::Grass {
        green *= 1.0 - mown(parcel, day);
    }
    let green = green.clamp(0.0, 0.98);
    let cut = if calendar.harvest < NEVER { step(calendar.harvest, 2.5, day) } else { 0.0 };
    // A sixth of the straw stays as stubble until the soil is worked some weeks later.
    let stubble = 0.16 * cut * (1.0 - step(calendar.harvest + 35.0, 10.0, day));
    let dry = (calendar.dry * (fallen * (1.0 - cut) + fallen * stubble)).min(1.0 - green);
    let (flower_day, flower_width, flower_share) = calendar.flower;
    let flower = flower_share * (-((day - flower_day) / flower_width).powi(2) / 2.0).exp() * green;
    Cover { green: green - flower, dry, flower }
}

/// Share of grass that a cut takes away: two or three cuts a year, each grown back after three weeks.
fn mown(parcel: u64, day: f64) -> f64 {
    let cuts = 2 + (hash(parcel, 40, 0) % 2);
    (0..cuts)
        .map(|cut| {
            let at = 138.0 + 45.0 * cut as f64 + 16.0 * unit_of(parcel, 41 + cut);
            if day < at { 0.0 } else { 0.5 * (-(day - at) / 14.0).exp() }
        })
        .fold(0.0, f64::max)
}

/// One line per calendar for the documentation.
#[cfg(test)]
pub(crate) fn table() -> String {
    let mut lines = String::from(
        "| class | winter green | peak green | rise | fall | harvest | dry share | sown again | flowers |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let day = |day: f64| if day < NEVER { format!("{day:.0}") } else { "–".into() };
    for c in CALENDARS {
        let flower = if c.flower.2 > 0.0 {
            format!("{:.0} ± {:.0}, {:.2}", c.flower.0, c.flower.1, c.flower.2)
        } else {
            "–".into()
        };
        lines += &format!(
            "| {} | {:.2} | {:.2} | {:.0} ± {:.0} | {:.0} ± {:.0} | {} | {:.2} | {} | {flower} |\n",
            c.name,
            c.base,
            c.peak,
            c.rise.0,
            c.rise.1,
            c.fall.0,
            c.fall.1,
            day(c.harvest),
            c.dry,
            day(c.sown)
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_stay_shares_through_the_year() {
        for material in [
            Material::Wheat,
            Material::Maize,
            Material::Rapeseed,
            Material::Beet,
            Material::Grass,
            Material::Broadleaf,
            Material::Conifer,
            Material::Garden,
        ] {
            for parcel in 0..40 {
                for day in 1..=366 {
                    let c = cover(material, hash(5, parcel, 0), f64::from(day));
                    assert!(
                        c.green >= 0.0 && c.dry >= 0.0 && c.flower >= 0.0 && c.green + c.dry + c.flower <= 1.0 + 1e-9,
                        "{material:?} {day} {c:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn crops_have_their_season() {
        let green = |material, day| cover(material, hash(1, 2, 3), day).green;
        assert!(green(Material::Wheat, 150.0) > 0.8 && green(Material::Maize, 150.0) < 0.25);
        assert!(green(Material::Wheat, 225.0) < 0.1 && green(Material::Maize, 225.0) > 0.8);
        assert!(green(Material::Beet, 275.0) > 0.7 && green(Material::Maize, 290.0) < 0.2);
        assert!(cover(Material::Rapeseed, hash(1, 2, 3), 124.0).flower > 0.25);
        assert!(green(Material::Broadleaf, 30.0) < 0.1 && green(Material::Broadleaf, 200.0) > 0.8);
    }
}
