//! Charts of panels, alone and many on one figure.

use super::axis::Axis;
use super::figure::{Anchor, COLORS, Figure, GREY, INK, RULE, Shape};
use super::panel::Panel;
use super::series::Series;

/// Rim around charts, and charts in a row.
const RIM: f64 = 16.0;
const COLUMNS: usize = 3;
/// Sides of a chart among many, and of one alone.
const SMALL: [f64; 2] = [330.0, 210.0];
const LARGE: [f64; 2] = [760.0, 420.0];
/// Room of a chart for what stands beside its axes.
const LEFT: f64 = 50.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 34.0;

/// All panels on one figure.
pub(super) fn multiples(title: &str, panels: &[Panel]) -> Figure {
    let columns = COLUMNS.min(panels.len());
    let rows = panels.len().div_ceil(columns.max(1));
    let [width, height] = SMALL;
    let above = RIM + 26.0;
    let mut figure = Figure::new(RIM + columns as f64 * (width + RIM), above + rows as f64 * (height + RIM));
    figure.text([RIM, RIM + 14.0], title, (15.0, Anchor::Start, INK));
    for (at, panel) in panels.iter().enumerate() {
        let corner = [RIM + (at % columns) as f64 * (width + RIM), above + (at / columns) as f64 * (height + RIM)];
        chart(&mut figure, panel, corner, SMALL);
    }
    figure
}

/// One panel.
pub(super) fn single(panel: &Panel) -> Figure {
    let [width, height] = LARGE;
    let mut figure = Figure::new(width + 2.0 * RIM, height + 2.0 * RIM);
    chart(&mut figure, panel, [RIM, RIM], LARGE);
    figure
}

fn chart(figure: &mut Figure, panel: &Panel, [left, top]: [f64; 2], [width, height]: [f64; 2]) {
    let (x0, x1) = (left + LEFT, left + width);
    let (y0, y1) = (top + TOP, top + height - BOTTOM);
    let smooth: Vec<Option<Series>> = panel.series.iter().map(Series::smooth).collect();
    // Where there is a mean, it decides what is shown: one wild step must not make a line of all others.
    let shown = || {
        let all = panel.series.iter().zip(&smooth);
        all.flat_map(|(raw, smooth)| smooth.as_ref().map_or(&raw.points[..], |smooth| &smooth.points[..]))
    };
    let raw = || panel.series.iter().flat_map(|series| &series.points).map(|(_, value)| *value);
    let quiet = clipped(raw());
    let values: Vec<f64> = shown().map(|(_, value)| *value).chain(quiet).collect();
    let steps = shown().map(|(step, _)| *step);
    let (first, last) = steps.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let (across, up) = (Axis::exactly(first, last), Axis::of(values.iter().copied(), panel.may_be_logarithmic()));
    let place = |(step, value): (f64, f64)| {
        [x0 + across.place(step) * (x1 - x0), (y1 - up.place(value) * (y1 - y0)).clamp(y0, y1)]
    };
    for (value, label) in up.ticks(((y1 - y0) / 36.0) as usize) {
        let y = y1 - up.place(value) * (y1 - y0);
        figure.rule([x0, y], [x1, y], RULE);
        figure.text([x0 - 6.0, y + 4.0], &label, (10.0, Anchor::End, GREY));
    }
    for (value, label) in across.ticks(((x1 - x0) / 80.0) as usize) {
        let x = x0 + across.place(value) * (x1 - x0);
        figure.rule([x, y1], [x, y1 + 4.0], GREY);
        figure.text([x, y1 + 16.0], &label, (10.0, Anchor::Middle, GREY));
    }
    figure.rule([x0, y1], [x1, y1], GREY);
    figure.text([x1, y1 + 29.0], "step", (10.0, Anchor::End, GREY));
    heading(figure, panel, [left, x1, top + 12.0]);
    let most = (x1 - x0) as usize;
    for (at, (series, smooth)) in panel.series.iter().zip(&smooth).enumerate() {
        let color = COLORS[at % COLORS.len()];
        let mut line = |series: &Series, width: f64, opacity: f64| {
            let points = series.seen(most).into_iter().map(place).collect();
            figure.shapes.push(Shape::Line { points, color, width, opacity });
        };
        match smooth {
            Some(smooth) => {
                line(series, 1.0, 0.25);
                line(smooth, 1.8, 1.0);
            }
            None => line(series, 1.5, 1.0),
        }
        // Single points of a short or sparse series are told apart.
        if smooth.is_none() {
            let dots = series.points.iter().map(|point| Shape::Dot { at: place(*point), radius: 2.0, color });
            figure.shapes.extend(dots.collect::<Vec<_>>());
        }
    }
}

/// Name and unit on the left, the legend on the right where there is more than one series.
fn heading(figure: &mut Figure, panel: &Panel, [left, right, y]: [f64; 3]) {
    figure.text([left, y], &panel.name, (12.0, Anchor::Start, INK));
    if panel.series.len() > 1 {
        let mut x = right;
        for (at, series) in panel.series.iter().enumerate().rev() {
            figure.text([x, y], &series.label, (10.0, Anchor::End, COLORS[at % COLORS.len()]));
            x -= 6.5 * series.label.len() as f64 + 10.0;
        }
    }
    if !panel.unit.is_empty() {
        figure.text([left, y + 13.0], panel.unit, (10.0, Anchor::Start, GREY));
    }
}

/// The values between which nearly all lie: all but one of a hundred at either end.
fn clipped(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 100;
    match (values.get(cut), values.len().checked_sub(cut + 1).and_then(|at| values.get(at))) {
        (Some(low), Some(high)) => vec![*low, *high],
        _ => Vec::new(),
    }
}
