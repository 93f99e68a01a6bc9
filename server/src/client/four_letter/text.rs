//! The shapes that several words share: numbers as Java prints them, addresses, dates.

use std::{fmt, net::SocketAddr};

use ringkeeper_engine::state::acl::ip_id;

/// What `srvr`, `envi` and `mntr` call this server: the release whose clients and tools it serves,
/// and then itself. Tools take the text apart with expressions for exactly this shape.
pub(crate) const VERSION: &str =
    concat!("3.9.5-ringkeeper-", env!("CARGO_PKG_VERSION"), ", built on 2026-11-24 00:00 UTC");

/// A number as Java's `Double.toString` prints it after rounding to four digits: `0.0`, `2.4286`.
pub(crate) struct Double(pub(crate) f64);

impl fmt::Display for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:.4}", self.0);
        let digits = digits.trim_end_matches('0');
        let point = if digits.ends_with('.') { "0" } else { "" };
        write!(f, "{digits}{point}")
    }
}

/// An address as Java prints it: `/127.0.0.1:2181`, `/[0:0:0:0:0:0:0:1]:2181`.
pub(crate) struct Address(pub(crate) SocketAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.0.port();
        let id = ip_id(self.0.ip()).id;
        if id.contains(':') { write!(f, "/[{id}]:{port}") } else { write!(f, "/{id}:{port}") }
    }
}

/// A time as Java's `Date.toString` prints it, in UTC: `Tue Nov 24 02:26:12 UTC 2026`.
pub(crate) struct Date {
    /// Milliseconds since 1970.
    pub(crate) wall_ms: i64,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let seconds = self.wall_ms.div_euclid(1000);
        let days = seconds.div_euclid(86_400);
        let of_day = seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        let weekday = usize::try_from(days.rem_euclid(7)).ok().and_then(|day| WEEKDAYS.get(day));
        let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month));
        write!(
            f,
            "{} {} {day:02} {:02}:{:02}:{:02} UTC {year}",
            weekday.expect("a remainder of seven"),
            month.expect("1 to 12"),
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
        )
    }
}

/// Year, month (1 to 12) and day of a count of days since 1970 (the usual arithmetic over eras of
/// 400 years that begin in March, so that the leap day comes last).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_like_javas() {
        let text = |number| Double(number).to_string();
        assert_eq!(text(0.0), "0.0");
        assert_eq!(text(2.0), "2.0");
        assert_eq!(text(0.25), "0.25");
        assert_eq!(text(17.0 / 7.0), "2.4286");
        assert_eq!(text(120.0), "120.0");
    }

    #[test]
    fn addresses_look_like_javas() {
        let text = |address: &str| Address(address.parse().expect("an address")).to_string();
        assert_eq!(text("127.0.0.1:2181"), "/127.0.0.1:2181");
        assert_eq!(text("[::ffff:10.0.0.1]:1"), "/10.0.0.1:1");
        assert_eq!(text("[::1]:2181"), "/[0:0:0:0:0:0:0:1]:2181");
    }

    #[test]
    fn dates_look_like_javas() {
        let text = |seconds: i64| Date { wall_ms: seconds * 1000 }.to_string();
        assert_eq!(text(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(text(951_782_399), "Mon Feb 28 23:59:59 UTC 2000");
        assert_eq!(text(951_782_400), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(text(1_795_487_172), "Tue Nov 24 02:26:12 UTC 2026");
    }
}
