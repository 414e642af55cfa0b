//! GDAL's messages, kept per thread while one of our calls runs, with credentials cut out.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};

use gdal::errors::CplErrType;
use skysense_address::redact_queries;

/// More messages than this say nothing new: libtiff repeats itself for each line.
const KEPT: usize = 8;

thread_local! {
    static CAPTURED: RefCell<Option<Messages>> = const { RefCell::new(None) };
}

/// What GDAL said during a call.
#[derive(Debug, Default, Clone)]
pub(crate) struct Messages {
    /// Errors, oldest first.
    pub(crate) failures: Vec<String>,
    /// Warnings, oldest first.
    pub(crate) warnings: Vec<String>,
}

impl Messages {
    /// All errors as one line; the warnings if there is no error; a plain word if GDAL said nothing.
    pub(crate) fn text(&self) -> String {
        let lines = if self.failures.is_empty() { &self.warnings } else { &self.failures };
        if lines.is_empty() { "GDAL gave no reason".into() } else { lines.join("; ") }
    }

    /// Whether an error was reported.
    pub(crate) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }
}

/// Runs `call` and collects what GDAL says in this thread meanwhile, whoever else in the process listens to GDAL.
pub(crate) fn capture<T>(call: impl FnOnce() -> T) -> (T, Messages) {
    let outer = CAPTURED.with(|slot| slot.borrow_mut().replace(Messages::default()));
    let listening = Listening::begin();
    let result = call();
    drop(listening);
    let messages = CAPTURED.with(|slot| std::mem::replace(&mut *slot.borrow_mut(), outer));
    (result, messages.unwrap_or_default())
}

/// While it lives, GDAL tells [`handle`] what it has to say in this thread.
struct Listening;

impl Listening {
    fn begin() -> Self {
        // SAFETY: the handler is a plain function that lives for ever; GDAL keeps a stack of them for each thread.
        unsafe { gdal_sys::CPLPushErrorHandler(Some(told)) };
        Self
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // SAFETY: takes off what `begin` put on, in the same thread: a call is not moved while it runs.
        unsafe { gdal_sys::CPLPopErrorHandler() };
    }
}

unsafe extern "C" fn told(class: gdal_sys::CPLErr::Type, number: gdal_sys::CPLErrorNum, text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: GDAL lends a text that ends with a zero byte.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    handle(CplErrType::from(class), number, &text);
}

/// The error handler that `setup` installs.
pub(crate) fn handle(class: CplErrType, _number: i32, text: &str) {
    let text = redact_queries(text);
    CAPTURED.with(|slot| {
        // A message that arises while a message is stored can only come from ourselves; it is dropped.
        let Ok(mut slot) = slot.try_borrow_mut() else { return };
        match (slot.as_mut(), class) {
            (Some(kept), CplErrType::Failure | CplErrType::Fatal) => push(&mut kept.failures, text),
            (Some(kept), CplErrType::Warning) => push(&mut kept.warnings, text),
            (None, CplErrType::Failure | CplErrType::Fatal) => tracing::warn!(target: "gdal", "{text}"),
            _ => tracing::debug!(target: "gdal", "{text}"),
        }
    });
}

fn push(lines: &mut Vec<String>, text: String) {
    if lines.len() < KEPT && lines.last() != Some(&text) {
        lines.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_nest() {
        let (_, outer) = capture(|| {
            handle(CplErrType::Failure, 1, "before");
            let (_, inner) = capture(|| handle(CplErrType::Warning, 1, "within"));
            assert_eq!(inner.warnings, ["within"]);
            assert!(!inner.failed());
            handle(CplErrType::Failure, 1, "after");
        });
        assert_eq!(outer.text(), "before; after");
    }
}
