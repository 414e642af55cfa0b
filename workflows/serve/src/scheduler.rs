//! Runs what is queued: as many at once, and with as much memory, as the service may use.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    Ended, Millis, NewResult, Result, Room, Run, RunFilter, RunState, ServeError, Store,
    child::{self, Left, RunHome, Start, Switch, Wish},
    clock, material, outputs, publish,
    traces::{Span, Traces, span_id},
    workflows::Library,
};

/// How often one looks whether a child of an earlier service is gone.
const PAUSE: Duration = Duration::from_millis(200);

/// What runs may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Runs at once.
    pub concurrency: usize,
    /// Bytes of all runs together.
    pub memory: u64,
    /// Processors of one run; all if left out.
    pub threads: Option<usize>,
    /// Devices, as `--device` takes them.
    pub devices: Vec<String>,
}

/// Runs what is queued.
#[derive(Debug, Clone)]
pub(crate) struct Scheduler {
    store: Arc<Store>,
    library: Arc<Library>,
    limits: Limits,
    program: PathBuf,
    runs: PathBuf,
    results: PathBuf,
    active: Arc<Mutex<HashMap<String, Active>>>,
    traces: Arc<Traces>,
}

#[derive(Debug)]
struct Active {
    switch: Switch,
    memory: u64,
}

/// Where a scheduler keeps things, and what it starts.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) program: PathBuf,
    pub(crate) runs: PathBuf,
    pub(crate) results: PathBuf,
}

impl Scheduler {
    pub(crate) fn new(
        (store, library): (Arc<Store>, Arc<Library>),
        limits: Limits,
        places: Places,
        traces: Arc<Traces>,
    ) -> Self {
        let Places { program, runs, results } = places;
        Self { store, library, limits, program, runs, results, active: Arc::default(), traces }
    }

    fn active(&self) -> MutexGuard<'_, HashMap<String, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The home of a run.
    pub(crate) fn home(&self, run: &str) -> RunHome {
        RunHome::new(self.runs.join(run))
    }

    /// How many runs are active, and how many bytes they may hold.
    pub(crate) fn load(&self) -> (usize, u64) {
        let active = self.active();
        (active.len(), active.values().map(|run| run.memory).sum())
    }

    /// Takes care of runs that a service left behind which died: of each its process is awaited, which ends since the
    /// service did, and what it wrote is judged.
    pub(crate) fn recover(&self) -> Result<()> {
        for state in [RunState::Dead, RunState::Cancelled] {
            let ended = RunFilter { state: Some(state), limit: Some(10_000), ..RunFilter::default() };
            self.store.runs(&ended)?.iter().for_each(|run| self.restore(run));
        }
        for run in self.store.running()? {
            tracing::info!(run = run.id, "the service ended while it ran");
            let memory = if run.memory == 0 { self.share() } else { run.memory };
            self.begin(run, memory, |scheduler, run, _| {
                let home = scheduler.home(&run.id);
                while home.is_alive() {
                    thread::sleep(PAUSE);
                }
                Ok(child::judge(&home, None, None))
            });
        }
        Ok(())
    }

    /// Ends groups, passes on wishes to cancel, and begins what there is room for.
    pub(crate) fn tick(&self) -> Result<()> {
        self.store.close_groups(clock::now())?;
        let wanted = self.store.running()?;
        for run in wanted.iter().filter(|run| run.cancel) {
            if let Some(active) = self.active().get(&run.id) {
                active.switch.wish(Wish::Cancel);
            }
        }
        loop {
            let (count, memory) = self.load();
            if count >= self.limits.concurrency {
                return Ok(());
            }
            let room = Room { memory: self.limits.memory.saturating_sub(memory), share: self.share() };
            let Some(run) = self.store.claim(room, clock::now())? else { return Ok(()) };
            let memory = run.memory;
            if memory > self.limits.memory {
                self.refuse(&run)?;
                continue;
            }
            self.begin(run, memory, |scheduler, run, switch| scheduler.execute(run, switch));
        }
    }

    /// What a run gets that does not say.
    fn share(&self) -> u64 {
        self.limits.memory / self.limits.concurrency.max(1) as u64
    }

    fn refuse(&self, run: &Run) -> Result<()> {
        let message = format!("it asks for {} bytes of memory, and the service has {}", run.memory, self.limits.memory);
        let ended = Ended::Failed { error: json!({"code": "memory", "message": message}), for_good: true };
        self.store.end(&run.id, &ended, &[], clock::now())?;
        self.restore(run);
        Ok(())
    }

    /// Does something with a run on a thread of its own, and writes down how it ended.
    fn begin(&self, run: Run, memory: u64, work: impl FnOnce(&Self, &Run, &Switch) -> Result<Left> + Send + 'static) {
        let switch = Switch::default();
        self.active().insert(run.id.clone(), Active { switch: switch.clone(), memory });
        let own = self.clone();
        let gone = Gone { active: self.active.clone(), id: run.id.clone() };
        let spawned = thread::Builder::new().name("skysense-run".to_owned()).spawn(move || {
            let _gone = gone;
            let left = work(&own, &run, &switch).unwrap_or_else(|error| failed(&error));
            own.finish(&run, left);
        });
        if let Err(error) = spawned {
            // The run stays as running in the state, and the next start of the service takes care of it.
            tracing::error!("no thread for a run: {error}");
        }
    }

    fn execute(&self, run: &Run, switch: &Switch) -> Result<Left> {
        let workflow = self.library.get(&run.workflow).ok_or_else(|| ServeError::missing("workflow", &run.workflow))?;
        let home = self.home(&run.id);
        let material = material::prepare(&self.store, &workflow, run, &home, &self.results)?;
        if run.anew {
            home.forget()?;
            if let Some(out) = material.out.as_deref().filter(|out| out.starts_with(&self.results)) {
                outputs::clear(out, self.store.has_results(&run.id)?)?;
            }
            self.store.begun(&run.id)?;
        }
        if let Some(above) = material.out.as_deref().and_then(std::path::Path::parent) {
            std::fs::create_dir_all(above).map_err(|error| ServeError::file("make", above, error))?;
        }
        let start = Start {
            program: &self.program,
            workflow: &workflow.file,
            params: &material.params,
            memory: run.memory,
            threads: self.limits.threads,
            devices: &self.limits.devices,
        };
        child::run(&home, &start, switch)
    }

    /// Writes down how a run ended, with what it published. While the state cannot be written it is tried again: what
    /// was done is not lost for a full disk.
    fn finish(&self, run: &Run, left: Left) {
        let (spent, end) = (left.spent.clone(), clock::now());
        let (ended, results) = published(run, left);
        self.trace(run, &ended, &spent, end);
        // Before the end is written down: what is aside of a run that ended would be taken for what it published.
        if let Ended::Done { .. } = &ended
            && let Err(error) = outputs::keep(&material::out_folder(&self.results, run))
        {
            tracing::warn!(run = run.id, "{error}");
        }
        for attempt in 0_u32.. {
            match self.store.end(&run.id, &ended, &results, clock::now()) {
                Ok(state) => {
                    let word = state.word();
                    if matches!(state, RunState::Dead | RunState::Cancelled) {
                        self.restore(run);
                    }
                    return match state {
                        RunState::Dead => tracing::error!(run = run.id, workflow = run.workflow, "run is {word}"),
                        _ => tracing::info!(
                            run = run.id,
                            workflow = run.workflow,
                            results = results.len(),
                            "run is {word}"
                        ),
                    };
                }
                Err(error) if attempt < 60 => {
                    tracing::error!(run = run.id, "{error}; trying again");
                    thread::sleep(Duration::from_secs(1));
                }
                Err(error) => return tracing::error!(run = run.id, "{error}; the next start takes care of it"),
            }
        }
    }

    /// Tells how long an attempt took, and each of its nodes.
    fn trace(&self, run: &Run, ended: &Ended, spent: &Value, end: Millis) {
        if !self.traces.is_on() {
            return;
        }
        let id = span_id();
        let (state, error) = match ended {
            Ended::Done { partial: true } => ("partial", None),
            Ended::Done { partial: false } => ("done", None),
            Ended::Failed { error, .. } => {
                ("failed", Some(error["message"].as_str().unwrap_or("it failed").to_owned()))
            }
            Ended::Parked => ("parked", None),
            Ended::Cancelled => ("cancelled", None),
            Ended::Interrupted => ("interrupted", Some("its process was lost".to_owned())),
        };
        let seconds = |value: &Value| (value["seconds"].as_f64().unwrap_or(0.0) * 1000.0) as Millis;
        // All nodes begin together, and hand on what they have.
        let begun = end - seconds(spent);
        for (name, node) in spent["nodes"].as_object().into_iter().flatten() {
            self.traces.add(Span {
                trace: run.id.clone(),
                id: span_id(),
                parent: Some(id.clone()),
                name: format!("node {name}"),
                serves: false,
                start: begun,
                end: begun + seconds(node),
                attributes: vec![
                    ("skysense.node", json!(name)),
                    ("skysense.rows", node["rows"].clone()),
                    ("skysense.outcome", node["outcome"].clone()),
                ],
                error: (node["outcome"] == "failed").then(|| "the node failed".to_owned()),
            });
        }
        self.traces.add(Span {
            trace: run.id.clone(),
            id,
            parent: None,
            name: format!("run {}", run.workflow),
            serves: false,
            start: run.started_at.unwrap_or(begun),
            end,
            attributes: vec![
                ("skysense.run", json!(run.id)),
                ("skysense.workflow", json!(run.workflow)),
                ("skysense.trigger", json!(run.trigger.as_deref().unwrap_or_default())),
                ("skysense.group", json!(run.key)),
                ("skysense.attempt", json!(run.attempts + 1)),
                ("skysense.outcome", json!(state)),
            ],
            error,
        });
    }

    /// Brings back what a run published before, where nothing else came of it.
    fn restore(&self, run: &Run) {
        if let Err(error) = outputs::restore(&material::out_folder(&self.results, run)) {
            tracing::error!(run = run.id, "{error}");
        }
    }

    /// Asks all runs to end in good order.
    pub(crate) fn park(&self) {
        for active in self.active().values() {
            active.switch.wish(Wish::Park);
        }
    }

    /// Tells a run to end, if it is active: `tick` would, a moment later.
    pub(crate) fn cancel(&self, id: &str) {
        let active = self.active().get(id).map(|active| active.switch.clone());
        match active {
            Some(switch) => switch.wish(Wish::Cancel),
            // It waited, and its thread writes nothing down.
            None => match self.store.run(id) {
                Ok(run) if run.state == RunState::Cancelled => self.restore(&run),
                _ => {}
            },
        }
    }
}

/// What a run that came to its end published. Items that cannot be read now are read again by the next attempt.
fn published(run: &Run, left: Left) -> (Ended, Vec<NewResult>) {
    match left.ended {
        Ended::Done { .. } => match publish::results(run, &left.outputs) {
            Ok(results) => (left.ended, results),
            Err(error) => (Ended::Failed { error: told(&error), for_good: false }, Vec::new()),
        },
        ended => (ended, Vec::new()),
    }
}

/// An attempt that could not even begin.
fn failed(error: &ServeError) -> Left {
    let for_good = matches!(error, ServeError::Missing { .. });
    Left { ended: Ended::Failed { error: told(error), for_good }, outputs: Vec::new(), spent: Value::Null }
}

/// An error with its causes, as a run keeps it.
fn told(error: &ServeError) -> Value {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        causes.push(one.to_string());
        cause = one.source();
    }
    json!({"code": "service", "message": error.to_string(), "causes": causes})
}

/// Says that a run is active no more, also where its thread panicked.
struct Gone {
    active: Arc<Mutex<HashMap<String, Active>>>,
    id: String,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
