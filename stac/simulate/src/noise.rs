//! Randomness by place instead of by sequence.
//!
//! Every number is a hash of a seed and a position, so a pixel has the same value whichever block,
//! granule or thread computes it: that is what makes scenes the same bytes for the same seed, lets
//! overlapping granules show the same ground, and lets a scene be written without being held in memory.

/// A well mixed 64-bit number of a seed and two integers (the finaliser of SplitMix64, applied per word).
pub(crate) fn hash(seed: u64, x: i64, y: i64) -> u64 {
    let first = mix(seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(x as u64);
    mix(mix(first).wrapping_add(y as u64).wrapping_mul(0xd6e8_feb8_6659_fd93))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in `[0, 1)` from the upper bits of a hash.
pub(crate) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// The `index`-th number in `[0, 1)` that belongs to one hash.
pub(crate) fn unit_of(hash: u64, index: u64) -> f64 {
    unit(mix(hash.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
}

/// Speckle of mean one for `looks` independent looks: a gamma distribution, as the mean of exponentials.
pub(crate) fn speckle(hash: u64, looks: u64) -> f64 {
    let product: f64 = (0..looks).map(|look| 1.0 - unit_of(hash, look)).product();
    -product.ln() / looks as f64
}

/// Smooth noise in `[0, 1]` with one knot per unit of length.
pub(crate) fn smooth(seed: u64, x: f64, y: f64) -> f64 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |t: f64| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(x - left), ease(y - top));
    let knot = |dx: i64, dy: i64| unit(hash(seed, left as i64 + dx, top as i64 + dy));
    let upper = knot(0, 0) * (1.0 - u) + knot(1, 0) * u;
    let lower = knot(0, 1) * (1.0 - u) + knot(1, 1) * u;
    upper * (1.0 - v) + lower * v
}

/// A sum of `octaves` of [`smooth`], each half as strong and twice as fine, in `[0, 1]`.
pub(crate) fn fractal(seed: u64, x: f64, y: f64, octaves: u32) -> f64 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
    for octave in 0..octaves {
        sum += weight * smooth(seed.wrapping_add(u64::from(octave) * 0x51_7c_c1), x * scale, y * scale);
        total += weight;
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / total
}

/// The site of a scattered lattice that is nearest to a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Nearest {
    /// Hash of the site: the name of its Voronoi cell.
    pub(crate) id: u64,
    /// Where the site lies, in the units of the point.
    pub(crate) site: (f64, f64),
    /// Distance from the point to the border of the cell.
    pub(crate) border: f64,
}

/// The Voronoi cell that holds `(x, y)`, of sites scattered one to each square of side `cell`.
pub(crate) fn nearest(seed: u64, x: f64, y: f64, cell: f64) -> Nearest {
    let (column, row) = ((x / cell).floor() as i64, (y / cell).floor() as i64);
    let mut sites = [(f64::INFINITY, 0u64, (0.0, 0.0)); 9];
    for (slot, (dx, dy)) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))).enumerate() {
        let id = hash(seed, column + dx, row + dy);
        // Scattered over the inner 70 % of the square, so the nearest site is always among these nine.
        let place = |at: i64, share: f64| (at as f64 + 0.15 + 0.7 * share) * cell;
        let site = (place(column + dx, unit(id)), place(row + dy, unit_of(id, 1)));
        sites[slot] = ((site.0 - x).powi(2) + (site.1 - y).powi(2), id, site);
    }
    let first = sites.iter().copied().fold(sites[0], |best, next| if next.0 < best.0 { next } else { best });
    let mut border = f64::INFINITY;
    for &(distance, id, site) in &sites {
        if id != first.1 {
            let apart = ((site.0 - first.2.0).powi(2) + (site.1 - first.2.1).powi(2)).sqrt();
            border = border.min((distance - first.0) / (2.0 * apart));
        }
    }
    Nearest { id: first.1, site: first.2, border }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speckle_has_mean_one_and_the_variance_of_its_looks() {
        let values: Vec<f64> = (0..40_000).map(|i| speckle(hash(7, i, 0), 5)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((variance - 0.2).abs() < 0.01, "{variance}");
    }

    #[test]
    fn noise_is_continuous_and_bounded() {
        for i in 0..2_000 {
            let (x, y) = (i as f64 * 0.0173, i as f64 * -0.0311);
            let (here, there) = (fractal(1, x, y, 4), fractal(1, x + 1e-6, y, 4));
            assert!((0.0..=1.0).contains(&here) && (here - there).abs() < 1e-3);
        }
    }

    #[test]
    fn a_cell_is_named_by_its_nearest_site() {
        for i in 0..500 {
            let (x, y) = (i as f64 * 13.7, i as f64 * -7.9);
            let cell = nearest(9, x, y, 50.0);
            assert_eq!(nearest(9, cell.site.0, cell.site.1, 50.0).id, cell.id);
            assert!(cell.border >= 0.0);
        }
    }
}
