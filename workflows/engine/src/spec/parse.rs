//! From text to the tree of `yaml`.
//!
//! The parser (granit-parser, the one below serde-saphyr) gives events with positions; the tree is built
//! here, because serde loses positions inside free-form settings, which is where most mistakes are.
//! Nesting, the number of values after aliases are followed, and the size of a file are limited.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{
    fault::{Fault, Faults},
    scalar,
    source::{Source, Span},
    yaml::{Comment, Entry, Key, Parsed, Value, Yaml},
};

/// Most values in a file, counting each use of an alias as a copy: against "billion laughs".
const MAX_VALUES: usize = 100_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// Parses one YAML document. Faults that leave the tree usable are added to `faults`; a syntax error
/// ends the parse and gives no tree.
pub(super) fn parse(source: &Source, faults: &mut Faults) -> Option<Parsed> {
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        max_buffered_comment_events: 10_000,
    };
    let mut builder = Builder::new(source, faults);
    for event in Parser::new_from_str_with_options(source.text(), options) {
        match event {
            Ok((event, span)) => builder.event(event, from_marks(span.start, span.end)).or_else(|| {
                builder.broken = true;
                None
            }),
            Err(error) => builder.syntax(&error),
        };
        if builder.broken {
            return None;
        }
    }
    let start = Span { line: 1, column: 1, end_line: 1, end_column: 1 };
    let root = builder.root.unwrap_or(Yaml { value: Value::Null, span: start });
    Some(Parsed { root, comments: builder.comments, alias: builder.alias })
}

/// Lines of the parser count from 1, columns from 0.
fn from_marks(start: Marker, end: Marker) -> Span {
    Span { line: start.line(), column: start.col() + 1, end_line: end.line(), end_column: end.col() + 1 }
}

/// A collection whose end has not come yet.
struct Frame {
    kind: Kind,
    anchor: usize,
    span: Span,
}

enum Kind {
    List(Vec<Yaml>),
    Map(Entries, Option<Key>),
}

/// The entries of a map so far.
#[derive(Default)]
struct Entries {
    all: Vec<Entry>,
    names: HashSet<String>,
}

struct Builder<'a> {
    source: &'a Source,
    faults: &'a mut Faults,
    stack: Vec<Frame>,
    root: Option<Yaml>,
    anchors: HashMap<usize, Yaml>,
    values: usize,
    documents: usize,
    comments: Vec<Comment>,
    alias: Option<Span>,
    broken: bool,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Source, faults: &'a mut Faults) -> Self {
        Self {
            source,
            faults,
            stack: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            values: 0,
            documents: 0,
            comments: Vec::new(),
            alias: None,
            broken: false,
        }
    }

    fn fault(&mut self, code: &str, message: impl Into<String>, at: Span, hint: &str) {
        self.faults.push(Fault::new(code, message).at(self.source.place(at)).hint(hint));
    }

    fn syntax(&mut self, error: &granit_parser::ScanError) -> Option<()> {
        let place = self.source.place(from_marks(*error.marker(), *error.marker()));
        let tab = place.text.trim_start_matches(' ').starts_with('\t');
        let hint = if tab {
            "indent with spaces: YAML does not take tabs"
        } else {
            "look at quotes, brackets and the indent here and on the line before"
        };
        self.faults.push(Fault::new("syntax", format!("not YAML: {}", error.info())).at(place).hint(hint));
        self.broken = true;
        None
    }

    /// Takes one event; `None` ends the parse after a fault was noted.
    fn event(&mut self, event: Event<'_>, at: Span) -> Option<()> {
        match event {
            Event::Comment(text, _) => {
                self.comments.push(Comment { line: at.line, column: at.column, text: text.into_owned() });
            }
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.fault(
                        "syntax",
                        "a second document begins here",
                        at,
                        "a file holds one workflow: drop the `---`",
                    );
                    return None;
                }
            }
            Event::Alias(id) => {
                self.alias.get_or_insert(at);
                let Some(target) = self.anchors.get(&id) else {
                    self.fault("syntax", "this alias stands inside the value it repeats", at, "write the value out");
                    return None;
                };
                let copy = Yaml { value: target.value.clone(), span: at };
                self.room(copy.count(), at)?;
                self.place(copy, None);
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, (anchor, tag), at)?,
            Event::SequenceStart(_, anchor, tag) => self.open(Kind::List(Vec::new()), (anchor, tag), at)?,
            Event::MappingStart(_, anchor, tag) => self.open(Kind::Map(Entries::default(), None), (anchor, tag), at)?,
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            _ => {}
        }
        Some(())
    }

    /// Counts values; `None` if there are too many.
    fn room(&mut self, values: usize, at: Span) -> Option<()> {
        self.values += values;
        if self.values > MAX_VALUES {
            let message = format!("more than {MAX_VALUES} values, counting each use of an alias");
            self.fault("size", message, at, "move large tables to a file of their own and name that file");
            return None;
        }
        Some(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        (anchor, tag): (usize, Option<Cow<'_, Tag>>),
        at: Span,
    ) -> Option<()> {
        self.room(1, at)?;
        if let Some(Frame { kind: Kind::Map(_, key @ None), .. }) = self.stack.last_mut() {
            let plain = matches!(style, ScalarStyle::Plain);
            *key = Some(Key { name: text.to_owned(), span: at });
            if plain && text == "<<" {
                self.fault("syntax", "merge keys (`<<`) are not part of YAML 1.2", at, "write the settings out");
            }
            if anchor != 0 {
                self.alias.get_or_insert(at);
                self.anchors.insert(anchor, Yaml { value: Value::Text(text.to_owned()), span: at });
            }
            return Some(());
        }
        let as_text = self.tag(tag, at);
        let value = if as_text || !matches!(style, ScalarStyle::Plain) {
            Value::Text(text.to_owned())
        } else {
            scalar::resolve(text).unwrap_or_else(|(message, hint)| {
                self.fault("value", message, at, &hint);
                Value::Text(text.to_owned())
            })
        };
        self.place(Yaml { value, span: at }, Some(anchor));
        Some(())
    }

    /// Whether a tag asks for text. Tags of the core schema that change nothing are let through.
    fn tag(&mut self, tag: Option<Cow<'_, Tag>>, at: Span) -> bool {
        match tag.as_deref().map(|tag| tag.core_suffix().unwrap_or_default()) {
            None | Some("map" | "seq" | "int" | "float" | "bool" | "null") => false,
            Some("str") => true,
            Some(_) => {
                self.fault("syntax", "tags of one's own have no meaning in a workflow", at, "drop the `!…`");
                false
            }
        }
    }

    fn open(&mut self, kind: Kind, (anchor, tag): (usize, Option<Cow<'_, Tag>>), at: Span) -> Option<()> {
        self.room(1, at)?;
        self.tag(tag, at);
        if anchor != 0 {
            self.alias.get_or_insert(at);
        }
        self.stack.push(Frame { kind, anchor, span: at });
        Some(())
    }

    fn close(&mut self, at: Span) {
        let Some(Frame { kind, anchor, span }) = self.stack.pop() else { return };
        // A block collection has no closing sign: its end is the end of its last value.
        let flow_end = (at.end_line, at.end_column) != (at.line, at.column);
        let (value, last) = match kind {
            Kind::List(items) => {
                let last = items.last().map(|item| item.span);
                (Value::List(items), last)
            }
            Kind::Map(entries, _) => {
                let last = entries.all.last().map(|entry| entry.value.span.max(entry.key.span));
                (Value::Map(entries.all), last)
            }
        };
        let end = if flow_end { at } else { last.unwrap_or(span) };
        let span = Span { end_line: end.end_line, end_column: end.end_column, ..span };
        self.place(Yaml { value, span }, Some(anchor));
    }

    /// Puts a finished value where it belongs. Aliases have no anchor.
    fn place(&mut self, yaml: Yaml, anchor: Option<usize>) {
        if let Some(anchor) = anchor.filter(|anchor| *anchor != 0) {
            self.alias.get_or_insert(yaml.span);
            self.anchors.insert(anchor, yaml.clone());
        }
        let mut fault = None;
        match self.stack.last_mut() {
            None => self.root = Some(yaml),
            Some(Frame { kind: Kind::List(items), .. }) => items.push(yaml),
            Some(Frame { kind: Kind::Map(_, key @ None), .. }) => {
                // An alias of a text may serve as a key; a list or a map may not.
                let name = match &yaml.value {
                    Value::Text(text) => text.clone(),
                    _ => {
                        fault = Some(("syntax", "a key has to be a name".to_owned(), yaml.span));
                        String::new()
                    }
                };
                *key = Some(Key { name, span: yaml.span });
            }
            Some(Frame { kind: Kind::Map(entries, key @ Some(_)), .. }) => {
                if let Some(key) = key.take() {
                    if !entries.names.insert(key.name.clone()) {
                        fault =
                            Some(("duplicate-key", format!("`{}` is written twice in this map", key.name), key.span));
                    }
                    entries.all.push(Entry { key, value: yaml });
                }
            }
        }
        if let Some((code, message, at)) = fault {
            self.fault(code, message, at, "keep one of them, or give it another name");
        }
    }
}
