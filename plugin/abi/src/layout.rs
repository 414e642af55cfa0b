//! The C structs of `include/skysense_plugin.h`, field for field. `tests/layout.rs` holds the two together.

use std::ffi::c_void;

use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::ffi_stream::FFI_ArrowArrayStream;

/// Major version of this contract: host and plugin must agree on it.
pub const ABI_MAJOR: u16 = 1;
/// Minor version of this contract: it only adds.
pub const ABI_MINOR: u16 = 0;
/// Status of a call that worked.
pub const OK: i32 = 0;
/// Status of a call that failed and filled its error buffer.
pub const ERROR: i32 = 1;
/// The one symbol that a plugin exports.
pub const SYMBOL: &str = "skysense_plugin";

/// UTF-8 that is lent for the length of a call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SkysenseText {
    /// First byte; may be null when `len` is 0.
    pub data: *const u8,
    /// Length in bytes.
    pub len: usize,
}

/// UTF-8 that is given away.
#[repr(C)]
#[derive(Debug)]
pub struct SkysenseBuffer {
    /// First byte; may be null when `len` is 0.
    pub data: *const u8,
    /// Length in bytes.
    pub len: usize,
    /// Called once by the receiver.
    pub release: Option<unsafe extern "C" fn(*mut SkysenseBuffer)>,
    /// The giver's own.
    pub private_data: *mut c_void,
}

/// What the host offers to a plugin.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each field is explained once, in the C header")]
pub struct SkysenseHost {
    pub struct_size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub context: *mut c_void,
    pub retain: Option<unsafe extern "C" fn(*mut c_void)>,
    pub release: Option<unsafe extern "C" fn(*mut c_void)>,
    pub log: Option<unsafe extern "C" fn(*mut c_void, i32, SkysenseText)>,
    pub progress: Option<unsafe extern "C" fn(*mut c_void, u64, u64, SkysenseText)>,
    pub report: Option<unsafe extern "C" fn(*mut c_void, SkysenseText, SkysenseText)>,
    pub cancelled: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    pub scratch: Option<unsafe extern "C" fn(*mut c_void) -> SkysenseText>,
    pub about: Option<unsafe extern "C" fn(*mut c_void) -> SkysenseText>,
    pub lease_memory: Option<unsafe extern "C" fn(*mut c_void, u64) -> i32>,
    pub release_memory: Option<unsafe extern "C" fn(*mut c_void, u64)>,
    pub lease_device: Option<unsafe extern "C" fn(*mut c_void, SkysenseText, *mut SkysenseBuffer) -> i32>,
    pub release_device: Option<unsafe extern "C" fn(*mut c_void, SkysenseText)>,
}

/// One input port at plan time.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "each field is explained once, in the C header")]
pub struct SkysensePlanInput {
    pub port: SkysenseText,
    pub kind: SkysenseText,
    pub facts: SkysenseText,
    pub schema: *const FFI_ArrowSchema,
    pub rows: *mut FFI_ArrowArrayStream,
}

/// The answer of `plan`.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "each field is explained once, in the C header")]
pub struct SkysensePlanOutput {
    pub plan: SkysenseBuffer,
    pub schema: FFI_ArrowSchema,
    pub rows: FFI_ArrowArrayStream,
}

/// What was planned, brought back to `run`.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "each field is explained once, in the C header")]
pub struct SkysensePlanned {
    pub plan: SkysenseText,
    pub schema: *const FFI_ArrowSchema,
    pub rows: *mut FFI_ArrowArrayStream,
}

/// One input port at run time.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "each field is explained once, in the C header")]
pub struct SkysenseRunInput {
    pub port: SkysenseText,
    pub kind: SkysenseText,
    pub stream: *mut FFI_ArrowArrayStream,
}

/// `describe` of a plugin's table.
pub type DescribeFn = unsafe extern "C" fn(*mut SkysenseBuffer, *mut SkysenseBuffer) -> i32;
/// `plan` of a plugin's table.
pub type PlanFn = unsafe extern "C" fn(
    SkysenseText,
    SkysenseText,
    *const *const SkysensePlanInput,
    usize,
    *const SkysenseHost,
    *mut SkysensePlanOutput,
    *mut SkysenseBuffer,
) -> i32;
/// `run` of a plugin's table.
pub type RunFn = unsafe extern "C" fn(
    SkysenseText,
    SkysenseText,
    *const SkysensePlanned,
    *const *const SkysenseRunInput,
    usize,
    *const SkysenseHost,
    *mut FFI_ArrowArrayStream,
    *mut SkysenseBuffer,
) -> i32;
/// `call` of a plugin's table.
pub type CallFn = unsafe extern "C" fn(
    SkysenseText,
    SkysenseText,
    *const SkysenseHost,
    *mut SkysenseBuffer,
    *mut SkysenseBuffer,
) -> i32;

/// What a plugin offers: the struct behind its one exported symbol.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each field is explained once, in the C header")]
pub struct SkysensePlugin {
    pub struct_size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub describe: Option<DescribeFn>,
    pub plan: Option<PlanFn>,
    pub run: Option<RunFn>,
    pub call: Option<CallFn>,
}

/// An Arrow array as C sees it: `arrow` keeps these fields to itself, and a batch from a stranger has to be
/// looked at before it is believed.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct RawArray {
    pub(crate) length: i64,
    pub(crate) null_count: i64,
    pub(crate) offset: i64,
    pub(crate) n_buffers: i64,
    pub(crate) n_children: i64,
    pub(crate) buffers: *const *const c_void,
    pub(crate) children: *const *const RawArray,
    pub(crate) dictionary: *const RawArray,
    pub(crate) release: Option<unsafe extern "C" fn(*mut FFI_ArrowArray)>,
    pub(crate) private_data: *mut c_void,
}
