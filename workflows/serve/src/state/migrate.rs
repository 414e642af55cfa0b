//! The tables of the state, version by version. A version that was released is never changed: what is new is a new one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::{Result, ServeError};

/// What brings a state from one version to the next; the first makes an empty file a state.
const VERSIONS: &[&str] = &[include_str!("version1.sql"), include_str!("version2.sql")];

/// Brings a state up to date, in one transaction.
pub(super) fn migrate(state: &mut Connection, path: &Path) -> Result<()> {
    let known = VERSIONS.len() as i64;
    let failed = |source| ServeError::State { what: "brought up to date", source };
    // Mostly it is: then nobody who writes is kept waiting.
    let version = |state: &Connection| state.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    if version(state).map_err(failed)? == known {
        return Ok(());
    }
    let change = state.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let found = version(&change).map_err(failed)?;
    if found > known || found < 0 {
        return Err(ServeError::Newer { path: path.to_owned(), found, known });
    }
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
    use crate::{RunFilter, Store};

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
