//! The names of a graph's tasks: one text, and a table from name to number.
//!
//! A graph may have millions of tasks, so a name costs its letters, where it ends and a place in the table.

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::borrow::Cow;
use std::hash::BuildHasher;

/// Names by number and numbers by name.
#[derive(Clone, Default)]
pub(crate) struct Names {
    text: String,
    ends: Vec<u32>,
    /// Of equal names, the first.
    table: HashTable<u32>,
}

impl Names {
    /// Adds a name, which gets the next number; says which number the same name has already.
    ///
    /// # Panics
    ///
    /// If there are more than 2³² bytes of names.
    pub(crate) fn push(&mut self, name: &str) -> Result<u32, u32> {
        let number = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends
            .push(self.text.len().try_into().expect("the names of a graph are less than 4 GiB together"));
        let Self { text, ends, table } = self;
        let hash = |name: &str| FxBuildHasher.hash_one(name);
        let entry = table.entry(
            hash(name),
            |&other| at(text, ends, other) == name,
            |&other| hash(at(text, ends, other)),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(first) => Err(*first.get()),
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(number);
                Ok(number)
            }
        }
    }

    pub(crate) fn get(&self, number: u32) -> &str {
        at(&self.text, &self.ends, number)
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let is = |&number: &u32| self.get(number) == name;
        self.table.find(FxBuildHasher.hash_one(name), is).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|number| self.get(number))
    }

    /// The name that is most like this one, if any is nearly it.
    pub(crate) fn most_like(&self, name: &str) -> Option<&str> {
        let limit = name.chars().count().div_ceil(3).min(3);
        // A long list is not searched: whoever has it made the names by a rule.
        let near = self.iter().take(10_000).map(|other| (distance(name, other, limit), other));
        near.filter(|(distance, _)| *distance <= limit)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, other)| other)
    }
}

/// A name as one word in a line: in quotes, with escapes, where it would be none.
pub(super) fn shown(name: &str) -> Cow<'_, str> {
    let is_usual = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if !name.is_empty() && name.bytes().all(is_usual) {
        return Cow::Borrowed(name);
    }
    let quoted = format!("{name:?}");
    let is_word = !name.is_empty() && !name.contains(char::is_whitespace) && quoted.len() == name.len() + 2;
    if is_word { Cow::Borrowed(name) } else { Cow::Owned(quoted) }
}

/// A text that may be of a task's making, in one line.
pub(super) fn in_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    Cow::Owned(line)
}

fn at<'a>(text: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let begin = if number == 0 { 0 } else { ends[number - 1] };
    &text[begin as usize..ends[number] as usize]
}

/// How many letters have to be changed, added or left out to make one of the other, or more than `limit` (the distance of
/// Levenshtein 1966, by the table of Wagner and Fischer 1974).
fn distance(one: &str, other: &str, limit: usize) -> usize {
    if one.len().abs_diff(other.len()) > 4 * limit {
        return limit + 1;
    }
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &other) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number_and_numbers_by_name() {
        let mut names = Names::default();
        for (number, name) in ["a", "", "ünï", "a b"].into_iter().enumerate() {
            assert_eq!(names.push(name), Ok(number as u32));
        }
        assert_eq!(names.push("a"), Err(0));
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "", "ünï", "a b", "a"]);
        assert_eq!((names.find("ünï"), names.find("a"), names.find("b")), (Some(2), Some(0), None));
    }

    #[test]
    fn a_name_in_a_line_is_one_word() {
        for plain in ["a", "left/three²", "it's", "f(x):y"] {
            assert_eq!(shown(plain), plain);
        }
        for (odd, quoted) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a\nb", r#""a\nb""#),
            ("\u{202e}a", r#""\u{202e}a""#),
            ("\"", r#""\"""#),
            ("a\\", r#""a\\""#),
        ] {
            assert_eq!(shown(odd), quoted);
        }
        assert_eq!(in_one_line("a\nb\u{1b}c d"), "a\\nb\\u{1b}c d");
    }

    #[test]
    fn a_name_that_is_nearly_right_is_found() {
        let mut names = Names::default();
        for name in ["download", "parse", "count words"] {
            names.push(name).unwrap();
        }
        assert_eq!(names.most_like("dowload"), Some("download"));
        assert_eq!(names.most_like("count_words"), Some("count words"));
        assert_eq!(names.most_like("report"), None);
        assert_eq!(distance("kitten", "sitting", 9), 3);
    }
}
