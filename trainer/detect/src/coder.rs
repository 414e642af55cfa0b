//! How a box is told by another: what the networks learn to give.
//!
//! `t_x = (x − x_a) / w_a`, `t_y = (y − y_a) / h_a`, `t_w = ln(w / w_a)`, `t_h = ln(h / h_a)` (Faster R-CNN, equation 2).
//! Of a rotated box the shift is taken along its own axes and the angle is told as a difference (Ding et al. 2019, RoI
//! Transformer, arXiv:1812.00155, equation 1), of the two ways to name the rectangle the one that is turned less.

use std::f32::consts::FRAC_PI_2;

use crate::RotatedBox;
use crate::rotated::half_turn;

/// Numbers that tell an upright box, and a rotated one.
pub const CODES: [usize; 2] = [4, 5];

/// Most that a size grows by: the logarithm of 1000 / 16, as in Detectron.
const MOST_GROWTH: f32 = 4.135_167;

/// Tells `target` by `from`, each number in its deviation: four of them for upright boxes, five for rotated ones.
pub fn encode(from: &RotatedBox, target: &RotatedBox, deviations: &[f32]) -> Vec<f32> {
    let target = match deviations.len() > 4 {
        true => nearest(from, target),
        false => *target,
    };
    let shift = [0, 1].map(|axis| target.centre[axis] - from.centre[axis]);
    let (sin, cos) = from.angle.sin_cos();
    let codes = [
        (shift[0] * cos + shift[1] * sin) / from.size[0],
        (shift[1] * cos - shift[0] * sin) / from.size[1],
        (target.size[0] / from.size[0]).ln(),
        (target.size[1] / from.size[1]).ln(),
        half_turn(target.angle - from.angle),
    ];
    codes.iter().zip(deviations).map(|(code, deviation)| code / deviation).collect()
}

/// The box that `codes` tell.
pub fn decode(from: &RotatedBox, codes: &[f32], deviations: &[f32]) -> RotatedBox {
    let code = |at: usize| codes[at] * deviations[at];
    let (along, across) = (code(0) * from.size[0], code(1) * from.size[1]);
    let (sin, cos) = from.angle.sin_cos();
    let size = [2, 3].map(|at| from.size[at - 2] * code(at).min(MOST_GROWTH).exp());
    let centre = [from.centre[0] + along * cos - across * sin, from.centre[1] + along * sin + across * cos];
    match deviations.len() > 4 {
        true => RotatedBox { centre, size, angle: from.angle + code(4) }.ordered(),
        false => RotatedBox { centre, size, angle: from.angle },
    }
}

/// The name of a rectangle, of its two, that is turned less from another.
fn nearest(from: &RotatedBox, target: &RotatedBox) -> RotatedBox {
    let [width, height] = target.size;
    let other = RotatedBox { size: [height, width], angle: target.angle + FRAC_PI_2, ..*target };
    let turned = |named: &RotatedBox| half_turn(named.angle - from.angle).abs();
    if turned(&other) < turned(target) { other } else { *target }
}

#[cfg(test)]
mod tests {
    use skysense_metric::Shape;

    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let from = RotatedBox { centre: [50.0, 40.0], size: [30.0, 12.0], angle: 0.4 };
        for angle in [-1.4, -0.2, 0.4, 1.3] {
            let target = RotatedBox { centre: [55.0, 38.0], size: [22.0, 9.0], angle };
            let deviations = [0.1, 0.1, 0.2, 0.2, 0.1];
            let codes = encode(&from, &target, &deviations);
            assert!(codes[4].abs() <= 10.0 * std::f32::consts::FRAC_PI_4 + 1e-4, "{codes:?}");
            let again = decode(&from, &codes, &deviations);
            assert!(again.quad().unwrap().iou(&target.quad().unwrap()) > 0.999, "{again:?} for {target:?}");
        }
        let (from, target) =
            (RotatedBox::upright([0.0, 0.0], [10.0, 20.0]), RotatedBox::upright([2.0, 5.0], [22.0, 15.0]));
        let codes = encode(&from, &target, &[1.0; 4]);
        let expected = [0.7, 0.0, 2.0_f32.ln(), 0.5_f32.ln()];
        assert!(codes.iter().zip(expected).all(|(code, expected)| (code - expected).abs() < 1e-6), "{codes:?}");
        let again = decode(&from, &codes, &[1.0; 4]);
        assert!(again.rect().unwrap().iou(&target.rect().unwrap()) > 0.999);
    }

    #[test]
    fn no_code_makes_a_box_without_bounds() {
        let from = RotatedBox::upright([0.0, 0.0], [16.0, 16.0]);
        assert!(decode(&from, &[0.0, 0.0, 1e9, 1e9], &[1.0; 4]).size[0] < 1001.0);
    }
}
