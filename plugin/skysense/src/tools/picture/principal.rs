//! Many channels in three: principal components as colours.

/// Share of the variance below which there is no component left: far above the rounding of sums, far below any colour.
const RESIDUE: f64 = 1e-9;

/// The first three principal components of `[channel, pixel]`, where `valid`, as `[3, pixel]`.
///
/// Found by power iteration with deflation from a fixed start, so the same features give the same colours. Signs are
/// fixed so that the sum of each component's weights is positive. Where fewer than three directions vary, the others are 0.
pub(crate) fn components(channels: &[Vec<f32>], valid: &[u8]) -> [Vec<f32>; 3] {
    let count = channels.len();
    let pixels: Vec<usize> = (0..valid.len()).filter(|&pixel| valid[pixel] != 0).collect();
    let share = 1.0 / pixels.len().max(1) as f64;
    let mean: Vec<f64> = channels
        .iter()
        .map(|channel| pixels.iter().map(|&pixel| f64::from(channel[pixel])).sum::<f64>() * share)
        .collect();
    // A sample is enough for directions, and keeps large maps quick.
    let every = pixels.len().div_ceil(20_000).max(1);
    let mut covariance = vec![0.0f64; count * count];
    for &pixel in pixels.iter().step_by(every) {
        let centred: Vec<f64> =
            channels.iter().zip(&mean).map(|(channel, mean)| f64::from(channel[pixel]) - mean).collect();
        for (row, a) in covariance.chunks_exact_mut(count).zip(&centred) {
            row.iter_mut().zip(&centred).for_each(|(sum, b)| *sum += a * b);
        }
    }
    let total: f64 = (0..count).map(|channel| covariance[channel * count + channel]).sum();
    std::array::from_fn(|_| {
        let mut direction = strongest(&covariance, count);
        let strength = project(&covariance, &direction).iter().zip(&direction).map(|(a, b)| a * b).sum::<f64>();
        // What deflation leaves of nothing is its own rounding, whose direction shows an earlier component again.
        if strength <= RESIDUE * total {
            direction.fill(0.0);
        }
        for row in 0..count {
            for column in 0..count {
                covariance[row * count + column] -= strength * direction[row] * direction[column];
            }
        }
        (0..valid.len())
            .map(|pixel| {
                channels
                    .iter()
                    .zip(&mean)
                    .zip(&direction)
                    .map(|((channel, mean), weight)| (f64::from(channel[pixel]) - mean) * weight)
                    .sum::<f64>() as f32
            })
            .collect()
    })
}

fn strongest(matrix: &[f64], count: usize) -> Vec<f64> {
    // No symmetry of the features may make the start orthogonal to what is looked for.
    let mut direction: Vec<f64> = (0..count).map(|index| 1.0 + 0.37 * ((index * 7 % 11) as f64)).collect();
    for _ in 0..200 {
        let next = project(matrix, &direction);
        let length = next.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length < 1e-300 {
            break;
        }
        direction = next.into_iter().map(|value| value / length).collect();
    }
    let length = direction.iter().map(|value| value * value).sum::<f64>().sqrt().max(1e-300);
    let sign = if direction.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
    direction.into_iter().map(|value| sign * value / length).collect()
}

fn project(matrix: &[f64], direction: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(direction.len()).map(|row| row.iter().zip(direction).map(|(a, b)| a * b).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_component_is_where_the_variance_is() {
        // Channel 1 is minus twice channel 0, channel 2 varies a little by itself.
        let a: Vec<f32> = (0..100).map(|i| (i as f32 * 0.7).sin()).collect();
        let b: Vec<f32> = a.iter().map(|value| -2.0 * value).collect();
        let c: Vec<f32> = (0..100).map(|i| 0.1 * (i as f32 * 1.9).cos()).collect();
        let [first, second, third] = components(&[a.clone(), b, c.clone()], &[1; 100]);
        let correlation = |x: &[f32], y: &[f32]| {
            let (mx, my) = (x.iter().sum::<f32>() / 100.0, y.iter().sum::<f32>() / 100.0);
            let sum = |f: &dyn Fn(usize) -> f32| (0..100).map(f).sum::<f32>();
            sum(&|i| (x[i] - mx) * (y[i] - my)) / (sum(&|i| (x[i] - mx).powi(2)) * sum(&|i| (y[i] - my).powi(2))).sqrt()
        };
        assert!(correlation(&first, &a).abs() > 0.999 && correlation(&second, &c).abs() > 0.99);
        // Three channels that vary in two directions leave nothing for a third.
        assert!(third.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn fewer_channels_than_colours_are_no_fault() {
        let [first, second, _] = components(&[vec![1.0, 2.0, 3.0]], &[1, 1, 0]);
        // One channel is its own component: 1 and 2 lie 1 apart.
        assert!((first[1] - first[0] - 1.0).abs() < 1e-6, "{first:?}");
        assert!(second.iter().all(|value| *value == 0.0), "{second:?}");
    }
}
