//! The order of the vertices in their layers, with few crossings.
//!
//! Sweeps down and up, in which each vertex goes to the barycentre or the median of its neighbours in the layer before
//! (Sugiyama et al. 1981; Eades and Wormald, "Edge crossings in drawings of bipartite graphs", Algorithmica 11, 1994),
//! each followed by exchanges of neighbours (the "transpose" of Gansner et al. 1993). The best order that was seen stays.

use super::graph::Layered;
use std::cmp::Ordering;

/// Sweeps without success after which the search ends.
const PATIENCE: usize = 6;
const MOST_SWEEPS: usize = 40;
/// What all sweeps together may visit, in edges between layers: about a second.
const MOST_VISITS: usize = 3_000_000;

/// The order with which a search begins.
enum Start {
    Given,
    /// As a search along edges in both directions finds the vertices.
    Both,
    Down,
}

/// Orders the layers so that few edges cross.
pub(super) fn reduce_crossings(graph: &mut Layered) {
    let sweeps = (MOST_VISITS / graph.down.len().max(1)).clamp(2, MOST_SWEEPS);
    let mut best: Option<(usize, Vec<Vec<u32>>)> = None;
    // What is small or easy starts from the order it was given in, too, which is kept if it is as good.
    let starts: &[Start] =
        if sweeps < MOST_SWEEPS { &[Start::Both] } else { &[Start::Given, Start::Both, Start::Down] };
    for start in starts {
        match start {
            Start::Given => {}
            Start::Both => visit(graph, false),
            Start::Down => visit(graph, true),
        }
        let mut idle = 0;
        for sweep in 0..=sweeps {
            if sweep > 0 {
                self::sweep(graph, sweep % 2 == 1, sweep % 4 < 2);
                exchange(graph);
            }
            let crossings = crossings(graph);
            if best.as_ref().is_none_or(|(least, _)| crossings < *least) {
                best = Some((crossings, graph.layers.clone()));
                idle = 0;
            } else {
                idle += 1;
            }
            if crossings == 0 || idle > PATIENCE {
                break;
            }
        }
        if best.as_ref().is_some_and(|(least, _)| *least == 0) {
            break;
        }
    }
    if let Some((_, layers)) = best {
        graph.layers = layers;
        graph.number();
    }
}

/// Fills the layers in the order in which a search in depth comes by, along edges in both directions or only down. Of a
/// tree that starts at its root this is an order without crossings.
fn visit(graph: &mut Layered, is_downward: bool) {
    let mut is_seen = vec![false; graph.layer_of.len()];
    let starts: Vec<u32> = graph.layers.concat();
    graph.layers.iter_mut().for_each(Vec::clear);
    let mut stack = Vec::new();
    for start in starts {
        stack.push(start);
        while let Some(v) = stack.pop() {
            if std::mem::replace(&mut is_seen[v as usize], true) {
                continue;
            }
            graph.layers[graph.layer_of[v as usize] as usize].push(v);
            if !is_downward {
                stack.extend(graph.up.of(v).iter().rev().filter(|w| !is_seen[**w as usize]));
            }
            stack.extend(graph.down.of(v).iter().rev().filter(|w| !is_seen[**w as usize]));
        }
    }
    graph.number();
}

/// Sorts one layer after the other by where the neighbours in the layer before stand.
fn sweep(graph: &mut Layered, is_downward: bool, by_median: bool) {
    let depth = graph.layers.len();
    let mut keyed: Vec<(f64, u32)> = Vec::new();
    let mut places = Vec::new();
    for step in 1..depth {
        let at = if is_downward { step } else { depth - 1 - step };
        let before = if is_downward { &graph.up } else { &graph.down };
        keyed.clear();
        for &v in &graph.layers[at] {
            places.clear();
            places.extend(before.of(v).iter().map(|w| graph.position[*w as usize]));
            if !places.is_empty() {
                keyed.push((if by_median { median(&mut places) } else { mean(&places) }, v));
            }
        }
        // Stable: equal ones keep their order. Those without neighbours keep their places.
        keyed.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
        let mut sorted = keyed.iter().map(|(_, v)| *v);
        for (place, slot) in graph.layers[at].iter_mut().enumerate() {
            if !before.of(*slot).is_empty() {
                *slot = sorted.next().expect("each vertex with neighbours was given a key");
            }
            graph.position[*slot as usize] = place as u32;
        }
    }
}

fn mean(places: &[u32]) -> f64 {
    places.iter().map(|place| f64::from(*place)).sum::<f64>() / places.len() as f64
}

/// The weighted median: of an even number of places, nearer to the side on which they lie closer together.
fn median(places: &mut [u32]) -> f64 {
    places.sort_unstable();
    let (count, middle) = (places.len(), places.len() / 2);
    let at = |index: usize| f64::from(places[index]);
    if count % 2 == 1 {
        return at(middle);
    }
    let (left, right) = (at(middle - 1) - at(0), at(count - 1) - at(middle));
    if left + right == 0.0 {
        return (at(middle - 1) + at(middle)) / 2.0;
    }
    (at(middle - 1) * right + at(middle) * left) / (left + right)
}

/// Exchanges neighbours in a layer while that removes crossings.
fn exchange(graph: &mut Layered) {
    for at in 0..graph.layers.len() {
        let mut layer = std::mem::take(&mut graph.layers[at]);
        for &v in &layer {
            let position = &graph.position;
            graph.up.of_mut(v).sort_unstable_by_key(|w| position[*w as usize]);
            graph.down.of_mut(v).sort_unstable_by_key(|w| position[*w as usize]);
        }
        for _ in 0..4 {
            let mut has_changed = false;
            for left in 1..layer.len() {
                let (v, w) = (layer[left - 1], layer[left]);
                let (now, then) = [&graph.up, &graph.down].iter().fold((0, 0), |(now, then), side| {
                    let (a, b) = pair_crossings(&graph.position, side.of(v), side.of(w));
                    (now + a, then + b)
                });
                if then < now {
                    layer.swap(left - 1, left);
                    has_changed = true;
                }
            }
            if !has_changed {
                break;
            }
        }
        for (place, v) in layer.iter().enumerate() {
            graph.position[*v as usize] = place as u32;
        }
        graph.layers[at] = layer;
    }
}

/// How often the edges of two vertices cross as they stand, and when exchanged. Both are sorted by position.
fn pair_crossings(position: &[u32], left: &[u32], right: &[u32]) -> (usize, usize) {
    let (mut before, mut not_after) = (0, 0);
    let (mut now, mut then) = (0, 0);
    for v in left {
        let place = position[*v as usize];
        while before < right.len() && position[right[before] as usize] < place {
            before += 1;
        }
        while not_after < right.len() && position[right[not_after] as usize] <= place {
            not_after += 1;
        }
        now += before;
        then += right.len() - not_after;
    }
    (now, then)
}

/// How many pairs of edges cross: Barth, Mutzel and Jünger, "Simple and efficient bilayer cross counting", J. Graph
/// Algorithms Appl. 8(2), 2004.
pub(super) fn crossings(graph: &Layered) -> usize {
    let mut total = 0;
    let (mut ends, mut tree) = (Vec::new(), Vec::new());
    for at in 1..graph.layers.len() {
        let leaves = graph.layers[at].len().next_power_of_two();
        tree.clear();
        tree.resize(2 * leaves, 0_usize);
        for v in &graph.layers[at - 1] {
            ends.clear();
            ends.extend(graph.down.of(*v).iter().map(|w| graph.position[*w as usize] as usize));
            ends.sort_unstable();
            for end in &ends {
                let mut node = end + leaves;
                tree[node] += 1;
                while node > 1 {
                    if node.is_multiple_of(2) {
                        total += tree[node + 1];
                    }
                    node /= 2;
                    tree[node] += 1;
                }
            }
        }
    }
    total
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::Link;
    use super::*;
    use proptest::prelude::*;

    fn layered(count: usize, pairs: &[(u32, u32)]) -> Layered {
        let links: Vec<Link> = pairs.iter().map(|&(from, to)| Link { from, to, label: 0.0 }).collect();
        Layered::new(&vec![(10.0, 10.0); count], &links)
    }

    fn least(count: usize, pairs: &[(u32, u32)]) -> usize {
        let mut graph = layered(count, pairs);
        reduce_crossings(&mut graph);
        crossings(&graph)
    }

    /// Each pair of edges by itself.
    fn counted(graph: &Layered) -> usize {
        let place = |v: u32| graph.position[v as usize];
        let layer = |v: u32| graph.layer_of[v as usize];
        let edges: Vec<(u32, u32)> = (0..graph.layer_of.len() as u32)
            .flat_map(|v| graph.down.of(v).iter().map(move |w| (v, *w)))
            .collect();
        let crosses = |a: &(u32, u32), b: &(u32, u32)| {
            layer(a.0) == layer(b.0) && place(a.0) < place(b.0) && place(a.1) > place(b.1)
        };
        edges.iter().map(|a| edges.iter().filter(|b| crosses(a, b)).count()).sum()
    }

    #[test]
    fn a_complete_bipartite_graph_has_the_least_crossings_there_are() {
        assert_eq!(least(4, &[(0, 2), (0, 3), (1, 2), (1, 3)]), 1);
        assert_eq!(least(5, &[(0, 3), (0, 4), (1, 3), (1, 4), (2, 3), (2, 4)]), 3);
        // Two of them, one under the other.
        assert_eq!(least(6, &[(0, 2), (0, 3), (1, 2), (1, 3), (2, 4), (2, 5), (3, 4), (3, 5)]), 2);
    }

    #[test]
    fn edges_that_need_not_cross_do_not() {
        // A ladder whose rungs are given in a bad order.
        assert_eq!(least(8, &[(0, 7), (1, 6), (2, 5), (3, 4)]), 0);
        assert_eq!(least(6, &[(0, 5), (0, 3), (1, 4), (1, 5), (2, 3)]), 0);
    }

    proptest! {
        #[test]
        fn trees_have_no_crossings(parents in prop::collection::vec(any::<u32>(), 1..60), is_to_root: bool) {
            let pairs: Vec<(u32, u32)> = parents
                .iter()
                .enumerate()
                .map(|(at, parent)| (parent % (at as u32 + 1), at as u32 + 1))
                .map(|(parent, child)| if is_to_root { (child, parent) } else { (parent, child) })
                .collect();
            prop_assert_eq!(least(parents.len() + 1, &pairs), 0);
        }

        #[test]
        fn the_count_is_that_of_all_pairs(pairs in prop::collection::vec((0_u32..12, 1_u32..12), 1..40)) {
            let pairs: Vec<(u32, u32)> = pairs.into_iter().map(|(from, by)| (from, from + by)).collect();
            let mut graph = layered(24, &pairs);
            prop_assert_eq!(crossings(&graph), counted(&graph));
            let before = crossings(&graph);
            reduce_crossings(&mut graph);
            prop_assert_eq!(crossings(&graph), counted(&graph));
            prop_assert!(crossings(&graph) <= before);
        }
    }
}
