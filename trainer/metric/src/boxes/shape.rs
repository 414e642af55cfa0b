//! What evaluation and suppression ask of a box.

use super::Rect;

/// A convex area of the plane, in any unit: pixels of a chip or metres of a map.
pub trait Shape: Clone {
    /// Its area.
    fn area(&self) -> f64;

    /// The least upright box around it.
    fn bounds(&self) -> Rect;

    /// Area of what both cover.
    fn intersection(&self, other: &Self) -> f64;

    /// Intersection over union, from 0 to 1; 0 where neither has an area.
    fn iou(&self, other: &Self) -> f64 {
        let both = self.intersection(other);
        // What both cover is left out once, in the order of pycocotools, so that thresholds are met by the same boxes.
        if both > 0.0 { both / (self.area() + other.area() - both) } else { 0.0 }
    }

    /// Share of its area that the other covers, from 0 to 1; 0 where it has no area.
    fn covered_by(&self, other: &Self) -> f64 {
        let both = self.intersection(other);
        if both > 0.0 { both / self.area() } else { 0.0 }
    }
}

/// A box that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored<S> {
    /// Where it is.
    pub shape: S,
    /// Its class.
    pub class: usize,
    /// How sure the model is.
    pub score: f64,
}

/// A box that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth<S> {
    /// Where it is.
    pub shape: S,
    /// Its class.
    pub class: usize,
    /// Not asked for: a crowd in COCO's words, difficult in DOTA's. Who finds it is neither right nor wrong.
    pub ignored: bool,
    /// Area by which it is small or large, where that is not the area of the box, as with COCO's masks.
    pub area: Option<f64>,
}
