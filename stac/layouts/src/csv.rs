//! Lines of comma-separated values, with quotes (RFC 4180).

use std::path::Path;

use crate::error::{Result, content};

/// Rows under a head, by the names of columns.
pub(crate) struct Table {
    head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a text; `path` is for messages.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut rows = rows(text);
        if rows.is_empty() {
            return Err(content(path, "a line with the names of columns", "no line"));
        }
        let head = rows.remove(0);
        if let Some(at) = rows.iter().position(|row| row.len() != head.len()) {
            let (found, line) = (rows[at].len(), at + 2);
            return Err(content(path, format!("{} columns in line {line}", head.len()), found.to_string()));
        }
        Ok(Self { head, rows })
    }

    /// The place of a column.
    pub(crate) fn column(&self, name: &str, path: &Path) -> Result<usize> {
        self.maybe(name).ok_or_else(|| content(path, format!("a column {name}"), self.head.join(", ")))
    }

    /// The place of a column that may be missing.
    pub(crate) fn maybe(&self, name: &str) -> Option<usize> {
        self.head.iter().position(|own| own == name)
    }
}

/// All rows.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                signs.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows.retain(|row| row.iter().any(|field| !field.is_empty()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_ends() {
        let found = rows("a,b\r\n\"POLYGON ((1 2, 3 4))\",\"say \"\"no\"\"\"\n\nlast,");
        assert_eq!(found, [vec!["a", "b"], vec!["POLYGON ((1 2, 3 4))", "say \"no\""], vec!["last", ""]]);
        let fault = Table::parse("a,b\n1,2\n1\n", Path::new("x.csv")).err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(fault, "x.csv: expected 2 columns in line 3, found 1");
    }
}
