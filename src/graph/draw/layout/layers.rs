//! Which layer each node stands in.
//!
//! The layer of a node is at first the longest path to it, which makes the picture as low as can be. Then nodes move
//! within the room that their neighbours leave, as long as that makes the edges shorter in sum: given values come to
//! stand just above what takes them. That finds a local optimum; the network simplex (Gansner, Koutsofios, North
//! and Vo, "A technique for drawing directed graphs", IEEE Trans. Software Eng. 19(3), 1993) finds the best one, for ten
//! times the code and no difference to see in task graphs.

use super::adjacency::Adjacency;
use std::collections::VecDeque;

/// Passes over all nodes to shorten edges. Each is as good as the last or better; graphs of tasks need two or three.
const MOST_PASSES: usize = 8;

/// The nodes in an order in which every edge leads forwards, but for one or more of each cycle.
fn forward_order(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Vec<u32> {
    let below = Adjacency::new(count, pairs.clone());
    let mut waiting = vec![0_u32; count];
    for (_, to) in pairs {
        waiting[to as usize] += 1;
    }
    let mut is_placed = vec![false; count];
    let mut ready: VecDeque<u32> = (0..count as u32).filter(|v| waiting[*v as usize] == 0).collect();
    let mut order = Vec::with_capacity(count);
    let mut first_left = 0;
    while order.len() < count {
        let Some(v) = ready.pop_front() else {
            while is_placed[first_left] {
                first_left += 1;
            }
            // All that is left lies on cycles or behind them.
            ready.push_back(first_left as u32);
            continue;
        };
        if std::mem::replace(&mut is_placed[v as usize], true) {
            continue;
        }
        order.push(v);
        for &w in below.of(v) {
            waiting[w as usize] = waiting[w as usize].saturating_sub(1);
            if waiting[w as usize] == 0 && !is_placed[w as usize] {
                ready.push_back(w);
            }
        }
    }
    order
}

/// The layer of each node, the topmost being 0, such that the third number of each edge is the least count of layers that
/// it leads down; edges that close a cycle lead up.
pub(in super::super) fn layers(
    count: usize,
    edges: impl Iterator<Item = (u32, u32, u32)> + Clone,
) -> Vec<u32> {
    let order = forward_order(count, edges.clone().map(|(from, to, _)| (from, to)));
    let mut position = vec![0_u32; count];
    for (at, v) in order.iter().enumerate() {
        position[*v as usize] = at as u32;
    }
    // From here on all edges lead forwards.
    let turned: Vec<(u32, u32, u32)> = edges
        .map(|(from, to, least)| {
            if position[from as usize] < position[to as usize] {
                (from, to, least)
            } else {
                (to, from, least)
            }
        })
        .collect();
    let arcs = 0..turned.len() as u32;
    let below = Adjacency::new(count, arcs.clone().map(|arc| (turned[arc as usize].0, arc)));
    let above = Adjacency::new(count, arcs.map(|arc| (turned[arc as usize].1, arc)));

    let mut layer = vec![0_u32; count];
    let highest = |layer: &[u32], v: u32| {
        above
            .of(v)
            .iter()
            .map(|arc| turned[*arc as usize])
            .map(|(from, _, least)| layer[from as usize] + least)
            .max()
    };
    let lowest = |layer: &[u32], v: u32| {
        below
            .of(v)
            .iter()
            .map(|arc| turned[*arc as usize])
            .map(|(_, to, least)| layer[to as usize] - least)
            .min()
    };
    for &v in &order {
        layer[v as usize] = highest(&layer, v).unwrap_or(0);
    }
    for _ in 0..MOST_PASSES {
        let mut has_moved = false;
        // A node that costs nothing to move goes down, so that those above it can follow, and comes back up after.
        for &v in order.iter().rev() {
            if below.of(v).len() >= above.of(v).len()
                && let Some(to) = lowest(&layer, v)
            {
                has_moved |= below.of(v).len() > above.of(v).len() && to > layer[v as usize];
                layer[v as usize] = to.max(layer[v as usize]);
            }
        }
        for &v in &order {
            if above.of(v).len() >= below.of(v).len()
                && let Some(to) = highest(&layer, v)
            {
                has_moved |= above.of(v).len() > below.of(v).len() && to < layer[v as usize];
                layer[v as usize] = to.min(layer[v as usize]);
            }
        }
        if !has_moved {
            break;
        }
    }
    let top = layer.iter().copied().min().unwrap_or(0);
    layer.iter_mut().for_each(|at| *at -= top);
    layer
}

/// How many points of edges and nodes there are in layers: what the layout costs.
pub(in super::super) fn points(layer: &[u32], edges: impl Iterator<Item = (u32, u32)>) -> usize {
    let bends =
        edges.map(|(from, to)| layer[from as usize].abs_diff(layer[to as usize]).saturating_sub(1) as usize);
    layer.len() + bends.sum::<usize>()
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(count: usize, edges: &[(u32, u32)]) -> Vec<u32> {
        layers(count, edges.iter().map(|(from, to)| (*from, *to, 1)))
    }

    #[test]
    fn a_chain_takes_a_layer_for_each_node() {
        assert_eq!(of(4, &[(2, 1), (1, 0), (0, 3)]), [2, 1, 0, 3]);
    }

    #[test]
    fn a_given_value_stands_just_above_what_takes_it() {
        // 0 → 1 → 2 → 3, and 4 → 5 → 3.
        assert_eq!(of(6, &[(0, 1), (1, 2), (2, 3), (4, 5), (5, 3)]), [0, 1, 2, 3, 1, 2]);
    }

    #[test]
    fn a_cycle_has_layers_too() {
        let layer = of(4, &[(0, 1), (1, 2), (2, 0), (2, 3)]);
        assert_eq!(layer, [0, 1, 2, 3]);
        assert_eq!(of(3, &[(1, 2), (2, 1), (0, 1)])[0], 0);
    }

    proptest! {
        #[test]
        fn every_edge_leads_down_by_at_least_its_length(
            edges in prop::collection::vec((0_u32..30, 1_u32..30, 1_u32..3), 0..80)
        ) {
            let edges: Vec<_> = edges.into_iter().map(|(from, by, least)| (from, from + by, least)).collect();
            let layer = layers(60, edges.iter().copied());
            for (from, to, least) in edges {
                prop_assert!(layer[from as usize] + least <= layer[to as usize]);
            }
            prop_assert!(layer.contains(&0));
        }

        #[test]
        fn any_graph_has_layers(edges in prop::collection::vec((0_u32..20, 1_u32..20), 0..80)) {
            let edges: Vec<_> = edges.into_iter().map(|(from, by)| (from, (from + by) % 20)).collect();
            let layer = of(20, &edges);
            prop_assert!(edges.iter().all(|(from, to)| layer[*from as usize] != layer[*to as usize]));
        }
    }
}
