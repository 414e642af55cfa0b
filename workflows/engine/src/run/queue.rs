//! A bounded queue between two nodes, bounded by bytes, batches and rows.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use skysense_abi::NodeError;

use super::budget::Budget;
use super::edge::{Wanted, size_of_batch};
use crate::cancel::Cancel;

/// How often a waiting node looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(20);
/// Most rows that wait in a queue, unless one batch has more.
const MOST_ROWS: usize = 1 << 16;
/// Most batches that wait in a queue.
const MOST_BATCHES: usize = 64;

/// A bounded queue with one writer and one reader.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes of the largest batch that the plan promised.
    promised: u64,
    /// Bytes that may wait.
    room: u64,
    cancel: Cancel,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: u64,
    rows: usize,
    /// `Some(complete)` once the writer is done.
    closed: Option<bool>,
    reader_gone: bool,
    /// How many of the two ends wait. Waking nobody costs a system call for each batch.
    waiters: u8,
}

#[derive(Debug)]
struct Waiting {
    batch: RecordBatch,
    bytes: u64,
    lease: u64,
}

impl Queue {
    pub(super) fn new(promised: u64, room: u64, cancel: Cancel, budget: Arc<Budget>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), promised, room: room.max(promised), cancel, budget }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.waiters += 1;
        let mut state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        state.waiters -= 1;
        state
    }

    /// Releases the state and wakes the other end if it waits.
    fn release(&self, state: MutexGuard<'_, State>) {
        let anyone = state.waiters > 0;
        // Woken while the lock is held, the other end would run into it and sleep again.
        drop(state);
        if anyone {
            self.changed.notify_all();
        }
    }

    pub(super) fn push(&self, batch: RecordBatch) -> Result<Wanted, NodeError> {
        let bytes = size_of_batch(&batch);
        // A batch larger than promised is kept only if the budget has that much to spare.
        let lease = bytes.saturating_sub(self.promised);
        if lease > 0 && !self.budget.take(lease) {
            return Err(NodeError::new(
                "memory.promise",
                format!(
                    "a batch of {bytes} bytes, while the plan promised at most {} and only {} more are free",
                    self.promised,
                    self.budget.free()
                ),
            )
            .hint("use a larger --memory, or smaller batches"));
        }
        let mut state = self.lock();
        let over = |state: &State| {
            state.bytes + bytes > self.room
                || state.rows + batch.num_rows() > MOST_ROWS
                || state.waiting.len() >= MOST_BATCHES
        };
        while !state.reader_gone && !self.cancel.is_cancelled() && !state.waiting.is_empty() && over(&state) {
            state = self.wait(state);
        }
        if state.reader_gone || self.cancel.is_cancelled() {
            self.budget.give(lease);
            return if self.cancel.is_cancelled() { Err(NodeError::cancelled()) } else { Ok(Wanted::Nothing) };
        }
        state.bytes += bytes;
        state.rows += batch.num_rows();
        state.waiting.push_back(Waiting { batch, bytes, lease });
        self.release(state);
        Ok(Wanted::More)
    }

    pub(super) fn close(&self, complete: bool) {
        self.lock().closed.get_or_insert(complete);
        self.changed.notify_all();
    }

    pub(super) fn reader(queue: &Arc<Self>) -> QueueReader {
        QueueReader { queue: queue.clone(), lease: 0, ended: false }
    }
}

/// The reader's end. Dropping it tells the writer that nobody reads on.
pub(super) struct QueueReader {
    queue: Arc<Queue>,
    /// Lease of the batch that was read last, kept until the next is asked for.
    lease: u64,
    ended: bool,
}

impl Iterator for QueueReader {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.queue.budget.give(std::mem::take(&mut self.lease));
        let mut state = self.queue.lock();
        loop {
            if self.queue.cancel.is_cancelled() {
                self.ended = true;
                return Some(Err(NodeError::cancelled()));
            }
            if let Some(Waiting { batch, bytes, lease }) = state.waiting.pop_front() {
                state.bytes -= bytes;
                state.rows -= batch.num_rows();
                self.lease = lease;
                self.queue.release(state);
                return Some(Ok(batch));
            }
            if let Some(complete) = state.closed {
                self.ended = true;
                // The writer failed: its own error ends the run, this one only ends the reader.
                return (!complete).then(|| Err(NodeError::cancelled()));
            }
            state = self.queue.wait(state);
        }
    }
}

impl Drop for QueueReader {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.reader_gone = true;
        let left: u64 = state.waiting.drain(..).map(|w| w.lease).sum();
        self.queue.budget.give(left + self.lease);
        self.queue.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::UInt8Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch(bytes: usize) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("b", DataType::UInt8, false)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(UInt8Array::from(vec![0; bytes]))]).unwrap()
    }

    fn queue(promised: u64, room: u64, spare: u64) -> (Arc<Queue>, Arc<Budget>, Cancel) {
        let (budget, cancel) = (Arc::new(Budget::new(spare)), Cancel::new());
        (Arc::new(Queue::new(promised, room, cancel.clone(), budget.clone())), budget, cancel)
    }

    #[test]
    fn a_writer_waits_for_room_and_everything_arrives_in_order() {
        let (queue, _, _) = queue(10, 20, 0);
        let (ahead, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for size in 1..=10 {
                    assert_eq!(queue.push(batch(size)).unwrap(), Wanted::More);
                    most.fetch_max(ahead.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                }
                queue.close(true);
            });
            let mut sizes = Vec::new();
            for batch in Queue::reader(&queue) {
                std::thread::sleep(Duration::from_millis(2));
                ahead.fetch_sub(1, Ordering::SeqCst);
                sizes.push(batch.unwrap().num_rows());
            }
            assert_eq!(sizes, (1..=10).collect::<Vec<_>>());
        });
        assert!(most.load(Ordering::SeqCst) <= 7, "{most:?} batches ahead");
    }

    #[test]
    fn a_larger_batch_than_promised_needs_a_lease() {
        let (queue, budget, _) = queue(10, 10, 5);
        assert!(queue.push(batch(16)).unwrap_err().message.contains("16 bytes"));
        queue.push(batch(14)).unwrap();
        assert_eq!(budget.free(), 1);
        let mut reader = Queue::reader(&queue);
        assert_eq!(reader.next().unwrap().unwrap().num_rows(), 14);
        drop(reader);
        assert_eq!(budget.free(), 5);
        assert_eq!(queue.push(batch(1)).unwrap(), Wanted::Nothing);
    }

    #[test]
    fn a_failed_writer_and_a_cancelled_run_end_the_reader_with_an_error() {
        let (one, _, _) = queue(10, 10, 0);
        one.close(false);
        let mut reader = Queue::reader(&one);
        assert!(reader.next().unwrap().unwrap_err().is_cancelled());
        assert!(reader.next().is_none());
        let (two, _, cancel) = queue(10, 10, 0);
        cancel.cancel();
        assert!(Queue::reader(&two).next().unwrap().unwrap_err().is_cancelled());
        assert!(two.push(batch(1)).unwrap_err().is_cancelled());
    }
}
