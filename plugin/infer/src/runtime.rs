//! ONNX Runtime itself: loaded once in a process, and what it can do.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::ep::ExecutionProvider;
use serde::Serialize;

use crate::locate::{Candidate, places};
use crate::{Attempt, InferError};

/// The loaded library and its environment.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(crate) environment: ort::environment::Environment,
    pub(crate) info: RuntimeInfo,
}

/// What is known of the loaded library, for `doctor` and for records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeInfo {
    /// The library.
    pub path: PathBuf,
    /// What named the place where it lies.
    pub origin: String,
    /// Version, such as `1.32.0`.
    pub version: String,
    /// The library's own words on how it was built.
    pub build: String,
    /// Devices that it can run on.
    pub devices: Vec<String>,
    /// Places that come earlier in the search and why they were passed over.
    pub passed: Vec<Attempt>,
}

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// Finds and loads ONNX Runtime (once; later calls tell what is loaded) and says what it is.
///
/// The search: `explicit`; else `ORT_DYLIB_PATH`; else the cache folder (`$XDG_CACHE_HOME/skysense/onnxruntime`),
/// next to the binary, and the system's own folders. A library that was named is never replaced by another.
///
/// # Errors
/// [`InferError::NoRuntime`] with every place and why it failed; [`InferError::RuntimeLoaded`] when another
/// library than `explicit` is loaded already.
pub fn runtime_info(explicit: Option<&Path>) -> Result<RuntimeInfo, InferError> {
    runtime(explicit).map(|runtime| runtime.info)
}

/// The process's environment, for this crate's own tests and benches, which run graphs without a [`crate::Model`].
///
/// # Errors
/// As [`runtime_info`].
#[doc(hidden)]
pub fn environment(explicit: Option<&Path>) -> Result<ort::environment::Environment, InferError> {
    runtime(explicit).map(|runtime| runtime.environment)
}

pub(crate) fn runtime(explicit: Option<&Path>) -> Result<Runtime, InferError> {
    let mut slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = slot.as_ref() {
        let same = |asked: &Path| {
            let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
            let (asked, loaded) = (real(asked), real(&runtime.info.path));
            asked == loaded || loaded.starts_with(&asked)
        };
        return match explicit {
            Some(asked) if !same(asked) => {
                Err(InferError::RuntimeLoaded { loaded: runtime.info.path.clone(), asked: asked.to_path_buf() })
            }
            _ => Ok(runtime.clone()),
        };
    }
    let loaded = load(explicit)?;
    *slot = Some(loaded.clone());
    Ok(loaded)
}

fn load(explicit: Option<&Path>) -> Result<Runtime, InferError> {
    let places = places(explicit);
    let mut passed = places.empty;
    for Candidate { origin, path } in places.candidates {
        let builder = match ort::init_from(&path) {
            Ok(builder) => builder,
            Err(error) => {
                passed.push(Attempt { origin: origin.into(), path, reason: error.to_string() });
                continue;
            }
        };
        let starts = |error: ort::Error| InferError::Runtime { path: path.clone(), message: error.to_string() };
        let environment = builder.with_name("skysense").with_telemetry(false).build().map_err(starts)?;
        let info = RuntimeInfo {
            origin: origin.into(),
            version: version(&path).unwrap_or_else(|| "unknown".into()),
            build: ort::info().into(),
            devices: devices(),
            passed,
            path,
        };
        return Ok(Runtime { environment, info });
    }
    Err(InferError::NoRuntime { tried: passed })
}

/// Devices that the library was built for; whether one works shows when a model is opened on it.
fn devices() -> Vec<String> {
    let cuda = ort::ep::CUDA::is_available().unwrap_or(false);
    std::iter::once("cpu").chain(cuda.then_some("cuda")).map(String::from).collect()
}

/// Version as the library gives it; ort checks it when it loads the library and keeps it to itself.
fn version(path: &Path) -> Option<String> {
    type Base = ort::sys::OrtApiBase;
    // SAFETY: ort has loaded this very library a moment ago, so loading it again only counts a reference and
    // runs no initialiser.
    let library = unsafe { libloading::Library::new(path) }.ok()?;
    // SAFETY: `OrtGetApiBase` has this signature in every version of ONNX Runtime, and ort has called it.
    let base = unsafe { library.get::<unsafe extern "C" fn() -> *const Base>(b"OrtGetApiBase") }.ok()?;
    // SAFETY: as above; the function takes nothing and returns a static.
    let base = unsafe { base().as_ref() }?;
    // SAFETY: the table is static in the library, which stays loaded, and the text is static and ends with NUL.
    let text = unsafe { CStr::from_ptr((base.GetVersionString)()) };
    text.to_str().ok().map(String::from)
}
