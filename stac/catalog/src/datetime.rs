//! Dates of items and of requests; never taken from ids.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

use crate::{CatalogError, Result};

/// Reads a datetime as catalogs write it: RFC 3339, with a space for the `T`, without a zone (then UTC), or
/// a date alone (then midnight UTC).
pub fn parse_datetime(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(datetime) = DateTime::parse_from_rfc3339(text) {
        return Some(datetime.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z"] {
        if let Ok(datetime) = DateTime::parse_from_str(text, format) {
            return Some(datetime.with_timezone(&Utc));
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(datetime) = NaiveDateTime::parse_from_str(text, format) {
            return Some(datetime.and_utc());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

/// RFC 3339 in UTC, with as many decimals as needed.
pub fn format_datetime(datetime: DateTime<Utc>) -> String {
    datetime.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The day at a place by the sun: UTC moved by 15 degrees of longitude per hour.
///
/// Granules of one overpass can lie on both sides of midnight UTC; by the sun they share a day.
pub fn solar_day(datetime: DateTime<Utc>, longitude: f64) -> NaiveDate {
    let wrapped = (longitude + 180.0).rem_euclid(360.0) - 180.0;
    let seconds = if wrapped.is_finite() { (wrapped / 15.0 * 3600.0).round() as i64 } else { 0 };
    datetime.checked_add_signed(Duration::seconds(seconds)).unwrap_or(datetime).date_naive()
}

/// A closed interval of time; an open end is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// First moment, or open.
    pub start: Option<DateTime<Utc>>,
    /// Last moment, or open.
    pub end: Option<DateTime<Utc>>,
}

impl Interval {
    /// Reads `2021-03-01/2021-10-31`, `2021`, `2021-05`, `../2021-10-31` or one datetime.
    ///
    /// A year, month or day stands for all of it, so `2021-10-31` ends just before November.
    ///
    /// # Errors
    /// Text that is none of these, or an interval that ends before it starts.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || CatalogError::Request {
            field: "datetime",
            value: text.to_owned(),
            expected: "a day, month, year or RFC 3339 datetime, or two of them as start/end, `..` for an open end",
        };
        let (first, last) = text.trim().split_once('/').unwrap_or((text, text));
        let open = |part: &str| matches!(part.trim(), "" | "..");
        let start = if open(first) { None } else { Some(span(first).ok_or_else(bad)?.0) };
        let end = if open(last) { None } else { Some(span(last).ok_or_else(bad)?.1) };
        if start.is_none() && end.is_none() {
            return Err(bad());
        }
        if matches!((start, end), (Some(a), Some(b)) if a > b) {
            return Err(CatalogError::Reversed { value: text.to_owned() });
        }
        Ok(Self { start, end })
    }

    /// Whether the two share a moment.
    pub fn overlaps(&self, other: &Self) -> bool {
        let before = |end: Option<DateTime<Utc>>, start: Option<DateTime<Utc>>| matches!((end, start), (Some(end), Some(start)) if end < start);
        !before(self.end, other.start) && !before(other.end, self.start)
    }

    /// As a STAC API wants it.
    pub fn to_query(&self) -> String {
        let part = |moment: Option<DateTime<Utc>>| moment.map_or_else(|| "..".to_owned(), format_datetime);
        format!("{}/{}", part(self.start), part(self.end))
    }
}

/// First and last moment that a text stands for.
fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let text = text.trim();
    let first = |year: i32, month: u32, day: u32| {
        Some(NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(0, 0, 0)?.and_utc())
    };
    let until = |next: DateTime<Utc>| next - Duration::milliseconds(1);
    let parts = || text.split('-').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    match text.len() {
        4 => {
            let year = text.parse::<i32>().ok().filter(|year| (1..9999).contains(year))?;
            Some((first(year, 1, 1)?, until(first(year + 1, 1, 1)?)))
        }
        7 => {
            let [year, month] = parts()?.try_into().ok()?;
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            Some((first(year as i32, month, 1)?, until(first(next_year as i32, next_month, 1)?)))
        }
        10 => {
            let start = parse_datetime(text)?;
            Some((start, until(start.checked_add_signed(Duration::days(1))?)))
        }
        _ => parse_datetime(text).map(|moment| (moment, moment)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_ends_before_it_starts_is_told_so() {
        let error = Interval::parse("2021-10-31/2021-03-01").unwrap_err();
        assert_eq!(error.to_string(), "datetime `2021-10-31/2021-03-01` ends before it starts");
        assert!(error.hint().unwrap().contains("earlier date first"));
    }

    #[test]
    fn datetimes_as_catalogs_write_them() {
        for text in [
            "2021-08-09T17:39:53.5Z",
            "2021-08-09 17:39:53.500000+00:00",
            "2021-08-09T19:39:53.5+02:00",
            "2021-08-09T17:39:53.5",
            "2021-08-09T17:39:53.500+0000",
        ] {
            assert_eq!(format_datetime(parse_datetime(text).unwrap()), "2021-08-09T17:39:53.500Z", "{text}");
        }
        assert_eq!(format_datetime(parse_datetime("2015-07-10").unwrap()), "2015-07-10T00:00:00Z");
        assert_eq!(parse_datetime("20150710T101006"), None);
    }

    #[test]
    fn a_day_month_or_year_is_all_of_it() {
        let year = Interval::parse("2021").unwrap();
        assert_eq!(year.to_query(), "2021-01-01T00:00:00Z/2021-12-31T23:59:59.999Z");
        assert_eq!(
            Interval::parse("2020-02/2020-12").unwrap().to_query(),
            "2020-02-01T00:00:00Z/2020-12-31T23:59:59.999Z"
        );
        let evening =
            Interval { start: parse_datetime("2021-10-31T22:00:00Z"), end: parse_datetime("2021-10-31T22:00:00Z") };
        assert!(Interval::parse("2021-03-01/2021-10-31").unwrap().overlaps(&evening));
        assert!(!Interval::parse("../2021-10-30").unwrap().overlaps(&evening));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "..", "../..", "2021-13", "2021-10-31/2021-01-01", "yesterday", "9999-12-31T23:59:60Z/x", "99999999"]
        {
            assert!(Interval::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn granules_of_one_overpass_share_a_solar_day() {
        let late = parse_datetime("2023-06-02T00:07:37Z").unwrap();
        assert_eq!(solar_day(late, -179.0).to_string(), "2023-06-01");
        assert_eq!(solar_day(late, 181.0).to_string(), "2023-06-01");
        assert_eq!(solar_day(late, 14.0).to_string(), "2023-06-02");
    }
}
