//! Which names a piece of code mentions, and what it may do, as far as its text tells.
//!
//! Promises to find every use of a local variable: by name, also inside the arguments of macros and in the braces of
//! format strings. It may find more, which costs parallelism and no correctness.

use super::position::arguments;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::HashSet;
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{Expr, Pat};

/// Names of variables, without `r#`.
pub(super) type Names = HashSet<String>;

/// All names in the code.
pub(super) fn mentioned(code: &impl ToTokens) -> Names {
    let mut names = Names::new();
    collect(code.to_token_stream(), &mut names);
    names
}

fn collect(tokens: TokenStream, names: &mut Names) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect(group.stream(), names),
            TokenTree::Ident(ident) => {
                names.insert(ident.unraw().to_string());
            }
            TokenTree::Literal(literal) => in_braces(&literal.to_string(), names),
            TokenTree::Punct(_) => {}
        }
    }
}

/// The names after each `{` of a format string, and those of widths and precisions after `:` and `.`.
fn in_braces(text: &str, names: &mut Names) {
    for piece in text.split('{').skip(1) {
        let inside = piece.split('}').next().unwrap_or(piece);
        let words = inside.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        names.extend(words.filter(|word| !word.is_empty()).map(str::to_string));
    }
}

/// The names that a pattern binds, or may.
pub(super) fn bound(pattern: &Pat) -> Vec<(syn::Ident, bool)> {
    struct Bound(Vec<(syn::Ident, bool)>);
    impl<'ast> Visit<'ast> for Bound {
        fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
            self.0.push((pattern.ident.clone(), pattern.mutability.is_some()));
            visit::visit_pat_ident(self, pattern);
        }
    }
    let mut bound = Bound(Vec::new());
    bound.visit_pat(pattern);
    bound.0
}

/// The patterns of the `let`s in a condition.
pub(super) fn patterns_of(condition: &Expr) -> Vec<&Pat> {
    match condition {
        Expr::Let(binding) => vec![&binding.pat],
        Expr::Binary(binary) => {
            let mut patterns = patterns_of(&binary.left);
            patterns.extend(patterns_of(&binary.right));
            patterns
        }
        Expr::Paren(paren) => patterns_of(&paren.expr),
        Expr::Group(group) => patterns_of(&group.expr),
        _ => Vec::new(),
    }
}

/// What a piece of code may do besides mentioning names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deeds {
    /// It leaves the function: by `?` or `return`.
    pub(super) leaves: bool,
    /// It calls something, so that anything may happen.
    pub(super) calls: bool,
}

/// What the code may do, outside of closures and items in it.
pub(super) fn deeds(code: &Expr) -> Deeds {
    struct Look(Deeds);
    impl<'ast> Visit<'ast> for Look {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            match expr {
                Expr::Try(_) | Expr::Return(_) | Expr::Yield(_) => self.0.leaves = true,
                Expr::Call(_) | Expr::MethodCall(_) | Expr::Await(_) => self.0.calls = true,
                Expr::Macro(mac) => self.of_macro(&mac.mac),
                Expr::Closure(_) | Expr::Async(_) => return,
                _ => {}
            }
            visit::visit_expr(self, expr);
        }
        fn visit_item(&mut self, _: &'ast syn::Item) {}
        fn visit_stmt_macro(&mut self, statement: &'ast syn::StmtMacro) {
            self.of_macro(&statement.mac);
        }
    }
    impl Look {
        fn of_macro(&mut self, mac: &syn::Macro) {
            self.0.calls = true;
            match arguments(mac) {
                Some(arguments) => arguments.iter().for_each(|argument| self.visit_expr(argument)),
                // Anything may be in it, also an early return.
                None => self.0.leaves = true,
            }
        }
    }
    let mut look = Look(Deeds::default());
    look.visit_expr(code);
    look.0
}

/// Whether the code may give a unique reference to something that has a name in it.
pub(super) fn may_borrow_uniquely(code: &impl ToTokens) -> bool {
    fn any(tokens: TokenStream) -> bool {
        let mut after_and = false;
        tokens.into_iter().any(|token| {
            let is_unique = match &token {
                TokenTree::Ident(ident) => {
                    let word = ident.to_string();
                    (after_and && word == "mut") || word.ends_with("_mut") || word.contains("_mut_")
                }
                TokenTree::Group(group) => any(group.stream()),
                _ => false,
            };
            after_and = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '&');
            is_unique
        })
    }
    any(code.to_token_stream())
}
