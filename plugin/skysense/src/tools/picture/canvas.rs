//! An RGB image in memory with what a figure needs: rectangles, text, other images.

use std::path::Path;

use skysense_abi::NodeError;

use super::font;

const PAPER: [u8; 3] = [255, 255, 255];
const INK: [u8; 3] = [32, 32, 32];

/// An RGB image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// `[height, width, 3]`.
    pub(crate) pixels: Vec<u8>,
}

impl Canvas {
    /// White paper.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: PAPER.repeat(width * height) }
    }

    /// Sets a pixel; outside of the paper nothing happens.
    pub(crate) fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            self.pixels[at..at + 3].copy_from_slice(&color);
        }
    }

    /// Fills a rectangle.
    pub(crate) fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, color: [u8; 3]) {
        (0..width * height).for_each(|i| self.set(x + i % width, y + i / width, color));
    }

    /// Lays another image on this one.
    pub(crate) fn paste(&mut self, x: usize, y: usize, image: &Self) {
        for (index, color) in image.pixels.chunks_exact(3).enumerate() {
            self.set(x + index % image.width, y + index / image.width, [color[0], color[1], color[2]]);
        }
    }

    /// Lays a share of a colour over a pixel; outside of the paper nothing happens.
    pub(crate) fn blend(&mut self, x: usize, y: usize, color: [u8; 3], share: f64) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            for (pixel, color) in self.pixels[at..at + 3].iter_mut().zip(color) {
                *pixel = (f64::from(*pixel) * (1.0 - share) + f64::from(color) * share).round() as u8;
            }
        }
    }

    /// Writes a line with its upper left corner at a place, each dot of the letters `scale` pixels wide.
    pub(crate) fn text(&mut self, x: usize, y: usize, text: &str, scale: usize) {
        self.text_in(x, y, text, (scale, INK));
    }

    /// As [`Canvas::text`] in a colour.
    pub(crate) fn text_in(&mut self, x: usize, y: usize, text: &str, (scale, color): (usize, [u8; 3])) {
        for (position, letter) in text.chars().enumerate() {
            let left = x + position * font::ADVANCE * scale;
            for (row, bits) in font::glyph(letter).into_iter().enumerate() {
                for column in (0..font::WIDTH).filter(|column| bits >> (font::WIDTH - 1 - column) & 1 == 1) {
                    self.fill(left + column * scale, y + row * scale, scale, scale, color);
                }
            }
        }
    }

    /// As [`Canvas::text`] in the largest size that fits, cut off where none does.
    pub(crate) fn text_within(&mut self, x: usize, y: usize, text: &str, width: usize) {
        let scale = if font::width(text, 2) <= width { 2 } else { 1 };
        let fits = width / (font::ADVANCE * scale);
        let text: String = text.chars().take(fits).collect();
        self.text(x, y + 3 * (2 - scale), &text, scale);
    }

    /// The image in another size, by nearest neighbour: a pixel of a map stays a square.
    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let mut out = Self::new(width, height);
        for y in 0..height {
            for x in 0..width {
                let at = 3 * ((y * self.height / height) * self.width + x * self.width / width);
                out.set(x, y, [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]);
            }
        }
        out
    }

    /// Writes a PNG under a temporary name and renames it.
    pub(crate) fn save(&self, path: &Path) -> Result<(), NodeError> {
        let fault = |error: &(dyn std::error::Error + 'static)| {
            NodeError::from_error("output.write", error).at("file", path.display())
        };
        let (width, height) = (self.width as u32, self.height as u32);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| fault(&error))?;
        }
        let part = path.with_extension("png.part");
        image::save_buffer_with_format(
            &part,
            &self.pixels,
            width,
            height,
            image::ExtendedColorType::Rgb8,
            image::ImageFormat::Png,
        )
        .map_err(|error| fault(&error))?;
        std::fs::rename(&part, path).map_err(|error| fault(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_leaves_ink_and_stays_inside() {
        let mut canvas = Canvas::new(30, 12);
        canvas.text(20, 2, "Map", 1);
        let ink = canvas.pixels.chunks_exact(3).filter(|pixel| *pixel == INK).count();
        assert!(ink > 10, "{ink}");
        let mut long = Canvas::new(40, 20);
        long.text_within(0, 0, "a title that is too long", 40);
        assert!(long.pixels.chunks_exact(3).any(|pixel| pixel == INK));
    }

    #[test]
    fn a_map_grows_in_squares() {
        let mut small = Canvas::new(2, 1);
        small.set(0, 0, [9, 9, 9]);
        let large = small.resized(6, 3);
        assert_eq!(large.pixels.chunks_exact(3).filter(|pixel| *pixel == [9, 9, 9]).count(), 9);
    }
}
