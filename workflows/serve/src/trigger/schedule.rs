//! `schedule`: moments that come again.

use std::path::Path;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use skysense_catalog::{Interval, format_datetime, parse_datetime};

use super::{Found, Grouping, Kind, Look, Looking, Matcher, Problem, RunRule, Source, Trigger, cron::Cron};
use crate::Millis;

/// Most moments that one look takes up: every minute of a month and a half.
const MOST: usize = 65_536;

/// What becomes of moments that passed while nothing was served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Missed {
    /// The last of them is made up for.
    #[default]
    One,
    /// All are made up for.
    All,
    /// None is.
    None,
}

/// Settings of `schedule`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Minute, hour, day, month and weekday as cron writes them, in UTC: `0 6 * * mon`.
    cron: String,
    /// What becomes of moments that passed while nothing was served.
    #[serde(default)]
    missed: Missed,
    /// What the run is given.
    #[serde(default)]
    run: RunRule,
}

pub(crate) struct Schedule;

impl Kind for Schedule {
    const NAME: &'static str = "schedule";
    const SUMMARY: &'static str = "Runs at moments that come again";
    const DOC: &'static str = "\
Each moment is an event of its own and runs once, whenever the service comes to it. `run.period` and `run.key` get the \
moment.";
    const EXAMPLE: &'static str = "\
monday:
  uses: schedule
  with: {cron: \"0 6 * * mon\", run: {out: out}}
";
    type Settings = Settings;

    fn make(settings: Settings, _: &Path) -> Result<Trigger, Problem> {
        let cron = Cron::parse(&settings.cron).map_err(|message| {
            Problem::new("/cron", format!("`{}` is no schedule: {message}", settings.cron)).expected("as `0 6 * * mon`")
        })?;
        if settings.run.items.is_some() || settings.run.file.is_some() {
            return Err(Problem::new("/run", "a moment brings neither items nor files"));
        }
        let group = Grouping::alone();
        settings.run.complete(group.rule())?;
        let source = Moments { cron, missed: settings.missed };
        Ok(Trigger { source: Box::new(source), select: Matcher::default(), group, run: settings.run })
    }
}

struct Moments {
    cron: Cron,
    missed: Missed,
}

impl Source for Moments {
    fn next(&self, last: Option<Millis>, now: Millis) -> Option<Millis> {
        // The first look only notes where the schedule begins.
        let Some(last) = last else { return Some(now) };
        self.cron.after(DateTime::from_timestamp_millis(last)?).map(|next| next.timestamp_millis())
    }

    fn look(&self, at: &Looking<'_>) -> Result<Look, String> {
        let now = DateTime::from_timestamp_millis(at.now).ok_or("the clock is wrong")?;
        let last = at.cursor.and_then(|cursor| parse_datetime(cursor.get("at")?.as_str()?));
        let passed = match last {
            Some(last) => self.between(last, now),
            None => Vec::new(),
        };
        let fresh = |moment: &DateTime<Utc>| now - *moment < chrono::Duration::minutes(2);
        let found: Vec<DateTime<Utc>> = match self.missed {
            Missed::All => passed,
            Missed::One => passed.last().copied().into_iter().collect(),
            Missed::None => passed.last().copied().filter(fresh).into_iter().collect(),
        };
        // A clock that went back does not bring moments again that had been.
        let cursor = format_datetime(last.map_or(now, |last| last.max(now)));
        Ok(Look {
            found: found.into_iter().map(Found::Moment).collect(),
            cursor: Some(json!({"at": cursor})),
            ..Look::default()
        })
    }

    fn backfill(&self, period: &Interval, at: &Looking<'_>) -> Result<Look, String> {
        let now = DateTime::from_timestamp_millis(at.now).ok_or("the clock is wrong")?;
        let start = period.start.ok_or("a schedule has no first moment: name the start of the period")?;
        let before = start - chrono::Duration::seconds(1);
        let end = period.end.unwrap_or(now).min(now);
        Ok(Look { found: self.between(before, end).into_iter().map(Found::Moment).collect(), ..Look::default() })
    }
}

impl Moments {
    /// The moments behind one and up to another.
    fn between(&self, after: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let next = |from: &DateTime<Utc>| self.cron.after(*from).filter(|next| *next <= to);
        std::iter::successors(next(&after), next).take(MOST).collect()
    }
}
