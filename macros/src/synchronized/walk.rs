//! The state of the walk through a function: its variables, what may be pending of them, and how that is settled.
//!
//! Promises that nothing pending is seen by the user's code: before a statement that mentions the variable of a
//! place, or one that such a variable may be a reference into, everything is settled; also before the function is left and
//! before a variable ends whose place has something pending. Where branches meet, what may be pending in
//! one of them may be pending. Settling what is not pending does nothing. The walk itself is in `block`, `branch`, `repeat`
//! and `site`, which keep this promise each for its statements.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use syn::{Expr, Pat, Stmt, parse_quote};

use super::deeds::{Deeds, deeds};
use super::form::bare;
use super::lend::Lent;
use super::names::{Names, borrows_uniquely, bound, is_unique, mentioned};
use super::places::{State, Variable, Way, reaches_by_field, root};
use super::repeat::Loop;
use super::site::internal;

pub(super) struct Walk {
    pub(super) variables: Vec<Variable>,
    /// Numbers of the variables in scope, the innermost last.
    pub(super) scope: Vec<usize>,
    pub(super) state: State,
    pub(super) depth: usize,
    pub(super) loops: Vec<Loop>,
    /// Names that are variables somewhere in the function.
    pub(super) locals: HashSet<String>,
    /// The fields of variables that something is put into, by the name of the variable.
    pub(super) changed: HashMap<String, Vec<Vec<syn::Member>>>,
    /// Names of variables that may have been moved by now.
    pub(super) moved: HashSet<String>,
    /// Numbers of the variables of whose names a macro may have declared others.
    pub(super) hidden: Vec<usize>,
    /// There are macros of its own in the function, which may mention any variable.
    pub(super) defines_macros: bool,
    /// What calls may borrow.
    pub(super) lent: Lent,
    /// Numbers of the variables that they do borrow.
    pub(super) lent_variables: RefCell<BTreeSet<usize>>,
    /// Of which variables it is asked whether their fields may overlap.
    asked: RefCell<BTreeSet<usize>>,
    pub(super) session: Ident,
    pub(super) alone: Ident,
    lets: usize,
    /// How many loops ask for the type of what they run over.
    asked_loops: usize,
}

/// What is done to a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// `=`
    Assigned,
    /// `+=`
    Changed,
    /// A method
    Called,
}

impl Walk {
    pub(super) fn new(locals: HashSet<String>) -> Self {
        Self {
            variables: Vec::new(),
            scope: Vec::new(),
            state: State::default(),
            depth: 0,
            loops: Vec::new(),
            locals,
            changed: HashMap::new(),
            moved: HashSet::new(),
            hidden: Vec::new(),
            defines_macros: false,
            lent: Lent::default(),
            lent_variables: RefCell::default(),
            asked: RefCell::default(),
            session: Ident::new("__xfork_session", Span::mixed_site()),
            alone: Ident::new("__xfork_alone", Span::mixed_site()),
            lets: 0,
            asked_loops: 0,
        }
    }

    /// A variable that is there now; gives its number.
    pub(super) fn declare(&mut self, ident: Ident, is_mut: bool) -> usize {
        let number = self.variables.len();
        self.variables.push(Variable::new(ident, is_mut, self.depth, number));
        self.scope.push(number);
        number
    }

    /// The variables of a pattern, whose value comes from `source`.
    pub(super) fn declare_pattern(&mut self, pattern: &Pat, source: Option<&Expr>) -> Vec<usize> {
        let is_unique = source.is_some_and(is_unique);
        // What a range runs over borrows nothing.
        let source = source.filter(|source| !matches!(bare(source), Expr::Range(_)));
        let origins = source.map(mentioned).unwrap_or_default();
        let comes_from_tracked = self
            .scope
            .iter()
            .map(|&it| &self.variables[it])
            .any(|it| it.is_tracked && origins.contains(&it.name()));
        let is_tracked =
            comes_from_tracked || origins.contains("Tracked") || mentioned(pattern).contains("Tracked");
        let is_borrow = matches!(source, Some(Expr::Reference(borrow)) if borrow.mutability.is_none());
        let is_whole = matches!(pattern, Pat::Ident(_));
        let borrows_uniquely = source.is_some_and(borrows_uniquely);
        let declare = |(ident, is_mut): (Ident, bool)| {
            let number = self.declare(ident, is_mut);
            let variable = &mut self.variables[number];
            variable.may_be_unique |= is_unique;
            variable.refers |= is_unique;
            variable.is_shared = !is_mut && is_whole && is_borrow;
            variable.is_tracked = is_tracked;
            variable.has_parts = is_mut && is_whole && matches!(source, Some(Expr::Struct(_)));
            if !is_mut || is_unique || borrows_uniquely {
                variable.origins.clone_from(&origins);
            }
            number
        };
        bound(pattern).into_iter().map(declare).collect()
    }

    /// The variable of this name in scope.
    pub(super) fn find(&self, ident: &Ident) -> Option<usize> {
        self.scope.iter().rev().copied().find(|&number| self.variables[number].ident == *ident)
    }

    /// As [`find`](Self::find), by a name without `r#`.
    pub(super) fn find_named(&self, name: &str) -> Option<usize> {
        self.scope.iter().rev().copied().find(|&number| self.variables[number].name() == name)
    }

    /// Until the block ends, variables of these names may be others.
    pub(super) fn hide(&mut self, names: &Names) {
        let known: Vec<usize> = self.scope.clone();
        for number in known {
            let variable = &mut self.variables[number];
            if !variable.is_hidden && names.contains(&variable.name()) {
                variable.is_hidden = true;
                self.hidden.push(number);
            }
        }
    }

    /// Those that have been hidden since there were so many are themselves again.
    pub(super) fn show(&mut self, hidden: usize) {
        for number in self.hidden.split_off(hidden) {
            self.variables[number].is_hidden = false;
        }
    }

    /// Declares the queues of a variable and of its parts.
    pub(super) fn queues(&self, number: usize) -> Vec<Stmt> {
        let parts = self.variables[number].parts.iter().chain([&number]);
        let places = parts.map(|&part| &self.variables[part]).filter(|part| part.is_place);
        let asked = self.asked.borrow().contains(&number).then(|| {
            let name = internal(&format!("__xfork_overlap_{number}"));
            let place = self.variables[number].place();
            parse_quote! {
                #[allow(unused_variables)]
                let #name = __xfork::Fields::of(&#place).__xfork_may_overlap();
            }
        });
        places.map(Variable::declare).chain(self.declare_lend(number)).chain(asked).collect()
    }

    /// The variable of a place that something may be put into later.
    pub(super) fn place(&mut self, place: &Expr, how: How) -> Option<usize> {
        let root = root(place)?;
        let whole = self.find(&root.ident)?;
        let number = self.part(whole, root.fields);
        let variable = &self.variables[whole];
        // What can't be changed itself has to be a reference; one that is a field of it is not seen.
        let is_by_field = reaches_by_field(place) && !variable.may_be_unique;
        let can = variable.way == Way::Itself || !is_by_field && how != How::Called || variable.may_be_unique;
        // A variable that was moved is nothing that could be changed later.
        let can = can
            && (how != How::Assigned
                || !matches!(bare(place), Expr::Path(_))
                || !self.moved.contains(&variable.name()));
        (can && variable.is_initialised && !variable.is_hidden).then_some(number)
    }

    /// The part of a variable that is changed as one: its fields, as far as no shorter place of it is changed.
    fn part(&mut self, whole: usize, fields: Vec<syn::Member>) -> usize {
        if !self.variables[whole].has_parts {
            return whole;
        }
        let name = self.variables[whole].name();
        let changed = self.changed.get(&name).into_iter().flatten();
        let shortest = changed.filter(|other| fields.starts_with(other)).map(Vec::len).min();
        let fields = &fields[..shortest.unwrap_or(0)];
        if fields.is_empty() {
            return whole;
        }
        let parts = self.variables[whole].parts.iter().copied();
        if let Some(part) = parts.into_iter().find(|&part| self.variables[part].fields == fields) {
            return part;
        }
        let number = self.variables.len();
        let part = self.variables[whole].part(fields, number);
        self.variables.push(part);
        self.variables[whole].parts.push(number);
        number
    }

    /// Whether code that mentions these names may see what is pending.
    pub(super) fn sees(&self, names: &Names) -> bool {
        self.state.places.iter().any(|&number| {
            let variable = &self.variables[number];
            names.contains(&variable.name()) || !variable.origins.is_disjoint(names)
        })
    }

    /// As [`sees`](Self::sees), for the variable of a place that something more is put into.
    pub(super) fn sees_through(&self, number: usize) -> bool {
        let name = self.variables[number].name();
        let others = self.state.places.iter().filter(|&&other| other != number);
        others.map(|&other| &self.variables[other]).any(|other| other.origins.contains(&name))
    }

    /// Settles everything up to `last`, an expression for the number of a call.
    pub(super) fn settle_up_to(&self, last: &TokenStream) -> Vec<Stmt> {
        if self.state.is_empty() {
            return Vec::new();
        }
        let (session, alone) = (&self.session, &self.alone);
        let places = self.state.places.iter().map(|&number| self.variables[number].pending());
        let alone = self.state.alone.then(|| quote!(&mut #alone.at(&mut ())));
        let pending = places.chain(alone);
        let settle = parse_quote!(__xfork::settle(&#session, #last, &mut [#(#pending),*]););
        let forgets: Vec<Stmt> =
            self.state.places.iter().flat_map(|&place| self.forgets_of_place(place)).collect();
        [settle].into_iter().chain(forgets).collect()
    }

    pub(super) fn settle_all(&self) -> Vec<Stmt> {
        self.settle_up_to(&quote!(::core::primitive::u64::MAX))
    }

    /// Settles everything.
    pub(super) fn settle(&mut self, out: &mut Vec<Stmt>) {
        out.extend(self.settle_all());
        self.state = State::default();
    }

    /// Where all that code may see of what is pending are other fields than those that are pending: a condition for that to
    /// be wrong.
    fn sees_other_fields(&self, names: &Names) -> Option<TokenStream> {
        let mut conditions = BTreeSet::new();
        for &number in &self.state.places {
            let variable = &self.variables[number];
            if !variable.origins.is_disjoint(names) {
                return None;
            }
            if names.contains(&variable.name()) {
                if self.state.holding.contains(&number) {
                    return None;
                }
                let is_apart = names.is_apart(&variable.name(), variable.fields.first());
                conditions.insert(self.may_overlap(variable.whole).filter(|_| is_apart)?.to_string());
            }
        }
        let conditions = conditions.iter().map(|name| internal(name));
        Some(quote!(#(#conditions)||*))
    }

    /// The name of what tells whether the fields of a variable may be parts of one another.
    pub(super) fn may_overlap(&self, number: usize) -> Option<Ident> {
        let variable = &self.variables[number];
        let name = variable.has_parts.then(|| internal(&format!("__xfork_overlap_{number}")));
        if name.is_some() {
            self.asked.borrow_mut().insert(number);
        }
        name
    }

    /// Settles what code may see that mentions these names and does this.
    pub(super) fn settle_before(&mut self, names: &Names, deeds: Deeds, out: &mut Vec<Stmt>) {
        if deeds.leaves {
            return self.settle(out);
        }
        if self.sees(names) {
            let Some(condition) = self.sees_other_fields(names) else { return self.settle(out) };
            let settle = self.settle_all();
            out.push(parse_quote!(if #condition { #(#settle)* }));
        }
        if deeds.calls {
            self.settle_effects(out);
        }
    }

    pub(super) fn settle_before_expr(&mut self, expr: &Expr, out: &mut Vec<Stmt>) {
        self.settle_before(&mentioned(expr), deeds(expr), out);
    }

    pub(super) fn next_loop(&mut self) -> usize {
        self.asked_loops += 1;
        self.asked_loops
    }

    pub(super) fn next_let(&mut self) -> usize {
        self.lets += 1;
        self.lets
    }
}
