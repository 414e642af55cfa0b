//! Day of the year of an instant, for the calendar encoding.

const DAY_MS: i64 = 86_400_000;

/// Day of the year − 1 of an instant in milliseconds since 1970 (UTC), from 0 to 364.
///
/// The encoding has 365 rows, so the last day of a leap year takes the row of the day before.
/// Calendar arithmetic after Howard Hinnant, "chrono-compatible low-level date algorithms".
pub fn day_index(instant_ms: i64) -> i64 {
    let days = instant_ms.div_euclid(DAY_MS);
    let year = year_of(days);
    (days - days_before(year)).min(364)
}

/// Days from 1970-01-01 to 1 January of a year.
fn days_before(year: i64) -> i64 {
    let past = year - 1;
    365 * past + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - 719_162
}

fn year_of(days: i64) -> i64 {
    // 400 Gregorian years have 146097 days; the guess is at most one year off.
    let guess = 1970 + (days * 400).div_euclid(146_097);
    let guess = if days < days_before(guess) { guess - 1 } else { guess };
    if days >= days_before(guess + 1) { guess + 1 } else { guess }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_the_first_of_january() {
        let day = |days: i64| day_index(days * DAY_MS + 5);
        assert_eq!(day(0), 0); // 1970-01-01
        assert_eq!(day(364), 364); // 1970-12-31
        assert_eq!(day(-1), 364); // 1969-12-31
        assert_eq!(day(16_627), 191); // 2015-07-11
        assert_eq!(day(16_801 + 365), 364); // 2016-12-31, day 366
        assert_eq!(day(16_801 + 366), 0); // 2017-01-01
        assert_eq!(day(11_016), 59); // 2000-02-29
        assert_eq!(day(47_540), 58); // 2100-02-28
        assert_eq!(day(47_541), 59); // 2100-03-01: 2100 has no 29 February
    }
}
