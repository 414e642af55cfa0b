//! The queue of runs: what is to be run, what runs, how it ended, and what is tried again.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::Value as Sql};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{NewResult, Store, results};
use crate::{Millis, Result, ServeError};

/// Wait before the first repetition of a run that failed; doubles with each.
const BACKOFF: Millis = 30_000;
/// Longest such wait.
const LONGEST_BACKOFF: Millis = 3_600_000;
/// How often a run may be lost together with the service before it counts as what brings it down.
const MOST_INTERRUPTIONS: u32 = 50;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It was interrupted as the service ended, and goes on with the next start.
    Parked,
    /// It came to its end.
    Done,
    /// It came to its end and left inputs out.
    Partial,
    /// It failed for good: somebody has to look at it.
    Dead,
    /// Somebody cancelled it.
    Cancelled,
}

impl RunState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Parked, Self::Done, Self::Partial, Self::Dead, Self::Cancelled];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// By its word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing will come of it by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Partial | Self::Dead | Self::Cancelled)
    }
}

/// A run to be queued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Id by content.
    pub id: String,
    /// Its workflow.
    pub workflow: String,
    /// The trigger that wants it; none for one that was asked for.
    pub trigger: Option<String>,
    /// Its group.
    pub key: String,
    /// Which of the groups with this key.
    pub generation: i64,
    /// Params that were given, beside those of the trigger.
    pub params: Map<String, Value>,
    /// Runs of a higher priority begin first.
    pub priority: i64,
    /// Bytes that it may hold; 0 for its share.
    pub memory: u64,
    /// How often it is tried.
    pub attempts: u32,
}

#[cfg(test)]
impl NewRun {
    /// One without a trigger that has nothing of its own.
    pub(crate) fn asked(id: &str, workflow: &str) -> Self {
        Self {
            id: id.into(),
            workflow: workflow.into(),
            trigger: None,
            key: String::new(),
            generation: 1,
            params: Map::new(),
            priority: 0,
            memory: 0,
            attempts: 1,
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Place in the order of queueing.
    pub seq: i64,
    /// Id.
    pub id: String,
    /// Its workflow.
    pub workflow: String,
    /// The trigger that wanted it.
    pub trigger: Option<String>,
    /// Its group.
    pub key: String,
    /// Which of the groups with this key.
    pub generation: i64,
    /// Where it stands.
    pub state: RunState,
    /// Params that were given.
    pub params: Map<String, Value>,
    /// Priority.
    pub priority: i64,
    /// Bytes that it may hold; 0 for its share.
    pub memory: u64,
    /// How often it may fail.
    pub most_attempts: u32,
    /// How often it failed.
    pub attempts: u32,
    /// How often it was lost with the service.
    pub interruptions: u32,
    /// Whether it is to be cancelled.
    pub cancel: bool,
    /// When it may begin.
    pub not_before: Millis,
    /// When it was queued.
    pub queued_at: Millis,
    /// When it began.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Why it failed.
    pub error: Option<Value>,
    /// Whether it begins anew, even where there is something to go on with.
    #[serde(skip)]
    pub anew: bool,
}

/// What is free for one more run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub memory: u64,
    /// Bytes of a run that does not say.
    pub share: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// It came to its end.
    Done {
        /// Whether it left inputs out.
        partial: bool,
    },
    /// It failed.
    Failed {
        /// Why.
        error: Value,
        /// Whether it would fail again.
        for_good: bool,
    },
    /// It was interrupted in good order, since the service ends.
    Parked,
    /// Somebody cancelled it.
    Cancelled,
    /// It was lost.
    Interrupted,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this workflow.
    pub workflow: Option<String>,
    /// In this state.
    pub state: Option<RunState>,
    /// Queued before this one.
    pub before: Option<i64>,
    /// So many at most; 100 if left out.
    pub limit: Option<usize>,
}

const COLUMNS: &str = "seq, id, workflow, trigger, group_key, generation, state, params, priority, memory, \
    most_attempts, attempts, interruptions, cancel, not_before, queued_at, started_at, ended_at, error, anew";

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(Run {
        seq: row.get(0)?,
        id: row.get(1)?,
        workflow: row.get(2)?,
        trigger: row.get(3)?,
        key: row.get(4)?,
        generation: row.get(5)?,
        // The table holds no other words.
        state: RunState::of(&row.get::<_, String>(6)?).unwrap_or(RunState::Dead),
        params: serde_json::from_str(&row.get::<_, String>(7)?).unwrap_or_default(),
        priority: row.get(8)?,
        memory: row.get::<_, i64>(9)?.max(0) as u64,
        most_attempts: row.get(10)?,
        attempts: row.get(11)?,
        interruptions: row.get(12)?,
        cancel: row.get(13)?,
        not_before: row.get(14)?,
        queued_at: row.get(15)?,
        started_at: row.get(16)?,
        ended_at: row.get(17)?,
        error: json(row.get(18)?),
        anew: row.get(19)?,
    })
}

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
