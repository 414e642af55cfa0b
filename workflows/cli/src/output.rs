//! Data to stdout, everything else to stderr.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::{exit::Exit, failure::Failure};

/// Prints data.
///
/// # Errors
/// stdout is closed (which ends the program quietly, as `head` expects), or cannot be written.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written =
        out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    written.and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::closed(),
        _ => Failure::new(Exit::Resources, "cannot write to stdout").because(error),
    })
}

/// Prints one JSON value on one line as data.
///
/// # Errors
/// As [`data`].
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(Exit::Internal, "cannot write the answer as JSON").because(error))?;
    data(&text)
}

/// Prints a line for people. A stderr that is closed is no reason to stop.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
