//! The host as a plugin sees it.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::callbacks::{HostCallbacks, export_host};
use crate::error::NodeError;
use crate::layout::{OK, SkysenseBuffer, SkysenseHost, SkysenseText};

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is wrong.
    Error,
    /// Something may be wrong.
    Warn,
    /// Something worth knowing.
    Info,
    /// Something for those who search for a fault.
    Debug,
}

impl Level {
    pub(crate) fn from_wire(level: i32) -> Self {
        match level {
            ..=1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// What is known of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct About {
    /// The run's id; empty while planning. It must not enter outputs.
    pub run: String,
    /// The node's name in the workflow.
    pub node: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Hash of the workflow's canonical form, as hex; it enters outputs.
    pub workflow_sha256: String,
    /// How many threads the node may use.
    pub threads: usize,
    /// Whether a run that was interrupted goes on: output of this very node may be there already, in part.
    pub resumed: bool,
    /// Folder that relative paths of the workflow are relative to.
    pub base: PathBuf,
    /// Which of the processes of the run this is, from 0.
    pub rank: usize,
    /// How many processes do the run together.
    pub processes: usize,
}

impl Default for About {
    fn default() -> Self {
        Self {
            run: String::new(),
            node: String::new(),
            workflow: String::new(),
            workflow_sha256: String::new(),
            threads: 1,
            resumed: false,
            base: PathBuf::from("."),
            rank: 0,
            processes: 1,
        }
    }
}

/// The host: log, progress, records for the report, cancellation, scratch space, leases.
///
/// Cheap to clone, and usable from any thread for as long as it is held.
pub struct Host {
    raw: SkysenseHost,
}

// SAFETY: the contract makes every host callback thread-safe, and `retain` keeps the context alive.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Clone for Host {
    fn clone(&self) -> Self {
        if let Some(retain) = self.raw.retain {
            // SAFETY: the context is alive: this handle holds it.
            unsafe { retain(self.raw.context) };
        }
        Self { raw: self.raw }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(release) = self.raw.release {
            // SAFETY: gives back what `clone` or `borrow` retained.
            unsafe { release(self.raw.context) };
        }
    }
}

impl Host {
    /// A host made of callbacks; for engines, and for tests of nodes.
    pub fn new(callbacks: impl HostCallbacks + 'static) -> Self {
        Self { raw: export_host(Box::new(callbacks)) }
    }

    /// A handle on the host that a call brought. Fields that an older host does not have are absent.
    ///
    /// # Safety
    /// `host` points to a table as the header describes it, with a live context.
    pub(crate) unsafe fn borrow(host: *const SkysenseHost) -> Option<Self> {
        if host.is_null() {
            return None;
        }
        // SAFETY: not null, and the first fields are in every version of the table.
        let size = unsafe { (*host).struct_size } as usize;
        let mut raw = std::mem::MaybeUninit::<SkysenseHost>::zeroed();
        // SAFETY: copies what both sides know; the rest stays zero, which is a valid "absent" in each field.
        let raw = unsafe {
            let known = size.min(size_of::<SkysenseHost>());
            std::ptr::copy_nonoverlapping(host.cast::<u8>(), raw.as_mut_ptr().cast::<u8>(), known);
            raw.assume_init()
        };
        if let Some(retain) = raw.retain {
            // SAFETY: the context is alive during the call that brought it.
            unsafe { retain(raw.context) };
        }
        Some(Self { raw })
    }

    /// The table to hand to a plugin; valid while this handle lives.
    pub(crate) fn as_raw(&self) -> *const SkysenseHost {
        &self.raw
    }

    /// Writes a line to the run's log.
    pub fn log(&self, level: Level, message: impl AsRef<str>) {
        let Some(log) = self.raw.log else { return };
        let level = match level {
            Level::Error => 1,
            Level::Warn => 2,
            Level::Info => 3,
            Level::Debug => 4,
        };
        // SAFETY: live context; the text lives as long as the call.
        unsafe { log(self.raw.context, level, SkysenseText::lend(message.as_ref())) }
    }

    /// Says how far the node is. `unit` is a plural noun: `chips`.
    pub fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        let Some(progress) = self.raw.progress else { return };
        // SAFETY: live context; the text lives as long as the call.
        unsafe { progress(self.raw.context, done, total.unwrap_or(0), SkysenseText::lend(unit)) }
    }

    /// Puts a record into the run's report.
    ///
    /// Kinds: `skipped` {item, asset, reason, causes, hint}, `decision` {what, value, why}, `output` {href, role},
    /// `count` {name, value} (summed), `measures` {step, steps, values} (the numbers of one step of many by name: shown
    /// while the run goes on, and not kept in the report).
    pub fn report(&self, kind: &str, record: &Value) {
        let Some(report) = self.raw.report else { return };
        let json = record.to_string();
        // SAFETY: live context; the texts live as long as the call.
        unsafe { report(self.raw.context, SkysenseText::lend(kind), SkysenseText::lend(&json)) }
    }

    /// Counts an input that is left out, by name and with the reason.
    pub fn skipped(&self, item: &str, asset: Option<&str>, reason: &str) {
        self.report("skipped", &serde_json::json!({"item": item, "asset": asset, "reason": reason}));
    }

    /// Counts an input that is left out because of an error, whose causes and remedy stand beside the reason.
    pub fn skipped_for(&self, item: &str, asset: Option<&str>, error: &NodeError) {
        let mut record = serde_json::json!({"item": item, "asset": asset, "reason": error.message});
        if !error.causes.is_empty() {
            record["causes"] = serde_json::json!(error.causes);
        }
        if let Some(hint) = &error.hint {
            record["hint"] = hint.as_str().into();
        }
        self.report("skipped", &record);
    }

    /// Adds to a count of the report: `requests`, `read_bytes`.
    pub fn count(&self, name: &str, value: u64) {
        self.report("count", &serde_json::json!({"name": name, "value": value}));
    }

    /// Whether the run is being cancelled: stop soon and remove what is half written.
    pub fn cancelled(&self) -> bool {
        // SAFETY: live context.
        self.raw.cancelled.is_some_and(|cancelled| unsafe { cancelled(self.raw.context) } != 0)
    }

    /// An error once the run is being cancelled, to be used with `?` in loops.
    ///
    /// # Errors
    /// [`NodeError::cancelled`].
    pub fn check_cancelled(&self) -> Result<(), NodeError> {
        if self.cancelled() { Err(NodeError::cancelled()) } else { Ok(()) }
    }

    /// A folder of this node's own. It lasts until the run is done, so that a run which was broken off and goes on finds what
    /// was put there; then all of it goes that was not reported as an output. Absent while planning.
    pub fn scratch(&self) -> Option<PathBuf> {
        // SAFETY: live context; the text is copied at once.
        let text = unsafe { self.raw.scratch.map(|scratch| scratch(self.raw.context).read())? };
        (!text.is_empty()).then(|| PathBuf::from(text.into_owned()))
    }

    /// What is known of the run.
    pub fn about(&self) -> About {
        // SAFETY: live context; the text is read at once.
        let text = self.raw.about.map_or(Cow::Borrowed("{}"), |about| unsafe { about(self.raw.context).read() });
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Asks for memory beyond the planned `working_bytes`. `None`: not now; work with what you have.
    pub fn lease_memory(&self, bytes: u64) -> Option<MemoryLease> {
        let lease = self.raw.lease_memory?;
        // SAFETY: live context.
        let granted = unsafe { lease(self.raw.context, bytes) } != 0;
        granted.then(|| MemoryLease { host: self.clone(), bytes })
    }

    /// Asks for a device: `auto`, `cpu`, `cuda`, `cuda:1`. With `auto` the answer may be `auto` too: then the
    /// node takes the best that is there and says which.
    ///
    /// # Errors
    /// The run does not allow that device.
    pub fn lease_device(&self, wanted: &str) -> Result<DeviceLease, NodeError> {
        let Some(lease) = self.raw.lease_device else {
            return Ok(DeviceLease { host: self.clone(), name: wanted.into() });
        };
        let mut out = SkysenseBuffer::empty();
        // SAFETY: live context; the text lives as long as the call; `out` is filled by the host.
        let (status, text) = unsafe { (lease(self.raw.context, SkysenseText::lend(wanted), &mut out), out.take()) };
        if status == OK { Ok(DeviceLease { host: self.clone(), name: text }) } else { Err(NodeError::from_wire(&text)) }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Memory that was granted; given back when dropped.
#[derive(Debug)]
pub struct MemoryLease {
    host: Host,
    bytes: u64,
}

impl MemoryLease {
    /// How much was granted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        if let Some(release) = self.host.raw.release_memory {
            // SAFETY: live context; gives back what was granted.
            unsafe { release(self.host.raw.context, self.bytes) }
        }
    }
}

/// A device that was granted; given back when dropped.
#[derive(Debug)]
pub struct DeviceLease {
    host: Host,
    name: String,
}

impl DeviceLease {
    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for DeviceLease {
    fn drop(&mut self) {
        if let Some(release) = self.host.raw.release_device {
            // SAFETY: live context; the text lives as long as the call.
            unsafe { release(self.host.raw.context, SkysenseText::lend(&self.name)) }
        }
    }
}
