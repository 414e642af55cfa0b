//! Made-up places: images on shelves, from the upper left on, in UTM zone 31 in the Gulf of Guinea, where no image of such a
//! set is from.
//!
//! Places begin at whole steps of the 10 m grid. Where all images have one side, they stand side by side a chip apart, so that
//! chips of that side hold one image each; else there is a chip of nothing between them.

use skysense_grid::{Affine, Crs, GeoBox};

use crate::error::Result;

/// Pixels of the high-resolution images: 32 to one of the 10 m grid, so that chips take them as they are.
pub(crate) const FINE: f64 = 0.3125;
/// Pixels of Sentinel-2 and Sentinel-1.
pub(crate) const COARSE: f64 = 10.0;

const CRS: u32 = 32631;
/// Upper left corner: 1.2° E, 4.9° N; shelves go down to the equator.
const CORNER: [f64; 2] = [300_000.0, 540_000.0];
/// Metres of a shelf.
const LENGTH: f64 = 400_000.0;
/// Pixels of the 10 m grid of a chip that is left empty between images of several sides.
const GAP: usize = 16;

/// Where the next image goes.
#[derive(Debug)]
pub(crate) struct Shelves {
    /// Side of all images in pixels of the 10 m grid, where they have one.
    side: Option<usize>,
    /// Where the next one begins, and the upper edge of the shelf below, in pixels of the 10 m grid.
    next: [usize; 2],
    below: usize,
}

impl Shelves {
    /// For images of one side in pixels of so many metres, or of several sides.
    pub(crate) fn new(side: Option<usize>) -> Self {
        Self { side, next: [0, 0], below: 0 }
    }

    /// A place for an image `[width, height]`.
    ///
    /// # Errors
    /// An image without pixels.
    pub(crate) fn place(&mut self, [width, height]: [usize; 2], metres: f64) -> Result<GeoBox> {
        let cells = |pixels: usize| {
            let cells = (pixels as f64 * metres / COARSE).ceil().max(1.0) as usize;
            match self.side {
                Some(side) => cells.next_multiple_of(side),
                None => cells.next_multiple_of(GAP) + GAP,
            }
        };
        let [wide, high] = [cells(width), cells(height)];
        if self.next[0] > 0 && (self.next[0] + wide) as f64 * COARSE > LENGTH {
            self.next = [0, self.below];
        }
        let [west, north] = self.next.map(|cells| cells as f64 * COARSE);
        self.next[0] += wide;
        self.below = self.below.max(self.next[1] + high);
        let transform = Affine::north_up(CORNER[0] + west, CORNER[1] - north, metres);
        Ok(GeoBox::new(Crs::epsg(CRS), transform, width, height)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_never_touch_and_those_of_one_side_stand_on_whole_chips() {
        let mut shelves = Shelves::new(Some(20));
        let places: Vec<[f64; 4]> = (0..2500).map(|_| shelves.place([600, 600], FINE).unwrap().bounds()).collect();
        for [west, _, east, north] in &places {
            assert_eq!(((west - CORNER[0]) % 200.0, (CORNER[1] - north) % 200.0), (0.0, 0.0));
            assert!((east - west - 187.5).abs() < 1e-9);
        }
        assert_ne!(places[0][3], places[2499][3], "a second shelf");
        let mut shelves = Shelves::new(None);
        let places: Vec<[f64; 4]> =
            (1..900).map(|at| shelves.place([at * 7 % 4000 + 1, at * 13 % 3000 + 1], FINE).unwrap().bounds()).collect();
        for (at, a) in places.iter().enumerate() {
            for b in &places[..at] {
                let apart =
                    a[0] - b[2] >= 160.0 || b[0] - a[2] >= 160.0 || a[1] - b[3] >= 160.0 || b[1] - a[3] >= 160.0;
                assert!(apart, "{a:?} and {b:?} are closer than a chip");
            }
        }
    }
}
