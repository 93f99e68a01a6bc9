//! Reads the syntax of `java.util.Properties`, which is what a `zoo.cfg` is written in.
//!
//! Knows no keys. `testdata/properties.txt` holds cases with what Java itself made of them;
//! `testdata/RecordProperties.java` recorded it.

use std::{iter::Peekable, str::Chars};

/// One key with its value, in the order of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// With escapes resolved.
    pub(crate) key: String,
    /// With escapes resolved. Java keeps trailing blanks; whoever uses the value trims it.
    pub(crate) value: String,
    /// The line that the key is on, counted from 1.
    pub(crate) line: usize,
}

/// What Java refuses as well.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum SyntaxError {
    /// `\u` without four hexadecimal digits.
    #[error("line {line}: \\u must be followed by four hexadecimal digits")]
    Unicode {
        /// The line that the key is on.
        line: usize,
    },
}

/// Reads all entries. A key that comes twice is returned twice; the last one counts.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    let mut entries = Vec::new();
    let mut lines = Lines { rest: text.chars().peekable(), line: 1 };
    while let Some(logical) = lines.next_logical() {
        let (key, value) = split(&logical.text);
        let error = SyntaxError::Unicode { line: logical.line };
        entries.push(Entry {
            key: unescape(key).ok_or_else(|| error.clone())?,
            value: unescape(value).ok_or(error)?,
            line: logical.line,
        });
    }
    Ok(entries)
}

/// The text of a file: UTF-8 or, if it is not, Latin-1 as Java reads it. Java would read UTF-8 as
/// Latin-1 too and so garble what the operator wrote, which nobody can want.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}

/// A logical line: natural lines that end in an odd number of backslashes, and the one after.
struct Logical {
    text: String,
    line: usize,
}

struct Lines<'a> {
    rest: Peekable<Chars<'a>>,
    /// The natural line that `rest` is on.
    line: usize,
}

impl Lines<'_> {
    /// The next logical line that is neither blank nor a comment.
    fn next_logical(&mut self) -> Option<Logical> {
        let mut text = String::new();
        let mut line = self.line;
        loop {
            let mut natural = self.next_natural()?;
            // Only a line that continues nothing can be a comment. What is continued may be
            // nothing but the backslash, and then Java sees the start of a line again.
            if text.is_empty() {
                line = self.line - 1;
                if natural.is_empty() || natural.starts_with(['#', '!']) {
                    continue;
                }
            }
            let backslashes = natural.chars().rev().take_while(|char| *char == '\\').count();
            let is_continued = backslashes % 2 == 1;
            if is_continued {
                natural.pop();
            }
            text.push_str(&natural);
            // At the end of the text there is nothing to continue with: the backslash is gone.
            if !is_continued || self.rest.peek().is_none() {
                if text.is_empty() {
                    continue;
                }
                return Some(Logical { text, line });
            }
        }
    }

    /// The next natural line without its leading blanks and its end; `None` after the last.
    fn next_natural(&mut self) -> Option<String> {
        self.rest.peek()?;
        self.line += 1;
        let mut natural = String::new();
        while let Some(char) = self.rest.next() {
            match char {
                '\n' => break,
                '\r' => {
                    self.rest.next_if_eq(&'\n');
                    break;
                }
                char if natural.is_empty() && is_blank(char) => {}
                char => natural.push(char),
            }
        }
        Some(natural)
    }
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\x0c')
}

/// Splits at the first `=`, `:` or blank that no backslash precedes; blanks may surround one `=` or
/// `:`.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|char| {
        let ends = !is_escaped && (is_blank(char) || matches!(char, '=' | ':'));
        is_escaped = char == '\\' && !is_escaped;
        ends
    });
    let Some(end) = end else { return (line, "") };
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

/// Resolves backslashes; `None` for a bad `\u`. An escape names a UTF-16 unit, so two of them may
/// make one character; half of a pair becomes U+FFFD.
fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        let char = match (char, if char == '\\' { rest.next() } else { None }) {
            ('\\', Some('u')) => {
                units.push(hex_unit(rest.as_str().get(..4)?)?);
                rest = rest.as_str().get(4..)?.chars();
                continue;
            }
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('f')) => '\x0c',
            ('\\', Some(other)) => other,
            (char, _) => char,
        };
        units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

/// Four hexadecimal digits; stricter than `from_str_radix`, which takes a sign.
fn hex_unit(digits: &str) -> Option<u16> {
    let are_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if are_hex { u16::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &Expect) {
        let shown = match parse(text) {
            Ok(entries) => entries
                .iter()
                .map(|Entry { key, value, line }| format!("{line}: {key:?} = {value:?}\n"))
                .collect(),
            Err(error) => format!("{error}\n"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_plain_file() {
        check(
            "# a comment\n\ntickTime=2000\n  ! another = comment\ndataDir = /var/lib/zk \n\
             clientPort:2181",
            &expect![[r#"
                3: "tickTime" = "2000"
                5: "dataDir" = "/var/lib/zk "
                6: "clientPort" = "2181"
            "#]],
        );
    }

    #[test]
    fn separators_and_escapes() {
        check(
            "a b=c\nd\\ e : = f\n\\u0041\\=g\thi\\tj\nk",
            &expect![[r#"
                1: "a" = "b=c"
                2: "d e" = "= f"
                3: "A=g" = "hi\tj"
                4: "k" = ""
            "#]],
        );
    }

    #[test]
    fn lines_continue_after_an_odd_number_of_backslashes() {
        check(
            "a=1,\\\n   2,\\\r\n   3\nb=4\\\\\nc=5\\",
            &expect![[r#"
                1: "a" = "1,2,3"
                4: "b" = "4\\"
                5: "c" = "5"
            "#]],
        );
    }

    #[test]
    fn a_bad_escape_names_its_line() {
        check(
            "a=1\nb=\\u00x0\n",
            &expect![[r#"
            line 2: \u must be followed by four hexadecimal digits
        "#]],
        );
    }

    #[test]
    fn latin_1_is_read_when_utf_8_is_not() {
        assert_eq!(decode(vec![b'a', 0xe9]), "a\u{e9}");
        assert_eq!(decode("a\u{e9}".as_bytes().to_vec()), "a\u{e9}");
    }

    /// Undoes the escapes of `RecordProperties.java`.
    fn recorded(field: &str) -> String {
        let mut units = Vec::new();
        let mut rest = field;
        while let Some(char) = rest.chars().next() {
            if let Some(escaped) = rest.strip_prefix('%') {
                units.push(hex_unit(&escaped[..4]).expect("four digits"));
                rest = &escaped[4..];
            } else {
                units.extend(char.encode_utf16(&mut [0; 2]).iter());
                rest = &rest[1..];
            }
        }
        String::from_utf16_lossy(&units)
    }

    #[test]
    fn agrees_with_java() {
        let mut case_count = 0;
        for case in include_str!("testdata/properties.txt").lines() {
            let mut fields = case.split('\t');
            let text = recorded(fields.next().expect("a text"));
            let fields: Vec<&str> = fields.collect();
            let ours = parse(&text).map(|entries| -> BTreeMap<String, String> {
                entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
            });
            let theirs: Option<BTreeMap<String, String>> = (fields != ["error"]).then(|| {
                fields.chunks(2).map(|pair| (recorded(pair[0]), recorded(pair[1]))).collect()
            });
            let (mut ours, mut theirs) = (ours.ok(), theirs);
            // A lone backslash at the very end is to Java an empty key before "\n" and nothing
            // before "\r\n"; to us nothing in both.
            if text.trim_end_matches(['\r', '\n']).ends_with('\\') {
                for entries in [&mut ours, &mut theirs].into_iter().flatten() {
                    entries.remove("");
                }
            }
            assert_eq!(ours, theirs, "{text:?}");
            case_count += 1;
        }
        assert_eq!(case_count, 600);
    }

    /// One way to write `text`: `choices` decides where to escape and where to break the line.
    fn written(text: &str, choices: &[u8]) -> String {
        let mut out = String::new();
        for (char, choice) in text.chars().zip(choices.iter().cycle()) {
            let must_escape = matches!(char, ' ' | '\t' | '\x0c' | '=' | ':' | '#' | '!' | '\\');
            if choice & 1 == 1 {
                out.push_str("\\\n \t");
            }
            if matches!(char, '\n' | '\r') || choice & 2 == 2 {
                let units: Vec<String> =
                    char.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04X}")).collect();
                out.push_str(&units.concat());
            } else {
                if must_escape {
                    out.push('\\');
                }
                out.push(char);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(
            pairs in prop::collection::vec(
                ("[ -~\n\r\t\u{e9}\u{1f600}]{1,12}", "[ -~\n\u{4e2d}]{0,12}"),
                0..5,
            ),
            choices in prop::collection::vec(0u8..4, 1..40),
            separator in prop::sample::select(vec!["=", ":", " ", " = ", "\t:\t"]),
        ) {
            let mut text = String::from("! comment\\\n");
            for (key, value) in &pairs {
                let (key, value) = (written(key, &choices), written(value, &choices));
                text.push_str(&format!("  {key}{separator}{value}\r\n#\n"));
            }
            let entries = parse(&text).expect("well-formed");
            let read: Vec<(String, String)> =
                entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn never_panics(text in "[\\\\=: #!nu0a\n\r\u{e9}]{0,40}") {
            parse(&text).ok();
        }
    }
}
