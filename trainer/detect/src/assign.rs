//! Which box learns to find which object.
//!
//! A box is positive where it overlaps an object by `positive` or more, negative where it overlaps all by less than
//! `negative`, and does not learn in between; an object that no box overlaps that much gets the ones that overlap it most,
//! from `least` on (Faster R-CNN, section 3.1.2, with the floor of mmdetection). A negative one that lies by half in what
//! is ignored does not learn.

use skysense_metric::Shape;

/// From which overlap on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// An object is found.
    pub positive: f64,
    /// Below, it is not.
    pub negative: f64,
    /// The best boxes of an object that none is positive for are; `None` where they are not.
    pub least: Option<f64>,
}

impl Thresholds {
    /// Of anchors.
    pub const ANCHORS: Self = Self { positive: 0.7, negative: 0.3, least: Some(0.3) };
    /// Of proposals.
    pub const PROPOSALS: Self = Self { positive: 0.5, negative: 0.5, least: None };
}

/// What a box learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assigned {
    /// That there is this object.
    Object(usize),
    /// That there is none.
    Nothing,
    /// Nothing.
    Unused,
}

/// Share of a box in what is ignored from which on it does not learn that nothing is there.
const IGNORED: f64 = 0.5;

/// Assigns each box; `objects` are learned, `ignored` are not.
pub fn assign<S: Shape>(boxes: &[S], objects: &[S], ignored: &[S], thresholds: Thresholds) -> Vec<Assigned> {
    assign_by(
        boxes.len(),
        objects.len(),
        thresholds,
        |at, object| boxes[at].iou(&objects[object]),
        |at| ignored.iter().any(|ignored| boxes[at].covered_by(ignored) >= IGNORED),
    )
}

fn assign_by(
    boxes: usize,
    objects: usize,
    thresholds: Thresholds,
    iou: impl Fn(usize, usize) -> f64,
    ignored: impl Fn(usize) -> bool,
) -> Vec<Assigned> {
    // Of each object the most that a box overlaps it, and the boxes that do.
    let mut best_of_object = vec![(0.0_f64, Vec::new()); objects];
    let mut best: Vec<(f64, usize)> = Vec::with_capacity(boxes);
    for at in 0..boxes {
        let mut most = (0.0, 0);
        for (object, (best, boxes)) in best_of_object.iter_mut().enumerate() {
            let iou = iou(at, object);
            if iou > *best {
                boxes.clear();
            }
            *best = best.max(iou);
            if iou >= *best && iou > 0.0 {
                boxes.push(at);
            }
            if iou > most.0 {
                most = (iou, object);
            }
        }
        best.push(most);
    }
    let mut assigned: Vec<Assigned> = best
        .iter()
        .enumerate()
        .map(|(at, &(most, object))| match most {
            most if objects > 0 && most >= thresholds.positive => Assigned::Object(object),
            most if most < thresholds.negative && !ignored(at) => Assigned::Nothing,
            _ => Assigned::Unused,
        })
        .collect();
    if let Some(least) = thresholds.least {
        let good = best_of_object.iter().enumerate().filter(|(_, (best, _))| *best >= least && *best > 0.0);
        for (object, (_, boxes)) in good {
            boxes.iter().for_each(|at| assigned[*at] = Assigned::Object(object));
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use skysense_metric::Rect;

    use super::*;

    fn rect(x: f64, width: f64) -> Rect {
        Rect::new([x, 0.0], [width, 10.0]).unwrap()
    }

    #[test]
    fn overlaps_decide() {
        // IoU with the object at 0 to 10: 1, 0.8, 0.4, 0.25, 0.
        let boxes = [rect(0.0, 10.0), rect(0.0, 8.0), rect(0.0, 4.0), rect(0.0, 2.5), rect(50.0, 10.0)];
        let assigned = assign(&boxes, &[rect(0.0, 10.0)], &[], Thresholds::ANCHORS);
        let object = Assigned::Object(0);
        assert_eq!(assigned, [object, object, Assigned::Unused, Assigned::Nothing, Assigned::Nothing]);
        // Without a box that is good enough the best one learns, if it is good at all.
        let assigned = assign(&boxes[2..], &[rect(0.0, 10.0)], &[], Thresholds::ANCHORS);
        assert_eq!(assigned, [object, Assigned::Nothing, Assigned::Nothing]);
        let assigned = assign(&boxes[3..], &[rect(0.0, 10.0)], &[], Thresholds::ANCHORS);
        assert_eq!(assigned, [Assigned::Nothing, Assigned::Nothing]);
        // All that are as good as the best do.
        let twice = [rect(0.0, 4.0), rect(0.0, 3.0), rect(6.0, 4.0)];
        let assigned = assign(&twice, &[rect(0.0, 10.0)], &[], Thresholds::ANCHORS);
        assert_eq!(assigned, [object, Assigned::Unused, object]);
        let assigned = assign(&boxes[2..], &[rect(0.0, 10.0)], &[], Thresholds::PROPOSALS);
        assert_eq!(assigned, [Assigned::Nothing; 3]);
    }

    #[test]
    fn nothing_is_learned_of_what_is_ignored_and_all_of_an_empty_image() {
        let boxes = [rect(0.0, 10.0), rect(6.0, 10.0), rect(50.0, 10.0)];
        let assigned = assign(&boxes, &[], &[rect(0.0, 10.0)], Thresholds::PROPOSALS);
        assert_eq!(assigned, [Assigned::Unused, Assigned::Nothing, Assigned::Nothing]);
        assert_eq!(assign(&boxes, &[], &[], Thresholds::ANCHORS), [Assigned::Nothing; 3]);
        assert!(assign::<Rect>(&[], &[rect(0.0, 1.0)], &[], Thresholds::ANCHORS).is_empty());
    }
}
