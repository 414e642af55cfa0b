//! Windows of a map, at its own resolution and smaller.

use std::ops::Range;

use skysense_grid::Window;
use skysense_maps::Stored;
use skysense_raster::{Content, Patch};

use crate::map::Map;
use crate::store::ChipId;

/// Bytes of chips that are held for a part of a window.
const PART: usize = 64 << 20;
/// Pixels of the map a side, that a part of an overview is made of.
const REDUCED: usize = 1024;

/// Whether to go on, given the share that is done.
pub(crate) type GoOn<'a> = dyn FnMut(f64) -> bool + 'a;

/// Why a window could not be read.
pub(crate) enum Unread {
    /// Something failed, in words.
    Failed(String),
    /// The reader gave up.
    GivenUp,
}

/// Pixels of a type that maps are stored in.
pub(crate) trait Pixel: Copy + Default + 'static {
    /// The pixels, if they are of this type.
    fn of(stored: &Stored) -> Option<&[Self]>;
    /// The mean of valid pixels, of which there is one at least.
    fn mean(pixels: &[Self]) -> Self;
    /// Whether it is the value of no data.
    fn is(self, nodata: f64) -> bool;
    /// The value of no data.
    fn nodata(value: f64) -> Self;
}

impl Pixel for u8 {
    fn of(stored: &Stored) -> Option<&[Self]> {
        if let Stored::U8(pixels) = stored { Some(pixels) } else { None }
    }
    fn mean(pixels: &[Self]) -> Self {
        let (sum, count) = (pixels.iter().map(|&pixel| u32::from(pixel)).sum::<u32>(), pixels.len() as u32);
        ((sum + count / 2) / count) as Self
    }
    fn is(self, nodata: f64) -> bool {
        f64::from(self) == nodata
    }
    fn nodata(value: f64) -> Self {
        value as Self
    }
}

impl Pixel for i16 {
    fn of(stored: &Stored) -> Option<&[Self]> {
        if let Stored::I16(pixels) = stored { Some(pixels) } else { None }
    }
    fn mean(pixels: &[Self]) -> Self {
        let sum: f64 = pixels.iter().map(|&pixel| f64::from(pixel)).sum();
        (sum / pixels.len() as f64).round() as Self
    }
    fn is(self, nodata: f64) -> bool {
        f64::from(self) == nodata
    }
    fn nodata(value: f64) -> Self {
        value as Self
    }
}

impl Pixel for f32 {
    fn of(stored: &Stored) -> Option<&[Self]> {
        if let Stored::F32(pixels) = stored { Some(pixels) } else { None }
    }
    fn mean(pixels: &[Self]) -> Self {
        pixels.iter().sum::<Self>() / pixels.len() as Self
    }
    fn is(self, nodata: f64) -> bool {
        self.is_nan() && nodata.is_nan() || f64::from(self) == nodata
    }
    fn nodata(value: f64) -> Self {
        value as Self
    }
}

/// Where pixels go: `[band, height, width]`, lines `stride` apart.
pub(crate) struct Out<'a, T> {
    pub(crate) pixels: &'a mut [T],
    pub(crate) stride: usize,
    pub(crate) height: usize,
}

impl<T: Pixel> Out<'_, T> {
    /// Puts lines of `width` pixels to their place.
    fn put(&mut self, band: usize, (x, y): (usize, usize), width: usize, pixels: &[T]) {
        for (row, line) in pixels.chunks_exact(width).enumerate() {
            let at = (band * self.height + y + row) * self.stride + x;
            self.pixels[at..at + width].copy_from_slice(line);
        }
    }
}

impl Map {
    /// Refuses a window that is read to be made smaller and asks for too many chips.
    ///
    /// # Errors
    /// How many it asks for, and what to do.
    pub(crate) fn may_reduce(&self, level: usize, window: &Window) -> Result<(), String> {
        let source = self.source_of(level, window);
        let missing = self.computing.missing(self.chips_of(&source).into_iter());
        if missing <= self.max_chips {
            return Ok(());
        }
        Err(format!(
            "a window of {} x {} pixels is read to be made smaller: {missing} chips would have to be computed for it, and at most {} are (open option MAX_CHIPS)\n  hint: zoom in, read a smaller window, or at full resolution; raise MAX_CHIPS; or make the whole map once with `skysense run`",
            source.width, source.height, self.max_chips
        ))
    }

    /// Reads bands of a window. Level 0 is the map itself.
    ///
    /// # Errors
    /// What a node says, or that the reader gave up.
    pub(crate) fn read<T: Pixel>(
        &self,
        level: usize,
        bands: Range<usize>,
        window: &Window,
        out: &mut Out<'_, T>,
        go_on: &mut GoOn<'_>,
    ) -> Result<(), Unread> {
        if level == 0 {
            return self.whole(bands, window, out, go_on);
        }
        self.may_reduce(level, window).map_err(Unread::Failed)?;
        let side = (REDUCED >> level).max(1);
        let parts = parts(window, side);
        let count = parts.len() as f64;
        for (place, part) in parts.iter().enumerate() {
            let to = ((part.x - window.x) as usize, (part.y - window.y) as usize);
            for band in bands.clone() {
                let pixels = self.reduced(level, band, part, &mut |done| go_on((place as f64 + done) / count))?;
                out.put(band - bands.start, to, part.width, &pixels);
            }
        }
        Ok(())
    }

    /// A window at full resolution, part by part so that memory does not follow its size.
    fn whole<T: Pixel>(
        &self,
        bands: Range<usize>,
        window: &Window,
        out: &mut Out<'_, T>,
        go_on: &mut GoOn<'_>,
    ) -> Result<(), Unread> {
        let workflow = self.computing.workflow();
        let (grid, channels) = (&workflow.grid, workflow.facts.channels);
        // Those of all bands at once.
        let blended =
            self.layer.channels_of(bands.start, channels).start..self.layer.channels_of(bands.end - 1, channels).end;
        let chip = grid.size() * grid.size() * (4 * channels + 1);
        // So many chips a side that all of them fit; two more than strides touch a part.
        let most = ((PART / chip.max(1)).clamp(9, 400) as f64).sqrt() as usize;
        let side = grid.stride() * (most - 2).max(1);
        let parts = parts(window, side);
        let count = parts.len() as f64;
        for (place, part) in parts.iter().enumerate() {
            let ids = self.chips_of(part);
            let chips =
                self.computing.get(&ids, &mut |done| go_on((place as f64 + done) / count)).map_err(|error| {
                    if error.is_cancelled() { Unread::GivenUp } else { Unread::Failed(error.to_string()) }
                })?;
            let to = ((part.x - window.x) as usize, (part.y - window.y) as usize);
            let mut patch = Patch::new(grid, *part, blended.clone(), channels);
            for chip in grid.touching(part) {
                let Some(found) = chips.get(&(self.period, chip.index as u32)) else { continue };
                patch.push(&chip, &found.values, &found.valid).map_err(|error| Unread::Failed(error.to_string()))?;
            }
            let stored = self.layer.store(&patch.finish());
            let Some(pixels) = T::of(&stored) else {
                return Err(Unread::Failed("the layer is stored in another type than was said".into()));
            };
            for (band, plane) in pixels.chunks_exact(part.area()).enumerate() {
                out.put(band, to, part.width, plane);
            }
            if !go_on((place + 1) as f64 / count) {
                return Err(Unread::GivenUp);
            }
        }
        Ok(())
    }

    /// A part of an overview: of classes one pixel of the level below, of values the mean of up to four.
    fn reduced<T: Pixel>(
        &self,
        level: usize,
        band: usize,
        window: &Window,
        go_on: &mut GoOn<'_>,
    ) -> Result<Vec<T>, Unread> {
        let mut pixels = vec![T::default(); window.area()];
        if level == 0 {
            let mut out = Out { pixels: &mut pixels, stride: window.width, height: window.height };
            self.whole(band..band + 1, window, &mut out, go_on)?;
            return Ok(pixels);
        }
        let source = self.below(level, window);
        let lower: Vec<T> = self.reduced(level - 1, band, &source, go_on)?;
        let nodata = self.spec.nodata;
        let mut four = Vec::with_capacity(4);
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = (2 * (at % window.width), 2 * (at / window.width));
            if self.spec.content == Content::Classes {
                *pixel = lower[y * source.width + x];
                continue;
            }
            four.clear();
            for row in y..(y + 2).min(source.height) {
                four.extend_from_slice(&lower[row * source.width..][x..(x + 2).min(source.width)]);
            }
            four.retain(|value| !nodata.is_some_and(|nodata| value.is(nodata)));
            *pixel = if four.is_empty() { T::nodata(nodata.unwrap_or(0.0)) } else { T::mean(&four) };
        }
        Ok(pixels)
    }

    /// The pixels of the level below that a window is made of.
    fn below(&self, level: usize, window: &Window) -> Window {
        let side = |full: usize| full.div_ceil(1 << (level - 1));
        let (width, height) = (side(self.spec.geobox.width), side(self.spec.geobox.height));
        let (x, y) = (2 * window.x, 2 * window.y);
        let right = (2 * window.right()).min(width as i64);
        let bottom = (2 * window.bottom()).min(height as i64);
        Window { x, y, width: (right - x) as usize, height: (bottom - y) as usize }
    }

    /// The pixels of the map that a window of a level is made of.
    fn source_of(&self, level: usize, window: &Window) -> Window {
        (1..=level).rev().fold(*window, |window, level| self.below(level, &window))
    }

    fn chips_of(&self, window: &Window) -> Vec<ChipId> {
        self.computing.workflow().grid.touching(window).map(|chip| (self.period, chip.index as u32)).collect()
    }
}

/// A window in parts that begin at multiples of `side`.
fn parts(window: &Window, side: usize) -> Vec<Window> {
    let along = |from: i64, to: i64| -> Vec<(i64, usize)> {
        let side = side as i64;
        let mut cuts = vec![from];
        let mut next = (from.div_euclid(side) + 1) * side;
        while next < to {
            cuts.push(next);
            next += side;
        }
        let ends = cuts.iter().skip(1).copied().chain([to]);
        cuts.iter().zip(ends).map(|(&from, to)| (from, (to - from) as usize)).collect()
    };
    let columns = along(window.x, window.right());
    let rows = along(window.y, window.bottom());
    let row = |&(y, height): &(i64, usize)| {
        columns.iter().map(move |&(x, width)| Window { x, y, width, height }).collect::<Vec<_>>()
    };
    rows.iter().flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_window_and_lie_on_a_grid_of_their_own() {
        let window = Window { x: 5, y: 30, width: 40, height: 2 };
        let found = parts(&window, 16);
        let columns: Vec<_> = found.iter().filter(|part| part.y == 30).map(|part| (part.x, part.width)).collect();
        assert_eq!(columns, [(5, 11), (16, 16), (32, 13)]);
        assert_eq!(found.iter().map(Window::area).sum::<usize>(), 80);
        assert_eq!(parts(&Window { x: 16, y: 0, width: 16, height: 16 }, 16).len(), 1);
    }

    #[test]
    fn means_are_those_of_whole_numbers() {
        assert_eq!((u8::mean(&[1, 2]), u8::mean(&[1, 2, 2]), u8::mean(&[250; 4])), (2, 2, 250));
        assert_eq!((i16::mean(&[-1, -2]), i16::mean(&[-32768, 0])), (-2, -16384));
        assert_eq!(f32::mean(&[0.25, 0.75]), 0.5);
    }
}
