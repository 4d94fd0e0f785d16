//! Values that come later: `let x = f(..)`, and what is collected where it is used.
//!
//! Promises that a variable has its value before any statement that mentions it, and that its type is known also if nothing
//! mentions it.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use std::collections::HashSet;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut;
use syn::{Expr, Pat, Stmt, parse_quote};

use super::deeds::deeds;
use super::form::Value;
use super::given::Given;
use super::names::{bound, mentioned};
use super::places::Way;
use super::position::method_at;
use super::site::{internal, mentioned_in, path_of};
use super::walk::Walk;

/// A `let` whose value comes later.
pub(super) struct Let {
    /// The names that it binds.
    names: HashSet<String>,
    /// Their variables.
    variables: Vec<usize>,
    /// Gives them their values.
    take: TokenStream,
    later: Ident,
}

impl Walk {
    /// `let x = f(..)`: `x` is declared here, and gets its value later.
    pub(super) fn bind(
        &mut self,
        local: &syn::Local,
        value: &Value<'_>,
        given: Option<&Given>,
        out: &mut Vec<Stmt>,
    ) -> Let {
        let number = self.next_let();
        let later = internal(&format!("__xfork_later_{number}"));
        let expr = self.later(value, given, &self.original(value));
        let attributes = &local.attrs;
        let pattern = &local.pat;
        out.push(parse_quote!(let #later = #expr;));
        out.push(parse_quote!(#(#attributes)* #[allow(unused_mut)] let #pattern;));
        let bound = bound(pattern);
        let names = bound.iter().map(|(ident, _)| ident.unraw().to_string()).collect();
        let variables: Vec<usize> =
            bound.into_iter().map(|(ident, is_mut)| self.declare(ident, is_mut)).collect();
        let is_tracked = mentioned(pattern).contains("Tracked");
        variables.iter().for_each(|&variable| self.variables[variable].is_tracked = is_tracked);
        // They may be references into what the call was given.
        let origins = mentioned_in(value, None);
        for &variable in &variables {
            if self.variables[variable].way == Way::Behind {
                self.variables[variable].origins.clone_from(&origins);
            }
        }
        // Nothing can be put into them before they have their values.
        variables.iter().for_each(|&variable| self.variables[variable].is_initialised = false);
        let taken = quote!(#later.take());
        let take = assign(pattern, &taken);
        Let { names, variables, take, later }
    }

    /// Says of which types those variables are that nothing mentions.
    pub(super) fn tie_lets(lets: &[Let], out: &mut Vec<Stmt>) {
        out.extend(lets.iter().map(|it| -> Stmt {
            let take = &it.take;
            parse_quote! {
                #[allow(unreachable_code, unused_variables, unused_assignments)]
                if false { #take; }
            }
        }));
    }

    /// Gives their values to those variables that the statement mentions. Says after
    /// how many statements which variables have theirs.
    pub(super) fn take_lets(
        &mut self,
        lets: &mut Vec<Let>,
        next: Option<&Stmt>,
        out: &mut Vec<Stmt>,
    ) -> Vec<(usize, Vec<usize>)> {
        let mut there = Vec::new();
        let names = next.map(mentioned).unwrap_or_default();
        let (due, rest): (Vec<Let>, Vec<Let>) =
            lets.drain(..).partition(|it| it.names.iter().any(|name| names.contains(name)));
        *lets = rest;
        for Let { variables, take, later, .. } in due {
            out.extend(self.settle_up_to(&quote!(#later.call())));
            out.push(Stmt::Expr(Expr::Verbatim(take), Some(<syn::Token![;]>::default())));
            for &variable in &variables {
                self.variables[variable].is_initialised = true;
            }
            there.push((out.len(), variables));
        }
        there
    }

    /// A value that is collected where it is used.
    pub(super) fn collected(&mut self, expr: &Expr, out: &mut Vec<Stmt>) -> Option<Expr> {
        let value = Value::of(expr).filter(|value| matches!(value, Value::Collect(_)))?;
        if !self.is_forked(&value) {
            return None;
        }
        self.settle_before(&mentioned(expr), deeds(expr), out);
        let later = internal("__xfork_later");
        let written = self.later(&value, None, &self.original(&value));
        out.push(parse_quote!(let #later = #written;));
        self.state.alone = true;
        self.settle(out);
        Some(parse_quote!(#later.take()))
    }

    /// The value comes later, or is there: an expression.
    fn later(&self, value: &Value<'_>, given: Option<&Given>, original: &TokenStream) -> TokenStream {
        let (session, alone) = (&self.session, &self.alone);
        let callee = internal("__xfork_callee");
        let path = path_of(value.call());
        let (behind, forgets) = (self.behind_effects(), self.forgets_of_call(value.call()));
        let (forked, method) = match value {
            Value::Call(call) => (self.fork(&callee, call, given), "__xfork_later"),
            Value::Collect(_) => (self.fork_all(value), "__xfork_collect_later"),
        };
        let method = method_at(path.span(), method);
        let unless_given = self.unless_given(&callee, given);
        quote! {{
            let #callee = __xfork::Callee(&#path);
            #unless_given
            if #callee.__xfork_is_concurrent() {
                #forked.#method(&#session, &mut #alone)
            } else {
                #behind
                #(#forgets)*
                __xfork::Later::now(#original)
            }
        }}
    }

    fn original(&self, value: &Value<'_>) -> TokenStream {
        match value {
            Value::Call(call) => {
                let (path, args) = (&call.func, self.checked_args(call));
                quote_spanned!(call.span()=> #path(#args))
            }
            Value::Collect(collect) => collect.whole.to_token_stream(),
        }
    }
}

/// Gives the names of a pattern, which are declared, their values.
fn assign(pattern: &Pat, value: &TokenStream) -> TokenStream {
    struct Rename(Vec<(Ident, Ident)>);
    impl VisitMut for Rename {
        fn visit_pat_ident_mut(&mut self, pattern: &mut syn::PatIdent) {
            let fresh = internal(&format!("__xfork_part_{}", self.0.len()));
            self.0.push((pattern.ident.clone(), fresh.clone()));
            pattern.ident = fresh;
            pattern.mutability = None;
        }
    }
    let mut bare = pattern;
    while let Pat::Type(typed) = bare {
        bare = &typed.pat;
    }
    match bare {
        Pat::Ident(name) => {
            let ident = &name.ident;
            quote!(#ident = #value)
        }
        _ => {
            let (mut parts, mut rename) = (pattern.clone(), Rename(Vec::new()));
            rename.visit_pat_mut(&mut parts);
            let given = rename.0.iter().map(|(name, part)| quote!(#name = #part;));
            quote!({ let #parts = #value; #(#given)* })
        }
    }
}
