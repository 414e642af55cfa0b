//! A figure as pixels.

use super::figure::{Anchor, Color, Figure, Shape};
use crate::tools::{Canvas, font};

/// Pixels to a unit of the figure: sharp on screens of today.
const SCALE: f64 = 2.0;

/// The figure on white paper.
pub(super) fn canvas(figure: &Figure) -> Canvas {
    let pixels = |length: f64| (length * SCALE).ceil() as usize;
    let mut canvas = Canvas::new(pixels(figure.width), pixels(figure.height));
    for shape in &figure.shapes {
        match shape {
            Shape::Line { points, color, width, opacity } => line(&mut canvas, points, *width, (*color, *opacity)),
            Shape::Dot { at, radius, color } => line(&mut canvas, &[*at, *at], 2.0 * radius, (*color, 1.0)),
            Shape::Text { at, text, size, anchor, color } => write(&mut canvas, *at, text, (*size, *anchor, *color)),
        }
    }
    canvas
}

/// A line with round ends and soft edges. How far each pixel is from it is found first, so that it is as dark where its
/// parts meet as elsewhere.
fn line(canvas: &mut Canvas, points: &[[f64; 2]], width: f64, (color, opacity): (Color, f64)) {
    let points: Vec<[f64; 2]> = points.iter().map(|[x, y]| [x * SCALE, y * SCALE]).collect();
    let reach = width * SCALE / 2.0 + 0.5;
    let within = |values: &mut dyn Iterator<Item = f64>, length: usize| {
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        let from = (least - reach).floor().clamp(0.0, length as f64) as usize;
        (from, ((most + reach).ceil() + 1.0).clamp(from as f64, length as f64) as usize)
    };
    let (left, right) = within(&mut points.iter().map(|[x, _]| *x), canvas.width);
    let (top, bottom) = within(&mut points.iter().map(|[_, y]| *y), canvas.height);
    let mut cover = vec![0.0_f64; (right - left) * (bottom - top)];
    for pair in points.windows(2) {
        let [[ax, ay], [bx, by]] = [pair[0], pair[1]];
        let clamp = |value: f64, low: usize, high: usize| value.clamp(low as f64, high as f64) as usize;
        let (x0, x1) = (clamp((ax.min(bx) - reach).floor(), left, right), clamp(ax.max(bx) + reach + 1.0, left, right));
        let (y0, y1) = (clamp((ay.min(by) - reach).floor(), top, bottom), clamp(ay.max(by) + reach + 1.0, top, bottom));
        let (dx, dy) = (bx - ax, by - ay);
        let squared = dx * dx + dy * dy;
        for y in y0..y1 {
            for x in x0..x1 {
                let (px, py) = (x as f64 + 0.5 - ax, y as f64 + 0.5 - ay);
                let along = if squared > 0.0 { ((px * dx + py * dy) / squared).clamp(0.0, 1.0) } else { 0.0 };
                let distance = (px - along * dx).hypot(py - along * dy);
                let pixel = &mut cover[(y - top) * (right - left) + x - left];
                *pixel = pixel.max((reach - distance).clamp(0.0, 1.0));
            }
        }
    }
    for (at, cover) in cover.into_iter().enumerate().filter(|(_, cover)| *cover > 0.0) {
        let (x, y) = (left + at % (right - left), top + at / (right - left));
        canvas.blend(x, y, color, cover * opacity);
    }
}

/// Letters are dots: as many pixels to a dot as come nearest to the size.
fn write(canvas: &mut Canvas, [x, y]: [f64; 2], text: &str, (size, anchor, color): (f64, Anchor, Color)) {
    // Seven dots are as high as a capital, which is seven tenths of a letter's size.
    let dot = ((size * SCALE / 10.0).round() as usize).max(1);
    let width = font::width(text, dot).saturating_sub(dot) as f64;
    let left = match anchor {
        Anchor::Start => x * SCALE,
        Anchor::Middle => x * SCALE - width / 2.0,
        Anchor::End => x * SCALE - width,
    };
    let top = y * SCALE - 7.0 * dot as f64;
    canvas.text_in(left.max(0.0).round() as usize, top.max(0.0).round() as usize, text, (dot, color));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::figure::INK;

    #[test]
    fn lines_are_as_dark_where_they_meet_and_nothing_falls_off_the_paper() {
        let mut figure = Figure::new(20.0, 10.0);
        let points = vec![[2.0, 5.0], [10.0, 5.0], [18.0, 5.0]];
        figure.shapes.push(Shape::Line { points, color: [0, 0, 0], width: 2.0, opacity: 0.5 });
        figure.rule([-50.0, -50.0], [80.0, 60.0], [255, 255, 255]);
        figure.text([19.0, 9.0], "much too long for it", (11.0, Anchor::Start, INK));
        let canvas = canvas(&figure);
        assert_eq!((canvas.width, canvas.height), (40, 20));
        let at = |x: usize, y: usize| canvas.pixels[3 * (y * canvas.width + x)];
        assert_eq!((at(12, 9), at(20, 9), at(21, 10), at(12, 2)), (128, 128, 128, 255));
    }
}
