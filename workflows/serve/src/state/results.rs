//! What runs wrote: each item once, the latest of an id stands.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::Value;

use super::{Run, Store};
use crate::{Millis, Result, ids};

/// An item that a run wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResult {
    /// Id of its collection.
    pub collection: String,
    /// Its id, as it is published.
    pub item_id: String,
    /// The item as it was written.
    pub item: Value,
    /// Its file.
    pub href: String,
    /// First and last moment.
    pub interval: Option<(Millis, Millis)>,
    /// West, south, east, north.
    pub bbox: Option<[f64; 4]>,
}

/// A published item.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredItem {
    /// Order of publication.
    pub seq: i64,
    /// The run that wrote it.
    pub run: String,
    /// The workflow of that run.
    pub workflow: String,
    /// Id of its collection.
    pub collection: String,
    /// Its id.
    pub item_id: String,
    /// The item as it was written.
    pub item: Value,
    /// Its file.
    pub href: String,
    /// When it was published.
    pub published_at: Millis,
    /// First moment.
    pub start: Option<Millis>,
}

/// Which items to look at.
#[derive(Debug, Clone, Default)]
pub struct ItemQuery {
    /// Of these collections; of all if empty.
    pub collections: Vec<String>,
    /// Of this run.
    pub run: Option<String>,
    /// First and last moment.
    pub interval: Option<(Millis, Millis)>,
    /// Behind this one in the order of results: its first moment and its number.
    pub after: Option<(Millis, i64)>,
}

/// A collection of published items.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCollection {
    /// Its id.
    pub id: String,
    /// How many items stand.
    pub items: u64,
    /// First and last moment.
    pub interval: (Option<Millis>, Option<Millis>),
    /// West, south, east, north.
    pub bbox: Option<[f64; 4]>,
    /// File of its latest item.
    pub href: String,
}

const COLUMNS: &str = "seq, run, workflow, collection, item_id, item, href, published_at, start";

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredItem> {
    Ok(StoredItem {
        seq: row.get(0)?,
        run: row.get(1)?,
        workflow: row.get(2)?,
        collection: row.get(3)?,
        item_id: row.get(4)?,
        item: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
        href: row.get(6)?,
        published_at: row.get(7)?,
        start: row.get(8)?,
    })
}

/// Publishes an item. One that stands as it is stays; another one with its id is replaced.
pub(super) fn publish(change: &Transaction<'_>, run: &Run, new: &NewResult, now: Millis) -> rusqlite::Result<()> {
    let id = ids::id(&["result", &new.collection, &new.item_id, &new.href, &ids::content(&new.item)]);
    change
        .prepare_cached(
            "UPDATE result SET replaced = 1 WHERE collection = ?1 AND item_id = ?2 AND replaced = 0 AND id <> ?3",
        )?
        .execute(params![new.collection, new.item_id, id])?;
    let [west, south, east, north] = new.bbox.map_or([None; 4], |bbox| bbox.map(Some));
    let (start, finish) = new.interval.unzip();
    change
        .prepare_cached(
            "INSERT INTO result (id, run, workflow, collection, item_id, item, href, published_at,
                 start, finish, west, south, east, north)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (id) DO UPDATE SET replaced = 0",
        )?
        .execute(params![
            id,
            run.id,
            run.workflow,
            new.collection,
            new.item_id,
            new.item.to_string(),
            new.href,
            now,
            start,
            finish,
            west,
            south,
            east,
            north
        ])?;
    Ok(())
}

impl Store {
    /// The item that stands under an id.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn item(&self, collection: &str, id: &str) -> Result<Option<StoredItem>> {
        self.read(|state| {
            state
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM result WHERE collection = ?1 AND item_id = ?2 AND replaced = 0"
                ))?
                .query_row([collection, id], stored)
                .optional()
        })
    }

    /// Shows items that stand, the latest first, as long as `more` wants them. They are read one by one, so memory
    /// does not follow their number.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn items(&self, query: &ItemQuery, mut more: impl FnMut(StoredItem) -> bool) -> Result<()> {
        let (after_start, after_seq) = query.after.unwrap_or((Millis::MAX, i64::MAX));
        let (from, to) = query.interval.unwrap_or((Millis::MIN, Millis::MAX));
        let collections = serde_json::to_string(&query.collections).unwrap_or_default();
        // An item without a date stands behind all that have one.
        let text = format!(
            "SELECT {COLUMNS} FROM result WHERE replaced = 0
                 AND (?1 = '[]' OR collection IN (SELECT value FROM json_each(?1)))
                 AND (?2 IS NULL OR run = ?2)
                 AND (?7 OR start <= ?4 AND finish >= ?3)
                 AND (coalesce(start, {least}), seq) < (?5, ?6)
             ORDER BY coalesce(start, {least}) DESC, seq DESC",
            least = Millis::MIN + 1
        );
        self.read(|state| {
            let mut query_text = state.prepare_cached(&text)?;
            let mut rows = query_text.query(params![
                collections,
                query.run,
                from,
                to,
                after_start,
                after_seq,
                query.interval.is_none()
            ])?;
            while let Some(row) = rows.next()? {
                if !more(stored(row)?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The collections of all items that stand.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn collections(&self) -> Result<Vec<StoredCollection>> {
        self.read(|state| {
            state
                .prepare_cached(
                    "SELECT collection, count(*), min(start), max(finish), min(west), min(south), max(east), max(north),
                         (SELECT href FROM result newest WHERE newest.collection = result.collection AND replaced = 0
                          ORDER BY seq DESC LIMIT 1)
                     FROM result WHERE replaced = 0 GROUP BY collection ORDER BY collection",
                )?
                .query_map([], |row| {
                    let side = |at: usize| row.get::<_, Option<f64>>(at);
                    let sides = (side(4)?, side(5)?, side(6)?, side(7)?);
                    let bbox = match sides {
                        (Some(west), Some(south), Some(east), Some(north)) => Some([west, south, east, north]),
                        _ => None,
                    };
                    Ok(StoredCollection {
                        id: row.get(0)?,
                        items: row.get(1)?,
                        interval: (row.get(2)?, row.get(3)?),
                        bbox,
                        href: row.get(8)?,
                    })
                })?
                .collect()
        })
    }

    /// How many items stand, and how many were published in all.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn result_counts(&self) -> Result<(u64, u64)> {
        self.read(|state| {
            state.query_row("SELECT coalesce(sum(replaced = 0), 0), count(*) FROM result", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Ended, NewRun, Room};

    use super::*;

    fn result(id: &str, start: Option<Millis>, content: &str) -> NewResult {
        NewResult {
            collection: "crops".into(),
            item_id: id.into(),
            item: json!({"id": id, "properties": {"content": content}}),
            href: format!("/out/{id}.json"),
            interval: start.map(|start| (start, start + 10)),
            bbox: Some([5.0, 45.0, 6.0, 46.0]),
        }
    }

    fn publish(store: &Store, run: &str, results: &[NewResult]) {
        let new = NewRun {
            id: run.into(),
            workflow: "w".into(),
            trigger: None,
            key: String::new(),
            generation: 1,
            params: serde_json::Map::new(),
            priority: 0,
            memory: 0,
            attempts: 1,
        };
        store.submit(&new, 0).unwrap();
        store.claim(Room { memory: 1, share: 1 }, 0).unwrap().unwrap();
        store.end(run, &Ended::Done { partial: false }, results, 7).unwrap();
    }

    fn ids(store: &Store, query: &ItemQuery) -> Vec<String> {
        let mut ids = Vec::new();
        store
            .items(query, |item| {
                ids.push(item.item_id);
                true
            })
            .unwrap();
        ids
    }

    #[test]
    fn of_an_id_the_latest_item_stands_and_the_same_one_is_published_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        publish(&store, "r1", &[result("a", Some(1), "x"), result("b", Some(2), "x")]);
        publish(&store, "r2", &[result("a", Some(1), "x")]);
        assert_eq!(store.result_counts().unwrap(), (2, 2));
        assert_eq!(store.item("crops", "a").unwrap().unwrap().run, "r1");
        publish(&store, "r3", &[result("a", Some(1), "y")]);
        assert_eq!(store.result_counts().unwrap(), (2, 3));
        assert_eq!(store.item("crops", "a").unwrap().unwrap().run, "r3");
        // What was there before comes back.
        publish(&store, "r4", &[result("a", Some(1), "x")]);
        assert_eq!(store.result_counts().unwrap(), (2, 3));
        assert_eq!(store.item("crops", "a").unwrap().unwrap().run, "r1");
    }

    #[test]
    fn items_come_by_time_and_pages_go_on_where_the_last_one_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        let all: Vec<_> = (0..10).map(|n| result(&format!("i{n}"), Some(n * 100), "x")).collect();
        publish(&store, "r1", &all);
        publish(&store, "r2", &[result("undated", None, "x"), result("twin", Some(500), "x")]);
        let expected = ["i9", "i8", "i7", "i6", "twin", "i5", "i4", "i3", "i2", "i1", "i0", "undated"];
        assert_eq!(ids(&store, &ItemQuery::default()), expected);
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let mut page = Vec::new();
            store
                .items(&ItemQuery { after, ..ItemQuery::default() }, |item| {
                    page.push(item);
                    page.len() < 5
                })
                .unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.start.unwrap_or(Millis::MIN + 1), last.seq));
            pages.extend(page.into_iter().map(|item| item.item_id));
        }
        assert_eq!(pages, expected);
        let query = ItemQuery { interval: Some((305, 405)), ..ItemQuery::default() };
        assert_eq!(ids(&store, &query), ["i4", "i3"]);
        let query = ItemQuery { run: Some("r2".into()), collections: vec!["crops".into()], ..ItemQuery::default() };
        assert_eq!(ids(&store, &query), ["twin", "undated"]);
        assert!(ids(&store, &ItemQuery { collections: vec!["none".into()], ..ItemQuery::default() }).is_empty());
        let collections = store.collections().unwrap();
        assert_eq!((collections[0].items, collections[0].bbox), (12, Some([5.0, 45.0, 6.0, 46.0])));
    }
}
