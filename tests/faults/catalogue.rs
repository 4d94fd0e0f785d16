//! That no row of the catalogue is forgotten: the table in README.md names, for each, tests that exist and quote it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const ROWS: u32 = 112;
/// How many rows may be held by no test.
const EXCUSED: usize = 10;

/// The text above a test, if the file has a test of this name.
fn doc_of(source: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("fn {name}(")))?;
    let above: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .copied()
        .collect();
    above.contains(&"#[test]").then(|| above.into_iter().rev().collect::<Vec<_>>().join(" "))
}

/// Whether a text says "row 7", "Rows 3, 7 and 9" or the like.
fn quotes(doc: &str, row: u32) -> bool {
    let text = doc.to_lowercase().replace("///", " ");
    text.split("row").skip(1).any(|behind| {
        let list = behind.strip_prefix('s').unwrap_or(behind);
        let end = list.find(|c: char| !(c.is_alphanumeric() || c == ' ' || c == ',')).unwrap_or(list.len());
        let words = list[..end].split([' ', ',']).filter(|word| !word.is_empty());
        let mut numbers = words.take_while(|word| *word == "and" || word.parse::<u32>().is_ok());
        numbers.any(|word| word.parse() == Ok(row))
    })
}

#[test]
fn every_row_is_held_by_a_test_that_quotes_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("tests/faults/README.md")).unwrap();
    let mut table: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for line in readme.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let Some(row) = cells.next().and_then(|cell| cell.parse().ok()) else { continue };
        let tests = cells.next().unwrap().split('`').skip(1).step_by(2).collect();
        assert!(table.insert(row, tests).is_none(), "row {row} has two lines");
    }
    let (_, excuses) = readme.split_once("## Rows that no test holds").unwrap();
    let (excuses, _) = excuses.split_once("\n## ").unwrap();
    let excuses = excuses.lines().filter_map(|line| line.strip_prefix("* ")?.split_once(':')?.0.parse().ok());
    let excuses: BTreeSet<u32> = excuses.collect();
    assert!(excuses.len() <= EXCUSED, "{excuses:?}");
    for row in 1..=ROWS {
        assert!(table.contains_key(&row) != excuses.contains(&row), "row {row} needs a test or a reason");
    }
    assert_eq!(table.len() + excuses.len(), ROWS as usize);
    for (row, tests) in table {
        let docs = tests.iter().map(|test| {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("row {row}: {test}"));
            let path =
                if file.contains('/') { root.join(file) } else { root.join("tests/faults").join(file) };
            let source =
                fs::read_to_string(path).unwrap_or_else(|error| panic!("row {row}: {file}: {error}"));
            doc_of(&source, name).unwrap_or_else(|| panic!("row {row}: there is no test {test}"))
        });
        let docs: Vec<_> = docs.collect();
        assert!(docs.iter().any(|doc| quotes(doc, row)), "no test of row {row} quotes it: {docs:?}");
    }
}

#[test]
fn a_quotation_is_told_from_a_number() {
    assert!(quotes("/// Rows 3, 7 and 19: text", 19) && quotes("/// faults.md, row 7 and trap 11", 7));
    assert!(!quotes("/// Row 70: 7 workers", 7) && !quotes("/// 7 rows", 7) && !quotes("/// trap 7", 7));
}
