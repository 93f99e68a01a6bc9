//! Compares the tables of `docs/compatibility.md` with the code: no operation, result code or
//! four-letter word is in one and not in the other.
#![expect(clippy::unwrap_used, reason = "a test of a document: what cannot be read is the report")]

use std::{collections::HashSet, fs, path::Path};

use ringkeeper_engine::protocol::{error_code::ErrorCode, four_letter::Word, opcode::OpCode};

fn document(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("docs").join(name)).unwrap()
}

/// The cells of every row of the table under a heading.
fn cells(heading: &str) -> Vec<Vec<String>> {
    let text = document("compatibility.md");
    let heading = format!("\n## {heading}\n");
    let start = text.find(&heading).unwrap_or_else(|| panic!("no heading{heading}"));
    let section = text[start + heading.len()..].split("\n## ").next().unwrap();
    let cells = |line: &str| {
        let inside = line.strip_prefix('|').unwrap().trim_end().strip_suffix('|').unwrap();
        inside.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let table = section.lines().filter(|line| line.starts_with('|'));
    table.skip(2).map(cells).collect()
}

/// The first two cells of every row of the table under a heading.
fn rows(heading: &str) -> Vec<(String, String)> {
    let pair = |cells: Vec<String>| (cells[0].clone(), cells[1].clone());
    cells(heading).into_iter().map(pair).collect()
}

/// Cases of `scripts/conformance` that passed, as `suite: case`.
fn passed_cases() -> HashSet<String> {
    let table = document("conformance.tsv");
    let passed = table.lines().skip(1).filter_map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        (cells[4] == "passed").then(|| format!("{}: {}", cells[0], cells[1]))
    });
    passed.collect()
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

#[test]
fn nothing_is_claimed_that_was_not_run() {
    let passed = passed_cases();
    let mut claims: Vec<String> = Vec::new();
    for row in cells("Operations") {
        if row[3].starts_with("as ") {
            claims.push(format!("fuzz: operation {} {}", row[0], row[1]));
        }
    }
    for row in cells("Create flags") {
        claims.push(format!("fuzz: create flags {}", row[0]));
    }
    for row in cells("Result codes") {
        match row[3].as_str() {
            "fuzz" => claims.push(format!("fuzz: code {} {}", row[0], row[1])),
            "" => {}
            case => claims.push(case.to_owned()),
        }
    }
    claims.extend(cells("Differences").into_iter().map(|row| row[3].clone()));
    claims.retain(|claim| !claim.is_empty());
    assert!(60 < claims.len(), "{} claims", claims.len());
    let missing: Vec<_> = claims.iter().filter(|claim| !passed.contains(*claim)).collect();
    assert!(missing.is_empty(), "not passed in docs/conformance.tsv: {missing:#?}");
}
