//! What calls borrow of variables: a large value is serialised once as long as its variable can't have changed.
//!
//! Beside a variable that is lent stands an `xfork` `Lend`. Promises that it is emptied before each statement that may change what is
//! lent of the variable, and where something pending is put into that. A variable that is a shared reference does not change.

use proc_macro2::TokenStream;
use quote::quote;
use std::collections::{BTreeSet, HashMap, HashSet};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprCall, Member, Stmt, parse_quote};

use super::form::{bare, candidate};
use super::names::{is_format, mentioned};
use super::places::{Root, is_variable_or_field, root};
use super::site::internal;
use super::walk::Walk;

/// Which fields of which variables calls may borrow, by the names of the variables.
pub(super) type Lent = HashMap<String, Vec<Vec<Member>>>;

/// What is lent anywhere in a function by `&` of a variable or its fields.
pub(super) fn lent(block: &syn::Block) -> Lent {
    struct Look(Lent);
    impl<'ast> Visit<'ast> for Look {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            if let Some(call) = candidate(expr) {
                for Root { ident, fields } in call.args.iter().filter_map(borrowed) {
                    self.0.entry(ident.unraw().to_string()).or_default().push(fields);
                }
            }
            visit::visit_expr(self, expr);
        }
    }
    let mut look = Look(Lent::new());
    look.visit_block(block);
    look.0
}

/// What `&variable.field` borrows.
fn borrowed(arg: &Expr) -> Option<Root> {
    match bare(arg) {
        Expr::Reference(reference)
            if reference.mutability.is_none() && is_variable_or_field(&reference.expr) =>
        {
            root(&reference.expr)
        }
        _ => None,
    }
}

impl Walk {
    /// What stands beside the variables that a call borrows, for each of its parameters: a list. Those names are other
    /// variables where the call stands.
    pub(super) fn lends(&self, call: &ExprCall, others: &HashSet<String>) -> TokenStream {
        let mut lends: Vec<TokenStream> = call
            .args
            .iter()
            .map(|arg| match self.lend(arg, others) {
                Some(number) => {
                    self.lent_variables.borrow_mut().insert(number);
                    let lend = name(number);
                    quote!(::core::option::Option::Some(#lend))
                }
                None => quote!(::core::option::Option::None),
            })
            .collect();
        let none = quote!(::core::option::Option::None).to_string();
        while lends.last().is_some_and(|last| last.to_string() == none) {
            lends.pop();
        }
        quote!(&[#(#lends),*])
    }

    fn lend(&self, arg: &Expr, others: &HashSet<String>) -> Option<usize> {
        let ident = match bare(arg) {
            Expr::Path(path) => path.path.get_ident()?.clone(),
            _ => borrowed(arg)?.ident,
        };
        let number = self.find(&ident).filter(|_| !others.contains(&ident.unraw().to_string()))?;
        let variable = &self.variables[number];
        let is_lent = variable.is_shared || !matches!(bare(arg), Expr::Path(_));
        (is_lent && variable.is_initialised).then_some(number)
    }

    /// Before a statement that may change what is lent.
    pub(super) fn forget_before(&self, statement: &Stmt, out: &mut Vec<Stmt>) {
        if self.lent.is_empty() {
            return;
        }
        let mut changing = statement.clone();
        Reading.visit_stmt_mut(&mut changing);
        let names = mentioned(&changing);
        out.extend(self.forgets(|name, fields| names.overlaps(name, fields)));
    }

    /// Before each round of a loop with this condition.
    pub(super) fn forgets_in(&self, condition: &Expr) -> Vec<Stmt> {
        let mut changing = condition.clone();
        Reading.visit_expr_mut(&mut changing);
        let names = mentioned(&changing);
        self.forgets(|name, fields| names.overlaps(name, fields))
    }

    /// Behind putting something into this place.
    pub(super) fn forgets_of(&self, place: usize) -> Vec<Stmt> {
        let place = &self.variables[place];
        self.forgets(|name, fields| {
            name == place.name() && fields.iter().zip(&place.fields).all(|(one, other)| one == other)
        })
    }

    fn forgets(&self, changes: impl Fn(&str, &[Member]) -> bool) -> Vec<Stmt> {
        let names = self.lent.iter().filter(|(name, parts)| parts.iter().any(|fields| changes(name, fields)));
        let numbers: BTreeSet<usize> = names
            .filter_map(|(name, _)| {
                let of_name = |&&number: &&usize| self.variables[number].name() == **name;
                self.scope.iter().rev().find(of_name).copied()
            })
            .filter(|&number| self.variables[number].is_initialised && !self.variables[number].is_shared)
            .collect();
        self.lent_variables.borrow_mut().extend(&numbers);
        numbers
            .into_iter()
            .map(|number| {
                let lend = name(number);
                parse_quote!(#lend.forget();)
            })
            .collect()
    }

    /// Declares what stands beside a variable, if that is lent.
    pub(super) fn declare_lend(&self, number: usize) -> Option<Stmt> {
        let lend = name(number);
        self.lent_variables.borrow().contains(&number).then(|| {
            // A reference, which closures that move can have, too.
            parse_quote!(let #lend = &__xfork::Lend::new();)
        })
    }
}

fn name(number: usize) -> syn::Ident {
    internal(&format!("__xfork_lend_{number}"))
}

/// Takes out what can't change anything: `&x`, and texts that are made.
struct Reading;

impl VisitMut for Reading {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let reads = match &*expr {
            Expr::Macro(mac) => is_format(&mac.mac),
            other => borrowed(other).is_some(),
        };
        if reads {
            *expr = parse_quote!(());
        } else {
            visit_mut::visit_expr_mut(self, expr);
        }
    }

    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        match statement {
            Stmt::Macro(mac) if is_format(&mac.mac) => *statement = parse_quote!(();),
            other => visit_mut::visit_stmt_mut(self, other),
        }
    }
}
