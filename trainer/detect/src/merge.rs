//! Objects of chips that overlap, each once.

use skysense_metric::{ChipBox, Merge, MetricError, Quad, Rect, Scored, Shape, merge_chips};

use crate::Found;

/// How objects of several chips become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MergeRule {
    /// Whether boxes are rotated.
    pub rotated: bool,
    /// Boxes of a class that overlap by more are one.
    pub iou: f64,
    /// An object that comes nearer to the rim of its chip, in pixels, is cut there.
    pub margin: f64,
}

/// An object that stays: place of its chip, corners on the grid that all chips lie on, and the object as the chip has it.
pub type Kept = (usize, [[f64; 2]; 4], Found);

/// The objects that stay. Those that are whole come first, each part by falling score; of the same score the one of the earlier chip.
///
/// A chip is told by its corner and its side on that grid, in pixels, and what was found in it. An upright box is taken as
/// one on the grid, too, so that boxes of neighbours are compared on the same axes.
///
/// # Errors
/// Numbers that are not finite, a setting that makes no sense.
pub fn merged(chips: &[([f64; 2], f64, &[Found])], rule: MergeRule) -> Result<Vec<Kept>, MetricError> {
    match rule.rotated {
        true => merged_as(chips, rule, Quad::new),
        false => merged_as(chips, rule, |[from, _, to, _]| Rect::from_corners(from, to)),
    }
}

fn merged_as<S: Shape>(
    chips: &[([f64; 2], f64, &[Found])],
    rule: MergeRule,
    shape: impl Fn([[f64; 2]; 4]) -> Result<S, MetricError>,
) -> Result<Vec<Kept>, MetricError> {
    let (mut boxes, mut all) = (Vec::new(), Vec::new());
    for (place, (corner, side, found)) in chips.iter().enumerate() {
        let area = Rect::new(*corner, [*side; 2])?;
        for found in *found {
            let corners = found.area.corners().map(|point| [0, 1].map(|axis| corner[axis] + f64::from(point[axis])));
            let scored = Scored { shape: shape(corners)?, class: found.class, score: f64::from(found.score) };
            boxes.push(ChipBox::new(scored, place, &area, rule.margin));
            all.push((place, corners, *found));
        }
    }
    let kept = merge_chips(&boxes, Merge { iou: rule.iou, ..Merge::default() })?;
    Ok(kept.into_iter().map(|at| all[at]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RotatedBox;

    #[test]
    fn what_neighbours_see_is_given_once_and_whole() {
        for (rotated, angle) in [(false, 0.0_f32), (true, 0.3)] {
            let seen = |x: f32, y: f32, width: f32, score: f32| Found {
                area: RotatedBox { centre: [x, y], size: [width, 6.0], angle },
                class: 0,
                score,
            };
            // A ship at 105 of the grid: the left chip sees its front, the right one all of it; a boat is seen by both.
            let left = [seen(96.0, 50.0 - 9.0 * angle.tan(), 8.0, 0.9), seen(76.0, 50.0, 9.0, 0.6)];
            let right = [seen(41.0, 50.0, 30.0, 0.7), seen(12.0, 50.0, 9.0, 0.8)];
            let chips = [([0.0, 0.0], 100.0, &left[..]), ([64.0, 0.0], 100.0, &right[..])];
            let rule = MergeRule { rotated, iou: if rotated { 0.1 } else { 0.5 }, margin: 2.0 };
            let kept = merged(&chips, rule).unwrap();
            let told: Vec<(usize, f32)> = kept.iter().map(|(place, _, found)| (*place, found.score)).collect();
            assert_eq!(told, [(1, 0.8), (1, 0.7)], "{rotated}");
            let middle = kept[1].1.iter().map(|corner| corner[0]).sum::<f64>() / 4.0;
            assert!((middle - 105.0).abs() < 1e-4);
        }
    }
}
