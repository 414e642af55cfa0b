//! Anchors: the boxes that proposals start from (Faster R-CNN, section 3.1.1; one size a level as in FPN, section 4.1).

use skysense_contract::Detector;

use crate::RotatedBox;

/// Rows and columns of a level's map for an image.
pub fn level_size(stride: usize, [height, width]: [usize; 2]) -> [usize; 2] {
    [height.div_ceil(stride), width.div_ceil(stride)]
}

/// Anchors of a level, row by row, column by column, ratio by ratio. They stand on the middle of the cells.
///
/// An anchor of ratio r (height over width) has the area of a square of `anchor_scale` strides.
pub fn anchors(detector: &Detector, stride: usize, [height, width]: [usize; 2]) -> Vec<RotatedBox> {
    let side = detector.anchor_scale * stride as f64;
    let [rows, columns] = level_size(stride, [height, width]);
    let mut all = Vec::with_capacity(rows * columns * detector.anchor_ratios.len());
    for row in 0..rows {
        for column in 0..columns {
            let centre = [column, row].map(|cell| (cell as f32 + 0.5) * stride as f32);
            for ratio in &detector.anchor_ratios {
                let size = [side / ratio.sqrt(), side * ratio.sqrt()].map(|side| side as f32);
                all.push(RotatedBox { centre, size, angle: 0.0 });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_stand_on_their_cells() {
        let detector = Detector { anchor_scale: 8.0, anchor_ratios: vec![0.25, 1.0], ..Detector::upright() };
        let all = anchors(&detector, 16, [32, 48]);
        assert_eq!(all.len(), 2 * 3 * 2);
        assert_eq!(all[0], RotatedBox { centre: [8.0, 8.0], size: [256.0, 64.0], angle: 0.0 });
        assert_eq!(all[3], RotatedBox { centre: [24.0, 8.0], size: [128.0, 128.0], angle: 0.0 });
        assert_eq!(all[6].centre, [8.0, 24.0]);
        assert_eq!(level_size(64, [100, 64]), [2, 1]);
    }
}
