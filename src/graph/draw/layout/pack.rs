//! Connected parts: finding them, and putting their layouts side by side.

use super::{Layout, Link};

/// Between two parts, in pixels.
const GAP: f64 = 48.0;
/// A row of parts is at most as wide as the widest part, or this.
const WIDEST_ROW: f64 = 1_400.0;

pub(super) struct Part {
    /// In ascending order.
    pub(super) nodes: Vec<u32>,
    /// Between those nodes, by where they stand in `nodes`.
    pub(super) links: Vec<Link>,
    /// Where those links stand among all.
    link_ids: Vec<u32>,
}

/// The connected parts, in the order of their first nodes.
pub(super) fn parts(count: usize, links: &[Link]) -> Vec<Part> {
    let mut parent: Vec<u32> = (0..count as u32).collect();
    for link in links {
        let (a, b) = (root(&mut parent, link.from), root(&mut parent, link.to));
        // The root is the first node of its part.
        parent[a.max(b) as usize] = a.min(b);
    }
    let mut parts: Vec<Part> = Vec::new();
    let (mut part_of, mut place) = (vec![0; count], vec![0; count]);
    for v in 0..count as u32 {
        let root = root(&mut parent, v);
        if root == v {
            part_of[v as usize] = parts.len();
            parts.push(Part { nodes: Vec::new(), links: Vec::new(), link_ids: Vec::new() });
        }
        let part = part_of[root as usize];
        part_of[v as usize] = part;
        place[v as usize] = parts[part].nodes.len() as u32;
        parts[part].nodes.push(v);
    }
    for (id, link) in links.iter().enumerate() {
        let part = &mut parts[part_of[link.from as usize]];
        let (from, to) = (place[link.from as usize], place[link.to as usize]);
        part.links.push(Link { from, to, label: link.label });
        part.link_ids.push(id as u32);
    }
    parts
}

/// The root of a node in a forest of parents; halves the path to it.
fn root(parent: &mut [u32], mut v: u32) -> u32 {
    while parent[v as usize] != v {
        parent[v as usize] = parent[parent[v as usize] as usize];
        v = parent[v as usize];
    }
    v
}

/// One layout from those of the parts: rows from left to right, each as high as its highest part.
pub(super) fn packed(nodes: usize, links: usize, parts: &mut [Part], layouts: &mut [Layout]) -> Layout {
    let mut whole = Layout { nodes: vec![(0.0, 0.0); nodes], ..Layout::default() };
    whole.routes.resize_with(links, Default::default);
    let widest = layouts.iter().map(|part| part.width).fold(WIDEST_ROW, f64::max);
    let (mut x, mut y, mut tall) = (0.0, 0.0, 0.0_f64);
    for (part, layout) in parts.iter().zip(layouts) {
        if x > 0.0 && x + layout.width > widest {
            y += tall + GAP;
            (x, tall) = (0.0, 0.0);
        }
        for (node, at) in part.nodes.iter().zip(&layout.nodes) {
            whole.nodes[*node as usize] = (at.0 + x, at.1 + y);
        }
        for (id, mut route) in part.link_ids.iter().zip(layout.routes.drain(..)) {
            for stop in &mut route.stops {
                stop.x += x;
                stop.top += y;
                stop.bottom += y;
            }
            route.label = route.label.map(|at| (at.0 + x, at.1 + y));
            whole.routes[*id as usize] = route;
        }
        whole.width = whole.width.max(x + layout.width);
        tall = tall.max(layout.height);
        whole.height = y + tall;
        x += layout.width + GAP;
    }
    whole
}
