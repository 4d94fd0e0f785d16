//! Ctrl-C: the first time what has not started is cancelled and what runs may finish, the second time the program ends.
//!
//! A program that handles the signal itself, or ignores it, is left alone. Who waits for a cancelled task gets its error, quietly:
//! a program that was asked to stop has not failed. However it ends then, its exit code is 130.

use crate::core::cancel::{self, Unwanted};
use crate::core::pause;
use crate::core::runner::Runner;
use crate::core::scope::ROOT;
use crate::ground::{panics, sys};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Those who have tasks that wait to be run.
static RUNNERS: Mutex<Vec<Weak<dyn Runner>>> = Mutex::new(Vec::new());
/// Held while the program is told what becomes of its tasks.
static TELLING: Mutex<()> = Mutex::new(());
/// How long the end of the program waits for that, which may itself wait for code of the user.
const PATIENCE: Duration = Duration::from_secs(1);

/// Has Ctrl-C cancel what waits in `runner`.
pub(crate) fn register(runner: &Arc<dyn Runner>) {
    let mut runners = RUNNERS.lock();
    runners.retain(|known| known.strong_count() != 0);
    runners.push(Arc::downgrade(runner));
}

/// Listens to Ctrl-C from now on, if nobody does.
pub(crate) fn install() {
    sys::on_interrupt(interrupted);
}

/// Waits until what the interrupt meant has been said: what it cancelled may have ended the program at once.
pub(crate) fn wait_until_told() {
    drop(TELLING.try_lock_for(PATIENCE));
}

fn interrupted() {
    let _telling = TELLING.lock();
    if ROOT.unfinished() == 0 {
        // As the program would have ended without us.
        sys::exit_as_interrupted();
    }
    cancel::interrupt();
    let runners: Vec<_> = RUNNERS.lock().iter().filter_map(Weak::upgrade).collect();
    let waiting: usize = runners.iter().map(|runner| runner.cancel_waiting()).sum();
    let cancelled = waiting + pause::interrupt();
    panics::print(&text(cancelled, ROOT.unfinished()));
}

fn text(cancelled: usize, running: usize) -> String {
    let tasks = |count| if count == 1 { "1 task".to_string() } else { format!("{count} tasks") };
    let cancelled = match cancelled {
        0 => "no task was waiting to start".to_string(),
        1 => "1 task that had not started is cancelled".to_string(),
        count => format!("{count} tasks that had not started are cancelled"),
    };
    let running = match running {
        0 => "none is running".to_string(),
        count => format!("{} may finish", tasks(count)),
    };
    format!("\nxfork: interrupted: {cancelled}, {running}; Ctrl-C again ends the program at once\n")
}

/// Ends one of the tasks that a runner keeps; says how many that were.
pub(crate) fn cancel_waiting(task: &Arc<dyn crate::core::task::Body>) -> usize {
    usize::from(cancel::cancel(task, Unwanted::Interrupt))
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_how_many_are_cancelled_and_how_many_go_on() {
        let end = "; Ctrl-C again ends the program at once\n";
        for (cancelled, running, middle) in [
            (0, 1, "no task was waiting to start, 1 task may finish"),
            (1, 0, "1 task that had not started is cancelled, none is running"),
            (37, 2, "37 tasks that had not started are cancelled, 2 tasks may finish"),
        ] {
            assert_eq!(text(cancelled, running), format!("\nxfork: interrupted: {middle}{end}"));
        }
    }
}
