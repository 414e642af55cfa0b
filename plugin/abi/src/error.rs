//! What can go wrong in a node, as it crosses the border, and what can be wrong with a plugin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An error of a node or a tool: what happened, why, what to do, and where.
///
/// ```
/// # use skysense_abi::NodeError;
/// let error = NodeError::new("read.truncated", "the file ends before tile 12")
///     .at("item", "S2A_33TVM").at("asset", "B04").hint("fetch the file again");
/// assert_eq!(error.place["item"], "S2A_33TVM");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeError {
    /// Stable name in dotted words, for programs: `read.truncated`, `cancelled`, `panic`.
    #[serde(default = "unknown_code")]
    pub code: String,
    /// What happened, with the offending value.
    pub message: String,
    /// What caused it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where: item, asset, file, line, chip, node…
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub place: BTreeMap<String, String>,
}

fn unknown_code() -> String {
    "error".into()
}

impl NodeError {
    /// Code of an error that only says that the run was cancelled.
    pub const CANCELLED: &'static str = "cancelled";

    /// An error with a code and what happened.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), causes: Vec::new(), hint: None, place: BTreeMap::new() }
    }

    /// An error made of a Rust error: its message, and its sources as causes.
    pub fn from_error(code: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut it = Self::new(code, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            let told = cause.to_string();
            // Many errors name their source in their own message: said twice it is no clearer.
            if !it.message.contains(&told) && !it.causes.contains(&told) {
                it.causes.push(told);
            }
            source = cause.source();
        }
        it
    }

    /// The error of work that stopped because the run is being cancelled.
    pub fn cancelled() -> Self {
        Self::new(Self::CANCELLED, "the run was cancelled")
    }

    /// Whether this error only says that the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.code == Self::CANCELLED
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where: `at("item", id)`.
    #[must_use]
    pub fn at(mut self, what: impl Into<String>, value: impl fmt::Display) -> Self {
        self.place.insert(what.into(), value.to_string());
        self
    }

    /// Reads an error as it crosses the border: a JSON object, or plain text from a simple plugin.
    pub fn from_wire(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| {
            let text = text.trim();
            Self::new("error", if text.is_empty() { "the plugin failed and did not say why" } else { text })
        })
    }

    /// The error as it crosses the border.
    pub fn to_wire(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"code":"error","message":"unreadable error"}"#.into())
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.place.is_empty() {
            let place: Vec<_> = self.place.iter().map(|(what, value)| format!("{what} {value}")).collect();
            write!(f, " ({})", place.join(", "))?;
        }
        for cause in &self.causes {
            write!(f, "\n  caused by: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NodeError {}

impl From<arrow::error::ArrowError> for NodeError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::from_error("arrow", &error)
    }
}

/// One mistake in a node's settings or inputs, found while planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// JSON pointer into the settings (`/bands/0`); empty for the node as a whole.
    #[serde(default)]
    pub field: String,
    /// Stable name in dotted words.
    #[serde(default = "unknown_code")]
    pub code: String,
    /// What is wrong, with the offending value and what was expected.
    pub message: String,
    /// What brought it about, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where outside of the workflow: item, asset, file, line…
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub place: BTreeMap<String, String>,
}

impl Fault {
    /// A fault at a field, as a JSON pointer into the settings.
    pub fn new(field: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            code: code.into(),
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            place: BTreeMap::new(),
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<NodeError> for Fault {
    /// The fault of the node as a whole.
    fn from(error: NodeError) -> Self {
        let NodeError { code, message, causes, hint, place } = error;
        Self { field: String::new(), code, message, causes, hint, place }
    }
}

impl From<NodeError> for Vec<Fault> {
    fn from(error: NodeError) -> Self {
        vec![error.into()]
    }
}

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

/// A plugin that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The library does not load.
    #[error("plugin {path} does not load: {reason}")]
    Load {
        /// The library's file.
        path: PathBuf,
        /// What the system's loader said.
        reason: String,
    },
    /// The library is no plugin.
    #[error("{path} is no skysense plugin: it does not export `{symbol}`", symbol = crate::layout::SYMBOL)]
    NoSymbol {
        /// The library's file.
        path: PathBuf,
    },
    /// The plugin was built for another contract.
    #[error(
        "plugin {path} speaks ABI {found}, this engine speaks {ours}: install a build of the plugin for ABI {ours_major}.x",
        ours = format!("{}.{}", crate::layout::ABI_MAJOR, crate::layout::ABI_MINOR),
        ours_major = crate::layout::ABI_MAJOR
    )]
    Version {
        /// The library's file.
        path: PathBuf,
        /// `major.minor` of the plugin.
        found: String,
    },
    /// The plugin breaks the contract.
    #[error("plugin {path} breaks the plugin contract: {reason}")]
    Broken {
        /// The library's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
