//! Outlines with what is known of each, as files that GIS programs open.

mod flatgeobuf;
mod geopackage;
mod wkb;

pub use self::flatgeobuf::write_flatgeobuf;
pub use self::geopackage::write_geopackage;
pub use self::wkb::{bounds, polygon_wkb};

/// An outline.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRow {
    /// Corners in their order, without the first one again.
    pub corners: [[f64; 2]; 4],
    /// Class, by value and name.
    pub class: (u8, String),
    /// How sure the model is, 0 to 1.
    pub score: f64,
    /// Name of the period.
    pub period: String,
    /// Number of the chip that it was found in.
    pub chip: u32,
}

/// A layer of outlines in one reference system.
#[derive(Debug, Clone)]
pub struct FeatureTable<'a> {
    /// Name of the layer: letters, digits and `_`.
    pub name: &'a str,
    /// Number of the reference system at EPSG, where it has one.
    pub epsg: Option<i32>,
    /// The reference system as WKT.
    pub wkt: &'a str,
    /// When the layer was last changed, RFC 3339: no clock is looked at.
    pub changed: &'a str,
    /// The outlines.
    pub rows: &'a [FeatureRow],
}

/// Columns beside the geometry, in the order of the files.
pub(super) const COLUMNS: [&str; 5] = ["class", "class_value", "score", "period", "chip"];

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn rows() -> Vec<FeatureRow> {
        let row = |x: f64, class: &str, score| FeatureRow {
            corners: [[x, 10.0], [x + 4.0, 10.0], [x + 4.0, 12.0], [x, 12.0]],
            class: (2, class.into()),
            score,
            period: "2021".into(),
            chip: 7,
        };
        vec![row(500_000.0, "hall", 0.75), row(500_100.0, "greenhouse", 0.5)]
    }

    #[test]
    fn areas_of_interest_read_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<FeatureRow> = rows()
            .into_iter()
            .map(|row| FeatureRow { corners: row.corners.map(|[x, y]| [(x - 500_000.0) / 1000.0, y]), ..row })
            .collect();
        let table =
            FeatureTable { name: "objects", epsg: Some(4326), wkt: "", changed: "2021-12-31T00:00:00Z", rows: &rows };
        for (name, write) in [
            ("a.fgb", write_flatgeobuf as fn(&FeatureTable<'_>, &std::path::Path) -> crate::Result<()>),
            ("a.gpkg", write_geopackage),
        ] {
            let path = folder.path().join(name);
            write(&table, &path).unwrap();
            let area = crate::Area::read(&path.display().to_string(), folder.path()).unwrap();
            let bbox = area.bbox();
            assert!((bbox.0[0] - 0.0).abs() < 1e-9 && (bbox.0[2] - 0.104).abs() < 1e-9, "{name}: {bbox:?}");
            // The same rows give the same bytes.
            let again = folder.path().join(format!("again-{name}"));
            write(&table, &again).unwrap();
            assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap(), "{name} differs");
        }
    }
}
