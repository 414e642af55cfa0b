//! One mistake in a workflow, and how it is printed.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
};

use serde::{Serialize, Serializer};

use super::source::Place;

/// One mistake, with all that its author needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Kind of mistake, a stable word for programs: `unknown-setting`, `type`, `cycle`, …
    pub code: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where in the file.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The node it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// JSON Pointer of the setting below the node's `with`, or of the value in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Where outside of the file, for what nodes find: item, asset, …
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub outside: BTreeMap<String, String>,
    /// What would have been valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What brought it about, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of one kind.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            place: None,
            node: None,
            pointer: None,
            outside: BTreeMap::new(),
            expected: None,
            found: None,
            causes: Vec::new(),
            hint: None,
        }
    }

    /// Says where.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// What a node found wrong, in all its parts; its place in the file is still to be found.
    pub(crate) fn of_node(node: &str, found: skysense_abi::Fault) -> Self {
        let skysense_abi::Fault { field, code, message, causes, hint, place } = found;
        let fault = Self::new(&code, message).node(node).pointer(field).hint_if(hint);
        Self { causes, outside: place, ..fault }
    }

    /// Says which node.
    pub fn node(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// Says which trigger.
    pub fn trigger(mut self, trigger: impl Into<String>) -> Self {
        self.outside.insert("trigger".to_owned(), trigger.into());
        self
    }

    /// Says which value, as a JSON Pointer.
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Says what would have been valid.
    pub fn expected(mut self, expected: impl Display) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    /// Says what stands there.
    pub fn found(mut self, found: impl Display) -> Self {
        self.found = Some(found.to_string());
        self
    }

    /// Adds a cause.
    pub fn cause(mut self, cause: impl Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Says what to do, if there is something to say.
    pub fn hint_if(self, hint: Option<impl Display>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if !self.outside.is_empty() {
            let parts: Vec<_> = self.outside.iter().map(|(what, value)| format!("{what} {value}")).collect();
            write!(f, " ({})", parts.join(", "))?;
        }
        if let Some(place) = &self.place {
            write!(f, "\n  --> {}:{}:{}", place.file, place.line, place.column)?;
            for row in place.snippet().lines() {
                write!(f, "\n  {row}")?;
            }
        }
        for (label, text) in [("expected", &self.expected), ("found", &self.found)] {
            if let Some(text) = text {
                write!(f, "\n  {label}: {text}")?;
            }
        }
        for cause in &self.causes {
            write!(f, "\n  caused by: {cause}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Most mistakes that are listed: who has more mends these first.
const MOST_LISTED: usize = 200;

/// All mistakes of a workflow, in the order of the file. Never empty when it is returned as an error. Of very
/// many mistakes the first ones are listed and the others counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    listed: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.listed.push(fault);
        }
    }

    /// Adds those of another file.
    pub fn append(&mut self, other: Self) {
        self.more += other.more;
        self.extend(other.listed);
    }

    /// Whether further ones are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.listed.len() >= MOST_LISTED
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// How many, also of those that are not listed.
    pub fn len(&self) -> usize {
        self.listed.len() + self.more
    }

    /// All that are listed.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.listed.iter()
    }

    /// Orders them by place (those without one first) and drops repetitions of one mistake.
    pub fn sorted(mut self) -> Self {
        let key = |fault: &Fault| fault.place.as_ref().map(|place| (place.line, place.column));
        self.listed.sort_by_key(key);
        self.listed.dedup();
        self
    }

    /// What stands behind the last one that is listed.
    fn others(&self) -> Option<Fault> {
        let hint = "mend these first";
        (self.more > 0).then(|| Fault::new("more", format!("{} more mistakes are not listed", self.more)).hint(hint))
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self { listed: vec![fault], more: 0 }
    }
}

impl Extend<Fault> for Faults {
    fn extend<T: IntoIterator<Item = Fault>>(&mut self, faults: T) {
        faults.into_iter().for_each(|fault| self.push(fault));
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<T: IntoIterator<Item = Fault>>(faults: T) -> Self {
        let mut all = Self::default();
        all.extend(faults);
        all
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.listed.into_iter()
    }
}

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.listed.iter().cloned().chain(self.others()))
    }
}

impl Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.listed.iter().chain(&self.others()).enumerate() {
            if position > 0 {
                f.write_str("\n\n")?;
            }
            Display::fmt(fault, f)?;
        }
        match self.len() {
            0 | 1 => f.write_char('\n'),
            count => write!(f, "\n\n{count} mistakes\n"),
        }
    }
}

impl std::error::Error for Faults {}
