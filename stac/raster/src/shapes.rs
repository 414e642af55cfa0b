//! Shapes of vector files as pixels.

use std::path::{Path, PathBuf};

use gdal::raster::{Buffer, RasterizeOptions, rasterize};
use gdal::vector::Geometry;
use gdal::{Dataset, DriverManager};
use skysense_grid::{Crs, GeoBox};

use crate::messages::capture;
use crate::vector::{PROJECTED, fault, features};
use crate::{RasterError, Result};

/// The shapes of a vector file on one reference system: points, lines and polygons with their holes.
#[derive(Debug, Clone)]
pub struct Shapes {
    path: PathBuf,
    shapes: Vec<Shape>,
}

/// A shape. GDAL's own is bound to a thread, so its bytes are kept.
#[derive(Debug, Clone)]
struct Shape {
    wkb: Vec<u8>,
    /// West, south, east and north.
    bounds: [f64; 4],
    value: Option<String>,
}

impl Shapes {
    /// Reads a file's first layer, with the text of a field. Edges are straight on `target`.
    ///
    /// # Errors
    /// A file that cannot be read, a field that the layer does not have, coordinates that cannot be projected.
    pub fn open(path: &Path, field: Option<&str>, target: &Crs) -> Result<Self> {
        let mut shapes = Vec::new();
        features(path, field, target, |geometry, value| {
            let around = geometry.envelope();
            let bounds = [around.MinX, around.MinY, around.MaxX, around.MaxY];
            if geometry.is_empty() {
                return Ok(());
            }
            if bounds.iter().any(|side| !side.is_finite()) {
                return Err(fault(path, format!("a shape cannot be brought to {target}"), PROJECTED));
            }
            let (wkb, messages) = capture(|| geometry.wkb());
            let wkb = wkb.map_err(|_| fault(path, messages.text(), "mend the shape"))?;
            shapes.push(Shape { wkb, bounds, value });
            Ok(())
        })?;
        Ok(Self { path: path.to_owned(), shapes })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// The text of each shape's field, in the order of the file; `None` of those without one.
    pub fn values(&self) -> impl Iterator<Item = Option<&str>> {
        self.shapes.iter().map(|shape| shape.value.as_deref())
    }

    /// West, south, east and north of all of them.
    pub fn bounds(&self) -> Option<[f64; 4]> {
        let around = |a: [f64; 4], b: [f64; 4]| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])];
        self.shapes.iter().map(|shape| shape.bounds).reduce(around)
    }

    /// The number of each pixel of a grid, `[height, width]`, not a number where no shape lies: `number` gives that of a
    /// field's text, and shapes without one are left out. A pixel has the number of a polygon that its middle lies in, or
    /// with `all_touched` of any that it touches; lines and points have the pixels that they run through. Where shapes
    /// overlap the last one of the file wins. `grid` is on the reference system that the shapes were brought to.
    ///
    /// # Errors
    /// A grid that cannot be held, shapes that GDAL refuses.
    pub fn burn(
        &self,
        grid: &GeoBox,
        all_touched: bool,
        number: impl Fn(Option<&str>) -> Option<f64>,
    ) -> Result<Vec<f64>> {
        let area = grid.width * grid.height;
        let [west, south, east, north] = grid.bounds();
        let near = |b: &[f64; 4]| b[0] <= east && b[2] >= west && b[1] <= north && b[3] >= south;
        let touching = self.shapes.iter().filter(|shape| near(&shape.bounds));
        let burnt: Vec<(&Shape, f64)> =
            touching.filter_map(|shape| Some((shape, number(shape.value.as_deref())?))).collect();
        if burnt.is_empty() {
            return Ok(vec![f64::NAN; area]);
        }
        let (values, messages) = capture(|| self::burn(grid, all_touched, &burnt));
        let values = values.map_err(|_| fault(&self.path, messages.text(), "mend its shapes"))?;
        if values.len() == area {
            return Ok(values);
        }
        Err(RasterError::Gdal {
            call: "GDALRasterizeGeometries",
            message: format!("{} of {area} pixels", values.len()),
        })
    }
}

fn burn(grid: &GeoBox, all_touched: bool, burnt: &[(&Shape, f64)]) -> gdal::errors::Result<Vec<f64>> {
    let size = (grid.width, grid.height);
    let mut dataset: Dataset =
        DriverManager::get_driver_by_name("MEM")?.create_with_band_type::<f64, _>("", size.0, size.1, 1)?;
    dataset.set_geo_transform(&grid.transform.to_gdal())?;
    let mut band = dataset.rasterband(1)?;
    let mut nothing = Buffer::new(size, vec![f64::NAN; size.0 * size.1]);
    band.write((0, 0), size, &mut nothing)?;
    let shapes =
        burnt.iter().map(|(shape, _)| Geometry::from_wkb(&shape.wkb)).collect::<gdal::errors::Result<Vec<_>>>()?;
    let numbers: Vec<f64> = burnt.iter().map(|(_, number)| *number).collect();
    let options = RasterizeOptions { all_touched, ..RasterizeOptions::default() };
    rasterize(&mut dataset, &[1], &shapes, &numbers, Some(options))?;
    Ok(dataset.rasterband(1)?.read_as::<f64>((0, 0), size, size, None)?.data().to_vec())
}

#[cfg(test)]
mod tests {
    use skysense_grid::Affine;

    use super::*;

    /// A square with a hole, one that overlaps it, a point and a line, on metres.
    fn file(folder: &Path) -> PathBuf {
        let path = folder.join("fields.geojson");
        let ring = |x: f64, y: f64, side: f64| {
            format!("[[{x},{y}],[{},{y}],[{},{}],[{x},{}],[{x},{y}]]", x + side, x + side, y + side, y + side)
        };
        let feature = |class: &str, kind: &str, at: String| {
            format!(
                r#"{{"type":"Feature","properties":{{"class":"{class}"}},"geometry":{{"type":"{kind}","coordinates":{at}}}}}"#
            )
        };
        let features = [
            feature("wheat", "Polygon", format!("[{},{}]", ring(100.0, 100.0, 50.0), ring(120.0, 120.0, 10.0))),
            feature("maize", "Polygon", format!("[{}]", ring(140.0, 100.0, 14.0))),
            feature("tree", "Point", "[175,175]".into()),
            feature("road", "LineString", "[[100,195],[200,195]]".into()),
        ];
        let crs = r#""crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::32633"}}"#;
        std::fs::write(&path, format!(r#"{{"type":"FeatureCollection",{crs},"features":[{}]}}"#, features.join(",")))
            .unwrap();
        path
    }

    fn number(class: Option<&str>) -> Option<f64> {
        ["wheat", "maize", "tree", "road"].iter().position(|name| Some(*name) == class).map(|at| at as f64)
    }

    #[test]
    fn pixels_have_the_number_of_what_their_middle_lies_in() {
        let folder = tempfile::tempdir().unwrap();
        let shapes = Shapes::open(&file(folder.path()), Some("class"), &Crs::epsg(32633)).unwrap();
        assert_eq!((shapes.len(), shapes.bounds()), (4, Some([100.0, 100.0, 200.0, 195.0])));
        let grid = GeoBox::new(Crs::epsg(32633), Affine::north_up(100.0, 200.0, 10.0), 10, 10).unwrap();
        let found = shapes.burn(&grid, false, number).unwrap();
        let at = |column: usize, row: usize| found[row * 10 + column];
        let count = |wanted: f64| found.iter().filter(|value| **value == wanted).count();
        // 5 × 5 pixels without the hole and what the later one covers: 14 m hold one middle each way.
        assert_eq!((count(0.0), count(1.0), count(2.0), count(3.0)), (23, 1, 1, 10));
        assert!(at(2, 7).is_nan() && at(0, 9) == 0.0 && at(4, 9) == 1.0 && at(7, 2) == 2.0 && at(5, 0) == 3.0);
        // Touched, it has two each way, and maybe those that its edges run along.
        let found = shapes.burn(&grid, true, number).unwrap();
        let count = |wanted: f64| found.iter().filter(|value| **value == wanted).count();
        assert!((4..=9).contains(&count(1.0)), "{}", count(1.0));
        // Some shapes only, on a part of the grid that none of them touches.
        let wheat = |class: Option<&str>| number(class).filter(|at| *at == 0.0);
        let window = skysense_grid::Window { x: 6, y: 0, width: 4, height: 4 };
        let none = shapes.burn(&grid.window(&window).unwrap(), false, wheat).unwrap();
        assert!(none.len() == 16 && none.iter().all(|value| value.is_nan()));
    }

    #[test]
    fn shapes_come_to_the_grid_from_any_system() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("degrees.geojson");
        let text = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"yield":7.5},"geometry":
            {"type":"Polygon","coordinates":[[[15,48],[15.001,48],[15.001,48.001],[15,48.001],[15,48]]]}}]}"#;
        std::fs::write(&path, text).unwrap();
        let shapes = Shapes::open(&path, Some("yield"), &Crs::epsg(32633)).unwrap();
        let [west, south, east, north] = shapes.bounds().unwrap();
        assert!(
            (west - 500_000.0).abs() < 1e-3 && (east - west - 74.6).abs() < 0.2 && (north - south - 111.2).abs() < 0.2
        );
        let grid = GeoBox::new(Crs::epsg(32633), Affine::north_up(west, north, 10.0), 8, 12).unwrap();
        let values = shapes.burn(&grid, false, |text| text?.parse().ok()).unwrap();
        let inside = values.iter().filter(|value| **value == 7.5).count();
        assert!((70..=88).contains(&inside), "{inside}");
        let error = Shapes::open(&path, Some("class"), &Crs::epsg(32633)).unwrap_err().to_string();
        assert!(error.contains("no field \"class\"; it has yield"), "{error}");
    }
}
