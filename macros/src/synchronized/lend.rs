//! What calls borrow of variables: a large value is serialised once as long as its variable can't have changed.
//!
//! Beside a variable that is lent stands an `xfork` `Lend`. Promises that it is emptied before each statement that may change what is
//! lent of the variable, also behind one that borrows it as well, at the beginning of each round of a loop that does, and where something
//! pending is put into it. A variable that is a shared reference does not change, but what is behind it may.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprCall, Member, Stmt, parse_quote};

use super::deeds::is_format;
use super::form::{Collect, Value, bare, candidate, is_assignment, is_candidate};
use super::names::{Names, mentioned};
use super::places::{Root, is_variable_or_field, root};
use super::position::arguments;
use super::shape::is_conditional;
use super::site::internal;
use super::walk::Walk;

/// What calls may borrow, by the names of the variables.
#[derive(Default)]
pub(super) struct Lent {
    /// Which of its fields, by `&`.
    borrowed: BTreeMap<String, Vec<Vec<Member>>>,
    /// By the name alone, which lends nothing but of a shared reference.
    named: BTreeSet<String>,
}

impl Lent {
    fn is_empty(&self) -> bool {
        self.borrowed.is_empty() && self.named.is_empty()
    }
}

/// What is lent anywhere in a function.
pub(super) fn lent(block: &syn::Block) -> Lent {
    let mut all = Lent::default();
    for statement in &block.stmts {
        let Lent { borrowed, named } = lent_in(statement);
        for (name, fields) in borrowed {
            all.borrowed.entry(name).or_default().extend(fields);
        }
        all.named.extend(named);
    }
    all
}

/// What is lent in a statement, by `&` of a variable or its fields, or by the name of a variable.
fn lent_in(statement: &Stmt) -> Lent {
    struct Look(Lent);
    impl<'ast> Visit<'ast> for Look {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            if let Some(call) = candidate(expr) {
                for Root { ident, fields } in call.args.iter().filter_map(borrowed) {
                    self.0.borrowed.entry(ident.unraw().to_string()).or_default().push(fields);
                }
                let named =
                    call.args.iter().filter(|arg| matches!(bare(arg), Expr::Path(_))).filter_map(root);
                self.0.named.extend(named.map(|root| root.ident.unraw().to_string()));
            }
            visit::visit_expr(self, expr);
        }
    }
    let mut look = Look(Lent::default());
    look.visit_stmt(statement);
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

    /// The names of what the closures may change that are called many times in one statement: the one that makes the calls, and
    /// those of the iterator.
    pub(super) fn changed_in_rounds(&self, collect: &Collect<'_>) -> HashSet<String> {
        struct Closures<'ast>(Vec<&'ast syn::ExprClosure>);
        impl<'ast> Visit<'ast> for Closures<'ast> {
            fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
                self.0.push(closure);
            }
        }
        let mut closures = Closures(vec![collect.closure]);
        closures.visit_expr(&collect.map.receiver);
        let may_change =
            |name: &String| self.find_named(name).is_some_and(|number| !self.variables[number].is_shared);
        let mut changed = HashSet::new();
        for closure in closures.0 {
            let [(changing, _), (mentioning, _)] = stripped(&*closure.body, |look, code| {
                look.lends(code, true);
                look.visit_expr_mut(code);
            });
            changed.extend(changing.into_names().filter(may_change).chain(mentioning.into_names()));
        }
        changed
    }

    fn lend(&self, arg: &Expr, others: &HashSet<String>) -> Option<usize> {
        let ident = match bare(arg) {
            Expr::Path(path) => path.path.get_ident()?.clone(),
            _ => borrowed(arg)?.ident,
        };
        let number = self.find(&ident).filter(|_| !others.contains(&ident.unraw().to_string()))?;
        let variable = &self.variables[number];
        let is_lent = variable.is_shared || !matches!(bare(arg), Expr::Path(_));
        (is_lent && variable.is_initialised && !variable.is_hidden).then_some(number)
    }

    /// Before a statement that may change what is lent, and behind one that also borrows it.
    pub(super) fn forget_at(&self, statement: &Stmt) -> (Vec<Stmt>, Vec<Stmt>) {
        if self.lent.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let before = self.forgets_for(statement, |look, code| look.visit_stmt_mut(code));
        let behind = match statement {
            _ if lent_in(statement).is_empty() => Vec::new(),
            // A jump: nothing is behind it.
            Stmt::Expr(Expr::Return(_) | Expr::Break(_) | Expr::Continue(_), _) => Vec::new(),
            _ => before.clone(),
        };
        // Each ends with a semicolon: behind what never ends, a block would be the value of that around it.
        let unreachable = |forget: Stmt| -> Stmt {
            match forget {
                Stmt::Expr(forget, _) => parse_quote!(#[allow(unreachable_code)] #forget;),
                other => other,
            }
        };
        (before, behind.into_iter().map(unreachable).collect())
    }

    /// At the beginning of each round of a loop.
    pub(super) fn forgets_in_rounds(&self, each: &Expr) -> Vec<Stmt> {
        if self.lent.is_empty() {
            return Vec::new();
        }
        self.forgets_for(each, |look, code| look.visit_expr_mut(code))
    }

    /// An ordinary function may change what is behind a shared reference.
    pub(super) fn forgets_of_call(&self, call: &ExprCall) -> Vec<Stmt> {
        let none = HashSet::new();
        let numbers: BTreeSet<usize> = call.args.iter().filter_map(|arg| self.lend(arg, &none)).collect();
        numbers.into_iter().map(|number| self.forget_unless_plain(number)).collect()
    }

    /// Behind putting something into this place.
    pub(super) fn forgets_of_place(&self, place: usize) -> Vec<Stmt> {
        let place = &self.variables[place];
        let Some(parts) = self.lent.borrowed.get(&place.name()) else { return Vec::new() };
        let is_apart = |fields: &Vec<Member>| match (fields.first(), place.fields.first()) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        self.forget(place.whole, parts.iter().all(is_apart)).into_iter().collect()
    }

    fn forgets_for<T: Clone + ToTokens>(
        &self,
        code: &T,
        strip: impl Fn(&mut Strip<'_>, &mut T),
    ) -> Vec<Stmt> {
        let [(changing, is_unknown), (mentioning, _)] = stripped(code, strip);
        let mut all = Vec::new();
        let names: BTreeSet<&String> = self.lent.borrowed.keys().chain(&self.lent.named).collect();
        for name in names {
            let parts = self.lent.borrowed.get(name).map(Vec::as_slice).unwrap_or_default();
            let Some(number) = self.find_named(name) else { continue };
            let variable = &self.variables[number];
            if !variable.is_initialised || parts.is_empty() && !variable.is_shared {
                continue;
            }
            let is_anything = is_unknown && self.defines_macros;
            let changes = is_anything || changing.contains(name) && !variable.is_shared;
            if changes {
                let is_apart = |fields: &Vec<Member>| changing.is_apart(name, fields.first());
                let is_apart = !is_unknown && parts.iter().all(is_apart);
                all.extend(self.forget(number, is_apart));
            } else if mentioning.contains(name) {
                all.push(self.forget_unless_plain(number));
            }
        }
        all
    }

    /// `is_apart`: what changes are other fields.
    fn forget(&self, number: usize, is_apart: bool) -> Option<Stmt> {
        let variable = &self.variables[number];
        if !variable.is_initialised {
            return None;
        }
        self.lent_variables.borrow_mut().insert(number);
        let lend = name(number);
        let overlap = if is_apart { self.may_overlap(number) } else { None };
        Some(match overlap {
            Some(overlap) => parse_quote!(#lend.forget_if(#overlap);),
            None => parse_quote!(#lend.forget();),
        })
    }

    fn forget_unless_plain(&self, number: usize) -> Stmt {
        self.lent_variables.borrow_mut().insert(number);
        let lend = name(number);
        parse_quote!(#lend.forget_unless_plain();)
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

/// What code may change, and what it may pass on; whether there is a macro in it of which nothing is known.
fn stripped<T: Clone + ToTokens>(code: &T, strip: impl Fn(&mut Strip<'_>, &mut T)) -> [(Names, bool); 2] {
    [Keeps::Changes, Keeps::Mentions].map(|keeps| {
        let (mut code, mut is_unknown) = (code.clone(), false);
        strip(&mut Strip { keeps, is_unknown: &mut is_unknown }, &mut code);
        (mentioned(&code), is_unknown)
    })
}

/// What is left of code when it is stripped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// What may change a variable: not `&x`, nor texts that are made of variables.
    Changes,
    /// What may change something behind a shared reference: not what is lent, nor what reads fields and elements.
    Mentions,
}

struct Strip<'a> {
    keeps: Keeps,
    /// There is a macro of which nothing is known: one that the function itself defines changes what it likes.
    is_unknown: &'a mut bool,
}

impl Strip<'_> {
    /// Takes out what the call of a statement lends, where that may be forked; what it does if it is not, is known there.
    fn lends(&self, expr: &mut Expr, is_ended: bool) {
        let is_collected = matches!(Value::of(expr), Some(Value::Collect(_)));
        match expr {
            _ if self.keeps == Keeps::Changes => {}
            Expr::Paren(paren) => self.lends(&mut paren.expr, is_ended),
            Expr::Group(group) => self.lends(&mut group.expr, is_ended),
            Expr::Assign(assign) => self.lends(&mut assign.right, true),
            Expr::Binary(binary) if is_assignment(&binary.op) => self.lends(&mut binary.right, true),
            Expr::MethodCall(collect) if is_collected => {
                if let Expr::MethodCall(map) = &mut *collect.receiver
                    && let Some(Expr::Closure(closure)) = map.args.first_mut()
                {
                    self.lends(&mut closure.body, true);
                }
            }
            Expr::Call(call) if is_ended && is_candidate(call) => {
                let lent = |arg: &Expr| borrowed(arg).is_some() || matches!(bare(arg), Expr::Path(_));
                call.args.iter_mut().filter(|arg| lent(arg)).for_each(|arg| *arg = parse_quote!(()));
            }
            Expr::Call(syn::ExprCall { args, .. }) | Expr::MethodCall(syn::ExprMethodCall { args, .. })
                if is_ended =>
            {
                // Of several calls one may be forked, and the others are made.
                let mut calls = args.iter_mut().filter(|arg| candidate(arg).is_some());
                if let (Some(call), None) = (calls.next(), calls.next()) {
                    self.lends(call, true);
                }
            }
            _ => {}
        }
    }

    fn of_macro(&mut self, mac: &mut syn::Macro) {
        let args = arguments(mac);
        *self.is_unknown |= args.is_none() && !is_format(mac);
        // Macros in the arguments.
        for arg in args.iter().flat_map(|args| &args.list) {
            self.visit_expr_mut(&mut arg.clone());
        }
        let is_plain = |arg: &Expr| {
            matches!(bare(arg), Expr::Lit(_)) || is_variable_or_field(arg) || borrowed(arg).is_some()
        };
        let writes =
            mac.path.segments.last().is_some_and(|last| last.ident == "write" || last.ident == "writeln");
        if is_format(mac) && !writes && args.is_some_and(|args| args.list.iter().all(is_plain)) {
            mac.tokens = TokenStream::new();
        }
    }
}

impl VisitMut for Strip<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        // Of a shared reference, as of those that are not known by these names.
        const READING: [&str; 12] = [
            "len",
            "is_empty",
            "iter",
            "get",
            "first",
            "last",
            "contains",
            "contains_key",
            "keys",
            "values",
            "windows",
            "chunks",
        ];
        let reads = match (&*expr, self.keeps) {
            (expr, Keeps::Changes) => borrowed(expr).is_some(),
            (Expr::Field(_), Keeps::Mentions) => is_variable_or_field(expr),
            _ => false,
        };
        if reads {
            *expr = parse_quote!(());
            return;
        }
        match expr {
            Expr::Macro(mac) => return self.of_macro(&mut mac.mac),
            Expr::Index(index) if self.keeps == Keeps::Mentions && is_variable_or_field(&index.expr) => {
                return self.visit_expr_mut(&mut index.index);
            }
            Expr::MethodCall(call)
                if self.keeps == Keeps::Mentions && is_variable_or_field(&call.receiver) =>
            {
                if READING.iter().any(|known| call.method == known) {
                    *call.receiver = parse_quote!(());
                }
                return call.args.iter_mut().for_each(|arg| self.visit_expr_mut(arg));
            }
            _ => {}
        }
        visit_mut::visit_expr_mut(self, expr);
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        self.lends(&mut arm.body, false);
        visit_mut::visit_arm_mut(self, arm);
    }

    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        // What may not be there stays as it is.
        let is_conditional = is_conditional(statement);
        match statement {
            Stmt::Macro(mac) => return self.of_macro(&mut mac.mac),
            Stmt::Local(local) if !is_conditional => {
                if let Some(init) = &mut local.init {
                    self.lends(&mut init.expr, true);
                }
            }
            Stmt::Expr(expr, semicolon) if !is_conditional => self.lends(expr, semicolon.is_some()),
            Stmt::Local(_) | Stmt::Expr(..) | Stmt::Item(_) => {}
        }
        visit_mut::visit_stmt_mut(self, statement);
    }
}
