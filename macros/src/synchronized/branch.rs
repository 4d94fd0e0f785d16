//! Statements with blocks, and where branches part and meet.
//!
//! Promises that the branches of an `if` or `match` all begin with the same pending, and that behind them what one of them may
//! have left pending may be pending.

use proc_macro2::TokenStream;
use syn::{Block, Expr, Pat, Stmt};

use super::block::End;
use super::deeds::{Deeds, moved};
use super::names::{mentioned, patterns_of, sources_of};
use super::places::State;
use super::position::{Place, check};
use super::shape::is_held;
use super::walk::Walk;

impl Walk {
    /// A statement with blocks.
    pub(super) fn compound(&mut self, expr: &mut Expr, end: End, out: &mut Vec<Stmt>) {
        self.compound_with(expr, end, false, out);
    }

    pub(super) fn compound_with(&mut self, expr: &mut Expr, end: End, is_value: bool, out: &mut Vec<Stmt>) {
        let mut end = end;
        if matches!(expr, Expr::If(_) | Expr::Match(_)) {
            // What one of the branches moves, or what it uses the owner of, could not be settled behind them.
            let block = into_block(&mut expr.clone());
            let (gone, used) = (moved(&block.stmts), mentioned(&block));
            let added = self.scan(&block);
            let is_gone = |walk: &Self, state: &State| {
                let mut places = state.places.iter().map(|&number| &walk.variables[number]);
                places.any(|place| gone.contains(&place.name()) || !place.origins.is_disjoint(&used))
            };
            if is_gone(self, &self.state) {
                self.settle(out);
            }
            if is_gone(self, &added) {
                end.from = 0;
            }
        }
        match expr {
            Expr::If(_) => {
                self.conditions(expr, out);
                let state = self.state.clone();
                let joined = self.branches(expr, end, &state);
                self.state = joined;
            }
            Expr::Match(matched) => {
                self.settle_before_expr(&matched.expr, out);
                for guard in matched.arms.iter().filter_map(|arm| arm.guard.as_ref()) {
                    self.settle_before_expr(&guard.1, out);
                }
                for arm in &matched.arms {
                    self.settle_before(&mentioned(&arm.pat), Deeds::default(), out);
                }
                check(&mut matched.expr, Place::Condition, &self.locals);
                let state = self.state.clone();
                let mut joined = State::default();
                for arm in &mut matched.arms {
                    if let Some((_, guard)) = &mut arm.guard {
                        check(guard, Place::Condition, &self.locals);
                    }
                    self.state.clone_from(&state);
                    let given = self.declare_pattern(&arm.pat, Some(&matched.expr));
                    let mut block = into_block(&mut arm.body);
                    let seen = end.seen.or(is_held(&matched.expr, !given.is_empty()));
                    self.block_with(&mut block, End { seen, ..end }, given);
                    *arm.body = from_block(block);
                    joined.join(&self.state);
                }
                self.state = joined;
            }
            Expr::Block(block) => {
                if let Some(label) = &block.label {
                    self.labelled(&mut block.block, label, end.is_unit, out);
                } else {
                    self.block(&mut block.block, end);
                }
            }
            Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_) => self.looped(expr, is_value, out),
            _ => {}
        }
    }

    /// The conditions of an `if` and of those behind its `else`s.
    fn conditions(&mut self, expr: &mut Expr, out: &mut Vec<Stmt>) {
        let Expr::If(branch) = expr else { return };
        self.settle_before_expr(&branch.cond, out);
        check(&mut branch.cond, Place::Condition, &self.locals);
        if let Some((_, other)) = &mut branch.else_branch {
            self.conditions(other, out);
        }
    }

    fn branches(&mut self, expr: &mut Expr, end: End, state: &State) -> State {
        let Expr::If(branch) = expr else {
            self.state.clone_from(state);
            if let Expr::Block(block) = expr {
                self.block(&mut block.block, end);
            }
            return self.state.clone();
        };
        self.state.clone_from(state);
        let condition = branch.cond.clone();
        let patterns: Vec<Pat> = patterns_of(&branch.cond).into_iter().cloned().collect();
        let given: Vec<usize> =
            patterns.iter().flat_map(|pattern| self.declare_pattern(pattern, Some(&condition))).collect();
        let is_unit = end.is_unit || branch.else_branch.is_none();
        let binds = !given.is_empty();
        // What is made for a `let` lives as long as the branch.
        let seen = end.seen.or(sources_of(&branch.cond).into_iter().any(|source| is_held(source, binds)));
        self.block_with(&mut branch.then_branch, End { is_unit, seen, ..end }, given);
        let mut joined = self.state.clone();
        match &mut branch.else_branch {
            Some((_, other)) => joined.join(&self.branches(other, end, state)),
            None => joined.join(state),
        }
        joined
    }
}

fn from_block(mut block: Block) -> Expr {
    match &mut block.stmts[..] {
        [Stmt::Expr(expr, None)] => std::mem::replace(expr, Expr::Verbatim(TokenStream::new())),
        _ => Expr::Block(syn::ExprBlock { attrs: Vec::new(), label: None, block }),
    }
}

fn into_block(body: &mut Expr) -> Block {
    match std::mem::replace(body, Expr::Verbatim(TokenStream::new())) {
        Expr::Block(block) if block.label.is_none() && block.attrs.is_empty() => block.block,
        other => Block { brace_token: syn::token::Brace::default(), stmts: vec![Stmt::Expr(other, None)] },
    }
}
