//! The walk through a function: what may be pending where, and what is settled before what.
//!
//! Promises that nothing pending is seen by the user's code: before a statement that mentions the variable of a
//! place, or one that such a variable may be a reference into, everything is settled; also before the function is left and
//! before a variable ends whose place has something pending. Where branches meet, what may be pending in
//! one of them may be pending. Settling what is not pending does nothing.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use std::collections::{HashMap, HashSet};
use syn::visit::{self, Visit};
use syn::{Block, Expr, Pat, Stmt, parse_quote};

use super::form::{Form, bare};
use super::names::{Deeds, Names, bound, deeds, is_unique, mentioned, moved, patterns_of};
use super::places::{State, Variable, Way, reaches_by_field, root};
use super::position::{Place, check, check_statement};
use super::site::Let;

pub(super) struct Walk {
    pub(super) variables: Vec<Variable>,
    /// Numbers of the variables in scope, the innermost last.
    scope: Vec<usize>,
    pub(super) state: State,
    pub(super) depth: usize,
    loops: Vec<Loop>,
    /// Names that are variables somewhere in the function.
    pub(super) locals: HashSet<String>,
    /// The fields of variables that something is put into, by the name of the variable.
    pub(super) changed: HashMap<String, Vec<Vec<syn::Member>>>,
    /// Names of variables that may have been moved by now.
    pub(super) moved: HashSet<String>,
    pub(super) session: Ident,
    pub(super) alone: Ident,
    lets: usize,
}

/// A loop around.
struct Loop {
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

/// What is done to a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// `=`
    Assigned,
    /// `+=`
    Changed,
    /// A method
    Called,
}

/// What a block is the body of.
#[derive(Clone, Copy)]
struct End {
    /// What is pending of variables of blocks as deep as this or deeper is settled before its value is computed, of the block itself
    /// in any case; everything, if it is 0.
    from: usize,
    /// Its value is `()`, so that a call at its end is a statement.
    is_unit: bool,
    /// Nothing with effects is pending behind it.
    is_round: bool,
}

impl End {
    /// Of a block that is not the value of the block around it.
    fn own(is_unit: bool) -> Self {
        Self { from: usize::MAX, is_unit, is_round: false }
    }

    /// Everything is settled.
    fn everything(is_unit: bool) -> Self {
        Self { from: 0, is_unit, is_round: false }
    }
}

impl Walk {
    pub(super) fn new(locals: HashSet<String>) -> Self {
        Self {
            variables: Vec::new(),
            scope: Vec::new(),
            state: State::default(),
            depth: 0,
            loops: Vec::new(),
            locals,
            changed: HashMap::new(),
            moved: HashSet::new(),
            session: Ident::new("__xfork_session", Span::mixed_site()),
            alone: Ident::new("__xfork_alone", Span::mixed_site()),
            lets: 0,
        }
    }

    /// A variable that is there now; gives its number.
    pub(super) fn declare(&mut self, ident: Ident, is_mut: bool) -> usize {
        let number = self.variables.len();
        self.variables.push(Variable::new(ident, is_mut, self.depth, number));
        self.scope.push(number);
        number
    }

    /// The variables of a pattern, whose value comes from `source`.
    fn declare_pattern(&mut self, pattern: &Pat, source: Option<&Expr>) -> Vec<usize> {
        let is_unique = source.is_some_and(is_unique);
        let origins = source.map(mentioned).unwrap_or_default();
        let declare = |(ident, is_mut): (Ident, bool)| {
            let number = self.declare(ident, is_mut);
            let variable = &mut self.variables[number];
            variable.may_be_unique |= is_unique;
            variable.refers |= is_unique;
            variable.has_parts = matches!(source, Some(Expr::Struct(_)));
            if !is_mut || is_unique {
                variable.origins.clone_from(&origins);
            }
            number
        };
        bound(pattern).into_iter().map(declare).collect()
    }

    /// The variable of this name in scope.
    pub(super) fn find(&self, ident: &Ident) -> Option<usize> {
        self.scope.iter().rev().copied().find(|&number| self.variables[number].ident == *ident)
    }

    /// Whether code that mentions these names may see what is pending.
    fn sees(&self, names: &Names) -> bool {
        self.state.places.iter().any(|&number| {
            let variable = &self.variables[number];
            names.contains(&variable.name()) || !variable.origins.is_disjoint(names)
        })
    }

    /// As [`sees`](Self::sees), for the variable of a place that something more is put into.
    pub(super) fn sees_through(&self, number: usize) -> bool {
        let name = self.variables[number].name();
        let others = self.state.places.iter().filter(|&&other| other != number);
        others.map(|&other| &self.variables[other]).any(|other| other.origins.contains(&name))
    }

    /// Settles everything up to `last`, an expression for the number of a call.
    pub(super) fn settle_up_to(&self, last: &TokenStream) -> Option<Stmt> {
        if self.state.is_empty() {
            return None;
        }
        let (session, alone) = (&self.session, &self.alone);
        let places = self.state.places.iter().map(|&number| self.variables[number].pending());
        let alone = self.state.alone.then(|| quote!(&mut #alone.at(&mut ())));
        let pending = places.chain(alone);
        Some(parse_quote! {
            __xfork::settle(&#session, #last, &mut [#(#pending),*]);
        })
    }

    /// Settles everything.
    pub(super) fn settle(&mut self, out: &mut Vec<Stmt>) {
        out.extend(self.settle_up_to(&quote!(::core::primitive::u64::MAX)));
        self.state = State::default();
    }

    /// Settles what code may see that mentions these names and does this.
    pub(super) fn settle_before(&mut self, names: &Names, deeds: Deeds, out: &mut Vec<Stmt>) {
        if self.sees(names) || deeds.leaves {
            self.settle(out);
        } else if deeds.calls {
            self.settle_effects(out);
        }
    }

    /// Settles everything if something has effects that anybody may see.
    pub(super) fn settle_effects(&self, out: &mut Vec<Stmt>) {
        let session = &self.session;
        if self.state.effects
            && let Some(settle) = self.settle_up_to(&quote!(::core::primitive::u64::MAX))
        {
            out.push(parse_quote!(if #session.has_effects() { #settle }));
        }
    }

    fn settle_before_expr(&mut self, expr: &Expr, out: &mut Vec<Stmt>) {
        self.settle_before(&mentioned(expr), deeds(expr), out);
    }

    /// The body of the function.
    pub(super) fn function(&mut self, block: &mut Block, is_unit: bool) {
        self.block(block, End::everything(is_unit));
    }

    fn block(&mut self, block: &mut Block, end: End) {
        self.block_with(block, end, Vec::new());
    }

    /// A block in which these variables are already declared.
    fn block_with(&mut self, block: &mut Block, end: End, given: Vec<usize>) {
        let scope = self.scope.len() - given.len();
        self.depth += 1;
        // What its variables do when they end is seen behind what is pending.
        let is_round = end.is_round || block.stmts.iter().any(holds);
        let end = End { from: end.from.min(self.depth), is_round, ..end };
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
            if is_conditional(&statement) {
                // It may not be there: nothing is pending behind it in any case, and it stays as it is.
                self.settle(&mut out);
                if let Stmt::Local(local) = &statement {
                    let init = local.init.as_ref().map(|init| &*init.expr);
                    self.declare_pattern(&local.pat, init);
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
        self.scope.truncate(scope);
        self.depth -= 1;
    }

    /// Declares the queues of a variable and of its parts.
    pub(super) fn queues(&self, number: usize) -> Vec<Stmt> {
        let parts = self.variables[number].parts.iter().chain([&number]);
        let places = parts.map(|&part| &self.variables[part]).filter(|part| part.is_place);
        places.map(Variable::declare).collect()
    }

    /// Settles what must not be pending behind the block.
    fn end_block(&mut self, end: End, out: &mut Vec<Stmt>) {
        let is_deep = |&number: &usize| self.variables[number].depth >= end.from;
        if end.from == 0 || self.state.places.iter().any(is_deep) {
            self.settle(out);
        } else if end.is_round {
            self.settle_effects(out);
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
        match statement {
            Stmt::Item(item) => out.push(Stmt::Item(item)),
            Stmt::Macro(mut statement) => {
                let mut expr = Expr::Macro(syn::ExprMacro { attrs: Vec::new(), mac: statement.mac.clone() });
                self.settle_before_expr(&expr, out);
                check(&mut expr, Place::Macro, &self.locals);
                if let Expr::Macro(checked) = expr {
                    statement.mac = checked.mac;
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

    /// Before a jump what would be out of reach behind it is settled.
    fn mark_jump(&mut self, expr: &Expr, out: &mut Vec<Stmt>) {
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

    /// A statement with blocks.
    fn compound(&mut self, expr: &mut Expr, end: End, out: &mut Vec<Stmt>) {
        self.compound_with(expr, end, false, out);
    }

    fn compound_with(&mut self, expr: &mut Expr, end: End, is_value: bool, out: &mut Vec<Stmt>) {
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
                    self.block_with(&mut block, end, given);
                    *arm.body = from_block(block);
                    joined.join(&self.state);
                }
                self.state = joined;
            }
            Expr::Block(block) => {
                if let Some(label) = &block.label {
                    // Left by `break` from anywhere in it.
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
                    self.block(&mut block.block, End::everything(end.is_unit));
                    if let Some(it) = self.loops.pop() {
                        self.state.join(&it.left);
                    }
                } else {
                    self.block(&mut block.block, end);
                }
            }
            Expr::ForLoop(each) => {
                self.settle_before(&mentioned(&each.pat), Deeds::default(), out);
                self.settle_before_expr(&each.expr, out);
                self.enter_loop(&each.body, &mentioned(&each.body), out);
                check(&mut each.expr, Place::Condition, &self.locals);
                let source = each.expr.clone();
                let (pattern, label) = (each.pat.clone(), each.label.clone());
                let settles = if is_calm(&each.expr) { Settles::Nothing } else { Settles::Effects };
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
                seen.extend(names.iter().cloned());
                self.enter_loop(&each.body, &seen, out);
                let settles = match before {
                    Deeds { leaves: true, .. } => Settles::Everything,
                    Deeds { calls: true, .. } => Settles::Effects,
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
        self.block_with(&mut branch.then_branch, End { is_unit, ..end }, given);
        let mut joined = self.state.clone();
        match &mut branch.else_branch {
            Some((_, other)) => joined.join(&self.branches(other, end, state)),
            None => joined.join(state),
        }
        joined
    }

    /// A loop's body. Before it, what is pending is settled that the loop sees and adds nothing to: in the next round it could
    /// be borrowed.
    fn enter_loop(&mut self, body: &Block, names: &Names, out: &mut Vec<Stmt>) {
        self.moved.extend(moved(&body.stmts));
        let added = self.scan(body).places;
        let before = self.state.clone();
        self.state.places.retain(|number| !added.contains(number));
        let sees = self.sees(names);
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
            Settles::Effects => End { is_round: true, ..End::own(true) },
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

    /// The variable of a place that something may be put into later.
    pub(super) fn place(&mut self, place: &Expr, how: How) -> Option<usize> {
        let root = root(place)?;
        let whole = self.find(&root.ident)?;
        let number = self.part(whole, root.fields);
        let variable = &self.variables[whole];
        // What can't be changed itself has to be a reference; one that is a field of it is not seen.
        let is_by_field = reaches_by_field(place) && !variable.may_be_unique;
        let can = variable.way == Way::Itself || !is_by_field && how != How::Called || variable.may_be_unique;
        // A variable that was moved is nothing that could be changed later.
        let can = can
            && (how != How::Assigned
                || !matches!(bare(place), Expr::Path(_))
                || !self.moved.contains(&variable.name()));
        (can && variable.is_initialised).then_some(number)
    }

    /// The part of a variable that is changed as one: its fields, as far as no shorter place of it is changed.
    fn part(&mut self, whole: usize, fields: Vec<syn::Member>) -> usize {
        if !self.variables[whole].has_parts {
            return whole;
        }
        let name = self.variables[whole].name();
        let changed = self.changed.get(&name).into_iter().flatten();
        let shortest = changed.filter(|other| fields.starts_with(other)).map(Vec::len).min();
        let fields = &fields[..shortest.unwrap_or(0)];
        if fields.is_empty() {
            return whole;
        }
        let parts = self.variables[whole].parts.iter().copied();
        if let Some(part) = parts.into_iter().find(|&part| self.variables[part].fields == fields) {
            return part;
        }
        let number = self.variables.len();
        let part = self.variables[whole].part(fields, number);
        self.variables.push(part);
        self.variables[whole].parts.push(number);
        number
    }

    /// What may become pending in a block, of variables that are there before it.
    fn scan(&mut self, block: &Block) -> State {
        let mut scan = Scan { walk: self, found: State::default(), inner: Vec::new() };
        scan.visit_block(block);
        let found = scan.found;
        for &number in &found.places {
            self.variables[number].is_place = true;
        }
        found
    }

    pub(super) fn next_let(&mut self) -> usize {
        self.lets += 1;
        self.lets
    }
}

/// Looks for what may become pending.
struct Scan<'a> {
    walk: &'a mut Walk,
    found: State,
    /// The names that are declared inside, for each block around.
    inner: Vec<Names>,
}

impl Scan<'_> {
    fn declare(&mut self, pattern: &Pat) {
        if let Some(names) = self.inner.last_mut() {
            names.extend(bound(pattern).into_iter().map(|(ident, _)| ident.to_string()));
        }
    }

    fn inside(&mut self, patterns: &[&Pat], visit: impl FnOnce(&mut Self)) {
        self.inner.push(Names::new());
        patterns.iter().for_each(|pattern| self.declare(pattern));
        visit(self);
        self.inner.pop();
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
                let is_inner = root(place).is_some_and(|root| {
                    self.inner.iter().any(|names| names.contains(&root.ident.to_string()))
                });
                if !is_inner && let Some(number) = self.walk.place(place, how) {
                    self.found.places.insert(number);
                }
            }
        }
        self.found.effects |= match form {
            Form::Method { .. } => true,
            Form::Alone { candidates, .. } => !candidates.is_empty(),
            Form::Assign { .. } | Form::Let { .. } => false,
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

/// Whether nothing that a loop runs over can depend on what is done in the loop: ranges, and what is borrowed from
/// variables by methods that are known.
fn is_calm(iterator: &Expr) -> bool {
    const KNOWN: [&str; 16] = [
        "iter",
        "iter_mut",
        "enumerate",
        "zip",
        "rev",
        "take",
        "skip",
        "step_by",
        "chars",
        "bytes",
        "lines",
        "keys",
        "values",
        "windows",
        "chunks",
        "copied",
    ];
    match bare(iterator) {
        Expr::Range(_) | Expr::Array(_) | Expr::Lit(_) => true,
        Expr::MethodCall(call) => {
            KNOWN.iter().any(|known| call.method == known)
                && (is_place(&call.receiver) || is_calm(&call.receiver))
        }
        _ => false,
    }
}

fn is_place(expr: &Expr) -> bool {
    root(expr).is_some()
}

fn is_compound(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::If(_) | Expr::Match(_) | Expr::Block(_) | Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_)
    )
}

/// Whether a statement declares what may do something when it ends.
fn holds(statement: &Stmt) -> bool {
    match statement {
        Stmt::Local(local) => local.init.as_ref().is_some_and(|init| !is_value(&init.expr)),
        _ => false,
    }
}

/// Whether an expression gives a plain value, or a text or list of them, as far as its form tells.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(_)
        | Expr::Binary(_)
        | Expr::Unary(_)
        | Expr::Cast(_)
        | Expr::Reference(_)
        | Expr::Range(_) => true,
        Expr::Closure(_) | Expr::Index(_) | Expr::Repeat(_) => true,
        Expr::Paren(paren) => is_value(&paren.expr),
        Expr::Tuple(tuple) => tuple.elems.iter().all(is_value),
        Expr::Array(array) => array.elems.iter().all(is_value),
        Expr::Macro(mac) => ["format", "vec"]
            .iter()
            .any(|known| mac.mac.path.segments.last().is_some_and(|last| last.ident == known)),
        _ => false,
    }
}

/// Whether a statement may be configured out.
fn is_conditional(statement: &Stmt) -> bool {
    let attributes = match statement {
        Stmt::Local(local) => &local.attrs,
        Stmt::Macro(mac) => &mac.attrs,
        Stmt::Expr(expr, _) => attributes(expr),
        Stmt::Item(_) => return false,
    };
    attributes.iter().any(|it| it.path().is_ident("cfg") || it.path().is_ident("cfg_attr"))
}

fn attributes(expr: &Expr) -> &[syn::Attribute] {
    match expr {
        Expr::Assign(it) => &it.attrs,
        Expr::Binary(it) => &it.attrs,
        Expr::Block(it) => &it.attrs,
        Expr::Break(it) => &it.attrs,
        Expr::Call(it) => &it.attrs,
        Expr::Continue(it) => &it.attrs,
        Expr::ForLoop(it) => &it.attrs,
        Expr::If(it) => &it.attrs,
        Expr::Loop(it) => &it.attrs,
        Expr::Macro(it) => &it.attrs,
        Expr::Match(it) => &it.attrs,
        Expr::MethodCall(it) => &it.attrs,
        Expr::Return(it) => &it.attrs,
        Expr::Try(it) => &it.attrs,
        Expr::Unsafe(it) => &it.attrs,
        Expr::While(it) => &it.attrs,
        _ => &[],
    }
}

/// `{}`
fn is_nothing(expr: &Expr) -> bool {
    matches!(expr, Expr::Block(block) if block.label.is_none() && block.block.stmts.is_empty())
}

/// An `if` without `else`.
fn is_unit(expr: &Expr) -> bool {
    match expr {
        Expr::If(branch) => match &branch.else_branch {
            None => true,
            Some((_, other)) => is_unit(other),
        },
        _ => false,
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
