//! `folder.watch`: files that appear in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_catalog::{Interval, Item, Root};

use super::{
    Found, Grouping, Kind, Look, Looking, Problem, RunRule, Seen, Source, Trigger, duration::Span, group::Group,
    select::Select,
};
use crate::{Millis, json_file};

/// Most files that a look goes through; of more it says so.
const MOST_FILES: usize = 100_000;
/// Deepest folder below the watched one.
const DEEPEST: usize = 16;

/// Settings of `folder.watch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The folder; what lies in folders below it counts, hidden files do not.
    #[schemars(extend("format" = "path"))]
    path: PathBuf,
    /// How long from one look to the next.
    #[serde(default = "ten_seconds")]
    every: Span,
    /// Which names count: STAC items as `*.json`, or other files as `*.tif`. `*` stands for any text, `?` for a letter.
    #[serde(default = "json_files")]
    names: String,
    /// How long a file has to lie unchanged: one that is still being written is left alone.
    #[serde(default = "two_seconds")]
    quiet: Span,
    /// Which items are wanted.
    #[serde(default)]
    select: Select,
    /// How they are gathered.
    #[serde(default)]
    group: Group,
    /// What the run is given.
    run: RunRule,
}

fn ten_seconds() -> Span {
    Span(10_000)
}

fn two_seconds() -> Span {
    Span(2_000)
}

fn json_files() -> String {
    "*.json".to_owned()
}

pub(crate) struct FolderWatch;

impl Kind for FolderWatch {
    const NAME: &'static str = "folder.watch";
    const SUMMARY: &'static str = "Looks again and again for new files in a folder";
    const DOC: &'static str = "\
Files whose name ends in `.json` are read as STAC items; any other JSON is passed over. Other files are events of their \
own, known by path, size and time of change. It asks the folder and not the kernel, so it works on network drives too.";
    const EXAMPLE: &'static str = "\
incoming:
  uses: folder.watch
  with: {path: incoming, names: \"*.json\", run: {items: catalog, out: out}}
";
    type Settings = Settings;

    fn make(settings: Settings, folder: &Path) -> Result<Trigger, Problem> {
        let select = settings.select.matcher("/select", folder)?;
        let items = settings.names.to_ascii_lowercase().ends_with(".json");
        if settings.every.0 < 1 {
            return Err(Problem::new("/every", "without a pause nothing else would be done").expected("`1s` or more"));
        }
        let (wanted, other) = if items { ("items", "file") } else { ("file", "items") };
        let given = if items { &settings.run.file } else { &settings.run.items };
        if given.is_some() {
            let message = format!("`{}` brings no {other}", settings.names);
            return Err(Problem::new(format!("/run/{other}"), message).expected(format!("`run.{wanted}`")));
        }
        let group = if items { settings.group.grouping(select.collections())? } else { Grouping::alone() };
        settings.run.complete(group.rule())?;
        let source = Watch {
            path: folder.join(settings.path),
            every: settings.every.0,
            quiet: Duration::from_millis(settings.quiet.0.unsigned_abs()),
            names: settings.names,
            items,
            seen: Mutex::default(),
        };
        Ok(Trigger { source: Box::new(source), select, group, run: settings.run })
    }
}

struct Watch {
    path: PathBuf,
    every: Millis,
    quiet: Duration,
    names: String,
    items: bool,
    /// Files that the state took as they are.
    seen: Mutex<Seen>,
}

impl Source for Watch {
    fn next(&self, last: Option<Millis>, now: Millis) -> Option<Millis> {
        Some(last.map_or(now, |last| last.saturating_add(self.every)))
    }

    fn look(&self, at: &Looking<'_>) -> Result<Look, String> {
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.scan(&known, MOST_FILES, at)
    }

    fn root(&self) -> Option<Root> {
        Root::of(&self.path.display().to_string()).ok()
    }

    fn taken(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// What lies there is looked at each time anyway; of a period the items of that time are taken.
    fn backfill(&self, period: &Interval, at: &Looking<'_>) -> Result<Look, String> {
        let mut look = self.scan(&Seen::new(), MOST_FILES, at)?;
        look.found.retain(|found| match found {
            Found::Item(item) => item
                .interval()
                .is_some_and(|(start, end)| period.overlaps(&Interval { start: Some(start), end: Some(end) })),
            _ => true,
        });
        Ok(look)
    }
}

impl Watch {
    /// Goes through the folder, and reads what is not known as it is.
    fn scan(&self, known: &Seen, most: usize, at: &Looking<'_>) -> Result<Look, String> {
        let (mut files, mut look) = (Vec::new(), Look::default());
        let whole = self.walk(&self.path, 0, (&mut files, most));
        if !whole.map_err(|error| format!("cannot read {}: {error}", self.path.display()))? {
            let reason = format!("more than {most} files lie here, and the others are not seen: take out what is done");
            look.skipped.push((self.path.display().to_string(), reason));
        }
        files.sort();
        for path in files {
            if (at.stop)() {
                return Err("the service ends".to_owned());
            }
            // A file that goes away meanwhile is no news.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            // A clock that went back makes a file of the future, which is as quiet as any.
            if changed.elapsed().is_ok_and(|age| age < self.quiet) {
                continue;
            }
            let state = (metadata.len(), changed);
            if known.get(&path) == Some(&state) {
                look.seen.insert(path, state);
                continue;
            }
            if self.items {
                match read_item(&path) {
                    Ok(Some(item)) => look.found.push(Found::Item(Box::new(item))),
                    Ok(None) => {}
                    Err(reason) => {
                        look.skipped.push((path.display().to_string(), reason));
                        continue;
                    }
                }
            } else {
                let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let content = format!("{} {}", metadata.len(), since.as_nanos());
                look.found.push(Found::File { path: path.clone(), content });
            }
            look.seen.insert(path, state);
        }
        Ok(look)
    }

    /// Files whose names fit; whether these are all.
    fn walk(&self, folder: &Path, depth: usize, (files, most): (&mut Vec<PathBuf>, usize)) -> std::io::Result<bool> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            // A link is followed to a file and not to a folder, which may lead round in circles.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if depth < DEEPEST && !self.walk(&entry.path(), depth + 1, (files, most))? {
                    return Ok(false);
                }
            } else if fits(&name, &self.names) {
                if files.len() >= most {
                    return Ok(false);
                }
                files.push(entry.path());
            }
        }
        Ok(true)
    }
}

/// The item in a file; nothing where the file holds other JSON.
fn read_item(path: &Path) -> Result<Option<Item>, String> {
    let value = json_file::read_small(path).map_err(|reason| reason.to_string())?;
    if value.get("type").and_then(Value::as_str) != Some("Feature") || value.get("assets").is_none() {
        return Ok(None);
    }
    json_file::item(value, path).map(Some).map_err(|reason| reason.to_string())
}

/// Whether a name fits a pattern with `*` and `?`.
fn fits(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last `*` stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(of) {
            Some('*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[at] => {
                at += 1;
                of += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (of, at) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_their_patterns() {
        for (name, pattern, expected) in [
            ("a.json", "*.json", true),
            ("a.JSON", "*.json", false),
            ("S2A_T32.tif", "S2?_*.tif", true),
            ("S2_T32.tif", "S2?_*.tif", false),
            ("abcabd", "*ab?", true),
            ("abc", "*", true),
            ("", "*", true),
            ("abc", "abc?", false),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }

    /// A watch of items in a folder.
    fn watch(path: &Path) -> Watch {
        Watch {
            path: path.to_owned(),
            every: 1,
            quiet: Duration::ZERO,
            names: "*.json".into(),
            items: true,
            seen: Mutex::default(),
        }
    }

    fn write(path: &Path, id: &str) {
        let item = serde_json::json!({"type": "Feature", "id": id, "links": [], "geometry": null,
            "properties": {"datetime": "2021-03-01T00:00:00Z"}, "assets": {}});
        fs::write(path, item.to_string()).unwrap();
    }

    #[test]
    fn a_file_that_the_state_took_is_read_again_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let watch = watch(folder.path());
        let select = crate::trigger::Matcher::default();
        let at = Looking { cursor: None, now: 0, select: &select, stop: &|| false };
        write(&folder.path().join("a.json"), "a");
        write(&folder.path().join("b.json"), "b");
        fs::write(folder.path().join("broken.json"), "{").unwrap();
        // Whatever the state did not take is found again.
        assert_eq!(watch.look(&at).unwrap().found.len(), 2);
        let look = watch.look(&at).unwrap();
        assert_eq!((look.found.len(), look.skipped.len()), (2, 1));
        watch.taken(look.seen);
        let look = watch.look(&at).unwrap();
        assert_eq!((look.found.len(), look.skipped.len()), (0, 1), "what is broken is told as long as it lies there");
        watch.taken(look.seen);
        write(&folder.path().join("a.json"), "another");
        let look = watch.look(&at).unwrap();
        assert!(matches!(&look.found[..], [Found::Item(item)] if item.id() == "another"));
        watch.taken(look.seen);
        assert!(watch.look(&at).unwrap().found.is_empty());
        let all = watch.backfill(&Interval::parse("2021").unwrap(), &at).unwrap();
        assert_eq!(all.found.len(), 2, "a back-fill takes what there is");
    }

    #[test]
    fn what_is_too_much_to_be_seen_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let watch = watch(folder.path());
        let select = crate::trigger::Matcher::default();
        let at = Looking { cursor: None, now: 0, select: &select, stop: &|| false };
        for name in ["a.json", "b.json", "c.tif", "d.tif"] {
            write(&folder.path().join(name), name);
        }
        let look = watch.scan(&Seen::new(), 2, &at).unwrap();
        assert_eq!((look.found.len(), look.skipped.len()), (2, 0), "only names that fit count");
        let look = watch.scan(&Seen::new(), 1, &at).unwrap();
        assert_eq!(look.found.len(), 1);
        assert!(look.skipped[0].1.contains("more than 1 files"), "{:?}", look.skipped);
    }
}
