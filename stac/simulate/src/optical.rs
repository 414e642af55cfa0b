//! Sentinel-2: reflectance through haze, clouds and shadow to digital numbers, and the scene classification.

use crate::ground::{Looks, Spot};
use crate::noise::{hash, unit_of};
use crate::signature::BANDS;
use crate::sky::{Sky, Veil};

/// Whether each of [`BANDS`] is delivered at 10 m; the others are at 20 m.
pub(crate) const AT_10_M: [bool; 10] = [true, true, true, false, false, false, true, false, false, false];

/// Reflectance of a bright cloud top.
const CLOUD: [f64; 10] = [0.62, 0.61, 0.62, 0.63, 0.64, 0.65, 0.66, 0.67, 0.42, 0.30];
/// Share of the light that comes from the blue sky, which a cloud's shadow leaves.
const SKYLIGHT: [f64; 10] = [0.52, 0.45, 0.38, 0.36, 0.33, 0.32, 0.30, 0.29, 0.24, 0.22];
/// Haze left by the atmospheric correction at its strongest.
const HAZE: [f64; 10] = [0.014, 0.010, 0.007, 0.006, 0.005, 0.004, 0.003, 0.003, 0.001, 0.001];

/// Digital numbers of a block: one vector per band in the order of [`BANDS`], at the band's own resolution.
pub(crate) struct Block {
    pub(crate) bands: [Vec<u16>; 10],
    /// Scene classification at 20 m.
    pub(crate) scl: Vec<u8>,
}

/// One acquisition over one granule.
pub(crate) struct Acquisition<'a> {
    pub(crate) seed: u64,
    /// Names the granule and date, for noise that overlapping granules do not share.
    pub(crate) item_seed: u64,
    pub(crate) day: f64,
    pub(crate) moisture: f64,
    pub(crate) sky: &'a Sky,
    /// Added to every digital number: 1000 from processing baseline 04.00 on.
    pub(crate) added: u16,
}

impl Acquisition<'_> {
    /// Draws the rows from `first` on; `spots` are whole rows of `width`, an even number of each.
    pub(crate) fn draw(&self, spots: &[Spot], width: usize, first: usize) -> Block {
        let rows = spots.len() / width;
        let mut reflectance = vec![[0f32; 10]; spots.len()];
        let mut veils = vec![Veil { cloud: 0.0, shade: 0.0 }; spots.len()];
        let mut water = vec![false; spots.len()];
        let mut looks = Looks::new(self.day, self.moisture);
        for (index, spot) in spots.iter().enumerate() {
            let texture = spot.texture(self.seed);
            let clear = spot.mix(&mut looks, |look| look.reflectance(texture));
            let veil = self.sky.at(spot.place.0, spot.place.1);
            let top = if veil.cloud > 0.0 { self.sky.brightness(spot.place.0, spot.place.1) } else { 0.0 };
            reflectance[index] = std::array::from_fn(|band| {
                let lit = 1.0 - veil.shade * (1.0 - SKYLIGHT[band]);
                let hazy = clear[band] * lit + HAZE[band] * self.sky.haze;
                (hazy * (1.0 - veil.cloud) + CLOUD[band] * top * veil.cloud) as f32
            });
            veils[index] = veil;
            water[index] = looks.of(&spot.grounds()[0]).is_water();
        }
        let bands = std::array::from_fn(|band| {
            let side = if AT_10_M[band] { 1 } else { 2 };
            let (columns, lines) = (width / side, rows / side);
            let mut numbers = Vec::with_capacity(columns * lines);
            for line in 0..lines {
                for column in 0..columns {
                    let mean = mean_of(side, width, line, column, |index| f64::from(reflectance[index][band]));
                    numbers.push(self.digital(mean, band, first / side + line, column));
                }
            }
            numbers
        });
        let scl = (0..rows / 2 * (width / 2))
            .map(|cell| {
                let mean =
                    |value: &dyn Fn(usize) -> f64| mean_of(2, width, cell / (width / 2), cell % (width / 2), value);
                let cloud = mean(&|index| veils[index].cloud);
                let shade = mean(&|index| veils[index].shade);
                let wet = mean(&|index| f64::from(u8::from(water[index])));
                let (red, infrared) =
                    (mean(&|index| f64::from(reflectance[index][2])), mean(&|index| f64::from(reflectance[index][6])));
                classify(cloud, shade, wet, (infrared - red) / (infrared + red).max(1e-6))
            })
            .collect();
        Block { bands, scl }
    }

    /// Sensor noise of 1.2 % and 0.0012, quantised, never the 0 that means nodata.
    fn digital(&self, reflectance: f64, band: usize, row: usize, column: usize) -> u16 {
        let pixel = hash(self.item_seed.wrapping_add(band as u64), column as i64, row as i64);
        // Four uniform numbers make a bell that is near enough to normal, at a tenth of the cost.
        let bell = ((0..4).map(|index| unit_of(pixel, index)).sum::<f64>() - 2.0) * 3f64.sqrt();
        let noisy = reflectance + bell * (0.012 * reflectance).hypot(0.0012);
        ((noisy * 10_000.0).round() + f64::from(self.added)).clamp(1.0, f64::from(u16::MAX)) as u16
    }
}

/// Mean of a square of `side` pixels in an image of `width`.
fn mean_of(side: usize, width: usize, line: usize, column: usize, value: impl Fn(usize) -> f64) -> f64 {
    let corner = line * side * width + column * side;
    (0..side * side).map(|k| value(corner + k / side * width + k % side)).sum::<f64>() / (side * side) as f64
}

/// The code of the Sentinel-2 scene classification.
fn classify(cloud: f64, shade: f64, water: f64, ndvi: f64) -> u8 {
    match () {
        () if cloud > 0.55 => 9,
        () if cloud > 0.20 => 8,
        () if cloud > 0.02 => 10,
        () if shade > 0.08 => 3,
        () if water > 0.5 => 6,
        () if ndvi > 0.4 => 4,
        () => 5,
    }
}

/// The wavelength in micrometres and the common name of each of [`BANDS`].
pub(crate) const BAND_NAMES: [(&str, f64, f64); 10] = [
    ("blue", 0.490, 0.098),
    ("green", 0.560, 0.045),
    ("red", 0.665, 0.038),
    ("rededge071", 0.704, 0.019),
    ("rededge075", 0.740, 0.018),
    ("rededge078", 0.783, 0.028),
    ("nir", 0.842, 0.145),
    ("nir08", 0.865, 0.033),
    ("swir16", 1.610, 0.143),
    ("swir22", 2.190, 0.242),
];

const _: () = assert!(BANDS.len() == BAND_NAMES.len() && BANDS.len() == AT_10_M.len());
