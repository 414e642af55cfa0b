//! The plugins of this process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use serde_json::json;
use skysense_abi::{Host, NoHost};
use skysense_engine::{PluginSet, SearchPath};

use crate::place::own_folders;

/// What was found beside this library and in the other usual places; looked for once, when a workflow or a model is first
/// opened.
///
/// Libraries are loaded by a thread that never ends: an allocator that a plugin brings may take the thread that it is born
/// in for the one that lives as long as the process, and that of whoever opens a dataset first need not.
pub(crate) fn plugins() -> &'static PluginSet {
    static PLUGINS: OnceLock<PluginSet> = OnceLock::new();
    PLUGINS.get_or_init(|| {
        let (done, found) = channel();
        let load = move || {
            let _nobody_waits = done.send(PluginSet::discover(&SearchPath::standard_of(&own_folders())));
            loop {
                std::thread::park();
            }
        };
        let started = std::thread::Builder::new().name("skysense-plugins".into()).spawn(load);
        started.ok().and_then(|_| found.recv().ok()).unwrap_or_default()
    })
}

/// One workflow that is open. With the last of them the images that stay open between readings are closed.
#[derive(Debug)]
pub(crate) struct InUse(());

static OPEN: AtomicUsize = AtomicUsize::new(0);

impl InUse {
    pub(crate) fn new() -> Self {
        OPEN.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if OPEN.fetch_sub(1, Ordering::SeqCst) == 1 {
            // A plugin without the tool keeps what it keeps.
            let _files_stay_open = plugins().call("raster.close", &json!({}), &Host::new(NoHost));
        }
    }
}
