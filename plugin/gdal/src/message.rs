//! What is told to GDAL, and what keeps panics from it.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gdal_sys::CPLErr;

/// `CPLE_AppDefined`: an error of the driver's own.
const OWN: i32 = 1;

/// Tells an error, whole.
pub(crate) fn fail(text: &str) {
    tell(CPLErr::CE_Failure, text);
}

/// Tells a warning, whole.
pub(crate) fn warn(text: &str) {
    tell(CPLErr::CE_Warning, text);
}

fn tell(class: CPLErr::Type, text: &str) {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: a format with one text, and a text that lives through the call.
    unsafe { gdal_sys::CPLError(class, OWN, c"SKYSENSE: %s".as_ptr(), text.as_ptr()) };
}

/// Runs the body of a function that GDAL calls: an error, and a panic, is told to GDAL and gives `otherwise`.
pub(crate) fn guarded<T>(otherwise: T, body: impl FnOnce() -> Result<T, String>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(done)) => done,
        Ok(Err(told)) => {
            fail(&told);
            otherwise
        }
        Err(panic) => {
            fail(&format!("a fault of skysense itself: {}\n  hint: please report it", words(panic.as_ref())));
            otherwise
        }
    }
}

/// Runs something in a thread of ours, so that what it settles for its thread concerns nobody else.
///
/// # Errors
/// What `body` says, a panic in it, or a thread that the system refuses.
pub(crate) fn apart<T: Send>(body: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let started = std::thread::Builder::new().name("skysense-gdal".into()).spawn_scoped(scope, body);
        let thread = started.map_err(|error| format!("no thread could be started: {error}"))?;
        thread.join().unwrap_or_else(|panic| Err(format!("a fault of skysense itself: {}", words(panic.as_ref()))))
    })
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}
