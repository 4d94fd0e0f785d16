//! In which order the parts of an assignment are computed: whether the indexes of a place and the arguments of a call may see
//! each other's changes.
//!
//! Of `place += value` numbers have the value computed first, as forked calls have, and all other types the place.

use std::collections::HashSet;
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{Expr, Macro};

use super::form::{Value, bare, is_assignment};
use super::names::{Names, mentioned};
use super::places::{Way, indexes, root};
use super::position::arguments;
use super::walk::Walk;

impl Walk {
    /// Whether it makes no difference which of the two is computed first.
    pub(super) fn is_any_order(&self, place: &Expr, value: &Value<'_>) -> bool {
        let mut found = Vec::new();
        indexes(place, &mut found);
        let args: Vec<&Expr> = value.call().args.iter().collect();
        self.leaves_alone(&found, &args) && self.leaves_alone(&args, &found)
    }

    /// Whether computing the ones changes no variable that the others mention.
    fn leaves_alone(&self, changing: &[&Expr], mentioning: &[&Expr]) -> bool {
        let mut look = Changed { walk: self, names: HashSet::new() };
        changing.iter().for_each(|code| look.visit_expr(code));
        let mut names = Names::default();
        mentioning.iter().for_each(|code| names.extend(mentioned(code)));
        look.names.iter().all(|name| !names.contains(name))
    }
}

/// The names of variables that code may change.
struct Changed<'a> {
    walk: &'a Walk,
    names: HashSet<String>,
}

impl Changed<'_> {
    fn note(&mut self, place: &Expr) {
        self.names.extend(root(place).map(|root| root.ident.unraw().to_string()));
    }

    fn can_change(&self, name: &str) -> bool {
        self.walk.find_named(name).is_none_or(|number| {
            let variable = &self.walk.variables[number];
            variable.way == Way::Itself || variable.may_be_unique
        })
    }
}

impl<'ast> Visit<'ast> for Changed<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Assign(assign) => self.note(&assign.left),
            Expr::Binary(binary) if is_assignment(&binary.op) => self.note(&binary.left),
            Expr::Reference(reference) if reference.mutability.is_some() => self.note(&reference.expr),
            Expr::MethodCall(call) => {
                let name = root(&call.receiver).map(|root| root.ident.unraw().to_string());
                self.names.extend(name.filter(|name| self.can_change(name)));
            }
            Expr::Call(call) => {
                // A unique reference is passed on by its name.
                for arg in &call.args {
                    if let Expr::Path(path) = bare(arg)
                        && let Some(name) = path.path.get_ident()
                        && self.walk.find(name).is_some_and(|number| self.walk.variables[number].refers)
                    {
                        self.names.insert(name.unraw().to_string());
                    }
                }
            }
            _ => {}
        }
        visit::visit_expr(self, expr);
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        match arguments(mac) {
            Some(arguments) => arguments.list.iter().for_each(|argument| self.visit_expr(argument)),
            None => self.names.extend(mentioned(&mac.tokens).into_names()),
        }
    }
}
