//! A figure as a list of what is on it, in units of a pixel of a plain screen, from the upper left corner.

/// Red, green, blue.
pub(super) type Color = [u8; 3];

pub(super) const INK: Color = [32, 32, 32];
pub(super) const GREY: Color = [120, 120, 120];
pub(super) const RULE: Color = [224, 224, 224];

/// What series are drawn in, told apart by most eyes (Okabe and Ito).
pub(super) const COLORS: [Color; 6] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233]];

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
}

/// Where the given place of a text lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Something on a figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Points joined by a line.
    Line { points: Vec<[f64; 2]>, color: Color, width: f64, opacity: f64 },
    /// A filled circle.
    Dot { at: [f64; 2], radius: f64, color: Color },
    /// A line of text; `at` is on its base line.
    Text { at: [f64; 2], text: String, size: f64, anchor: Anchor, color: Color },
}

impl Figure {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    /// A straight line.
    pub(super) fn rule(&mut self, from: [f64; 2], to: [f64; 2], color: Color) {
        self.shapes.push(Shape::Line { points: vec![from, to], color, width: 1.0, opacity: 1.0 });
    }

    pub(super) fn text(&mut self, at: [f64; 2], text: &str, (size, anchor, color): (f64, Anchor, Color)) {
        self.shapes.push(Shape::Text { at, text: text.into(), size, anchor, color });
    }
}
