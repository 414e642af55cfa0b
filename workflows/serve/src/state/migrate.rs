//! The tables of the state, version by version. A version that was released is never changed: what is new is a new one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::{Result, ServeError};

/// What brings a state from one version to the next; the first makes an empty file a state.
const VERSIONS: &[&str] = &[include_str!("version1.sql"), include_str!("version2.sql"), include_str!("version3.sql")];

/// The version of a state.
fn version(state: &Connection) -> rusqlite::Result<i64> {
    state.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Refuses a state that is newer than what is known here, and changes nothing.
pub(super) fn check(state: &Connection, path: &Path) -> Result<()> {
    let known = VERSIONS.len() as i64;
    let found = version(state).map_err(|source| ServeError::State { what: "opened", source })?;
    if found > known || found < 0 {
        return Err(ServeError::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Brings a state up to date, in one transaction.
pub(super) fn migrate(state: &mut Connection, path: &Path) -> Result<()> {
    let known = VERSIONS.len() as i64;
    let failed = |source| ServeError::State { what: "brought up to date", source };
    // Mostly it is: then nobody who writes is kept waiting.
    if version(state).map_err(failed)? == known {
        return Ok(());
    }
    let change = state.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    check(&change, path)?;
    let found = version(&change).map_err(failed)?;
    for (version, text) in VERSIONS.iter().enumerate().skip(found as usize) {
        tracing::info!("bringing {} to version {}", path.display(), version + 1);
        change.execute_batch(text).map_err(failed)?;
    }
    if found < known {
        change.pragma_update(None, "user_version", known).map_err(failed)?;
    }
    change.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use crate::{ItemQuery, RunFilter, ServiceLock, Store};

    use super::*;

    #[test]
    fn a_state_of_the_first_version_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        {
            let old = Connection::open(&path).unwrap();
            old.execute_batch(VERSIONS[0]).unwrap();
            old.pragma_update(None, "user_version", 1).unwrap();
            old.execute_batch(
                "INSERT INTO workflow (name, paused) VALUES ('map', 1);
                 INSERT INTO run (id, workflow, group_key, generation, state, params, queued_at)
                     VALUES ('r1', 'map', '', 1, 'done', '{}', 5);
                 INSERT INTO result (id, run, workflow, collection, item_id, item, href, published_at)
                     VALUES ('x', 'r1', 'map', 'crops', 'a', '{\"id\": \"a\"}', '/a.json', 6);",
            )
            .unwrap();
        }
        let store = Store::open(&path).unwrap();
        assert!(store.is_paused("map").unwrap());
        assert_eq!(store.runs(&RunFilter::default()).unwrap()[0].id, "r1");
        assert_eq!(store.item("crops", "a").unwrap().unwrap().run, "r1");
        drop(store);
        let version: i64 =
            Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, VERSIONS.len() as i64);
    }

    /// A state of the second version with one item, and a trigger that has looked.
    fn second(path: &Path) {
        let old = Connection::open(path).unwrap();
        old.execute_batch(&VERSIONS[..2].concat()).unwrap();
        old.pragma_update(None, "user_version", 2).unwrap();
        old.execute_batch(
            "INSERT INTO run (id, workflow, group_key, generation, state, params, queued_at)
                 VALUES ('r1', 'map', '', 1, 'done', '{}', 5);
             INSERT INTO result (id, run, workflow, collection, item_id, item, href, published_at, start, finish)
                 VALUES ('x', 'r1', 'map', 'crops', 'a', '{\"id\": \"a\"}', '/a.json', 6, 100, 200);
             INSERT INTO trigger_state (workflow, name, cursor, looked_at, failures, held)
                 VALUES ('map', 'new', '{\"at\": 3}', 7, 2, 1);",
        )
        .unwrap();
    }

    fn version_of(path: &Path) -> i64 {
        version(&Connection::open(path).unwrap()).unwrap()
    }

    #[test]
    fn a_state_of_the_second_version_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        second(&path);
        let store = Store::open(&path).unwrap();
        let stands = store.trigger("map", "new").unwrap();
        assert_eq!((stands.cursor, stands.failures), (Some(serde_json::json!({"at": 3})), 2));
        let query = ItemQuery { interval: Some((150, 300)), ..ItemQuery::default() };
        let mut found = Vec::new();
        let take = |item: crate::StoredItem| {
            found.push(item.item_id);
            true
        };
        store.items(&query, take).unwrap();
        assert_eq!(found, ["a"]);
        drop(store);
        assert_eq!(version_of(&path), VERSIONS.len() as i64);
    }

    #[test]
    fn to_look_at_a_state_or_to_wait_for_it_changes_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        assert!(Store::open_existing(&path).is_err());
        assert!(!path.exists());
        second(&path);
        let store = Store::open_existing(&path).unwrap();
        store.check().unwrap();
        store.backup(&folder.path().join("copy.db")).unwrap();
        assert_eq!((version_of(&path), version_of(&folder.path().join("copy.db"))), (2, 2));
        // Whoever serves it may be older.
        let lock = ServiceLock::take(&path).unwrap();
        assert!(matches!(Store::open_to_serve(&path), Err(ServeError::Locked { .. })));
        assert_eq!(version_of(&path), 2);
        drop(lock);
        let (_store, _lock) = Store::open_to_serve(&path).unwrap();
        assert_eq!(version_of(&path), VERSIONS.len() as i64);
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Store::open_existing(&path), Err(ServeError::Newer { found: 99, .. })));
    }

    #[test]
    fn a_newer_state_and_what_is_none_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, ServeError::Newer { found: 99, .. }), "{error}");
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "no database, but text that is long enough to be looked at".repeat(20)).unwrap();
        assert!(matches!(Store::open(&text).unwrap_err(), ServeError::State { what: "opened", .. }));
    }
}
