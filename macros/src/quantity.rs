//! Durations and sizes as people write them: `30s`, `1.5 s`, `512 MiB`.
//!
//! It promises exact arithmetic (`1.5 KiB` is 1536), rounds down to whole nanoseconds and bytes, and refuses everything
//! else with words that say what is possible. Where the text stands, and whether zero makes sense there, is
//! [`crate::settings`]'s part.

/// Units of time, in nanoseconds.
const TIMES: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// Units of memory, in bytes.
const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// The nanoseconds of a duration, or why it is none.
pub(crate) fn nanoseconds(text: &str) -> Result<u64, String> {
    parse(
        text,
        &TIMES,
        "a duration is a number and one of `ns`, `us`, `ms`, `s`, `min`, `h`, such as \"30s\"",
    )
}

/// The bytes of a size, or why it is none.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    parse(
        text,
        &SIZES,
        "a size is a number and one of `B`, `KiB`, `MiB`, `GiB`, `TiB` (1024 each of the one before) or `kB`, `MB`, \
         `GB`, `TB` (1000), such as \"512 MiB\"",
    )
}

fn parse(text: &str, units: &[(&str, u64)], form: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..end], trimmed[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(format!("`{text}` does not begin with a number; {form}"));
    }
    if unit.is_empty() {
        return Err(format!("`{text}` has no unit; {form}"));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unknown unit `{unit}`; {form}"));
    };
    let whole = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(*factor));
    let total = whole.and_then(|whole| whole.checked_add(part(fraction, *factor)));
    total.ok_or_else(|| format!("`{text}` is too much; leave the setting out for no limit"))
}

/// `0.fraction × factor`, rounded down.
fn part(fraction: &str, factor: u64) -> u64 {
    // Further digits are less than a nanosecond of an hour, or a byte of a terabyte.
    let digits = fraction.get(..18).unwrap_or(fraction);
    let scale = 10_u128.pow(u32::try_from(digits.len()).expect("at most 18"));
    let digits: u128 = digits.parse().expect("digits, as its caller has seen");
    u64::try_from(digits * u128::from(factor) / scale).expect("less than the factor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, expected) in [
            ("30s", 30_000_000_000),
            ("1.5 s", 1_500_000_000),
            ("100ms", 100_000_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("250us", 250_000),
            ("0.25 µs", 250),
            (" 7 ns ", 7),
            ("0s", 0),
            ("0.1ns", 0),
            ("0.1s", 100_000_000),
            ("0.0000000019999999999999999999s", 1),
            ("18446744073709551615ns", u64::MAX),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_read_exactly() {
        for (text, expected) in [
            ("512 MiB", 512 << 20),
            ("1GiB", 1 << 30),
            ("64KiB", 64 << 10),
            ("1.5 KiB", 1536),
            ("2TiB", 2 << 40),
            ("10 MB", 10_000_000),
            ("10kB", 10_000),
            ("10KB", 10_000),
            ("1000 B", 1000),
            ("0.5B", 0),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        for (text, reason) in [
            ("", "`` does not begin with a number; "),
            ("s", "`s` does not begin with a number; "),
            ("-1s", "`-1s` does not begin with a number; "),
            (".5s", "`.5s` does not begin with a number; "),
            ("5.s", "`5.s` does not begin with a number; "),
            ("1.2.3s", "`1.2.3s` does not begin with a number; "),
            ("٣s", "`٣s` does not begin with a number; "),
            ("30", "`30` has no unit; "),
            ("30 sec", "unknown unit `sec`; "),
            ("1h 30min", "unknown unit `h 30min`; "),
            ("1e3s", "unknown unit `e3s`; "),
            ("3 MiB", "unknown unit `MiB`; "),
            ("1 S", "unknown unit `S`; "),
            ("18446744073709551615s", "`18446744073709551615s` is too much; "),
            ("99999999999999999999ns", "`99999999999999999999ns` is too much; "),
            ("18446744073709551615.9us", "`18446744073709551615.9us` is too much; "),
        ] {
            let error = nanoseconds(text).unwrap_err();
            assert!(error.starts_with(reason), "{text:?}: {error}");
        }
        assert!(
            bytes("1 mib").unwrap_err().starts_with("unknown unit `mib`; a size is a number and one of `B`")
        );
        assert!(
            bytes("99999999 TiB").unwrap_err().ends_with("is too much; leave the setting out for no limit")
        );
    }
}
