//! Why a subcommand could not do what it was asked for, and how that is printed.

use std::fmt::{self, Display};

use serde_json::{Value, json};
use skysense_abi::NodeError;
use skysense_engine::{EngineError, Faults};

use crate::{exit::Exit, output};

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: What,
}

#[derive(Debug)]
enum What {
    Faults(Faults),
    Error(Box<NodeError>),
    /// The reader of stdout went away: nothing to say, and nobody to say it to.
    Nothing,
}

impl Failure {
    /// A failure in words.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let code = match exit {
            Exit::Ok | Exit::Workflow => "workflow",
            Exit::Usage => "usage",
            Exit::Data => "data",
            Exit::Resources => "resources",
            Exit::Internal => "internal",
            Exit::Cancelled => "cancelled",
        };
        Self { exit, what: What::Error(Box::new(NodeError::new(code, message))) }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A file could not be read or written.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = if lacks(error) { Exit::Resources } else { Exit::Data };
        Self::new(exit, format!("cannot {what} {}", path.display())).because(error)
    }

    /// stdout is closed.
    pub(crate) fn closed() -> Self {
        Self { exit: Exit::Ok, what: What::Nothing }
    }

    /// The same with another exit, if nothing failed but that the reader of stdout went away.
    pub(crate) fn instead_of_ok(self, exit: Exit) -> Self {
        match self.what {
            What::Nothing => Self { exit, ..self },
            _ => self,
        }
    }

    /// Adds a cause.
    pub(crate) fn because(mut self, cause: impl Display) -> Self {
        if let What::Error(error) = &mut self.what {
            error.causes.push(cause.to_string());
        }
        self
    }

    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let What::Error(error) = &mut self.what {
            error.hint = Some(hint.into());
        }
        self
    }

    /// Prints it to stderr, with `--json` also as one object to stdout; gives the exit.
    pub(crate) fn print(self, as_json: bool) -> Exit {
        if matches!(self.what, What::Nothing) {
            return self.exit;
        }
        output::note(&self.to_string());
        if as_json {
            // A reader that went away does not change why this failed.
            let _ = output::json(&self.to_json());
        }
        self.exit
    }

    /// What `--json` says about it.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({"ok": false, "exit": self.exit.code()});
        match &self.what {
            What::Faults(faults) => object["faults"] = json!(faults),
            What::Error(error) => object["error"] = json!(error),
            What::Nothing => {}
        }
        object
    }
}

/// Whether the machine lacks something, rather than the file.
fn lacks(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    let kinds = [Kind::PermissionDenied, Kind::StorageFull, Kind::QuotaExceeded, Kind::ReadOnlyFilesystem];
    kinds.contains(&error.kind())
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Faults(faults) => write!(f, "{}", faults.to_string().trim_end()),
            What::Error(error) => write!(f, "error: {error}"),
            What::Nothing => Ok(()),
        }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        // What a plan finds may be the fault of data or of the machine; the first one that is not the
        // author's decides, since mending the file would not help.
        let exit = |code: &str| match code {
            "file" => Exit::Data,
            // Codes of nodes have dots; these two are the engine's own words for what a node may do to it.
            code if code.contains('.') || ["memory", "panic", "cancelled"].contains(&code) => Exit::of_code(code),
            _ => Exit::Workflow,
        };
        let exits = faults.iter().map(|fault| exit(&fault.code));
        let exit = exits.filter(|exit| *exit != Exit::Workflow).max_by_key(|exit| exit.code());
        Self { exit: exit.unwrap_or(Exit::Workflow), what: What::Faults(faults) }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self { exit: Exit::of_code(&error.code), what: What::Error(Box::new(error)) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = match &error {
            EngineError::NoRun { .. } | EngineError::Broken { .. } | EngineError::Finished { .. } => Exit::Data,
            EngineError::Secret { .. } => Exit::Workflow,
            EngineError::File { what: "read", source, .. } if !lacks(source) => Exit::Data,
            _ => Exit::Resources,
        };
        if let EngineError::Memory(fault) = error {
            return Self { exit, what: What::Faults((*fault).into()) };
        }
        Self { exit, what: What::Error(Box::new(error.into())) }
    }
}
