//! Which names a piece of code mentions, and what it may do, as far as its text tells.
//!
//! Promises to find every use of a local variable: by name, also inside the arguments of macros and in the braces of
//! format strings. It may find more, which costs parallelism and no correctness.

use super::position::arguments;
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
                Expr::Try(_) | Expr::Return(_) | Expr::Yield(_) | Expr::Break(_) | Expr::Continue(_) => {
                    self.0.leaves = true;
                }
                Expr::Call(_) | Expr::MethodCall(_) | Expr::Await(_) => self.0.calls = true,
                // They may be functions of a type.
                Expr::Binary(_) | Expr::Unary(_) | Expr::Index(_) => self.0.calls = true,
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
                Some(arguments) => arguments.list.iter().for_each(|argument| self.visit_expr(argument)),
                // Anything may be in it, also an early return.
                None => self.0.leaves = true,
            }
        }
    }
    let mut look = Look(Deeds::default());
    match code {
        // A jump that is a statement is seen by its walk.
        Expr::Break(jump) => jump.expr.iter().for_each(|value| look.visit_expr(value)),
        Expr::Continue(_) => {}
        _ => look.visit_expr(code),
    }
    look.0
}

/// The names of variables that stand where a value is moved to.
pub(super) fn moved(statements: &[syn::Stmt]) -> HashSet<String> {
    struct Look(HashSet<String>);
    impl Look {
        fn note(&mut self, expr: &Expr) {
            match expr {
                Expr::Path(path) => {
                    self.0.extend(path.path.get_ident().map(|name| name.unraw().to_string()));
                }
                Expr::Paren(paren) => self.note(&paren.expr),
                _ => {}
            }
        }

        /// A format string only reads.
        fn of_macro(&mut self, mac: &syn::Macro) {
            if !is_format(mac) {
                self.0.extend(mentioned(&mac.tokens).into_names());
            }
        }
    }
    impl<'ast> Visit<'ast> for Look {
        fn visit_stmt_macro(&mut self, statement: &'ast syn::StmtMacro) {
            self.of_macro(&statement.mac);
        }
        fn visit_expr(&mut self, expr: &'ast Expr) {
            match expr {
                Expr::Call(call) => call.args.iter().for_each(|arg| self.note(arg)),
                Expr::MethodCall(call) => {
                    // By the conventions for names.
                    let name = call.method.to_string();
                    if ["into", "unwrap", "expect"].iter().any(|begin| name.starts_with(begin)) {
                        self.note(&call.receiver);
                    }
                    call.args.iter().for_each(|arg| self.note(arg));
                }
                Expr::Tuple(tuple) => tuple.elems.iter().for_each(|part| self.note(part)),
                Expr::Array(array) => array.elems.iter().for_each(|part| self.note(part)),
                Expr::Struct(fields) => fields.fields.iter().for_each(|field| self.note(&field.expr)),
                Expr::Assign(assign) => self.note(&assign.right),
                Expr::Break(jump) => jump.expr.iter().for_each(|value| self.note(value)),
                Expr::ForLoop(each) => self.note(&each.expr),
                Expr::Match(matched) => {
                    self.note(&matched.expr);
                    matched.arms.iter().for_each(|arm| self.note(&arm.body));
                }
                Expr::Let(binding) => self.note(&binding.expr),
                Expr::Closure(closure) if closure.capture.is_some() => {
                    self.0.extend(mentioned(&closure.body).into_names());
                }
                Expr::Macro(mac) => self.of_macro(&mac.mac),
                _ => {}
            }
            visit::visit_expr(self, expr);
        }
        fn visit_local(&mut self, local: &'ast syn::Local) {
            if let Some(init) = &local.init {
                self.note(&init.expr);
            }
            visit::visit_local(self, local);
        }
        fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
            if let syn::Stmt::Expr(tail, None) = statement {
                self.note(tail);
            }
            visit::visit_stmt(self, statement);
        }
    }
    let mut look = Look(HashSet::new());
    statements.iter().for_each(|statement| look.visit_stmt(statement));
    look.0
}

/// Whether a macro writes a text.
pub(super) fn is_format(mac: &syn::Macro) -> bool {
    const KNOWN: [&str; 9] =
        ["print", "println", "eprint", "eprintln", "format", "write", "writeln", "panic", "format_args"];
    mac.path.segments.last().is_some_and(|last| KNOWN.iter().any(|known| last.ident == known))
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
