//! The log of a run, for people: a line of text for each thing that happens.
//!
//! Owns the file and when it is written. That a task starts is written before it can do anything, so that the log of a killed
//! program tells what it was at: in a thread, that it runs; of one in another process, that it was handed over, since only
//! that process knows more in time. What ends waits a little for more, since nobody needs it at once. Each write is of whole lines, and
//! goes to the end of the file wherever that is by then, so several programs may share one. It has nothing to do with the file of
//! a graph, which programs read: trouble with this one is told, and stops nothing.

use super::error::{GraphError, GraphFault};
use super::names::{in_one_line, shown};
use super::running::{DONE, DONE_BEFORE, End, FAILED, FAILED_BEFORE, Running, SKIPPED, is_started};
use crate::core::series::Site;
use crate::core::timer::{self, Alarm};
use crate::task::Where;
use parking_lot::Mutex;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a line may wait for others.
const DELAY: Duration = Duration::from_millis(20);
/// How many bytes may.
const ROOM: usize = 64 << 10;

/// A log that is being written.
pub(super) struct Log {
    path: PathBuf,
    /// The process that runs the graph.
    pid: u32,
    waiting: Mutex<Waiting>,
    /// Locked before the other, so that nobody who only brings a line waits for the disk.
    sink: Mutex<Sink>,
}

/// Lines that are to be written.
#[derive(Default)]
struct Waiting {
    lines: String,
    /// The last second that a line was of, since 1970, and how it is written.
    second: Option<u64>,
    date: String,
    /// Has them be written.
    alarm: Option<Alarm>,
}

struct Sink {
    file: File,
    /// What is being written; empty between writes.
    lines: String,
    /// Writing has failed: nothing is written any more.
    is_broken: bool,
}

impl Log {
    /// Opens the log, or creates it; none, if the disk is full, which is told.
    ///
    /// # Errors
    ///
    /// If that can't be for another reason.
    pub(super) fn open(path: &Path) -> Result<Option<Arc<Self>>, GraphError> {
        let file = match OpenOptions::new().append(true).create(true).open(path) {
            Ok(file) => file,
            Err(error) if is_full(&error) => {
                tell(path, &error);
                return Ok(None);
            }
            Err(error) => {
                return Err(GraphFault::Log { file: path.to_owned(), why: error.to_string() }.into());
            }
        };
        // A full disk may have cut the last line. What somebody else is just writing looks the same, so each program that writes shares
        // a lock, and only one that has it alone looks. Where there are no locks, an empty line may come of it.
        let is_alone = !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        let is_cut = is_alone && is_cut(path).unwrap_or(false);
        let _ = file.try_lock_shared();
        let lines = if is_cut { "\n".to_owned() } else { String::new() };
        let waiting = Mutex::new(Waiting { lines, ..Waiting::default() });
        let sink = Mutex::new(Sink { file, lines: String::new(), is_broken: false });
        Ok(Some(Arc::new(Self { path: path.to_owned(), pid: std::process::id(), waiting, sink })))
    }

    /// Writes a line, and all that wait.
    fn write(&self, what: fmt::Arguments<'_>) {
        self.waiting.lock().push(self.pid, what);
        self.empty();
    }

    /// Writes lines some time soon, between which no other can come; `tell` is given what takes them.
    fn write_later(self: &Arc<Self>, tell: impl FnOnce(&mut dyn FnMut(fmt::Arguments<'_>))) {
        let mut waiting = self.waiting.lock();
        tell(&mut |what| waiting.push(self.pid, what));
        if waiting.lines.is_empty() {
            return;
        }
        if waiting.alarm.is_none() {
            let log = Arc::downgrade(self);
            let alarm = timer::after(DELAY, move || {
                let Some(log) = log.upgrade() else { return };
                log.waiting.lock().alarm = None;
                log.empty();
            });
            waiting.alarm = Some(alarm).filter(Alarm::is_set);
        }
        if waiting.alarm.is_none() || waiting.lines.len() >= ROOM {
            drop(waiting);
            self.empty();
        }
    }

    /// Writes what waits; when it returns, that is in the file, whoever has written it.
    fn empty(&self) {
        let mut sink = self.sink.lock();
        std::mem::swap(&mut sink.lines, &mut self.waiting.lock().lines);
        let Sink { file, lines, is_broken } = &mut *sink;
        if !*is_broken && let Err(error) = file.write_all(lines.as_bytes()) {
            *is_broken = true;
            tell(&self.path, &error);
        }
        lines.clear();
    }
}

impl Waiting {
    fn push(&mut self, pid: u32, what: fmt::Arguments<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != Some(now.as_secs()) {
            self.second = Some(now.as_secs());
            self.date = Utc(now.as_secs()).to_string();
        }
        let _ = writeln!(self.lines, "{}.{:06}Z pid {pid}: {what}", self.date, now.subsec_micros());
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn tell(path: &Path, error: &io::Error) {
    // Where standard error is closed nobody is told.
    let _ = writeln!(
        io::stderr(),
        "xfork: writing the log of a run, {path:?}: {error}; the run goes on without it"
    );
}

/// Whether the file ends in the middle of a line.
fn is_cut(path: &Path) -> io::Result<bool> {
    let about = path.metadata()?;
    if !about.is_file() || about.len() == 0 {
        return Ok(false);
    }
    let (mut file, mut last) = (File::open(path)?, [0]);
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

/// A second since 1970 as RFC 3339 writes it, in UTC, as far as parts of seconds follow.
struct Utc(u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds) = self;
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// The date so many days after 1 January 1970, in the Gregorian calendar: by years that begin in March, so that leap days
/// come last, and by the 146 097 days after which the calendar repeats (Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013,
/// `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    // From 1 March 0000.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days, and so have the five from August on.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

impl Running {
    pub(super) fn log_begin(&self) {
        let Some(log) = &self.log else { return };
        let before = self.count(DONE_BEFORE);
        let failed = self.count(FAILED_BEFORE);
        let to_run = self.tasks.len() - before - failed;
        let plural = if to_run == 1 { "" } else { "s" };
        let mut text = format!("run begins: {to_run} task{plural} to run");
        add(&mut text, before, "done before");
        add(&mut text, failed, "failed or skipped before");
        log.write(format_args!("{text}"));
    }

    pub(super) fn log_finish(&self) {
        let Some(log) = &self.log else { return };
        let mut text = format!("run ends after {:.2?}: {} finished", self.begin.elapsed(), self.count(DONE));
        add(&mut text, self.count(FAILED), "failed");
        add(&mut text, self.count(SKIPPED), "skipped");
        log.write(format_args!("{text}"));
    }

    /// Has it be written that a task is handed over.
    pub(super) fn log_start(&self, task: u32) {
        let Some(log) = &self.log else { return };
        let name = shown(self.names.get(task));
        let what = format_args!("queued task {name}");
        match self.works[task as usize].runs() {
            // What it does there, it may do before anybody here has heard that it runs.
            Where::Process => log.write(what),
            Where::Thread | Where::Here => log.write_later(|line| line(what)),
        }
    }

    /// Has it be written that a task runs, if it `begins` to; says whether it does.
    pub(super) fn log_begun(&self, task: u32, site: Site, begins: impl FnOnce() -> bool) -> bool {
        let Some(log) = &self.log else { return begins() };
        let mut has_begun = false;
        log.write_later(|line| {
            has_begun = begins();
            if has_begun {
                line(format_args!("started task {}", shown(self.names.get(task))));
            }
        });
        if has_begun && matches!(site, Site::Thread(_)) {
            log.empty();
        }
        has_begun
    }

    /// Has it be written how a task has ended.
    pub(super) fn log_end(&self, task: u32, end: &End) {
        let Some(log) = &self.log else { return };
        let name = shown(self.names.get(task));
        let run = self.task(task);
        let took = run.timing.took();
        log.write_later(|line| {
            if run.begins() && took.is_some() {
                line(format_args!("started task {name}"));
            }
            match (end, took) {
                (End::Done, Some(took)) => line(format_args!("finished task {name} after {took:.2?}")),
                (End::Done, None) => match self.twins.get(&task) {
                    Some(&first) if !is_started(run.state.load(Ordering::Relaxed)) => {
                        let first = shown(self.names.get(first));
                        line(format_args!("finished task {name}, which is equal to {first}"));
                    }
                    _ => line(format_args!("finished task {name}")),
                },
                (End::Failed(error), _) => {
                    let error = error.to_string();
                    let why = in_one_line(error.lines().next().unwrap_or_default());
                    line(format_args!("failed task {name}: {why}"));
                }
                (End::Skipped(skip), _) => {
                    let skip = skip.to_string();
                    line(format_args!("skipped task {name}: {}", in_one_line(&skip)));
                }
            }
        });
    }

    /// How many tasks are in this state.
    fn count(&self, state: u8) -> usize {
        self.tasks.iter().filter(|task| task.state.load(Ordering::Relaxed) == state).count()
    }
}

fn add(text: &mut String, count: usize, what: &str) {
    if count > 0 {
        let _ = write!(text, ", {count} {what}");
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_799, "2000-02-29T23:59:59"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (1_234_567_890, "2009-02-13T23:31:30"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text);
        }
    }

    #[test]
    fn each_day_of_a_thousand_years_is_the_one_after_the_day_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..366_000 {
            assert_eq!(date(days), (year, month, day));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
