//! Broken schedules: each way to break one is found, and told as what it is.

use super::super::{Heft, Placement, Problem, Schedule, ScheduleError, Scheduler, TaskLabel, Violation};
use super::heft_example;
use std::sync::Arc;

fn broken(change: impl FnOnce(&mut Vec<Placement>)) -> Vec<Violation> {
    let problem = Arc::new(heft_example());
    let mut placements = Heft::new(3).place(&problem);
    change(&mut placements);
    match Schedule::new(problem, placements).validate() {
        Ok(()) => Vec::new(),
        Err(ScheduleError::Invalid { violations }) => violations,
        Err(error) => panic!("{error}"),
    }
}

fn label(task: u32) -> TaskLabel {
    TaskLabel { task, name: format!("#{task}") }
}

#[test]
fn nothing_is_wrong_with_an_unbroken_schedule_in_any_order() {
    assert_eq!(broken(|_| ()), []);
    assert_eq!(broken(|placements| placements.reverse()), []);
}

#[test]
fn a_task_left_out_is_found() {
    let found = broken(|placements| {
        placements.remove(4);
    });
    assert_eq!(found, [Violation::Missing { task: label(4) }]);
    assert_eq!(found[0].to_string(), "#4 is not placed");
}

#[test]
fn a_task_placed_twice_is_found() {
    let found = broken(|placements| placements.push(placements[6]));
    assert_eq!(found, [Violation::Repeated { task: label(6), times: 2 }]);
}

#[test]
fn what_is_no_task_is_found() {
    let found = broken(|placements| placements.push(Placement { task: 10, ..placements[0] }));
    assert_eq!(found, [Violation::UnknownTask { task: 10, tasks: 10 }]);
}

#[test]
fn a_worker_that_is_not_there_is_found() {
    let found = broken(|placements| placements[9].worker = 3);
    assert_eq!(found, [Violation::UnknownWorker { task: label(9), worker: 3, workers: 3 }]);
}

#[test]
fn times_that_are_none_are_found() {
    for start in [f64::NAN, -1.0, f64::NEG_INFINITY, f64::INFINITY] {
        let found = broken(|placements| placements[9].start = start);
        assert!(matches!(&found[..], [Violation::Time { task, .. }] if task.task == 9), "{found:?}");
    }
    for finish in [f64::NAN, f64::INFINITY, -1.0] {
        let found = broken(|placements| placements[9].finish = finish);
        assert!(matches!(&found[..], [Violation::Time { task, .. }] if task.task == 9), "{found:?}");
    }
}

#[test]
fn a_task_that_takes_another_time_than_it_costs_is_found() {
    for finish in [79.9, 80.1] {
        let found = broken(|placements| placements[9].finish = finish);
        let expected = Violation::Length { task: label(9), worker: 1, start: 73.0, finish, cost: 7.0 };
        assert_eq!(found, [expected]);
    }
}

#[test]
fn two_tasks_at_once_on_a_worker_are_found() {
    // Task 4 moves into task 2; its input is there from 9 on.
    let found = broken(|placements| (placements[4].start, placements[4].finish) = (27.5, 37.5));
    let expected =
        Violation::Overlap { worker: 2, first: label(2), finish: 28.0, second: label(4), start: 27.5 };
    assert_eq!(found, [expected]);
    assert_eq!(found[0].to_string(), "#4 starts at 27.5 on worker 2, where #2 runs until 28");
}

#[test]
fn a_task_that_starts_while_its_input_is_on_the_way_is_found() {
    // Task 1 ends at 40 on worker 0, and its result takes 16 to worker 1.
    let found = broken(|placements| (placements[8].start, placements[8].finish) = (55.0, 67.0));
    let expected = Violation::TooEarly {
        task: label(8),
        worker: 1,
        start: 55.0,
        input: label(1),
        input_worker: 0,
        finish: 40.0,
        ready: 56.0,
    };
    assert_eq!(found, [expected]);
}

#[test]
fn a_task_before_its_input_on_the_same_worker_is_found() {
    // Task 0 runs from 0 to 9 on worker 2; behind everything else there it is too late for all that need it.
    let found = broken(|placements| (placements[0].start, placements[0].finish) = (60.0, 69.0));
    let late: Vec<u32> = found
        .iter()
        .map(|violation| match violation {
            Violation::TooEarly { task, input, .. } if input.task == 0 => task.task,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(late, [1, 2, 3, 4, 5]);
}

#[test]
fn a_task_without_length_inside_another_is_found() {
    let problem = Arc::new(Problem::new(1, None, super::same_costs(&[4.0, 0.0]), &[]).unwrap());
    let at = |time| {
        let placements = super::placements(&[(0, 0, 0.0, 4.0), (1, 0, time, time)]);
        Schedule::new(problem.clone(), placements).validate()
    };
    at(2.0).unwrap_err();
    at(0.0).unwrap();
    at(4.0).unwrap();
}

#[test]
fn everything_that_is_wrong_is_told_together() {
    let found = broken(|placements| {
        placements[9].worker = 7;
        (placements[4].start, placements[4].finish) = (27.5, 37.5);
        placements[7].finish += 1.0;
        placements.remove(6);
    });
    let kinds: Vec<_> = found.iter().map(|violation| violation.to_string()).collect();
    assert_eq!(
        kinds,
        [
            "#6 is not placed",
            "#7 runs from 57 to 63 on worker 0, where it takes 5",
            "#9 is on worker 7, but there are 3 workers, numbered from 0",
            "#4 starts at 27.5 on worker 2, where #2 runs until 28",
        ]
    );
}

#[test]
fn a_report_of_very_many_violations_stays_short() {
    let problem = Problem::new(1, None, super::same_costs(&[1.0; 500]), &[]).unwrap();
    let text = Schedule::new(Arc::new(problem), Vec::new()).validate().unwrap_err().to_string();
    assert!(text.starts_with("the schedule breaks 500 rules:\n  #0 is not placed\n"), "{text}");
    assert!(text.ends_with("\n  … 488 more"), "{text}");
}
