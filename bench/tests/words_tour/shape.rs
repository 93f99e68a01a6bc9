//! The shape of a text: what stays when the values that differ from run to run are taken away.

/// `text` with `N` for each whole number, `R` for one with decimals, `0xH` for a hexadecimal one,
/// `DATE` for a date, and `IP` for the address of this machine.
pub(crate) fn shape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = out.ends_with(|last: char| last.is_ascii_alphanumeric());
        let (name, length) = if let Some(length) = date(rest) {
            ("DATE", length)
        } else if rest.starts_with("127.0.0.1") {
            ("IP", "127.0.0.1".len())
        } else if in_word || !first.is_ascii_digit() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        } else {
            number(rest)
        };
        out.push_str(name);
        rest = &rest[length..];
    }
    out
}

/// What kind of number `text` starts with, and how long it is.
fn number(text: &str) -> (&'static str, usize) {
    let span = |text: &str, digits: fn(&char) -> bool| text.chars().take_while(digits).count();
    if let Some(hex) = text.strip_prefix("0x") {
        return ("0xH", 2 + span(hex, char::is_ascii_hexdigit));
    }
    let whole = span(text, char::is_ascii_digit);
    let decimals =
        text[whole..].strip_prefix('.').map_or(0, |text| span(text, char::is_ascii_digit));
    if decimals == 0 { ("N", whole) } else { ("R", whole + 1 + decimals) }
}

/// The length of a date like `Tue Nov 24 02:26:12 UTC 2026` at the start of `text`.
fn date(text: &str) -> Option<usize> {
    const DATE: &str = "Tue Nov 24 02:26:12 UTC 2026";
    let found = text.get(..DATE.len())?;
    let alike = found.chars().zip(DATE.chars()).all(|(found, model)| match model {
        '0'..='9' => found.is_ascii_digit(),
        'A'..='Z' => found.is_ascii_uppercase(),
        'a'..='z' => found.is_ascii_lowercase(),
        other => found == other,
    });
    alike.then_some(DATE.len())
}

/// The lines of a text whose order is a matter of chance.
pub(crate) fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
