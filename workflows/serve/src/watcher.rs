//! Lets triggers look when their time has come, and takes in what they find.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::Serialize;
use serde_json::json;
use skysense_catalog::Interval;

use crate::{
    Accepted, Millis, Result, ServeError, Store, clock,
    json_file::{self, Unread},
    state::Progress,
    traces::{Span, Traces, span_id},
    trigger::{Found, Look, Looking, Trigger},
    workflows::{Library, Workflow},
};

/// Most triggers that look at the same time.
const MOST_AT_ONCE: usize = 8;
/// Events that are taken in by one transaction.
const PORTION: usize = 1_000;
/// Longest wait of a trigger that fails, unless its usual one is longer: the wait doubles with each failure.
const LONGEST_BACKOFF: Millis = 3_600_000;
/// Largest item collection that is read, in bytes.
const LARGEST_COLLECTION: u64 = 1 << 30;
/// How long a trigger waits that found something which the state did not take.
const PAUSE_WITHOUT_STATE: Duration = Duration::from_secs(10);
/// Most skipped things that one look notes.
const MOST_SKIPS: usize = 1_000;

/// What a look, a fire or a back-fill brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// Events that were new, and that were known.
    #[serde(flatten)]
    pub accepted: Accepted,
    /// What was found and is not wanted.
    pub unwanted: u64,
    /// What could not be used, and why.
    pub skipped: Vec<(String, String)>,
}

impl Looked {
    fn add(&mut self, other: Self) {
        self.accepted.new += other.accepted.new;
        self.accepted.known += other.accepted.known;
        self.unwanted += other.unwanted;
        self.skipped.extend(other.skipped);
    }
}

/// What a trigger would find now, without taking it in.
///
/// # Errors
/// There is no such trigger, or it cannot look.
pub fn test_trigger(store: &Store, workflow: &Workflow, name: &str, stop: &dyn Fn() -> bool) -> Result<Vec<String>> {
    let trigger = find(workflow, name)?;
    let cursor = store.trigger(&workflow.name, name)?.cursor;
    let at = Looking { cursor: cursor.as_ref(), now: clock::now(), select: &trigger.select, stop };
    let look = trigger.source.look(&at).map_err(ServeError::Request)?;
    let events = look.found.into_iter().filter_map(|found| found.event(trigger).ok().flatten());
    Ok(events.map(|event| format!("{}  in group {}", event.subject, event.key)).collect())
}

/// Lets a trigger look once, and takes in what it finds with how far it has looked.
///
/// # Errors
/// There is no such trigger, it cannot look, or the state cannot be written.
pub fn look(store: &Store, workflow: &Workflow, name: &str, stop: &dyn Fn() -> bool) -> Result<Looked> {
    let trigger = find(workflow, name)?;
    let now = clock::now();
    let state = store.trigger(&workflow.name, name)?;
    let at = Looking { cursor: state.cursor.as_ref(), now, select: &trigger.select, stop };
    match trigger.source.look(&at) {
        Ok(mut look) => {
            let progress = Progress { cursor: look.cursor.clone(), next_at: trigger.source.next(Some(now), now) };
            let seen = std::mem::take(&mut look.seen);
            let looked = take_in(store, (workflow, name), trigger, look, Some(progress))?;
            trigger.source.taken(seen);
            Ok(looked)
        }
        Err(_) if stop() => Ok(Looked::default()),
        Err(message) => {
            let usual = trigger.source.next(Some(now), now).unwrap_or(now).saturating_sub(now).max(1);
            let doubled = usual.saturating_mul(1 << state.failures.min(20));
            let next = now.saturating_add(doubled.min(LONGEST_BACKOFF).max(usual));
            store.trigger_failed((&workflow.name, name), &message, now, Some(next))?;
            Err(ServeError::Request(message))
        }
    }
}

/// Takes in what there is of a period, month by month; how far the trigger has looked stays as it is.
///
/// # Errors
/// There is no such trigger, it cannot look back, or the state cannot be written.
pub fn backfill(
    store: &Store,
    workflow: &Workflow,
    name: &str,
    period: &str,
    stop: &dyn Fn() -> bool,
) -> Result<Looked> {
    let trigger = find(workflow, name)?;
    let period = Interval::parse(period)?;
    let mut looked = Looked::default();
    for part in months(&period) {
        let at = Looking { cursor: None, now: clock::now(), select: &trigger.select, stop };
        let look = trigger.source.backfill(&part, &at).map_err(ServeError::Request)?;
        looked.add(take_in(store, (workflow, name), trigger, look, None)?);
    }
    Ok(looked)
}

/// Fires a trigger by hand: with the items of files, with other files, or with the moment itself where there are none.
///
/// # Errors
/// There is no such trigger, a file is of no use, or the state cannot be written.
pub fn fire(store: &Store, workflow: &Workflow, name: &str, files: &[std::path::PathBuf]) -> Result<Looked> {
    let trigger = find(workflow, name)?;
    let mut found = Vec::new();
    for file in files {
        found.extend(read_file(file)?);
    }
    if files.is_empty() {
        if trigger.run.items.is_some() || trigger.run.file.is_some() {
            return Err(ServeError::Request(format!("trigger `{name}` runs with items or files: name them")));
        }
        found.push(Found::Moment(Utc::now()));
    }
    take_in(store, (workflow, name), trigger, Look { found, ..Look::default() }, None)
}

/// Takes in what was found.
pub(crate) fn take_in(
    store: &Store,
    (workflow, name): (&Workflow, &str),
    trigger: &Trigger,
    look: Look,
    progress: Option<Progress>,
) -> Result<Looked> {
    let now = clock::now();
    let full = (workflow.name.as_str(), name);
    let rule = trigger.run.complete(trigger.group.rule()).map_err(|problem| ServeError::Request(problem.message))?;
    let mut looked = Looked { skipped: look.skipped, ..Looked::default() };
    let mut events = Vec::new();
    for found in look.found {
        match found.event(trigger) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => looked.unwanted += 1,
            Err(skip) => looked.skipped.push(skip),
        }
    }
    looked.skipped.truncate(MOST_SKIPS);
    store.note_skips(full, &looked.skipped, now)?;
    // How far it has looked is written with the last portion: whoever dies before looks again.
    let mut portions = events.chunks(PORTION).peekable();
    if portions.peek().is_none() {
        store.accept(full, &rule, &[], progress.as_ref(), now)?;
    }
    while let Some(portion) = portions.next() {
        let last = if portions.peek().is_none() { progress.as_ref() } else { None };
        let accepted = store.accept(full, &rule, portion, last, now)?;
        looked.accepted.new += accepted.new;
        looked.accepted.known += accepted.known;
    }
    Ok(looked)
}

fn find<'w>(workflow: &'w Workflow, name: &str) -> Result<&'w Trigger> {
    workflow.trigger(name).ok_or_else(|| ServeError::missing("trigger", format!("{}/{name}", workflow.name)))
}

/// The items in a file, or the file itself.
fn read_file(path: &Path) -> Result<Vec<Found>> {
    let path = std::path::absolute(path).map_err(|error| ServeError::file("find", path, error))?;
    let json = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json") || ending.eq_ignore_ascii_case("geojson"));
    if !json {
        let known = std::fs::metadata(&path).map_err(|error| ServeError::file("read", &path, error))?;
        let changed = known.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let content = format!("{} {}", known.len(), changed.unwrap_or_default().as_nanos());
        return Ok(vec![Found::File { path, content }]);
    }
    let unread = |reason: Unread| match reason {
        Unread::File(error) => ServeError::file("read", &path, error),
        Unread::Content(reason) => ServeError::Request(format!("{}: {reason}", path.display())),
    };
    let value = json_file::read_json(&path, LARGEST_COLLECTION).map_err(unread)?;
    let features = match value.get("features").and_then(serde_json::Value::as_array) {
        Some(features) => features.clone(),
        None => vec![value],
    };
    let item = |value| Ok(Found::Item(Box::new(json_file::item(value, &path).map_err(unread)?)));
    features.into_iter().map(item).collect()
}

/// A period cut at the beginnings of months; one that is open is left whole.
fn months(period: &Interval) -> Vec<Interval> {
    let (Some(start), Some(end)) = (period.start, period.end) else { return vec![*period] };
    let mut parts = Vec::new();
    let mut from = start;
    while from <= end {
        let (year, month) = if from.month() == 12 { (from.year() + 1, 1) } else { (from.year(), from.month() + 1) };
        let next = NaiveDate::from_ymd_opt(year, month, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
        let Some(next) = next.map(|next| next.and_utc()) else { break };
        let last: DateTime<Utc> = end.min(next - chrono::Duration::milliseconds(1));
        parts.push(Interval { start: Some(from), end: Some(last) });
        from = next;
    }
    parts
}

/// Looks when the time of a trigger has come.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    /// Triggers that look just now.
    busy: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl Watcher {
    /// Begins the looks that are due; each on a thread of its own, since a server may take its time.
    pub(crate) fn tick(
        &self,
        store: &Arc<Store>,
        library: &Library,
        traces: &Arc<Traces>,
        stop: &Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<()> {
        let now = clock::now();
        for workflow in library.all() {
            for (written, trigger) in workflow.triggers() {
                let key = (workflow.name.clone(), written.name.clone());
                let is_busy = |busy: &BTreeSet<_>| busy.contains(&key) || busy.len() >= MOST_AT_ONCE;
                if is_busy(&self.busy.lock().unwrap_or_else(PoisonError::into_inner)) {
                    continue;
                }
                let state = store.trigger(&key.0, &key.1)?;
                let due = match (state.failures, state.next_at) {
                    (1.., Some(next)) => Some(next),
                    // From the settings as they are now, which may have changed since the last look.
                    _ => trigger.source.next(state.looked_at, now),
                };
                if due.is_none_or(|due| due > now) {
                    continue;
                }
                self.begin((store, traces), &workflow, key, stop);
            }
        }
        Ok(())
    }

    fn begin(
        &self,
        (store, traces): (&Arc<Store>, &Arc<Traces>),
        workflow: &Arc<Workflow>,
        key: (String, String),
        stop: &Arc<dyn Fn() -> bool + Send + Sync>,
    ) {
        let busy = self.busy.clone();
        busy.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        let (store, traces, workflow, stop) = (store.clone(), traces.clone(), workflow.clone(), stop.clone());
        let done = Done { busy, key: key.clone() };
        let work = move || {
            let _done = done;
            let start = clock::now();
            let looked = look(&store, &workflow, &key.1, &*stop);
            trace(&traces, &key, start, &looked);
            match looked {
                Ok(looked) if looked.accepted.new > 0 => {
                    tracing::info!(workflow = key.0, trigger = key.1, new = looked.accepted.new, "events");
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(workflow = key.0, trigger = key.1, "{error}");
                    // When it is to look next could not be written either: others are not asked again and again for it.
                    let begun = Instant::now();
                    while matches!(error, ServeError::State { .. }) && begun.elapsed() < PAUSE_WITHOUT_STATE && !stop()
                    {
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("skysense-trigger".to_owned()).spawn(work) {
            tracing::warn!("no thread for a trigger: {error}");
        }
    }

    /// Whether no trigger looks.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Tells how long a look took, and what it brought.
fn trace(traces: &Traces, (workflow, trigger): &(String, String), start: Millis, looked: &Result<Looked>) {
    if !traces.is_on() {
        return;
    }
    let mut attributes = vec![("skysense.workflow", json!(workflow)), ("skysense.trigger", json!(trigger))];
    if let Ok(looked) = looked {
        attributes.push(("skysense.events.new", json!(looked.accepted.new)));
        attributes.push(("skysense.events.known", json!(looked.accepted.known)));
        attributes.push(("skysense.skipped", json!(looked.skipped.len())));
    }
    let id = span_id();
    traces.add(Span {
        trace: format!("{id}{}", span_id()),
        id,
        parent: None,
        name: "trigger look".to_owned(),
        serves: false,
        start,
        end: clock::now(),
        attributes,
        error: looked.as_ref().err().map(ToString::to_string),
    });
}

/// Says that a trigger looks no more, also where it panicked.
struct Done {
    busy: Arc<Mutex<BTreeSet<(String, String)>>>,
    key: (String, String),
}

impl Drop for Done {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_cut_at_months_and_nothing_of_it_is_lost() {
        let text = |part: &Interval| part.to_query();
        let parts: Vec<String> = months(&Interval::parse("2021-11-15/2022-01-02").unwrap()).iter().map(text).collect();
        assert_eq!(
            parts,
            [
                "2021-11-15T00:00:00Z/2021-11-30T23:59:59.999Z",
                "2021-12-01T00:00:00Z/2021-12-31T23:59:59.999Z",
                &format!(
                    "2022-01-01T00:00:00Z/{}",
                    text(&Interval::parse("../2022-01-02").unwrap()).trim_start_matches("../")
                ),
            ]
        );
        assert_eq!(months(&Interval::parse("2021-01-01/..").unwrap()).len(), 1);
    }
}
