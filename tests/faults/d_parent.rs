//! Section D: the parent and signals.

use crate::built::real_program;
use crate::fixture::{
    Dir, Random, Started, alone, alone_for, descriptors_of, double, ended, ends_within, hear, hear_pid, pool,
    program, quiet, run, soak_time, tell, traces,
};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};
use xfork::{Plan, process, with_plan};

/// Row 60: parent returns from main, panics in main or calls process::exit with unawaited forks: they finish first
/// (`api.md`, "Dropping and exiting"), then workers are gone in 1 s.
#[test]
fn a_program_that_ends_finishes_what_it_forked() {
    for (way, code) in [("return", 0), ("panic", 101), ("exit", 3)] {
        let dir = Dir::new();
        let (leaving, trace) = (dir.pipe("leaving"), dir.path("trace"));
        let gates = [dir.pipe("gate-0"), dir.pipe("gate-1"), dir.pipe("gate-2")];
        let mut command = quiet(Command::new(real_program()));
        command.args([way, &leaving, &trace]).args(&gates);
        let started = Started::new(way, command);
        assert_eq!(hear(&leaving), "leaving");
        // Two run and one is queued while the program is already at its end.
        gates.iter().for_each(|gate| tell(gate, "go"));
        let ended = started.wait(Duration::from_secs(30));
        assert_eq!(ended.code(), Some(code), "{way}: {ended:?}");
        assert_eq!(traces(&trace), 3, "{way}: {ended:?}");
    }
}

/// Row 60: abort, SIGKILL, SIGTERM: workers gone in 1 s (checked from outside by pid), no zombies left to init by us.
#[test]
fn a_program_that_is_killed_leaves_no_worker() {
    for (way, signal) in [("abort", libc::SIGABRT), ("kill", libc::SIGKILL), ("terminate", libc::SIGTERM)] {
        let dir = Dir::new();
        let pipes = [dir.pipe("one"), dir.pipe("other")];
        let mut command = quiet(program("runs_two_endless_tasks"));
        command.env("PIPES", pipes.join(":"));
        let word = dir.pipe("word");
        if way == "abort" {
            command.env("ABORT", &word);
        }
        let started = Started::new(way, command);
        let workers = pipes.each_ref().map(|pipe| hear_pid(pipe));
        match way {
            "abort" => tell(&word, "abort"),
            // SAFETY: takes numbers; to the program only, not to its group.
            _ => unsafe { assert_eq!(libc::kill(started.group(), signal), 0) },
        }
        // `wait` checks that nothing of the group lives a second later; here the same by number.
        let ended = started.wait(Duration::from_secs(30));
        assert_eq!(ended.signal(), Some(signal), "{way}: {ended:?}");
        for worker in workers {
            assert!(ends_within(worker, Duration::from_secs(1)), "{way}");
        }
    }
}

/// Row 61: as 60 during worker boot, 1 000 times at random moments (PDEATHSIG race).
#[test]
fn a_program_that_is_killed_while_workers_boot_leaves_none() {
    let mut random = Random::new();
    let (begin, mut count) = (Instant::now(), 0);
    while count < 1000 && begin.elapsed() < soak_time(3) {
        let started = Started::new("boots_workers", quiet(program("boots_workers")));
        std::thread::sleep(Duration::from_micros(random.below(25_000)));
        // SAFETY: takes numbers; the child has not been waited for.
        unsafe { libc::kill(started.group(), libc::SIGKILL) };
        let ended = started.wait(Duration::from_secs(30));
        assert_eq!(ended.signal(), Some(libc::SIGKILL), "{ended:?}");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

/// Row 62: thread that first called fork ends: workers live (spawner thread).
#[test]
fn workers_outlive_the_thread_that_forked_first() {
    fn wait_for(started: String, pipe: String) -> String {
        tell(&started, &std::process::id().to_string());
        hear(&pipe)
    }
    alone(|| {
        let dir = Dir::new();
        let (started, pipe) = (dir.pipe("started"), dir.pipe("pipe"));
        let plan = Plan::processes(1);
        let names = (started.clone(), pipe.clone());
        let thread = std::thread::spawn(move || with_plan(plan, || process(wait_for, names)));
        let task = thread.join().unwrap();
        let worker = hear_pid(&started);
        assert!(!ends_within(worker, Duration::from_millis(100)), "the worker died with the thread");
        tell(&pipe, "alive");
        assert_eq!(ended(task).unwrap(), "alive");
    });
}

/// Row 63: a program that handles the signal decides: its workers go on.
#[test]
fn an_interrupt_that_the_program_handles_stops_no_task() {
    let dir = Dir::new();
    let (started, gate) = (dir.pipe("started"), dir.pipe("gate"));
    let mut command = quiet(program("handles_interrupts"));
    command.env("STARTED", &started).env("GATE", &gate);
    let program = Started::new("handles_interrupts", command);
    hear_pid(&started);
    program.signal_group(libc::SIGINT);
    tell(&gate, "go on");
    let ended = program.wait(Duration::from_secs(30));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("Ok(\"go on\")"), "{ended:?}");
}

/// Row 70: fds 0, 1, 2 closed at start: our sockets never become stdio.
#[test]
fn closed_standard_descriptors_do_not_become_sockets() {
    for how in ["before", "inside"] {
        let dir = Dir::new();
        let out = dir.path("out");
        let mut command = program("runs_without_stdio");
        command.env("OUT", &out).env("HOW", how);
        if how == "before" {
            use std::os::unix::process::CommandExt;
            // SAFETY: only `close` is called between fork and exec.
            unsafe {
                command.pre_exec(|| {
                    (0..3).for_each(|fd| _ = libc::close(fd));
                    Ok(())
                });
            }
        }
        let ended = run(how, command);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let seen = std::fs::read_to_string(&out).unwrap();
        assert!(seen.contains("value 42") && !seen.contains("socket"), "{how}: {seen}");
    }
}

/// Row 72: fd leak check: a secret non-CLOEXEC fd in the parent is not open in the worker; our sockets are not in user's
/// Command children nor in sibling workers.
#[test]
fn descriptors_stay_where_they_belong() {
    fn look(started: String, gate: String) -> Vec<String> {
        tell(&started, &std::process::id().to_string());
        hear(&gate);
        descriptors_of("self")
    }
    alone_for(Duration::from_secs(60), || {
        let dir = Dir::new();
        let secret = std::fs::File::create(dir.path("secret")).unwrap();
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::fcntl(secret.as_raw_fd(), libc::F_SETFD, 0) }, 0);
        pool(3, || {
            assert_eq!(process(double, 1), 2);
            let names =
                [0, 1, 2].map(|n| (dir.pipe(&format!("started-{n}")), dir.pipe(&format!("gate-{n}"))));
            let looks = names.each_ref().map(|(started, gate)| process(look, (started, gate)));
            names.iter().for_each(|(started, _)| _ = hear_pid(started));
            let listing = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
            let listing = String::from_utf8(listing.stdout).unwrap();
            assert!(!listing.contains("socket") && !listing.contains("anon_inode"), "{listing}");
            names.iter().for_each(|(_, gate)| tell(gate, "go"));
            for seen in looks {
                let seen = ended(seen).unwrap();
                assert!(!seen.iter().any(|fd| fd.contains("secret")), "{seen:?}");
                let sockets = seen.iter().filter(|fd| fd.contains("socket:")).count();
                assert_eq!(sockets, 1, "{seen:?}");
                assert!(!seen.iter().any(|fd| fd.contains("anon_inode")), "{seen:?}");
            }
        });
    });
}
