//! Shorter edges without another order: what stands aside moves nearer to its neighbours.
//!
//! The alignments of [`place`](super::place) keep edges straight at the cost of width. Afterwards each node, and each straight
//! run of bends as a whole, moves towards the medians of its neighbours, as far as those beside it leave room: the
//! "minpath" and "medianpos" steps of Gansner et al. 1993. What stands between the medians above and below stays, so
//! that a parent keeps the middle of its children.

use super::graph::Layered;

const MOST_ROUNDS: usize = 16;
/// What all rounds together may visit, in edges between layers.
const MOST_VISITS: usize = 2_000_000;
/// In pixels: less isn't worth a round.
const LEAST_MOVE: f64 = 0.5;

/// Moves the vertices, each between its neighbours in its layer. Edges get no longer in sum.
pub(super) fn pull(graph: &Layered, xs: &mut [f64]) {
    let mut runs = runs(graph, xs);
    runs.sort_by_key(|run| graph.layer_of[run[0] as usize]);
    let rounds = (MOST_VISITS / graph.down.len().max(1)).clamp(1, MOST_ROUNDS);
    for round in 0..rounds {
        let mut most = 0.0_f64;
        for at in 0..runs.len() {
            let run = &runs[if round % 2 == 0 { at } else { runs.len() - 1 - at }];
            let (first, last) = (run[0], run[run.len() - 1]);
            let sides = [graph.up.of(first), graph.down.of(last)].map(|side| medians(side, xs));
            let Some((lower, upper)) =
                sides.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            else {
                continue;
            };
            let x = xs[first as usize];
            let (left, right) = room(graph, xs, run);
            let to = x.clamp(lower, upper).min(right).max(left);
            // Room that rounding has made negative is no room.
            if left <= right && (to - x).abs() > 1e-6 {
                most = most.max((to - x).abs());
                run.iter().for_each(|v| xs[*v as usize] = to);
            }
        }
        if most < LEAST_MOVE {
            break;
        }
    }
}

/// Nodes each by itself, and bends of an edge as long as they stand straight under each other.
fn runs(graph: &Layered, xs: &[f64]) -> Vec<Vec<u32>> {
    let nodes = (0..xs.len() as u32).filter(|v| graph.is_node(*v)).map(|v| vec![v]);
    let mut runs: Vec<Vec<u32>> = nodes.collect();
    for chain in &graph.chains {
        let bends = &chain.vertices[1..chain.vertices.len() - 1];
        let is_straight = |a: &u32, b: &u32| (xs[*a as usize] - xs[*b as usize]).abs() < 1e-6;
        runs.extend(bends.chunk_by(is_straight).map(<[u32]>::to_vec));
    }
    runs
}

/// Between which places the sum of the distances to these vertices is least.
fn medians(side: &[u32], xs: &[f64]) -> Option<(f64, f64)> {
    let mut places: Vec<f64> = side.iter().map(|v| xs[*v as usize]).collect();
    places.sort_unstable_by(f64::total_cmp);
    (!places.is_empty()).then(|| (places[(places.len() - 1) / 2], places[places.len() / 2]))
}

/// Between which places the run can stand.
fn room(graph: &Layered, xs: &[f64], run: &[u32]) -> (f64, f64) {
    let (mut left, mut right) = (f64::NEG_INFINITY, f64::INFINITY);
    for &v in run {
        let layer = &graph.layers[graph.layer_of[v as usize] as usize];
        let at = graph.position[v as usize] as usize;
        if at > 0 {
            let beside = layer[at - 1];
            left = left.max(xs[beside as usize] + graph.separation(beside, v));
        }
        if let Some(&beside) = layer.get(at + 1) {
            right = right.min(xs[beside as usize] - graph.separation(v, beside));
        }
    }
    (left, right)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::Link;
    use super::*;
    use proptest::prelude::*;

    fn length(graph: &Layered, xs: &[f64]) -> f64 {
        let count = xs.len() as u32;
        let apart = |v: u32| graph.down.of(v).iter().map(move |w| (xs[v as usize] - xs[*w as usize]).abs());
        (0..count).flat_map(apart).sum()
    }

    #[test]
    fn what_stands_aside_moves_to_its_neighbour() {
        let graph = Layered::new(&[(10.0, 10.0); 2], &[Link { from: 0, to: 1, label: 0.0 }]);
        let mut xs = [0.0, 500.0];
        pull(&graph, &mut xs);
        assert_eq!(xs[0], xs[1]);
    }

    proptest! {
        #[test]
        fn edges_get_no_longer(pairs in prop::collection::vec((0_u32..12, 1_u32..12), 1..60)) {
            let links: Vec<Link> =
                pairs.iter().map(|(from, by)| Link { from: *from, to: from + by, label: 0.0 }).collect();
            let graph = Layered::new(&[(10.0, 10.0); 24], &links);
            let mut xs = vec![0.0; graph.widths.len()];
            for layer in &graph.layers {
                for pair in layer.windows(2) {
                    xs[pair[1] as usize] = xs[pair[0] as usize] + 2.0 * graph.separation(pair[0], pair[1]);
                }
            }
            let before = length(&graph, &xs);
            pull(&graph, &mut xs);
            prop_assert!(length(&graph, &xs) <= before + 1e-6);
        }
    }
}
