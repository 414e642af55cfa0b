//! How far each trigger has looked, and what it could not use.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;

use super::Store;
use crate::{Millis, Result, ids};

/// Where a trigger stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TriggerState {
    /// How far it has looked, in its own terms.
    pub cursor: Option<Value>,
    /// When it looked last.
    pub looked_at: Option<Millis>,
    /// When it is to look next.
    pub next_at: Option<Millis>,
    /// Failures in a row.
    pub failures: u32,
    /// Why it failed last.
    pub error: Option<String>,
}

/// Something that a trigger met and could not use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skip {
    /// Id.
    pub id: String,
    /// The workflow.
    pub workflow: String,
    /// The trigger.
    pub trigger: String,
    /// What it was: an item, an href, a file.
    pub subject: String,
    /// Why it cannot be used.
    pub reason: String,
    /// When it was met first.
    pub first_at: Millis,
    /// When it was met last.
    pub last_at: Millis,
    /// How often.
    pub times: u32,
}

impl Store {
    /// Where a trigger stands.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn trigger(&self, workflow: &str, trigger: &str) -> Result<TriggerState> {
        let found = self.read(|state| {
            state
                .prepare_cached(
                    "SELECT cursor, looked_at, next_at, failures, error FROM trigger_state
                     WHERE workflow = ?1 AND name = ?2",
                )?
                .query_row([workflow, trigger], |row| {
                    Ok(TriggerState {
                        cursor: row.get::<_, Option<String>>(0)?.and_then(|text| serde_json::from_str(&text).ok()),
                        looked_at: row.get(1)?,
                        next_at: row.get(2)?,
                        failures: row.get(3)?,
                        error: row.get(4)?,
                    })
                })
                .optional()
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Notes that a trigger failed, and when it is to try again. Its cursor stays.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn trigger_failed(&self, name: (&str, &str), error: &str, now: Millis, next: Option<Millis>) -> Result<()> {
        self.write(|change| {
            change.execute(
                "INSERT INTO trigger_state (workflow, name, looked_at, next_at, failures, error)
                     VALUES (?1, ?2, ?3, ?4, 1, ?5)
                 ON CONFLICT DO UPDATE SET looked_at = ?3, next_at = ?4, failures = failures + 1, error = ?5",
                params![name.0, name.1, now, next, error],
            )
        })?;
        Ok(())
    }

    /// Notes what a trigger could not use; what is met again is counted.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn note_skips(&self, name: (&str, &str), skips: &[(String, String)], now: Millis) -> Result<()> {
        if skips.is_empty() {
            return Ok(());
        }
        self.write(|change| {
            for (subject, reason) in skips {
                let id = ids::id(&["skip", name.0, name.1, subject, reason]);
                change.execute(
                    "INSERT INTO skip (id, workflow, trigger, subject, reason, first_at, last_at, times)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1)
                     ON CONFLICT DO UPDATE SET last_at = ?6, times = times + 1",
                    params![id, name.0, name.1, subject, reason, now],
                )?;
            }
            Ok(())
        })
    }

    /// What triggers could not use, the latest first.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn skips(&self, most: usize) -> Result<Vec<Skip>> {
        self.read(|state| {
            state
                .prepare_cached(
                    "SELECT id, workflow, trigger, subject, reason, first_at, last_at, times FROM skip
                     ORDER BY last_at DESC, id LIMIT ?1",
                )?
                .query_map([most as i64], |row| {
                    Ok(Skip {
                        id: row.get(0)?,
                        workflow: row.get(1)?,
                        trigger: row.get(2)?,
                        subject: row.get(3)?,
                        reason: row.get(4)?,
                        first_at: row.get(5)?,
                        last_at: row.get(6)?,
                        times: row.get(7)?,
                    })
                })?
                .collect()
        })
    }

    /// Whether a workflow is paused.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn is_paused(&self, workflow: &str) -> Result<bool> {
        self.read(|state| {
            let paused = state
                .query_row("SELECT paused FROM workflow WHERE name = ?1", [workflow], |row| row.get::<_, bool>(0))
                .optional()?;
            Ok(paused.unwrap_or(false))
        })
    }

    /// Pauses a workflow, or lets it go on: events still come in, runs do not begin.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn pause(&self, workflow: &str, paused: bool) -> Result<()> {
        self.write(|change| {
            change.execute(
                "INSERT INTO workflow (name, paused) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET paused = ?2",
                params![workflow, paused],
            )
        })?;
        Ok(())
    }
}
