//! An explanation as a tree of lines.
//!
//! Owns the layout. Promises at most `LINES` lines; when that is too few, the lines are those nearest to the root, and the last
//! one says how much is left out. A node that is reached twice is shown once, with a number, and then by this number.

use super::{Explanation, Kind, Node, State, grouped};
use std::collections::VecDeque;
use std::fmt;

/// The largest number of lines, with the one that says what is left out.
const LINES: usize = 60;

pub(super) fn write(explanation: &Explanation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let nodes = &explanation.nodes;
    let opened = choose(nodes);
    let numbers = number(nodes, &opened);
    let mut is_shown = vec![false; nodes.len()];
    // With what each line begins, and whether it is the last of its neighbours; none for the root.
    let mut stack = vec![(0, String::new(), None)];
    while let Some((id, indent, is_last)) = stack.pop() {
        let branch = match is_last {
            None => "",
            Some(true) => "└─ ",
            Some(false) => "├─ ",
        };
        write!(f, "{indent}{branch}")?;
        if let Some(number) = numbers[id] {
            write!(f, "#{number} ")?;
            if is_shown[id] {
                writeln!(f, "(as above)")?;
                continue;
            }
        }
        is_shown[id] = true;
        write_line(&nodes[id], f)?;
        let hides = nodes[id].is_cut || !opened[id] && !nodes[id].children.is_empty();
        writeln!(f, "{}", if hides { " …" } else { "" })?;
        if opened[id] {
            let indent = match is_last {
                None => indent,
                Some(true) => indent + "   ",
                Some(false) => indent + "│  ",
            };
            let children = nodes[id].children.iter().rev().enumerate();
            stack.extend(children.map(|(back, child)| (*child, indent.clone(), Some(back == 0))));
        }
    }
    let hidden = (0..nodes.len()).filter(|id| !opened[*id]).flat_map(|id| &nodes[id].children);
    let hidden: usize = hidden.map(|child| nodes[*child].weight()).sum::<usize>() + explanation.unseen;
    match (hidden, explanation.is_unseen_cut) {
        (0, false) => Ok(()),
        (_, false) => writeln!(f, "… {} more", grouped(hidden)),
        (_, true) => writeln!(f, "… more than {} more", grouped(hidden)),
    }
}

fn write_line(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&node.text())?;
    if matches!(node.kind, Kind::Plain | Kind::More(_)) {
        return Ok(());
    }
    if node.state == State::Ready && !node.detail.is_empty() {
        write!(f, " {}", node.detail)?;
    }
    match (&node.place, node.kind) {
        (Some(place), Kind::Task) => write!(f, ", forked at {place}")?,
        (Some(place), _) => write!(f, ", {place}")?,
        (None, _) => {}
    }
    if node.state == State::Failed {
        write!(f, ": {}", node.detail)?;
    }
    Ok(())
}

/// Whose children are shown: level by level, while there are lines for all of them.
fn choose(nodes: &[Node]) -> Vec<bool> {
    let mut opened = vec![false; nodes.len()];
    let mut is_known = vec![false; nodes.len()];
    is_known[0] = true;
    let (mut queue, mut lines) = (VecDeque::from([0]), 1);
    while let Some(id) = queue.pop_front() {
        let children: &[usize] = &nodes[id].children;
        if lines + children.len() >= LINES {
            break;
        }
        lines += children.len();
        opened[id] = true;
        queue.extend(children.iter().filter(|child| !std::mem::replace(&mut is_known[**child], true)));
    }
    opened
}

/// The numbers of the nodes that are shown more than once, from 1 in the order of their lines.
fn number(nodes: &[Node], opened: &[bool]) -> Vec<Option<usize>> {
    let mut times = vec![0; nodes.len()];
    let (mut stack, mut order) = (vec![0], Vec::new());
    while let Some(id) = stack.pop() {
        times[id] += 1;
        if times[id] == 1 {
            order.push(id);
            if opened[id] {
                stack.extend(nodes[id].children.iter().rev());
            }
        }
    }
    let mut numbers = vec![None; nodes.len()];
    for (before, id) in order.into_iter().filter(|id| times[*id] > 1).enumerate() {
        numbers[id] = Some(before + 1);
    }
    numbers
}
