//! HEFT and PEFT written down again as the papers' text has them, and compared.

use super::super::peft::optimistic_costs;
use super::super::{Cpop, Heft, ListScheduler, Peft, Placement, Problem, Scheduler};
use super::random::{Random, Shape};
use super::scheduled;
use std::collections::HashMap;

fn rank(problem: &Problem, task: u32, known: &mut HashMap<u32, f64>) -> f64 {
    if let Some(rank) = known.get(&task) {
        return *rank;
    }
    let workers = problem.workers() as u32;
    let mean = (0..workers).map(|worker| problem.cost(task, worker)).sum::<f64>() / f64::from(workers);
    let mut longest = 0.0_f64;
    for edge in problem.successors(task) {
        longest = longest.max(edge.cost + rank(problem, edge.task, known));
    }
    known.insert(task, mean + longest);
    mean + longest
}

/// All processors, all predecessors, all gaps.
fn heft(problem: &Problem) -> Vec<Placement> {
    let mut known = HashMap::new();
    let mut order: Vec<u32> = (0..problem.tasks() as u32).collect();
    for task in &order {
        rank(problem, *task, &mut known);
    }
    order.sort_by(|a, b| known[b].total_cmp(&known[a]));
    let mut placed: HashMap<u32, Placement> = HashMap::new();
    for task in order {
        let mut best: Option<Placement> = None;
        for worker in 0..problem.workers() as u32 {
            let mut ready = 0.0_f64;
            for edge in problem.predecessors(task) {
                let input = placed[&edge.task];
                ready = ready.max(input.finish + if input.worker == worker { 0.0 } else { edge.cost });
            }
            let mut busy: Vec<(f64, f64)> = (placed.values())
                .filter(|other| other.worker == worker)
                .map(|other| (other.start, other.finish))
                .collect();
            busy.sort_by(|a, b| a.0.total_cmp(&b.0));
            busy.push((f64::INFINITY, f64::INFINITY));
            let cost = problem.cost(task, worker);
            let mut start = ready;
            for (from, to) in busy {
                if start + cost <= from {
                    break;
                }
                start = start.max(to);
            }
            let finish = start + cost;
            if best.is_none_or(|best| finish < best.finish) {
                best = Some(Placement { task, worker, start, finish });
            }
        }
        placed.insert(task, best.unwrap());
    }
    (0..problem.tasks() as u32).map(|task| placed[&task]).collect()
}

#[test]
fn heft_and_its_plain_version_give_the_same_schedules() {
    let mut random = Random(1);
    let (mut ours, mut plain) = (0.0, 0.0);
    for round in 0..300 {
        let tasks = [20, 40, 60, 80, 100][round % 5];
        let workers = 2 + random.below(7);
        let shape = Shape::any(&mut random, tasks, workers);
        let problem = shape.problem(&mut random);
        let expected = heft(&problem);
        assert_eq!(Heft::new(workers).place(&problem), expected, "{shape:?}");
        let makespan = expected.iter().map(|placement| placement.finish).fold(0.0, f64::max);
        let schedule = scheduled(&Heft::new(workers), problem);
        ours += schedule.slr();
        plain += schedule.slr() * makespan / schedule.makespan();
    }
    assert!((ours / plain - 1.0).abs() < 1e-12, "mean ratios: {ours} and {plain}");
}

#[test]
fn optimistic_costs_are_those_of_the_papers_formula() {
    let mut random = Random(2);
    for _ in 0..50 {
        let workers = 2 + random.below(4);
        let problem = Shape::any(&mut random, 40, workers).problem(&mut random);
        let mut expected = vec![0.0_f64; problem.tasks() * workers];
        for &task in problem.order().iter().rev() {
            for here in 0..workers {
                for edge in problem.successors(task) {
                    let after = |there: usize| {
                        let sent = if here == there { 0.0 } else { edge.cost };
                        expected[edge.task as usize * workers + there]
                            + problem.cost(edge.task, there as u32)
                            + sent
                    };
                    let least = (0..workers).map(after).fold(f64::INFINITY, f64::min);
                    let place = &mut expected[task as usize * workers + here];
                    *place = place.max(least);
                }
            }
        }
        super::assert_near(&optimistic_costs(&problem), &expected, 1e-9);
    }
}

/// HEFT before CPOP is the order of their paper (Topcuoglu, Hariri and Wu 2002, §5.2). PEFT's paper has it before HEFT; on
/// these graphs it is 1.6 percent behind, though it gives its paper's example as published. The bounds lie around what
/// 4000 graphs gave: 1.016, 1.055 and 1.437.
#[test]
fn mean_schedule_lengths_are_in_the_expected_proportions() {
    let mut random = Random(3);
    let mut sums = [0.0; 4];
    for round in 0..400 {
        let tasks = [20, 40, 60, 80, 100][round % 5];
        let problem = Shape::any(&mut random, tasks, 4).problem(&mut random);
        let schedulers: [&dyn Scheduler; 4] =
            [&Heft::new(4), &Peft::new(4), &Cpop::new(4), &ListScheduler::new(4)];
        for (sum, scheduler) in sums.iter_mut().zip(schedulers) {
            *sum += scheduled(scheduler, problem.clone()).slr();
        }
    }
    let [heft, peft, cpop, lists] = sums;
    assert!((1.00..1.03).contains(&(peft / heft)), "PEFT takes {} of HEFT", peft / heft);
    assert!((1.04..1.07).contains(&(cpop / heft)), "CPOP takes {} of HEFT", cpop / heft);
    assert!((1.35..1.50).contains(&(lists / heft)), "lists take {} of HEFT", lists / heft);
}
