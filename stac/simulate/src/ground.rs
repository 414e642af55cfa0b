//! The ground under a block of rows: one material to a pixel inside a parcel, four samples on its borders.

use skysense_grid::GeoBox;

use crate::landscape::{Ground, Landscape};
use crate::layout::Placement;
use crate::noise::fractal;
use crate::signature::Look;

/// Rows that are drawn at once. Even, since two rows make one of 20 m; small, since memory follows it.
pub(crate) const BLOCK: usize = 64;

/// What one pixel sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    /// Easting and northing of the centre in the landscape's zone.
    pub(crate) place: (f64, f64),
    /// Up to four grounds in equal parts.
    grounds: [Ground; 4],
    count: u8,
}

impl Spot {
    /// The grounds in equal parts.
    pub(crate) fn grounds(&self) -> &[Ground] {
        &self.grounds[..usize::from(self.count)]
    }

    /// The unevenness within parcels here, in `[-1, 1]`.
    pub(crate) fn texture(&self, seed: u64) -> f64 {
        2.0 * fractal(seed ^ 0x7e47, self.place.0 / 48.0, self.place.1 / 48.0, 2) - 1.0
    }

    /// The mean over the grounds of what `value` makes of a [`Look`], which `looks` remembers.
    pub(crate) fn mix<const N: usize>(&self, looks: &mut Looks, value: impl Fn(&Look) -> [f64; N]) -> [f64; N] {
        let mut sum = [0.0; N];
        for ground in self.grounds() {
            let part = value(&looks.of(ground));
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part / f64::from(self.count));
        }
        sum
    }
}

/// The looks of parcels on one day; the last one is kept, since neighbours mostly share it.
pub(crate) struct Looks {
    day: f64,
    moisture: f64,
    last: Option<(Ground, Look)>,
}

impl Looks {
    pub(crate) fn new(day: f64, moisture: f64) -> Self {
        Self { day, moisture, last: None }
    }

    pub(crate) fn of(&mut self, ground: &Ground) -> Look {
        match self.last {
            Some((last, look)) if same(&last, ground) => look,
            _ => {
                let look = Look::new(ground.material, ground.parcel, self.day, self.moisture);
                self.last = Some((*ground, look));
                look
            }
        }
    }
}

fn same(a: &Ground, b: &Ground) -> bool {
    a.material == b.material && a.parcel == b.parcel
}

/// The spots of the rows `first..first + rows` of a grid, row by row.
pub(crate) fn spots(
    landscape: &Landscape,
    placement: &Placement<'_>,
    geobox: &GeoBox,
    first: usize,
    rows: usize,
) -> Vec<Spot> {
    let stride = geobox.width + 2;
    let mut places = vec![(0.0, 0.0); (rows + 2) * stride];
    let mut centres = Vec::with_capacity(places.len());
    for (index, row) in places.chunks_exact_mut(stride).enumerate() {
        row.copy_from_slice(&placement.row(first as i64 + index as i64 - 1));
    }
    let at = |&(x, y): &(f64, f64)| landscape.at(x, y);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
    std::thread::scope(|scope| {
        let threads: Vec<_> = places
            .chunks(places.len().div_ceil(workers))
            .map(|part| scope.spawn(move || part.iter().map(at).collect::<Vec<_>>()))
            .collect();
        for thread in threads {
            centres.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    let mut spots = Vec::with_capacity(rows * geobox.width);
    for row in 1..=rows {
        for column in 1..=geobox.width {
            let index = row * stride + column;
            let (centre, place) = (centres[index], places[index]);
            let inside = [index - 1, index + 1, index - stride, index + stride]
                .iter()
                .all(|&other| same(&centre, &centres[other]));
            let (mut grounds, mut count) = ([centre; 4], 1);
            // Roofs are smaller than a pixel, so a settlement is sampled everywhere.
            if !inside || centre.material.class_value() == 9 {
                let (right, below) = (places[index + 1], places[index + stride]);
                let (ux, uy) = ((right.0 - place.0) / 4.0, (right.1 - place.1) / 4.0);
                let (vx, vy) = ((below.0 - place.0) / 4.0, (below.1 - place.1) / 4.0);
                for (ground, (s, t)) in grounds.iter_mut().zip([(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]) {
                    *ground = landscape.at(place.0 + s * ux + t * vx, place.1 + s * uy + t * vy);
                }
                count = 4;
            }
            spots.push(Spot { place, grounds, count });
        }
    }
    spots
}
