//! What may become pending in a block, told before the walk enters it: a loop's next round begins with it.
//!
//! Promises to find each place that the walk through the block finds, of those variables that are there before it.

use std::collections::HashSet;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Pat, Stmt};

use super::form::{Form, Value, bare};
use super::names::{bound, patterns_of};
use super::places::{State, root};
use super::walk::{How, Walk};

impl Walk {
    /// What may become pending in a block, of variables that are there before it.
    pub(super) fn scan(&mut self, block: &Block) -> State {
        let mut scan = Scan { walk: self, found: State::default(), inner: Vec::new() };
        scan.visit_block(block);
        let found = scan.found;
        for &number in &found.places {
            self.variables[number].is_place = true;
        }
        found
    }
}

/// Looks for what may become pending.
struct Scan<'a> {
    walk: &'a mut Walk,
    found: State,
    /// The names that are declared inside, for each block around.
    inner: Vec<HashSet<String>>,
}

impl Scan<'_> {
    fn declare(&mut self, pattern: &Pat) {
        if let Some(names) = self.inner.last_mut() {
            names.extend(bound(pattern).into_iter().map(|(ident, _)| ident.to_string()));
        }
    }

    fn inside(&mut self, patterns: &[&Pat], visit: impl FnOnce(&mut Self)) {
        self.inner.push(HashSet::new());
        patterns.iter().for_each(|pattern| self.declare(pattern));
        visit(self);
        self.inner.pop();
    }

    /// Whether a place is of a variable that is declared inside.
    fn is_inner(&self, place: &Expr) -> bool {
        let place = match bare(place) {
            Expr::Reference(reference) => &reference.expr,
            other => other,
        };
        root(place).is_some_and(|root| self.inner.iter().any(|names| names.contains(&root.ident.to_string())))
    }

    fn note(&mut self, form: &Form<'_>) {
        let (place, how) = match form {
            Form::Assign { place, operator: None, .. } => (Some(*place), How::Assigned),
            Form::Assign { place, .. } => (Some(*place), How::Changed),
            Form::Method { call, .. } => (Some(&*call.receiver), How::Called),
            Form::Alone { .. } | Form::Let { .. } => (None, How::Called),
        };
        match place {
            None => self.found.alone = true,
            Some(place) => {
                if !self.is_inner(place)
                    && let Some(number) = self.walk.place(place, how)
                {
                    self.found.places.insert(number);
                    self.found.loose.insert(number);
                }
            }
        }
        let call = match form {
            Form::Assign { value: Value::Call(call), .. }
            | Form::Let { value: Value::Call(call), .. }
            | Form::Alone { call, .. } => Some(*call),
            Form::Assign { .. } | Form::Let { .. } | Form::Method { .. } => None,
        };
        if let Some(call) = call {
            for (at, number) in self.walk.all_given(call) {
                if !self.is_inner(&call.args[at]) {
                    self.found.places.insert(number);
                }
            }
        }
        self.found.effects |= match form {
            Form::Method { .. } => true,
            Form::Alone { candidates, .. } => !candidates.is_empty(),
            Form::Assign { operator, .. } => operator.is_some(),
            Form::Let { .. } => false,
        };
    }
}

impl<'ast> Visit<'ast> for Scan<'_> {
    fn visit_block(&mut self, block: &'ast Block) {
        self.inside(&[], |scan| visit::visit_block(scan, block));
    }
    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Some(form) = Form::perhaps(statement) {
            self.note(&form);
        }
        visit::visit_stmt(self, statement);
    }
    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        self.declare(&local.pat);
    }
    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.inside(&[&arm.pat], |scan| {
            // An arm without braces is a statement, too.
            if let Some(form) = Form::of_expr(&arm.body, true) {
                scan.note(&form);
            }
            visit::visit_arm(scan, arm);
        });
    }
    fn visit_expr_for_loop(&mut self, each: &'ast syn::ExprForLoop) {
        self.inside(&[&each.pat], |scan| visit::visit_expr_for_loop(scan, each));
    }
    fn visit_expr_while(&mut self, each: &'ast syn::ExprWhile) {
        self.inside(&patterns_of(&each.cond), |scan| visit::visit_expr_while(scan, each));
    }
    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        self.inside(&patterns_of(&branch.cond), |scan| {
            visit::visit_expr(scan, &branch.cond);
            scan.visit_block(&branch.then_branch);
        });
        if let Some((_, other)) = &branch.else_branch {
            self.visit_expr(other);
        }
    }
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
    fn visit_item(&mut self, _: &'ast syn::Item) {}
}
