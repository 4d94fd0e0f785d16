//! Owns stretches of statements in which a reference or a closure has borrowed something. Promises that it isn't touched
//! in them but through the reference, and often read after them.

use super::scope::{Writer, put};
use super::types::Ty;
use super::variables::Kind;

impl Writer {
    /// `let r = &mut grid[0]; r[1] = f(2);`
    pub(crate) fn borrowed_row(&mut self, depth: usize) -> Option<()> {
        let at = self
            .find(|var| matches!(var.ty, Ty::Grid | Ty::Vec | Ty::Point) && var.writable() && !var.short)?;
        let var = self.vars[at].clone();
        let mark = self.vars.len();
        let row = self.fresh("r");
        self.form("let r = &mut ..");
        let (target, ty) = match var.ty {
            Ty::Grid => (format!("{}[{}]", var.name, self.random.below(3)), Ty::Vec),
            Ty::Vec => (format!("{}[{}]", var.name, self.random.below(3)), Ty::Int),
            _ => (format!("{}.x", var.name), Ty::Int),
        };
        put!(self, "let {row} = &mut {target};");
        self.vars[at].hidden += 1;
        self.add(row.clone(), ty, Kind::MutRef, true);
        for _ in 0..1 + self.random.below(2) {
            let function = self.integer_callee();
            if function.result == Ty::Int {
                let call = self.call(&function, 1);
                if function.concurrent {
                    self.form("r[1] = f(..)");
                }
                match ty {
                    Ty::Vec => put!(self, "{row}[{}] = {call};", self.random.below(3)),
                    _ => put!(self, "*{row} = {call};"),
                }
            } else {
                self.stretch(1, depth);
            }
        }
        self.end_stretch(mark, at);
        // Something that sees what was assigned through the reference.
        if self.random.percent(50) {
            put!(self, "note(&format!(\"{{:?}}\", {}));", var.name);
        }
        Some(())
    }

    /// Statements during which something is borrowed. What they declare is dropped with the borrow, as nothing else
    /// knows how long it lasts.
    fn stretch(&mut self, count: usize, depth: usize) {
        let mark = self.vars.len();
        self.open("{");
        self.statements(count, depth.max(2));
        self.close("}");
        self.leave(mark);
    }

    fn end_stretch(&mut self, mark: usize, at: usize) {
        self.leave(mark);
        self.vars[at].hidden -= 1;
    }

    /// `let get = |k: usize| v[k];`
    pub(crate) fn closure(&mut self, depth: usize) -> Option<()> {
        let at = self.find(|var| var.ty == Ty::Vec && var.readable() && !var.short)?;
        self.form("closure that reads");
        let name = self.fresh("get");
        let mark = self.vars.len();
        put!(self, "let {name} = |k: usize| {}[k % 3];", self.vars[at].name.clone());
        self.vars[at].frozen += 1;
        let closure = self.local(name.clone(), Ty::Closure, false);
        self.vars[closure].frozen += 1;
        if self.random.percent(60) {
            self.stretch(1, depth);
        }
        let out = self.fresh("got");
        put!(self, "let {out} = {name}({});", self.random.below(3));
        self.leave(mark);
        self.vars[at].frozen -= 1;
        self.local(out, Ty::Int, false);
        Some(())
    }

    /// `if let Some(last) = v.last_mut() { *last = f(2); }`
    pub(crate) fn borrowed_cell(&mut self, depth: usize) -> Option<()> {
        let at = self.find(|var| var.ty == Ty::Vec && var.writable())?;
        let mark = self.vars.len();
        let cell = self.fresh("cell");
        let method = self.random.pick(&["last_mut()", "get_mut(1)", "first_mut()", "iter_mut().max()"]);
        self.form("if let Some(cell) = v.last_mut()");
        self.open(format!("if let Some({cell}) = {}.{method} {{", self.vars[at].name.clone()));
        self.vars[at].hidden += 1;
        self.add(cell.clone(), Ty::Int, Kind::MutRef, true);
        self.assign_through(&cell);
        self.statements(1, depth.max(2));
        self.end_stretch(mark, at);
        self.close("}");
        Some(())
    }

    pub(crate) fn assign_through(&mut self, cell: &str) {
        let function = self.integer_callee();
        if function.result == Ty::Int {
            let call = self.call(&function, 1);
            if function.concurrent {
                self.form("*cell = f(..)");
            }
            put!(self, "*{cell} = {call};");
        }
    }

    /// `let (left, right) = v.split_at_mut(1);`
    pub(crate) fn halves(&mut self) -> Option<()> {
        let at = self.find(|var| var.ty == Ty::Vec && var.writable() && !var.short)?;
        let (left, right) = (self.fresh("left"), self.fresh("right"));
        self.form("split_at_mut");
        put!(self, "let ({left}, {right}) = {}.split_at_mut(1);", self.vars[at].name.clone());
        self.vars[at].hidden += 1;
        for place in [format!("{left}[0]"), format!("{right}[1]"), format!("{right}[0]")] {
            let function = self.integer_callee();
            if function.result == Ty::Int {
                let call = self.call(&function, 1);
                put!(self, "{place} = {call};");
            } else {
                put!(self, "{place} = {left}[0].wrapping_add({right}[1]) % 1009;");
            }
        }
        self.vars[at].hidden -= 1;
        Some(())
    }
}
