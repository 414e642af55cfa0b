//! A figure as SVG.

use std::fmt::Write as _;

use super::figure::{Anchor, Color, Figure, Shape};

/// The figure as a document of its own.
pub(super) fn text(figure: &Figure) -> String {
    let Figure { width, height, shapes } = figure;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for shape in shapes {
        // Writing into a string cannot fail.
        let _ = match shape {
            Shape::Line { points, color, width, opacity } => {
                let points: Vec<String> = points.iter().map(|[x, y]| format!("{},{}", short(*x), short(*y))).collect();
                writeln!(
                    out,
                    "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-opacity=\"{opacity}\" \
                     stroke-linejoin=\"round\" points=\"{}\"/>",
                    hex(*color),
                    points.join(" ")
                )
            }
            Shape::Dot { at: [x, y], radius, color } => {
                let fill = hex(*color);
                writeln!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\" fill=\"{fill}\"/>", short(*x), short(*y))
            }
            Shape::Text { at: [x, y], text, size, anchor, color } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                writeln!(
                    out,
                    "<text x=\"{}\" y=\"{}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
                    short(*x),
                    short(*y),
                    hex(*color),
                    escaped(text)
                )
            }
        };
    }
    out + "</svg>\n"
}

/// Two decimals, without needless ones.
fn short(value: f64) -> f64 {
    (100.0 * value).round() / 100.0
}

fn hex([red, green, blue]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Without what XML reads as markup, and without control characters, which it knows not at all.
fn escaped(text: &str) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let plain: String = plain.collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::figure::INK;
    use super::*;

    /// Whether tags close in the order in which they opened and nothing stands outside of the root: enough of an XML
    /// reader for what is written here.
    pub(in crate::plots) fn well_formed(svg: &str) -> bool {
        let mut open: Vec<&str> = Vec::new();
        let (mut rest, mut roots) = (svg, 0);
        while let Some(start) = rest.find('<') {
            let text = &rest[..start];
            let Some(end) = rest[start..].find('>') else { return false };
            let tag = &rest[start + 1..start + end];
            if open.is_empty() && !text.trim().is_empty() || text.contains('>') || tag.matches('"').count() % 2 == 1 {
                return false;
            }
            let entities = |(at, _): (usize, &str)| ["&amp;", "&lt;", "&gt;"].iter().any(|e| text[at..].starts_with(e));
            if !text.match_indices('&').all(entities) {
                return false;
            }
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) if open.pop() != Some(name) => return false,
                (false, false) => {
                    roots += usize::from(open.is_empty());
                    open.push(name);
                }
                _ => {}
            }
            rest = &rest[start + end + 1..];
        }
        open.is_empty() && roots == 1 && rest.trim().is_empty()
    }

    #[test]
    fn whatever_is_written_the_document_stays_whole() {
        let mut figure = Figure::new(100.0, 50.0);
        figure.rule([0.123456, 1.0], [2.0, 3.0], INK);
        figure.shapes.push(Shape::Dot { at: [1.0, 2.0], radius: 2.0, color: INK });
        figure.text([5.0, 6.0], "a < b & c > d \u{7} \"e\"", (11.0, Anchor::End, INK));
        let svg = text(&figure);
        assert!(well_formed(&svg), "{svg}");
        assert!(svg.contains("points=\"0.12,1 2,3\"") && svg.contains("a &lt; b &amp; c &gt; d   \"e\""), "{svg}");
        assert!(!well_formed(&svg.replace("</text>", "")) && !well_formed(&svg.replace("&amp;", "&")));
    }
}
