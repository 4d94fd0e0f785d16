//! Section D: many descriptors, and clocks that jump.

use crate::fixture::{
    alone, children, double, ended, ends_within, kill, open_descriptors, own_process, pool, within,
};
use crate::own::limit_descriptors;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;
use xfork::{Plan, process, with_plan};

/// Row 71: > 1 024 and RLIMIT_NOFILE-1 fds open: poll not select; clear EMFILE error.
#[test]
fn thousands_of_open_files_are_no_obstacle_until_there_is_no_room_at_all() {
    alone(|| {
        let before = limit_descriptors(4096);
        let mut files: Vec<File> = (0..3000).map(|_| File::open("/dev/null").unwrap()).collect();
        pool(2, || {
            for _ in 0..3 {
                for (n, task) in (0..).zip(xfork::map_process(double, 0..50_u64)) {
                    assert_eq!(ended(task).unwrap(), 2 * n);
                }
                let worker = ended(process(own_process, ())).unwrap();
                kill(worker, libc::SIGKILL);
                assert!(ends_within(worker, Duration::from_secs(5)));
            }
        });
        // Room for the pool, and then for one descriptor more.
        with_plan(Plan::processes(1), || {
            let worker = ended(process(own_process, ())).unwrap();
            kill(worker, libc::SIGKILL);
            assert!(ends_within(worker, Duration::from_secs(5)));
            assert!(within(Duration::from_secs(5), || children().is_empty()));
            limit_descriptors(4096);
            while let Ok(file) = File::open("/dev/null") {
                files.push(file);
            }
            files.pop();
            let error = ended(process(double, 1)).unwrap_err();
            assert!(error.is_spawn() && error.to_string().contains("open files"), "{error}");
            drop(files);
            assert_eq!(ended(process(double, 21)).unwrap(), 42);
        });
        limit_descriptors(before);
    });
}

/// Row 71: clear EMFILE error, where there is no room for the pool itself: a panic where the first task is forked.
#[test]
fn a_pool_that_finds_no_descriptor_says_so() {
    alone(|| {
        let before = limit_descriptors(256);
        let mut files = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            files.push(file);
        }
        let payload = std::panic::catch_unwind(|| {
            with_plan(Plan::processes(1), || process(double, 1));
        })
        .unwrap_err();
        drop(files);
        limit_descriptors(before);
        let text = payload.downcast_ref::<String>().unwrap();
        assert!(
            text.contains("the process pool needs a few descriptors") && text.contains("open files"),
            "{text}"
        );
        assert!(open_descriptors() < 64);
        pool(1, || {});
    });
}

/// Row 74: system clock jumps: timeouts use the monotonic clock. (To set the clock would set that of the whole machine; so
/// this looks whether anything in the source could ask for it. The file of a graph may, to tell people when a task was started,
/// and so may the log of its run; the cache notes what was used when. None of them decides by it what runs.)
#[test]
fn nothing_asks_what_time_it_is() {
    fn look(folder: &Path, found: &mut Vec<String>, files: &mut usize) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found, files);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !["store/index.rs", "store/cache.rs", "graph/log.rs"]
                    .iter()
                    .any(|told| path.ends_with(told))
            {
                *files += 1;
                let text = fs::read_to_string(&path).unwrap();
                for clock in ["SystemTime::now", "CLOCK_REALTIME", "gettimeofday", "ITIMER_REAL"] {
                    if text.contains(clock) {
                        found.push(format!("{}: {clock}", path.display()));
                    }
                }
            }
        }
    }
    let (mut found, mut files) = (Vec::new(), 0);
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found, &mut files);
    assert!(files > 50, "{files}");
    assert!(found.is_empty(), "{found:?}");
}
