//! `folder.watch`: files that appear in a folder.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_catalog::{Interval, Item, Root};

use super::{
    Found, Grouping, Kind, Look, Looking, Problem, RunRule, Source, Trigger, duration::Span, group::Group,
    select::Select,
};
use crate::Millis;

/// Largest item that is read, in bytes.
const LARGEST_ITEM: u64 = 16 << 20;
/// Most files that one look takes in; the next one finds the others.
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
}

impl Source for Watch {
    fn next(&self, last: Option<Millis>, now: Millis) -> Option<Millis> {
        Some(last.map_or(now, |last| last.saturating_add(self.every)))
    }

    fn look(&self, at: &Looking<'_>) -> Result<Look, String> {
        let mut files = Vec::new();
        walk(&self.path, 0, &mut files).map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        files.sort();
        let mut look = Look::default();
        for path in files {
            if (at.stop)() {
                return Err("the service ends".to_owned());
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !fits(&name, &self.names) {
                continue;
            }
            // A file that goes away meanwhile is no news.
            let Ok(known) = fs::metadata(&path) else { continue };
            let changed = known.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            // A clock that went back makes a file of the future, which is as quiet as any.
            if changed.elapsed().is_ok_and(|age| age < self.quiet) {
                continue;
            }
            if self.items {
                match read_item(&path, known.len()) {
                    Ok(Some(item)) => look.found.push(Found::Item(Box::new(item))),
                    Ok(None) => {}
                    Err(reason) => look.skipped.push((path.display().to_string(), reason)),
                }
            } else {
                let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let content = format!("{} {}", known.len(), since.as_nanos());
                look.found.push(Found::File { path, content });
            }
        }
        Ok(look)
    }

    /// What lies there is looked at each time anyway; of a period the items of that time are taken.
    fn backfill(&self, period: &Interval, at: &Looking<'_>) -> Result<Look, String> {
        let mut look = self.look(at)?;
        look.found.retain(|found| match found {
            Found::Item(item) => item
                .interval()
                .is_some_and(|(start, end)| period.overlaps(&Interval { start: Some(start), end: Some(end) })),
            _ => true,
        });
        Ok(look)
    }
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') || files.len() >= MOST_FILES {
            continue;
        }
        // A link is followed to a file and not to a folder, which may lead round in circles.
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEEPEST {
            walk(&entry.path(), depth + 1, files)?;
        } else if !kind.is_dir() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The item in a file; nothing where the file holds other JSON.
fn read_item(path: &Path, size: u64) -> Result<Option<Item>, String> {
    if size > LARGEST_ITEM {
        return Err(format!("{size} bytes are more than an item has"));
    }
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(LARGEST_ITEM).read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("no JSON: {error}"))?;
    if value.get("type").and_then(Value::as_str) != Some("Feature") || value.get("assets").is_none() {
        return Ok(None);
    }
    let root = Root::of(&path.display().to_string()).map_err(|error| error.to_string())?;
    Item::from_json(value, &path.display().to_string(), root).map(Some).map_err(|error| error.to_string())
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
}
