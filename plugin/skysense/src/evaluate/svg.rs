//! Pictures of a report as SVG inside its page: nothing is fetched.

use std::fmt::Write as _;

use skysense_metric::{BiasBin, ReliabilityBin};

use super::record::Block;

/// Side of a plot in user units.
const SIDE: f64 = 260.0;
/// Room for the axes.
const RIM: f64 = 44.0;

/// Opens a plot with axes from `x` to `y` ranges; gives the text and the way from values to places.
fn axes(title: &str, across: (&str, [f64; 2]), down: (&str, [f64; 2])) -> (String, impl Fn(f64, f64) -> (f64, f64)) {
    let place = move |x: f64, y: f64| {
        let share = |value: f64, [low, high]: [f64; 2]| (value - low) / (high - low).max(f64::MIN_POSITIVE);
        (RIM + SIDE * share(x, across.1), RIM / 2.0 + SIDE * (1.0 - share(y, down.1)))
    };
    let (width, height) = (SIDE + 1.5 * RIM, SIDE + 1.5 * RIM);
    let mut text = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\"><rect x=\"{RIM}\" y=\"{}\" \
         width=\"{SIDE}\" height=\"{SIDE}\" class=\"frame\"/>",
        RIM / 2.0
    );
    for share in [0.0, 0.5, 1.0] {
        let at = |[low, high]: [f64; 2]| low + share * (high - low);
        let (x, _) = place(at(across.1), down.1[0]);
        let (_, y) = place(across.1[0], at(down.1));
        let below = RIM / 2.0 + SIDE + 14.0;
        let _ = write!(
            text,
            "<text x=\"{x:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            short(at(across.1)),
            RIM - 4.0,
            y + 4.0,
            short(at(down.1))
        );
    }
    let (middle, bottom) = (RIM + SIDE / 2.0, RIM / 2.0 + SIDE + 30.0);
    let _ = write!(text, "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{}</text>", across.0);
    let _ = write!(
        text,
        "<text transform=\"translate(11 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        RIM / 2.0 + SIDE / 2.0,
        down.0
    );
    (text, place)
}

/// A number in few letters.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How often the model was right against how sure it was; on the line it is as sure as it may be.
pub(super) fn reliability(bars: &[ReliabilityBin]) -> String {
    let (mut text, place) = axes("reliability", ("confidence", [0.0, 1.0]), ("share that is right", [0.0, 1.0]));
    let ((x1, y1), (x2, y2)) = (place(0.0, 0.0), place(1.0, 1.0));
    let _ = write!(text, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"ideal\"/>");
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1) as f64;
    for bar in bars {
        let (Some(sure), Some(right)) = (bar.confidence, bar.accuracy) else { continue };
        let ((x, y), size) = (place(sure, right), 2.0 + 6.0 * (bar.count as f64 / most).sqrt());
        let _ = write!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size:.1}\" class=\"point\"><title>{} at {sure:.2}: {right:.2} \
             right</title></circle>",
            bar.count
        );
    }
    text + "</svg>"
}

/// Mean error by the size of the truth.
pub(super) fn bias(bins: &[BiasBin], unit: &str) -> String {
    let found: Vec<(f64, f64, u64)> = bins.iter().filter_map(|bin| Some((bin.truth?, bin.bias?, bin.count))).collect();
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else { return String::new() };
    let reach = found.iter().map(|(_, bias, _)| bias.abs()).fold(1e-9, f64::max);
    let (across, down) = (format!("truth {unit}"), format!("prediction − truth {unit}"));
    let (mut text, place) = axes("bias", (&across, [first.from, last.to]), (&down, [-reach, reach]));
    let ((x1, y), (x2, _)) = (place(first.from, 0.0), place(last.to, 0.0));
    let _ = write!(text, "<line x1=\"{x1}\" y1=\"{y}\" x2=\"{x2}\" y2=\"{y}\" class=\"ideal\"/>");
    for (truth, bias, count) in found {
        let (x, y) = place(truth, bias);
        let _ = write!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" class=\"point\"><title>{count} near {truth:.3}: {bias:+.3}\
             </title></circle>"
        );
    }
    text + "</svg>"
}

/// A line of what happened at each step.
pub(super) fn curve(name: &str, points: &[(usize, f64)]) -> String {
    let finite = || points.iter().filter(|(_, value)| value.is_finite());
    let last = points.last().map_or(1, |(step, _)| *step).max(1) as f64;
    let (low, high) = finite().fold((0.0_f64, 1e-9_f64), |(low, high), (_, value)| (low.min(*value), high.max(*value)));
    let title = format!("{name} by step");
    let (mut text, place) = axes(&title, ("step", [0.0, last]), (name, [low, high]));
    text.push_str("<polyline class=\"line\" points=\"");
    for (step, value) in finite() {
        let (x, y) = place(*step as f64, *value);
        let _ = write!(text, "{x:.1},{y:.1} ");
    }
    text.push_str("\"/>");
    for (step, value) in finite().filter(|_| points.len() <= 40) {
        let (x, y) = place(*step as f64, *value);
        let _ = write!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"point\"><title>step {step}: {value:.4}</title></circle>"
        );
    }
    text + "</svg>"
}

/// Errors by place, the darker the worse.
pub(super) fn error_map(blocks: &[Block]) -> String {
    let bounds = |of: fn(&Block) -> i64| {
        let all = || blocks.iter().map(of);
        (all().min().unwrap_or(0), all().max().unwrap_or(0))
    };
    let ((left, right), (top, bottom)) = (bounds(|block| block.column), bounds(|block| block.row));
    let (width, height) = (right - left + 1, bottom - top + 1);
    let most = blocks.iter().map(|block| block.error).fold(1e-9, f64::max);
    let mut text = format!(
        "<svg viewBox=\"0 0 {width} {height}\" class=\"map\" role=\"img\" aria-label=\"map of errors\" \
         shape-rendering=\"crispEdges\">"
    );
    for block in blocks {
        let (x, y) = (block.column - left, block.row - top);
        // From white to a dark red.
        let part = block.error / most;
        let mix = |to: f64| (255.0 + (to - 255.0) * part).round();
        let (red, green, blue) = (mix(128.0), mix(10.0), mix(20.0));
        let _ = write!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\" fill=\"rgb({red},{green},{blue})\"><title>column {}, row \
             {}: {:.3} of {}</title></rect>",
            block.column, block.row, block.error, block.count
        );
    }
    text + "</svg>"
}

/// Colours as squares; neighbours of one colour in a row are one.
pub(super) fn picture(name: &str, pixels: &[[u8; 3]], side: usize) -> String {
    let mut text = format!(
        "<svg viewBox=\"0 0 {side} {side}\" class=\"chip\" role=\"img\" aria-label=\"{name}\" \
         shape-rendering=\"crispEdges\">"
    );
    for (y, line) in pixels.chunks(side.max(1)).enumerate() {
        let mut x = 0;
        for run in line.chunk_by(|a, b| a == b) {
            let [red, green, blue] = run[0];
            let width = run.len();
            let _ = write!(
                text,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"1\" fill=\"#{red:02x}{green:02x}{blue:02x}\"/>"
            );
            x += width;
        }
    }
    text + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_colour_are_one_square_wide_as_they_are() {
        let text = picture("truth", &[[1, 2, 3], [1, 2, 3], [255, 0, 0], [1, 2, 3]], 2);
        assert_eq!(text.matches("<rect").count(), 3);
        assert!(text.contains("width=\"2\" height=\"1\" fill=\"#010203\"") && text.contains("#ff0000"), "{text}");
    }

    #[test]
    fn the_worst_block_is_the_darkest() {
        let block = |column, error| Block { column, row: 3, count: 9, error };
        let text = error_map(&[block(4, 0.0), block(6, 0.5)]);
        assert!(
            text.contains("viewBox=\"0 0 3 1\"")
                && text.contains("rgb(255,255,255)")
                && text.contains("rgb(128,10,20)")
        );
    }

    #[test]
    fn a_curve_goes_from_the_first_step_to_the_last() {
        let text = curve("loss", &[(1, 4.0), (10, 2.0), (20, f64::NAN), (20, 0.0)]);
        // From the top down to the axis at the far right.
        let right = RIM + SIDE;
        assert!(text.contains(&format!("{:.1},{:.1} ", RIM + SIDE / 20.0, RIM / 2.0)), "{text}");
        assert!(text.contains(&format!("{right:.1},{:.1} ", RIM / 2.0 + SIDE)) && !text.contains("NaN"), "{text}");
        assert_eq!(text.matches("<circle").count(), 3);
        let many: Vec<(usize, f64)> = (1..=100).map(|step| (step, 1.0 / step as f64)).collect();
        assert_eq!(curve("loss", &many).matches("<circle").count(), 0);
        assert!(curve("loss", &[]).ends_with("</svg>"));
    }
}
