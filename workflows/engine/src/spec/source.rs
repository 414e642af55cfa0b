//! The text of a workflow file, and places in it.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use super::fault::{Fault, Faults};

/// Largest workflow file that is read, in bytes. Workflows are written by hand; a larger file is a mistake.
pub const MAX_BYTES: u64 = 1 << 20;

/// A workflow file and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    text: Arc<str>,
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
    /// The line itself.
    pub text: String,
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
        Self { path: path.into(), text: text.trim_start_matches('\u{feff}').into() }
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

    /// The place of a span, with its line.
    pub fn place(&self, span: Span) -> Place {
        let text = self.text.lines().nth(span.line.saturating_sub(1)).unwrap_or_default().to_owned();
        let line_end = text.chars().count() + 1;
        let end = if span.end_line > span.line { line_end } else { span.end_column };
        Place {
            file: self.path.display().to_string(),
            line: span.line,
            column: span.column,
            length: end.min(line_end).saturating_sub(span.column).max(1),
            text,
        }
    }
}

impl Place {
    /// The line with a caret under what is meant, in three rows.
    pub fn snippet(&self) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs in the row of carets, so that both rows end up equally wide.
        let lead: String =
            self.text.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("{gutter} |\n{number} | {}\n{gutter} | {lead}{}", self.text, "^".repeat(self.length))
    }
}
