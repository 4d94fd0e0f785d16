//! Blocks: their statements in order, the ordinary ones among them, and the value at the end.
//!
//! Promises that behind a block nothing is pending of variables that ended with it, and that the queue of a variable is
//! declared behind the variable, and so ends before it.

use syn::{Block, Expr, Stmt, parse_quote};

use super::bind::Let;
use super::deeds::{Deeds, moved};
use super::form::Form;
use super::names::mentioned;
use super::position::{Place, arguments, check, check_statement};
use super::shape::{holds, is_compound, is_conditional, is_nothing, is_unit};
use super::walk::Walk;

/// What a block is the body of.
#[derive(Clone, Copy)]
pub(super) struct End {
    /// What is pending of variables of blocks as deep as this or deeper is settled before its value is computed, of the block itself
    /// in any case; everything, if it is 0.
    pub(super) from: usize,
    /// Its value is `()`, so that a call at its end is a statement.
    pub(super) is_unit: bool,
    /// If so, nothing with effects is pending behind it.
    pub(super) seen: Seen,
}

/// Whether something else happens where a block ends, before which effects are seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    No,
    Yes,
    /// Unless the values that the loop of this number runs over are computed by nobody.
    UnlessCalm(usize),
}

impl Seen {
    pub(super) fn or(self, is_seen: bool) -> Self {
        if is_seen { Self::Yes } else { self }
    }
}

impl End {
    /// Of a block that is not the value of the block around it.
    pub(super) fn own(is_unit: bool) -> Self {
        Self { from: usize::MAX, is_unit, seen: Seen::No }
    }

    /// Everything is settled.
    pub(super) fn everything(is_unit: bool) -> Self {
        Self { from: 0, is_unit, seen: Seen::No }
    }
}

impl Walk {
    /// The body of the function.
    pub(super) fn function(&mut self, block: &mut Block, is_unit: bool) {
        self.block(block, End::everything(is_unit));
    }

    pub(super) fn block(&mut self, block: &mut Block, end: End) {
        self.block_with(block, end, Vec::new());
    }

    /// A block in which these variables are already declared.
    pub(super) fn block_with(&mut self, block: &mut Block, end: End, given: Vec<usize>) {
        let scope = self.scope.len() - given.len();
        let hidden = self.hidden.len();
        self.depth += 1;
        // What its variables do when they end is seen behind what is pending.
        let seen = end.seen.or(block.stmts.iter().any(holds));
        let end = End { from: end.from.min(self.depth), seen, ..end };
        for &number in &given {
            // Its parts come later.
            self.variables[number].depth = self.depth;
        }
        let mut out: Vec<Stmt> = Vec::new();
        let mut lets: Vec<Let> = Vec::new();
        // Where the queues of the variables of the block are declared: their numbers, and after how many statements.
        let mut declared: Vec<(usize, Vec<usize>)> = vec![(0, given)];
        let statements = std::mem::take(&mut block.stmts);
        let count = statements.len();
        for (at, mut statement) in statements.into_iter().enumerate() {
            if at + 1 == count
                && end.is_unit
                && let Stmt::Expr(expr, semicolon @ None) = &mut statement
                && !is_compound(expr)
            {
                *semicolon = Some(<syn::Token![;]>::default());
            }
            let is_tail = at + 1 == count && matches!(statement, Stmt::Expr(_, None));
            declared.extend(self.take_lets(&mut lets, Some(&statement), &mut out));
            let (forgets, forgets_behind) = self.forget_at(&statement);
            out.extend(forgets);
            if is_conditional(&statement) {
                // It may not be there: nothing is pending behind it in any case, and it stays as it is.
                self.settle(&mut out);
                if let Stmt::Local(local) = &statement {
                    let init = local.init.as_ref().map(|init| &*init.expr);
                    let numbers = self.declare_pattern(&local.pat, init);
                    // Nothing can stand beside what may not be there.
                    numbers.iter().for_each(|&number| self.variables[number].is_initialised = false);
                }
                out.push(statement);
                continue;
            }
            let before = self.scope.len();
            let gone = moved(std::slice::from_ref(&statement));
            if is_tail {
                Self::tie_lets(&lets, &mut out);
                lets.clear();
            }
            // The last call of a block that has a type may be one that never returns.
            let is_last =
                at + 1 == count && !end.is_unit && matches!(statement, Stmt::Expr(Expr::Call(_), Some(_)));
            if is_last {
                self.ordinary(statement, &mut out);
            } else if is_tail && Form::of(&statement).is_none() {
                let Stmt::Expr(expr, None) = &mut statement else { unreachable!("a tail is an expression") };
                self.tail(expr, end, &mut out);
                if !is_nothing(expr) {
                    out.push(statement);
                }
            } else {
                self.statement(statement, &mut lets, &mut out);
                if is_tail {
                    self.end_block(end, &mut out);
                }
            }
            if !is_tail {
                out.extend(forgets_behind);
            }
            self.moved.extend(gone);
            if self.scope.len() > before {
                let there = self.scope[before..].iter().copied();
                let there = there.filter(|&number| self.variables[number].is_initialised);
                declared.push((out.len(), there.collect()));
            }
            if at + 1 == count && !is_tail {
                self.end_block(end, &mut out);
            }
        }
        Self::tie_lets(&lets, &mut out);
        if count == 0 {
            self.end_block(end, &mut out);
        }
        for (at, numbers) in declared.into_iter().rev() {
            for number in numbers.into_iter().rev() {
                for queue in self.queues(number) {
                    out.insert(at, queue);
                }
            }
        }
        block.stmts = out;
        self.show(hidden);
        self.scope.truncate(scope);
        self.depth -= 1;
    }

    /// Settles what must not be pending behind the block.
    fn end_block(&mut self, end: End, out: &mut Vec<Stmt>) {
        let is_deep = |&number: &usize| self.variables[number].depth >= end.from;
        if end.from == 0 || self.state.places.iter().any(is_deep) {
            // As `panic!()`, of which nobody should be told that nothing comes behind it.
            let may_end = matches!(out.last(), Some(Stmt::Macro(_)));
            let settles = out.len();
            self.settle(out);
            if may_end && let Some(Stmt::Expr(settle, semicolon)) = out.get(settles).cloned() {
                out[settles] = parse_quote!(#[allow(unreachable_code)] #settle #semicolon);
            }
        } else {
            match end.seen {
                Seen::No => {}
                Seen::Yes => self.settle_effects(out),
                Seen::UnlessCalm(number) => self.settle_effects_unless_calm(number, out),
            }
        }
    }

    /// The value of a block.
    fn tail(&mut self, expr: &mut Expr, end: End, out: &mut Vec<Stmt>) {
        match expr {
            Expr::If(_) | Expr::Match(_) | Expr::Block(_) if !is_unit(expr) => self.compound(expr, end, out),
            Expr::If(_) | Expr::ForLoop(_) | Expr::While(_) => {
                self.compound(expr, End::own(true), out);
                out.push(Stmt::Expr(expr.clone(), None));
                self.end_block(end, out);
                *expr = parse_quote!({});
            }
            // What is pending when it is left by `break` is settled there.
            Expr::Loop(_) => self.compound_with(expr, end, true, out),
            _ => {
                if let Some(value) = self.collected(expr, out) {
                    *expr = value;
                    return;
                }
                self.returned(expr, out);
                self.settle_before_expr(expr, out);
                self.end_block(end, out);
                check_statement(expr, Place::Expression, &self.locals);
                self.mark_jump(expr, out);
            }
        }
    }

    /// What a statement that is not of any [`Form`] does.
    pub(super) fn ordinary(&mut self, statement: Stmt, out: &mut Vec<Stmt>) {
        let calls = Form::perhaps(&statement).map(|form| form.calls()).unwrap_or_default();
        out.extend(calls.into_iter().flat_map(|call| self.forgets_of_call(call)));
        match statement {
            Stmt::Item(item) => out.push(Stmt::Item(item)),
            Stmt::Macro(mut statement) => {
                let mut expr = Expr::Macro(syn::ExprMacro { attrs: Vec::new(), mac: statement.mac.clone() });
                self.settle_before_expr(&expr, out);
                check(&mut expr, Place::Macro, &self.locals);
                if let Expr::Macro(checked) = expr {
                    statement.mac = checked.mac;
                }
                // It may declare variables of names that it is given.
                if arguments(&statement.mac).is_none() {
                    self.hide(&mentioned(&statement.mac.tokens));
                }
                out.push(Stmt::Macro(statement));
            }
            Stmt::Local(mut local) => {
                self.settle_before(&mentioned(&local.pat), Deeds::default(), out);
                if let Some(init) = &mut local.init {
                    if is_compound(&init.expr) && init.diverge.is_none() {
                        self.compound(&mut init.expr, End::own(false), out);
                    } else {
                        self.settle_before_expr(&init.expr, out);
                        if let Some((_, diverge)) = &init.diverge {
                            self.settle_before_expr(&diverge.clone(), out);
                            self.settle(out);
                        }
                        check_statement(&mut init.expr, Place::Expression, &self.locals);
                        if let Some((_, diverge)) = &mut init.diverge {
                            check(diverge, Place::Expression, &self.locals);
                        }
                    }
                }
                let numbers = self.declare_pattern(&local.pat, local.init.as_ref().map(|init| &*init.expr));
                if local.init.is_none() {
                    numbers.iter().for_each(|&number| self.variables[number].is_initialised = false);
                }
                out.push(Stmt::Local(local));
            }
            Stmt::Expr(mut expr, semicolon) => {
                if is_compound(&expr) {
                    self.compound(&mut expr, End::own(semicolon.is_none()), out);
                } else {
                    self.returned(&mut expr, out);
                    self.settle_before_expr(&expr, out);
                    check_statement(&mut expr, Place::Expression, &self.locals);
                    self.mark_jump(&expr, out);
                }
                out.push(Stmt::Expr(expr, semicolon));
            }
        }
    }

    /// What is collected to be returned, or put where nothing can be put later.
    fn returned(&mut self, expr: &mut Expr, out: &mut Vec<Stmt>) {
        let value = match expr {
            Expr::Return(syn::ExprReturn { expr: Some(value), .. })
            | Expr::Break(syn::ExprBreak { expr: Some(value), .. })
            | Expr::Assign(syn::ExprAssign { right: value, .. }) => value,
            _ => return,
        };
        if let Some(collected) = self.collected(value, out) {
            **value = collected;
        }
    }
}
