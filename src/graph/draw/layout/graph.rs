//! A connected graph in layers, every edge leading to the next one.
//!
//! Owns the vertices: first the nodes, then the bends of edges that pass layers. A bend that holds the text of its edge is
//! as wide as the text, so that nothing is written over anything.

use super::Link;
use super::adjacency::Adjacency;
use super::layers::layers;

pub(super) struct Layered {
    /// From the top down, each from left to right.
    pub(super) layers: Vec<Vec<u32>>,
    pub(super) layer_of: Vec<u32>,
    /// From the left in its layer.
    pub(super) position: Vec<u32>,
    pub(super) widths: Vec<f64>,
    pub(super) up: Adjacency,
    pub(super) down: Adjacency,
    /// Of each link.
    pub(super) chains: Vec<Chain>,
    nodes: u32,
}

/// The way of a link, from the top down.
pub(super) struct Chain {
    pub(super) vertices: Vec<u32>,
    pub(super) is_upward: bool,
}

impl Layered {
    pub(super) fn new(sizes: &[(f64, f64)], links: &[Link]) -> Self {
        let least = |link: &Link| if link.label > 0.0 { 2 } else { 1 };
        let mut layer_of = layers(sizes.len(), links.iter().map(|link| (link.from, link.to, least(link))));
        let mut widths: Vec<f64> = sizes.iter().map(|size| size.0).collect();
        let chains: Vec<Chain> = links
            .iter()
            .map(|link| {
                let is_upward = layer_of[link.from as usize] > layer_of[link.to as usize];
                let (top, bottom) = if is_upward { (link.to, link.from) } else { (link.from, link.to) };
                let (first, last) = (layer_of[top as usize], layer_of[bottom as usize]);
                let mut vertices = vec![top];
                for layer in first + 1..last {
                    vertices.push(layer_of.len() as u32);
                    let has_label = link.label > 0.0 && layer == first + (last - first) / 2;
                    widths.push(if has_label { link.label } else { 0.0 });
                    layer_of.push(layer);
                }
                vertices.push(bottom);
                Chain { vertices, is_upward }
            })
            .collect();
        let pairs = chains.iter().flat_map(|chain| chain.vertices.windows(2).map(|pair| (pair[0], pair[1])));
        let count = layer_of.len();
        let down = Adjacency::new(count, pairs.clone());
        let up = Adjacency::new(count, pairs.map(|(above, below)| (below, above)));
        let depth = layer_of.iter().max().map_or(0, |last| *last as usize + 1);
        let mut graph = Self {
            layers: vec![Vec::new(); depth],
            position: vec![0; count],
            layer_of,
            widths,
            up,
            down,
            chains,
            nodes: sizes.len() as u32,
        };
        for vertex in 0..count as u32 {
            graph.layers[graph.layer_of[vertex as usize] as usize].push(vertex);
        }
        graph.number();
        graph
    }

    pub(super) fn is_node(&self, vertex: u32) -> bool {
        vertex < self.nodes
    }

    pub(super) fn is_label(&self, vertex: u32) -> bool {
        !self.is_node(vertex) && self.widths[vertex as usize] > 0.0
    }

    /// Makes the positions agree with the layers.
    pub(super) fn number(&mut self) {
        for layer in &self.layers {
            for (at, vertex) in layer.iter().enumerate() {
                self.position[*vertex as usize] = at as u32;
            }
        }
    }

    /// How far apart the middles of two neighbours in a layer must be, in pixels.
    pub(super) fn separation(&self, left: u32, right: u32) -> f64 {
        let gap = match (self.is_node(left), self.is_node(right)) {
            (true, true) => 28.0,
            (false, false) => 14.0,
            _ => 20.0,
        };
        (self.widths[left as usize] + self.widths[right as usize]) / 2.0 + gap
    }
}
