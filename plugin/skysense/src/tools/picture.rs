//! `map.picture`: panels side by side as a PNG: images, class maps with their legend, features.

pub(crate) mod canvas;
pub(crate) mod font;
mod panel;
mod principal;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};

use self::canvas::Canvas;
use self::panel::{Colored, Drawn, Panel};

/// Pixels between things, and height of a line of text.
const GAP: usize = 14;
const LINE: usize = 22;

/// Arguments of `map.picture`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The PNG to write.
    out: PathBuf,
    /// What to show, from left to right and then down.
    #[schemars(length(min = 1))]
    panels: Vec<Panel>,
    /// Pixels along the longer side of a panel.
    #[serde(default = "side")]
    #[schemars(range(min = 64, max = 4096))]
    side: usize,
    /// Panels in a row.
    #[serde(default = "columns")]
    #[schemars(range(min = 1, max = 16))]
    columns: usize,
    /// A line above all panels.
    #[serde(default)]
    title: Option<String>,
}

fn side() -> usize {
    460
}

fn columns() -> usize {
    4
}

/// Answer of `map.picture`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    /// The PNG.
    path: String,
    /// Its width in pixels.
    width: usize,
    /// Its height in pixels.
    height: usize,
    /// What each panel shows.
    panels: Vec<String>,
}

/// The tool.
pub(crate) struct MapPicture;

impl Tool for MapPicture {
    const NAME: &'static str = "map.picture";
    const SUMMARY: &'static str = "Draws images, class maps and features side by side as a PNG with a legend";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        if arguments.panels.is_empty()
            || !(64..=4096).contains(&arguments.side)
            || !(1..=16).contains(&arguments.columns)
        {
            let message =
                format!("{} panels of {} px, {} in a row", arguments.panels.len(), arguments.side, arguments.columns);
            return Err(NodeError::new("arguments.invalid", message)
                .hint("give at least one panel, a side of 64 to 4096 and 1 to 16 columns"));
        }
        let found = arguments.panels.iter().map(|panel| panel.find(host)).collect::<Result<Vec<_>, _>>()?;
        let panels = || arguments.panels.iter().zip(&found);
        let shared: Vec<Colored> = panels().flat_map(|(panel, found)| panel.stated(found)).collect();
        let mut drawn = Vec::new();
        for (panel, found) in panels() {
            host.check_cancelled()?;
            drawn.push(panel.draw(found, arguments.side, &shared)?);
        }
        let canvas = compose(&drawn, arguments.title.as_deref(), arguments.columns, arguments.side);
        let path = host.about().base.join(&arguments.out);
        canvas.save(&path)?;
        let panels = arguments.panels.iter().map(|panel| panel.title.clone()).collect();
        Ok(Answer { path: path.display().to_string(), width: canvas.width, height: canvas.height, panels })
    }
}

/// Title, rows of panels under their titles, and below them a legend of the classes that occur.
fn compose(drawn: &[Drawn], title: Option<&str>, columns: usize, side: usize) -> Canvas {
    let columns = columns.min(drawn.len());
    let width = GAP + columns * (side + GAP);
    let tallest = |row: &[Drawn]| row.iter().map(|panel| panel.image.height).max().unwrap_or(0);
    let top = if title.is_some() { GAP + LINE } else { GAP };
    let legend = legend(drawn, width);
    let height = top
        + drawn.chunks(columns).map(|row| LINE + tallest(row) + GAP).sum::<usize>()
        + legend.as_ref().map_or(0, |legend| legend.height);
    let mut canvas = Canvas::new(width, height);
    if let Some(title) = title {
        canvas.text(GAP, GAP, title, 2);
    }
    let mut y = top;
    for row in drawn.chunks(columns) {
        for (column, panel) in row.iter().enumerate() {
            let x = GAP + column * (side + GAP);
            canvas.text_within(x, y + 3, &panel.title, side);
            canvas.paste(x, y + LINE, &panel.image);
        }
        y += LINE + tallest(row) + GAP;
    }
    if let Some(legend) = legend {
        canvas.paste(0, y, &legend);
    }
    canvas
}

/// The classes of all panels with their colours, in lines as wide as the picture.
fn legend(drawn: &[Drawn], width: usize) -> Option<Canvas> {
    let mut classes: Vec<&Colored> = drawn.iter().flat_map(|panel| &panel.classes).collect();
    classes.sort();
    classes.dedup();
    let entry = |name: &str| 24 + font::width(name, 2) + GAP;
    let mut places = Vec::new();
    let (mut x, mut y) = (GAP, 0);
    for (_, name, color) in classes {
        if x > GAP && x + entry(name) > width {
            (x, y) = (GAP, y + LINE);
        }
        places.push((x, y, name, *color));
        x += entry(name);
    }
    let last = places.last()?.1;
    let mut canvas = Canvas::new(width, last + LINE + GAP / 2);
    for (x, y, name, color) in places {
        canvas.fill(x, y, 16, 14, color);
        canvas.text(x + 24, y, name, 2);
    }
    Some(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(title: &str, classes: &[(u8, &str)]) -> Drawn {
        let classes = classes.iter().map(|&(value, name)| (value, name.to_owned(), [value, 0, 0])).collect();
        Drawn { title: title.into(), image: Canvas::new(100, 80), classes }
    }

    #[test]
    fn rows_and_legend_fit_the_picture() {
        let panels = [panel("a", &[]), panel("b", &[(1, "water"), (2, "maize")]), panel("c", &[(2, "maize")])];
        let canvas = compose(&panels, Some("title"), 2, 100);
        assert_eq!(canvas.width, GAP + 2 * (100 + GAP));
        assert!(canvas.height > 2 * (LINE + 80 + GAP) + LINE);
        // Both classes are in the legend, the shared one once: two swatches.
        let swatches = |color: [u8; 3]| canvas.pixels.chunks_exact(3).filter(|pixel| *pixel == color).count();
        assert_eq!((swatches([1, 0, 0]), swatches([2, 0, 0])), (16 * 14, 16 * 14));
    }
}
