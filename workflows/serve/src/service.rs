//! The service: triggers, runs and the API over one state, until somebody ends it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use skysense_engine::Cancel;

use crate::{
    Limits, MapLibrary, Result, ServiceLock, Store, clock, memory,
    scheduler::{Places, Scheduler},
    traces::{Collector, Traces},
    watcher::Watcher,
    workflows::Library,
};

/// How often the state is looked at. What comes by the API need not wait for it.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the folder of workflows is looked at.
const REFRESH: Duration = Duration::from_secs(2);
/// How often old runs are let go.
const PRUNE: Duration = Duration::from_secs(600);
/// How often memory that was freed goes back to the system.
const GIVE_BACK: Duration = Duration::from_secs(5);
/// How long runs may take to end in good order.
const GRACE: Duration = Duration::from_secs(45);

/// What a service works with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The `skysense` binary, which runs workflows.
    pub program: PathBuf,
    /// Where results lie that have no other place; beside the state if left out.
    pub results: Option<PathBuf>,
    /// What runs may use.
    pub limits: Limits,
    /// How long what ended runs were given and said is kept.
    pub keep: Duration,
    /// Where traces are sent, if anywhere.
    pub collector: Option<Collector>,
    /// What the page draws its map with, if it is there.
    pub map: Option<MapLibrary>,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Its state.
    pub store: Arc<Store>,
    /// Its workflows.
    pub library: Arc<Library>,
    pub(crate) scheduler: Scheduler,
    watcher: Watcher,
    keep: Duration,
    pub(crate) cancel: Cancel,
    pub(crate) traces: Arc<Traces>,
    /// Where drawn map tiles are kept.
    pub(crate) tiles: PathBuf,
    pub(crate) map: Option<MapLibrary>,
    _lock: ServiceLock,
}

impl Service {
    /// Claims a state and makes ready to serve.
    ///
    /// # Errors
    /// Another process serves the state, or it cannot be opened.
    pub fn new(state: &Path, library: Library, setup: Setup, cancel: Cancel) -> Result<Self> {
        memory::share_heaps();
        let (store, lock) = Store::open_to_serve(state)?;
        let (store, library) = (Arc::new(store), Arc::new(library));
        let state = std::path::absolute(store.path()).unwrap_or_else(|_| store.path().to_owned());
        let results = setup.results.unwrap_or_else(|| beside(&state, "results"));
        let results = std::path::absolute(&results).unwrap_or(results);
        let places = Places { program: setup.program, runs: beside(&state, "runs"), results };
        let traces = Arc::new(Traces::to(setup.collector));
        let scheduler = Scheduler::new((store.clone(), library.clone()), setup.limits, places, traces.clone());
        Ok(Self {
            store,
            library,
            scheduler,
            watcher: Watcher::default(),
            keep: setup.keep,
            cancel,
            traces,
            tiles: beside(&state, "tiles"),
            map: setup.map,
            _lock: lock,
        })
    }

    /// Serves triggers and runs until the switch is turned; then runs are parked. Failures of the state are told and
    /// tried again: a full disk is no reason to end.
    pub fn work(&self) {
        let cancel = self.cancel.clone();
        let stop: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(move || cancel.is_cancelled());
        let told = |what: &str, done: Result<()>| {
            if let Err(error) = done {
                tracing::error!("{what}: {error}");
                thread::sleep(Duration::from_secs(1));
            }
        };
        told("runs of an earlier service", self.scheduler.recover());
        let mut refreshed = Instant::now();
        let mut pruned: Option<Instant> = None;
        let mut given_back = Instant::now();
        while !self.cancel.is_cancelled() {
            if refreshed.elapsed() > REFRESH {
                refreshed = Instant::now();
                match self.library.refresh() {
                    Ok(true) => tracing::info!("workflows changed"),
                    Ok(false) => {}
                    Err(error) => tracing::error!("workflows: {error}"),
                }
            }
            if pruned.is_none_or(|at| at.elapsed() > PRUNE) {
                pruned = Some(Instant::now());
                told("old runs", self.prune());
            }
            if given_back.elapsed() > GIVE_BACK {
                given_back = Instant::now();
                memory::give_back();
            }
            told("triggers", self.watcher.tick(&self.store, &self.library, &self.traces, &stop));
            told("runs", self.scheduler.tick());
            thread::sleep(PAUSE);
        }
        self.scheduler.park();
        let begun = Instant::now();
        while begun.elapsed() < GRACE && (self.scheduler.load().0 > 0 || !self.watcher.is_idle()) {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn prune(&self) -> Result<()> {
        let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        for run in self.store.prune(clock::now().saturating_sub(keep))? {
            self.scheduler.home(&run).remove();
        }
        Ok(())
    }

    /// The time, as the state has it.
    pub(crate) fn now(&self) -> crate::Millis {
        clock::now()
    }
}

/// A folder beside the state file, named after it.
fn beside(state: &Path, what: &str) -> PathBuf {
    let stem = state.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    state.with_file_name(format!("{stem}-{what}"))
}
