//! A `Tracked` collection that a call changes: what the call writes is put into it in its turn.
//!
//! Which functions change one, their types say; which arguments may be one, the text: `&mut x` of a variable that is
//! declared with the word `Tracked`, of a field of one, and a variable that is such a reference. Promises that nothing is pending of the collection where a task
//! gets it, but what other such calls change, which is compared when its turn has come.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Expr, ExprCall, UnOp};

use super::form::{Value, bare};
use super::places::{Later, is_variable_or_field, root};
use super::site::internal;
use super::walk::{How, Walk};

/// A collection that a call may change.
pub(super) struct Given {
    /// The argument.
    pub(super) at: usize,
    /// Its place.
    pub(super) number: usize,
    queue: Ident,
    /// The collection, as it is reached through `here`.
    reached: TokenStream,
}

impl Walk {
    /// The collection that a call may change, if there is one, and one only.
    pub(super) fn given(&mut self, call: &ExprCall) -> Option<Given> {
        let mut found = call.args.iter().enumerate().filter_map(|(at, arg)| Some((at, changed(arg)?)));
        let mut found =
            found.by_ref().filter(|(_, (place, by_reference))| self.may_be_tracked(place, *by_reference));
        let (at, (place, _)) = found.next().filter(|_| found.next().is_none())?;
        let number = self.place(place, How::Called)?;
        let variable = &self.variables[number];
        let later = Later::of(place, variable, &internal("__xfork_here"));
        Some(Given { at, number, queue: variable.queue.clone(), reached: later.place })
    }

    fn may_be_tracked(&self, place: &Expr, by_reference: bool) -> bool {
        let Some(root) = root(place) else { return false };
        let Some(number) = self.find(&root.ident) else { return false };
        let variable = &self.variables[number];
        match by_reference {
            true => variable.is_tracked,
            false => variable.is_tracked && variable.refers,
        }
    }

    /// Whether a value is collected of calls that may change a collection, one after the other: those are made where they stand.
    pub(super) fn changes_repeatedly(&self, value: &Value<'_>) -> bool {
        let Value::Collect(collect) = value else { return false };
        let mut changed = collect.call.args.iter().filter_map(changed);
        changed.any(|(place, by_reference)| by_reference || self.may_be_tracked(place, false))
    }

    /// The places of all arguments that could be one.
    pub(super) fn all_given(&mut self, call: &ExprCall) -> Vec<(usize, usize)> {
        let found = call.args.iter().enumerate().filter_map(|(at, arg)| Some((at, changed(arg)?)));
        let found: Vec<_> =
            found.filter(|(_, (place, by_reference))| self.may_be_tracked(place, *by_reference)).collect();
        found.into_iter().filter_map(|(at, (place, _))| Some((at, self.place(place, How::Called)?))).collect()
    }

    /// Whether a call may change a collection.
    pub(super) fn may_change(&self, call: &ExprCall) -> bool {
        let mut changed = call.args.iter().filter_map(changed);
        changed.any(|(place, by_reference)| self.may_be_tracked(place, by_reference))
    }

    /// Settles what the task could not see.
    pub(super) fn settle_given(&mut self, given: Option<&Given>, out: &mut Vec<syn::Stmt>) {
        let Some(&Given { number, .. }) = given else { return };
        // Another part of it, or the whole.
        let is_same =
            |&other: &usize| other != number && self.variables[other].whole == self.variables[number].whole;
        let is_other = self.state.places.iter().any(is_same);
        if is_other || self.state.loose.contains(&number) || self.sees_through(number) {
            self.settle(out);
        }
    }

    /// Notes that it is pending.
    pub(super) fn give(&mut self, given: Option<&Given>) {
        if let Some(given) = given {
            self.state.places.insert(given.number);
            self.variables[given.number].is_place = true;
        }
    }

    /// A function that does not change it sees it as it is.
    pub(super) fn unless_given(&self, callee: &Ident, given: Option<&Given>) -> TokenStream {
        let given = given.filter(|given| self.state.places.contains(&given.number));
        let settle = given.map(|_| self.settle_all());
        settle.map(|settle| quote!(if !#callee.__xfork_tracks() { #(#settle)* })).unwrap_or_default()
    }
}

impl Given {
    /// Behind the forked call.
    pub(super) fn put_into_place(&self, session: &Ident) -> TokenStream {
        let Self { queue, reached, .. } = self;
        let here = internal("__xfork_here");
        quote!(.__xfork_into(&#session, &mut #queue, move |#here| &mut #reached))
    }
}

/// The place in `&mut place`, or a variable that may be such a reference; and which of them it is.
pub(super) fn changed(arg: &Expr) -> Option<(&Expr, bool)> {
    match bare(arg) {
        Expr::Reference(reference) if reference.mutability.is_some() => {
            match bare(&reference.expr) {
                // The same again, by a reference.
                Expr::Unary(unary)
                    if matches!((&unary.op, bare(&unary.expr)), (UnOp::Deref(_), Expr::Path(_))) =>
                {
                    Some((&*unary.expr, false))
                }
                place => is_variable_or_field(place).then_some((place, true)),
            }
        }
        path @ Expr::Path(_) => Some((path, false)),
        _ => None,
    }
}
