//! What is read off a schedule.

use super::super::{Heft, Problem, Schedule};
use super::{heft_example, placements, same_costs, scheduled};
use std::sync::Arc;

#[test]
fn measures_of_the_papers_example_are_those_worked_out_by_hand() {
    let schedule = scheduled(&Heft::new(3), heft_example());
    // The first processor alone takes 127, the others 130 and 143.
    assert_eq!(schedule.speedup(), 127.0 / 80.0);
    assert_eq!(schedule.efficiency(), 127.0 / 240.0);
    // n1, n2, n9, n10 at their least: 9 + 13 + 12 + 7.
    assert_eq!(schedule.slr(), 80.0 / 41.0);
    assert_eq!((schedule.idle(0), schedule.idle(1), schedule.idle(2)), (62.0, 37.0, 31.0));
    assert_eq!(schedule.utilisation(), (18.0 + 43.0 + 49.0) / 240.0);
}

#[test]
fn a_schedule_without_tasks_has_measures() {
    let schedule = scheduled(&Heft::new(4), Problem::new(4, None, [], &[]).unwrap());
    assert_eq!(schedule.makespan(), 0.0);
    assert_eq!((schedule.speedup(), schedule.efficiency(), schedule.slr()), (1.0, 0.25, 1.0));
    assert_eq!((schedule.idle(3), schedule.utilisation()), (0.0, 1.0));
    assert_eq!(schedule.task_lists(), vec![Vec::<u32>::new(); 4]);
}

#[test]
fn the_ratio_is_infinite_if_only_communication_takes_time() {
    let problem = Problem::new(2, None, same_costs(&[0.0, 0.0]), &[(0, 1, 3.0)]).unwrap();
    let schedule = Schedule::new(Arc::new(problem), placements(&[(0, 0, 0.0, 0.0), (1, 1, 3.0, 3.0)]));
    schedule.validate().unwrap();
    assert_eq!((schedule.speedup(), schedule.slr()), (0.0, f64::INFINITY));
}

#[test]
fn tasks_are_called_as_the_names_say() {
    let problem = Arc::new(Problem::new(1, None, same_costs(&[1.0]), &[]).unwrap());
    let schedule = Schedule::new(problem, Vec::new());
    assert_eq!(schedule.name(0), "#0");
    let schedule = schedule.with_names(|task| format!("load {task}"));
    assert_eq!(schedule.name(0), "load 0");
    assert!(schedule.validate().unwrap_err().to_string().ends_with("load 0 is not placed"));
}
