//! Classes of whole chips as outlines.

use skysense_catalog::FeatureRow;
use skysense_contract::Task;
use skysense_edges::{MapBatch, MapFacts};
use skysense_grid::Window;

/// From which probability on a chip has a class, where it may have any.
const THRESHOLD: f32 = 0.5;

/// The task of maps whose classes are those of whole chips.
pub(crate) fn task_of_chips(facts: &MapFacts) -> Option<Task> {
    Task::ALL.into_iter().find(|task| task.of_chips() && task.name() == facts.task)
}

/// The outline of a chip with its class and how sure the model is; where a chip may have any, an outline for each that it
/// has. None of a chip that was not seen.
pub(crate) fn chip_rows(
    facts: &MapFacts,
    task: Task,
    chips: &MapBatch,
    row: usize,
    window: &Window,
) -> Vec<FeatureRow> {
    let (values, valid) = (chips.values(row), chips.valid(row));
    let grid = &facts.chips.geobox;
    let (Some(seen), Some(inside)) = (valid.iter().position(|valid| *valid != 0), grid.full().intersection(window))
    else {
        return Vec::new();
    };
    let given: Vec<f32> = values.iter().skip(seen).step_by(valid.len()).copied().collect();
    let first = (0, f32::NEG_INFINITY);
    let best = given.iter().copied().enumerate().fold(first, |best, one| if one.1 > best.1 { one } else { best });
    let found: Vec<(usize, f32)> = match task {
        Task::MultiLabel => given.iter().copied().enumerate().filter(|(_, share)| *share >= THRESHOLD).collect(),
        _ => vec![best],
    };
    let corner = |x: i64, y: i64| {
        let (x, y) = grid.transform.apply(x as f64, y as f64);
        [x, y]
    };
    let (left, right, top, bottom) = (inside.x, inside.right(), inside.y, inside.bottom());
    let corners = [corner(left, bottom), corner(right, bottom), corner(right, top), corner(left, top)];
    let outline = |(class, share): (usize, f32)| {
        let class = facts.classes.get(class)?;
        Some(FeatureRow {
            corners,
            class: (class.value, class.name.clone()),
            score: f64::from(share),
            period: chips.period(row).to_owned(),
            chip: chips.chip(row),
        })
    };
    found.into_iter().filter_map(outline).collect()
}
