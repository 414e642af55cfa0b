//! The five fields of cron: minute, hour, day, month, weekday, in UTC.

use chrono::{DateTime, Datelike, Duration, Timelike, Utc};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Days that are looked through for the next one: a 29 February is at most eight years away.
const FAR: i64 = 366 * 9;

/// Moments that come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Where both are narrowed, a day that fits one of them fits.
    either: bool,
}

impl Cron {
    /// Reads `*/15 6-18 * * mon-fri`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("it has {} fields, and not minute, hour, day, month, weekday", fields.len()));
        };
        let weekdays = field(weekday, "weekday", (0, 7), &DAYS, 0)?;
        let cron = Self {
            minutes: field(minute, "minute", (0, 59), &[], 0)?,
            hours: field(hour, "hour", (0, 23), &[], 0)?,
            days: field(day, "day", (1, 31), &[], 0)?,
            months: field(month, "month", (1, 12), &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match cron.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err("no day is ever like that".to_owned()),
        }
    }

    /// The first moment behind this one.
    pub(crate) fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = moment.with_second(0)?.with_nanosecond(0)?.checked_add_signed(Duration::minutes(1))?;
        let mut day = start.date_naive();
        for ahead in 0..FAR {
            if self.fits_day(day) {
                let first = if ahead == 0 { start.hour() * 60 + start.minute() } else { 0 };
                let fits =
                    |minute: &u32| self.hours >> (minute / 60) & 1 == 1 && self.minutes >> (minute % 60) & 1 == 1;
                if let Some(minute) = (first..24 * 60).find(fits) {
                    return Some(day.and_hms_opt(minute / 60, minute % 60, 0)?.and_utc());
                }
            }
            day = day.succ_opt()?;
        }
        None
    }

    fn fits_day(&self, day: chrono::NaiveDate) -> bool {
        let date = self.days >> day.day() & 1 == 1;
        let weekday = self.weekdays >> day.weekday().num_days_from_sunday() & 1 == 1;
        let fits = if self.either { date || weekday } else { date && weekday };
        self.months >> day.month() & 1 == 1 && fits
    }
}

/// The values of a field as bits.
fn field(text: &str, what: &str, (least, most): (u32, u32), names: &[&str], first: u32) -> Result<u64, String> {
    let value = |text: &str| -> Result<u32, String> {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name)).map(|at| at as u32 + first);
        let number = named.or_else(|| text.parse().ok()).filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("`{text}` is no {what} of {least} to {most}"))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse::<u32>().ok().filter(|step| (1..=most).contains(step));
                (range, step.ok_or_else(|| format!("`{part}` has no step of 1 to {most}"))?)
            }
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (value(from)?, value(to)?),
            None if part.contains('/') => (value(range)?, most),
            None => (value(range)?, value(range)?),
        };
        if from > to {
            return Err(format!("`{part}` ends before it begins"));
        }
        (from..=to).step_by(step as usize).for_each(|value| bits |= 1_u64 << value);
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, from: &str) -> String {
        let from = DateTime::parse_from_rfc3339(from).unwrap().with_timezone(&Utc);
        Cron::parse(cron).unwrap().after(from).unwrap().format("%Y-%m-%dT%H:%M %a").to_string()
    }

    #[test]
    fn the_next_moment_is_what_cron_says() {
        for (cron, from, expected) in [
            ("* * * * *", "2026-02-03T10:11:12Z", "2026-02-03T10:12 Tue"),
            ("*/15 * * * *", "2026-02-03T10:45:00Z", "2026-02-03T11:00 Tue"),
            ("0 6 * * *", "2026-02-03T06:00:00Z", "2026-02-04T06:00 Wed"),
            ("30 4 1 * *", "2026-12-31T23:59:59Z", "2027-01-01T04:30 Fri"),
            ("0 0 29 feb *", "2026-03-01T00:00:00Z", "2028-02-29T00:00 Tue"),
            ("0 12 * * mon-fri", "2026-02-06T12:00:00Z", "2026-02-09T12:00 Mon"),
            ("0 12 * * 7", "2026-02-06T12:00:00Z", "2026-02-08T12:00 Sun"),
            // Both narrowed: either fits.
            ("0 0 13 * fri", "2026-02-07T00:00:00Z", "2026-02-13T00:00 Fri"),
            ("0 0 10 * fri", "2026-02-07T00:00:00Z", "2026-02-10T00:00 Tue"),
            ("5/20 1,3 * JAN *", "2026-01-31T03:45:00Z", "2027-01-01T01:05 Fri"),
        ] {
            assert_eq!(next(cron, from), expected, "{cron} after {from}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_named() {
        for (text, words) in [
            ("* * * *", "4 fields"),
            ("60 * * * *", "`60` is no minute"),
            ("* * 31 2 *", "no day is ever"),
            ("*/0 * * * *", "no step"),
            ("9-5 * * * *", "ends before"),
            ("* * * moon *", "`moon` is no month"),
            ("", "0 fields"),
            ("-1 * * * *", "`` is no minute"),
        ] {
            let error = Cron::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
