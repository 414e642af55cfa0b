//! An evaluation as one HTML file: no script, no link out of it, everything inside.

use std::fmt::Write as _;

use skysense_train::Curve;

use super::record::{ClassRow, Evaluation, Score};
use super::svg;
use super::worst::Worst;

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#202020;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;margin:.5rem 0}\
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}\
svg{max-width:100%;font:11px system-ui,sans-serif}.frame{fill:none;stroke:#999}.ideal{stroke:#999;stroke-dasharray:4 3}\
.line{fill:none;stroke:#0072b2;stroke-width:1.5}.point{fill:#0072b2;fill-opacity:.75}.plot{width:24rem}.map{width:24rem;border:1px solid #ccc}\
.chip{width:9rem;height:9rem;border:1px solid #ccc}figure{display:inline-block;margin:.3rem .6rem .3rem 0}\
figcaption{font-size:.8rem;color:#555}.swatch{display:inline-block;width:.8em;height:.8em;margin-right:.4em}\
.better{color:#00662e}.worse{color:#a01020}.matrix td{border:1px solid #eee}";

/// Text with what HTML reads as its own made harmless.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A score as people read it: shares in four digits, nothing where nothing can be said.
fn number(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{value:.4}"))
}

/// The page; `other` is what it is compared with, and `curve` how the model was trained.
pub(crate) fn page(found: &Evaluation, worst: &Worst, other: Option<&Evaluation>, curve: Option<&Curve>) -> String {
    let about = &found.about;
    let unit = match about.task.as_str() {
        "classification" | "multi_label" => "chips",
        _ => "pixels",
    };
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}: evaluation</title><style>{STYLE}\
         </style></head><body><h1>{0}: {1}</h1><p>{2} {unit} of {3}, held against {4}. Workflow {5}.</p>",
        plain(&about.model),
        plain(&about.task),
        found.count,
        plain(&about.part),
        plain(&about.labels.join(", ")),
        plain(about.workflow_sha256.get(..12).unwrap_or_default()),
    );
    scores(&mut text, found, other);
    classes(&mut text, &found.classes);
    matrix(&mut text, found);
    if found.reliability.iter().any(|bar| bar.count > 0) {
        text.push_str(
            "<h2>How sure, how right</h2><p>On the line the model is as sure as it may be.</p><div class=\"plot\">",
        );
        text.push_str(&svg::reliability(&found.reliability));
        text.push_str("</div>");
    }
    if !found.bias.is_empty() {
        text.push_str("<h2>Bias by the size of the truth</h2><div class=\"plot\">");
        text.push_str(&svg::bias(&found.bias, &plain(&about.unit)));
        text.push_str("</div>");
    }
    if !found.blocks.is_empty() {
        let _ = write!(
            text,
            "<h2>Map of errors</h2><p>Squares of {} pixels, north up; the darker, the worse.</p>{}",
            about.block,
            svg::error_map(&found.blocks)
        );
    }
    chips(&mut text, worst);
    if let Some(curve) = curve.filter(|curve| !curve.losses.is_empty()) {
        trained(&mut text, curve);
    }
    text.push_str("</body></html>\n");
    text
}

fn scores(text: &mut String, found: &Evaluation, other: Option<&Evaluation>) {
    text.push_str("<h2>Scores</h2><table><tr><th>score</th><th>value</th><th>95 % interval</th>");
    if let Some(other) = other {
        let _ = write!(text, "<th>{}</th><th>difference</th>", plain(&other.about.model));
    }
    text.push_str("</tr>");
    let mut blocks = None;
    for score in &found.scores {
        let interval = score.interval.as_ref().map_or("–".into(), |i| format!("{:.4} to {:.4}", i.lower, i.upper));
        blocks = blocks.or(score.interval.as_ref().map(|interval| interval.blocks));
        let _ = write!(text, "<tr><td>{}</td><td>{}</td><td>{interval}</td>", plain(&score.name), number(score.value));
        if let Some(other) = other {
            let then = other.scores.iter().find(|then| then.name == score.name).and_then(|then| then.value);
            let _ = write!(text, "<td>{}</td>{}", number(then), difference(score, then));
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
    if let Some(blocks) = blocks {
        let _ = write!(
            text,
            "<p>Intervals are percentiles over {blocks} squares of {} pixels that are drawn anew.{}</p>",
            found.about.block,
            if blocks < 30 { " With so few of them they are too narrow." } else { "" }
        );
    }
    if let Some(other) = other.filter(|other| other.about.part != found.about.part) {
        let _ = write!(text, "<p><b>The other was scored elsewhere: {}.</b></p>", plain(&other.about.part));
    }
}

/// Errors are better the smaller they are, all other scores the larger.
fn difference(score: &Score, then: Option<f64>) -> String {
    let (Some(now), Some(then)) = (score.value, then) else { return "<td>–</td>".into() };
    let apart = match score.name.as_str() {
        "bias" => then.abs() - now.abs(),
        "rmse" | "mae" | "expected_calibration_error" => then - now,
        _ => now - then,
    };
    let class = match apart {
        a if a > 0.0 => "better",
        a if a < 0.0 => "worse",
        _ => "",
    };
    format!("<td class=\"{class}\">{:+.4}</td>", now - then)
}

fn classes(text: &mut String, rows: &[ClassRow]) {
    if rows.is_empty() {
        return;
    }
    let ranked = rows.iter().any(|row| row.average_precision.is_some());
    text.push_str("<h2>Classes</h2><table><tr><th>class</th><th>count</th><th>IoU</th><th>F1</th><th>precision</th><th>recall</th>");
    text.push_str(if ranked { "<th>AP</th></tr>" } else { "</tr>" });
    for row in rows {
        let _ = write!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
            swatch(row),
            row.count,
            number(row.iou),
            number(row.f1),
            number(row.precision),
            number(row.recall)
        );
        if ranked {
            let _ = write!(text, "<td>{}</td>", number(row.average_precision));
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
}

fn swatch(row: &ClassRow) -> String {
    format!("<span class=\"swatch\" style=\"background:#{}\"></span>{}", plain(&row.color), plain(&row.name))
}

fn matrix(text: &mut String, found: &Evaluation) {
    if found.confusion.is_empty() {
        return;
    }
    text.push_str(
        "<h2>Confusion</h2><p>Rows are the truth, columns what was found.</p><table class=\"matrix\"><tr><th></th>",
    );
    for class in &found.classes {
        let _ = write!(text, "<th>{}</th>", plain(&class.name));
    }
    text.push_str("</tr>");
    for (class, line) in found.classes.iter().zip(&found.confusion) {
        let _ = write!(text, "<tr><td>{}</td>", swatch(class));
        let sum = line.iter().sum::<u64>().max(1) as f64;
        for count in line {
            let share = *count as f64 / sum;
            let ink = if share > 0.6 { "#fff" } else { "#202020" };
            let _ = write!(text, "<td style=\"background:rgba(0,80,160,{share:.3});color:{ink}\">{count}</td>");
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
}

/// Loss and score by step.
fn trained(text: &mut String, curve: &Curve) {
    text.push_str("<h2>Training</h2><p>The loss of the steps, where the model learned.</p><div class=\"plot\">");
    text.push_str(&svg::curve("loss", &curve.losses));
    text.push_str("</div>");
    let scores: Vec<(usize, f64)> = curve.scores.iter().filter_map(|(step, score)| Some((*step, (*score)?))).collect();
    if !scores.is_empty() {
        text.push_str("<p>The score on the way, where it did not learn.</p><div class=\"plot\">");
        text.push_str(&svg::curve("score", &scores));
        text.push_str("</div>");
    }
}

fn chips(text: &mut String, worst: &Worst) {
    if worst.chips().is_empty() {
        return;
    }
    text.push_str("<h2>The worst chips</h2>");
    for chip in worst.chips() {
        let [x, y] = chip.place;
        let _ = write!(text, "<div><b>Column {x}, row {y}, {}: {:.3}</b><br>", plain(&chip.period), chip.error);
        for (name, pixels) in &chip.pictures {
            let _ = write!(
                text,
                "<figure>{}<figcaption>{name}</figcaption></figure>",
                svg::picture(name, pixels, chip.side)
            );
        }
        text.push_str("</div>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Of;
    use crate::evaluate::worst::Shown;

    fn found(value: f64) -> Evaluation {
        let class = |value: u8, name: &str| ClassRow {
            value,
            name: name.into(),
            color: "00ff00".into(),
            count: 5,
            iou: Some(0.5),
            precision: None,
            recall: Some(1.0),
            f1: Some(0.6),
            average_precision: None,
        };
        Evaluation {
            about: Of {
                task: "segmentation".into(),
                model: "crops <2>".into(),
                unit: String::new(),
                weights_sha256: String::new(),
                labels: vec!["labels".into()],
                part: "the east".into(),
                block: 16,
                workflow_sha256: "5".repeat(64),
            },
            count: 10,
            scores: vec![Score { name: "overall_accuracy".into(), value: Some(value), interval: None }],
            classes: vec![class(1, "wheat & rye"), class(2, "water")],
            confusion: vec![vec![4, 1], vec![0, 5]],
            reliability: Vec::new(),
            bias: Vec::new(),
            blocks: vec![crate::evaluate::record::Block { column: 0, row: 0, count: 10, error: 0.1 }],
        }
    }

    #[test]
    fn the_page_stands_alone_and_says_what_is_better() {
        let mut worst = Worst::new(1);
        let pictures = vec![("truth", vec![[0, 255, 0]])];
        worst.add(Shown { place: [16, 0], period: "all".into(), error: 0.25, side: 1, pictures });
        let curve = Curve { losses: vec![(1, 2.0), (9, 0.5)], scores: vec![(5, Some(0.25)), (9, None)] };
        let text = page(&found(0.9), &worst, Some(&found(0.8)), Some(&curve));
        for part in [
            "crops &lt;2&gt;",
            "wheat &amp; rye",
            "0.9000",
            "+0.1000",
            "class=\"better\"",
            "Map of errors",
            "Column 16, row 0",
            "aria-label=\"loss by step\"",
            "aria-label=\"score by step\"",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        for outside in ["http", "src=", "href=", "@import", "<script"] {
            assert!(!text.contains(outside), "{outside} reaches out");
        }
    }

    #[test]
    fn errors_are_better_the_smaller_they_are() {
        let score = |name: &str, value| Score { name: name.into(), value: Some(value), interval: None };
        assert!(difference(&score("rmse", 1.0), Some(2.0)).contains("better"));
        assert!(difference(&score("r2", 0.5), Some(0.6)).contains("worse"));
        assert!(difference(&score("bias", -0.5), Some(0.2)).contains("worse"));
        assert_eq!(difference(&score("kappa", 0.5), None), "<td>–</td>");
    }
}
