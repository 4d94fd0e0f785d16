//! Names as they are shown: on one line, cut to a width, escaped.
//!
//! Widths are estimates, since the font is the viewer's. They are the advance widths of DejaVu Sans, which is wider than
//! the other common fonts (Helvetica, Arial, Liberation Sans, Segoe UI), so that text stays inside its box.

use std::borrow::Cow;

/// Advance widths of the letters from space to tilde, in hundredths of the font's size.
const WIDTHS: [u8; 95] = [
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63,
    61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97,
    63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
];

/// The text on one line, of characters that every language here can hold: controls, marks that change the direction of
/// what follows, and what isn't a character become `\u{fffd}`, the end of a line an arrow.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\r' if letters.peek() == Some(&'\n') => continue,
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => '↵',
            '\t' => ' ',
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            '\u{fdd0}'..='\u{fdef}' => '\u{fffd}',
            _ if letter.is_control() || (letter as u32) & 0xfffe == 0xfffe => '\u{fffd}',
            _ => letter,
        });
    }
    out
}

/// The name on one line; of a node without one, its number.
pub(super) fn named(id: usize, name: &str) -> String {
    let name = plain(name);
    let name = name.trim();
    if name.is_empty() { format!("#{id}") } else { String::from(name) }
}

/// As content or attribute of an XML element.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// In sizes of the font.
fn letter_width(letter: char) -> f64 {
    match letter {
        ' '..='~' => f64::from(WIDTHS[letter as usize - ' ' as usize]) / 100.0,
        '…' => 1.0,
        '\u{fffd}' => 1.03,
        '↵' | '×' | '→' => 0.84,
        '–' => 0.5,
        '·' => 0.32,
        '\u{a0}'..='\u{24f}' => {
            if letter.is_uppercase() {
                0.8
            } else {
                0.65
            }
        }
        '\u{300}'..='\u{36f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' => 0.0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ffe6}' => 1.05,
        '\u{1f000}'..='\u{1faff}' => 1.4,
        _ => 0.8,
    }
}

/// Whether the width of each letter is known well enough to rely on.
pub(super) fn is_measured(text: &str) -> bool {
    text.chars().all(|letter| matches!(letter, ' '..='~' | '\u{a0}'..='\u{24f}' | '…' | '↵' | '→' | '–'))
}

/// In pixels, in a font of `size` pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(letter_width).sum::<f64>() * size
}

/// The text if it is at most `most` pixels wide in a font of `size` pixels, or its two ends with "…" between them: the
/// end often holds the number by which one name differs from the next. Empty if not even a letter fits.
pub(super) fn cut(text: &str, size: f64, most: f64) -> Cow<'_, str> {
    if width(text, size) <= most {
        return Cow::Borrowed(text);
    }
    let room = most / size - letter_width('…');
    let (head, head_width) = fitting(text.chars(), room * 0.6);
    let (tail, _) = fitting(text.chars().rev(), room - head_width);
    if head + tail == 0 {
        return Cow::Borrowed("");
    }
    Cow::Owned(joined(text, head, tail))
}

/// The text, or of a longer one both ends, in `most` characters.
pub(super) fn cut_to_chars(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return String::from(text);
    }
    let tail = most * 2 / 5;
    joined(text, most - tail - 1, tail)
}

/// How many of the letters fit, and how wide those are.
fn fitting(letters: impl Iterator<Item = char>, room: f64) -> (usize, f64) {
    let (mut count, mut used) = (0, 0.0);
    for letter in letters {
        let with = used + letter_width(letter);
        if with > room {
            break;
        }
        (count, used) = (count + 1, with);
    }
    (count, used)
}

fn joined(text: &str, head: usize, tail: usize) -> String {
    let from = text.char_indices().rev().nth(tail.saturating_sub(1)).map_or(0, |(at, _)| at);
    let tail = if tail == 0 { "" } else { &text[from..] };
    let head: String = text.chars().take(head).collect();
    format!("{}…{}", head.trim_end(), tail.trim_start())
}

/// The name with each run of digits as `#`: tasks with the same stem do the same to different things.
pub(super) fn stem(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if !letter.is_ascii_digit() {
            out.push(letter);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}

/// A number of pixels, to a tenth, without needless zeros.
pub(super) fn pixels(number: f64) -> String {
    let tenths = (number * 10.0).round();
    if tenths % 10.0 == 0.0 { format!("{:.0}", tenths / 10.0 + 0.0) } else { format!("{:.1}", tenths / 10.0) }
}

/// With narrow spaces between groups of three digits.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    out
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_one_line_of_characters_that_can_be_shown() {
        assert_eq!(plain("a\r\nb\tc\u{0}\u{202e}\u{ffff}"), "a↵b c\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(named(3, " \t"), "#3");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        let name = "a_very_long_name_of_a_task_that_nobody_can_read_17";
        let short = cut(name, 10.0, 150.0);
        assert!(short.starts_with("a_very") && short.ends_with("_17") && short.contains('…'), "{short}");
        assert_eq!(cut("short", 10.0, 150.0), "short");
        assert_eq!(cut("W", 10.0, 3.0), "");
        assert_eq!(cut_to_chars("0123456789", 6), "012…89");
    }

    #[test]
    fn tasks_that_differ_by_numbers_have_one_stem() {
        assert_eq!(stem("count 12 of 300"), stem("count 7 of 8"));
        assert_ne!(stem("count 1"), stem("sum 1"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([pixels(1.0), pixels(1.25), pixels(-0.01)], ["1", "1.3", "0"]);
        assert_eq!(grouped(1_234_567), "1\u{a0}234\u{a0}567");
    }

    proptest! {
        #[test]
        fn a_cut_name_is_not_wider_than_allowed(name in any::<String>(), most in 0.0..200.0) {
            prop_assert!(width(&cut(&name, 12.0, most), 12.0) <= most + 1e-9);
        }

        #[test]
        fn a_cut_name_has_at_most_so_many_letters(name in any::<String>(), most in 2_usize..20) {
            prop_assert!(cut_to_chars(&name, most).chars().count() <= most);
        }
    }
}
