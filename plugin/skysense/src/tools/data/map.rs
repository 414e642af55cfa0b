//! A map of the places of a set.

use skysense_shards::Part;

use super::summary::Dot;
use crate::tools::picture::canvas::Canvas;

const WIDTH: usize = 1000;
const MARGIN: usize = 48;
const LINE: [u8; 3] = [215, 219, 224];
const SEA: [u8; 3] = [246, 248, 250];
/// Colours of train and validation that most eyes tell apart.
const COLORS: [[u8; 3]; 2] = [[0, 114, 178], [230, 159, 0]];
/// Steps of the graticule in degrees.
const STEPS: [f64; 14] = [60.0, 30.0, 15.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005];

/// The part of the globe that is shown: longitudes count on beyond 180° where places lie on both sides of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Frame {
    /// Around all places, with the widest gap between them outside.
    fn around(dots: &[Dot]) -> Self {
        let mut longitudes: Vec<f64> =
            dots.iter().map(|dot| (dot.centre[0] + 180.0).rem_euclid(360.0) - 180.0).collect();
        longitudes.sort_by(f64::total_cmp);
        let (first, last) = (longitudes.first().copied().unwrap_or(0.0), longitudes.last().copied().unwrap_or(0.0));
        let mut gap = (360.0 - (last - first), first, last);
        for pair in longitudes.windows(2) {
            if pair[1] - pair[0] > gap.0 {
                gap = (pair[1] - pair[0], pair[1], pair[0] + 360.0);
            }
        }
        let south = dots.iter().map(|dot| dot.centre[1]).fold(90.0, f64::min);
        let north = dots.iter().map(|dot| dot.centre[1]).fold(-90.0, f64::max);
        let (west, east) = (gap.1, gap.2);
        let pad = (0.06 * (east - west).max(north - south)).max(0.005);
        let frame = Self { west: west - pad, south: south - pad, east: east + pad, north: north + pad };
        // No picture is narrower than half as wide as high, or flatter than a third.
        let (width, height) = (frame.east - frame.west, frame.north - frame.south);
        let wider = ((height / 1.5 - width) / 2.0).max(0.0);
        let higher = ((width / 3.0 - height) / 2.0).max(0.0);
        Self {
            west: frame.west - wider,
            south: (frame.south - higher).max(-90.0),
            east: frame.east + wider,
            north: (frame.north + higher).min(90.0),
        }
    }

    /// The longitude as the frame counts it.
    fn turned(&self, longitude: f64) -> f64 {
        let middle = (self.west + self.east) / 2.0;
        longitude + 360.0 * ((middle - longitude) / 360.0).round()
    }
}

/// Draws the places, those that train and those that validate in their colours.
pub(crate) fn draw(dots: &[Dot], title: &str) -> Canvas {
    let frame = Frame::around(dots);
    // Degrees of longitude are as long as those of latitude in the middle of the map.
    let shrink = ((frame.south + frame.north) / 2.0).to_radians().cos().max(0.2);
    let scale = (WIDTH - 2 * MARGIN) as f64 / ((frame.east - frame.west) * shrink);
    let height = ((frame.north - frame.south) * scale).round() as usize;
    let (left, top) = (MARGIN, MARGIN + 12);
    let mut canvas = Canvas::new(WIDTH, height + top + MARGIN);
    canvas.text_within(MARGIN, 14, title, WIDTH - 2 * MARGIN);
    canvas.fill(left, top, WIDTH - 2 * MARGIN, height, SEA);
    let x = |longitude: f64| left + ((longitude - frame.west) * shrink * scale).round().max(0.0) as usize;
    let y = |latitude: f64| top + ((frame.north - latitude) * scale).round().max(0.0) as usize;
    graticule(&mut canvas, &frame, &x, &y);
    let size = if dots.len() > 2000 { 2 } else { 4 };
    for dot in dots {
        let at = (x(frame.turned(dot.centre[0])), y(dot.centre[1]));
        let color = COLORS[usize::from(dot.part == Part::Validation)];
        canvas.fill(at.0.saturating_sub(size / 2), at.1.saturating_sub(size / 2), size, size, color);
    }
    for (place, part) in Part::ALL.into_iter().enumerate() {
        let left = MARGIN + 150 * place;
        canvas.fill(left, canvas.height - 28, 12, 12, COLORS[place]);
        canvas.text(left + 18, canvas.height - 29, part.name(), 2);
    }
    canvas
}

fn graticule(canvas: &mut Canvas, frame: &Frame, x: &dyn Fn(f64) -> usize, y: &dyn Fn(f64) -> usize) {
    let span = (frame.east - frame.west).max(frame.north - frame.south);
    let step = STEPS.into_iter().find(|step| span / step >= 4.0).unwrap_or(0.005);
    let digits = if step < 0.01 { 3 } else { usize::from(step < 1.0) + usize::from(step < 0.1) };
    let numbers =
        |from: f64, to: f64| ((from / step).ceil() as i64..=(to / step).floor() as i64).map(move |n| n as f64 * step);
    let (top, bottom) = (y(frame.north), y(frame.south));
    for longitude in numbers(frame.west, frame.east) {
        let at = x(longitude);
        canvas.fill(at, top, 1, bottom - top, LINE);
        let wrapped = (longitude + 180.0).rem_euclid(360.0) - 180.0;
        canvas.text(at.saturating_sub(10), bottom + 4, &format!("{wrapped:.digits$}"), 1);
    }
    for latitude in numbers(frame.south, frame.north) {
        let (at, left) = (y(latitude), x(frame.west));
        canvas.fill(left, at, x(frame.east) - left, 1, LINE);
        canvas.text(4, at.saturating_sub(3), &format!("{latitude:.digits$}"), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dots(places: &[[f64; 2]]) -> Vec<Dot> {
        let part = |n: usize| if n.is_multiple_of(2) { Part::Train } else { Part::Validation };
        places.iter().enumerate().map(|(n, &centre)| Dot { centre, part: part(n) }).collect()
    }

    fn count(canvas: &Canvas, color: [u8; 3]) -> usize {
        canvas.pixels.chunks_exact(3).filter(|pixel| *pixel == color).count()
    }

    #[test]
    fn every_place_is_drawn_in_its_colour() {
        let canvas = draw(&dots(&[[10.0, 45.0], [12.0, 46.0], [14.0, 47.0], [16.0, 45.5]]), "four");
        // Two dots and a swatch of each colour.
        assert_eq!(count(&canvas, COLORS[0]), 2 * 16 + 144);
        assert_eq!(count(&canvas, COLORS[1]), 2 * 16 + 144);
    }

    #[test]
    fn places_on_both_sides_of_the_antimeridian_lie_together() {
        let fiji = dots(&[[179.8, -17.0], [-179.9, -17.2], [-179.5, -16.9]]);
        let frame = Frame::around(&fiji);
        assert!(frame.east - frame.west < 2.0 && frame.west > 179.0, "{frame:?}");
        let canvas = draw(&fiji, "Fiji");
        assert_eq!((count(&canvas, COLORS[0]), count(&canvas, COLORS[1])), (2 * 16 + 144, 16 + 144));
    }

    #[test]
    fn one_place_and_the_whole_globe_have_a_map() {
        for places in [vec![[14.5, 46.0]], vec![[-179.0, -80.0], [0.0, 84.0], [179.0, 0.0], [90.0, 0.0], [-90.0, 0.0]]]
        {
            let canvas = draw(&dots(&places), "");
            assert!(canvas.height > 100 && canvas.height < 2000, "{}", canvas.height);
            assert!(count(&canvas, COLORS[0]) > 144);
        }
    }
}
