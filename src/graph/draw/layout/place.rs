//! How far to the right each vertex stands.
//!
//! Brandes and Köpf, "Fast and simple horizontal coordinate assignment" (Graph Drawing 2001, LNCS 2265, 2002): each
//! vertex is aligned with a median neighbour above or below, preferring the left or the right one; each of those four
//! alignments is made as narrow as it can be; the place is the mean of the two middle ones. Edges through several layers
//! come out straight between their first and last bend. All four keep neighbours apart, and so does any order statistic of
//! them, hence the mean. Instead of the classes of the paper, whose shifts needed an erratum (Brandes, Walter and Zink,
//! arXiv:2008.01252), blocks are placed by longest paths over the blocks to their left, without recursion.

use super::adjacency::Adjacency;
use super::graph::Layered;
use std::collections::HashSet;

/// The middle of each vertex, in pixels from anywhere.
pub(super) fn places(graph: &Layered) -> Vec<f64> {
    let crossed = crossed_by_bends(graph);
    let mut four: Vec<Vec<f64>> = Vec::with_capacity(4);
    for is_downward in [true, false] {
        for is_leftward in [true, false] {
            let root = aligned(graph, &crossed, is_downward, is_leftward);
            let mut xs = compacted(graph, &root, is_leftward);
            if !is_leftward {
                xs.iter_mut().for_each(|x| *x = -*x);
            }
            four.push(xs);
        }
    }
    // The narrowest one says where the others' left or right ends belong.
    let ends = |xs: &[f64]| {
        let each = || xs.iter().zip(&graph.widths);
        let left = each().map(|(x, width)| x - width / 2.0).fold(f64::INFINITY, f64::min);
        let right = each().map(|(x, width)| x + width / 2.0).fold(f64::NEG_INFINITY, f64::max);
        (left, right)
    };
    let all_ends: Vec<(f64, f64)> = four.iter().map(|xs| ends(xs)).collect();
    let narrowest = all_ends.iter().copied().min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let (left, right) = narrowest.unwrap_or_default();
    for (at, xs) in four.iter_mut().enumerate() {
        let shift = if at % 2 == 0 { left - all_ends[at].0 } else { right - all_ends[at].1 };
        xs.iter_mut().for_each(|x| *x += shift);
    }
    (0..graph.widths.len())
        .map(|v| {
            let mut xs = [four[0][v], four[1][v], four[2][v], four[3][v]];
            xs.sort_unstable_by(f64::total_cmp);
            (xs[1] + xs[2]) / 2.0
        })
        .collect()
}

/// The edges, upper end first, that cross an edge between two bends, which is to be straight ("type 1 conflicts").
fn crossed_by_bends(graph: &Layered) -> HashSet<(u32, u32)> {
    let mut crossed = HashSet::new();
    for at in 1..graph.layers.len() {
        let (upper, lower) = (&graph.layers[at - 1], &graph.layers[at]);
        let (mut first, mut checked) = (0, 0);
        for (place, &v) in lower.iter().enumerate() {
            let straight = graph.up.of(v).iter().find(|w| !graph.is_node(v) && !graph.is_node(**w));
            let last = match straight {
                Some(w) => graph.position[*w as usize],
                None if place + 1 == lower.len() => upper.len() as u32,
                None => continue,
            };
            for &below in &lower[checked..=place] {
                for &above in graph.up.of(below) {
                    let is_between = (first..=last).contains(&graph.position[above as usize]);
                    if !is_between && (graph.is_node(above) || graph.is_node(below)) {
                        crossed.insert((above, below));
                    }
                }
            }
            (first, checked) = (last, place + 1);
        }
    }
    crossed
}

/// The first vertex of the block that each vertex belongs to.
fn aligned(graph: &Layered, crossed: &HashSet<(u32, u32)>, is_downward: bool, is_leftward: bool) -> Vec<u32> {
    let count = graph.layer_of.len() as u32;
    let mut root: Vec<u32> = (0..count).collect();
    let mut is_continued = vec![false; count as usize];
    let mut neighbours = Vec::new();
    let depth = graph.layers.len();
    for step in 1..depth {
        let at = if is_downward { step } else { depth - 1 - step };
        let (layer, before) = (&graph.layers[at], if is_downward { &graph.up } else { &graph.down });
        // Seen from the side from which places are counted, the last place that an alignment has used, plus one.
        let previous = graph.layers[if is_downward { at - 1 } else { at + 1 }].len() as u32;
        let seen = |position: u32| if is_leftward { position } else { previous - 1 - position };
        let mut free = 0;
        for index in 0..layer.len() {
            let v = layer[if is_leftward { index } else { layer.len() - 1 - index }];
            neighbours.clear();
            neighbours.extend(before.of(v).iter().map(|w| (seen(graph.position[*w as usize]), *w)));
            neighbours.sort_unstable();
            if neighbours.is_empty() {
                continue;
            }
            let (lower, upper) = ((neighbours.len() - 1) / 2, neighbours.len() / 2);
            for (place, w) in &neighbours[lower..=upper] {
                let edge = if is_downward { (*w, v) } else { (v, *w) };
                if *place >= free && !is_continued[*w as usize] && !crossed.contains(&edge) {
                    is_continued[*w as usize] = true;
                    root[v as usize] = root[*w as usize];
                    free = place + 1;
                    break;
                }
            }
        }
    }
    root
}

/// Where vertices stand when the blocks are as far to the left as they can be, and then to the right where that brings
/// them nearer to their neighbours. Seen from the other side if not `is_leftward`.
fn compacted(graph: &Layered, root: &[u32], is_leftward: bool) -> Vec<f64> {
    let count = root.len();
    let pairs: Vec<(u32, u32)> = graph
        .layers
        .iter()
        .flat_map(|layer| layer.windows(2))
        .map(|pair| if is_leftward { (pair[0], pair[1]) } else { (pair[1], pair[0]) })
        .collect();
    let distances: Vec<f64> = pairs.iter().map(|&(a, b)| graph.separation(a, b)).collect();
    let blocks = |pair: &(u32, u32)| (root[pair.0 as usize], root[pair.1 as usize]);
    let ids = 0..pairs.len() as u32;
    let right_of = Adjacency::new(count, ids.map(|id| (blocks(&pairs[id as usize]).0, id)));

    let mut waiting = vec![0_u32; count];
    for pair in &pairs {
        waiting[blocks(pair).1 as usize] += 1;
    }
    let mut order: Vec<u32> =
        (0..count as u32).filter(|v| root[*v as usize] == *v && waiting[*v as usize] == 0).collect();
    let mut xs = vec![0.0_f64; count];
    let mut next = 0;
    while next < order.len() {
        let block = order[next];
        next += 1;
        for &id in right_of.of(block) {
            let right = blocks(&pairs[id as usize]).1 as usize;
            xs[right] = xs[right].max(xs[block as usize] + distances[id as usize]);
            waiting[right] -= 1;
            if waiting[right] == 0 {
                order.push(right as u32);
            }
        }
    }
    for &block in order.iter().rev() {
        let room = right_of
            .of(block)
            .iter()
            .map(|id| xs[blocks(&pairs[*id as usize]).1 as usize] - distances[*id as usize])
            .fold(f64::INFINITY, f64::min);
        if room.is_finite() {
            xs[block as usize] = xs[block as usize].max(room);
        }
    }
    (0..count).map(|v| xs[root[v] as usize]).collect()
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::Link;
    use super::super::order::reduce_crossings;
    use super::*;
    use proptest::prelude::*;

    fn graph(count: usize, pairs: &[(u32, u32)]) -> Layered {
        let links: Vec<Link> = pairs.iter().map(|&(from, to)| Link { from, to, label: 0.0 }).collect();
        Layered::new(&vec![(40.0, 20.0); count], &links)
    }

    #[test]
    fn a_parent_stands_in_the_middle_of_its_children() {
        let xs = places(&graph(4, &[(0, 1), (0, 2), (0, 3)]));
        assert_eq!([xs[1] - xs[0], xs[2] - xs[0], xs[3] - xs[0]], [-68.0, 0.0, 68.0]);
        let xs = places(&graph(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]));
        assert_eq!([xs[1] - xs[0], xs[2] - xs[0], xs[3] - xs[0]], [-34.0, 34.0, 0.0]);
    }

    #[test]
    fn a_chain_is_straight() {
        let xs = places(&graph(4, &[(0, 1), (1, 2), (2, 3)]));
        assert!(xs.iter().all(|x| *x == xs[0]));
    }

    proptest! {
        #[test]
        fn neighbours_in_a_layer_keep_their_distance(pairs in prop::collection::vec((0_u32..12, 1_u32..12), 1..60)) {
            let pairs: Vec<(u32, u32)> = pairs.into_iter().map(|(from, by)| (from, from + by)).collect();
            let mut graph = graph(24, &pairs);
            reduce_crossings(&mut graph);
            let xs = places(&graph);
            for pair in graph.layers.iter().flat_map(|layer| layer.windows(2)) {
                let apart = xs[pair[1] as usize] - xs[pair[0] as usize];
                prop_assert!(apart >= graph.separation(pair[0], pair[1]) - 1e-6);
            }
        }

        #[test]
        fn edges_between_bends_that_cross_no_other_are_straight(length in 3_u32..20) {
            // A chain beside one edge that passes all of it.
            let mut pairs: Vec<(u32, u32)> = (0..length).map(|v| (v, v + 1)).collect();
            pairs.push((0, length));
            let graph = graph(length as usize + 1, &pairs);
            let xs = places(&graph);
            let bends = &graph.chains[length as usize].vertices;
            let bends = &bends[1..bends.len() - 1];
            prop_assert!(bends.iter().all(|v| (xs[*v as usize] - xs[bends[0] as usize]).abs() < 1e-6));
        }
    }
}
