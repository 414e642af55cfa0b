//! What is let go after a while, so that a state that is served for years does not grow with what nobody needs: what
//! runs were given and said. Ids of events stay, so that what comes again is still known; so do results, and so does what
//! a group that is run again with all its events will be given.

use rusqlite::params;

use super::Store;
use crate::{Millis, Result};

/// Runs that one call lets go.
const MOST: i64 = 500;

impl Store {
    /// Lets go what belongs to runs that ended well before a moment. Gives the ids of runs whose files may be removed;
    /// each is given once. What is dead stays: somebody may want to retry it.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn prune(&self, before: Millis) -> Result<Vec<String>> {
        self.write(|change| {
            let runs: Vec<String> = change
                .prepare_cached(
                    "UPDATE run SET pruned = 1 WHERE seq IN (
                         SELECT seq FROM run WHERE pruned = 0 AND state IN ('done', 'partial', 'cancelled')
                             AND ended_at < ?1 ORDER BY seq LIMIT ?2)
                     RETURNING id",
                )?
                .query_map(params![before, MOST], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for run in &runs {
                change
                    .prepare_cached(
                        "UPDATE event SET payload = '' WHERE seq IN (
                             SELECT event.seq FROM event JOIN run ON run.id = ?1 AND run.workflow = event.workflow
                                 AND run.trigger = event.trigger AND run.group_key = event.group_key
                                 AND run.generation = event.generation
                             JOIN event_group USING (workflow, trigger, group_key, generation)
                             WHERE event_group.rule ->> 'late' = 'alone' OR event.group_key = event.subject)",
                    )?
                    .execute([run])?;
            }
            change.execute("DELETE FROM skip WHERE last_at < ?1", [before])?;
            Ok(runs)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Ended, GroupRule, Late, NewEvent, Room};

    use super::*;

    #[test]
    fn what_a_group_is_given_again_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        for (trigger, late, expected) in [("all", Late::All, 2), ("alone", Late::Alone, 1)] {
            let rule = GroupRule { late, ..GroupRule::default() };
            for (at, subject) in ["s2/a", "s2/b"].into_iter().enumerate() {
                let event = NewEvent {
                    subject: subject.into(),
                    part: String::new(),
                    version: String::new(),
                    content: subject.into(),
                    interval: None,
                    payload: json!({"id": subject}),
                    key: "2021-W07".into(),
                };
                store.accept(("w", trigger), &rule, &[event], None, 0).unwrap();
                store.close_groups(0).unwrap();
                let run = store.claim(Room { memory: 1, share: 1 }, 0).unwrap().unwrap();
                let generation = at as i64 + 1;
                assert_eq!(run.generation, generation);
                if generation == 2 {
                    assert_eq!(store.events_of(("w", trigger, "2021-W07"), 2).unwrap().len(), expected);
                }
                store.end(&run.id, &Ended::Done { partial: false }, &[], 10).unwrap();
                assert_eq!(store.prune(11).unwrap().len(), 1);
            }
        }
    }

    #[test]
    fn what_ended_is_let_go_once_and_its_events_are_still_known() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        let event = |id: &str| NewEvent {
            subject: id.into(),
            part: String::new(),
            version: String::new(),
            content: id.into(),
            interval: None,
            payload: json!({"id": id}),
            key: id.into(),
        };
        let events = [event("done"), event("dead"), event("waits")];
        store.accept(("w", "t"), &GroupRule::default(), &events, None, 0).unwrap();
        store.close_groups(0).unwrap();
        let room = Room { memory: 1, share: 1 };
        let failed = Ended::Failed { error: json!({}), for_good: true };
        for ended in [Ended::Done { partial: false }, failed] {
            let run = store.claim(room, 0).unwrap().unwrap();
            store.end(&run.id, &ended, &[], 10).unwrap();
        }
        assert!(store.prune(10).unwrap().is_empty(), "it is not old enough");
        assert_eq!(store.prune(11).unwrap().len(), 1);
        assert!(store.prune(11).unwrap().is_empty(), "each is given once");
        let given = |key: &str| store.events_of(("w", "t", key), 1).unwrap().len();
        assert_eq!((given("done"), given("dead"), given("waits")), (0, 1, 1));
        assert_eq!(store.accept(("w", "t"), &GroupRule::default(), &events, None, 20).unwrap().known, 3);
    }
}
