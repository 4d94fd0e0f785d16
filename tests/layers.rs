//! The layers of `src` point down: a file imports from its own layer and those below it, and `unsafe` stays in the lowest.
//!
//! Reads the source as tokens (no comments, no strings), follows `crate::…`, `use crate::{…}` and `super::…` out of the
//! file's own module, and knows no exceptions.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the lowest to the highest; a name is a file or folder of `src`.
const LAYERS: [&[&str]; 7] = [
    &["ground"],
    &["store"],
    &["core"],
    &["runner"],
    &[
        "cache",
        "callable",
        "args",
        "batch",
        "proxy",
        "task",
        "tries",
        "fork",
        "kept",
        "own",
        "place",
        "plan",
        "random",
        "shared",
        "synchronized",
        "worker_local",
    ],
    &["graph"],
    &["lib"],
];

/// The layer where `unsafe` may be.
const UNSAFE: &str = "ground";

/// What Rust reads, with its line.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// Words and signs, without comments, strings, numbers and lifetimes; `::` is one sign, `r#unsafe` one word.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |position: usize| chars.get(position).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut position, mut line) = (Vec::new(), 0, 1);
    while position < chars.len() {
        let begin = position;
        let mut token = None;
        match at(position) {
            '/' if at(position + 1) == '/' => {
                while position < chars.len() && at(position) != '\n' {
                    position += 1;
                }
            }
            '/' if at(position + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(position), at(position + 1)) {
                        ('/', '*') => (depth, position) = (depth + 1, position + 2),
                        ('*', '/') => (depth, position) = (depth - 1, position + 2),
                        _ => position += 1,
                    }
                    if depth == 0 || position >= chars.len() {
                        break;
                    }
                }
            }
            '"' => position = end_of_string(&chars, position + 1),
            '\'' => {
                // A character, or a lifetime, whose name may go the way of other words.
                position += match (at(position + 1), at(position + 2)) {
                    ('\\', _) => {
                        chars[position + 3..].iter().position(|c| *c == '\'').map_or(1, |end| end + 4)
                    }
                    (_, '\'') => 3,
                    _ => 1,
                };
            }
            c if is_word(c) => {
                while is_word(at(position)) {
                    position += 1;
                }
                let word: String = chars[begin..position].iter().collect();
                let hashes = chars[position..].iter().take_while(|c| **c == '#').count();
                if word.ends_with('r') && word.len() <= 2 && at(position + hashes) == '"' {
                    let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                    let rest: String = chars[position + hashes + 1..].iter().collect();
                    let length = rest.find(&end).map_or(rest.len(), |end| end) + end.len();
                    position += hashes + 1 + rest[..length.min(rest.len())].chars().count();
                } else if word == "r" && hashes == 1 {
                    position += 1;
                    while is_word(at(position)) {
                        position += 1;
                    }
                    token = Some(chars[begin..position].iter().collect());
                } else if !c.is_numeric() {
                    token = Some(word);
                }
            }
            ':' if at(position + 1) == ':' => {
                position += 2;
                token = Some("::".to_string());
            }
            c => {
                position += 1;
                token = (!c.is_whitespace()).then(|| c.to_string());
            }
        }
        tokens.extend(token.map(|text| Token { text, line }));
        line += chars[begin..position.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn end_of_string(chars: &[char], mut position: usize) -> usize {
    while position < chars.len() && chars[position] != '"' {
        position += if chars[position] == '\\' { 2 } else { 1 };
    }
    position + 1
}

/// The modules of the crate's root that a file refers to, with the line of each.
fn references(file: &Path, tokens: &[Token]) -> Vec<(String, usize)> {
    let own = module_path(file);
    let text = |position: usize| tokens.get(position).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    // Modules written out in the file: their names' braces, by depth.
    let (mut depth, mut inner) = (0, Vec::new());
    for position in 0..tokens.len() {
        match text(position) {
            "mod" if text(position + 2) == "{" => inner.push(depth),
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inner.retain(|outside| *outside < depth);
            }
            _ => {}
        }
        let follows_path = position > 0 && matches!(text(position - 1), "::" | "$");
        let starts = match text(position) {
            "crate" if text(position + 1) == "::" && !follows_path => Some(position + 2),
            "super" if text(position + 1) == "::" && text(position.wrapping_sub(1)) != "::" => {
                let supers = (0..).take_while(|n| text(position + 2 * n) == "super").count();
                let levels = own.len() + inner.len();
                (supers == levels).then_some(position + 2 * supers)
            }
            _ => None,
        };
        for module in starts.map_or_else(Vec::new, |start| first_names(tokens, start)) {
            found.push((module.text, module.line));
        }
    }
    found
}

/// The first name of each path that begins at `start`: several, where it is a group in braces.
fn first_names(tokens: &[Token], start: usize) -> Vec<Token> {
    let Some(first) = tokens.get(start) else { return Vec::new() };
    if first.text != "{" {
        return vec![first.clone()];
    }
    let (mut names, mut depth, mut is_start) = (Vec::new(), 0, false);
    for token in &tokens[start..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if is_start && depth == 1 && token.text != "," {
            names.push(token.clone());
        }
        is_start = depth == 1 && matches!(token.text.as_str(), "{" | ",");
    }
    names
}

/// The names of the modules that lead to a file of `src`.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().expect("names are text").to_string())
        .collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

/// How high a name of the crate's root stands; what is no module of a layer is a re-export of `lib`.
fn height(name: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&name)).unwrap_or(LAYERS.len() - 1)
}

/// The imports of a file that point up, as `file:line: …`.
fn violations(file: &Path, source: &str) -> Vec<String> {
    let own = module_path(file).first().cloned().unwrap_or("lib".into());
    let references = references(file, &tokens(source));
    let upward = references.into_iter().filter(|(name, _)| height(name) > height(&own));
    upward
        .map(|(name, line)| format!("src/{}:{line}: `{own}` imports `{name}`, above it", file.display()))
        .collect()
}

/// Every place outside the lowest layer where `unsafe` is written or let through, as `file:line: …`.
fn unsafe_words(file: &Path, source: &str) -> Vec<String> {
    if module_path(file).first().is_some_and(|layer| layer == UNSAFE) {
        return Vec::new();
    }
    let tokens = tokens(source);
    let found = tokens.iter().filter(|token| token.text == "unsafe" || token.text == "unsafe_code");
    found
        .map(|token| format!("src/{}:{}: `{}` outside `{UNSAFE}`", file.display(), token.line, token.text))
        .collect()
}

/// Every file of `src`, by its path in there.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("src is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("source is text");
                found.push((path.strip_prefix(root).expect("below it").to_path_buf(), source));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort();
    assert!(found.len() > 30, "only {} files", found.len());
    found
}

fn report(found: Vec<String>) {
    let list = found.iter().fold(String::new(), |mut list, line| {
        let _ = write!(list, "\n  {line}");
        list
    });
    assert!(found.is_empty(), "{} in the wrong place:{list}", found.len());
}

#[test]
fn no_module_imports_from_a_layer_above_its_own() {
    report(sources().iter().flat_map(|(file, source)| violations(file, source)).collect());
}

#[test]
fn unsafe_is_written_in_the_lowest_layer_only() {
    report(sources().iter().flat_map(|(file, source)| unsafe_words(file, source)).collect());
}

#[test]
fn every_module_of_the_root_has_a_layer() {
    for (file, _) in sources() {
        let module = module_path(&file).first().cloned().unwrap_or("lib".into());
        assert!(
            LAYERS.iter().any(|layer| layer.contains(&&*module)),
            "give `{module}` a layer in tests/layers.rs"
        );
    }
}

#[test]
fn an_upward_import_is_found_in_every_form() {
    for (source, line) in [
        ("use crate::task::Task;", 1),
        ("\nuse crate::{\n    ground::sys,\n    task::{Task, self},\n};", 4),
        ("fn f() { crate::proxy::ready(1); }", 1),
        ("// it's\nuse super::super::fork::follow;", 2),
        ("use crate::ResultProxy;", 1),
        ("mod tests {\n    use super::super::super::plan;\n}", 2),
        (
            "const C: char = '\"';\nconst S: &str = \"\\\"\";\nconst R: &str = r#\"\"\"#;\nuse crate::args::Arg;",
            4,
        ),
        ("fn f<'a>(c: &'a str) -> char { '\\'' }\nuse crate::task;", 2),
    ] {
        let found = violations(Path::new("core/slot.rs"), source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert!(found[0].starts_with(&format!("src/core/slot.rs:{line}: ")), "{source}: {found:?}");
    }
}

#[test]
fn what_points_down_or_sideways_or_is_no_import_is_not_found() {
    for source in [
        "use crate::ground::{sys, wire};\nuse crate::core::error::TaskError;\nuse super::task::Body;",
        "//! See [`fork`](crate::fork()).\n/* use crate::task; /* nested */ */",
        "const TEXT: &str = \"use crate::task\";\nconst RAW: &str = r\"crate::task\";",
        "mod tests {\n    use super::*;\n    use super::super::runner;\n}",
        "use other_crate::task;\nuse std::task::Poll;",
    ] {
        assert_eq!(violations(Path::new("core/slot.rs"), source), [""; 0], "{source}");
    }
    assert_eq!(violations(Path::new("lib.rs"), "pub use crate::task::Task;"), [""; 0]);
    assert_eq!(violations(Path::new("plan.rs"), "use crate::fork::fork; use super::task;"), [""; 0]);
    assert_eq!(violations(Path::new("core/mod.rs"), "use super::ground;"), [""; 0]);
    assert_eq!(violations(Path::new("core/mod.rs"), "use super::runner;").len(), 1);
}

#[test]
fn unsafe_is_found_where_it_is_a_keyword_or_let_through() {
    let found = |source| unsafe_words(Path::new("core/slot.rs"), source).len();
    assert_eq!(found("fn f() { unsafe { g() } }"), 1);
    assert_eq!(found("#![expect(unsafe_code, reason = \"no\")]"), 1);
    assert_eq!(found("unsafe impl Send for S {}"), 1);
    assert_eq!(found("// unsafe\npub use xfork_macros::r#unsafe; const S: &str = \"unsafe\";"), 0);
    assert_eq!(unsafe_words(Path::new("ground/sys/fd.rs"), "unsafe {}").len(), 0);
}
