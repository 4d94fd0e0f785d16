//! The forms of statements that may have a concurrent call, told by their text.
//!
//! Whether the callee is concurrent, only its type says: a form is a possibility. Promises that a candidate is
//! a call of a path that may be a free function: no constructor, no associated function.

use syn::ext::IdentExt as _;
use syn::{BinOp, Expr, ExprCall, ExprMethodCall, Local, Path, Stmt};

/// A statement that may have a concurrent call.
pub(super) enum Form<'a> {
    /// `place = f(..)` or `place += f(..)`
    Assign { place: &'a Expr, operator: Option<&'a BinOp>, value: Value<'a> },
    /// `place.method(.., f(..))`; which of the arguments are candidates.
    Method { call: &'a ExprMethodCall, candidates: Vec<usize> },
    /// `g(.., f(..))` or `f(..)`; which of the arguments are candidates.
    Alone { call: &'a ExprCall, candidates: Vec<usize> },
    /// `let x = f(..)`
    Let { local: &'a Local, value: Value<'a> },
}

/// What may be concurrent.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Call(&'a ExprCall),
    /// `iter.map(|x| f(x)).collect()`
    Collect(Collect<'a>),
}

#[derive(Clone, Copy)]
pub(super) struct Collect<'a> {
    /// All of it.
    pub(super) whole: &'a Expr,
    pub(super) map: &'a ExprMethodCall,
    pub(super) closure: &'a syn::ExprClosure,
    pub(super) call: &'a ExprCall,
}

impl<'a> Value<'a> {
    pub(super) fn of(expr: &'a Expr) -> Option<Self> {
        candidate(expr).map(Self::Call).or_else(|| Collect::of(expr).map(Self::Collect))
    }

    pub(super) fn call(&self) -> &'a ExprCall {
        match self {
            Self::Call(call) => call,
            Self::Collect(collect) => collect.call,
        }
    }
}

impl<'a> Collect<'a> {
    fn of(expr: &'a Expr) -> Option<Self> {
        let Expr::MethodCall(collect) = bare(expr) else { return None };
        if collect.method != "collect" || !collect.args.is_empty() {
            return None;
        }
        let Expr::MethodCall(map) = bare(&collect.receiver) else { return None };
        if map.method != "map" || map.args.len() != 1 {
            return None;
        }
        let Expr::Closure(closure) = bare(&map.args[0]) else { return None };
        let is_plain = closure.asyncness.is_none() && closure.inputs.len() == 1;
        let body = match bare(&closure.body) {
            Expr::Block(block) if block.label.is_none() => match &block.block.stmts[..] {
                [Stmt::Expr(tail, None)] => tail,
                _ => return None,
            },
            other => other,
        };
        let call = candidate(body).filter(|_| is_plain)?;
        Some(Self { whole: expr, map, closure, call })
    }
}

impl<'a> Form<'a> {
    pub(super) fn of(statement: &'a Stmt) -> Option<Self> {
        match statement {
            Stmt::Local(local) => {
                let init = local.init.as_ref().filter(|init| init.diverge.is_none())?;
                let value = Value::of(&init.expr)?;
                if let (syn::Pat::Wild(_), Value::Call(call)) = (&local.pat, value) {
                    // Nothing keeps it.
                    return Some(Self::Alone { call, candidates: Vec::new() });
                }
                is_simple(&local.pat).then_some(Self::Let { local, value })
            }
            Stmt::Expr(expr, semicolon) => Self::of_expr(expr, semicolon.is_some()),
            Stmt::Item(_) | Stmt::Macro(_) => None,
        }
    }

    /// The calls that may be forked.
    pub(super) fn calls(&self) -> Vec<&'a ExprCall> {
        match self {
            Self::Assign { value, .. } | Self::Let { value, .. } => vec![value.call()],
            Self::Method { call, candidates } => {
                candidates.iter().filter_map(|&at| candidate(&call.args[at])).collect()
            }
            Self::Alone { call, candidates } => {
                let itself = is_candidate(call).then_some(*call);
                candidates.iter().filter_map(|&at| candidate(&call.args[at])).chain(itself).collect()
            }
        }
    }

    /// The place that something is put into.
    pub(super) fn place(&self) -> Option<&'a Expr> {
        match self {
            Self::Assign { place, .. } => Some(place),
            Self::Method { call, .. } => Some(&call.receiver),
            Self::Alone { .. } | Self::Let { .. } => None,
        }
    }

    /// As [`of`](Self::of), where a call at the end of a block may be a statement, too.
    pub(super) fn perhaps(statement: &'a Stmt) -> Option<Self> {
        match statement {
            Stmt::Expr(expr, _) => Self::of_expr(expr, true),
            other => Self::of(other),
        }
    }

    /// An assignment is a statement also without a semicolon; a call then is a value.
    pub(super) fn of_expr(expr: &'a Expr, is_ended: bool) -> Option<Self> {
        match bare(expr) {
            Expr::Assign(assign) => {
                let value = Value::of(bare(&assign.right))?;
                Some(Self::Assign { place: &assign.left, operator: None, value })
            }
            Expr::Binary(binary) if is_assignment(&binary.op) => {
                let value = Value::Call(candidate(&binary.right)?);
                Some(Self::Assign { place: &binary.left, operator: Some(&binary.op), value })
            }
            Expr::MethodCall(call) if is_ended => {
                let candidates = candidates(&call.args);
                (!candidates.is_empty()).then_some(Self::Method { call, candidates })
            }
            Expr::Call(call) if is_ended => {
                let candidates = candidates(&call.args);
                let may_be = !candidates.is_empty() || candidate(expr).is_some();
                may_be.then_some(Self::Alone { call, candidates })
            }
            _ => None,
        }
    }
}

fn candidates(args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) -> Vec<usize> {
    args.iter().enumerate().filter(|(_, arg)| candidate(arg).is_some()).map(|(at, _)| at).collect()
}

/// A pattern of names alone, which can be declared before it is given a value.
fn is_simple(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Ident(name) => name.by_ref.is_none() && name.subpat.is_none(),
        syn::Pat::Tuple(tuple) => tuple.elems.iter().all(is_simple),
        syn::Pat::Type(typed) => is_simple(&typed.pat),
        syn::Pat::Paren(paren) => is_simple(&paren.pat),
        _ => false,
    }
}

pub(super) fn is_assignment(operator: &BinOp) -> bool {
    use BinOp::{
        AddAssign, BitAndAssign, BitOrAssign, BitXorAssign, DivAssign, MulAssign, RemAssign, ShlAssign,
        ShrAssign, SubAssign,
    };
    matches!(
        operator,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

/// Without parentheses, and the invisible groups that `macro_rules!` makes.
pub(super) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) if paren.attrs.is_empty() => bare(&paren.expr),
        Expr::Group(group) if group.attrs.is_empty() => bare(&group.expr),
        other => other,
    }
}

/// A call of what may be a marked function.
pub(super) fn candidate(expr: &Expr) -> Option<&ExprCall> {
    let Expr::Call(call) = bare(expr) else { return None };
    is_candidate(call).then_some(call)
}

/// Whether a call is one of what may be a marked function.
pub(super) fn is_candidate(call: &ExprCall) -> bool {
    let Expr::Path(path) = bare(&call.func) else { return false };
    // Its arguments are things that a task can have: no closure is.
    let has_closure = call.args.iter().any(|arg| matches!(bare(arg), Expr::Closure(_)));
    path.qself.is_none() && may_be_marked(&path.path) && !has_closure && call.args.len() <= 12
}

/// Whether a path may be that of a free function without type parameters, by the conventions for names.
pub(super) fn may_be_marked(path: &Path) -> bool {
    let is_lower = |ident: &syn::Ident| {
        ident.unraw().to_string().trim_start_matches('_').starts_with(|c: char| c.is_lowercase())
    };
    // Types that are written like functions.
    const PRIMITIVE: [&str; 18] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32",
        "u64", "u128", "usize", "self",
    ];
    let is_lower = |ident: &syn::Ident| is_lower(ident) && !PRIMITIVE.iter().any(|name| ident == name);
    let mut segments = path.segments.iter().rev();
    let Some(last) = segments.next() else { return false };
    let is_function = last.arguments.is_none() && is_lower(&last.ident);
    // `self::f` and `super::f` begin with no type.
    let is_module = |segment: &syn::PathSegment| {
        segment.arguments.is_none() && (is_lower(&segment.ident) || segment.ident == "self")
    };
    is_function && segments.all(is_module)
}
