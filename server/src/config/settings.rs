//! What was set, as text, with the place it was set at; and its typed reading.
//!
//! Knows where a key may stand and which place wins, as in ZooKeeper: what the file says becomes a
//! property when the file is read, so it wins over a `-D` of the same name.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use super::{
    ConfigError, Warning,
    keys::{self, KEYS, Key, Source, State},
    properties::Entry,
    suggest,
};

/// Where a value was set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// On this line of the configuration file.
    File(usize),
    /// On this line of the file that `dynamicConfigFile` names.
    Dynamic(usize),
    /// As a `-D` property.
    Define,
    /// As an argument or a flag.
    Argument,
    /// Nowhere.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(line) => write!(f, "line {line} of the configuration file"),
            Self::Dynamic(line) => write!(f, "line {line} of the dynamic configuration file"),
            Self::Define => write!(f, "a -D property"),
            Self::Argument => write!(f, "the command line"),
            Self::Default => write!(f, "the default"),
        }
    }
}

/// A value as text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Setting {
    /// Without blanks around it.
    pub(super) value: String,
    /// Where it was set.
    pub(super) place: Place,
}

/// All that was set and is known, by full name (`server.1`, not `server.N`).
#[derive(Debug, Default)]
pub(super) struct Settings {
    values: BTreeMap<String, Setting>,
    /// Which keys of the table were asked for, so that a test can compare with what it promises.
    #[cfg(test)]
    pub(super) asked: std::cell::RefCell<std::collections::BTreeSet<&'static str>>,
}

/// What was said about keys while they were gathered.
#[derive(Debug, Default)]
struct Remarks {
    not_honoured: Vec<(String, &'static str)>,
    unknown: Vec<(String, Option<String>)>,
    misplaced: Vec<(String, String)>,
}

impl Settings {
    /// Gathers what the `-D` properties and the file say.
    pub(super) fn gather(
        defines: &[(String, String)],
        entries: impl Iterator<Item = (Entry, Place)>,
    ) -> (Self, Vec<Warning>) {
        let (mut settings, mut remarks) = (Self::default(), Remarks::default());
        for (name, value) in defines {
            settings.define(name, value.trim(), &mut remarks);
        }
        for (entry, place) in entries {
            settings.enter(entry.key.trim(), entry.value.trim(), place, &mut remarks);
        }
        settings.remark_not_honoured(&mut remarks);
        (settings, remarks.into_warnings())
    }

    fn define(&mut self, name: &str, value: &str, remarks: &mut Remarks) {
        let Some(key) = keys::find_define(name) else {
            remarks.unknown_define(name);
            return;
        };
        if key.source == Source::File {
            remarks.misplaced.push((format!("-D{name}"), format!("{} in the file", key.name)));
            return;
        }
        let name = name.strip_prefix("zookeeper.").unwrap_or(name);
        self.insert(name, value, Place::Define);
    }

    fn enter(&mut self, name: &str, value: &str, place: Place, remarks: &mut Remarks) {
        match keys::find(name) {
            Some(key) if key.source == Source::Java => {
                remarks.misplaced.push((name.to_owned(), format!("-D{name}={value}")));
            }
            Some(_) => self.insert(name, value, place),
            None => remarks.unknown_entry(name),
        }
    }

    /// The last value of a key counts, as with Java's properties.
    fn insert(&mut self, name: &str, value: &str, place: Place) {
        self.values.insert(name.to_owned(), Setting { value: value.to_owned(), place });
    }

    fn remark_not_honoured(&self, remarks: &mut Remarks) {
        for (name, setting) in &self.values {
            let Some(key) = keys::find(name) else { continue };
            if let State::NotYet { missing, .. } = key.state
                && !key.is_neutral(&setting.value)
            {
                remarks.not_honoured.push((name.clone(), missing));
            }
        }
    }

    /// What was set, if it is not empty.
    pub(super) fn text(&self, name: &'static str) -> Option<&Setting> {
        #[cfg(test)]
        self.asked.borrow_mut().insert(name);
        self.values.get(name).filter(|setting| !setting.value.is_empty())
    }

    /// Each setting of a pattern such as `server.N`, with what stands for `N`.
    pub(super) fn numbered(&self, name: &'static str) -> impl Iterator<Item = (&str, &Setting)> {
        #[cfg(test)]
        self.asked.borrow_mut().insert(name);
        let stem = name.strip_suffix('N').unwrap_or(name);
        let all = self.values.iter();
        all.filter_map(move |(full, setting)| Some((full.strip_prefix(stem)?, setting)))
    }

    /// A number, or the key's default.
    pub(super) fn number(
        &self,
        name: &'static str,
        allowed: RangeInclusive<i64>,
    ) -> Result<i64, ConfigError> {
        let setting = self.text_or_default(name);
        let number = parse_number(&setting.value).filter(|number| allowed.contains(number));
        number.ok_or_else(|| {
            let (first, last) = (allowed.start(), allowed.end());
            let allowed = match first == last {
                true => format!("{first}"),
                false => format!("a whole number from {first} to {last}"),
            };
            setting.refused(name, allowed)
        })
    }

    /// A number without a default.
    pub(super) fn optional_number(
        &self,
        name: &'static str,
        allowed: RangeInclusive<i64>,
    ) -> Result<Option<i64>, ConfigError> {
        self.text(name).map(|_| self.number(name, allowed)).transpose()
    }

    /// A number that may have a fraction, or the key's default.
    pub(super) fn amount(&self, name: &'static str) -> Result<f64, ConfigError> {
        let setting = self.text_or_default(name);
        let amount = setting.value.parse().ok().filter(|amount| (0.0..=1e9).contains(amount));
        amount.ok_or_else(|| setting.refused(name, "a number, 0 or more, such as 0.02"))
    }

    /// `true` or `false`, or the key's default.
    pub(super) fn boolean(&self, name: &'static str) -> Result<bool, ConfigError> {
        self.either(name, ["false", "true"])
    }

    /// `yes` or `no`, or the key's default.
    pub(super) fn yes_no(&self, name: &'static str) -> Result<bool, ConfigError> {
        self.either(name, ["no", "yes"])
    }

    fn either(&self, name: &'static str, [no, yes]: [&str; 2]) -> Result<bool, ConfigError> {
        let setting = self.text_or_default(name);
        match &setting.value {
            value if value.eq_ignore_ascii_case(yes) => Ok(true),
            value if value.eq_ignore_ascii_case(no) => Ok(false),
            _ => Err(setting.refused(name, format!("{yes} or {no}"))),
        }
    }

    /// What a comma list names, without blanks and empty places.
    pub(super) fn list(&self, name: &'static str) -> Vec<String> {
        let value = self.text_or_default(name).value;
        let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    /// What was set, or the default of the table.
    pub(super) fn text_or_default(&self, name: &'static str) -> Setting {
        self.text(name).cloned().unwrap_or_else(|| {
            let key = keys::find(name).expect("only keys of the table are asked for");
            Setting { value: key.default.to_owned(), place: Place::Default }
        })
    }
}

impl Setting {
    /// The error for a value that is not `allowed`.
    pub(super) fn refused(&self, key: &str, allowed: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            key: key.to_owned(),
            value: self.value.clone(),
            place: self.place,
            allowed: allowed.into(),
        }
    }
}

/// Decimal, or hexadecimal after `0x` as Java reads a property.
fn parse_number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((digits, 10), |digits| (digits, 16));
    let are_digits = digits.chars().all(|digit| digit.is_digit(radix));
    if are_digits { i64::from_str_radix(digits, radix).ok()?.checked_mul(sign) } else { None }
}

impl Remarks {
    fn unknown_define(&mut self, name: &str) {
        let known: Vec<String> =
            KEYS.iter().filter(|key| key.source != Source::File).map(Key::define).collect();
        let nearest = suggest::nearest(name, known.iter().map(String::as_str));
        // Properties of a Java virtual machine and its libraries come along with the start
        // scripts: what is neither ours by name nor nearly one of ours is none of our business.
        if name.starts_with("zookeeper.") || nearest.is_some() {
            self.unknown.push((format!("-D{name}"), nearest.map(|name| format!("-D{name}"))));
        }
    }

    fn unknown_entry(&mut self, name: &str) {
        // A property's full name is not its name in a file.
        let without_prefix = name.strip_prefix("zookeeper.").and_then(keys::find);
        let nearest = without_prefix.map(|key| key.name).or_else(|| {
            suggest::nearest(name, KEYS.iter().map(|key| key.name).filter(|n| !n.ends_with('*')))
        });
        self.unknown.push((name.to_owned(), nearest.map(str::to_owned)));
    }

    fn into_warnings(self) -> Vec<Warning> {
        let Self { not_honoured, unknown, misplaced } = self;
        let mut warnings = Vec::new();
        if !not_honoured.is_empty() {
            warnings.push(Warning::NotHonoured { keys: not_honoured });
        }
        if !unknown.is_empty() {
            warnings.push(Warning::Unknown { keys: unknown });
        }
        if !misplaced.is_empty() {
            warnings.push(Warning::Misplaced { keys: misplaced });
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        assert_eq!(parse_number("2000"), Some(2000));
        assert_eq!(parse_number("-1"), Some(-1));
        assert_eq!(parse_number("+7"), Some(7));
        assert_eq!(parse_number("0xfFfff"), Some(1_048_575));
        for wrong in ["", "-", "1k", "1.0", "0x", "--1", "0x-1", "9223372036854775808"] {
            assert_eq!(parse_number(wrong), None, "{wrong}");
        }
    }
}
