//! The plugins of this process, and the thread that stays.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use serde_json::json;
use skysense_abi::{Host, NoHost};
use skysense_engine::{PluginSet, SearchPath};

use crate::message::caught;
use crate::place::own_folders;

type Work = Box<dyn FnOnce() + Send>;

/// A thread that never ends, which loads plugins and plans.
///
/// An allocator that a plugin brings may take the thread that it is born in for the one that lives as long as the process,
/// and that of whoever opens a dataset first need not. What is settled for a thread (GDAL's options, PROJ's database)
/// concerns nobody else here, and is there for the next one.
struct Staying {
    plugins: PluginSet,
    work: Sender<Work>,
    /// The process that the thread lives in.
    process: u32,
}

fn staying() -> &'static Staying {
    static STAYING: OnceLock<Staying> = OnceLock::new();
    STAYING.get_or_init(|| {
        let ((done, found), (work, wanted)) = (channel(), channel::<Work>());
        let live = move || {
            let _nobody_waits = done.send(PluginSet::discover(&SearchPath::standard_of(&own_folders())));
            wanted.into_iter().for_each(|work| work());
        };
        let started = std::thread::Builder::new().name("skysense-gdal".into()).spawn(live);
        let plugins = started.ok().and_then(|_| found.recv().ok()).unwrap_or_default();
        Staying { plugins, work, process: std::process::id() }
    })
}

/// What was found beside this library and in the other usual places; looked for once, when a workflow or a model is first
/// opened.
pub(crate) fn plugins() -> &'static PluginSet {
    &staying().plugins
}

/// Does something in the thread that stays.
///
/// # Errors
/// What `body` says, a panic in it, or that there is no such thread.
pub(crate) fn apart<T: Send + 'static>(body: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let staying = staying();
    if staying.process != std::process::id() {
        return Err("a workflow was opened before this process was forked off, and cannot be used in both\n  hint: open the first one behind the fork, or start processes anew (Python: multiprocessing's \"spawn\")".into());
    }
    let gone = || "no thread could be started".to_owned();
    let (reply, answer) = channel();
    let work = move || {
        let _reader_that_went_away = reply.send(caught(body));
    };
    staying.work.send(Box::new(work)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
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
