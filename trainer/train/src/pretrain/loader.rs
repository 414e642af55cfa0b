//! Views of places, made by threads that are ahead of the trainer.
//!
//! The sampler is a function: the `at`-th place of a run is that of an epoch's shuffle, and what is drawn for its views
//! comes from a stream of its own. So the order does not depend on which thread is faster, and a run that goes on begins
//! where it stood.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Places;
use super::view::{Viewer, Views};
use crate::draw::shuffled;
use crate::random::{Purpose, rng};

/// What the threads share with the trainer.
pub(super) struct Loader<'a> {
    places: &'a dyn Places,
    viewer: Viewer,
    batch: usize,
    ahead: usize,
    seed: u64,
    shelf: Mutex<Shelf>,
    changed: Condvar,
}

/// Views that are ready, and which come next.
#[derive(Default)]
struct Shelf {
    /// By place in the run.
    ready: BTreeMap<usize, Result<Views, Skipped>>,
    /// The next one to make; `None` before the first step asked.
    next: Option<usize>,
    /// Those before this one were taken.
    taken: usize,
    closed: bool,
    /// The order of an epoch that was last asked for.
    order: Option<(usize, Vec<usize>)>,
}

/// A place that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Its number among the places.
    pub(super) index: usize,
    /// Why, with its file where it has one.
    pub(super) why: String,
}

/// The places of a step.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) places: Vec<Views>,
    pub(super) skipped: Vec<Skipped>,
    /// How long the trainer waited for them.
    pub(super) waited: Duration,
}

impl<'a> Loader<'a> {
    pub(super) fn new(places: &'a dyn Places, viewer: Viewer, batch: usize, (ahead, seed): (usize, u64)) -> Self {
        let (shelf, changed) = (Mutex::default(), Condvar::new());
        Self { places, viewer, batch: batch.min(places.count()), ahead, seed, shelf, changed }
    }

    /// Places of a step; no more than there are in an epoch.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Makes views until the loader is closed: the body of a thread.
    pub(super) fn serve(&self) {
        // A thread that panics must not leave the trainer waiting.
        let _closing = Closing(self);
        while let Some((at, index)) = self.job() {
            let views = self.make(at, index);
            let _new = self.shelf().ready.insert(at, views);
            self.changed.notify_all();
        }
    }

    /// Ends the threads.
    pub(super) fn close(&self) {
        self.shelf().closed = true;
        self.changed.notify_all();
    }

    /// The views of a step, waited for; `None` where the loader was closed.
    pub(super) fn step(&self, step: usize) -> Option<Loaded> {
        let started = Instant::now();
        let wanted = step * self.batch..(step + 1) * self.batch;
        let mut shelf = self.shelf();
        if shelf.next.is_none_or(|_| shelf.taken != wanted.start) {
            // The first step of this run, or one that was not foreseen.
            shelf.ready.clear();
            shelf.next = Some(wanted.start);
            self.changed.notify_all();
        }
        shelf.taken = wanted.start;
        loop {
            if shelf.closed {
                return None;
            }
            if wanted.clone().all(|at| shelf.ready.contains_key(&at)) {
                break;
            }
            shelf = self.changed.wait(shelf).unwrap_or_else(PoisonError::into_inner);
        }
        let mut loaded = Loaded { places: Vec::new(), skipped: Vec::new(), waited: started.elapsed() };
        for at in wanted.clone() {
            match shelf.ready.remove(&at) {
                Some(Ok(views)) => loaded.places.push(views),
                Some(Err(skipped)) => loaded.skipped.push(skipped),
                None => {}
            }
        }
        shelf.taken = wanted.end;
        drop(shelf);
        self.changed.notify_all();
        Some(loaded)
    }

    /// The next place to make views of and its number among the places; waits while enough are ready.
    fn job(&self) -> Option<(usize, usize)> {
        let mut shelf = self.shelf();
        loop {
            if shelf.closed {
                return None;
            }
            if let Some(at) = shelf.next.filter(|at| *at < shelf.taken + (self.ahead + 1) * self.batch) {
                shelf.next = Some(at + 1);
                return Some((at, self.index(&mut shelf, at)));
            }
            shelf = self.changed.wait(shelf).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Which place the `at`-th of a run is.
    fn index(&self, shelf: &mut Shelf, at: usize) -> usize {
        let count = self.places.count();
        let epoch = at / count;
        if shelf.order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            shelf.order = Some((epoch, shuffled(count, self.seed, epoch)));
        }
        shelf.order.as_ref().map_or(0, |(_, order)| order[at % count])
    }

    fn make(&self, at: usize, index: usize) -> Result<Views, Skipped> {
        let skipped = |why: String| Skipped { index, why };
        let place = self.places.read(index).map_err(|error| skipped(error.to_string()))?;
        let views = self.viewer.views(&place, &mut rng(self.seed, Purpose::View, at));
        views.map_err(|fault| skipped(format!("{}: {fault}", place.name)))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes its loader when it is dropped.
pub(super) struct Closing<'a, 'b>(pub(super) &'a Loader<'b>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
