//! Owns what is known of a variable and of a function. Promises that the texts given here compile for the kind of the
//! variable; whether it may be used at a point of the program is kept in its counters by those who write statements.

use super::types::Ty;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Local,
    /// `self.name`
    Field,
    MutRef,
    Ref,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    None,
    /// Below three.
    Small,
    /// Below the length of the variable with this id.
    Length(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Var {
    pub(crate) id: usize,
    pub(crate) name: String,
    pub(crate) ty: Ty,
    pub(crate) kind: Kind,
    pub(crate) mutable: bool,
    pub(crate) moved: bool,
    /// A slice, which can't grow or be replaced.
    pub(crate) slice: bool,
    /// It may have fewer than three elements, so that it isn't indexed.
    pub(crate) short: bool,
    pub(crate) bound: Bound,
    /// Above zero while something else has borrowed it mutably, or while its name means another variable.
    pub(crate) hidden: usize,
    /// Above zero while something else has borrowed it, or while a loop counts on its value.
    pub(crate) frozen: usize,
    /// Above zero while an index counts on its length.
    pub(crate) pinned: usize,
    /// How many loops were around its declaration: it can't be moved within more.
    pub(crate) loops: usize,
    pub(crate) shadows: Option<usize>,
}

impl Var {
    pub(crate) fn readable(&self) -> bool {
        self.hidden == 0 && !self.moved
    }

    pub(crate) fn writable(&self) -> bool {
        self.mutable && self.readable() && self.frozen == 0
    }

    pub(crate) fn replaceable(&self) -> bool {
        self.writable() && self.pinned == 0 && !self.slice
    }

    /// A place that can be assigned.
    pub(crate) fn place(&self) -> String {
        if self.kind == Kind::MutRef { format!("*{}", self.name) } else { self.name.clone() }
    }

    /// A value that is copied, or a receiver of methods.
    pub(crate) fn read(&self) -> String {
        if matches!(self.kind, Kind::MutRef | Kind::Ref) && self.ty.is_copy() {
            format!("(*{})", self.name)
        } else {
            self.name.clone()
        }
    }

    pub(crate) fn cloned(&self) -> String {
        match (self.ty.is_copy(), self.kind, self.ty) {
            (true, ..) => self.read(),
            (_, Kind::Ref, Ty::Str) => format!("{}.to_string()", self.name),
            (_, Kind::Ref, Ty::Vec) => format!("{}.to_vec()", self.name),
            _ if self.slice => format!("{}.to_vec()", self.name),
            _ => format!("{}.clone()", self.name),
        }
    }

    pub(crate) fn borrowed(&self) -> String {
        match self.kind {
            Kind::Local | Kind::Field => format!("&{}", self.name),
            Kind::Ref => self.name.clone(),
            Kind::MutRef => format!("&*{}", self.name),
        }
    }

    pub(crate) fn borrowed_mut(&self) -> String {
        if self.kind == Kind::MutRef { format!("&mut *{}", self.name) } else { format!("&mut {}", self.name) }
    }

    /// What `{:?}` prints, in an order that is always the same.
    pub(crate) fn shown(&self) -> String {
        if self.ty == Ty::HashMap { format!("sorted({})", self.borrowed()) } else { self.name.clone() }
    }
}

/// A synchronized function: its parameters and its result.
#[derive(Clone, Debug)]
pub(crate) struct Synchronized {
    pub(crate) name: String,
    pub(crate) parameters: Vec<(Ty, Kind)>,
    pub(crate) result: Ty,
}

#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Ty>,
    pub(crate) result: Ty,
    pub(crate) concurrent: bool,
}
