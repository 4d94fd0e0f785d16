//! A picture that is too big, drawn with fewer nodes.
//!
//! Owns the limits, and what is drawn as one. Nodes are only ever put together with others of their layer, or layers with
//! the next ones, so that all edges still lead down; edges between the same two become one that says how many it is.
//!
//! 1. A layer of more than 40 nodes: those whose names differ only by numbers, of the same kind and state, become a
//!    stack; if more than 40 are left, those of the same kind and state do.
//! 2. More than 5 000 nodes, or 60 000 points in layers: the same for all layers.
//! 3. Still too many: 40 bands of whole layers.

use super::layout::{layers, points};
use super::text::{grouped, named, stem};
use super::{DrawnEdge, DrawnNode, EdgeKind, Look, NodeKind, Picture};
use std::collections::{BTreeMap, HashMap};

/// Nodes in one layer that are all drawn.
const WIDEST_LAYER: usize = 40;
const MOST_NODES: usize = 5_000;
/// Nodes, and passages of edges through layers.
const MOST_POINTS: usize = 60_000;
const BANDS: usize = 40;

/// What is drawn of a picture.
pub(super) struct Coarse {
    pub(super) picture: Picture,
    /// How many nodes each node stands for.
    pub(super) stands_for: Vec<usize>,
    /// What has been put together, for people; empty if nothing.
    pub(super) note: String,
}

/// The picture itself, or one that stays below the limits; of edges, only those that can be drawn.
pub(super) fn coarse(picture: &Picture) -> Coarse {
    let count = picture.nodes.len();
    let pairs = || picture.drawn_edges().map(|edge| (edge.from, edge.to));
    let layer = layers(count, pairs().map(|(from, to)| (from, to, 1)));
    let depth = layer.iter().max().map_or(0, |last| *last as usize + 1);
    let fits = |coarse: &Coarse| {
        let edges = &coarse.picture.edges;
        let count = coarse.picture.nodes.len();
        count <= MOST_NODES && {
            let layer = layers(count, edges.iter().map(|edge| (edge.from, edge.to, 1)));
            points(&layer, edges.iter().map(|edge| (edge.from, edge.to))) <= MOST_POINTS
        }
    };
    for widest in [WIDEST_LAYER, 1] {
        let groups = like_groups(picture, &layer, depth, widest);
        let is_whole = groups.len() == count;
        let mut coarse = merged(picture, &groups);
        if !is_whole {
            coarse.note = format!("{} tasks, drawn as {}", grouped(count), grouped(groups.len()));
        }
        if fits(&coarse) {
            return coarse;
        }
    }
    let height = depth.div_ceil(BANDS);
    let mut groups = vec![Vec::new(); depth.div_ceil(height)];
    for (node, at) in layer.iter().enumerate() {
        groups[*at as usize / height].push(node as u32);
    }
    let mut coarse = merged(picture, &groups);
    coarse.note = format!("{} tasks, of {} layers at a time drawn as one", grouped(count), grouped(height));
    coarse
}

/// The nodes, each by itself or with those of its layer that are like it, in the order of the first of each.
fn like_groups(picture: &Picture, layer: &[u32], depth: usize, widest: usize) -> Vec<Vec<u32>> {
    let mut in_layer = vec![0_usize; depth];
    layer.iter().for_each(|at| in_layer[*at as usize] += 1);
    let full_key = |node: usize| {
        let drawn = &picture.nodes[node];
        (layer[node], drawn.kind, drawn.state, stem(&drawn.name))
    };
    let is_wide = |node: usize| in_layer[layer[node] as usize] > widest;
    let mut stems_in_layer: BTreeMap<u32, HashMap<_, ()>> = BTreeMap::new();
    for node in (0..layer.len()).filter(|node| is_wide(*node)) {
        stems_in_layer.entry(layer[node]).or_default().insert(full_key(node), ());
    }
    let has_many_stems =
        |layer: u32| stems_in_layer.get(&layer).is_some_and(|stems| stems.len() > WIDEST_LAYER);
    let mut group_of = HashMap::new();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    for node in 0..layer.len() {
        if !is_wide(node) {
            groups.push(vec![node as u32]);
            continue;
        }
        let (at, kind, state, mut stem) = full_key(node);
        if has_many_stems(at) {
            stem.clear();
        }
        let group = *group_of.entry((at, kind, state, stem)).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(node as u32);
    }
    groups
}

fn merged(picture: &Picture, groups: &[Vec<u32>]) -> Coarse {
    let mut group_of = vec![0_u32; picture.nodes.len()];
    for (at, group) in groups.iter().enumerate() {
        group.iter().for_each(|node| group_of[*node as usize] = at as u32);
    }
    let nodes = groups.iter().map(|group| one_node(picture, group)).collect();
    let mut edges: Vec<DrawnEdge> = Vec::new();
    let mut known: HashMap<(u32, u32, EdgeKind), (usize, usize)> = HashMap::new();
    for edge in picture.drawn_edges() {
        let (from, to) = (group_of[edge.from as usize], group_of[edge.to as usize]);
        if from == to {
            continue;
        }
        if groups[from as usize].len() == 1 && groups[to as usize].len() == 1 {
            edges.push(DrawnEdge { from, to, ..edge.clone() });
            continue;
        }
        let (at, times) = known.entry((from, to, edge.kind)).or_insert((edges.len(), 0));
        *times += 1;
        if *times == 1 {
            edges.push(DrawnEdge { from, to, ..edge.clone() });
        } else {
            edges[*at].label = format!("×{}", grouped(*times));
        }
    }
    Coarse {
        picture: Picture { title: picture.title.clone(), nodes, edges },
        stands_for: groups.iter().map(Vec::len).collect(),
        note: String::new(),
    }
}

/// The node itself, or one that says what it stands for.
fn one_node(picture: &Picture, group: &[u32]) -> DrawnNode {
    let nodes = || group.iter().map(|node| &picture.nodes[*node as usize]);
    let (&[first, .., last], Some(node)) = (group, nodes().next()) else {
        return picture.nodes[group[0] as usize].clone();
    };
    let of_state = |look: Look| nodes().filter(|node| node.state == look).count();
    let states: Vec<String> = Look::ALL
        .into_iter()
        .map(|look| (look, of_state(look)))
        .filter(|(_, count)| *count > 0)
        .map(|(look, count)| format!("{} {}", grouped(count), look.words()))
        .collect();
    let name = |id: u32| named(id as usize, &picture.nodes[id as usize].name);
    let name =
        if name(first) == name(last) { name(first) } else { format!("{} … {}", name(first), name(last)) };
    let kinds = NodeKind::ALL.into_iter().find(|kind| nodes().all(|node| node.kind == *kind));
    DrawnNode {
        name,
        detail: if states.len() == 1 { format!("{} tasks", grouped(group.len())) } else { states.join(", ") },
        state: nodes().map(|node| node.state).max().unwrap_or(node.state),
        kind: kinds.unwrap_or(NodeKind::Cpu),
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::tests::{chain, picture, random_dag};
    use super::*;

    fn fan(leaves: u32) -> Picture {
        let names: Vec<String> =
            (0..=leaves).map(|v| if v == 0 { "root".into() } else { format!("leaf {v}") }).collect();
        let pairs: Vec<(u32, u32)> = (1..=leaves).map(|leaf| (0, leaf)).collect();
        picture(&names.iter().map(String::as_str).collect::<Vec<_>>(), &pairs)
    }

    #[test]
    fn a_picture_below_the_limits_is_drawn_whole() {
        let drawn = coarse(&fan(40));
        assert_eq!((drawn.picture.nodes.len(), drawn.note.as_str()), (41, ""));
    }

    #[test]
    fn like_nodes_of_a_wide_layer_become_a_stack_and_a_failed_one_stays_apart() {
        let mut wide = fan(300);
        wide.nodes[7].state = Look::Failed;
        let drawn = coarse(&wide);
        assert_eq!(drawn.stands_for, [1, 299, 1]);
        assert_eq!(drawn.picture.nodes[1].name, "leaf 1 … leaf 300");
        assert_eq!(drawn.picture.nodes[1].detail, "299 tasks");
        assert_eq!(drawn.picture.nodes[2].state, Look::Failed);
        let labels: Vec<&str> = drawn.picture.edges.iter().map(|edge| edge.label.as_str()).collect();
        assert_eq!(labels, ["×299", ""]);
    }

    #[test]
    fn nodes_without_anything_in_common_are_put_together_by_state() {
        let names: Vec<String> = (0..300_u32).map(|v| "x".repeat(v as usize + 1)).collect();
        let drawn = coarse(&picture(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]));
        assert_eq!(drawn.stands_for, [300]);
    }

    #[test]
    fn a_long_chain_becomes_bands_that_say_what_failed() {
        let mut long = chain(100_000);
        long.nodes[70_000].state = Look::Failed;
        let drawn = coarse(&long);
        assert_eq!(drawn.picture.nodes.len(), 40);
        assert_eq!(drawn.stands_for.iter().sum::<usize>(), 100_000);
        assert_eq!(drawn.picture.nodes[28].state, Look::Failed);
        assert!(drawn.picture.nodes[28].detail.ends_with("1 failed"));
        assert_eq!(drawn.picture.edges.len(), 39);
    }

    #[test]
    fn what_is_drawn_stays_below_the_limits_and_leads_down() {
        let drawn = coarse(&random_dag(10_000, 30_000, 1));
        assert!(drawn.picture.nodes.len() <= MOST_NODES);
        assert_eq!(drawn.stands_for.iter().sum::<usize>(), 10_000);
        assert!(drawn.picture.edges.iter().all(|edge| edge.from != edge.to));
    }
}
