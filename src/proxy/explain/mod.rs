//! What a value is made of and how far it is: [`ResultProxy::explain`] and the [`Explanation`] that it gives.
//!
//! Owns the picture of an expression as a graph of nodes with plain texts. Promises that to explain a proxy waits for
//! nothing, evaluates nothing and runs no code of the user's; that its work and its memory have a limit, whatever the
//! expression's size, and its stack does not depend on the expression; and that one state of the program always gives
//! one picture. How the graph is found is in `look`, how it is shown in `tree` and `dot`. For who wants to run the parts,
//! `remaining` finds all of them that have no value, without texts and limits.

mod dot;
mod look;
mod remaining;
#[cfg(all(test, not(xfork_loom)))]
mod tests;
mod tree;

pub(crate) use remaining::{Operand, remaining};

use super::ResultProxy;
use super::steps::preview;
use std::fmt;

/// A picture of what a value is made of and how far each part is; made by [`ResultProxy::explain`].
///
/// [`Display`](fmt::Display) shows it as a tree of at most about 60 lines, [`to_dot`](Self::to_dot) as a graph.
///
/// ```
/// use xfork::{ready, ResultProxy};
/// let p = ready(2) + 3;
/// let explanation = ResultProxy::explain(&p);
/// let line = explanation.to_string().lines().next().unwrap().to_string();
/// assert!(line.starts_with("+  deferred, "), "{line}");
/// ```
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The root is the first; there are no circles.
    nodes: Vec<Node>,
    /// Operands and operations that are known of and have no node.
    unseen: usize,
    /// Whether there are more than that.
    is_unseen_cut: bool,
}

/// A part of the value.
#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    state: State,
    /// The operator, the short name of the task, or nothing; without line breaks, as all texts here.
    name: String,
    /// The value or the error, if there is one to show.
    detail: String,
    /// Where it stands in the user's source.
    place: Option<String>,
    /// By their numbers, in the order of the operands.
    children: Vec<usize>,
    /// Whether it has operands that are no nodes.
    is_cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Task,
    Operation,
    /// A value in a proxy that no task made, or that will come from elsewhere.
    Value,
    /// A value that is part of the expression itself.
    Plain,
    /// Stands for this many neighbours.
    More(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Running,
    Queued,
    Waiting,
    Pending,
    Deferred,
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Queued => "queued",
            Self::Waiting => "waiting for inputs",
            Self::Pending => "pending",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
        }
    }
}

impl Node {
    fn plain(text: String) -> Self {
        Self { detail: text, ..Self::new(Kind::Plain, State::Ready) }
    }

    fn more(count: usize) -> Self {
        Self::new(Kind::More(count), State::Deferred)
    }

    fn new(kind: Kind, state: State) -> Self {
        let (name, detail) = (String::new(), String::new());
        Self { kind, state, name, detail, place: None, children: Vec::new(), is_cut: false }
    }

    /// How many operands and operations it stands for.
    fn weight(&self) -> usize {
        match self.kind {
            Kind::More(count) => count,
            _ => 1,
        }
    }

    /// What is shown of the node itself, without where it stands.
    fn text(&self) -> String {
        let state = self.state.word();
        match (self.kind, self.name.is_empty()) {
            (Kind::More(count), _) => format!("… {} more", grouped(count)),
            (Kind::Plain, _) => self.detail.clone(),
            (_, true) => state.to_string(),
            (_, false) => format!("{}  {state}", self.name),
        }
    }
}

impl Explanation {
    /// The picture as a graph in the language of Graphviz: `dot -Tsvg`.
    ///
    /// Operations are circles, tasks boxes, values plain text; the colour is that of the state. What is shared is one node.
    /// An edge leads from an operation to each of its operands, which stand in their order.
    ///
    /// ```
    /// use xfork::{ready, ResultProxy};
    /// let one = ready("a \"quoted\" text".to_string());
    /// assert_eq!(
    ///     ResultProxy::explain(&one).to_dot(),
    ///     r#"digraph explanation {
    ///   graph [ordering=out];
    ///   node [style=filled, fontname="monospace"];
    ///   n0 [label="ready\n\"a \\\"quoted\\\" text\"", shape=plaintext, fillcolor="palegreen"];
    /// }
    /// "#
    /// );
    /// ```
    #[must_use]
    pub fn to_dot(&self) -> String {
        dot::graph(self)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tree::write(self, f)
    }
}

impl<T: Send + 'static> ResultProxy<T> {
    /// What the value is made of and how far each part is, as a text or a graph.
    ///
    /// It waits for nothing and evaluates nothing. Values are shown if they are there and of a type like `u64` or
    /// `String`; others by the names of their types. A task that waits for inputs shows the first one that is missing.
    /// Equal operations in a row, as in a loop with `+=`, are shown as one with a count.
    /// What is used more than once is shown once, with a number, and referred to by that number. Of a very large
    /// expression the part near the root is shown, and how much is left out.
    ///
    /// ```
    /// use xfork::{ready, ResultProxy};
    ///
    /// let (a, b) = (ready(2), ready(3));
    /// let line = line!() + 1;
    /// let p = (&a + &b) * &a;
    /// let file = file!();
    /// assert_eq!(
    ///     ResultProxy::explain(&p).to_string(),
    ///     format!("\
    /// *  deferred, {file}:{line}:9
    /// ├─ +  deferred, {file}:{line}:9
    /// │  ├─ #1 ready 2
    /// │  └─ ready 3
    /// └─ #1 (as above)
    /// ")
    /// );
    /// assert_eq!(p, 10);
    /// assert_eq!(ResultProxy::explain(&p).to_string(), "ready 10\n");
    /// ```
    #[must_use]
    pub fn explain(this: &Self) -> Explanation {
        look::look(this.any_slot(), this.peek().map(preview))
    }
}

/// A number with a space between groups of three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
