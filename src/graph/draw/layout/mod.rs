//! A layered layout of a directed graph.
//!
//! Owns where nodes stand and which way edges take. The method is that of Sugiyama, Tagawa and Toda ("Methods for visual
//! understanding of hierarchical system structures", IEEE Trans. SMC 11(2), 1981): [layers](mod@layers), a chain of bends
//! for each edge that passes a layer ([`graph`]), few [crossings](order), then [places](place). Each connected
//! part is laid out for itself, and the parts are [packed](pack) side by side.
//!
//! Promises that no two nodes overlap, that an edge of an acyclic graph only goes down, that it touches no node but its
//! ends, and that the same graph gives the same layout. Of a cycle, some edge goes up. Knows nothing of text or colours.

mod adjacency;
mod graph;
mod layers;
mod order;
mod pack;
mod place;
mod pull;

pub(super) use layers::{layers, points};

use graph::Layered;

/// What a layout is made for. Lengths are in pixels.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The width of the text beside it; zero if there is none.
    pub(super) label: f64,
}

/// A piece of an edge that leads straight down; from one to the next it bends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stop {
    pub(super) x: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// The way of an edge, from above to below.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Route {
    pub(super) stops: Vec<Stop>,
    /// It starts at the last stop: the edge belongs to a cycle.
    pub(super) is_upward: bool,
    /// The middle of its text.
    pub(super) label: Option<(f64, f64)>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The middle of each node.
    pub(super) nodes: Vec<(f64, f64)>,
    /// Of each link.
    pub(super) routes: Vec<Route>,
}

/// Where to put boxes of these widths and heights. Ends of links must exist and differ.
pub(super) fn layout(sizes: &[(f64, f64)], links: &[Link]) -> Layout {
    let mut parts = pack::parts(sizes.len(), links);
    let mut laid_out: Vec<Layout> = parts
        .iter()
        .map(|part| {
            let sizes: Vec<(f64, f64)> = part.nodes.iter().map(|node| sizes[*node as usize]).collect();
            connected(&sizes, &part.links)
        })
        .collect();
    pack::packed(sizes.len(), links.len(), &mut parts, &mut laid_out)
}

fn connected(sizes: &[(f64, f64)], links: &[Link]) -> Layout {
    let mut graph = Layered::new(sizes, links);
    order::reduce_crossings(&mut graph);
    let mut xs = place::places(&graph);
    pull::pull(&graph, &mut xs);
    finished(&graph, &xs, sizes, links)
}

/// Between two layers, in pixels; the wider the edges between them swing, the more.
fn gap(graph: &Layered, xs: &[f64], upper: usize) -> f64 {
    let swing = graph.layers[upper]
        .iter()
        .flat_map(|v| graph.down.of(*v).iter().map(|w| (xs[*v as usize] - xs[*w as usize]).abs()))
        .fold(0.0, f64::max);
    let is_halved = |layer: usize| graph.layers[layer].iter().all(|v| !graph.is_node(*v));
    let least = if is_halved(upper) || is_halved(upper + 1) { 22.0 } else { 40.0 };
    (0.12 * swing).clamp(least, 130.0)
}

fn finished(graph: &Layered, xs: &[f64], sizes: &[(f64, f64)], links: &[Link]) -> Layout {
    let height = |v: u32| sizes.get(v as usize).map_or(0.0, |size| size.1);
    let mut bands = Vec::with_capacity(graph.layers.len());
    let mut y = 0.0;
    for (at, layer) in graph.layers.iter().enumerate() {
        let labels = layer.iter().any(|v| graph.is_label(*v));
        let tall = layer.iter().map(|v| height(*v)).fold(if labels { 14.0 } else { 0.0 }, f64::max);
        bands.push((y, y + tall));
        y += tall;
        if at + 1 < graph.layers.len() {
            y += gap(graph, xs, at);
        }
    }
    let left = (0..xs.len()).map(|v| xs[v] - graph.widths[v] / 2.0).fold(f64::INFINITY, f64::min);
    let right = (0..xs.len()).map(|v| xs[v] + graph.widths[v] / 2.0).fold(f64::NEG_INFINITY, f64::max);
    let band = |v: u32| bands[graph.layer_of[v as usize] as usize];
    let middle = |v: u32| (band(v).0 + band(v).1) / 2.0;
    let x = |v: u32| xs[v as usize] - left;

    let nodes = (0..sizes.len() as u32).map(|v| (x(v), middle(v))).collect();
    let routes = graph.chains.iter().map(|chain| {
        let last = chain.vertices.len() - 1;
        let stops = chain.vertices.iter().enumerate().map(|(at, &v)| {
            let top = if at == 0 { middle(v) + height(v) / 2.0 } else { band(v).0 };
            let bottom = if at == last { middle(v) - height(v) / 2.0 } else { band(v).1 };
            Stop { x: x(v), top, bottom }
        });
        let label = chain.vertices.iter().find(|v| graph.is_label(**v)).map(|v| (x(*v), middle(*v)));
        Route { stops: stops.collect(), is_upward: chain.is_upward, label }
    });
    debug_assert_eq!(links.len(), graph.chains.len());
    Layout { width: right - left, height: y, nodes, routes: routes.collect() }
}
