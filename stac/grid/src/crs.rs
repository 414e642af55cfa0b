//! The name of a coordinate reference system.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A coordinate reference system as `AUTHORITY:CODE` or as WKT2; never interpreted here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Crs(String);

impl Crs {
    /// From `EPSG:32633` or WKT2.
    pub fn new(definition: impl Into<String>) -> Self {
        Self(definition.into())
    }

    /// From an EPSG code.
    pub fn epsg(code: u32) -> Self {
        Self(format!("EPSG:{code}"))
    }

    /// Geographic coordinates in degrees, longitude first: `OGC:CRS84`.
    pub fn lon_lat() -> Self {
        Self("OGC:CRS84".into())
    }

    /// `EPSG:32601` to `EPSG:32660` or `EPSG:32701` to `EPSG:32760`: the UTM zone of a place.
    ///
    /// Zones are six degrees wide from the antimeridian; the exceptions of Norway and Svalbard are
    /// those of the MGRS grid that Sentinel-2 tiles follow.
    pub fn utm(longitude: f64, latitude: f64) -> Self {
        let wrapped = (longitude + 180.0).rem_euclid(360.0) - 180.0;
        let mut zone = ((wrapped + 180.0) / 6.0).floor() as u32 + 1;
        if (56.0..64.0).contains(&latitude) && (3.0..12.0).contains(&wrapped) {
            zone = 32;
        }
        if (72.0..84.0).contains(&latitude) {
            zone = match wrapped {
                w if (0.0..9.0).contains(&w) => 31,
                w if (9.0..21.0).contains(&w) => 33,
                w if (21.0..33.0).contains(&w) => 35,
                w if (33.0..42.0).contains(&w) => 37,
                _ => zone,
            };
        }
        Self::epsg(if latitude < 0.0 { 32700 } else { 32600 } + zone.min(60))
    }

    /// The definition as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The EPSG code, where the definition is one.
    pub fn epsg_code(&self) -> Option<u32> {
        self.0.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("EPSG:")).and_then(|_| self.0[5..].parse().ok())
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_their_exceptions() {
        assert_eq!(Crs::utm(14.5, 45.9), Crs::epsg(32633));
        assert_eq!(Crs::utm(-48.1, -25.3), Crs::epsg(32722));
        assert_eq!(Crs::utm(5.0, 60.0), Crs::epsg(32632));
        assert_eq!(Crs::utm(8.0, 75.0), Crs::epsg(32631));
        assert_eq!(Crs::utm(180.0, 0.0), Crs::epsg(32601));
    }

    #[test]
    fn codes_are_read_back() {
        assert_eq!(Crs::new("epsg:4326").epsg_code(), Some(4326));
        assert_eq!(Crs::new("PROJCRS[]").epsg_code(), None);
    }
}
