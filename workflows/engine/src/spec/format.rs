//! `skysense fmt`: the canonical form of a workflow file, with its comments.
//!
//! Keys stand in a fixed order, quotes only where they are needed, collections on one line where they fit
//! and hold no comment. The result is parsed again and compared: if a value or a comment were lost, there
//! is an error instead of a result.

use super::{
    emit::{is_block, one_line, text},
    fault::{Fault, Faults},
    param::to_json,
    parse::parse,
    source::{Source, Span},
    yaml::{Comment, Entry, Parsed, Value, Yaml},
};

/// Longest line that a collection is put on.
const WIDTH: usize = 100;

/// The canonical form of a workflow file.
///
/// # Errors
/// The text is not YAML, uses anchors (which would have to be written out), or holds a comment that the
/// canonical form has no place for.
pub fn format(source: &Source) -> Result<String, Faults> {
    let mut faults = Faults::default();
    let Some(parsed) = parse(source, &mut faults) else { return Err(faults) };
    if let Some(span) = parsed.alias {
        let fault = Fault::new("fmt", "the canonical form has no anchors and aliases").at(source.place(span));
        faults.push(fault.hint("write the value out where it is used, or make it a param"));
    }
    if !faults.is_empty() {
        return Err(faults.sorted());
    }
    let mut formatter = Formatter { comments: &parsed.comments, next: 0, text: String::new(), source };
    formatter.document(&parsed.root);
    let formatted = formatter.text;
    let again = parse(&Source::from_text(source.path(), &formatted), &mut faults);
    match again {
        Some(again) if same(&parsed, &again) => Ok(formatted),
        _ => {
            let fault =
                Fault::new("fmt", format!("{} cannot be formatted without losing something", source.path().display()));
            Err(fault.hint("move comments to lines of their own above what they are about").into())
        }
    }
}

/// Whether two files say the same with the same comments.
fn same(a: &Parsed, b: &Parsed) -> bool {
    let comments = |parsed: &Parsed| {
        let mut all: Vec<String> = parsed.comments.iter().map(|comment| comment.text.trim().to_owned()).collect();
        all.sort();
        all
    };
    to_json(&a.root) == to_json(&b.root) && comments(a) == comments(b)
}

/// Where a child stands in the outline, which decides the order of its keys and its layout.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    /// `params`, `nodes`, `triggers`: one entry a line at least.
    Section,
    Declaration,
    Inner,
}

impl Level {
    fn below(self, key: &str) -> Self {
        match self {
            Level::Root if ["params", "nodes", "triggers"].contains(&key) => Level::Section,
            Level::Section => Level::Declaration,
            _ => Level::Inner,
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Level::Root => &["skysense", "name", "doc", "params", "nodes", "triggers"],
            Level::Declaration => &["uses", "type", "default", "values", "min", "max", "doc", "from", "with"],
            Level::Section | Level::Inner => &[],
        }
    }
}

struct Formatter<'a> {
    comments: &'a [Comment],
    /// First comment that stands behind everything written so far.
    next: usize,
    text: String,
    source: &'a Source,
}

/// An entry of a map or an item of a list, on its way out.
struct Child<'y> {
    start: Span,
    key: Option<&'y Entry>,
    value: &'y Yaml,
}

impl Formatter<'_> {
    fn document(&mut self, root: &Yaml) {
        // Comments above the first entry stay at the top, whatever entry comes first after sorting.
        let first = root.entries().first().map_or(usize::MAX, |entry| entry.key.span.line);
        self.own_lines(first, 0);
        if let (Value::Null, true) = (&root.value, root.entries().is_empty()) {
            return;
        }
        self.collection(root, 0, Level::Root);
        self.own_lines(usize::MAX, 0);
    }

    /// Writes the entries or items of a collection, one below the other.
    fn collection(&mut self, yaml: &Yaml, indent: usize, level: Level) {
        let children: Vec<Child<'_>> = match &yaml.value {
            Value::Map(entries) => entries
                .iter()
                .map(|entry| Child { start: entry.key.span, key: Some(entry), value: &entry.value })
                .collect(),
            Value::List(items) => items.iter().map(|item| Child { start: item.span, key: None, value: item }).collect(),
            _ => {
                let line = one_line(yaml, false);
                return self.push_line(indent, &line);
            }
        };
        // Written in the order of the file, since comments are dealt out in that order; sorted afterwards.
        let mut written: Vec<(usize, String)> = Vec::new();
        let outer = std::mem::take(&mut self.text);
        for child in &children {
            self.own_lines_above(child, indent);
            self.child(child, indent, level);
            self.tail(child, indent);
            let key = child.key.map(|entry| entry.key.name.as_str()).unwrap_or_default();
            let rank = level.keys().iter().position(|known| *known == key).unwrap_or(usize::MAX);
            written.push((rank, std::mem::take(&mut self.text)));
        }
        if children.iter().any(|child| child.key.is_some()) {
            written.sort_by_key(|(rank, _)| *rank);
        }
        self.text = outer;
        self.text.extend(written.into_iter().map(|(_, text)| text));
    }

    fn child(&mut self, child: &Child<'_>, indent: usize, level: Level) {
        let key = child.key.map(|entry| entry.key.name.as_str()).unwrap_or_default();
        let level = level.below(key);
        let lead = if child.key.is_some() { format!("{}:", text(key, false)) } else { "-".to_owned() };
        let value = child.value;
        let is_collection = matches!(value.value, Value::List(_) | Value::Map(_));
        let line = format!("{lead} {}", one_line(&sorted(value, level), false));
        let fits = indent + line.chars().count() <= WIDTH && !holds_block(value) && !self.inside(child);
        let empty = matches!(&value.value, Value::List(items) if items.is_empty())
            || matches!(&value.value, Value::Map(entries) if entries.is_empty());
        match &value.value {
            Value::Text(body) if is_block(body) => {
                let sign = if body.ends_with('\n') { "|" } else { "|-" };
                self.push_line(indent, &format!("{lead} {sign}"));
                self.beside(child.start.line);
                for row in body.lines() {
                    self.push_line(if row.is_empty() { 0 } else { indent + 2 }, row);
                }
            }
            _ if is_collection && !empty && (level == Level::Section || !fits) => {
                self.push_line(indent, &lead);
                self.beside(child.start.line);
                self.collection(value, indent + 2, level);
            }
            _ => {
                self.push_line(indent, &line);
                self.beside(value.span.end_line);
            }
        }
    }

    /// Whether a comment stands inside a child, so that it cannot go on one line.
    fn inside(&self, child: &Child<'_>) -> bool {
        let end = (child.value.span.end_line, child.value.span.end_column);
        self.comments[self.next..].iter().any(|comment| (comment.line, comment.column) < end)
    }

    /// Comments above a child, on lines of their own; a blank line above it is kept.
    fn own_lines_above(&mut self, child: &Child<'_>, indent: usize) {
        self.own_lines(child.start.line, indent);
        let blank = child.start.line >= 2 && self.is_blank(child.start.line - 1);
        if blank && !self.at_start() {
            self.text.push('\n');
        }
    }

    /// Comments before a line.
    fn own_lines(&mut self, before: usize, indent: usize) {
        while let Some(comment) = self.comments.get(self.next).filter(|comment| comment.line < before) {
            if comment.line >= 2 && self.is_blank(comment.line - 1) && !self.at_start() {
                self.text.push('\n');
            }
            let row = format!("#{}", comment.text.trim_end());
            self.next += 1;
            self.push_line(indent, &row);
        }
    }

    /// Comments below a child that are indented further than it: they belong to its end.
    fn tail(&mut self, child: &Child<'_>, indent: usize) {
        while let Some(comment) = self.comments.get(self.next) {
            let own_line =
                self.source.text().lines().nth(comment.line - 1).is_some_and(|line| line.trim_start().starts_with('#'));
            let following = self.next_content_after(comment.line);
            if !own_line
                || comment.column <= child.start.column.max(1)
                || following.is_some_and(|column| column > child.start.column)
            {
                return;
            }
            self.own_lines(comment.line + 1, indent + 2);
        }
    }

    /// Column of the first line below that is neither blank nor a comment.
    fn next_content_after(&self, line: usize) -> Option<usize> {
        let below = self.source.text().lines().skip(line);
        let mut content = below.filter(|row| !row.trim().is_empty() && !row.trim_start().starts_with('#'));
        content.next().map(|row| row.chars().take_while(|c| *c == ' ').count() + 1)
    }

    /// The comment on the same line, put behind what was written last.
    fn beside(&mut self, line: usize) {
        while let Some(comment) = self.comments.get(self.next).filter(|comment| comment.line <= line) {
            let row = format!("  #{}\n", comment.text.trim_end());
            self.text.pop();
            self.text.push_str(&row);
            self.next += 1;
            // Two comments cannot share a line; the second one stands on a line of its own.
            if self.comments.get(self.next).is_some_and(|comment| comment.line <= line) {
                return self.own_lines(line + 1, 0);
            }
        }
    }

    fn push_line(&mut self, indent: usize, line: &str) {
        self.text.push_str(&" ".repeat(indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn is_blank(&self, line: usize) -> bool {
        self.source.text().lines().nth(line - 1).is_some_and(|line| line.trim().is_empty())
    }

    fn at_start(&self) -> bool {
        self.text.is_empty() && self.next == 0
    }
}

/// The same value with the keys of a declaration in their order, for one line.
fn sorted(yaml: &Yaml, level: Level) -> Yaml {
    let mut yaml = yaml.clone();
    if let Value::Map(entries) = &mut yaml.value {
        let rank = |entry: &Entry| level.keys().iter().position(|key| *key == entry.key.name).unwrap_or(usize::MAX);
        entries.sort_by_key(rank);
    }
    yaml
}

/// Whether a text inside has to stand line for line.
fn holds_block(yaml: &Yaml) -> bool {
    match &yaml.value {
        Value::Text(text) => is_block(text),
        Value::List(items) => items.iter().any(holds_block),
        Value::Map(entries) => entries.iter().any(|entry| holds_block(&entry.value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(text: &str) -> String {
        let once = format(&Source::from_text("w.yaml", text)).unwrap_or_else(|faults| panic!("{faults}"));
        let twice = format(&Source::from_text("w.yaml", &once)).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(once, twice, "formatting twice changes nothing");
        once
    }

    #[test]
    fn keys_stand_in_order_and_comments_stay_with_what_they_are_about() {
        let text = "\
# yaml-language-server: $schema=workflow.schema.json
nodes:  # the graph
    # where it starts
    scenes:
        with: {'href': $catalog,
               # both sensors
               collections: [ 'sentinel-2-l2a',   sentinel-1-rtc ] }   # the sources
        uses: \"stac.search\"

    chips: {with: {size: 128}, from: scenes, uses: raster.chips} # cut
    # blend: {uses: blend}
# params last
params:
    catalog: {doc: where, default: data/catalog.json, type: uri}
name: 'crop map'
skysense: 1
# the end
";
        let expected = "\
# yaml-language-server: $schema=workflow.schema.json
skysense: 1
name: crop map
# params last
params:
  catalog: {type: uri, default: data/catalog.json, doc: where}
nodes:  # the graph
  # where it starts
  scenes:
    uses: stac.search
    with:
      href: $catalog
      # both sensors
      collections: [sentinel-2-l2a, sentinel-1-rtc]  # the sources

  chips: {uses: raster.chips, from: scenes, with: {size: 128}}  # cut
  # blend: {uses: blend}
# the end
";
        assert_eq!(formatted(text), expected);
    }

    #[test]
    fn long_values_go_below_and_texts_keep_their_lines() {
        let long = "a".repeat(60);
        let text = format!(
            "skysense: 1\ndoc: |\n  First line.\n\n  Third line.\nnodes:\n  a: {{uses: x.y, with: {{one: {long}, two: {long}, flag: 'yes', n: 0x10}}}}\n"
        );
        let expected = format!(
            "skysense: 1\ndoc: |\n  First line.\n\n  Third line.\nnodes:\n  a:\n    uses: x.y\n    with:\n      one: {long}\n      two: {long}\n      flag: \"yes\"\n      n: 16\n"
        );
        assert_eq!(formatted(&text), expected);
    }

    #[test]
    fn anchors_are_refused_and_empty_values_survive() {
        let faults =
            format(&Source::from_text("w.yaml", "a: &x {b: 1}\nc: *x\n")).expect_err("anchors are not canonical");
        assert_eq!(faults.iter().next().and_then(|fault| fault.place.as_ref()).map(|place| place.line), Some(1));
        assert_eq!(formatted("a:\nb: {}\nc: []\nd: ''\n"), "a: null\nb: {}\nc: []\nd: \"\"\n");
        assert_eq!(formatted("# only a comment\n"), "# only a comment\n");
    }
}
