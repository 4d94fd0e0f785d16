//! Owns the choice among statements, and those that hold others: branches and blocks. Loops, and stretches in which
//! something is borrowed, are elsewhere.

use super::scope::{Loop, Writer, put};
use super::types::Ty;
use super::variables::Kind;

impl Writer {
    pub(crate) fn statements(&mut self, count: usize, depth: usize) {
        for _ in 0..count {
            match self.random.below(100) {
                0..48 => self.forked(),
                48..68 => self.ordinary(),
                68..75 => self.escape(),
                _ if depth >= 3 => self.forked(),
                _ => self.control(depth + 1),
            }
        }
    }

    /// A few statements in a scope of their own.
    pub(crate) fn inner(&mut self, depth: usize) {
        let mark = self.vars.len();
        let count = 1 + self.random.below(if depth > 1 { 2 } else { 3 });
        self.statements(count, depth);
        self.leave(mark);
    }

    fn control(&mut self, depth: usize) {
        for _ in 0..6 {
            let done = match self.random.below(28) {
                0..10 => self.any_loop(depth),
                10..=12 => self.branch(depth),
                13 => self.if_let(depth),
                14 | 15 => self.choice(depth),
                16 => self.nested(depth),
                17 | 18 => self.valued(depth),
                19 => self.labelled_block(depth),
                20..=22 => self.borrowed_row(depth),
                23 | 24 => self.closure(depth),
                25 => self.borrowed_cell(depth),
                _ => self.halves(),
            };
            if done.is_some() {
                return;
            }
        }
        self.forked();
    }

    /// A way out of a loop or of the function.
    fn escape(&mut self) {
        if self.loops.is_empty() && self.random.percent(60) {
            return self.ordinary();
        }
        let condition = self.condition();
        self.open(format!("if {condition} {{"));
        let mark = self.vars.len();
        if self.random.percent(40) {
            self.forked();
        }
        let out = self.loops.len();
        if out == 0 || self.random.percent(15) {
            self.form("return within");
            self.give(true);
        } else {
            let inner = if self.random.percent(45) { out - 1 } else { self.random.below(out) };
            // Out of a labelled block goes nothing without a label.
            let block = self.loops.iter().rposition(|around| around.block);
            let hindered = self.loops[inner].label.is_none() && block > Some(inner);
            let target = self.loops[block.filter(|_| hindered).unwrap_or(inner)].clone();
            // Without a label it is the innermost loop that is meant.
            let can_continue = match &target.label {
                Some(_) => target.can_continue,
                None => self.loops[out - 1].can_continue,
            };
            let label = target.label.map_or(String::new(), |label| format!(" {label}"));
            let word = if can_continue && self.random.percent(50) { "continue" } else { "break" };
            self.form(match (word, label.is_empty()) {
                ("continue", true) => "continue",
                ("continue", false) => "continue 'label",
                (_, true) => "break",
                _ => "break 'label",
            });
            put!(self, "{word}{label};");
        }
        self.leave(mark);
        self.close("}");
    }

    fn branch(&mut self, depth: usize) -> Option<()> {
        self.form("if");
        let condition = self.condition();
        self.open(format!("if {condition} {{"));
        self.inner(depth);
        if self.random.percent(30) {
            self.form("else if");
            let condition = self.condition();
            self.reopen(format!("}} else if {condition} {{"));
            self.inner(depth);
        }
        if self.random.percent(55) {
            self.form("else");
            self.reopen("} else {");
            self.inner(depth);
        }
        self.close("}");
        Some(())
    }

    fn if_let(&mut self, depth: usize) -> Option<()> {
        self.form("if let");
        let mark = self.vars.len();
        let value = self.whole(Ty::Opt, 1);
        let map = self.find(|var| matches!(var.ty, Ty::HashMap | Ty::BTreeMap) && var.readable());
        let vec = self.find(|var| var.ty == Ty::Vec && var.readable());
        let name = self.fresh("some");
        match (self.random.below(3), map, vec) {
            (0, Some(at), _) => {
                self.open(format!("if let Some({name}) = {}.get(&{}) {{", self.vars[at].name.clone(), 1));
                self.vars[at].frozen += 1;
                self.add(name, Ty::Int, Kind::Ref, false);
                self.inner(depth);
                self.vars[at].frozen -= 1;
            }
            (1, _, Some(at)) => {
                let end = self.fresh("end");
                self.open(format!("if let [{name}, .., {end}] = {}[..] {{", self.vars[at].name.clone()));
                self.local(name, Ty::Int, false);
                self.local(end, Ty::Int, false);
                self.inner(depth);
            }
            _ => {
                self.open(format!("if let Some({name}) = {value} {{"));
                self.local(name, Ty::Int, false);
                self.inner(depth);
            }
        }
        self.leave(mark);
        if self.random.percent(40) {
            self.reopen("} else {");
            self.inner(depth);
        }
        self.close("}");
        Some(())
    }

    fn choice(&mut self, depth: usize) -> Option<()> {
        self.form("match");
        let mark = self.vars.len();
        let bound = self.fresh("n");
        let optional = self.random.percent(40);
        let value = self.whole(if optional { Ty::Opt } else { Ty::Int }, 1);
        let arms = if optional {
            [format!("Some({bound}) if {bound} > 3"), format!("Some({bound})"), "None".into()]
        } else {
            ["0..=3".into(), format!("{bound} if {bound} % 2 == 0"), "_".into()]
        };
        self.open(format!("match {value} {{"));
        for arm in arms {
            let binds = arm != "None" && arm.contains(&bound);
            if arm.contains(" if ") {
                self.form("match guard");
            }
            self.open(format!("{arm} => {{"));
            if binds {
                self.local(bound.clone(), Ty::Int, false);
            }
            self.inner(depth);
            self.leave(mark);
            self.close("}");
        }
        self.close("}");
        Some(())
    }

    fn nested(&mut self, depth: usize) -> Option<()> {
        self.form("nested block");
        self.open("{");
        self.inner(depth);
        self.close("}");
        Some(())
    }

    /// A block whose last expression is the value of a variable.
    fn valued(&mut self, depth: usize) -> Option<()> {
        let ty = self.random.pick(&[Ty::Int, Ty::Int, Ty::Vec, Ty::Str, Ty::Pair]);
        let name = self.fresh("chosen");
        let mark = self.vars.len();
        let block = |writer: &mut Self| {
            let count = 1 + writer.random.below(2);
            writer.statements(count, depth);
            let value = writer.whole(ty, 1);
            writer.line(value);
            writer.leave(mark);
        };
        if self.random.percent(25) {
            self.form("let y = { .. }");
            self.open(format!("let mut {name}: {} = {{", ty.text()));
            block(self);
        } else {
            self.form("let y = if");
            let condition = self.condition();
            self.open(format!("let mut {name}: {} = if {condition} {{", ty.text()));
            block(self);
            self.reopen("} else {");
            block(self);
        }
        self.close("};");
        self.local(name, ty, true);
        Some(())
    }

    fn labelled_block(&mut self, depth: usize) -> Option<()> {
        self.form("labelled block");
        self.labels += 1;
        let label = format!("'part{}", self.labels);
        self.open(format!("{label}: {{"));
        self.loops.push(Loop { label: Some(label.clone()), can_continue: false, block: true });
        let mark = self.vars.len();
        self.forked();
        let condition = self.condition();
        put!(self, "if {condition} {{ break {label}; }}");
        self.statements(1, depth);
        self.leave(mark);
        self.loops.pop();
        self.close("}");
        Some(())
    }
}
