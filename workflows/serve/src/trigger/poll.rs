//! `stac.poll`: items of a STAC API or a static catalog, looked for again and again.

use std::path::Path;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use skysense_catalog::{
    CatalogError, Http, Interval, Item, Root, SearchOutcome, SearchRequest, format_datetime, parse_datetime, search,
};

use super::{
    Found, Kind, Look, Looking, Problem, RunRule, Source, Trigger, duration::Span, group::Group, select::Select,
};
use crate::Millis;

/// Looks in a row that do not move on because something could not be read; then it moves on without it.
const MOST_HELD: u32 = 8;

const DAY: Millis = 86_400_000;

/// By which time of an item news are told from what is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum By {
    /// When the catalog last touched the item.
    #[default]
    Updated,
    /// When the catalog got the item.
    Created,
    /// When the scene was taken.
    Datetime,
}

impl By {
    fn property(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Created => "created",
            Self::Datetime => "datetime",
        }
    }
}

/// Settings of `stac.poll`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Path or URL of a catalog, collection, item collection or STAC API.
    #[schemars(extend("format" = "uri-reference"))]
    href: String,
    /// How long from one look to the next, as `15m`.
    every: Span,
    /// By which time news are told from what is known: items that do not say theirs are always looked at.
    #[serde(default)]
    by: By,
    /// How far before the latest known item a look begins, since catalogs list items late.
    #[serde(default = "two_days")]
    overlap: Span,
    /// Where the first look begins, a datetime; everything there is if left out.
    since: Option<String>,
    /// How servers are asked.
    #[serde(default)]
    http: Http,
    /// Which items are wanted.
    #[serde(default)]
    select: Select,
    /// How they are gathered.
    #[serde(default)]
    group: Group,
    /// What the run is given.
    run: RunRule,
}

fn two_days() -> Span {
    Span(2 * 86_400_000)
}

pub(crate) struct StacPoll;

impl Kind for StacPoll {
    const NAME: &'static str = "stac.poll";
    const SUMMARY: &'static str = "Looks again and again for new items of a STAC API or a static catalog";
    const DOC: &'static str = "\
Each look asks for items whose `by` is not older than the latest one that is known, less `overlap`, so that items which \
a catalog lists late are found; what was found before is known by its content and changes nothing. How far it has looked \
is written together with what was found. Where a document could not be read, the next look begins where this one did, \
eight times at most.";
    const EXAMPLE: &'static str = "\
new-scenes:
  uses: stac.poll
  with:
    href: https://example.org/stac/v1
    every: 15m
    select: {collections: [sentinel-2-l2a, sentinel-1-rtc], cloud_cover: 60}
    group: {by: week, needs: [sentinel-2-l2a, sentinel-1-rtc], settle: 6h, timeout: 14d}
    run: {items: catalog, out: out}
";
    type Settings = Settings;

    fn make(settings: Settings, folder: &Path) -> Result<Trigger, Problem> {
        let select = settings.select.matcher("/select", folder)?;
        let since = settings.since.as_deref().map(|text| {
            let bad = || Problem::new("/since", format!("`{text}` is no datetime")).expected("RFC 3339, or a date");
            parse_datetime(text).ok_or_else(bad)
        });
        if settings.every.0 < 1 {
            return Err(Problem::new("/every", "without a pause nothing else would be done").expected("`1s` or more"));
        }
        let mut probe = SearchRequest::new(&settings.href);
        probe.http = settings.http.clone();
        probe.check().map_err(|error| Problem::new("/href", error.to_string()))?;
        let group = settings.group.grouping(select.collections())?;
        settings.run.complete(group.rule())?;
        let source = Poll {
            href: settings.href,
            every: settings.every.0,
            by: settings.by,
            overlap: settings.overlap.0,
            since: since.transpose()?,
            http: settings.http,
        };
        Ok(Trigger { source: Box::new(source), select, group, run: settings.run })
    }
}

struct Poll {
    href: String,
    every: Millis,
    by: By,
    overlap: Millis,
    since: Option<DateTime<Utc>>,
    http: Http,
}

impl Source for Poll {
    fn next(&self, last: Option<Millis>, now: Millis) -> Option<Millis> {
        Some(last.map_or(now, |last| last.saturating_add(self.every)))
    }

    fn root(&self) -> Option<Root> {
        Root::of(&self.href).ok()
    }

    fn look(&self, at: &Looking<'_>) -> Result<Look, String> {
        let cursor = at.cursor.and_then(|cursor| parse_datetime(cursor.get("at")?.as_str()?));
        let held = at.cursor.and_then(|cursor| cursor.get("held")?.as_u64()).unwrap_or(0) as u32;
        let overlap = chrono::Duration::milliseconds(self.overlap);
        let start = cursor.and_then(|at| at.checked_sub_signed(overlap)).or(self.since);
        let number = |name: &str| at.cursor.and_then(|cursor| cursor.get(name)?.as_i64()).unwrap_or(0);
        let (known, since) = (number("way") as usize, number("way_since"));
        // A server that failed for another reason is asked well again, a day later.
        let first = if at.now.saturating_sub(since) < DAY { known } else { 0 };
        let (outcome, way) = self.ask(start, first, at)?;
        let since = if way == known && first == known { since } else { at.now };
        let latest = outcome.items.iter().filter_map(|item| self.time(item)).max();
        // Of a date far ahead no later look would see anything: news are never older than now.
        let now = DateTime::from_timestamp_millis(at.now).unwrap_or_default();
        let latest = latest.map(|latest| latest.min(now));
        let skipped: Vec<_> =
            outcome.skipped.into_iter().map(|skip| (skip.item.unwrap_or(skip.href), skip.reason)).collect();
        let (moved, held) =
            if skipped.is_empty() || held >= MOST_HELD { (latest.max(cursor), 0) } else { (cursor, held + 1) };
        let moved = moved.map(format_datetime);
        Ok(Look {
            found: outcome.items.into_iter().map(|item| Found::Item(Box::new(item))).collect(),
            cursor: Some(json!({"at": moved, "held": held, "way": way, "way_since": since})),
            skipped,
            ..Look::default()
        })
    }

    fn backfill(&self, period: &Interval, at: &Looking<'_>) -> Result<Look, String> {
        let mut request = at.select.request(&self.href, Some(period), None)?;
        request.http = self.http.clone();
        let outcome = search(&request, at.stop).map_err(|error| error.to_string())?;
        Ok(Look {
            found: outcome.items.into_iter().map(|item| Found::Item(Box::new(item))).collect(),
            skipped: outcome.skipped.into_iter().map(|skip| (skip.item.unwrap_or(skip.href), skip.reason)).collect(),
            ..Look::default()
        })
    }
}

/// How a server is asked for news: in the ways of CQL2 that servers take `updated` in, and last without.
const WAYS: [Way; 3] = [Way::Moment, Way::Text, Way::All];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As a moment, which is what it is.
    Moment,
    /// As text, for servers that know no type of it and fail where it meets a moment.
    Text,
    /// Not at all: what is known already is known by its content.
    All,
}

impl Poll {
    /// Asks for what is not older than a moment, first in the way that did before; gives the one that did now.
    fn ask(
        &self,
        start: Option<DateTime<Utc>>,
        first: usize,
        at: &Looking<'_>,
    ) -> Result<(SearchOutcome, usize), String> {
        let mut refusal = String::new();
        for (number, way) in WAYS.into_iter().enumerate().skip(first.min(WAYS.len() - 1)) {
            let mut request = self.request(start, way, at)?;
            request.http = self.http.clone();
            let asks_all = start.is_none() || self.by == By::Datetime || way == Way::All;
            match search(&request, at.stop) {
                Ok(outcome) => return Ok((outcome, if start.is_none() { first } else { number })),
                // The server understood that something was asked for, and not what.
                Err(error @ CatalogError::Http { status: Some(400 | 404 | 405 | 422 | 500 | 501), .. })
                    if !asks_all =>
                {
                    tracing::debug!("asking in another way: {error}");
                    refusal = error.to_string();
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(refusal)
    }

    fn request(&self, start: Option<DateTime<Utc>>, way: Way, at: &Looking<'_>) -> Result<SearchRequest, String> {
        let Some(start) = start else { return at.select.request(&self.href, None, None) };
        if self.by == By::Datetime {
            return at.select.request(&self.href, Some(&Interval { start: Some(start), end: None }), None);
        }
        let name = self.by.property();
        // Texts are compared letter by letter: a whole second before, so that parts of a second do not matter.
        let before = start - chrono::Duration::seconds(1);
        let filter = match way {
            Way::Moment => Some(format!("{name} >= TIMESTAMP('{}') OR {name} IS NULL", format_datetime(start))),
            Way::Text => Some(format!("{name} >= '{}' OR {name} IS NULL", before.format("%Y-%m-%dT%H:%M:%SZ"))),
            Way::All => None,
        };
        at.select.request(&self.href, None, filter.as_deref())
    }

    /// The time of an item that news are told by.
    fn time(&self, item: &Item) -> Option<DateTime<Utc>> {
        match self.by {
            By::Datetime => item.interval().map(|(start, _)| start),
            by => item.property(by.property()).as_str().and_then(parse_datetime),
        }
    }
}
