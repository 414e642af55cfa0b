//! Panics stop at the border: they become errors that say what panicked and where.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::error::NodeError;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}
static HOOK: Once = Once::new();

/// Runs `body` and turns a panic into an error with code `panic`.
///
/// Inside, the panic's place is kept for the error instead of being printed; panics elsewhere in the
/// process go to the hook that was there before.
pub(crate) fn guarded<T>(body: impl FnOnce() -> Result<T, NodeError>) -> Result<T, NodeError> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if DEPTH.with(Cell::get) == 0 {
                return before(info);
            }
            let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
            PLACE.with(|p| *p.borrow_mut() = place);
        }));
    });
    DEPTH.with(|d| d.set(d.get() + 1));
    let outcome = catch_unwind(AssertUnwindSafe(body));
    DEPTH.with(|d| d.set(d.get() - 1));
    outcome.unwrap_or_else(|payload| {
        let what = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".into());
        let mut error = NodeError::new("panic", format!("the node panicked: {what}"))
            .hint("this is a bug in the plugin: report it with the workflow that shows it");
        if let Some(place) = PLACE.with(|p| p.borrow_mut().take()) {
            error = error.at("source", place);
        }
        Err(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_place() {
        let error = guarded::<()>(|| panic!("chip {} is empty", 7)).unwrap_err();
        assert_eq!(error.code, "panic");
        assert!(error.message.contains("chip 7 is empty"), "{error}");
        assert!(error.place["source"].contains("guard.rs"), "{error}");
        assert_eq!(guarded(|| Ok(3)), Ok(3));
    }
}
