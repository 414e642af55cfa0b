//! The top of a workflow file: its known keys, params, nodes and triggers, still unresolved.

use super::{
    fault::{Fault, Faults},
    param::ParamDecl,
    source::{Source, Span},
    suggest,
    yaml::{Entry, Key, Value, Yaml},
};

/// The version of the format that `skysense: 1` names.
const VERSION: u64 = 1;
/// Most nodes of a workflow.
const MAX_NODES: usize = 500;

/// A workflow file as it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    pub(super) name: Option<String>,
    pub(super) doc: Option<String>,
    pub(super) params: Vec<ParamDecl>,
    pub(super) nodes: Vec<NodeDecl>,
    pub(super) triggers: Vec<TriggerDecl>,
}

/// A node as it is written.
#[derive(Debug, Clone)]
pub(super) struct NodeDecl {
    pub(super) name: Key,
    /// Name of the type; empty after a fault.
    pub(super) uses: String,
    pub(super) uses_span: Span,
    /// The settings; an empty map if there are none.
    pub(super) with: Yaml,
    pub(super) from: Vec<FromDecl>,
}

/// One edge as it is written.
#[derive(Debug, Clone)]
pub(super) struct FromDecl {
    /// The port, unless the short form `from: name` leaves it open.
    pub(super) port: Option<Key>,
    pub(super) node: String,
    pub(super) span: Span,
}

/// A trigger as it is written.
#[derive(Debug, Clone)]
pub(super) struct TriggerDecl {
    pub(super) name: Key,
    pub(super) uses: String,
    pub(super) uses_span: Span,
    pub(super) with: Yaml,
}

/// Reads one file's tree and notes what is wrong with it.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) faults: &'a mut Faults,
}

impl Reader<'_> {
    /// Reads the whole document; what is wrong is left out and noted.
    pub(super) fn document(&mut self, root: &Yaml) -> Document {
        let mut document = Document::default();
        let Some(entries) = self.map(root, "a workflow") else { return document };
        self.known(entries, "a workflow", &["skysense", "name", "doc", "params", "nodes", "triggers"]);
        self.version(root);
        document.name = self.text_entry(entries, "name");
        document.doc = self.text_entry(entries, "doc");
        for entry in self.named(entries, "params") {
            document.params.extend(ParamDecl::read(self, entry));
        }
        let nodes = self.named(entries, "nodes");
        for entry in nodes.iter().take(MAX_NODES) {
            document.nodes.extend(self.node(entry));
        }
        if let Some(entry) = nodes.get(MAX_NODES) {
            let message = format!("{} nodes, and each is a thread while the workflow runs", nodes.len());
            let noted = self.note("size", message, entry.key.span);
            noted.with(|fault| fault.expected(format!("{MAX_NODES} at most"))).push(self);
        }
        for entry in self.named(entries, "triggers") {
            document.triggers.extend(self.trigger(entry));
        }
        if !entries.iter().any(|entry| entry.key.name == "nodes") {
            let fault = Fault::new("missing-key", "a workflow needs `nodes`").expected("a map from names to nodes");
            self.faults.push(fault.at(self.source.place(first_line(root))));
        } else if document.nodes.is_empty() && self.faults.is_empty() {
            let span = root.key_span("nodes").unwrap_or(root.span);
            self.note("value", "this workflow has no nodes", span).push(self);
        }
        document
    }

    /// Begins a fault at a span.
    pub(super) fn note(&self, code: &str, message: impl Into<String>, span: Span) -> Noted {
        let fault = Fault::new(code, message);
        // A fault that will only be counted needs no place.
        Noted(if self.faults.is_full() { fault } else { fault.at(self.source.place(span)) })
    }

    fn version(&mut self, root: &Yaml) {
        let Some(entry) = root.entries().iter().find(|entry| entry.key.name == "skysense") else {
            let noted = self.note("missing-key", "the first line says which format this is", first_line(root));
            return noted.with(|fault| fault.expected(format!("`skysense: {VERSION}`"))).push(self);
        };
        if entry.value.value != Value::Number(VERSION.into()) {
            let noted = self.note("value", "this version of the format is not known here", entry.value.span);
            let hint = "a newer file needs a newer skysense";
            noted.with(|fault| fault.expected(format!("`skysense: {VERSION}`")).hint(hint)).push(self);
        }
    }

    /// The entries of a map, or a fault.
    pub(super) fn map<'y>(&mut self, yaml: &'y Yaml, what: &str) -> Option<&'y [Entry]> {
        match &yaml.value {
            Value::Map(entries) => Some(entries),
            _ => {
                let noted = self.note("type", format!("{what} is a map"), yaml.span);
                noted.with(|fault| fault.expected("a map").found(yaml.kind())).push(self);
                None
            }
        }
    }

    /// The entries of a section whose keys are names given by the author.
    fn named<'y>(&mut self, entries: &'y [Entry], section: &str) -> &'y [Entry] {
        let Some(entry) = entries.iter().find(|entry| entry.key.name == section) else { return &[] };
        if entry.value.value == Value::Null {
            return &[];
        }
        let Some(entries) = self.map(&entry.value, &format!("`{section}`")) else { return &[] };
        for entry in entries {
            let name = &entry.key.name;
            if !is_name(name) {
                let hint = "a name begins with a letter and holds letters, digits, `-` and `_`";
                self.note("value", format!("`{name}` is not a name"), entry.key.span)
                    .with(|fault| fault.hint(hint))
                    .push(self);
            }
        }
        entries
    }

    /// Notes keys that are not among the known ones.
    pub(super) fn known(&mut self, entries: &[Entry], what: &str, known: &[&str]) {
        for Entry { key, .. } in entries.iter().filter(|entry| !known.contains(&entry.key.name.as_str())) {
            let hint = match key.name.as_str() {
                // YAML 1.1 readers turn an unquoted `on` into `true`, which is why the key has another name.
                "on" | "true" => Some("triggers stand under `triggers`".to_owned()),
                "inputs" | "input" | "needs" => Some("edges stand under `from`".to_owned()),
                "type" | "node" if known.contains(&"uses") => Some("the type of a node stands under `uses`".to_owned()),
                "settings" | "config" if known.contains(&"with") => Some("settings stand under `with`".to_owned()),
                name => suggest::did_you_mean(name, known.iter().copied()),
            };
            self.note("unknown-key", format!("{what} has no `{}`", key.name), key.span)
                .with(|fault| fault.expected(suggest::listed(known.iter().copied())).hint_if(hint))
                .push(self);
        }
    }

    /// The text under a key, if it is there.
    pub(super) fn text_entry(&mut self, entries: &[Entry], key: &str) -> Option<String> {
        let entry = entries.iter().find(|entry| entry.key.name == key)?;
        match &entry.value.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                let noted = self.note("type", format!("`{key}` is text"), entry.value.span);
                let noted = noted.with(|fault| fault.expected("text").found(entry.value.kind()));
                noted.with(|fault| fault.hint("put it in quotes")).push(self);
                None
            }
        }
    }

    fn uses(&mut self, entries: &[Entry], key: &Key, what: &str) -> (String, Span) {
        let span = entries.iter().find(|entry| entry.key.name == "uses").map(|entry| entry.value.span);
        let uses = self.text_entry(entries, "uses");
        if span.is_none() {
            let noted = self.note("missing-key", format!("{what} `{}` does not say its type", key.name), key.span);
            noted.with(|fault| fault.node(&key.name).expected("`uses: <type>`")).push(self);
        }
        (uses.unwrap_or_default(), span.unwrap_or(key.span))
    }

    fn with(&mut self, entries: &[Entry], key: &Key) -> Yaml {
        let empty = Yaml { value: Value::Map(Vec::new()), span: key.span };
        let Some(entry) = entries.iter().find(|entry| entry.key.name == "with") else { return empty };
        match &entry.value.value {
            Value::Null => empty,
            _ => self.map(&entry.value, "`with`").map_or(empty, |_| entry.value.clone()),
        }
    }

    fn node(&mut self, Entry { key, value }: &Entry) -> Option<NodeDecl> {
        let entries = self.map(value, &format!("node `{}`", key.name))?;
        self.known(entries, "a node", &["uses", "from", "with", "doc"]);
        self.text_entry(entries, "doc");
        let (uses, uses_span) = self.uses(entries, key, "node");
        let with = self.with(entries, key);
        let from = entries.iter().find(|entry| entry.key.name == "from");
        let from = from.map(|entry| self.from(&entry.value, key)).unwrap_or_default();
        Some(NodeDecl { name: key.clone(), uses, uses_span, with, from })
    }

    fn from(&mut self, yaml: &Yaml, node: &Key) -> Vec<FromDecl> {
        let mut edges = Vec::new();
        let mut edge = |reader: &mut Self, port: Option<Key>, yaml: &Yaml| match &yaml.value {
            Value::Text(name) => edges.push(FromDecl { port, node: name.clone(), span: yaml.span }),
            _ => {
                let noted = reader.note("type", format!("`from` of `{}` names a node", node.name), yaml.span);
                let expected = "`from: scenes`, or `from: {port: scenes}`";
                noted.with(|fault| fault.node(&node.name).expected(expected).found(yaml.kind())).push(reader);
            }
        };
        match &yaml.value {
            Value::Map(entries) => {
                entries.iter().for_each(|entry| edge(self, Some(entry.key.clone()), &entry.value));
            }
            _ => edge(self, None, yaml),
        }
        edges
    }

    fn trigger(&mut self, Entry { key, value }: &Entry) -> Option<TriggerDecl> {
        let entries = self.map(value, &format!("trigger `{}`", key.name))?;
        self.known(entries, "a trigger", &["uses", "with", "doc"]);
        let (uses, uses_span) = self.uses(entries, key, "trigger");
        let with = self.with(entries, key);
        Some(TriggerDecl { name: key.clone(), uses, uses_span, with })
    }
}

/// A fault in the making.
pub(super) struct Noted(Fault);

impl Noted {
    /// Adds detail.
    pub(super) fn with(self, detail: impl FnOnce(Fault) -> Fault) -> Self {
        Self(detail(self.0))
    }

    /// Files it.
    pub(super) fn push(self, reader: &mut Reader<'_>) {
        reader.faults.push(self.0);
    }
}

/// Whether a text can name a param, a node or a trigger.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Where faults about the whole file point.
fn first_line(root: &Yaml) -> Span {
    Span { end_line: root.span.line, end_column: root.span.column + 1, ..root.span }
}
