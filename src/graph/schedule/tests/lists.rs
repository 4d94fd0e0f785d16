//! List scheduling by hand.

use super::super::{ListScheduler, Priority, Problem, Scheduler};
use super::{placements, same_costs};

#[test]
fn a_worker_that_is_free_takes_what_is_ready_instead_of_what_is_urgent() {
    // Task 2 is urgent and waits for 0; task 3 is ready at once.
    let problem = Problem::new(2, None, same_costs(&[3.0, 1.0, 9.0, 2.0]), &[(0, 2, 0.0)]).unwrap();
    let expected = placements(&[(0, 0, 0.0, 3.0), (1, 1, 2.0, 3.0), (2, 0, 3.0, 12.0), (3, 1, 0.0, 2.0)]);
    assert_eq!(ListScheduler::new(2).place(&problem), expected);
}

#[test]
fn a_queue_gives_tasks_in_the_order_in_which_they_became_ready() {
    // Task 0 is ready last, because it waits for 3.
    let edges = [(3, 0, 0.0), (2, 1, 0.0)];
    let problem = Problem::new(1, None, same_costs(&[1.0, 5.0, 1.0, 1.0]), &edges).unwrap();
    let found = ListScheduler::new(1).priority(Priority::Fifo).place(&problem);
    assert_eq!(found.iter().map(|placement| placement.start).collect::<Vec<_>>(), [7.0, 2.0, 0.0, 1.0]);
}

#[test]
fn a_result_from_another_worker_is_waited_for() {
    let problem = Problem::new(2, None, same_costs(&[2.0, 4.0, 1.0]), &[(1, 2, 5.0)]).unwrap();
    let found = ListScheduler::new(2).place(&problem);
    // Worker 1 has been free since 2 and is chosen all the same.
    assert_eq!((found[0].worker, found[1].worker), (1, 0));
    assert_eq!((found[2].worker, found[2].start), (1, 9.0));
}
