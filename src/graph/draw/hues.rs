//! Which colour stands for which task in a chart of time.
//!
//! The same name has the same colour in all charts of a picture. Where there are several kinds of tasks, told by their
//! names without numbers, a kind has a hue and its tasks shades of it; otherwise each name has a hue. Hues are a golden
//! angle apart, so that however many there are, neighbours in the list differ.

use super::text::stem;
use std::collections::HashMap;

pub(super) struct Hues {
    of: HashMap<String, usize>,
    names: Vec<String>,
    /// Whether colours are those of names without numbers.
    is_by_stem: bool,
}

impl Hues {
    /// Of these names; the first ones have the colours that are easiest to tell apart.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let by_stem = Self::numbered(names.clone().map(stem), true);
        if by_stem.names.len() > 2 { by_stem } else { Self::numbered(names.map(String::from), false) }
    }

    fn numbered(keys: impl Iterator<Item = String>, is_by_stem: bool) -> Self {
        let (mut of, mut names) = (HashMap::new(), Vec::new());
        for key in keys {
            let next = names.len();
            of.entry(key).or_insert_with_key(|key| {
                names.push(key.clone());
                next
            });
        }
        Self { of, names, is_by_stem }
    }

    /// Which of the hues is that of the name.
    pub(super) fn number(&self, name: &str) -> usize {
        let known = if self.is_by_stem { self.of.get(&stem(name)) } else { self.of.get(name) };
        known.copied().unwrap_or(0)
    }

    /// As `#rrggbb`.
    pub(super) fn colour(&self, name: &str) -> String {
        let digits = name.bytes().filter(u8::is_ascii_digit).map(usize::from).sum::<usize>();
        colour(self.number(name), if self.is_by_stem { digits % 3 } else { 0 })
    }

    /// What there is a hue for, with its colour; "#" stands for any number.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, String)> {
        self.names.iter().enumerate().map(|(at, name)| (name.as_str(), colour(at, 0)))
    }
}

/// The calm colour with this number, in one of three shades.
fn colour(at: usize, shade: usize) -> String {
    let hue = (210.0 + 137.507_764 * at as f64) % 360.0;
    let (saturation, lightness) = (0.48, 0.80 - 0.045 * shade as f64 - 0.03 * (at % 3) as f64);
    // From hue, saturation and lightness by the alternative formula of CSS Color 4, section 7.1.
    let amount = saturation * f64::min(lightness, 1.0 - lightness);
    let part = |n: f64| {
        let k = (n + hue / 30.0) % 12.0;
        let value = lightness - amount * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", part(0.0), part(8.0), part(4.0))
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn tasks_of_a_kind_share_a_hue_if_there_are_several_kinds() {
        let hues = Hues::new(["map 1", "map 2", "sort 1", "sum"].into_iter());
        assert_eq!(hues.all().map(|(name, _)| name).collect::<Vec<_>>(), ["map #", "sort #", "sum"]);
        assert_eq!(hues.colour("map 1"), hues.colour("map 4"));
        assert_ne!(hues.colour("map 1"), hues.colour("sum"));
    }

    #[test]
    fn tasks_of_one_kind_have_hues_of_their_own() {
        let names: Vec<String> = (0..40).map(|at| format!("task {at}")).collect();
        let hues = Hues::new(names.iter().map(String::as_str));
        let colours: HashSet<String> = names.iter().map(|name| hues.colour(name)).collect();
        assert_eq!(colours.len(), 40);
        assert!(colours.iter().all(|colour| colour.len() == 7 && colour.starts_with('#')));
    }
}
