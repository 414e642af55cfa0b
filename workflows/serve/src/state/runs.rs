//! The queue of runs: what is to be run, what runs, how it ended, and what is tried again.

use rusqlite::{Connection, OptionalExtension, Transaction, params, types::Value as Sql};
use serde_json::Value;

use super::run::{COLUMNS, run};
use super::{Ended, NewResult, NewRun, Room, Run, RunFilter, RunState, Store, results};
use crate::{Millis, Result, ServeError};

/// Wait before the first repetition of a run that failed; doubles with each.
const BACKOFF: Millis = 30_000;
/// Longest such wait.
const LONGEST_BACKOFF: Millis = 3_600_000;
/// How often a run may be lost together with the service before it counts as what brings it down.
const MOST_INTERRUPTIONS: u32 = 50;

/// Queues a run unless it is known; says whether it is new.
pub(super) fn queue(change: &Transaction<'_>, new: &NewRun, now: Millis) -> rusqlite::Result<bool> {
    let memory = i64::try_from(new.memory).unwrap_or(i64::MAX);
    let done = change
        .prepare_cached(
            "INSERT OR IGNORE INTO run
                 (id, workflow, trigger, group_key, generation, state, params, priority, memory, most_attempts, queued_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            new.id,
            new.workflow,
            new.trigger,
            new.key,
            new.generation,
            Value::Object(new.params.clone()).to_string(),
            new.priority,
            memory,
            new.attempts,
            now
        ])?;
    Ok(done > 0)
}

pub(super) fn find(state: &Connection, id: &str) -> rusqlite::Result<Option<Run>> {
    state.prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE id = ?1"))?.query_row([id], run).optional()
}

/// Gives up a run that waits, since a later one of its group takes its place.
pub(super) fn supersede(change: &Transaction<'_>, id: &str, now: Millis) -> rusqlite::Result<()> {
    let error = serde_json::json!({"code": "superseded", "message": "a later run of its group took its place"});
    change.execute(
        "UPDATE run SET state = 'cancelled', ended_at = ?2, error = ?3 WHERE id = ?1 AND state = 'queued'",
        params![id, now, error.to_string()],
    )?;
    Ok(())
}

/// The run whose turn it is and the bytes that it may hold, if there is room for it.
fn turn(state: &Connection, room: Room, now: Millis) -> rusqlite::Result<Option<(Run, u64)>> {
    let next = state
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM run WHERE state IN ('queued', 'parked') AND not_before <= ?1
                 AND workflow NOT IN (SELECT name FROM workflow WHERE paused)
             ORDER BY priority DESC, seq LIMIT 1"
        ))?
        .query_row([now], run)
        .optional()?;
    Ok(next.and_then(|next| {
        let memory = if next.memory == 0 { room.share } else { next.memory };
        (memory <= room.memory).then_some((next, memory))
    }))
}

impl Store {
    /// Queues a run that was asked for; one that is known already is left as it is. Says whether it is new.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn submit(&self, new: &NewRun, now: Millis) -> Result<bool> {
        self.write(|change| queue(change, new, now))
    }

    /// A run by its id.
    ///
    /// # Errors
    /// There is none, or the state cannot be read.
    pub fn run(&self, id: &str) -> Result<Run> {
        self.read(|state| find(state, id))?.ok_or_else(|| ServeError::missing("run", id))
    }

    /// Runs, the latest first.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        let mut tests = vec!["seq < ?1"];
        let mut values = vec![Sql::from(filter.before.unwrap_or(i64::MAX))];
        if let Some(workflow) = &filter.workflow {
            values.push(Sql::from(workflow.clone()));
            tests.push("workflow = ?2");
        }
        if let Some(state) = filter.state {
            values.push(Sql::from(state.word().to_owned()));
            tests.push(if values.len() == 3 { "state = ?3" } else { "state = ?2" });
        }
        let limit = filter.limit.unwrap_or(100).min(10_000);
        let text = format!("SELECT {COLUMNS} FROM run WHERE {} ORDER BY seq DESC LIMIT {limit}", tests.join(" AND "));
        self.read(|state| state.prepare_cached(&text)?.query_map(rusqlite::params_from_iter(values), run)?.collect())
    }

    /// Takes the run whose turn it is, if there is room for it: by priority, then in the order of queueing. A large
    /// one is not overtaken by smaller ones behind it, or it would never begin.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn claim(&self, room: Room, now: Millis) -> Result<Option<Run>> {
        // Mostly there is none, and looking keeps nobody from writing.
        if self.read(|state| turn(state, room, now))?.is_none() {
            return Ok(None);
        }
        self.write(|change| {
            let Some((next, memory)) = turn(change, room, now)? else { return Ok(None) };
            change.execute(
                "UPDATE run SET state = 'running', started_at = ?2, ended_at = NULL WHERE id = ?1",
                params![next.id, now],
            )?;
            Ok(Some(Run { state: RunState::Running, started_at: Some(now), memory, ..next }))
        })
    }

    /// Notes that what a run wrote before was cleared away: from here on it can be gone on with.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn begun(&self, id: &str) -> Result<()> {
        self.write(|change| change.execute("UPDATE run SET anew = 0 WHERE id = ?1", [id]))?;
        Ok(())
    }

    /// Runs that run, or that a service left behind which died.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn running(&self) -> Result<Vec<Run>> {
        self.runs(&RunFilter { state: Some(RunState::Running), limit: Some(10_000), ..RunFilter::default() })
    }

    /// Ends a run, and publishes what it wrote in the same transaction. Of a run that ended already nothing changes.
    /// Gives where it stands then.
    ///
    /// # Errors
    /// There is no such run, or the state cannot be written; then nothing of it is.
    pub fn end(&self, id: &str, ended: &Ended, results: &[NewResult], now: Millis) -> Result<RunState> {
        let state = self.write(|change| {
            let Some(run) = find(change, id)? else { return Ok(None) };
            if run.state != RunState::Running {
                return Ok(Some(run.state));
            }
            let ended = match ended {
                // However else it ended: nobody wants it to go on.
                ended if run.cancel && !matches!(ended, Ended::Done { .. }) => &Ended::Cancelled,
                ended => ended,
            };
            let mut after = Run { ended_at: Some(now), error: None, cancel: false, ..run };
            match ended {
                Ended::Done { partial } => {
                    after.state = if *partial { RunState::Partial } else { RunState::Done };
                    for result in results {
                        results::publish(change, &after, result, now)?;
                    }
                }
                Ended::Failed { error, for_good } => {
                    after.attempts += 1;
                    after.error = Some(error.clone());
                    let dead = *for_good || after.attempts >= after.most_attempts;
                    after.state = if dead { RunState::Dead } else { RunState::Queued };
                    let doubled = BACKOFF.saturating_mul(1 << (after.attempts - 1).min(20));
                    after.not_before = now + doubled.min(LONGEST_BACKOFF);
                    // What does not go on where it failed is begun anew.
                    after.anew = after.attempts >= 2;
                }
                Ended::Parked => after.state = RunState::Parked,
                Ended::Cancelled => after.state = RunState::Cancelled,
                Ended::Interrupted => {
                    after.interruptions += 1;
                    after.state = RunState::Parked;
                    if after.interruptions >= MOST_INTERRUPTIONS {
                        after.state = RunState::Dead;
                        let message = format!("the service ended {} times while it ran", after.interruptions);
                        after.error = Some(serde_json::json!({"code": "interrupted", "message": message}));
                    }
                }
            }
            change.execute(
                "UPDATE run SET state = ?2, attempts = ?3, interruptions = ?4, not_before = ?5, ended_at = ?6,
                     error = ?7, cancel = ?8, anew = ?9 WHERE id = ?1",
                params![
                    id,
                    after.state.word(),
                    after.attempts,
                    after.interruptions,
                    after.not_before,
                    after.ended_at,
                    after.error.map(|error| error.to_string()),
                    after.cancel,
                    after.anew
                ],
            )?;
            Ok(Some(after.state))
        })?;
        state.ok_or_else(|| ServeError::missing("run", id))
    }

    /// Cancels a run: at once if it waits, else whoever runs it is told. Gives where it stands then.
    ///
    /// # Errors
    /// There is no such run, or it ended already.
    pub fn cancel(&self, id: &str, now: Millis) -> Result<RunState> {
        self.turn(id, now, |run| match run.state {
            RunState::Queued | RunState::Parked => Some(("state = 'cancelled', ended_at = ?2", RunState::Cancelled)),
            RunState::Running => Some(("cancel = 1, not_before = min(not_before, ?2)", RunState::Running)),
            _ => None,
        })
    }

    /// Queues a run again that is dead, cancelled or done in part.
    ///
    /// # Errors
    /// There is no such run, or it is queued or runs.
    pub fn retry(&self, id: &str, now: Millis) -> Result<RunState> {
        self.turn(id, now, |run| match run.state {
            RunState::Dead | RunState::Cancelled | RunState::Partial => Some((
                "state = 'queued', attempts = 0, interruptions = 0, cancel = 0, anew = 1, not_before = ?2, \
                 ended_at = NULL",
                RunState::Queued,
            )),
            // One that waits for its next attempt need not wait.
            RunState::Queued | RunState::Parked => Some(("not_before = ?2", run.state)),
            _ => None,
        })
    }

    fn turn(&self, id: &str, now: Millis, how: impl Fn(&Run) -> Option<(&'static str, RunState)>) -> Result<RunState> {
        let found = self.write(|change| {
            let Some(run) = find(change, id)? else { return Ok(None) };
            let Some((set, state)) = how(&run) else { return Ok(Some(Err(run.state))) };
            change.execute(&format!("UPDATE run SET {set} WHERE id = ?1"), params![id, now])?;
            Ok(Some(Ok(state)))
        })?;
        match found {
            None => Err(ServeError::missing("run", id)),
            Some(Ok(state)) => Ok(state),
            Some(Err(state)) => Err(ServeError::Request(format!("run `{id}` is {}", state.word()))),
        }
    }

    /// How many runs stand where.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn run_counts(&self) -> Result<Vec<(RunState, u64)>> {
        let counted: Vec<(String, u64)> = self.read(|state| {
            state
                .prepare_cached("SELECT state, count(*) FROM run GROUP BY state")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let count = |state: RunState| {
            let found = counted.iter().find(|(word, _)| word == state.word());
            found.map_or(0, |(_, count)| *count)
        };
        Ok(RunState::ALL.into_iter().map(|state| (state, count(state))).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn new(id: &str, workflow: &str, priority: i64, memory: u64) -> NewRun {
        NewRun { priority, memory, attempts: 3, ..NewRun::asked(id, workflow) }
    }

    const ROOM: Room = Room { memory: 100, share: 10 };

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        (folder, store)
    }

    fn claim(store: &Store, room: Room, now: Millis) -> Option<String> {
        store.claim(room, now).unwrap().map(|run| run.id)
    }

    #[test]
    fn turns_follow_priority_then_order_and_paused_workflows_wait() {
        let (_folder, store) = store();
        for (id, workflow, priority) in [("a", "w", 0), ("b", "w", 5), ("c", "v", 0), ("d", "w", 0)] {
            assert!(store.submit(&new(id, workflow, priority, 0), 0).unwrap());
        }
        assert!(!store.submit(&new("a", "w", 9, 0), 0).unwrap(), "it is known");
        store.pause("v", true).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| claim(&store, ROOM, 1)).collect();
        assert_eq!(order, ["b", "a", "d"]);
        store.pause("v", false).unwrap();
        assert_eq!(claim(&store, ROOM, 1).as_deref(), Some("c"));
    }

    #[test]
    fn a_large_run_is_not_overtaken() {
        let (_folder, store) = store();
        store.submit(&new("large", "w", 0, 90), 0).unwrap();
        store.submit(&new("small", "w", 0, 0), 0).unwrap();
        assert_eq!(claim(&store, Room { memory: 50, share: 10 }, 1), None);
        assert_eq!(claim(&store, ROOM, 1).as_deref(), Some("large"));
        let small = store.claim(Room { memory: 10, share: 10 }, 1).unwrap().unwrap();
        assert_eq!((small.id.as_str(), small.memory), ("small", 10));
    }

    #[test]
    fn a_failure_is_repeated_later_and_later_and_then_dead_until_somebody_retries() {
        let (_folder, store) = store();
        store.submit(&new("a", "w", 0, 0), 0).unwrap();
        let failed = Ended::Failed { error: json!({"message": "404"}), for_good: false };
        let mut now = 0;
        for wait in [30_000, 60_000] {
            assert_eq!(claim(&store, ROOM, now).as_deref(), Some("a"));
            assert_eq!(store.end("a", &failed, &[], now).unwrap(), RunState::Queued);
            assert_eq!(claim(&store, ROOM, now + wait - 1), None);
            now += wait;
        }
        assert_eq!(claim(&store, ROOM, now).as_deref(), Some("a"));
        assert_eq!(store.end("a", &failed, &[], now).unwrap(), RunState::Dead);
        assert_eq!(claim(&store, ROOM, now + 10_000_000), None);
        assert_eq!(store.run("a").unwrap().error.unwrap()["message"], "404");
        assert_eq!(store.retry("a", now).unwrap(), RunState::Queued);
        assert_eq!(claim(&store, ROOM, now).as_deref(), Some("a"));
        let wrong = Ended::Failed { error: json!({"message": "no such setting"}), for_good: true };
        assert_eq!(store.end("a", &wrong, &[], now).unwrap(), RunState::Dead);
    }

    #[test]
    fn only_a_run_that_runs_can_end_and_only_once() {
        let (_folder, store) = store();
        store.submit(&new("a", "w", 0, 0), 0).unwrap();
        let done = Ended::Done { partial: false };
        assert_eq!(store.end("a", &done, &[], 1).unwrap(), RunState::Queued);
        claim(&store, ROOM, 1).unwrap();
        assert_eq!(store.end("a", &done, &[], 2).unwrap(), RunState::Done);
        assert_eq!(store.end("a", &Ended::Interrupted, &[], 3).unwrap(), RunState::Done);
        assert!(matches!(store.end("b", &done, &[], 3), Err(ServeError::Missing { .. })));
        assert!(matches!(store.cancel("a", 4), Err(ServeError::Request(_))));
    }

    #[test]
    fn what_was_parked_or_lost_comes_again_and_what_is_lost_for_ever_is_dead() {
        let (_folder, store) = store();
        store.submit(&new("a", "w", 0, 0), 0).unwrap();
        for _ in 1..MOST_INTERRUPTIONS {
            assert_eq!(claim(&store, ROOM, 1).as_deref(), Some("a"));
            assert_eq!(store.end("a", &Ended::Interrupted, &[], 2).unwrap(), RunState::Parked);
        }
        assert_eq!(claim(&store, ROOM, 1).as_deref(), Some("a"));
        assert_eq!(store.end("a", &Ended::Parked, &[], 2).unwrap(), RunState::Parked);
        claim(&store, ROOM, 1).unwrap();
        assert_eq!(store.end("a", &Ended::Interrupted, &[], 2).unwrap(), RunState::Dead);
    }

    #[test]
    fn what_was_told_to_end_stays_ended_however_it_ended() {
        let (_folder, store) = store();
        let failed = Ended::Failed { error: json!({}), for_good: false };
        for (id, ended, expected) in [
            ("lost", Ended::Interrupted, RunState::Cancelled),
            ("parked", Ended::Parked, RunState::Cancelled),
            ("failed", failed, RunState::Cancelled),
            ("done", Ended::Done { partial: true }, RunState::Partial),
        ] {
            store.submit(&new(id, "w", 0, 0), 0).unwrap();
            assert_eq!(claim(&store, ROOM, 1).as_deref(), Some(id));
            store.cancel(id, 1).unwrap();
            assert_eq!(store.end(id, &ended, &[], 2).unwrap(), expected, "{id}");
            assert_eq!(claim(&store, ROOM, 1_000_000), None);
        }
    }

    #[test]
    fn cancelling_takes_what_waits_and_tells_what_runs() {
        let (_folder, store) = store();
        store.submit(&new("a", "w", 0, 0), 0).unwrap();
        store.submit(&new("b", "w", 0, 0), 0).unwrap();
        claim(&store, ROOM, 1).unwrap();
        assert_eq!(store.cancel("a", 1).unwrap(), RunState::Running);
        assert!(store.run("a").unwrap().cancel);
        assert_eq!(store.cancel("b", 1).unwrap(), RunState::Cancelled);
        assert_eq!(claim(&store, ROOM, 2), None);
        let filter = RunFilter { state: Some(RunState::Cancelled), workflow: Some("w".into()), ..RunFilter::default() };
        assert_eq!(store.runs(&filter).unwrap().len(), 1);
        let filter = RunFilter { state: Some(RunState::Running), ..RunFilter::default() };
        assert_eq!(store.runs(&filter).unwrap()[0].id, "a");
    }
}
