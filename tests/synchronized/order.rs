//! What runs at once, and in which order things happen.

use crate::fixture::deadline;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use xfork::{concurrent, synchronized};

static THREE: Barrier = Barrier::new(3);

/// Ends only when three of them run at once.
#[concurrent(io)]
fn together(number: u32) -> u32 {
    THREE.wait();
    number
}

#[derive(Debug, Default, PartialEq)]
struct Total {
    parts: [u32; 3],
}

#[concurrent]
fn in_a_process() -> u32 {
    std::process::id()
}

#[concurrent(io)]
fn on_a_thread() -> u32 {
    std::process::id()
}

/// DE-01, DE-07: processes, and threads when asked.
#[test]
fn concurrent_functions_run_in_processes_or_on_threads() {
    deadline(|| {
        #[synchronized]
        fn pids() -> (u32, u32) {
            let process = in_a_process();
            let thread = on_a_thread();
            (process, thread)
        }
        let (process, thread) = pids();
        assert_ne!(process, std::process::id());
        assert_eq!(thread, std::process::id());
        // Called plainly, they are ordinary functions.
        assert_eq!(in_a_process(), std::process::id());
    });
}

#[synchronized]
fn borrowed(numbers: &[u32]) -> Vec<u32> {
    let mut out = Vec::new();
    for number in numbers {
        out.push(together(*number));
    }
    out
}

#[synchronized]
fn keyed(numbers: Vec<u32>) -> BTreeMap<u32, u32> {
    let mut out = BTreeMap::new();
    for (at, number) in numbers.into_iter().enumerate() {
        match at {
            0 => {
                out.insert(number, together(9));
            }
            _ => {
                out.insert(number, together(8));
            }
        }
    }
    out
}

#[synchronized]
fn by_while() -> [u32; 3] {
    let mut out = [0; 3];
    let mut at = 0;
    while at < 3 {
        match at {
            1 => out[at] = together(1),
            _ => out[at] = together(7),
        }
        at += 1;
    }
    out
}

#[synchronized]
fn branched(numbers: &[u32]) -> Vec<u32> {
    let mut out = Vec::new();
    let mut seen = 0;
    for number in numbers {
        seen += 1;
        if *number > 100 {
            println!("{out:?} {seen}");
        } else if let Some(less) = number.checked_sub(1) {
            out.push(together(less));
        }
    }
    out
}

#[synchronized]
fn fields(total: &mut Total) {
    for at in 0..3 {
        total.parts[at] += together(1);
    }
}

#[synchronized]
fn effects() -> Vec<u32> {
    for number in 0..3 {
        note(together(number));
    }
    noted()
}

#[synchronized]
fn effects_of(list: &[u32]) -> Vec<u32> {
    for &number in list.iter().rev() {
        note(together(number));
    }
    let mut noted = noted();
    for number in vec![4, 5, 6] {
        note(together(number));
    }
    noted.extend(self::noted());
    noted
}

/// Each of these would wait for ever if its calls were made one after the other.
#[test]
fn calls_run_at_once_in_every_form() {
    deadline(|| {
        #[synchronized]
        fn indexed() -> Vec<u32> {
            let mut out = vec![0; 3];
            for i in 0..3 {
                out[i] = together(i as u32);
            }
            out
        }
        #[synchronized]
        fn added() -> u32 {
            let mut sum = 0;
            for i in 0..3 {
                sum += together(i);
            }
            sum
        }
        #[synchronized]
        fn pushed() -> Vec<u32> {
            let mut out = Vec::new();
            for i in 0..3 {
                if i == 1 {
                    out.push(together(10));
                } else {
                    out.push(together(i));
                }
            }
            out
        }
        #[synchronized]
        fn bound() -> (u32, u32, u32) {
            let a = together(1);
            let b = together(2);
            let c = together(3);
            (a, b, c)
        }
        #[synchronized]
        fn collected() -> Vec<u32> {
            (0..3).map(|i| together(i)).collect()
        }
        #[synchronized]
        fn alone() {
            together(1);
            together(2);
            together(3);
        }
        #[synchronized]
        fn mixed(out: &mut [u32]) -> u32 {
            out[0] = together(1);
            let x = together(2);
            out[1] += together(3);
            x
        }
        assert_eq!(indexed(), [0, 1, 2]);
        assert_eq!(added(), 3);
        assert_eq!(pushed(), [0, 10, 2]);
        assert_eq!(bound(), (1, 2, 3));
        assert_eq!(collected(), [0, 1, 2]);
        assert_eq!(borrowed(&[3, 4, 5]), [3, 4, 5]);
        assert_eq!(keyed(vec![1, 2, 3]), BTreeMap::from([(1, 9), (2, 8), (3, 8)]));
        assert_eq!(by_while(), [7, 1, 7]);
        assert_eq!(branched(&[1, 2, 3]), [0, 1, 2]);
        let mut total = Total::default();
        fields(&mut total);
        assert_eq!(total, Total { parts: [1; 3] });
        assert_eq!(effects(), [0, 1, 2]);
        assert_eq!(effects_of(&[1, 2, 3]), [3, 2, 1, 4, 5, 6]);
        alone();
        let mut out = [5, 5];
        assert_eq!((mixed(&mut out), out), (2, [1, 8]));
    });
}

#[concurrent(io)]
fn same(number: u32) -> u32 {
    number
}

thread_local! {
    static LOG: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

fn note(number: u32) {
    LOG.with_borrow_mut(|log| log.push(number));
}

fn noted() -> Vec<u32> {
    LOG.take()
}

/// DE-03: mutations are applied in the order of the calls, and effects that anybody may see are seen in the order of
/// the program.
#[test]
fn effects_come_in_the_order_of_the_program() {
    deadline(|| {
        #[synchronized]
        fn run() -> Vec<u32> {
            for i in 0..5 {
                note(same(i));
                if i == 3 {
                    note(33);
                }
            }
            noted()
        }
        assert_eq!(run(), [0, 1, 2, 3, 33, 4]);
    });
}

#[concurrent(io)]
fn fails(number: u32) -> u32 {
    assert!(number < 3, "{number} is too much");
    number
}

fn message(body: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

/// The panic of a task comes where its result is assigned; what was called before is done, and nothing behind it.
#[test]
fn a_panic_leaves_what_a_serial_program_would() {
    deadline(|| {
        #[synchronized]
        fn run(out: &mut Vec<u32>) {
            for i in 0..6 {
                out.push(fails(i));
            }
        }
        let mut out = Vec::new();
        assert_eq!(message(|| run(&mut out)), "3 is too much");
        assert_eq!(out, [0, 1, 2]);
    });
}

/// An index out of bounds panics where the assignment is, as in a serial program.
#[test]
fn an_index_out_of_bounds_is_the_panic_of_its_assignment() {
    deadline(|| {
        #[synchronized]
        fn run(out: &mut Vec<u32>) {
            for i in 0..4 {
                out[i] = same(i as u32 + 5);
            }
        }
        let mut out = vec![0; 2];
        let place = std::sync::Arc::new(std::sync::Mutex::new(None));
        let seen = place.clone();
        let old = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let Some(location) = info.location().filter(|location| location.file().ends_with("order.rs")) {
                *seen.lock().unwrap() = Some(location.line());
            }
        }));
        let text = message(|| run(&mut out));
        std::panic::set_hook(old);
        assert_eq!(text, "index out of bounds: the len is 2 but the index is 2");
        assert_eq!(out, [5, 6]);
        assert_eq!(*place.lock().unwrap(), Some(INDEX_LINE));
    });
}

/// Where `an_index_out_of_bounds_…` assigns.
const INDEX_LINE: u32 = 283;
