//! Finding ONNX Runtime. One test, for a process loads one library and the order matters.
//!
//! Needs the library where the search looks (`./x` puts it into the cache folder).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::path::Path;

use skysense_infer::{InferError, runtime_info};

#[test]
fn a_named_library_is_never_replaced_and_the_search_says_where_it_looked() {
    let missing = runtime_info(Some(Path::new("no/such/libonnxruntime.so"))).unwrap_err();
    let text = missing.to_string();
    assert!(matches!(missing, InferError::NoRuntime { ref tried } if tried.len() == 1), "{text}");
    assert!(text.contains("no/such/libonnxruntime.so (no such file)"), "{text}");
    assert!(text.contains("ORT_DYLIB_PATH"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("libonnxruntime.so");
    std::fs::write(&broken, "not a library").unwrap();
    let text = runtime_info(Some(&broken)).unwrap_err().to_string();
    assert!(text.contains("failed to load"), "{text}");

    let info = runtime_info(None).unwrap();
    assert!(info.version.starts_with("1."), "{info:?}");
    assert_eq!(info.devices[0], "cpu");
    assert_eq!(runtime_info(Some(&info.path)).unwrap(), info, "the same library may be named again");
    assert!(matches!(runtime_info(Some(&broken)), Err(InferError::RuntimeLoaded { .. })));
}
