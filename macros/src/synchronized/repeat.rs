//! Loops, labelled blocks, and the jumps out of them.
//!
//! Promises that what may be pending at the end of a round, or at a jump, may be so where the code goes on; and that what
//! is out of reach there is settled before.

use syn::{Block, Expr, Pat, Stmt};

use super::block::{End, Seen};
use super::deeds::{Deeds, deeds, moved};
use super::form::bare;
use super::names::{Names, mentioned, patterns_of, sources_of};
use super::places::State;
use super::position::{Place, check};
use super::shape::{is_calm, is_held};
use super::walk::Walk;

/// A loop around.
pub(super) struct Loop {
    label: Option<String>,
    /// How many blocks are around it.
    depth: usize,
    /// What is settled before it goes on.
    settles: Settles,
    /// Everything is settled before it is left by `break`.
    settles_at_break: bool,
    /// What may be pending where it is left by `break`, or gone on with by `continue`.
    left: State,
    continued: State,
}

/// What is settled in each round of a loop.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Settles {
    #[default]
    Nothing,
    /// Everything, if something has effects that anybody may see: the next round may begin with that.
    Effects,
    /// So, unless the loop of this number is calm.
    EffectsUnlessCalm(usize),
    Everything,
}

/// What is done in each round of a loop.
#[derive(Clone, Copy, Default)]
struct Round<'a> {
    settles: Settles,
    settles_at_break: bool,
    /// It has no end but `break`.
    is_endless: bool,
    /// What the condition mentions.
    condition: Option<&'a Names>,
}

impl Walk {
    /// A loop; `is_value` if its value is used.
    pub(super) fn looped(&mut self, expr: &mut Expr, is_value: bool, out: &mut Vec<Stmt>) {
        let forgets = self.forgets_in_rounds(expr);
        self.looped_as_is(expr, is_value, out);
        if let Expr::ForLoop(syn::ExprForLoop { body, .. })
        | Expr::While(syn::ExprWhile { body, .. })
        | Expr::Loop(syn::ExprLoop { body, .. }) = expr
        {
            body.stmts.splice(0..0, forgets);
        }
    }

    fn looped_as_is(&mut self, expr: &mut Expr, is_value: bool, out: &mut Vec<Stmt>) {
        match expr {
            Expr::ForLoop(each) => {
                self.settle_before(&mentioned(&each.pat), Deeds::default(), out);
                self.settle_before_expr(&each.expr, out);
                if !is_calm(&each.expr) {
                    self.settle_effects(out);
                }
                self.enter_loop(&each.body, &mentioned(&each.body), out);
                check(&mut each.expr, Place::Condition, &self.locals);
                let source = each.expr.clone();
                let (pattern, label) = (each.pat.clone(), each.label.clone());
                let settles = if is_calm(&each.expr) {
                    Settles::Nothing
                } else if self.state.effects || self.scan(&each.body).effects {
                    Settles::EffectsUnlessCalm(self.ask_calm(&mut each.expr, out))
                } else {
                    Settles::Effects
                };
                self.repeated(&mut each.body, label, Round { settles, ..Round::default() }, |walk| {
                    walk.declare_pattern(&pattern, Some(&source))
                });
            }
            Expr::While(each) => {
                let before = deeds(&each.cond);
                self.settle_before_expr(&each.cond, out);
                let condition = each.cond.clone();
                let names = mentioned(&condition);
                let patterns: Vec<Pat> = patterns_of(&each.cond).into_iter().cloned().collect();
                for pattern in &patterns {
                    self.settle_before(&mentioned(pattern), Deeds::default(), out);
                }
                check(&mut each.cond, Place::Condition, &self.locals);
                let mut seen = mentioned(&each.body);
                seen.extend(names.clone());
                self.enter_loop(&each.body, &seen, out);
                let settles = match before {
                    Deeds { leaves: true, .. } => Settles::Everything,
                    Deeds { calls: true, .. } => Settles::Effects,
                    _ if sources_of(&condition).into_iter().any(|source| is_held(source, true)) => {
                        Settles::Effects
                    }
                    _ => Settles::Nothing,
                };
                let round = Round { settles, condition: Some(&names), ..Round::default() };
                self.repeated(&mut each.body, each.label.clone(), round, |walk| {
                    patterns
                        .iter()
                        .flat_map(|pattern| walk.declare_pattern(pattern, Some(&condition)))
                        .collect()
                });
            }
            Expr::Loop(each) => {
                let label = each.label.clone();
                self.enter_loop(&each.body, &mentioned(&each.body), out);
                let round = Round { settles_at_break: is_value, is_endless: true, ..Round::default() };
                self.repeated(&mut each.body, label, round, |_| Vec::new());
            }
            _ => {}
        }
    }

    /// A loop's body. Before it, what is pending is settled that the loop sees and adds nothing to: in the next round it could
    /// be borrowed.
    fn enter_loop(&mut self, body: &Block, names: &Names, out: &mut Vec<Stmt>) {
        self.moved.extend(moved(&body.stmts));
        let added = self.scan(body);
        let before = self.state.clone();
        // A task would not see it: settled here, it is not settled in each round.
        let is_given = |number: &usize| added.places.contains(number) && !added.loose.contains(number);
        let is_given = self.state.loose.iter().any(is_given);
        self.state.places.retain(|number| !added.places.contains(number));
        let sees = self.sees(names) || is_given;
        self.state = before;
        if sees {
            self.settle(out);
        }
    }

    /// The body of a loop: what is pending at its end is so at its beginning.
    fn repeated(
        &mut self,
        body: &mut Block,
        label: Option<syn::Label>,
        round: Round<'_>,
        declare: impl FnOnce(&mut Self) -> Vec<usize>,
    ) {
        let pending = self.scan(body);
        self.state.join(&pending);
        let sees = round.condition.is_some_and(|names| self.sees(names));
        let settles = if sees { Settles::Everything } else { round.settles };
        let entry = self.state.clone();
        let label = label.map(|label| label.name.ident.to_string());
        self.loops.push(Loop {
            label,
            depth: self.depth,
            settles,
            settles_at_break: round.settles_at_break,
            left: State::default(),
            continued: State::default(),
        });
        let given = declare(self);
        let end = match settles {
            Settles::Everything => End::everything(true),
            Settles::Effects => End { seen: Seen::Yes, ..End::own(true) },
            Settles::EffectsUnlessCalm(number) => End { seen: Seen::UnlessCalm(number), ..End::own(true) },
            Settles::Nothing => End::own(true),
        };
        self.block_with(body, end, given);
        let Some(it) = self.loops.pop() else { unreachable!("pushed above") };
        self.state = if round.is_endless {
            it.left
        } else {
            // What was pending before the first round, behind the last, or where it was left.
            let mut state = entry;
            state.join(&self.state);
            state.join(&it.continued);
            state.join(&it.left);
            state
        };
    }

    /// A block that `break` may leave from anywhere in it.
    pub(super) fn labelled(
        &mut self,
        block: &mut Block,
        label: &syn::Label,
        is_unit: bool,
        out: &mut Vec<Stmt>,
    ) {
        self.settle(out);
        let label = label.name.ident.to_string();
        self.loops.push(Loop {
            label: Some(label),
            depth: self.depth,
            settles: Settles::Everything,
            settles_at_break: true,
            left: State::default(),
            continued: State::default(),
        });
        self.block(block, End::everything(is_unit));
        if let Some(it) = self.loops.pop() {
            self.state.join(&it.left);
        }
    }

    /// Before a jump what would be out of reach behind it is settled.
    pub(super) fn mark_jump(&mut self, expr: &Expr, out: &mut Vec<Stmt>) {
        let label = match bare(expr) {
            Expr::Break(jump) => jump.label.as_ref(),
            Expr::Continue(jump) => jump.label.as_ref(),
            Expr::Return(_) => {
                self.state = State::default();
                return;
            }
            _ => return,
        };
        let name = label.map(|label| label.ident.to_string());
        let target = self.loops.iter().rev().find(|it| name.is_none() || it.label == name);
        let is_continue = matches!(bare(expr), Expr::Continue(_));
        let (depth, settles) = target.map_or((0, true), |target| {
            let everything = target.settles == Settles::Everything;
            (target.depth, if is_continue { everything } else { target.settles_at_break })
        });
        let has_inner = self.state.places.iter().any(|&number| self.variables[number].depth > depth);
        if has_inner || settles {
            self.settle(out);
        } else {
            self.settle_effects(out);
        }
        // Nothing comes behind it.
        let state = std::mem::take(&mut self.state);
        let target = self.loops.iter_mut().rev().find(|it| name.is_none() || it.label == name);
        if let Some(target) = target {
            if is_continue { target.continued.join(&state) } else { target.left.join(&state) }
        }
    }
}
