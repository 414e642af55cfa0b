//! Sun, clouds and haze of one date.

use crate::landscape::quantile;
use crate::noise::{fractal, hash, unit, unit_of};

/// Where the sun stands, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sun {
    pub(crate) elevation: f64,
    /// Clockwise from north.
    pub(crate) azimuth: f64,
}

impl Sun {
    /// The sun over a place on a day of the year at `hour` of local solar time, without refraction.
    ///
    /// The declination is Cooper's formula (1969); better than a degree, which is all that shadows need.
    pub(crate) fn new(latitude: f64, day: f64, hour: f64) -> Self {
        let declination = 23.45f64.to_radians() * (std::f64::consts::TAU * (284.0 + day) / 365.0).sin();
        let (latitude, angle) = (latitude.to_radians(), ((hour - 12.0) * 15.0).to_radians());
        let up = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * angle.cos();
        let east = -declination.cos() * angle.sin();
        let north = latitude.cos() * declination.sin() - latitude.sin() * declination.cos() * angle.cos();
        Self {
            elevation: up.clamp(-1.0, 1.0).asin().to_degrees(),
            azimuth: east.atan2(north).to_degrees().rem_euclid(360.0),
        }
    }
}

/// The sky of one date.
#[derive(Debug, Clone)]
pub(crate) struct Sky {
    seed: u64,
    /// Wavelength of the clouds in metres.
    wave: f64,
    /// Level of the noise above which there is cloud.
    above: f64,
    /// From a spot on the ground to the cloud that shades it, in metres.
    toward_sun: (f64, f64),
    /// Strength of the haze, 0 to 1.
    pub(crate) haze: f64,
}

/// What the sky does to one spot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Veil {
    /// Share of the light that comes from cloud: 0 clear, 1 opaque.
    pub(crate) cloud: f64,
    /// Share of direct sunlight that a cloud takes away.
    pub(crate) shade: f64,
}

impl Sky {
    /// The sky over `bounds` with `share` of it under cloud.
    pub(crate) fn new(seed: u64, bounds: [f64; 4], share: f64, sun: Sun) -> Self {
        let wave = ((bounds[2] - bounds[0]) / 2.5).clamp(250.0, 2_500.0);
        let mut sky = Self { seed, wave, above: f64::INFINITY, toward_sun: (0.0, 0.0), haze: unit(hash(seed, 3, 0)) };
        if share > 0.0 {
            sky.above = quantile(bounds, 1.0 - share, |x, y| sky.thickness(x, y));
            let away = 0.45 * wave / sun.elevation.max(12.0).to_radians().tan();
            let azimuth = sun.azimuth.to_radians();
            sky.toward_sun = (azimuth.sin() * away, azimuth.cos() * away);
        }
        sky
    }

    /// What the sky does at easting `x`, northing `y`.
    pub(crate) fn at(&self, x: f64, y: f64) -> Veil {
        if self.above == f64::INFINITY {
            return Veil { cloud: 0.0, shade: 0.0 };
        }
        let cloud = self.opacity(x, y);
        let shade = self.opacity(x + self.toward_sun.0, y + self.toward_sun.1) * (1.0 - cloud);
        Veil { cloud, shade }
    }

    /// How bright the tops of the clouds are here, around 1.
    pub(crate) fn brightness(&self, x: f64, y: f64) -> f64 {
        0.85 + 0.3 * fractal(self.seed ^ 0x5eed, x / (0.3 * self.wave), y / (0.3 * self.wave), 3)
    }

    fn opacity(&self, x: f64, y: f64) -> f64 {
        let t = ((self.thickness(x, y) - self.above) / 0.07).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }

    fn thickness(&self, x: f64, y: f64) -> f64 {
        fractal(self.seed, x / self.wave, y / self.wave, 4)
    }
}

/// The cloud share of each of `dates` dates: spread evenly about `mean` and put in random order, so that
/// every scene has clear and cloudy dates and their mean is `mean`.
pub(crate) fn cloud_shares(seed: u64, dates: usize, mean: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..dates).collect();
    order.sort_by_key(|&index| hash(seed, 0xc10d, index as i64));
    // Share = u^k on (0, 1) has the mean 1 / (k + 1); a fifth of the scene may stay clear of even the worst date.
    let exponent = if mean > 0.0 { (0.95 / mean - 1.0).max(0.05) } else { 0.0 };
    let share = |rank: usize| if mean > 0.0 { 0.95 * ((rank as f64 + 0.5) / dates as f64).powf(exponent) } else { 0.0 };
    order.into_iter().map(|rank| (share(rank) * (0.95 + 0.1 * unit_of(seed, rank as u64))).min(0.95)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sun_stands_where_it_should() {
        let noon = Sun::new(48.2, 172.0, 12.0);
        assert!((noon.elevation - 65.2).abs() < 0.5 && (noon.azimuth - 180.0).abs() < 0.1, "{noon:?}");
        let morning = Sun::new(48.2, 80.0, 10.5);
        assert!(morning.elevation < 42.0 && (130.0..170.0).contains(&morning.azimuth), "{morning:?}");
        assert!(Sun::new(-25.0, 172.0, 12.0).azimuth < 1.0);
    }

    #[test]
    fn shares_have_the_mean_that_was_asked_for() {
        for mean in [0.0, 0.1, 0.3, 0.6] {
            let shares = cloud_shares(4, 40, mean);
            let got = shares.iter().sum::<f64>() / 40.0;
            assert!((got - mean).abs() < 0.03, "{mean}: {got}");
            assert!(shares.iter().any(|share| *share < mean / 2.0 + 1e-9));
        }
    }

    #[test]
    fn clouds_cover_their_share_and_throw_shadows_away_from_the_sun() {
        let bounds = [0.0, 0.0, 4_000.0, 4_000.0];
        let sky = Sky::new(11, bounds, 0.4, Sun { elevation: 45.0, azimuth: 180.0 });
        let (mut cloudy, mut shaded) = (0, 0);
        for i in 0..100 * 100 {
            let (x, y) = (f64::from(i % 100) * 40.0, f64::from(i / 100) * 40.0);
            let veil = sky.at(x, y);
            cloudy += u32::from(veil.cloud > 0.0);
            if veil.shade > 0.5 {
                shaded += 1;
                // The cloud stands to the south of its shadow.
                assert!(sky.at(x, y - 0.45 * sky.wave).cloud > 0.5);
            }
        }
        assert!((f64::from(cloudy) / 10_000.0 - 0.4).abs() < 0.03 && shaded > 100, "{cloudy} {shaded}");
    }
}
