//! Which names a piece of code mentions, and which references it makes, as far as its text tells.
//!
//! Promises to find every use of a local variable: by name, also inside the arguments of macros and in the braces of
//! format strings. It may find more, which costs parallelism and no correctness.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{HashMap, HashSet};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{Expr, Member, Pat};

/// Names of variables, without `r#`, each with the fields that are named behind it: `self.grid.rows` is `grid`, `rows` of `self`.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(HashMap<String, HashSet<Vec<String>>>);

impl Names {
    fn insert(&mut self, name: String, fields: Vec<String>) {
        self.0.entry(name).or_default().insert(fields);
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (name, fields) in other.0 {
            self.0.entry(name).or_default().extend(fields);
        }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        self.0.keys().all(|name| !other.contains(name))
    }

    /// Whether a variable is mentioned, but only by its fields, and not by this one.
    pub(super) fn is_apart(&self, name: &str, field: Option<&Member>) -> bool {
        let Some(Member::Named(field)) = field else { return false };
        let is_other =
            |mentioned: &Vec<String>| mentioned.first().is_some_and(|first| field.unraw() != *first);
        self.0.get(name).is_some_and(|all| all.iter().all(is_other))
    }

    pub(super) fn into_names(self) -> impl Iterator<Item = String> {
        self.0.into_keys()
    }
}

/// All names in the code.
pub(super) fn mentioned(code: &impl ToTokens) -> Names {
    let mut names = Names::default();
    collect(code.to_token_stream(), &mut names);
    names
}

fn collect(tokens: TokenStream, names: &mut Names) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => collect(group.stream(), names),
            TokenTree::Ident(ident) => {
                names.insert(ident.unraw().to_string(), fields_behind(&tokens[at + 1..]));
            }
            TokenTree::Literal(literal) => in_braces(&literal.to_string(), names),
            TokenTree::Punct(_) => {}
        }
    }
}

/// The names of fields at the beginning: up to a method, an index or anything else.
fn fields_behind(tokens: &[TokenTree]) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Punct(dot), TokenTree::Ident(field), behind @ ..] = rest {
        let is_method = match behind {
            [TokenTree::Group(group), ..] => group.delimiter() == Delimiter::Parenthesis,
            // A turbofish.
            [TokenTree::Punct(colon), ..] => colon.as_char() == ':',
            _ => false,
        };
        if dot.as_char() != '.' || dot.spacing() == Spacing::Joint || is_method || field == "await" {
            break;
        }
        fields.push(field.unraw().to_string());
        rest = behind;
    }
    fields
}

/// The names after each `{` of a format string, and those of widths and precisions after `:` and `.`.
fn in_braces(text: &str, names: &mut Names) {
    for piece in text.split('{').skip(1) {
        let inside = piece.split('}').next().unwrap_or(piece);
        let words = inside.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.filter(|word| !word.is_empty()).for_each(|word| names.insert(word.to_string(), Vec::new()));
    }
}

/// The names that a pattern binds, or may.
pub(super) fn bound(pattern: &Pat) -> Vec<(syn::Ident, bool)> {
    struct Bound(Vec<(syn::Ident, bool)>);
    impl<'ast> Visit<'ast> for Bound {
        fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
            // That of `ref mut` is no `mut` of the name.
            let is_mut = pattern.mutability.is_some() && pattern.by_ref.is_none();
            self.0.push((pattern.ident.clone(), is_mut));
            visit::visit_pat_ident(self, pattern);
        }
    }
    let mut bound = Bound(Vec::new());
    bound.visit_pat(pattern);
    bound.0
}

/// The patterns of the `let`s in a condition.
pub(super) fn patterns_of(condition: &Expr) -> Vec<&Pat> {
    lets_of(condition).into_iter().map(|binding| &*binding.pat).collect()
}

/// What those patterns are matched with.
pub(super) fn sources_of(condition: &Expr) -> Vec<&Expr> {
    lets_of(condition).into_iter().map(|binding| &*binding.expr).collect()
}

fn lets_of(condition: &Expr) -> Vec<&syn::ExprLet> {
    match condition {
        Expr::Let(binding) => vec![binding],
        Expr::Binary(binary) => {
            let mut lets = lets_of(&binary.left);
            lets.extend(lets_of(&binary.right));
            lets
        }
        Expr::Paren(paren) => lets_of(&paren.expr),
        Expr::Group(group) => lets_of(&group.expr),
        _ => Vec::new(),
    }
}

/// Whether an expression, or what a pattern takes out of it, is a unique reference, as far as its text tells.
pub(super) fn is_unique(expr: &Expr) -> bool {
    // What passes on whatever it is called on.
    const PASSING: [&str; 12] = [
        "unwrap",
        "expect",
        "enumerate",
        "rev",
        "skip",
        "take",
        "zip",
        "next",
        "flatten",
        "ok_or",
        "ok_or_else",
        "step_by",
    ];
    match expr {
        Expr::Reference(reference) => reference.mutability.is_some(),
        Expr::MethodCall(call) => {
            let name = call.method.to_string();
            let gives = name.ends_with("_mut") || name.contains("_mut_");
            gives || PASSING.iter().any(|passing| name == *passing) && is_unique(&call.receiver)
        }
        Expr::Try(tried) => is_unique(&tried.expr),
        Expr::Paren(paren) => is_unique(&paren.expr),
        Expr::Group(group) => is_unique(&group.expr),
        Expr::Let(binding) => is_unique(&binding.expr),
        Expr::Binary(binary) => is_unique(&binary.left) || is_unique(&binary.right),
        _ => false,
    }
}

/// Whether a `&mut` is in an expression, so that its value may hold it.
pub(super) fn borrows_uniquely(expr: &Expr) -> bool {
    struct Look(bool);
    impl<'ast> Visit<'ast> for Look {
        fn visit_expr_reference(&mut self, reference: &'ast syn::ExprReference) {
            self.0 |= reference.mutability.is_some();
            visit::visit_expr_reference(self, reference);
        }
        fn visit_block(&mut self, _: &'ast syn::Block) {}
    }
    let mut look = Look(false);
    look.visit_expr(expr);
    look.0
}
