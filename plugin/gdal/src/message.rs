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
    caught(body).unwrap_or_else(|told| {
        fail(&told);
        otherwise
    })
}

/// A panic as an error.
///
/// # Errors
/// What `body` says, or its panic.
pub(crate) fn caught<T>(body: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        Err(format!("a fault of skysense itself: {text}\n  hint: please report it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic, reason = "what it is about")]
    fn no_panic_comes_through() {
        let told = caught::<()>(|| panic!("chip {} fell", 7)).unwrap_err();
        assert!(told.contains("chip 7 fell") && told.contains("report"), "{told}");
        assert_eq!(guarded(-1, || -> Result<i32, String> { panic!("again") }), -1);
        assert_eq!(guarded(-1, || Err("no".into())), -1);
        assert_eq!(guarded(-1, || Ok(1)), 1);
    }
}
