//! Where this library lies, for what lies beside it.

use std::ffi::{CStr, OsStr};
use std::path::PathBuf;

/// The folders in which plugins are looked for as beside a program: that of the library, after links, and the one around
/// it, since `gdalplugins` is a folder beside the others.
pub(crate) fn own_folders() -> Vec<PathBuf> {
    let Some(file) = own_file() else { return Vec::new() };
    let file = file.canonicalize().unwrap_or(file);
    file.ancestors().skip(1).take(2).map(PathBuf::from).collect()
}

#[cfg(unix)]
fn own_file() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: all fields are pointers, for which null is a value.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    let here: fn() -> Option<PathBuf> = own_file;
    // SAFETY: the address of a function of this library, and room for the answer.
    let known = unsafe { libc::dladdr(here as *const libc::c_void, &mut found) };
    if known == 0 || found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: not null; the loader's text lives as long as the library, which is never unloaded.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(not(unix))]
fn own_file() -> Option<PathBuf> {
    None
}
