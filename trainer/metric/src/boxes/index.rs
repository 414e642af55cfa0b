//! Boxes by place, so that each is compared with its neighbours only.

use std::collections::HashMap;

use super::Rect;

/// A box that lies in more cells than this is asked for everywhere instead.
const CELLS: i64 = 64;

/// Places among boxes, in square cells.
#[derive(Debug)]
pub(super) struct Index {
    cell: f64,
    cells: HashMap<(i64, i64), Vec<usize>>,
    wide: Vec<usize>,
}

impl Index {
    /// Without a box, with cells for boxes as large as these on average.
    pub(super) fn for_boxes(boxes: impl Iterator<Item = Rect>) -> Self {
        let (sum, count) = boxes.fold((0.0, 0.0), |(sum, count), bounds| {
            let [width, height] = bounds.size();
            (sum + width.max(height), count + 1.0)
        });
        let mean: f64 = sum / count;
        Self { cell: if mean.is_finite() && mean > 0.0 { mean } else { 1.0 }, cells: HashMap::new(), wide: Vec::new() }
    }

    /// The cells that a box lies in; `None` where they are too many.
    fn cells_of(&self, bounds: Rect) -> Option<impl Iterator<Item = (i64, i64)> + use<>> {
        let cell = |[x, y]: [f64; 2]| ((x / self.cell).floor() as i64, (y / self.cell).floor() as i64);
        let ((left, top), (right, bottom)) = (cell(bounds.corner()), cell(bounds.far_corner()));
        let along = |from: i64, to: i64| to.saturating_sub(from).saturating_add(1);
        let few = along(left, right).saturating_mul(along(top, bottom)) <= CELLS;
        few.then(|| (left..=right).flat_map(move |x| (top..=bottom).map(move |y| (x, y))))
    }

    pub(super) fn insert(&mut self, at: usize, bounds: Rect) {
        match self.cells_of(bounds) {
            Some(cells) => cells.for_each(|cell| self.cells.entry(cell).or_default().push(at)),
            None => self.wide.push(at),
        }
    }

    /// Whether one of the boxes that may meet this one answers yes. A box may be asked more than once.
    pub(super) fn any_near(&self, bounds: Rect, mut asked: impl FnMut(usize) -> bool) -> bool {
        if self.wide.iter().any(|at| asked(*at)) {
            return true;
        }
        match self.cells_of(bounds) {
            Some(mut cells) => {
                cells.any(|cell| self.cells.get(&cell).is_some_and(|found| found.iter().any(|at| asked(*at))))
            }
            None => self.cells.values().flatten().any(|at| asked(*at)),
        }
    }
}
