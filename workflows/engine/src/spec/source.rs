//! The text of a workflow file, and places in it.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use skysense_address::redact_in_place;

use super::fault::{Fault, Faults};

/// Largest workflow file that is read, in bytes. Workflows are written by hand; a larger file is a mistake.
pub const MAX_BYTES: u64 = 1 << 20;

/// Most characters of a line that are shown: a file may be one line of a megabyte.
const MOST_SHOWN: usize = 400;

/// A workflow file and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    text: Arc<str>,
    /// First byte of each line.
    lines: Arc<[usize]>,
}

/// Where something stands in the text. Lines and columns count from 1, columns in characters; the
/// end lies just behind the last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// First line.
    pub line: usize,
    /// First column.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// Column behind the last character.
    pub end_column: usize,
}

/// A span together with the line it points at, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters of that line are meant, at least 1.
    pub length: usize,
    /// The line itself; of a very long one the part around the column.
    pub text: String,
    /// How many characters of the line stand before `text`.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Source {
    /// Reads a workflow file.
    ///
    /// # Errors
    /// The file cannot be read, is larger than [`MAX_BYTES`], or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Faults> {
        let fault = |message: String| Faults::from(Fault::new("file", message));
        let file = File::open(path).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "`skysense init` writes a workflow to start from",
                _ => "is it a file that you may read?",
            };
            Faults::from(Fault::new("file", format!("cannot read {}", path.display())).cause(error).hint(hint))
        })?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| {
            Faults::from(
                Fault::new("file", format!("cannot read {}", path.display()))
                    .cause(error)
                    .hint("name the workflow file, not its folder"),
            )
        })?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(fault(format!("{} is larger than {MAX_BYTES} bytes: not a workflow file", path.display())));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            fault(format!("{} is not UTF-8 at byte {}", path.display(), error.utf8_error().valid_up_to()))
        })?;
        Ok(Self::from_text(path, &text))
    }

    /// A source whose text is already at hand.
    pub fn from_text(path: impl Into<PathBuf>, text: &str) -> Self {
        let text: Arc<str> = text.trim_start_matches('\u{feff}').into();
        let bytes = text.as_bytes();
        // YAML ends a line at a line feed, at a carriage return, and at both together.
        let ends = (0..bytes.len())
            .filter(|&at| bytes[at] == b'\n' || bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
        let lines = std::iter::once(0).chain(ends.map(|at| at + 1)).collect();
        Self { path: path.into(), text, lines }
    }

    /// The file as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder that relative paths in the file start from.
    pub fn folder(&self) -> PathBuf {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        std::path::absolute(parent).unwrap_or_else(|_| parent.to_path_buf())
    }

    /// A line without its end, counted from 1, where 0 is the first as well; empty if there is none.
    fn line(&self, number: usize) -> &str {
        let index = number.saturating_sub(1);
        let Some(&start) = self.lines.get(index) else { return "" };
        let end = self.lines.get(index + 1).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\r', '\n'])
    }

    /// The place of a span, with its line.
    pub fn place(&self, span: Span) -> Place {
        let line = self.line(span.line);
        let line_end = line.chars().count() + 1;
        let end = if span.end_line > span.line { line_end } else { span.end_column };
        let length = end.min(line_end).saturating_sub(span.column).max(1);
        let cut = if line_end > MOST_SHOWN { span.column.saturating_sub(1 + MOST_SHOWN / 4) } else { 0 };
        Place {
            file: self.path.display().to_string(),
            line: span.line,
            column: span.column,
            length,
            // The line is shown and logged; what opens an address in it is nobody's business.
            text: redact_in_place(line).chars().skip(cut).take(MOST_SHOWN).collect(),
            cut,
        }
    }
}

impl Place {
    /// The line with a caret under what is meant, in three rows.
    pub fn snippet(&self) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let before = self.column.saturating_sub(1 + self.cut);
        // Tabs stay tabs in the row of carets, so that both rows end up equally wide.
        let lead: String = self.text.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let shown = self.text.chars().count();
        let carets = "^".repeat(self.length.min(shown.saturating_sub(before)).max(1));
        let (start, pad) = if self.cut > 0 { ("…", " ") } else { ("", "") };
        let end = if shown == MOST_SHOWN { "…" } else { "" };
        format!("{gutter} |\n{number} | {start}{}{end}\n{gutter} | {pad}{lead}{carets}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, line: usize, column: usize, length: usize) -> Place {
        Source::from_text("w.yaml", text).place(Span { line, column, end_line: line, end_column: column + length })
    }

    #[test]
    fn lines_end_as_yaml_says() {
        let text = "a\nbé\r\nc\rd";
        for (line, expected) in [(1, "a"), (2, "bé"), (3, "c"), (4, "d"), (5, ""), (0, "a")] {
            assert_eq!(place(text, line, 1, 1).text, expected, "{line}");
        }
        assert_eq!(place("", 1, 1, 1).text, "");
    }

    #[test]
    fn a_line_is_shown_without_what_opens_its_addresses() {
        let place = place("a: https://u:p@h/c?sig=S wrong", 1, 26, 5);
        assert_eq!(place.snippet().lines().nth(1), Some("1 | a: https://***@h/c?sig=* wrong"));
        assert!(place.snippet().ends_with("                         ^^^^^"));
    }

    #[test]
    fn of_a_very_long_line_the_part_around_the_column_is_shown() {
        let text = format!("{}wrong{}", "é ".repeat(50_000), " x".repeat(50_000));
        let place = place(&text, 1, 100_001, 5);
        assert_eq!((place.column, place.cut, place.text.chars().count()), (100_001, 99_900, MOST_SHOWN));
        let rows: Vec<String> = place.snippet().lines().map(str::to_owned).collect();
        let caret = rows[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(rows[1].chars().skip(caret).take(5).collect::<String>(), "wrong");
        assert!(rows[1].contains("| …") && rows[1].ends_with('…') && rows[2].ends_with("^^^^^"));
    }
}
