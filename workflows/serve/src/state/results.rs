//! What runs wrote: each item once, the latest of an id stands.

use rusqlite::{OptionalExtension, Row, Transaction, params, params_from_iter, types::Value as Sql};
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
    /// With these ids; with any if empty.
    pub ids: Vec<String>,
    /// Of this run.
    pub run: Option<String>,
    /// West, south, east, north of what they may touch. An item may be shown that does not: its box alone is looked
    /// at, and only where neither crosses the antimeridian.
    pub bbox: Option<[f64; 4]>,
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

/// The moment that orders items, as the indices hold it: an item without a date stands behind all that have one.
const MOMENT: &str = "coalesce(start, -9223372036854775807)";

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

/// The text and the values of a query for items. Of one collection, and of all, they come in order by an index.
fn statement(query: &ItemQuery) -> (String, Vec<Sql>) {
    let mut tests = vec!["replaced = 0".to_owned()];
    let mut values: Vec<Sql> = Vec::new();
    let mut test = |text: &str, value: Sql| {
        values.push(value);
        tests.push(text.replace('?', &format!("?{}", values.len())));
    };
    let list = |texts: &[String]| Sql::from(serde_json::to_string(texts).unwrap_or_default());
    match &query.collections[..] {
        [] => {}
        [one] => test("collection = ?", one.clone().into()),
        // The sign keeps it from an index that does not hold the order of all of them together.
        several => test("+collection IN (SELECT value FROM json_each(?))", list(several)),
    }
    if !query.ids.is_empty() {
        test("item_id IN (SELECT value FROM json_each(?))", list(&query.ids));
    }
    if let Some(run) = &query.run {
        test("run = ?", run.clone().into());
    }
    if let Some((from, to)) = query.interval {
        test("start <= ?", to.into());
        test(&format!("{MOMENT} <= ?"), to.into());
        test("finish >= ?", from.into());
    }
    if let Some([west, south, east, north]) = query.bbox {
        test("(west IS NULL OR south <= ?)", north.into());
        test("(west IS NULL OR north >= ?)", south.into());
        if -180.0 < west && west <= east && east < 180.0 {
            let crosses = "west IS NULL OR west > east OR west < -180 OR east > 180";
            test(&format!("({crosses} OR west <= ?)"), east.into());
            test(&format!("({crosses} OR east >= ?)"), west.into());
        }
    }
    if let Some((moment, seq)) = query.after {
        test(&format!("{MOMENT} <= ?"), moment.into());
        values.extend([Sql::from(moment), Sql::from(seq)]);
        tests.push(format!("({MOMENT}, seq) < (?{}, ?{})", values.len() - 1, values.len()));
    }
    let tests = tests.join(" AND ");
    (format!("SELECT {COLUMNS} FROM result WHERE {tests} ORDER BY {MOMENT} DESC, seq DESC"), values)
}

fn collection(row: &Row<'_>) -> rusqlite::Result<StoredCollection> {
    let side = |at: usize| row.get::<_, Option<f64>>(at);
    let bbox = match (side(4)?, side(5)?, side(6)?, side(7)?) {
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
}

const COLLECTIONS: &str =
    "SELECT collection, count(*), min(start), max(finish), min(west), min(south), max(east), max(north),
         (SELECT href FROM result newest WHERE newest.collection = result.collection AND replaced = 0
          ORDER BY seq DESC LIMIT 1)
     FROM result WHERE replaced = 0";

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
        let (text, values) = statement(query);
        self.read(|state| {
            let mut prepared = state.prepare_cached(&text)?;
            let mut rows = prepared.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                if !more(stored(row)?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// How many items a query finds, wherever a page of them begins.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn count_items(&self, query: &ItemQuery) -> Result<u64> {
        let (text, values) = statement(&ItemQuery { after: None, ..query.clone() });
        let text = format!("SELECT count(*) FROM ({text})");
        self.read(|state| state.prepare_cached(&text)?.query_row(params_from_iter(values), |row| row.get(0)))
    }

    /// The collections of all items that stand.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn collections(&self) -> Result<Vec<StoredCollection>> {
        self.read(|state| {
            state
                .prepare_cached(&format!("{COLLECTIONS} GROUP BY collection ORDER BY collection"))?
                .query_map([], collection)?
                .collect()
        })
    }

    /// The collection with this id.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn collection(&self, id: &str) -> Result<Option<StoredCollection>> {
        self.read(|state| {
            state
                .prepare_cached(&format!("{COLLECTIONS} AND collection = ?1 GROUP BY collection"))?
                .query_row([id], collection)
                .optional()
        })
    }

    /// Whether items of a collection stand.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn has_collection(&self, id: &str) -> Result<bool> {
        self.read(|state| {
            state.prepare_cached("SELECT 1 FROM result WHERE collection = ?1 AND replaced = 0 LIMIT 1")?.exists([id])
        })
    }

    /// Whether items that a run wrote stand.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn has_results(&self, run: &str) -> Result<bool> {
        self.read(|state| {
            state.prepare_cached("SELECT 1 FROM result WHERE run = ?1 AND replaced = 0 LIMIT 1")?.exists([run])
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
        store.submit(&NewRun::asked(run, "w"), 0).unwrap();
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
        assert_eq!(store.collection("crops").unwrap().as_ref(), Some(&collections[0]));
        assert_eq!(store.collection("none").unwrap(), None);
        assert_eq!(["crops", "none"].map(|id| store.has_collection(id).unwrap()), [true, false]);
        assert_eq!(["r1", "r3"].map(|run| store.has_results(run).unwrap()), [true, false]);
        let query = ItemQuery { ids: vec!["i3".into(), "twin".into(), "i12".into()], ..ItemQuery::default() };
        assert_eq!(ids(&store, &query), ["twin", "i3"]);
        assert_eq!(store.count_items(&query).unwrap(), 2);
        assert_eq!(store.count_items(&ItemQuery { after, ..ItemQuery::default() }).unwrap(), 12);
    }

    #[test]
    fn a_page_is_read_in_order_and_nothing_is_sorted_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        let all: Vec<_> = (0..50).map(|n| result(&format!("i{n}"), Some(n * 100), "x")).collect();
        publish(&store, "r1", &all);
        let one = vec!["crops".to_owned()];
        let several = vec!["crops".to_owned(), "lakes".to_owned()];
        let (after, interval, bbox) = (Some((500, 3)), Some((0, 900)), Some([5.0, 45.0, 6.0, 46.0]));
        for (query, index) in [
            (ItemQuery::default(), "result_in_order"),
            (ItemQuery { after, ..ItemQuery::default() }, "result_in_order"),
            (ItemQuery { after, interval, bbox, ..ItemQuery::default() }, "result_in_order"),
            (ItemQuery { after, collections: several, ..ItemQuery::default() }, "result_in_order"),
            (ItemQuery { after, collections: one.clone(), ..ItemQuery::default() }, "result_of_collection"),
            (ItemQuery { interval, bbox, collections: one, ..ItemQuery::default() }, "result_of_collection"),
        ] {
            let (text, values) = statement(&query);
            let plan: Vec<String> = store
                .read(|state| {
                    state
                        .prepare(&format!("EXPLAIN QUERY PLAN {text}"))?
                        .query_map(params_from_iter(values), |row| row.get(3))?
                        .collect()
                })
                .unwrap();
            let plan = plan.join("; ");
            assert!(plan.contains(index) && !plan.contains("ORDER BY"), "{query:?}: {plan}");
        }
    }

    #[test]
    fn a_box_leaves_out_what_cannot_touch_it_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).unwrap();
        let placed = |id: &str, bbox| NewResult { bbox, ..result(id, None, "x") };
        let results = [
            placed("alps", Some([5.0, 45.0, 6.0, 46.0])),
            placed("fiji", Some([177.0, -20.0, -178.0, -15.0])),
            placed("nowhere", None),
        ];
        publish(&store, "r1", &results);
        let within = |bbox| {
            let mut found = ids(&store, &ItemQuery { bbox: Some(bbox), ..ItemQuery::default() });
            found.sort();
            found
        };
        assert_eq!(within([6.0, 46.0, 7.0, 47.0]), ["alps", "nowhere"], "touching counts");
        assert_eq!(within([6.1, 45.0, 7.0, 46.0]), ["nowhere"]);
        assert_eq!(within([179.0, -18.0, 179.5, -16.0]), ["fiji", "nowhere"]);
        assert_eq!(within([170.0, -18.0, -170.0, -16.0]), ["fiji", "nowhere"]);
        assert_eq!(within([-180.0, -90.0, 180.0, 90.0]), ["alps", "fiji", "nowhere"]);
    }
}
