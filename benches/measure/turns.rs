//! Competitors that take turns, and the table of what they took.
//!
//! All competitors of a bench take turns, forwards and backwards, many rounds: other load on the machine hits all of them
//! alike. What counts is the median of a competitor's measurements. Numbers of different runs are not to be compared.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The pause before each turn.
const SETTLE: Duration = Duration::from_millis(15);

/// All that take turns.
pub(crate) struct Field<'a> {
    competitors: Vec<Competitor<'a>>,
    scale: usize,
}

/// One row of the table.
struct Competitor<'a> {
    case: &'static str,
    name: String,
    /// How often its work is measured in one turn.
    samples: usize,
    /// How many tasks are in one measurement.
    tasks: usize,
    /// The most rounds that it takes part in.
    rounds: usize,
    work: Box<dyn FnMut(usize) -> Duration + 'a>,
    /// Nanoseconds for each task.
    measured: Vec<f64>,
}

/// The competitors of one case, of which xfork is the first.
pub(crate) struct Case<'f, 'a> {
    field: &'f mut Field<'a>,
    case: &'static str,
    rounds: usize,
}

/// The median of a competitor.
pub(crate) struct Median {
    pub(crate) name: String,
    /// For each task.
    pub(crate) nanoseconds: f64,
}

impl<'a> Field<'a> {
    /// Numbers of tasks and of measurements are divided by `scale`.
    pub(crate) fn new(scale: usize) -> Self {
        Self { competitors: Vec::new(), scale }
    }

    /// A case whose competitors take part in at most so many rounds.
    pub(crate) fn case(&mut self, case: &'static str, rounds: usize) -> Case<'_, 'a> {
        Case { field: self, case, rounds }
    }

    /// Gives everyone turns until all rounds are over, or, after `least` rounds, the time is. Gives the number of rounds.
    pub(crate) fn take_turns(&mut self, least: usize, limit: Duration) -> usize {
        // The first turn starts threads and workers, and is not counted.
        for competitor in &mut self.competitors {
            competitor.turn(self.scale);
            competitor.measured.clear();
        }
        let most = self.competitors.iter().map(|competitor| competitor.rounds).max().unwrap_or(0);
        let begin = Instant::now();
        let mut round = 0;
        while round < most && (round < least || begin.elapsed() < limit) {
            let count = self.competitors.len();
            for place in 0..count {
                let turn = if round % 2 == 0 { place } else { count - 1 - place };
                let competitor = &mut self.competitors[turn];
                if round < competitor.rounds {
                    // What the one before left behind, such as threads that look for more work, is not this one's cost.
                    std::thread::sleep(SETTLE / self.scale as u32);
                    competitor.turn(self.scale);
                }
            }
            round += 1;
        }
        for competitor in &mut self.competitors {
            competitor.measured.sort_by(f64::total_cmp);
        }
        round
    }

    /// The lowest median of those that are named; `None` if none of them takes part.
    pub(crate) fn best(&self, case: &str, names: &[&str]) -> Option<Median> {
        let named = |competitor: &&Competitor<'_>| {
            competitor.case == case && names.contains(&competitor.name.as_str())
        };
        let medians = self.competitors.iter().filter(named).map(|competitor| Median {
            name: competitor.name.clone(),
            nanoseconds: competitor.quantile(0.5),
        });
        medians.min_by(|a, b| a.nanoseconds.total_cmp(&b.nanoseconds))
    }

    /// Prints everyone's numbers, and gives them as rows for a file.
    pub(crate) fn report(&self) -> Vec<serde_json::Value> {
        let mut text = String::new();
        let mut rows = Vec::new();
        println!("{:<22}{:<32}{:>12}{:>12}{:>12}{:>8}", "case", "name", "median", "min", "p90", "ratio");
        for competitor in &self.competitors {
            let (case, name) = (competitor.case, &competitor.name);
            let first = self.competitors.iter().find(|other| other.case == case).expect("a case has a first");
            let [min, median, p90] = [0.0, 0.5, 0.9].map(|share| competitor.quantile(share));
            let ratio = median / first.quantile(0.5);
            let [shown, least, most] = [median, min, p90].map(time);
            writeln!(text, "{case:<22}{name:<32}{shown:>12}{least:>12}{most:>12}{ratio:>8.2}")
                .expect("memory");
            rows.push(serde_json::json!({
                "case": case, "name": name, "tasks": competitor.tasks, "measurements": competitor.measured.len(),
                "median_ns": median, "min_ns": min, "p90_ns": p90, "ratio_to_first": ratio,
            }));
        }
        println!("{text}");
        rows
    }
}

impl<'a> Case<'_, 'a> {
    /// `work` is told how many tasks to do, does them, and tells how long they took.
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        samples: usize,
        tasks: usize,
        work: impl FnMut(usize) -> Duration + 'a,
    ) {
        self.field.competitors.push(Competitor {
            case: self.case,
            name: name.into(),
            samples,
            tasks,
            rounds: self.rounds,
            work: Box::new(work),
            measured: Vec::new(),
        });
    }
}

impl Competitor<'_> {
    fn turn(&mut self, scale: usize) {
        for _ in 0..self.samples.div_ceil(scale) {
            let time = (self.work)(self.tasks);
            self.measured.push(time.as_nanos() as f64 / self.tasks as f64);
        }
    }

    /// Of what was measured, the value that `share` of all is below.
    fn quantile(&self, share: f64) -> f64 {
        self.measured[((self.measured.len() - 1) as f64 * share).round() as usize]
    }
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// Nanoseconds with the unit that suits them, and three digits.
pub(crate) fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}
