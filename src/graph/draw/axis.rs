//! Axes of time: where ticks stand, and in which unit.

use super::TimeUnit;

/// An axis from `start` to `finish`, with a tick each 1, 2 or 5 times a power of ten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) start: f64,
    pub(super) finish: f64,
    step: f64,
    scale: Scale,
}

/// How numbers on an axis are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    /// One of the unit that is shown, in the unit of the data.
    one: f64,
    name: &'static str,
}

impl Axis {
    /// For times between these two, which are finite; `ticks` is about how many there may be.
    pub(super) fn new(start: f64, finish: f64, unit: TimeUnit, ticks: f64) -> Self {
        let (mut start, mut finish) = (start, finish);
        // A span must be large enough to be divided at this distance from zero.
        let least = (start.abs().max(finish.abs()) * 1e-9).max(1e-12);
        if finish - start < least {
            finish = start + least;
        }
        let mut span = finish - start;
        if !span.is_finite() {
            (start, finish) = (start / 4.0, finish / 4.0);
            span = finish - start;
        }
        Self { start, finish, step: nice(span / ticks.max(1.0)), scale: Scale::of(span, unit) }
    }

    pub(super) fn ticks(&self) -> Vec<f64> {
        let first = (self.start / self.step - 1e-9).ceil();
        let last = (self.finish / self.step + 1e-9).floor();
        // More than a few only if numbers are too large to be told apart.
        let count = ((last - first).max(0.0) as usize).min(100);
        (0..=count)
            .map(|at| (first + at as f64) * self.step)
            .filter(|tick| *tick <= self.finish * (1.0 + 1e-9))
            .collect()
    }

    /// Where a time stands on the axis, from 0 to 1.
    pub(super) fn part(&self, time: f64) -> f64 {
        ((time - self.start) / (self.finish - self.start)).clamp(0.0, 1.0)
    }

    /// The time at a tick, with no more digits than ticks need.
    pub(super) fn tick_text(&self, tick: f64) -> String {
        let digits = (-(self.step / self.scale.one).log10().floor()).clamp(0.0, 12.0) as usize;
        let number = format!("{:.digits$}", tick / self.scale.one);
        with_unit(
            if number.trim_start_matches(['-', '0', '.']).is_empty() { "0" } else { &number },
            self.scale,
        )
    }
}

/// A time with three significant digits in the unit that suits it.
pub(super) fn time_text(time: f64, unit: TimeUnit) -> String {
    let scale = Scale::of(time.abs(), unit);
    let number = time / scale.one;
    let digits = if number == 0.0 { 0.0 } else { (2.0 - number.abs().log10().floor()).clamp(0.0, 12.0) };
    let mut text = format!("{number:.*}", digits as usize);
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    with_unit(&text, scale)
}

fn with_unit(number: &str, scale: Scale) -> String {
    if scale.name.is_empty() { String::from(number) } else { format!("{number}\u{a0}{}", scale.name) }
}

impl Scale {
    fn of(span: f64, unit: TimeUnit) -> Self {
        let (one, name) = match unit {
            TimeUnit::Plain => (1.0, ""),
            TimeUnit::Seconds if span >= 0.9995 || span == 0.0 => (1.0, "s"),
            TimeUnit::Seconds if span >= 0.9995e-3 => (1e-3, "ms"),
            TimeUnit::Seconds if span >= 0.9995e-6 => (1e-6, "µs"),
            TimeUnit::Seconds => (1e-9, "ns"),
        };
        Self { one, name }
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less.
fn nice(least: f64) -> f64 {
    let power = 10.0_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(least)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_are_1_2_or_5_times_a_power_of_ten() {
        assert_eq!(
            [0.9, 1.0, 1.1, 2.1, 5.1, 0.03].map(nice).map(|step| step as f32),
            [1.0, 1.0, 2.0, 5.0, 10.0, 0.05]
        );
    }

    #[test]
    fn ticks_have_the_unit_of_their_size() {
        let texts = |finish: f64, unit| {
            let axis = Axis::new(0.0, finish, unit, 4.0);
            axis.ticks().into_iter().map(|tick| axis.tick_text(tick)).collect::<Vec<_>>()
        };
        assert_eq!(texts(0.012, TimeUnit::Seconds), ["0\u{a0}ms", "5\u{a0}ms", "10\u{a0}ms"]);
        assert_eq!(texts(1.0, TimeUnit::Seconds), ["0\u{a0}s", "0.5\u{a0}s", "1.0\u{a0}s"]);
        assert_eq!(
            texts(2e-6, TimeUnit::Seconds),
            ["0\u{a0}µs", "0.5\u{a0}µs", "1.0\u{a0}µs", "1.5\u{a0}µs", "2.0\u{a0}µs"]
        );
        assert_eq!(texts(70.0, TimeUnit::Plain), ["0", "20", "40", "60"]);
    }

    #[test]
    fn times_have_three_digits() {
        let seconds =
            [0.0, 12.345, 0.012_345, 0.000_1, 3e-9, 1234.0].map(|time| time_text(time, TimeUnit::Seconds));
        assert_eq!(
            seconds,
            ["0\u{a0}s", "12.3\u{a0}s", "12.3\u{a0}ms", "100\u{a0}µs", "3\u{a0}ns", "1234\u{a0}s"]
        );
        assert_eq!(time_text(2.5, TimeUnit::Plain), "2.5");
        assert_eq!(time_text(0.999_99, TimeUnit::Seconds), "1\u{a0}s");
    }

    proptest! {
        #[test]
        fn any_axis_has_a_few_even_ticks(start in -1e12_f64..1e12, span in 1e-9_f64..1e12) {
            let axis = Axis::new(start, start + span, TimeUnit::Seconds, 8.0);
            let ticks = axis.ticks();
            prop_assert!((1..=10).contains(&ticks.len()), "{:?}", ticks);
            prop_assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&axis.part(*tick))));
            prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
