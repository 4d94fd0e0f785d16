//! The numbers to reach: what a line asks for, what was measured, and whether that is enough.
//!
//! Each bench has its lines. The bench that ends last prints those of the others, too, if they were measured within the
//! last half hour, and says how old they are.

use crate::asked::{Extent, folder};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How old the lines of another bench may be to stand in the same table.
const FRESH: Duration = Duration::from_secs(30 * 60);

/// One line of the table.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    case: String,
    /// The median of xfork, with its unit.
    median: String,
    /// What it is compared with, and the median of that.
    against: String,
    measured: f64,
    unit: String,
    /// In the same unit; `≤` or `≥`, and the number.
    reach: String,
    is_reached: bool,
}

impl Line {
    /// `measured` has to lie in `reach`, which has one end.
    pub(crate) fn new(
        case: impl Into<String>,
        median: impl Into<String>,
        against: impl Into<String>,
        measured: f64,
        unit: &str,
        reach: impl RangeBounds<f64>,
    ) -> Self {
        let text = match (reach.start_bound(), reach.end_bound()) {
            (_, Bound::Included(most)) => format!("≤ {most}"),
            (_, Bound::Excluded(most)) => format!("< {most}"),
            (Bound::Included(least) | Bound::Excluded(least), Bound::Unbounded) => format!("≥ {least}"),
            (Bound::Unbounded, Bound::Unbounded) => "any".to_owned(),
        };
        Self {
            case: case.into(),
            median: median.into(),
            against: against.into(),
            measured,
            unit: unit.to_owned(),
            reach: text,
            is_reached: reach.contains(&measured),
        }
    }

    fn print(&self) {
        let Self { case, median, against, unit, reach, .. } = self;
        let digits = if self.measured.fract() == 0.0 { 0 } else { 2 };
        let measured = format!("{:.digits$} {unit}", self.measured);
        let verdict = if self.is_reached { "reached" } else { "NOT reached" };
        row([case, median, against, &measured, reach, verdict]);
    }
}

fn row(cells: [impl Display; 6]) {
    let [case, median, against, measured, reach, verdict] = cells;
    println!("{case:<45}{median:>10}  {against:<44}{measured:>16}{reach:>9}  {verdict}");
}

/// What a bench writes into its file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Results {
    /// Its processor, cores, and the sizes of the run.
    header: String,
    /// Seconds since 1970.
    time: u64,
    is_quick: bool,
    rows: Vec<serde_json::Value>,
    reach: Vec<Line>,
}

/// Prints the lines of this bench and of the `others`, and writes the file of this one unless it runs as a test.
pub(crate) fn conclude(
    bench: &str,
    others: &[&str],
    header: String,
    extent: Extent,
    rows: Vec<serde_json::Value>,
    reach: Vec<Line>,
) {
    let time = now();
    let is_quick = extent != Extent::Full;
    println!("the numbers to reach\n");
    row(["case", "xfork", "against", "measured", "reach", "reached?"]);
    reach.iter().for_each(Line::print);
    for other in others {
        let file = folder().join(format!("{other}.json"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(results) = serde_json::from_str::<Results>(&text) else { continue };
        let age = time.saturating_sub(results.time);
        if age < FRESH.as_secs() && results.is_quick == is_quick {
            println!("measured by the bench `{other}`, {age} s before:");
            results.reach.iter().for_each(Line::print);
        }
    }
    if is_quick {
        println!("These are small sizes and few rounds: for orders of magnitude only.");
    }
    println!();
    if extent != Extent::Test {
        let results = Results { header, time, is_quick, rows, reach };
        let text = serde_json::to_string_pretty(&results).expect("strings and numbers");
        crate::asked::write(&format!("{bench}.json"), &text);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The processor of this machine, how many cores this process may use, and how many threads have wanted one in the last
/// minute: called before the bench begins, these are other programs.
pub(crate) fn machine() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor without a name", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!("{model}, {cores} cores, load before {load}")
}
