//! Data to stdout, everything else to stderr: as text, or each as one JSON object a line.

use std::{
    io::{ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use serde_json::json;

use crate::{exit::Exit, failure::Failure};

/// Whether stderr speaks JSON lines. One stderr, one switch: signals and the log write there too.
static LINES: AtomicBool = AtomicBool::new(false);

/// From now on everything on stderr is JSON lines.
pub(crate) fn speak_lines() {
    LINES.store(true, Ordering::Relaxed);
}

/// Whether everything on stderr is JSON lines.
pub(crate) fn speaks_lines() -> bool {
    LINES.load(Ordering::Relaxed)
}

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

/// Prints a line for people; where stderr speaks JSON lines, as the event `note`.
pub(crate) fn note(text: &str) {
    if speaks_lines() {
        line(&json!({"event": "note", "message": text}));
    } else {
        // A stderr that is closed is no reason to stop.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// Prints an event as one line of JSON to stderr.
pub(crate) fn line(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}
