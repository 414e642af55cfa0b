//! Objects at the rim of a chip.
//!
//! An object with `WHOLE` of its area or more in the chip is learned: an upright box is cut at the rim, a rotated one stays
//! whole, for what is left of it is no rectangle. Of one with less, what is left is ignored: who finds it is neither right
//! nor wrong (as DOTA's kit marks such parts as difficult). One that only touches the chip is not there.

use skysense_metric::{MetricError, Quad, Shape};

use crate::RotatedBox;

/// Share of an object's area in the chip from which on it is learned: the 0.7 of DOTA's kit.
const WHOLE: f64 = 0.7;
/// Share below which nothing of it is seen.
const TOUCHES: f64 = 0.01;

/// An object that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Where, in pixels of the image.
    pub area: RotatedBox,
    /// Place of its class.
    pub class: usize,
    /// A crowd in COCO's words, difficult in DOTA's: not asked for.
    pub ignored: bool,
}

/// The object as a chip of `[width, height]` sees it; `rotated` says whether rotated boxes are learned.
///
/// # Errors
/// Numbers that are not finite.
pub fn cut(object: &Object, chip: [f32; 2], rotated: bool) -> Result<Option<Object>, MetricError> {
    let area = if rotated { object.area.ordered() } else { object.area.bounds() };
    let (shape, window) = (area.quad()?, RotatedBox::upright([0.0, 0.0], chip).quad()?);
    let share = Quad::covered_by(&shape, &window);
    if share < TOUCHES {
        return Ok(None);
    }
    let ignored = object.ignored || share < WHOLE;
    // What is ignored is cut, too: the part beyond the rim is nowhere in the image.
    let area = if rotated && !ignored { area } else { area.bounds().clipped(chip) };
    Ok(Some(Object { area, ignored, ..*object }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_in_the_chip_decides() {
        let object = |left: f32, angle: f32| Object {
            area: RotatedBox { centre: [left + 5.0, 10.0], size: [10.0, 4.0], angle },
            class: 2,
            ignored: false,
        };
        let seen = |left, angle, rotated| cut(&object(left, angle), [100.0, 100.0], rotated).unwrap();
        assert_eq!(seen(20.0, 0.0, false), Some(object(20.0, 0.0)));
        let most = seen(-2.0, 0.0, false).unwrap();
        assert_eq!((most.area, most.ignored), (RotatedBox::upright([0.0, 8.0], [8.0, 12.0]), false));
        let most = seen(-2.0, 0.0, true).unwrap();
        assert_eq!((most.area, most.ignored), (object(-2.0, 0.0).area, false));
        let half = seen(-5.0, 0.0, false).unwrap();
        assert_eq!((half.area, half.ignored), (RotatedBox::upright([0.0, 8.0], [5.0, 12.0]), true));
        assert_eq!(seen(-10.0, 0.0, false), None);
        let turned = seen(20.0, 0.5, false).unwrap();
        assert!(turned.area.angle == 0.0 && turned.area.size[1] > 8.0);
        assert!(cut(&object(f32::NAN, 0.0), [1.0, 1.0], false).is_err());
    }
}
