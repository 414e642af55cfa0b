//! Periods: intervals of which each makes one map.

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, SecondsFormat, TimeZone, Utc};
use skysense_edges::Period;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// One period for all.
    All,
    /// Calendar months, counted from January of year 0.
    Months(u32),
    /// Days, counted from 2000-01-01, so that a new item never moves the others' periods.
    Days(u32),
}

impl Length {
    /// From `none` or an ISO 8601 duration of years, months, weeks or days: `P1Y`, `P1M`, `P2W`, `P10D`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::All);
        }
        let wrong = || format!("period {text:?} is none of `none`, `P1Y`, `P1M`, `P2W`, `P10D` and the like");
        let (count, unit) = text
            .strip_prefix('P')
            .and_then(|rest| rest.split_at_checked(rest.len().saturating_sub(1)))
            .ok_or_else(wrong)?;
        let count = count.parse::<u32>().ok().filter(|count| (1..=1200).contains(count)).ok_or_else(wrong)?;
        match unit {
            "Y" => Ok(Self::Months(12 * count)),
            "M" => Ok(Self::Months(count)),
            "W" => Ok(Self::Days(7 * count)),
            "D" => Ok(Self::Days(count)),
            _ => Err(wrong()),
        }
    }

    /// The period that a moment falls in; `None` for [`Length::All`], whose ends are those of the dates.
    fn interval(self, at: DateTime<Utc>) -> Option<(String, DateTime<Utc>, DateTime<Utc>)> {
        let midnight = |date: NaiveDate| Utc.from_utc_datetime(&date.and_hms_opt(0, 0, 0).unwrap_or_default());
        match self {
            Self::All => None,
            Self::Months(length) => {
                let month = i64::from(at.year()) * 12 + i64::from(at.month0());
                let first = month.div_euclid(i64::from(length)) * i64::from(length);
                let (year, month) = (i32::try_from(first.div_euclid(12)).ok()?, first.rem_euclid(12) as u32 + 1);
                let start = NaiveDate::from_ymd_opt(year, month, 1)?;
                let name = if length % 12 == 0 { format!("{year:04}") } else { format!("{year:04}-{month:02}") };
                Some((name, midnight(start), midnight(start.checked_add_months(Months::new(length))?)))
            }
            Self::Days(length) => {
                let origin = NaiveDate::from_ymd_opt(2000, 1, 1)?;
                let days = (at.date_naive() - origin).num_days().div_euclid(i64::from(length)) * i64::from(length);
                let start = origin.checked_add_signed(Duration::days(days))?;
                Some((
                    start.to_string(),
                    midnight(start),
                    midnight(start.checked_add_signed(Duration::days(i64::from(length)))?),
                ))
            }
        }
    }

    /// The periods that hold at least one of these moments, in order, each with the numbers of its moments.
    pub(crate) fn split(self, moments: &[DateTime<Utc>]) -> Vec<(Period, Vec<usize>)> {
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let mut order: Vec<usize> = (0..moments.len()).collect();
        order.sort_by_key(|&place| (moments[place], place));
        let mut periods: Vec<(Period, Vec<usize>)> = Vec::new();
        for place in order {
            let at = moments[place];
            let (name, start, end) = match self.interval(at) {
                Some((name, start, end)) => (name, start, end - Duration::milliseconds(1)),
                None => ("all".to_owned(), at, at),
            };
            match periods.last_mut() {
                Some((period, places)) if period.name == name => {
                    if self == Self::All {
                        period.end = text(end);
                    }
                    places.push(place);
                }
                _ => periods.push((Period { name, start: text(start), end: text(end) }, vec![place])),
            }
        }
        periods
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn names(length: &str, moments: &[&str]) -> Vec<(String, Vec<usize>)> {
        let moments: Vec<_> = moments.iter().map(|text| at(text)).collect();
        Length::parse(length).unwrap().split(&moments).into_iter().map(|(p, places)| (p.name, places)).collect()
    }

    #[test]
    fn months_follow_the_calendar() {
        let moments = ["2021-02-28T23:59:59Z", "2020-12-31T10:00:00Z", "2021-02-01T00:00:00Z"];
        assert_eq!(names("P1M", &moments), [("2020-12".into(), vec![1]), ("2021-02".into(), vec![2, 0])]);
        assert_eq!(names("P3M", &moments), [("2020-10".into(), vec![1]), ("2021-01".into(), vec![2, 0])]);
        assert_eq!(names("P1Y", &moments), [("2020".into(), vec![1]), ("2021".into(), vec![2, 0])]);
        let (period, _) = Length::parse("P1M").unwrap().split(&[at(moments[0])]).remove(0);
        assert_eq!((period.start.as_str(), period.end.as_str()), ("2021-02-01T00:00:00Z", "2021-02-28T23:59:59.999Z"));
    }

    #[test]
    fn days_do_not_depend_on_the_first_item() {
        let later = ["2021-05-14T00:00:00Z", "2021-05-25T00:00:00Z"];
        let with_earlier = ["2021-05-01T00:00:00Z", later[0], later[1]];
        let alone: Vec<String> = names("P10D", &later).into_iter().map(|(name, _)| name).collect();
        let more: Vec<String> = names("P10D", &with_earlier).into_iter().map(|(name, _)| name).collect();
        assert!(more.ends_with(&alone), "{alone:?} {more:?}");
    }

    #[test]
    fn one_period_spans_its_dates() {
        let moments = [at("2021-05-01T09:31:36.824Z"), at("2020-01-01T00:00:00Z")];
        let periods = Length::All.split(&moments);
        assert_eq!(periods.len(), 1);
        assert_eq!(
            (periods[0].0.start.as_str(), periods[0].0.end.as_str()),
            ("2020-01-01T00:00:00Z", "2021-05-01T09:31:36.824Z")
        );
        assert!(Length::All.split(&[]).is_empty());
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["monthly", "P", "PM", "P0M", "P1H", "1M", "PäM", "P99999D"] {
            assert!(Length::parse(text).unwrap_err().contains(text), "{text}");
        }
    }
}
