//! Compares the tables of `docs/compatibility.md` with the code: no operation, result code or
//! four-letter word is in one and not in the other.
#![expect(clippy::unwrap_used, reason = "a test of a document: what cannot be read is the report")]

use std::{fs, path::Path};

use ringkeeper_engine::protocol::{error_code::ErrorCode, four_letter::Word, opcode::OpCode};

/// The first two cells of every row of the table under a heading.
fn rows(heading: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("docs/compatibility.md")).unwrap();
    let heading = format!("\n## {heading}\n");
    let start = text.find(&heading).unwrap_or_else(|| panic!("no heading{heading}"));
    let section = text[start + heading.len()..].split("\n## ").next().unwrap();
    let cells = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    };
    let table = section.lines().filter(|line| line.starts_with('|'));
    table.skip(2).map(cells).collect()
}

#[test]
fn operations() {
    // Refused on purpose, and therefore no opcode of ours.
    let refused = (20, "deletecontainer".to_owned());
    let mut expected: Vec<_> = OpCode::ALL
        .iter()
        .map(|opcode| (opcode.number(), format!("{opcode:?}").to_lowercase()))
        .collect();
    expected.push(refused);
    expected.sort();
    let mut found: Vec<(i32, String)> = rows("Operations")
        .into_iter()
        .map(|(number, name)| (number.parse().unwrap(), name.to_lowercase()))
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn result_codes() {
    let mut expected: Vec<_> =
        ErrorCode::ALL.iter().map(|code| (code.number(), format!("{code:?}"))).collect();
    expected.push((0, "Ok".to_owned()));
    expected.sort();
    let mut found: Vec<(i32, String)> = rows("Result codes")
        .into_iter()
        .map(|(number, name)| (number.parse().unwrap(), name))
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn four_letter_words() {
    let expected: Vec<_> = Word::ALL.iter().map(|word| word.as_str()).collect();
    let found: Vec<_> = rows("Four-letter words").into_iter().map(|(word, _)| word).collect();
    assert_eq!(found, expected);
}

#[test]
fn create_flags() {
    let found: Vec<_> = rows("Create flags").into_iter().map(|(flags, _)| flags).collect();
    assert_eq!(found, ["0", "1", "2", "3", "4", "5", "6"]);
}
