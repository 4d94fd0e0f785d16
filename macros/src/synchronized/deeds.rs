//! What a piece of code may do besides mentioning names, as far as its text tells: call something, leave the function, or move a
//! variable away.

use std::collections::HashSet;
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, Token};

use super::form::{Value, candidate};
use super::names::mentioned;
use super::places::indexes;
use super::position::arguments;

/// What may happen beside the computing of a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deeds {
    /// It leaves the function: by `?` or `return`.
    pub(super) leaves: bool,
    /// It calls something, so that anything may happen.
    pub(super) calls: bool,
}

impl Deeds {
    pub(super) fn and(self, other: Self) -> Self {
        Self { leaves: self.leaves || other.leaves, calls: self.calls || other.calls }
    }
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
                // The value that was there ends, and a static may be used.
                Expr::Assign(_) | Expr::Unsafe(_) => self.0.calls = true,
                Expr::Macro(mac) => self.of_macro(&mac.mac),
                Expr::Closure(_) | Expr::Async(_) => {
                    self.0.leaves |= has_unknown_macro(expr);
                    return;
                }
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

/// What is done to compute the indexes of a place.
pub(super) fn of_indexes(place: &Expr) -> Deeds {
    let mut found = Vec::new();
    indexes(place, &mut found);
    of_all(found)
}

/// What is done beside the call of a value.
pub(super) fn of_value(value: &Value<'_>) -> Deeds {
    let beside = of_all(&value.call().args);
    match value {
        Value::Call(_) => beside,
        Value::Collect(collect) => beside.and(deeds(&collect.map.receiver)),
    }
}

/// What is done beside the call of that of the `candidates` among the arguments which is forked. If there are others, they are called
/// before.
pub(super) fn of_arguments(args: &Punctuated<Expr, Token![,]>, candidates: &[usize]) -> Deeds {
    let of_argument = |(at, arg)| match candidate(arg) {
        Some(call) if candidates.contains(&at) => of_all(&call.args),
        _ => deeds(arg),
    };
    args.iter().enumerate().map(of_argument).fold(Deeds::default(), Deeds::and)
}

fn of_all<'a>(code: impl IntoIterator<Item = &'a Expr>) -> Deeds {
    code.into_iter().map(deeds).fold(Deeds::default(), Deeds::and)
}

/// Whether there is a macro in a closure of which it is not known which variables it captures.
fn has_unknown_macro(closure: &Expr) -> bool {
    struct Look(bool);
    impl<'ast> Visit<'ast> for Look {
        fn visit_macro(&mut self, mac: &'ast syn::Macro) {
            match arguments(mac) {
                Some(arguments) => arguments.list.iter().for_each(|argument| self.visit_expr(argument)),
                None => self.0 = true,
            }
        }
    }
    let mut look = Look(false);
    look.visit_expr(closure);
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

        /// A format string only reads; what is called in its arguments may move.
        fn of_macro(&mut self, mac: &syn::Macro) {
            if !is_format(mac) {
                self.0.extend(mentioned(&mac.tokens).into_names());
            } else if let Some(arguments) = arguments(mac) {
                arguments.list.iter().for_each(|argument| self.visit_expr(argument));
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
                    const CONSUMING: [&str; 11] = [
                        "into", "unwrap", "expect", "finish", "finali", "build", "complete", "commit",
                        "close", "join", "end",
                    ];
                    let name = call.method.to_string();
                    if CONSUMING.iter().any(|begin| name.starts_with(begin)) {
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
