//! Which region of the Earth a place lies in.
//!
//! The paper has 4096 regions and does not say how they are drawn; this division is ours. The globe is cut into
//! rows of equal area (equal steps of the sine of latitude) and columns of equal longitude from 180° west, numbered
//! row by row from the south. Every region has the same area and the number gives its bounds back. The poles belong
//! to the first and last row, the antimeridian to the first column.

/// Rows and columns of `regions`: the two factors nearest to each other, more columns than rows.
fn layout(regions: usize) -> (usize, usize) {
    let rows =
        (1..=regions).take_while(|rows| rows * rows <= regions).filter(|rows| regions.is_multiple_of(*rows)).last();
    let rows = rows.unwrap_or(1);
    (rows, regions / rows)
}

/// The region of a longitude and latitude in degrees, below `regions`.
pub fn region(longitude: f64, latitude: f64, regions: usize) -> usize {
    let (rows, columns) = layout(regions.max(1));
    let height = (latitude.clamp(-90.0, 90.0).to_radians().sin() + 1.0) / 2.0;
    let width = (longitude + 180.0).rem_euclid(360.0) / 360.0;
    let row = ((height * rows as f64) as usize).min(rows - 1);
    let column = ((width * columns as f64) as usize).min(columns - 1);
    row * columns + column
}

/// `[west, south, east, north]` of a region in degrees, or `None` past the last.
pub fn region_bounds(index: usize, regions: usize) -> Option<[f64; 4]> {
    if index >= regions {
        return None;
    }
    let (rows, columns) = layout(regions);
    let latitude = |row: usize| (2.0 * row as f64 / rows as f64 - 1.0).asin().to_degrees();
    let longitude = |column: usize| 360.0 * column as f64 / columns as f64 - 180.0;
    let (row, column) = (index / columns, index % columns);
    Some([longitude(column), latitude(row), longitude(column + 1), latitude(row + 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_lead_back_to_their_region() {
        for regions in [1, 7, 64, 4096] {
            for index in 0..regions {
                let [west, south, east, north] = region_bounds(index, regions).unwrap();
                assert_eq!(region((west + east) / 2.0, (south + north) / 2.0, regions), index);
            }
            assert_eq!(region_bounds(regions, regions), None);
        }
    }

    #[test]
    fn poles_and_antimeridian_have_a_region() {
        assert_eq!(region(180.0, 0.0, 4096), region(-180.0, 0.0, 4096));
        assert!(region(0.0, 90.0, 4096) < 4096 && region(0.0, -90.0, 4096) < 4096);
        assert!(region(f64::NAN, f64::NAN, 4096) < 4096);
    }
}
