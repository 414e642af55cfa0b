//! The host's side of the host table.

use std::ffi::c_void;
use std::sync::Arc;

use serde_json::Value;

use crate::error::NodeError;
use crate::guard::guarded;
use crate::host::{About, Level};
use crate::layout::{ABI_MAJOR, ABI_MINOR, ERROR, OK, SkysenseBuffer, SkysenseHost, SkysenseText};

/// What a host does for its plugins. Every method may be called from any thread; the defaults do nothing.
pub trait HostCallbacks: Send + Sync {
    /// A line for the run's log.
    fn log(&self, _level: Level, _message: &str) {}

    /// How far the node is; `total` is absent when unknown.
    fn progress(&self, _done: u64, _total: Option<u64>, _unit: &str) {}

    /// A record for the run's report.
    fn report(&self, _kind: &str, _record: Value) {}

    /// Whether the run is being cancelled.
    fn cancelled(&self) -> bool {
        false
    }

    /// A folder of the node's own, which lasts until the run is done; empty if there is none. Asked once.
    fn scratch(&self) -> String {
        String::new()
    }

    /// What is known of the run. Asked once.
    fn about(&self) -> About {
        About::default()
    }

    /// Grants memory or not; must not wait.
    fn lease_memory(&self, _bytes: u64) -> bool {
        true
    }

    /// Takes memory back.
    fn release_memory(&self, _bytes: u64) {}

    /// Grants a device.
    ///
    /// # Errors
    /// The run does not allow that device.
    fn lease_device(&self, wanted: &str) -> Result<String, NodeError> {
        Ok(wanted.into())
    }

    /// Takes a device back.
    fn release_device(&self, _device: &str) {}
}

/// A host that does nothing; for tests of nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl HostCallbacks for NoHost {}

struct Context {
    callbacks: Box<dyn HostCallbacks>,
    scratch: String,
    about: String,
}

/// The C table of some callbacks, with one reference held.
pub(crate) fn export_host(callbacks: Box<dyn HostCallbacks>) -> SkysenseHost {
    let about = serde_json::to_string(&callbacks.about()).unwrap_or_else(|_| "{}".into());
    let scratch = callbacks.scratch();
    let context = Arc::into_raw(Arc::new(Context { callbacks, scratch, about }));
    SkysenseHost {
        struct_size: size_of::<SkysenseHost>() as u32,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        context: context.cast_mut().cast(),
        retain: Some(retain),
        release: Some(release),
        log: Some(log),
        progress: Some(progress),
        report: Some(report),
        cancelled: Some(cancelled),
        scratch: Some(scratch_of),
        about: Some(about_of),
        lease_memory: Some(lease_memory),
        release_memory: Some(release_memory),
        lease_device: Some(lease_device),
        release_device: Some(release_device),
    }
}

unsafe extern "C" fn retain(context: *mut c_void) {
    // SAFETY: a live context of ours.
    unsafe { Arc::increment_strong_count(context.cast::<Context>().cast_const()) }
}

unsafe extern "C" fn release(context: *mut c_void) {
    // SAFETY: a live context of ours, with one reference to give back.
    let context = unsafe { Arc::from_raw(context.cast::<Context>().cast_const()) };
    let _ = guarded(|| {
        drop(context);
        Ok(())
    });
}

/// Runs a callback; one that panics does nothing, since the plugin in between cannot help it.
///
/// # Safety
/// `context` is a live context of ours.
unsafe fn with<T>(context: *mut c_void, otherwise: T, body: impl FnOnce(&Context) -> T) -> T {
    // SAFETY: by this function's contract.
    let context = unsafe { &*context.cast::<Context>() };
    guarded(|| Ok(body(context))).unwrap_or(otherwise)
}

unsafe extern "C" fn log(context: *mut c_void, level: i32, message: SkysenseText) {
    // SAFETY: live context; the text is lent for the call.
    unsafe { with(context, (), |c| c.callbacks.log(Level::from_wire(level), &message.read())) }
}

unsafe extern "C" fn progress(context: *mut c_void, done: u64, total: u64, unit: SkysenseText) {
    let total = (total > 0).then_some(total);
    // SAFETY: live context; the text is lent for the call.
    unsafe { with(context, (), |c| c.callbacks.progress(done, total, &unit.read())) }
}

unsafe extern "C" fn report(context: *mut c_void, kind: SkysenseText, json: SkysenseText) {
    // SAFETY: live context; the texts are lent for the call.
    unsafe {
        with(context, (), |c| {
            let text = json.read();
            let record = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()));
            c.callbacks.report(&kind.read(), record);
        });
    }
}

unsafe extern "C" fn cancelled(context: *mut c_void) -> i32 {
    // SAFETY: live context.
    unsafe { with(context, 0, |c| c.callbacks.cancelled().into()) }
}

unsafe extern "C" fn scratch_of(context: *mut c_void) -> SkysenseText {
    // SAFETY: live context, which holds the text.
    unsafe { SkysenseText::lend(&(*context.cast::<Context>()).scratch) }
}

unsafe extern "C" fn about_of(context: *mut c_void) -> SkysenseText {
    // SAFETY: live context, which holds the text.
    unsafe { SkysenseText::lend(&(*context.cast::<Context>()).about) }
}

unsafe extern "C" fn lease_memory(context: *mut c_void, bytes: u64) -> i32 {
    // SAFETY: live context.
    unsafe { with(context, 0, |c| c.callbacks.lease_memory(bytes).into()) }
}

unsafe extern "C" fn release_memory(context: *mut c_void, bytes: u64) {
    // SAFETY: live context.
    unsafe { with(context, (), |c| c.callbacks.release_memory(bytes)) }
}

unsafe extern "C" fn lease_device(context: *mut c_void, wanted: SkysenseText, out: *mut SkysenseBuffer) -> i32 {
    // SAFETY: live context; the text is lent for the call.
    let answer = unsafe {
        with(context, Err(NodeError::new("panic", "the host failed to lease a device")), |c| {
            c.callbacks.lease_device(&wanted.read())
        })
    };
    let (status, text) = match answer {
        Ok(name) => (OK, name),
        Err(error) => (ERROR, error.to_wire()),
    };
    // SAFETY: `out` points to room for one buffer.
    unsafe { out.write(SkysenseBuffer::give(text)) };
    status
}

unsafe extern "C" fn release_device(context: *mut c_void, device: SkysenseText) {
    // SAFETY: live context; the text is lent for the call.
    unsafe { with(context, (), |c| c.callbacks.release_device(&device.read())) }
}
