//! One task for each item.

use std::process::id;

use crate::fixture::{Folder, MINUTE, deadline, fail, own_pid, square};
use xfork::{
    ResultProxy, block_map, block_map_process, block_map_thread, cpu_bound, map, map_process, map_thread,
    wait_all_timeout,
};

/// XF-07: `map(f, *iterables)` gives a list of proxies, in the order of the items.
#[test]
fn map_gives_a_proxy_for_each_item_in_order() {
    deadline(MINUTE, || {
        let squares: Vec<ResultProxy<u64>> = map(square, 0..20);
        assert_eq!(squares, (0..20).map(|n| n * n).collect::<Vec<_>>());
        assert!(map(square, Vec::<u64>::new()).is_empty());
    });
}

/// XF-07: star-args; stops at shortest iterable (`zip` does that).
#[test]
fn an_item_that_is_a_tuple_is_spread_over_the_parameters() {
    deadline(MINUTE, || {
        let powers = map(|base: u64, exponent: u32| base.pow(exponent), (2..).zip([1, 2, 3]));
        assert_eq!(powers, [2, 9, 64]);
        let names = map(str::to_uppercase_owned, ["a", "b"]);
        assert_eq!(names, ["A", "B"]);
    });
}

trait ToUppercaseOwned {
    fn to_uppercase_owned(text: String) -> String;
}

impl ToUppercaseOwned for str {
    fn to_uppercase_owned(text: String) -> String {
        text.to_uppercase()
    }
}

/// XF-07: `map_process`, `map_thread`.
#[test]
fn map_process_and_map_thread_override_the_mark() {
    deadline(MINUTE, || {
        assert!(map_process(own_pid, [(), ()]).iter().all(|pid| **pid != id()));
        assert!(map_thread(own_pid, [(), ()]).iter().all(|pid| **pid == id()));
        let word = String::from("ab");
        assert_eq!(map_thread(move |n: usize| word.repeat(n), [1, 2]), ["ab", "abab"]);
    });
}

/// XF-07, XF-29: items may be proxies.
#[test]
fn the_results_of_one_map_are_the_items_of_the_next() {
    deadline(MINUTE, || assert_eq!(map(square, map(square, 1..=3)), [1, 16, 81]));
}

/// XF-08: `block_map` = await_all(map(..)), values in order; the README's form `block_map(f, images)` returned `[]`.
#[test]
fn block_map_gives_the_values_of_all_items_in_order() {
    deadline(MINUTE, || {
        assert_eq!(block_map(square, 1..=5).unwrap(), [1, 4, 9, 16, 25]);
        assert_eq!(block_map(square, vec![7]).unwrap(), [49]);
        assert!(block_map(square, 0..0).unwrap().is_empty());
        assert!(block_map_process(own_pid, [()]).unwrap()[0] != id());
        assert!(block_map_thread(own_pid, [()]).unwrap()[0] == id());
        // Values that cannot be cloned are handed out all the same.
        struct Unique(u32);
        let unique = block_map_thread(Unique, [1, 2]).unwrap();
        assert_eq!(unique.iter().map(|unique| unique.0).sum::<u32>(), 3);
    });
}

#[cpu_bound]
fn fail_if_odd(n: u32, folder: &std::path::Path) -> u32 {
    assert!(n.is_multiple_of(2), "{n} is odd");
    std::fs::write(folder.join(n.to_string()), "").unwrap();
    n
}

/// XF-08, XF-10: the first failing item, in order, is the error; by then all tasks have ended.
#[test]
fn block_map_gives_the_first_error_in_order_after_all_have_ended() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let items = [2, 4, 3, 6, 1, 8].map(|n| (n, folder.path()));
        let error = block_map(fail_if_odd, items).unwrap_err();
        assert_eq!(error.message(), "3 is odd");
        assert_eq!(folder.count(), 4);
        assert_eq!(block_map_thread(fail, ["a", "b"]).unwrap_err().message(), "a");
    });
}

/// XF-08: the documented TimeoutError: `wait_all_timeout(&map(…), limit)`.
#[test]
fn a_map_that_takes_too_long_is_a_timeout() {
    deadline(MINUTE, || {
        let gate = crate::fixture::Gate::new();
        let proxies = map(crate::fixture::pass, [(gate.path(), 1)]);
        let stopped = gate.next();
        let error = wait_all_timeout(&proxies, std::time::Duration::from_millis(1)).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        stopped.let_go();
        assert_eq!(proxies, [1]);
    });
}
