//! Owns the state of writing one function: its lines, the variables in scope with what may be done to them, the loops
//! around, and how many concurrent calls it may still make. Promises that blocks leave the scope as it was. What is
//! written is up to the files of expressions and statements.

use std::collections::BTreeSet;

use super::random::Random;
use super::types::Ty;
use super::variables::{Bound, Function, Kind, Synchronized, Var};

/// Writes a line, whose parts may be drawn at random.
macro_rules! put {
    ($writer:expr, $($text:tt)*) => {{
        let text = format!($($text)*);
        $writer.line(text);
    }};
}
pub(super) use put;

#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) label: Option<String>,
    pub(crate) can_continue: bool,
    /// A labelled block, which only `break` with its label leaves.
    pub(crate) block: bool,
}

pub(crate) struct Writer {
    pub(crate) random: Random,
    pub(crate) lines: Vec<String>,
    indent: usize,
    pub(crate) vars: Vec<Var>,
    next_id: usize,
    pub(crate) loops: Vec<Loop>,
    pub(crate) labels: usize,
    /// How often the statement that is written runs, about.
    pub(crate) times: usize,
    pub(crate) calls_left: usize,
    pub(crate) functions: Vec<Function>,
    /// Functions that change a `Tracked` list, and whether they are concurrent.
    pub(crate) changing: Vec<(String, bool)>,
    /// Synchronized functions that can be called.
    pub(crate) callable: Vec<Synchronized>,
    pub(crate) result: Ty,
    pub(crate) in_method: bool,
    /// Functions of this program may panic, and indexes may be out of bounds.
    pub(crate) panics: bool,
    pub(crate) forms: BTreeSet<&'static str>,
}

impl Writer {
    pub(crate) fn new(random: Random, panics: bool) -> Self {
        Self {
            random,
            lines: Vec::new(),
            indent: 0,
            vars: Vec::new(),
            next_id: 0,
            loops: Vec::new(),
            labels: 0,
            times: 1,
            calls_left: 0,
            functions: Vec::new(),
            changing: Vec::new(),
            callable: Vec::new(),
            result: Ty::Unit,
            in_method: false,
            panics,
            forms: BTreeSet::new(),
        }
    }

    pub(crate) fn form(&mut self, form: &'static str) {
        self.forms.insert(form);
    }

    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        let line = format!("{}{}", "    ".repeat(self.indent), text.as_ref());
        self.lines.push(line);
    }

    pub(crate) fn open(&mut self, text: impl AsRef<str>) {
        self.line(text);
        self.indent += 1;
    }

    pub(crate) fn close(&mut self, text: impl AsRef<str>) {
        self.indent -= 1;
        self.line(text);
    }

    /// `} else {` and the like.
    pub(crate) fn reopen(&mut self, text: impl AsRef<str>) {
        self.close(text);
        self.indent += 1;
    }

    /// A name that no variable has.
    pub(crate) fn fresh(&mut self, base: &str) -> String {
        let taken = |name: &str| self.vars.iter().any(|var| var.name == name);
        (0..)
            .map(|n| if n == 0 { base.to_string() } else { format!("{base}{n}") })
            .find(|name| !taken(name))
            .expect("names don't end")
    }

    /// A name for a variable of this type, sometimes one that shadows another.
    pub(crate) fn name_for(&mut self, ty: Ty) -> String {
        if self.random.percent(15) {
            let old: Vec<_> = self
                .vars
                .iter()
                .filter(|var| var.kind != Kind::Field && var.hidden + var.frozen + var.pinned == 0)
                .filter(|var| var.ty == ty || self.vars.len() > 12)
                .map(|var| var.name.clone())
                .collect();
            if !old.is_empty() {
                self.form("shadowing");
                return self.random.pick(&old);
            }
        }
        let base = self.random.pick(ty.names());
        self.fresh(base)
    }

    /// Adds a variable, and hides the one that had its name.
    pub(crate) fn add(&mut self, name: impl Into<String>, ty: Ty, kind: Kind, mutable: bool) -> usize {
        let name = name.into();
        let shadows = self.vars.iter().rposition(|var| var.name == name);
        if let Some(old) = shadows {
            self.vars[old].hidden += 1;
        }
        self.next_id += 1;
        self.vars.push(Var {
            id: self.next_id,
            name,
            ty: ty.owned(),
            kind,
            mutable,
            moved: false,
            slice: ty == Ty::Slice,
            short: false,
            bound: Bound::None,
            hidden: 0,
            frozen: 0,
            pinned: 0,
            loops: self.loops.len(),
            shadows,
        });
        self.vars.len() - 1
    }

    pub(crate) fn local(&mut self, name: impl Into<String>, ty: Ty, mutable: bool) -> usize {
        self.add(name, ty, Kind::Local, mutable)
    }

    /// Forgets the variables since `mark`.
    pub(crate) fn leave(&mut self, mark: usize) {
        while self.vars.len() > mark {
            let gone = self.vars.pop().expect("longer than mark");
            if let Some(old) = gone.shadows {
                self.vars[old].hidden -= 1;
            }
        }
    }

    /// The variables for which `test` holds; those of the innermost scopes come twice, so that they are used more.
    pub(crate) fn which(&self, test: impl Fn(&Var) -> bool) -> Vec<usize> {
        let recent = self.vars.len().saturating_sub(4);
        (0..self.vars.len()).chain(recent..self.vars.len()).filter(|at| test(&self.vars[*at])).collect()
    }

    pub(crate) fn find(&mut self, test: impl Fn(&Var) -> bool) -> Option<usize> {
        let found = self.which(test);
        (!found.is_empty()).then(|| self.random.pick(&found))
    }

    pub(crate) fn movable(&self, var: &Var) -> bool {
        var.readable()
            && var.frozen + var.pinned == 0
            && var.kind == Kind::Local
            && !var.slice
            && var.loops == self.loops.len()
    }

    /// Whether no part of `self` is borrowed by something that is still used: then methods can be called.
    pub(crate) fn self_is_free(&self, to_write: bool) -> bool {
        self.in_method
            && self
                .vars
                .iter()
                .filter(|var| var.kind == Kind::Field)
                .all(|var| var.hidden == 0 && (!to_write || var.frozen + var.pinned == 0))
    }
}
