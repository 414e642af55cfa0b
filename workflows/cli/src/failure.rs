//! Why a subcommand could not do what it was asked for, and how that is printed.

use std::fmt::{self, Display};

use serde_json::{Map, Value, json};
use skysense_abi::NodeError;
use skysense_engine::{EngineError, Faults};
use skysense_serve::ServeError;

use crate::{exit::Exit, output};

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: What,
    /// More fields of the answer in JSON.
    more: Map<String, Value>,
}

#[derive(Debug)]
enum What {
    Faults(Faults),
    Error(Box<NodeError>),
    /// The reader of stdout went away: nothing to say, and nobody to say it to.
    Nothing,
}

impl Failure {
    fn of(exit: Exit, what: What) -> Self {
        Self { exit, what, more: Map::new() }
    }

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
        Self::of(exit, What::Error(Box::new(NodeError::new(code, message))))
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
        Self::of(Exit::Ok, What::Nothing)
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
        if output::speaks_lines() {
            output::line(&self.to_event());
        } else {
            output::note(&self.to_string());
        }
        if as_json {
            // A reader that went away does not change why this failed.
            let _ = output::json(&self.to_json());
        }
        self.exit
    }

    /// What `--json` says about it.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({"ok": false, "exit": self.exit.code()});
        if let Value::Object(fields) = &mut object {
            fields.extend(self.fields());
            fields.extend(self.more.clone());
        }
        object
    }

    /// What JSON lines on stderr say about it.
    pub(crate) fn to_event(&self) -> Value {
        let mut object = json!({"event": "failed", "exit": self.exit.code()});
        if let Value::Object(fields) = &mut object {
            fields.extend(self.fields());
        }
        object
    }

    fn fields(&self) -> Map<String, Value> {
        let field = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
        match &self.what {
            What::Faults(faults) => field("faults", json!(faults)),
            What::Error(error) => field("error", json!(error)),
            What::Nothing => Map::new(),
        }
    }

    /// Adds fields to what `--json` says, so that it has the shape of the command's answer.
    pub(crate) fn with(mut self, fields: Value) -> Self {
        if let Value::Object(fields) = fields {
            self.more.extend(fields);
        }
        self
    }

    /// How the program ends.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
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
        Self::of(exit.unwrap_or(Exit::Workflow), What::Faults(faults))
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::of(Exit::of_code(&error.code), What::Error(Box::new(error)))
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
            return Self::of(exit, What::Faults((*fault).into()));
        }
        Self::of(exit, What::Error(Box::new(error.into())))
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let exit = match error {
            ServeError::Engine(error) => return error.into(),
            ServeError::Workflows(faults) => return (*faults).into(),
            ServeError::Missing { .. } => Exit::Usage,
            ServeError::Catalog(_) | ServeError::Request(_) => Exit::Data,
            ServeError::File { what, path, source } => return Self::file(what, &path, &source),
            _ => Exit::Resources,
        };
        let failure = Self::new(exit, error.to_string());
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let failure = causes.fold(failure, |failure, cause| failure.because(cause));
        match error {
            ServeError::Locked { .. } => failure.hint("end that service, or name another state with --state"),
            ServeError::Newer { .. } => failure.hint("a newer state needs a newer skysense"),
            _ => failure,
        }
    }
}
