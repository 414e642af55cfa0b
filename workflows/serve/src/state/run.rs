//! What a run is: what was asked for, where it stands, and its row in the table.

use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Millis;

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

/// Columns of a run, in the order in which [`run`] reads them.
pub(super) const COLUMNS: &str = "seq, id, workflow, trigger, group_key, generation, state, params, priority, memory, \
    most_attempts, attempts, interruptions, cancel, not_before, queued_at, started_at, ended_at, error, anew";

/// A row of [`COLUMNS`].
pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
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
