//! An edge while a run goes on: a queue, a spool file, rows that are there already, or nobody reading.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::{Array, RecordBatch};
use skysense_abi::{BatchStream, NodeError};

use super::budget::Budget;
use super::queue::Queue;
use super::spool::Spool;
use crate::cancel::Cancel;
use crate::plan::{Plan, PlannedNode, batch_bytes};

/// Whether a writer should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    More,
    Nothing,
}

/// The output of one node.
#[derive(Debug)]
pub(super) enum Channel {
    /// Nobody reads it.
    Sink,
    /// One reader.
    Queue(Arc<Queue>),
    /// Several readers, each at its own pace.
    Spool(Arc<Spool>),
}

impl Channel {
    pub(super) fn new(plan: &Plan, node: &PlannedNode, readers: usize, surroundings: Surroundings) -> Self {
        let Surroundings { cancel, budget, spool } = surroundings;
        match readers {
            0 => Self::Sink,
            1 => {
                let extra = plan.memory.extra_batches;
                let room = batch_bytes(node).saturating_mul(1 + extra);
                Self::Queue(Arc::new(Queue::new(batch_bytes(node), room, cancel, budget)))
            }
            n => Self::Spool(Arc::new(Spool::new(spool, n, cancel))),
        }
    }

    /// Hands a batch over; waits for room.
    pub(super) fn push(&self, batch: RecordBatch) -> Result<Wanted, NodeError> {
        match self {
            Self::Sink => Ok(Wanted::More),
            Self::Queue(queue) => queue.push(batch),
            Self::Spool(spool) => spool.push(&batch),
        }
    }

    /// Says that nothing more comes, and whether all came.
    pub(super) fn close(&self, complete: bool) {
        match self {
            Self::Sink => {}
            Self::Queue(queue) => queue.close(complete),
            Self::Spool(spool) => spool.close(complete),
        }
    }

    /// The next reader's end.
    pub(super) fn reader(&self) -> BatchStream {
        match self {
            Self::Sink => Box::new(std::iter::empty()),
            Self::Queue(queue) => Box::new(Queue::reader(queue)),
            Self::Spool(spool) => Box::new(Spool::reader(spool)),
        }
    }
}

/// What channels need of their run.
pub(super) struct Surroundings {
    pub(super) cancel: Cancel,
    pub(super) budget: Arc<Budget>,
    /// The spool file, if one is needed.
    pub(super) spool: PathBuf,
}

/// Bytes of a batch's values.
pub(super) fn size_of_batch(batch: &RecordBatch) -> u64 {
    let size = |column: &dyn Array| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| data.get_array_memory_size()) as u64
    };
    batch.columns().iter().map(|column| size(column.as_ref())).sum()
}

/// A reader's end that counts how long its node waited for it.
pub(super) struct Timed {
    pub(super) inner: BatchStream,
    pub(super) nanos: Arc<AtomicU64>,
}

impl Iterator for Timed {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let begun = Instant::now();
        let next = self.inner.next();
        self.nanos.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        next
    }
}
