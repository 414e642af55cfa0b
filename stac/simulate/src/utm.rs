//! Universal Transverse Mercator on WGS 84, so that scenes can span two zones without a projection library.
//!
//! The series of Krüger to the fourth order in the third flattening, as in Karney, "Transverse Mercator
//! with an accuracy of a few nanometers", J. Geodesy 85 (2011), equations 7 to 36; to this order it is
//! better than a millimetre inside a zone and its neighbours.

const SEMI_MAJOR: f64 = 6_378_137.0;
const FLATTENING: f64 = 1.0 / 298.257_223_563;
const SCALE: f64 = 0.9996;
const FALSE_EASTING: f64 = 500_000.0;
const FALSE_NORTHING: f64 = 10_000_000.0;

/// One zone of one hemisphere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zone {
    /// 1 to 60.
    pub(crate) number: u32,
    /// South of the equator.
    pub(crate) south: bool,
}

impl Zone {
    /// The zone of a place, without the exceptions of Norway and Svalbard: scenes choose their zones themselves.
    pub(crate) fn of(longitude: f64, latitude: f64) -> Self {
        let number = (((longitude + 180.0).rem_euclid(360.0) / 6.0).floor() as u32 + 1).min(60);
        Self { number, south: latitude < 0.0 }
    }

    /// The EPSG code.
    pub(crate) fn epsg(self) -> u32 {
        (if self.south { 32_700 } else { 32_600 }) + self.number
    }

    /// The zone to the east.
    pub(crate) fn east(self) -> Self {
        Self { number: self.number % 60 + 1, ..self }
    }

    fn central_meridian(self) -> f64 {
        f64::from(self.number) * 6.0 - 183.0
    }

    /// Easting and northing in metres of a longitude and latitude in degrees.
    pub(crate) fn forward(self, longitude: f64, latitude: f64) -> (f64, f64) {
        let n = FLATTENING / (2.0 - FLATTENING);
        let alpha = [
            n / 2.0 - 2.0 * n.powi(2) / 3.0 + 5.0 * n.powi(3) / 16.0 + 41.0 * n.powi(4) / 180.0,
            13.0 * n.powi(2) / 48.0 - 3.0 * n.powi(3) / 5.0 + 557.0 * n.powi(4) / 1440.0,
            61.0 * n.powi(3) / 240.0 - 103.0 * n.powi(4) / 140.0,
            49_561.0 * n.powi(4) / 161_280.0,
        ];
        let apart = (longitude - self.central_meridian() + 180.0).rem_euclid(360.0) - 180.0;
        let (lambda, sine) = (apart.to_radians(), latitude.to_radians().sin());
        let e = 2.0 * n.sqrt() / (1.0 + n);
        let t = (sine.atanh() - e * (e * sine).atanh()).sinh();
        let xi = t.atan2(lambda.cos());
        let eta = (lambda.sin() / (1.0 + t * t).sqrt()).atanh();
        let (mut east, mut north) = (eta, xi);
        for (j, a) in alpha.iter().enumerate() {
            let k = 2.0 * (j + 1) as f64;
            east += a * (k * xi).cos() * (k * eta).sinh();
            north += a * (k * xi).sin() * (k * eta).cosh();
        }
        let radius = SCALE * rectifying_radius(n);
        let south = if self.south { FALSE_NORTHING } else { 0.0 };
        (FALSE_EASTING + radius * east, south + radius * north)
    }

    /// Longitude and latitude in degrees of an easting and northing in metres.
    pub(crate) fn inverse(self, easting: f64, northing: f64) -> (f64, f64) {
        let n = FLATTENING / (2.0 - FLATTENING);
        let beta = [
            n / 2.0 - 2.0 * n.powi(2) / 3.0 + 37.0 * n.powi(3) / 96.0 - n.powi(4) / 360.0,
            n.powi(2) / 48.0 + n.powi(3) / 15.0 - 437.0 * n.powi(4) / 1440.0,
            17.0 * n.powi(3) / 480.0 - 37.0 * n.powi(4) / 840.0,
            4397.0 * n.powi(4) / 161_280.0,
        ];
        let delta = [
            2.0 * n - 2.0 * n.powi(2) / 3.0 - 2.0 * n.powi(3) + 116.0 * n.powi(4) / 45.0,
            7.0 * n.powi(2) / 3.0 - 8.0 * n.powi(3) / 5.0 - 227.0 * n.powi(4) / 45.0,
            56.0 * n.powi(3) / 15.0 - 136.0 * n.powi(4) / 35.0,
            4279.0 * n.powi(4) / 630.0,
        ];
        let radius = SCALE * rectifying_radius(n);
        let south = if self.south { FALSE_NORTHING } else { 0.0 };
        let (north, east) = ((northing - south) / radius, (easting - FALSE_EASTING) / radius);
        let (mut xi, mut eta) = (north, east);
        for (j, b) in beta.iter().enumerate() {
            let k = 2.0 * (j + 1) as f64;
            xi -= b * (k * north).sin() * (k * east).cosh();
            eta -= b * (k * north).cos() * (k * east).sinh();
        }
        let chi = (xi.sin() / eta.cosh()).asin();
        let mut latitude = chi;
        for (j, d) in delta.iter().enumerate() {
            latitude += d * (2.0 * (j + 1) as f64 * chi).sin();
        }
        let longitude = self.central_meridian() + eta.sinh().atan2(xi.cos()).to_degrees();
        ((longitude + 180.0).rem_euclid(360.0) - 180.0, latitude.to_degrees())
    }
}

fn rectifying_radius(n: f64) -> f64 {
    SEMI_MAJOR / (1.0 + n) * (1.0 + n.powi(2) / 4.0 + n.powi(4) / 64.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: PROJ 9 (`gdaltransform`), to the millimetre.
    #[test]
    fn agrees_with_proj() {
        for (number, south, lon, lat, east, north) in PROJ {
            let zone = Zone { number, south };
            let (e, n) = zone.forward(lon, lat);
            assert!((e - east).abs() < 2e-3 && (n - north).abs() < 2e-3, "{zone:?}: {e} {n}");
            let (back_lon, back_lat) = zone.inverse(e, n);
            assert!((back_lon - lon).abs() < 1e-8 && (back_lat - lat).abs() < 1e-8, "{back_lon} {back_lat}");
        }
    }

    #[test]
    fn zones_of_places() {
        assert_eq!(Zone::of(14.5, 45.9).epsg(), 32_633);
        assert_eq!(Zone::of(-48.1, -25.3).epsg(), 32_722);
        assert_eq!(Zone { number: 60, south: false }.east().number, 1);
    }

    const PROJ: [(u32, bool, f64, f64, f64, f64); 4] = [
        (33, false, 14.6, 48.2, 470_277.336_06, 5_338_607.127_52),
        (32, false, 12.0, 47.9, 724_208.387_25, 5_309_542.858_28),
        (33, false, 12.0, 47.9, 275_791.612_75, 5_309_542.858_28),
        (22, true, -48.1, -25.3, 792_003.279_95, 7_198_673.116_58),
    ];
}
