//! Refusing concurrent calls where they can't be forked: each call of what may be one asks the type of the
//! function whether it may be called there.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use std::collections::HashSet;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Macro, Token};

use super::form::{Value, candidate, is_assignment, is_candidate};

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Condition,
    Macro,
    Closure,
    Unsafe,
    Async,
    Expression,
}

impl Place {
    fn method(self) -> Ident {
        format_ident!(
            "__xfork_{}",
            match self {
                Self::Condition => "in_condition",
                Self::Macro => "in_macro",
                Self::Closure => "in_closure",
                Self::Unsafe => "in_unsafe",
                Self::Async => "in_async",
                Self::Expression => "in_expression",
            }
        )
    }
}

/// Has every call in `expr` checked; `locals` are names that are variables and so no marked functions.
pub(super) fn check(expr: &mut Expr, place: Place, locals: &HashSet<String>) {
    Check { place, locals }.visit_expr_mut(expr);
}

/// As [`check`], but the value of a statement may be a call that is made in its place.
pub(super) fn check_statement(expr: &mut Expr, place: Place, locals: &HashSet<String>) {
    let is_candidate = candidate(expr).is_some();
    let is_collected = matches!(Value::of(expr), Some(Value::Collect(_)));
    match expr {
        // Its call is the value, too.
        Expr::MethodCall(collect) if is_collected => {
            if let Expr::MethodCall(map) = &mut *collect.receiver {
                check(&mut map.receiver, place, locals);
            }
        }
        Expr::Paren(paren) => check_statement(&mut paren.expr, place, locals),
        Expr::Group(group) => check_statement(&mut group.expr, place, locals),
        Expr::Try(tried) => check_statement(&mut tried.expr, place, locals),
        Expr::Return(syn::ExprReturn { expr: Some(value), .. })
        | Expr::Break(syn::ExprBreak { expr: Some(value), .. }) => check_statement(value, place, locals),
        Expr::Assign(assign) => {
            check(&mut assign.left, place, locals);
            check_statement(&mut assign.right, place, locals);
        }
        Expr::Binary(binary) if is_assignment(&binary.op) => {
            check(&mut binary.left, place, locals);
            check_statement(&mut binary.right, place, locals);
        }
        Expr::MethodCall(call) => {
            check(&mut call.receiver, place, locals);
            call.args.iter_mut().for_each(|arg| check_argument(arg, place, locals));
        }
        Expr::Call(call) => {
            if !is_candidate {
                check(&mut call.func, place, locals);
            }
            call.args.iter_mut().for_each(|arg| check_argument(arg, place, locals));
        }
        other => check(other, place, locals),
    }
}

/// An argument of a statement may be a call that is made in its place; those inside it may not.
pub(super) fn check_argument(arg: &mut Expr, place: Place, locals: &HashSet<String>) {
    match arg {
        Expr::Call(call) if is_candidate(call) => {
            call.args.iter_mut().for_each(|arg| check(arg, place, locals));
        }
        other => check(other, place, locals),
    }
}

/// Has an argument beside a call of `callee` checked: if both are concurrent, the argument's call is refused.
pub(super) fn check_beside(arg: &mut Expr, callee: &Ident, locals: &HashSet<String>) {
    match arg {
        Expr::Call(call) if is_candidate(call) => {
            if let Expr::Path(path) = &*call.func {
                let (function, span) = (&path.path, call.span());
                call.func = syn::parse_quote_spanned! {span=>
                    __xfork::Beside(&#callee, #function).__xfork_beside_another()
                };
            }
            call.args.iter_mut().for_each(|arg| check(arg, Place::Expression, locals));
        }
        other => check(other, Place::Expression, locals),
    }
}

struct Check<'a> {
    place: Place,
    locals: &'a HashSet<String>,
}

impl Check<'_> {
    fn at(&self, place: Place) -> Self {
        Check { place, locals: self.locals }
    }
}

/// Whether this is one of the function's variables.
pub(super) fn is_local(path: &syn::Path, locals: &HashSet<String>) -> bool {
    path.get_ident().is_some_and(|name| locals.contains(&name.to_string()))
}

impl VisitMut for Check<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let is_candidate = candidate(expr).is_some();
        match expr {
            Expr::Call(call) if is_candidate => {
                if let Expr::Path(path) = &*call.func
                    && !is_local(&path.path, self.locals)
                {
                    let (function, method) = (&path.path, self.place.method());
                    // At the user's call, so that a refusal is there.
                    let span = call.span();
                    let method = Ident::new(&method.to_string(), span);
                    call.func = syn::parse_quote_spanned! {span=>
                        __xfork::Position(#function).#method()
                    };
                }
                for arg in &mut call.args {
                    self.visit_expr_mut(arg);
                }
            }
            Expr::Closure(closure) => {
                let inside = if closure.asyncness.is_some() { Place::Async } else { Place::Closure };
                self.at(inside).visit_expr_mut(&mut closure.body);
            }
            Expr::Unsafe(block) => {
                visit_mut::visit_block_mut(&mut self.at(Place::Unsafe), &mut block.block);
            }
            Expr::Async(block) => {
                visit_mut::visit_block_mut(&mut self.at(Place::Async), &mut block.block);
            }
            // What is in it is computed when the program is compiled.
            Expr::Const(_) => {}
            _ => visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_macro_mut(&mut self, mac: &mut Macro) {
        if let Some(mut arguments) = arguments(mac) {
            for argument in &mut arguments.list {
                self.at(Place::Macro).visit_expr_mut(argument);
            }
            mac.tokens = arguments.tokens();
        }
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}
    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}
}

/// The arguments of a macro, which are expressions.
pub(super) struct Arguments {
    pub(super) list: Vec<Expr>,
    /// `vec![x; n]`
    is_repeated: bool,
}

impl Arguments {
    fn tokens(&self) -> TokenStream {
        let list = &self.list;
        match self.is_repeated {
            true => quote!(#(#list);*),
            false => quote!(#(#list),*),
        }
    }
}

/// The arguments of a macro whose arguments are known to be expressions.
pub(super) fn arguments(mac: &Macro) -> Option<Arguments> {
    const KNOWN: [&str; 21] = [
        "print",
        "println",
        "eprint",
        "eprintln",
        "format",
        "write",
        "writeln",
        "panic",
        "todo",
        "unreachable",
        "unimplemented",
        "assert",
        "assert_eq",
        "assert_ne",
        "debug_assert",
        "debug_assert_eq",
        "debug_assert_ne",
        "vec",
        "dbg",
        "format_args",
        "matches",
    ];
    let last = mac.path.segments.last()?;
    if !KNOWN.iter().any(|known| last.ident == known) {
        return None;
    }
    // Named arguments of format strings are read as assignments, and `matches!` not at all.
    let list = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(mac.tokens.clone());
    if let Ok(list) = list {
        return Some(Arguments { list: list.into_iter().collect(), is_repeated: false });
    }
    let repeated = Punctuated::<Expr, Token![;]>::parse_separated_nonempty.parse2(mac.tokens.clone()).ok();
    let repeated = repeated.filter(|list| last.ident == "vec" && list.len() == 2)?;
    Some(Arguments { list: repeated.into_iter().collect(), is_repeated: true })
}

/// A method call with the span of the user's call, which is where a fork is said to be.
pub(super) fn method_at(span: proc_macro2::Span, method: &str) -> TokenStream {
    let method = Ident::new(method, span);
    quote_spanned!(span=> #method)
}
