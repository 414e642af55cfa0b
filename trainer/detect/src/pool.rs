//! Features of a region on a grid of its own (RoIAlign: He et al. 2017, section 3; turned with the box as in Oriented
//! R-CNN).
//!
//! A region is cut into `bins` × `bins`, each with `samples` × `samples` points at equal distances. At a point the features
//! are interpolated between the four nearest pixels, whose middles are at half integers; a bin is the mean of its points.
//! Points up to one pixel outside of the map take its rim, further ones are zero.

use crate::RotatedBox;

/// A region of one image of a batch, in pixels of a level's map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Place of the image in the batch.
    pub image: usize,
    /// Where, in pixels of the image.
    pub area: RotatedBox,
}

/// The level that a region is pooled from, counted from the finest: one further for each doubling of its side above 112
/// pixels. This is equation 1 of FPN with its `k_0` of 4 for 224 pixels on levels from stride 4, by the finest side of
/// mmdetection (56 · 2 = 112).
pub fn level_of(area: &RotatedBox, levels: usize) -> usize {
    let side = (area.size[0] * area.size[1]).max(0.0).sqrt();
    let level = (side / 56.0 + 1e-6).log2().floor();
    (level.max(0.0) as usize).min(levels - 1)
}

/// Where the values of bins come from: for each bin `4 · samples²` places in a map with their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// Place in `[image, row, column]`.
    pub index: Vec<u32>,
    /// Weight, that of a mean among it; 0 for what lies outside.
    pub weight: Vec<f32>,
    /// Places of a bin.
    pub each: usize,
}

/// The places of the bins of regions, `[region, row, column]`, in maps of `[height, width]` at a stride.
pub fn places(
    regions: &[Region],
    stride: usize,
    [height, width]: [usize; 2],
    (bins, samples): (usize, usize),
) -> Places {
    let each = 4 * samples * samples;
    let count = regions.len() * bins * bins * each;
    let mut places = Places { index: Vec::with_capacity(count), weight: Vec::with_capacity(count), each };
    let share = 1.0 / (samples * samples) as f32;
    for Region { image, area } in regions {
        let (sin, cos) = area.angle.sin_cos();
        let first = (image * height * width) as u32;
        for bin in 0..bins * bins {
            for point in 0..samples * samples {
                let along =
                    |bin: usize, point: usize| (bin as f32 + (point as f32 + 0.5) / samples as f32) / bins as f32 - 0.5;
                let right = along(bin % bins, point % samples) * area.size[0];
                let down = along(bin / bins, point / samples) * area.size[1];
                let x = (area.centre[0] + right * cos - down * sin) / stride as f32 - 0.5;
                let y = (area.centre[1] + right * sin + down * cos) / stride as f32 - 0.5;
                let ((left, dx), (top, dy)) = (between(x, width), between(y, height));
                let inside = within(x, width) && within(y, height);
                for (row, wy) in [(top, 1.0 - dy), ((top + 1).min(height - 1), dy)] {
                    for (column, wx) in [(left, 1.0 - dx), ((left + 1).min(width - 1), dx)] {
                        places.index.push(first + (row * width + column) as u32);
                        places.weight.push(if inside { wy * wx * share } else { 0.0 });
                    }
                }
            }
        }
    }
    places
}

/// The pixel before a place, and how far beyond it the place is.
fn between(at: f32, side: usize) -> (usize, f32) {
    let held = if at.is_finite() { at.clamp(0.0, (side - 1) as f32) } else { 0.0 };
    (held as usize, held.fract())
}

fn within(at: f32, side: usize) -> bool {
    at >= -1.0 && at <= side as f32
}

/// Maps `[image, channel, height, width]` → `[region, channel, bin row, bin column]`.
///
/// Channels lie side by side while it adds: a place is read once for all of them.
pub fn pool(maps: &[f32], channels: usize, area: usize, places: &Places, bins: usize) -> Vec<f32> {
    let (of_bin, cells) = (places.each, bins * bins);
    let images = maps.len() / (channels * area).max(1);
    let rows = turned(maps, (images, channels, area));
    let regions = places.index.len() / (cells * of_bin).max(1);
    let mut pooled = vec![0.0; regions * cells * channels];
    for (bin, sums) in pooled.chunks_exact_mut(channels).enumerate() {
        for at in bin * of_bin..(bin + 1) * of_bin {
            let (index, weight) = (places.index[at] as usize, places.weight[at]);
            if weight != 0.0 {
                let row = &rows[index * channels..(index + 1) * channels];
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }
    turned(&pooled, (regions, cells, channels))
}

/// The gradient of [`pool`]: what comes back to `images` maps.
pub fn pool_backward(
    gradient: &[f32],
    (images, channels, area): (usize, usize, usize),
    places: &Places,
    bins: usize,
) -> Vec<f32> {
    let (of_bin, cells) = (places.each, bins * bins);
    let regions = gradient.len() / (channels * cells).max(1);
    let gradient = turned(gradient, (regions, channels, cells));
    let mut rows = vec![0.0; images * area * channels];
    for (bin, given) in gradient.chunks_exact(channels).enumerate() {
        for at in bin * of_bin..(bin + 1) * of_bin {
            let (index, weight) = (places.index[at] as usize, places.weight[at]);
            if weight != 0.0 {
                let row = &mut rows[index * channels..(index + 1) * channels];
                row.iter_mut().zip(given).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }
    turned(&rows, (images, area, channels))
}

/// `[batch, a, b]` → `[batch, b, a]`.
fn turned(values: &[f32], (batch, a, b): (usize, usize, usize)) -> Vec<f32> {
    let mut turned = vec![0.0; batch * a * b];
    for (from, to) in values.chunks_exact((a * b).max(1)).zip(turned.chunks_exact_mut((a * b).max(1))) {
        for (at, row) in from.chunks_exact(b.max(1)).enumerate() {
            row.iter().enumerate().for_each(|(column, value)| to[column * a + at] = *value);
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(x: f32, y: f32) -> f32 {
        3.0 * x - 2.0 * y + 1.0
    }

    /// A map of a plane over the image, taken at the middle of each pixel.
    fn map(stride: usize, side: usize) -> Vec<f32> {
        let at = |cell: usize| (cell as f32 + 0.5) * stride as f32;
        (0..side * side).map(|place| plane(at(place % side), at(place / side))).collect()
    }

    #[test]
    fn a_plane_is_read_where_the_bins_lie() {
        // Bilinear interpolation of a plane is the plane, so a bin holds the plane's value at its middle.
        let (stride, side, bins) = (4, 16, 3);
        for angle in [0.0, 0.5, -1.2] {
            let area = RotatedBox { centre: [30.0, 34.0], size: [24.0, 12.0], angle };
            let places = places(&[Region { image: 0, area }], stride, [side, side], (bins, 2));
            let pooled = pool(&map(stride, side), 1, side * side, &places, bins);
            assert_eq!(pooled.len(), bins * bins);
            for (bin, value) in pooled.iter().enumerate() {
                let offset = |at: usize| (at as f32 + 0.5) / bins as f32 - 0.5;
                let (right, down) = (offset(bin % bins) * 24.0, offset(bin / bins) * 12.0);
                let (sin, cos) = f32::sin_cos(angle);
                let expected = plane(30.0 + right * cos - down * sin, 34.0 + right * sin + down * cos);
                assert!((value - expected).abs() < 1e-3, "bin {bin} at {angle}: {value} {expected}");
            }
        }
    }

    #[test]
    fn the_gradient_is_the_transposed_sum() {
        // Pooling is linear: ⟨pool(x), g⟩ = ⟨x, backward(g)⟩ for all x and g.
        let value = |at: usize| ((at * 7919 % 101) as f32 - 50.0) / 50.0;
        let regions = [
            Region { image: 1, area: RotatedBox { centre: [9.0, 5.0], size: [12.0, 6.0], angle: 0.3 } },
            Region { image: 0, area: RotatedBox::upright([-6.0, 2.0], [10.0, 30.0]) },
        ];
        let (images, channels, area, bins) = (2, 3, 48, 2);
        let places = places(&regions, 2, [6, 8], (bins, 2));
        let x: Vec<f32> = (0..images * channels * area).map(value).collect();
        let pooled = pool(&x, channels, area, &places, bins);
        let g: Vec<f32> = (0..pooled.len()).map(|at| value(at + 13)).collect();
        let back = pool_backward(&g, (images, channels, area), &places, bins);
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        assert!((product(&pooled, &g) - product(&x, &back)).abs() < 1e-4);
        assert!(product(&pooled, &g).abs() > 0.01);
    }

    #[test]
    fn outside_is_nothing_and_the_rim_is_itself() {
        let far = Region { image: 0, area: RotatedBox::upright([100.0, 100.0], [120.0, 120.0]) };
        let whole = Region { image: 0, area: RotatedBox::upright([0.0, 0.0], [4.0, 4.0]) };
        let places = places(&[far, whole], 1, [4, 4], (1, 2));
        assert_eq!(pool(&[2.0; 16], 1, 16, &places, 1), [0.0, 2.0]);
    }

    #[test]
    fn larger_regions_come_from_coarser_levels() {
        let level = |side: f32| level_of(&RotatedBox::upright([0.0, 0.0], [side, side]), 4);
        assert_eq!([10.0, 111.0, 113.0, 224.1, 448.1, 5000.0].map(level), [0, 0, 1, 2, 3, 3]);
    }
}
