//! How long the first result takes: after the start of a program, and after the death of the only worker.

use crate::again::again;
use crate::turns::{Field, timed};
use crate::within::Within;
use crate::{futex, idle, no_op, pipes};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xfork::{process, wait};

/// The limit: this program until it stands in `main`.
pub(crate) const NOTHING: &str = "a program that does nothing";
pub(crate) const AFTER_CRASH: &str = "xfork process, after a crash";

pub(crate) fn starts(field: &mut Field<'_>) {
    let mut case = field.case("start", 40);
    for (name, role) in [
        ("xfork process", "xfork"),
        ("procspawn Pool", "pool"),
        ("procspawn spawn", "spawn"),
        (NOTHING, "nothing"),
    ] {
        case.add(name, 2, 1, move |_| start(role));
    }
}

/// From the moment at which the crash is seen until the next task's result is there; the pool has one worker.
pub(crate) fn after_crash<'a>(field: &mut Field<'a>, pool: &'a Within) {
    field.case("start", 40).add(AFTER_CRASH, 2, 1, |_| {
        pool.run(|| {
            let error = wait(&process(crash, ())).map(drop).expect_err("it has aborted");
            assert!(error.is_crash(), "{error}");
            timed(|| *process(no_op, ()))
        })
    });
}

fn crash() {
    std::process::abort()
}

/// Starts this program in a role, and gives what it says of the time it needed.
fn start(role: &str) -> Duration {
    let mut command = again(&format!("{role} {}", now()));
    let output = command.output().expect("this program starts again");
    let told = String::from_utf8(output.stdout).expect("a number");
    Duration::from_nanos(told.trim().parse().expect("a number"))
}

/// What a process does that this program started.
pub(crate) fn play(role: &str) {
    let (role, argument) = role.split_once(' ').unwrap_or((role, "0"));
    match role {
        "pipes" => return pipes::answer(),
        "futex" => return futex::answer(argument),
        "idle" => return idle::play(argument),
        "xfork" => *process(no_op, ()),
        "pool" => {
            procspawn::init();
            let pool = procspawn::Pool::new(1).expect("procspawn starts");
            pool.spawn((), |()| no_op()).join().expect("no panic");
        }
        "spawn" => {
            procspawn::init();
            procspawn::spawn((), |()| no_op()).join().expect("no panic");
        }
        _ => {}
    }
    println!("{}", now() - argument.parse::<u128>().expect("a time"));
}

/// A time that processes have in common, in nanoseconds.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_nanos()
}
