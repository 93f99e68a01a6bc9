//! The tables of `docs/disk-format.md`.

use std::{fs, path::Path};

/// The rows of the first table under a heading of any level.
pub(crate) fn rows(heading: &str) -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("docs/disk-format.md")).unwrap();
    let mut lines = text.lines();
    let is_heading =
        |line: &str| line.starts_with('#') && line.trim_start_matches('#').trim() == heading;
    assert!(lines.any(is_heading), "docs/disk-format.md has no heading {heading:?}");
    let table = lines
        .take_while(|line| !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    table.skip(2).map(cells).collect()
}

/// Compares the first cells of a table's rows with what the code says. The report is the table as
/// it should be.
pub(crate) fn compare(heading: &str, expected: &[Vec<String>]) {
    let width = expected.first().map_or(0, Vec::len);
    let found: Vec<Vec<String>> =
        rows(heading).into_iter().map(|row| row.into_iter().take(width).collect()).collect();
    let print = |rows: &[Vec<String>]| {
        let rows: Vec<String> = rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
        rows.join("\n")
    };
    assert!(
        found == expected,
        "docs/disk-format.md, {heading:?}\n\ncode:\n{}\n\ndocument:\n{}\n",
        print(expected),
        print(&found)
    );
}
