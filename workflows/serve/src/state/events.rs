//! What triggers found, each once, and the groups that it gathers in.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{NewRun, RunState, Store, runs};
use crate::{Millis, Result, ids};

/// How long a group waits before it looks again whether the run before it ended.
const WAIT_FOR_RUN: Millis = 500;

/// Something that a trigger found.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// What it is about: a collection and item, a file, a moment.
    pub subject: String,
    /// Which part of a group it is: its collection.
    pub part: String,
    /// Orders what is known of one subject: the later one holds.
    pub version: String,
    /// What makes it the same event or another one.
    pub content: String,
    /// First and last moment of what it is about.
    pub interval: Option<(String, String)>,
    /// What the run is given.
    pub payload: Value,
    /// The group that it belongs to.
    pub key: String,
}

/// What becomes of a group that waited in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    /// It is run with what is there.
    #[default]
    Run,
    /// It is dropped; what comes later begins a new one.
    Drop,
}

/// What becomes of events whose group was run already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Late {
    /// The whole group is run again, with them.
    #[default]
    All,
    /// They are run alone.
    Alone,
}

/// When a group is whole, and how it is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRule {
    /// How long nothing may have come.
    pub settle: Millis,
    /// How long it waits at most.
    pub timeout: Option<Millis>,
    /// Parts that have to be there.
    pub needs: Vec<String>,
    /// With so many events it is run at once.
    pub most: u32,
    /// What becomes of one that waited in vain.
    pub on_timeout: OnTimeout,
    /// What becomes of what comes late.
    pub late: Late,
    /// Runs of a higher priority begin first.
    pub priority: i64,
    /// Bytes that a run may hold; 0 for its share.
    pub memory: u64,
    /// How often a run is tried.
    pub attempts: u32,
}

impl Default for GroupRule {
    fn default() -> Self {
        Self {
            settle: 0,
            timeout: None,
            needs: Vec::new(),
            most: u32::MAX,
            on_timeout: OnTimeout::Run,
            late: Late::All,
            priority: 0,
            memory: 0,
            attempts: 5,
        }
    }
}

/// How far a trigger has come, written with what it found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    pub(crate) cursor: Option<Value>,
    pub(crate) next_at: Option<Millis>,
}

/// What became of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Events that were new.
    pub new: u64,
    /// Events that were known.
    pub known: u64,
}

/// An event of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredEvent {
    /// Id by content.
    pub id: String,
    /// What it is about.
    pub subject: String,
    /// Its part.
    pub part: String,
    /// First and last moment of what it is about.
    pub interval: Option<(String, String)>,
    /// What the run is given.
    pub payload: Value,
    /// When it came.
    pub received_at: Millis,
}

/// A group by name: workflow, trigger, key.
type Name<'a> = (&'a str, &'a str, &'a str);

impl Store {
    /// Takes events in, together with how far the trigger has come. What is known already is only counted.
    ///
    /// # Errors
    /// The state cannot be written; then nothing of it is.
    pub(crate) fn accept(
        &self,
        name: (&str, &str),
        rule: &GroupRule,
        events: &[NewEvent],
        progress: Option<&Progress>,
        now: Millis,
    ) -> Result<Accepted> {
        self.write(|change| {
            let mut accepted = Accepted::default();
            for event in events {
                if take(change, name, rule, event, now)? { accepted.new += 1 } else { accepted.known += 1 }
            }
            if let Some(progress) = progress {
                change.execute(
                    "INSERT INTO trigger_state (workflow, name, cursor, looked_at, next_at, failures)
                         VALUES (?1, ?2, ?3, ?4, ?5, 0)
                     ON CONFLICT DO UPDATE SET cursor = coalesce(?3, cursor), looked_at = ?4, next_at = ?5,
                         failures = 0, error = NULL",
                    params![name.0, name.1, progress.cursor.as_ref().map(Value::to_string), now, progress.next_at],
                )?;
            }
            Ok(accepted)
        })
    }

    /// Ends groups that are whole or have waited long enough, and queues a run for each. Gives how many ended. A group
    /// that runs with all that came before waits for its earlier run: of two at once the older might publish last, and
    /// a burst would queue one run after the other of which each does all the work of those before it.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn close_groups(&self, now: Millis) -> Result<usize> {
        // Mostly none is due, and looking keeps nobody from writing.
        if self.next_group()?.is_none_or(|next| next > now) {
            return Ok(0);
        }
        self.write(|change| {
            let due: Vec<(String, String, String, i64, String, Millis)> = change
                .prepare_cached(
                    "SELECT workflow, trigger, group_key, generation, rule, opened_at FROM event_group
                     WHERE state = 'open' AND check_at <= ?1 ORDER BY check_at LIMIT 500",
                )?
                .query_map([now], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut ended = 0;
            for (workflow, trigger, key, generation, rule, _) in &due {
                let rule: GroupRule = serde_json::from_str(rule).unwrap_or_default();
                let name = (workflow.as_str(), trigger.as_str(), key.as_str());
                let run = is_whole(change, name, *generation, &rule)? || rule.on_timeout == OnTimeout::Run;
                if run && rule.late == Late::All && !make_way(change, name, *generation, now)? {
                    change.execute(
                        "UPDATE event_group SET check_at = ?5
                         WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3 AND generation = ?4",
                        params![workflow, trigger, key, generation, now.saturating_add(WAIT_FOR_RUN)],
                    )?;
                    continue;
                }
                ended += 1;
                change.execute(
                    "UPDATE event_group SET state = ?5
                     WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3 AND generation = ?4",
                    params![workflow, trigger, key, generation, if run { "closed" } else { "dropped" }],
                )?;
                if run {
                    runs::queue(change, &run_of(name, *generation, &rule), now)?;
                }
            }
            Ok(ended)
        })
    }

    /// When the next open group is to be looked at.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn next_group(&self) -> Result<Option<Millis>> {
        self.read(|state| {
            state.query_row("SELECT min(check_at) FROM event_group WHERE state = 'open'", [], |row| row.get(0))
        })
    }

    /// The events that a run of a group is given: of each subject the latest one, in order of time.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn events_of(&self, name: (&str, &str, &str), generation: i64) -> Result<Vec<StoredEvent>> {
        let events = self.read(|state| {
            let rule: Option<String> = state
                .prepare_cached(
                    "SELECT rule FROM event_group
                     WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3 AND generation = ?4",
                )?
                .query_row(params![name.0, name.1, name.2, generation], |row| row.get(0))
                .optional()?;
            let rule: GroupRule = rule.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            state
                .prepare_cached(
                    "SELECT id, subject, part, start, finish, payload, received_at FROM event
                     WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3 AND generation BETWEEN ?4 AND ?5
                         AND payload <> '' ORDER BY version, seq",
                )?
                .query_map(params![name.0, name.1, name.2, first(generation, rule.late), generation], |row| {
                    let (start, finish): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
                    Ok(StoredEvent {
                        id: row.get(0)?,
                        subject: row.get(1)?,
                        part: row.get(2)?,
                        interval: start.zip(finish),
                        payload: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
                        received_at: row.get(6)?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let latest: BTreeMap<String, StoredEvent> =
            events.into_iter().map(|event| (event.subject.clone(), event)).collect();
        let mut latest: Vec<StoredEvent> = latest.into_values().collect();
        latest.sort_by(|a, b| (&a.interval, &a.subject).cmp(&(&b.interval, &b.subject)));
        Ok(latest)
    }

    /// How many events came in all, and how many groups are open.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn event_counts(&self) -> Result<(u64, u64)> {
        self.read(|state| {
            let events = state.query_row("SELECT coalesce(max(seq), 0) FROM event", [], |row| row.get(0))?;
            let open =
                state.query_row("SELECT count(*) FROM event_group WHERE state = 'open'", [], |row| row.get(0))?;
            Ok((events, open))
        })
    }
}

/// Takes one event in; says whether it is new.
fn take(
    change: &Transaction<'_>,
    (workflow, trigger): (&str, &str),
    rule: &GroupRule,
    event: &NewEvent,
    now: Millis,
) -> rusqlite::Result<bool> {
    let id = ids::id(&["event", workflow, trigger, &event.subject, &event.content]);
    let known = change.prepare_cached("SELECT 1 FROM event WHERE id = ?1")?.exists([&id])?;
    if known {
        return Ok(false);
    }
    let open: Option<i64> = change
        .prepare_cached(
            "SELECT generation FROM event_group
             WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3 AND state = 'open'",
        )?
        .query_row([workflow, trigger, &event.key], |row| row.get(0))
        .optional()?;
    let generation = match open {
        Some(generation) => generation,
        None => change
            .prepare_cached(
                "INSERT INTO event_group
                     (workflow, trigger, group_key, generation, state, rule, opened_at, last_at, check_at, events)
                 SELECT ?1, ?2, ?3, coalesce(max(generation), 0) + 1, 'open', '', ?4, ?4, ?4, 0 FROM event_group
                     WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3
                 RETURNING generation",
            )?
            .query_row(params![workflow, trigger, event.key, now], |row| row.get(0))?,
    };
    let (start, finish) = event.interval.clone().unzip();
    change
        .prepare_cached(
            "INSERT INTO event
                 (id, workflow, trigger, subject, part, version, start, finish, payload, received_at, group_key, generation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            id,
            workflow,
            trigger,
            event.subject,
            event.part,
            event.version,
            start,
            finish,
            event.payload.to_string(),
            now,
            event.key,
            generation
        ])?;
    let (opened, events): (Millis, u32) = change
        .prepare_cached(
            "UPDATE event_group SET events = events + 1, last_at = ?5, rule = ?6
             WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3 AND generation = ?4
             RETURNING opened_at, events",
        )?
        .query_row(
            params![workflow, trigger, event.key, generation, now, serde_json::to_string(rule).unwrap_or_default()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    let name = (workflow, trigger, event.key.as_str());
    let end = rule.timeout.map_or(Millis::MAX, |timeout| opened.saturating_add(timeout));
    let check = match is_whole(change, name, generation, rule)? {
        true if events >= rule.most => now,
        true => now.saturating_add(rule.settle).min(end),
        false => end,
    };
    change
        .prepare_cached(
            "UPDATE event_group SET check_at = ?5
             WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3 AND generation = ?4",
        )?
        .execute(params![workflow, trigger, event.key, generation, check])?;
    Ok(true)
}

/// Whether a group may run now: the run before it ended. One that failed, and would only be tried again, is given up,
/// since the next does all that it would have done.
fn make_way(change: &Transaction<'_>, name: Name<'_>, generation: i64, now: Millis) -> rusqlite::Result<bool> {
    for earlier in (1..generation).rev() {
        let Some(run) = runs::find(change, &run_id(name, earlier))? else { continue };
        return Ok(match run.state {
            RunState::Running | RunState::Parked => false,
            RunState::Queued if run.attempts == 0 => false,
            RunState::Queued => {
                runs::supersede(change, &run.id, now)?;
                true
            }
            _ => true,
        });
    }
    Ok(true)
}

fn run_id((workflow, trigger, key): Name<'_>, generation: i64) -> String {
    ids::id(&["run", workflow, trigger, key, &generation.to_string()])
}

/// The first generation whose events belong to one.
fn first(generation: i64, late: Late) -> i64 {
    match late {
        Late::All => 1,
        Late::Alone => generation,
    }
}

/// Whether all parts are there.
fn is_whole(change: &Transaction<'_>, name: Name<'_>, generation: i64, rule: &GroupRule) -> rusqlite::Result<bool> {
    let mut query = change.prepare_cached(
        "SELECT 1 FROM event WHERE workflow = ?1 AND trigger = ?2 AND group_key = ?3
             AND generation BETWEEN ?4 AND ?5 AND part = ?6",
    )?;
    for part in &rule.needs {
        if !query.exists(params![name.0, name.1, name.2, first(generation, rule.late), generation, part])? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn run_of((workflow, trigger, key): Name<'_>, generation: i64, rule: &GroupRule) -> NewRun {
    NewRun {
        id: run_id((workflow, trigger, key), generation),
        workflow: workflow.to_owned(),
        trigger: Some(trigger.to_owned()),
        key: key.to_owned(),
        generation,
        params: serde_json::Map::new(),
        priority: rule.priority,
        memory: rule.memory,
        attempts: rule.attempts,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Ended, Room, RunFilter};

    use super::*;

    const NAME: (&str, &str) = ("map", "new");

    fn event(subject: &str, part: &str, version: &str, key: &str) -> NewEvent {
        NewEvent {
            subject: subject.into(),
            part: part.into(),
            version: version.into(),
            content: format!("{subject} {version}"),
            interval: Some((version.into(), version.into())),
            payload: json!({"id": subject, "version": version}),
            key: key.into(),
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        (folder, store)
    }

    const ROOM: Room = Room { memory: 1 << 30, share: 1 << 20 };

    /// Has all runs that wait come to their end.
    fn ends(store: &Store, now: Millis) {
        while let Some(run) = store.claim(ROOM, now).unwrap() {
            store.end(&run.id, &Ended::Done { partial: false }, &[], now).unwrap();
        }
    }

    fn runs(store: &Store) -> Vec<(String, i64)> {
        let mut all: Vec<_> =
            store.runs(&RunFilter::default()).unwrap().into_iter().map(|run| (run.key, run.generation)).collect();
        all.sort();
        all
    }

    #[test]
    fn an_event_is_taken_once_and_a_changed_one_begins_a_new_run() {
        let (_folder, store) = store();
        let rule = GroupRule::default();
        let first = [event("a", "s2", "1", "a"), event("b", "s2", "1", "b"), event("a", "s2", "1", "a")];
        assert_eq!(store.accept(NAME, &rule, &first, None, 10).unwrap(), Accepted { new: 2, known: 1 });
        assert_eq!(store.close_groups(10).unwrap(), 2);
        assert_eq!(store.accept(NAME, &rule, &first, None, 20).unwrap(), Accepted { new: 0, known: 3 });
        assert_eq!(store.close_groups(20).unwrap(), 0);
        assert_eq!(runs(&store), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        ends(&store, 20);
        store.accept(NAME, &rule, &[event("a", "s2", "2", "a")], None, 30).unwrap();
        store.close_groups(30).unwrap();
        assert_eq!(runs(&store), [("a".to_owned(), 1), ("a".to_owned(), 2), ("b".to_owned(), 1)]);
        let given = store.events_of(("map", "new", "a"), 2).unwrap();
        assert_eq!(given.iter().map(|event| &event.payload["version"]).collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn a_group_waits_for_its_parts_then_settles_and_gives_up_at_its_timeout() {
        let (_folder, store) = store();
        let rule = GroupRule {
            settle: 100,
            timeout: Some(1000),
            needs: vec!["s1".into(), "s2".into()],
            ..GroupRule::default()
        };
        store.accept(NAME, &rule, &[event("a", "s2", "1", "w1")], None, 0).unwrap();
        assert_eq!(store.close_groups(500).unwrap(), 0, "the radar part is not there");
        store.accept(NAME, &rule, &[event("r", "s1", "1", "w1")], None, 600).unwrap();
        assert_eq!(store.close_groups(650).unwrap(), 0, "it has not settled");
        assert_eq!(store.next_group().unwrap(), Some(700));
        assert_eq!(store.close_groups(700).unwrap(), 1);
        // A second week never gets its radar part.
        store.accept(NAME, &rule, &[event("c", "s2", "1", "w2")], None, 2000).unwrap();
        assert_eq!(store.close_groups(2999).unwrap(), 0);
        assert_eq!(store.close_groups(3000).unwrap(), 1);
        assert_eq!(runs(&store), [("w1".to_owned(), 1), ("w2".to_owned(), 1)]);
        // The third is dropped, and nothing runs.
        let drop = GroupRule { on_timeout: OnTimeout::Drop, ..rule };
        store.accept(NAME, &drop, &[event("d", "s2", "1", "w3")], None, 4000).unwrap();
        assert_eq!(store.close_groups(5000).unwrap(), 1);
        assert_eq!(runs(&store).len(), 2);
    }

    #[test]
    fn what_comes_late_runs_with_all_or_alone() {
        let (_folder, store) = store();
        let rule = |late| GroupRule { late, ..GroupRule::default() };
        for (key, late, expected) in [("all", Late::All, vec!["x", "y"]), ("alone", Late::Alone, vec!["y"])] {
            let of = |subject: &str, version: &str| event(&format!("{subject} {key}"), "s2", version, key);
            store.accept(NAME, &rule(late), &[of("x", "2")], None, 0).unwrap();
            store.close_groups(0).unwrap();
            ends(&store, 0);
            store.accept(NAME, &rule(late), &[of("y", "1")], None, 1).unwrap();
            store.close_groups(1).unwrap();
            let given = store.events_of(("map", "new", key), 2).unwrap();
            let mut subjects: Vec<_> = given.iter().map(|event| &event.subject[..1]).collect();
            subjects.sort_unstable();
            assert_eq!(subjects, expected);
        }
    }

    #[test]
    fn a_burst_waits_for_the_run_before_it_and_runs_once() {
        let (_folder, store) = store();
        let (all, alone) = (GroupRule::default(), GroupRule { late: Late::Alone, ..GroupRule::default() });
        for (at, subject) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let at = at as i64 * WAIT_FOR_RUN;
            store.accept(NAME, &all, &[event(subject, "s2", "1", "week")], None, at).unwrap();
            store.accept(NAME, &alone, &[event(&subject.repeat(2), "s2", "1", "alone")], None, at).unwrap();
            store.close_groups(at).unwrap();
        }
        let waiting = |key: &str| runs(&store).iter().filter(|(one, _)| one == key).count();
        assert_eq!((waiting("week"), waiting("alone")), (1, 4), "what runs alone does not wait");
        let now = 10 * WAIT_FOR_RUN;
        store.close_groups(now).unwrap();
        assert_eq!(waiting("week"), 1, "the first has not run");
        ends(&store, now);
        store.close_groups(now + WAIT_FOR_RUN).unwrap();
        assert_eq!(waiting("week"), 2);
        let given = store.events_of(("map", "new", "week"), 2).unwrap();
        assert_eq!(given.len(), 4, "one run for all that came meanwhile");
        assert_eq!(store.next_group().unwrap(), None);
    }

    #[test]
    fn a_run_that_failed_makes_way_for_the_next_of_its_group() {
        let (_folder, store) = store();
        let rule = GroupRule::default();
        store.accept(NAME, &rule, &[event("a", "s2", "1", "week")], None, 0).unwrap();
        store.close_groups(0).unwrap();
        let first = store.claim(ROOM, 0).unwrap().unwrap();
        store.accept(NAME, &rule, &[event("b", "s2", "1", "week")], None, 1).unwrap();
        assert_eq!(store.close_groups(1).unwrap(), 0, "the first runs");
        let failed = Ended::Failed { error: json!({"message": "404"}), for_good: false };
        assert_eq!(store.end(&first.id, &failed, &[], 2).unwrap(), RunState::Queued);
        assert_eq!(store.close_groups(1 + WAIT_FOR_RUN).unwrap(), 1);
        let first = store.run(&first.id).unwrap();
        assert_eq!((first.state, &first.error.unwrap()["code"]), (RunState::Cancelled, &json!("superseded")));
        assert_eq!(store.claim(ROOM, 10).unwrap().unwrap().generation, 2);
    }

    #[test]
    fn of_a_subject_the_latest_version_holds_whatever_the_order_of_arrival() {
        let (_folder, store) = store();
        let rule = GroupRule { settle: 10, ..GroupRule::default() };
        let events =
            [event("a", "s2", "2021-03", "k"), event("a", "s2", "2021-01", "k"), event("a", "s2", "2021-02", "k")];
        store.accept(NAME, &rule, &events, None, 0).unwrap();
        store.close_groups(10).unwrap();
        let given = store.events_of(("map", "new", "k"), 1).unwrap();
        assert_eq!(given.len(), 1);
        assert_eq!(given[0].payload["version"], "2021-03");
    }

    #[test]
    fn many_events_end_a_group_before_it_settles() {
        let (_folder, store) = store();
        let rule = GroupRule { settle: 1_000_000, most: 3, ..GroupRule::default() };
        for (at, subject) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(store.close_groups(at as i64).unwrap(), 0);
            store.accept(NAME, &rule, &[event(subject, "", "1", "k")], None, at as i64).unwrap();
        }
        assert_eq!(store.close_groups(2).unwrap(), 1);
    }
}
