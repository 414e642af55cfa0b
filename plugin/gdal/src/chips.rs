//! Chips on demand: a thread that holds the workflow's nodes started and asks them for the chips that are wanted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::RecordBatch;
use skysense_abi::{BatchStream, NodeError, RunInput, catch};
use skysense_edges::{ChipBuilder, ChipRow, ChipSchema, MapBatch, Period};
use skysense_engine::{Cancel, Event, Events, PullOptions, pull};

use crate::options::Cache;
use crate::plugins::{InUse, apart, plugins};
use crate::store::{ChipId, ChipMap, Disk, Memory};
use crate::workflow::{ONLY, Skipped, Workflow};

/// Bytes of chips that stay in memory for each workflow that is open.
const MEMORY: usize = 128 << 20;
/// Chips that are asked for at once: enough for a model to work on, few enough to stop soon.
const AT_ONCE: usize = 64;
/// How often a reader that waits asks whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// Chips by number.
pub(crate) type Chips = BTreeMap<ChipId, Arc<ChipMap>>;

/// The chips of a workflow.
pub(crate) struct Computing {
    shared: Arc<Shared>,
    jobs: Option<Sender<Job>>,
    worker: Option<JoinHandle<()>>,
    /// The process that the worker lives in.
    process: u32,
    /// Dropped last: the nodes have let go of their files by then.
    _in_use: InUse,
}

struct Shared {
    workflow: Workflow,
    device: String,
    cache: Option<Cache>,
    disk: OnceLock<Option<Disk>>,
    memory: Mutex<Memory>,
    skipped: Arc<Heard>,
    /// Who is served, and what ends it.
    serving: Mutex<Option<(Arc<Ask>, Cancel)>>,
}

/// One wish.
struct Ask {
    chips: Vec<ChipId>,
    given_up: AtomicBool,
    done: AtomicUsize,
}

struct Job {
    ask: Arc<Ask>,
    reply: Sender<Result<Chips, NodeError>>,
}

/// Hears what is left out, and remembers that something was.
#[derive(Default)]
struct Heard {
    skipped: Skipped,
    /// Since nodes were last started.
    any: AtomicBool,
}

impl Events for Heard {
    fn event(&self, event: &Event) {
        if matches!(event, Event::Record { kind, .. } if kind == "skipped") {
            self.any.store(true, Ordering::Relaxed);
        }
        self.skipped.event(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Computing {
    /// Chips of a workflow, none of them computed yet.
    ///
    /// # Errors
    /// In words: a thread that the system refuses.
    pub(crate) fn new(workflow: Workflow, device: &str, cache: Option<Cache>) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            workflow,
            device: device.to_owned(),
            cache,
            disk: OnceLock::new(),
            memory: Mutex::new(Memory::new(MEMORY)),
            skipped: Arc::default(),
            serving: Mutex::new(None),
        });
        let (jobs, wishes) = channel();
        let worker = Worker { shared: shared.clone(), started: None };
        let started = std::thread::Builder::new().name("skysense-chips".into()).spawn(move || worker.serve(&wishes));
        let worker = started.map_err(|error| format!("no thread could be started: {error}"))?;
        Ok(Self { shared, jobs: Some(jobs), worker: Some(worker), process: std::process::id(), _in_use: InUse::new() })
    }

    /// The workflow.
    pub(crate) fn workflow(&self) -> &Workflow {
        &self.shared.workflow
    }

    /// How many of some chips are not at hand.
    pub(crate) fn missing(&self, chips: impl Iterator<Item = ChipId>) -> usize {
        let absent: Vec<ChipId> = {
            let memory = lock(&self.shared.memory);
            chips.filter(|&id| !memory.has(id)).collect()
        };
        // Whoever wants the memory meanwhile does not wait for the disk.
        let disk = self.shared.disk();
        absent.into_iter().filter(|&id| !disk.is_some_and(|disk| disk.has(id))).count()
    }

    /// What was left out since this was last asked.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.shared.skipped.skipped.taken()
    }

    /// Some chips, computed where they are not at hand. `go_on` hears which share of them is done, and says whether to
    /// go on.
    ///
    /// # Errors
    /// What a node says, or that the reader gave up.
    pub(crate) fn get(&self, wanted: &[ChipId], go_on: &mut dyn FnMut(f64) -> bool) -> Result<Chips, NodeError> {
        let mut chips = self.shared.at_hand(wanted);
        let left: Vec<ChipId> = wanted.iter().copied().filter(|id| !chips.contains_key(id)).collect();
        if left.is_empty() {
            return Ok(chips);
        }
        if self.process != std::process::id() {
            return Err(NodeError::new("process", "the dataset was opened before this process was forked off")
                .hint("open it in the process that reads it"));
        }
        let ask = Arc::new(Ask { chips: left, given_up: AtomicBool::new(false), done: AtomicUsize::new(0) });
        let (reply, answer) = channel();
        let gone = || NodeError::new("worker", "the thread that computes has ended").hint("open the dataset again");
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { ask: ask.clone(), reply }).map_err(|_| gone())?;
        loop {
            match answer.recv_timeout(TICK) {
                Ok(computed) => {
                    chips.extend(computed?);
                    return Ok(chips);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => {
                    let done = ask.done.load(Ordering::Relaxed) as f64 / ask.chips.len() as f64;
                    if go_on(done) {
                        continue;
                    }
                    // What the worker does for another goes on, and nobody waits for it here.
                    ask.given_up.store(true, Ordering::Relaxed);
                    if let Some((served, cancel)) = &*lock(&self.shared.serving)
                        && Arc::ptr_eq(served, &ask)
                    {
                        cancel.cancel();
                    }
                    return Err(NodeError::cancelled());
                }
            }
        }
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some((_, cancel)) = &*lock(&self.shared.serving) {
            cancel.cancel();
        }
        // In a process that was forked off there is no such thread to wait for.
        if let Some(worker) = self.worker.take().filter(|_| self.process == std::process::id()) {
            let _its_panic_was_told = worker.join();
        }
    }
}

impl Shared {
    fn disk(self: &Arc<Self>) -> Option<&Disk> {
        let open = || {
            let shared = self.clone();
            let open =
                move || Ok(shared.cache.as_ref().and_then(|cache| Disk::open(cache, &shared.workflow, &shared.device)));
            apart(open).ok().flatten()
        };
        self.disk.get_or_init(open).as_ref()
    }

    fn at_hand(self: &Arc<Self>, wanted: &[ChipId]) -> Chips {
        let mut chips = Chips::new();
        for &id in wanted {
            let found = lock(&self.memory).get(id);
            let found = found.or_else(|| {
                let chip = Arc::new(self.disk()?.get(id)?);
                lock(&self.memory).put(id, chip.clone());
                Some(chip)
            });
            if let Some(chip) = found {
                chips.insert(id, chip);
            }
        }
        chips
    }
}

struct Worker {
    shared: Arc<Shared>,
    started: Option<Started>,
}

/// The nodes at work.
struct Started {
    stream: BatchStream,
    /// For each node that is told which chips are wanted: what it was not told yet.
    wishes: Vec<Wishes>,
    cancel: Cancel,
}

/// What one node is told.
struct Wishes {
    queue: Queue,
    /// The node's own names for the periods: those of an earlier time are called otherwise than those of the map.
    periods: Vec<String>,
}

type Queue = Arc<Mutex<VecDeque<RecordBatch>>>;

impl Worker {
    fn serve(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let answer = catch(|| self.answer(&job.ask));
            *lock(&self.shared.serving) = None;
            let _reader_that_went_away = job.reply.send(answer);
        }
    }

    fn answer(&mut self, ask: &Arc<Ask>) -> Result<Chips, NodeError> {
        // Others may have wanted the same meanwhile.
        let mut chips = self.shared.at_hand(&ask.chips);
        let left: Vec<ChipId> = ask.chips.iter().copied().filter(|id| !chips.contains_key(id)).collect();
        for part in left.chunks(AT_ONCE) {
            if ask.given_up.load(Ordering::Relaxed) {
                return Err(NodeError::cancelled());
            }
            self.compute(part, ask, &mut chips)?;
        }
        Ok(chips)
    }

    fn compute(&mut self, wanted: &[ChipId], ask: &Arc<Ask>, chips: &mut Chips) -> Result<(), NodeError> {
        // Nodes that failed, and those that were told to end, are started anew.
        let mut started = match self.started.take().filter(|started| !started.cancel.is_cancelled()) {
            Some(started) => started,
            None => self.start()?,
        };
        *lock(&self.shared.serving) = Some((ask.clone(), started.cancel.clone()));
        if ask.given_up.load(Ordering::Relaxed) {
            self.started = Some(started);
            return Err(NodeError::cancelled());
        }
        for wishes in &started.wishes {
            let wish = self.wish(wanted, &wishes.periods)?;
            lock(&wishes.queue).push_back(wish);
        }
        let mut left = wanted.len();
        while left > 0 {
            match started.stream.next().transpose()? {
                Some(batch) => {
                    for (id, chip) in self.maps(&batch)? {
                        left -= usize::from(wanted.contains(&id) && !chips.contains_key(&id));
                        self.keep(id, &chip);
                        chips.insert(id, chip);
                        ask.done.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // A node asked for more than was wanted: it has given what it will, and is started anew.
                None => {
                    let side = self.shared.workflow.grid.size();
                    let empty = Arc::new(ChipMap {
                        values: vec![0.0; self.shared.workflow.facts.channels * side * side],
                        valid: vec![0; side * side],
                    });
                    // Chips that a node leaves out have no data, as in the whole run.
                    for id in wanted {
                        chips.entry(*id).or_insert_with(|| empty.clone());
                    }
                    return Ok(());
                }
            }
        }
        self.started = Some(started);
        Ok(())
    }

    fn start(&self) -> Result<Started, NodeError> {
        let workflow = &self.shared.workflow;
        let mut options = PullOptions::default();
        options.devices = vec![self.shared.device.clone()];
        options.events = self.shared.skipped.clone();
        self.shared.skipped.any.store(false, Ordering::Relaxed);
        let cancel = options.cancel.clone();
        let mut wishes: Vec<Wishes> = Vec::new();
        let schema = ChipSchema { modalities: Vec::new() }.arrow();
        let stream = pull(
            &workflow.plan,
            plugins(),
            &workflow.source,
            &mut |planned, described| {
                if described.doc.inputs.iter().all(|port| port.name != ONLY) {
                    return Vec::new();
                }
                let mine = Queue::default();
                // One that does not say it is taken to have those of the map.
                let named = serde_json::from_value::<Vec<Period>>(planned.plan.facts["periods"].clone());
                let named = named.unwrap_or_else(|_| workflow.facts.chips.periods.clone());
                let periods = named.into_iter().map(|period| period.name).collect();
                wishes.push(Wishes { queue: mine.clone(), periods });
                // Asked while nothing is wanted it ends, so that a node gives what it holds back.
                let batches = std::iter::from_fn(move || lock(&mine).pop_front().map(Ok));
                vec![(ONLY.to_owned(), RunInput::new("chip", schema.clone(), Box::new(batches)))]
            },
            &options,
        )?;
        Ok(Started { stream, wishes, cancel })
    }

    /// Chips by name, as a node is told that has these periods.
    fn wish(&self, wanted: &[ChipId], periods: &[String]) -> Result<RecordBatch, NodeError> {
        let invalid = |error: &skysense_edges::EdgeError| NodeError::from_error("edge.invalid", error);
        let workflow = &self.shared.workflow;
        let mut builder = ChipBuilder::new(ChipSchema { modalities: Vec::new() });
        for &(period, chip) in wanted {
            let Some(found) = workflow.grid.get(chip as usize) else { continue };
            let name = periods.get(period).cloned().ok_or_else(|| {
                let message = format!("chips of period {} are wanted, and a node has {}", period + 1, periods.len());
                NodeError::new("maps.period", message).hint("give all raster.chips of the workflow as many periods")
            })?;
            let row = ChipRow { chip, period: name, window: found.window, series: BTreeMap::new() };
            builder.push(row).map_err(|error| invalid(&error))?;
        }
        builder.finish().map_err(|error| invalid(&error))
    }

    fn maps(&self, batch: &RecordBatch) -> Result<Vec<(ChipId, Arc<ChipMap>)>, NodeError> {
        let workflow = &self.shared.workflow;
        let maps = if workflow.kind == "feature" { MapBatch::features(batch) } else { MapBatch::predictions(batch) };
        let maps = maps.map_err(|error| NodeError::from_error("edge.invalid", &error))?;
        let mut found = Vec::with_capacity(maps.len());
        for row in 0..maps.len() {
            let name = maps.period(row);
            let period = workflow.facts.chips.periods.iter().position(|period| period.name == name);
            let period = period.ok_or_else(|| {
                NodeError::new("maps.period", format!("a chip is of period {name:?}, which the plan does not have"))
            })?;
            let chip = ChipMap { values: maps.values(row).to_vec(), valid: maps.valid(row).to_vec() };
            found.push(((period, maps.chip(row)), Arc::new(chip)));
        }
        Ok(found)
    }

    fn keep(&self, id: ChipId, chip: &Arc<ChipMap>) {
        lock(&self.shared.memory).put(id, chip.clone());
        // A chip that lacks what could not be read just now is not for tomorrow.
        if !self.shared.skipped.any.load(Ordering::Relaxed)
            && let Some(disk) = self.shared.disk()
        {
            disk.put(id, chip);
        }
    }
}
