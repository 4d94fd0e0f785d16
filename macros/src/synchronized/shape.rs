//! The shape of statements and expressions, as far as it decides what may stay pending beside them.
//!
//! Promises to call calm, or a plain value, nothing that it does not know.

use syn::{Expr, Stmt};

use super::form::bare;
use super::places::root;
use super::position::arguments;

pub(super) fn is_compound(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::If(_) | Expr::Match(_) | Expr::Block(_) | Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_)
    )
}

/// An `if` without `else`.
pub(super) fn is_unit(expr: &Expr) -> bool {
    match expr {
        Expr::If(branch) => match &branch.else_branch {
            None => true,
            Some((_, other)) => is_unit(other),
        },
        _ => false,
    }
}

/// `{}`
pub(super) fn is_nothing(expr: &Expr) -> bool {
    matches!(expr, Expr::Block(block) if block.label.is_none() && block.block.stmts.is_empty())
}

/// Whether what a loop runs over does nothing from round to round, as its text tells: numbers, and what is written down. Of
/// anything else the type tells.
pub(super) fn is_calm(iterator: &Expr) -> bool {
    match bare(iterator) {
        Expr::Range(_) | Expr::Lit(_) => true,
        Expr::MethodCall(call) => {
            ["rev", "step_by"].iter().any(|known| call.method == known) && is_calm(&call.receiver)
        }
        _ => false,
    }
}

/// A variable or a part of one; by the conventions for names, what begins with a capital is a constant or is made there.
fn is_place(expr: &Expr) -> bool {
    root(expr).is_some_and(|root| !root.ident.to_string().starts_with(char::is_uppercase))
}

/// Whether a statement declares what may do something when it ends.
pub(super) fn holds(statement: &Stmt) -> bool {
    match statement {
        Stmt::Local(local) => local.init.as_ref().is_none_or(|init| !is_value(&init.expr)),
        _ => false,
    }
}

/// Whether what a branch is chosen by may do something when the branch ends: by what its patterns take out of it, or by what is made
/// for it.
pub(super) fn is_held(matched: &Expr, binds: bool) -> bool {
    !is_value(matched) && (binds || !is_place(matched))
}

/// Whether an expression gives a plain value, or a text or list of them, as far as its form tells.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => is_place(expr),
        Expr::Lit(_) | Expr::Binary(_) | Expr::Unary(_) | Expr::Cast(_) | Expr::Range(_) => true,
        // What it refers to may be made for it, and end with it.
        Expr::Reference(reference) => is_place(bare(&reference.expr)) || is_value(bare(&reference.expr)),
        Expr::Closure(closure) => closure.capture.is_none(),
        Expr::Repeat(list) => is_value(&list.expr),
        Expr::Index(_) => true,
        Expr::Paren(paren) => is_value(&paren.expr),
        Expr::Tuple(tuple) => tuple.elems.iter().all(is_value),
        Expr::Array(array) => array.elems.iter().all(is_value),
        Expr::Macro(mac) if mac.mac.path.is_ident("format") => true,
        // What is put into an empty list is not known.
        Expr::Macro(mac) if mac.mac.path.is_ident("vec") => arguments(&mac.mac)
            .is_some_and(|arguments| !arguments.list.is_empty() && arguments.list.iter().all(is_value)),
        _ => false,
    }
}

/// Whether a statement may be configured out.
pub(super) fn is_conditional(statement: &Stmt) -> bool {
    let attributes = match statement {
        Stmt::Local(local) => &local.attrs,
        Stmt::Macro(mac) => &mac.attrs,
        Stmt::Expr(expr, _) => attributes(expr),
        Stmt::Item(_) => return false,
    };
    attributes.iter().any(|it| it.path().is_ident("cfg") || it.path().is_ident("cfg_attr"))
}

fn attributes(expr: &Expr) -> &[syn::Attribute] {
    match expr {
        Expr::Assign(it) => &it.attrs,
        Expr::Binary(it) => &it.attrs,
        Expr::Block(it) => &it.attrs,
        Expr::Break(it) => &it.attrs,
        Expr::Call(it) => &it.attrs,
        Expr::Continue(it) => &it.attrs,
        Expr::ForLoop(it) => &it.attrs,
        Expr::If(it) => &it.attrs,
        Expr::Loop(it) => &it.attrs,
        Expr::Macro(it) => &it.attrs,
        Expr::Match(it) => &it.attrs,
        Expr::MethodCall(it) => &it.attrs,
        Expr::Return(it) => &it.attrs,
        Expr::Try(it) => &it.attrs,
        Expr::Unsafe(it) => &it.attrs,
        Expr::While(it) => &it.attrs,
        _ => &[],
    }
}
