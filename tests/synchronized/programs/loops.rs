//! Owns loops. Promises that they end after a few rounds: what counts the rounds isn't changed by anything else.

use super::scope::{Loop, Writer, put};
use super::types::Ty;
use super::variables::{Bound, Kind};

impl Writer {
    pub(crate) fn any_loop(&mut self, depth: usize) -> Option<()> {
        if self.loops.len() >= 2 || self.times > 12 {
            return None;
        }
        match self.random.below(24) {
            0..=4 => self.over_range(depth),
            5..=7 => self.over_shared(depth),
            8 | 9 => self.over_rows(depth),
            10 | 11 => self.over_cells(depth),
            12..=14 => self.counted(depth),
            15 | 16 => self.emptying_stack(depth),
            17 => self.growing_stack(depth),
            18 | 19 => self.endless(depth),
            20..=22 => self.over_map(depth),
            _ => self.with_value(depth),
        }
    }

    fn enter(&mut self, head: &str, can_continue: bool) -> usize {
        let label = self.random.percent(40).then(|| {
            self.labels += 1;
            format!("'part{}", self.labels)
        });
        let prefix = label.as_ref().map_or(String::new(), |label| format!("{label}: "));
        self.open(format!("{prefix}{head} {{"));
        self.loops.push(Loop { label, can_continue, block: false });
        self.times *= 3;
        self.vars.len()
    }

    fn exit(&mut self, mark: usize) {
        self.leave(mark);
        self.loops.pop();
        self.times /= 3;
        self.close("}");
    }

    fn over_range(&mut self, depth: usize) -> Option<()> {
        let i = self.fresh("i");
        let over = self.find(|var| var.ty.element().is_some() && var.readable() && !var.short);
        let n = self.find(|var| var.name == "n" && var.ty == Ty::Usize && var.readable());
        self.form("for i in range");
        match (self.random.below(5), over, n) {
            (0 | 1, Some(at), _) => {
                let mark = self.enter(&format!("for {i} in 0..{}.len()", self.vars[at].name.clone()), true);
                let id = self.vars[at].id;
                self.vars[at].pinned += 1;
                self.bounded(i, Bound::Length(id));
                self.inner(depth);
                self.vars[at].pinned -= 1;
                self.exit(mark);
            }
            (2 | 3, _, Some(_)) => {
                let mark = self.enter(&format!("for {i} in 0..n"), true);
                self.bounded(i, Bound::Small);
                self.inner(depth);
                self.exit(mark);
            }
            _ => {
                let range = self.random.pick(&["0..3", "1..3", "(0..3).rev()", "0..=2"]);
                let mark = self.enter(&format!("for {i} in {range}"), true);
                self.bounded(i, Bound::Small);
                self.inner(depth);
                self.exit(mark);
            }
        }
        Some(())
    }

    fn over_shared(&mut self, depth: usize) -> Option<()> {
        let at = self.find(|var| {
            matches!(var.ty, Ty::Vec | Ty::Grid | Ty::Names | Ty::Pairs | Ty::Indexes | Ty::Set)
                && var.readable()
        })?;
        let var = self.vars[at].clone();
        let element = var.ty.element().unwrap_or(Ty::Int);
        let item = self.fresh(if element == Ty::Vec { "row" } else { "x" });
        self.form("for x in &xs");
        let head = if self.random.percent(50) { var.borrowed() } else { format!("{}.iter()", var.name) };
        let mark = self.enter(&format!("for {item} in {head}"), true);
        self.vars[at].frozen += 1;
        let new = self.add(item, element, Kind::Ref, false);
        self.vars[new].short = var.short;
        self.inner(depth);
        self.vars[at].frozen -= 1;
        self.exit(mark);
        Some(())
    }

    fn over_rows(&mut self, depth: usize) -> Option<()> {
        let at = self.find(|var| var.ty == Ty::Grid && var.writable())?;
        let row = self.fresh("row");
        self.form("for row in grid.iter_mut()");
        let numbered = self.random.percent(30);
        let i = self.fresh("i");
        let name = self.vars[at].name.clone();
        let head = match numbered {
            true => format!("for ({i}, {row}) in {name}.iter_mut().enumerate()"),
            false => format!("for {row} in {name}.iter_mut()"),
        };
        let mark = self.enter(&head, true);
        self.vars[at].hidden += 1;
        if numbered {
            self.bounded(i, Bound::None);
        }
        let new = self.add(row.clone(), Ty::Vec, Kind::MutRef, true);
        self.vars[new].short = self.vars[at].short;
        let function = self.integer_callee();
        if function.result == Ty::Int && !self.vars[at].short {
            let call = self.call(&function, 1);
            put!(self, "{row}[{}] = {call};", self.random.below(3));
        }
        self.inner(depth);
        self.vars[at].hidden -= 1;
        self.exit(mark);
        Some(())
    }

    fn over_cells(&mut self, depth: usize) -> Option<()> {
        let at = self.find(|var| var.ty == Ty::Vec && var.writable())?;
        let cell = self.fresh("cell");
        self.form("for cell in v.iter_mut()");
        let mark = self.enter(&format!("for {cell} in {}.iter_mut()", self.vars[at].name.clone()), true);
        self.vars[at].hidden += 1;
        self.add(cell.clone(), Ty::Int, Kind::MutRef, true);
        self.assign_through(&cell);
        if self.random.percent(50) {
            self.inner(depth);
        }
        self.vars[at].hidden -= 1;
        self.exit(mark);
        Some(())
    }

    fn counted(&mut self, depth: usize) -> Option<()> {
        let k = self.fresh("k");
        self.form("while k < n");
        put!(self, "let mut {k} = 0usize;");
        // Where the counter is counted last, `continue` would skip it.
        let first = self.random.percent(40);
        let outer = self.local(k.clone(), Ty::Usize, false);
        let most = self.random.between(2, 3);
        let mark = self.enter(&format!("while {k} < {most}"), first);
        if first {
            put!(self, "{k} += 1;");
        } else {
            self.vars[outer].bound = Bound::Small;
        }
        self.vars[outer].frozen += 1;
        self.inner(depth);
        self.vars[outer].bound = Bound::None;
        self.vars[outer].frozen -= 1;
        if !first {
            put!(self, "{k} += 1;");
        }
        self.exit(mark);
        Some(())
    }

    fn emptying_stack(&mut self, depth: usize) -> Option<()> {
        let at = self.find(|var| matches!(var.ty, Ty::Stack | Ty::Deque) && var.writable());
        let at = match at {
            Some(at) => at,
            None => {
                let name = self.fresh("stack");
                let value = self.literal(Ty::Stack);
                put!(self, "let mut {name} = {value};");
                self.local(name, Ty::Stack, true)
            }
        };
        self.form("while let Some(x) = stack.pop()");
        let item = self.fresh("x");
        let pop = if self.vars[at].ty == Ty::Stack { "pop" } else { "pop_front" };
        let mark =
            self.enter(&format!("while let Some({item}) = {}.{pop}()", self.vars[at].name.clone()), true);
        // Nothing is added within: else it might not end.
        self.vars[at].frozen += 1;
        self.local(item, Ty::Int, false);
        self.inner(depth);
        self.vars[at].frozen -= 1;
        self.exit(mark);
        Some(())
    }

    /// A stack to which the loop that empties it adds a few.
    fn growing_stack(&mut self, depth: usize) -> Option<()> {
        let (name, left, item) = (self.fresh("pile"), self.fresh("left"), self.fresh("x"));
        self.form("stack that grows in its loop");
        let start = self.whole(Ty::Int, 1);
        put!(self, "let mut {name} = vec![{start}];");
        put!(self, "let mut {left} = {}usize;", self.random.between(2, 4));
        let outer = self.vars.len();
        let pile = self.local(name.clone(), Ty::Stack, true);
        let rest = self.local(left.clone(), Ty::Usize, false);
        self.vars[pile].frozen += 1;
        self.vars[rest].frozen += 1;
        let mark = self.enter(&format!("while let Some({item}) = {name}.pop()"), true);
        self.local(item, Ty::Int, false);
        self.open(format!("if {left} > 0 {{"));
        put!(self, "{left} -= 1;");
        let function = self.integer_callee();
        let pushed = if function.result == Ty::Int { self.call(&function, 1) } else { "5".into() };
        put!(self, "{name}.push({pushed});");
        self.close("}");
        self.inner(depth);
        self.vars[pile].frozen -= 1;
        self.vars[rest].frozen -= 1;
        self.exit(mark);
        self.leave(outer + 1);
        Some(())
    }

    fn endless(&mut self, depth: usize) -> Option<()> {
        let rounds = self.fresh("rounds");
        self.form("loop");
        put!(self, "let mut {rounds} = 0usize;");
        let outer = self.local(rounds.clone(), Ty::Usize, false);
        self.vars[outer].frozen += 1;
        let mark = self.enter("loop", true);
        put!(self, "{rounds} += 1;");
        put!(self, "if {rounds} > {} {{ break; }}", self.random.between(2, 3));
        self.inner(depth);
        self.exit(mark);
        self.vars[outer].frozen -= 1;
        Some(())
    }

    fn over_map(&mut self, depth: usize) -> Option<()> {
        let at = self.find(|var| var.ty == Ty::BTreeMap && var.readable())?;
        let (key, value) = (self.fresh("key"), self.fresh("value"));
        self.form("for (key, value) in &map");
        let var = self.vars[at].clone();
        if var.writable() && self.random.percent(50) {
            let mark = self.enter(&format!("for {value} in {}.values_mut()", var.name), true);
            self.vars[at].hidden += 1;
            self.add(value.clone(), Ty::Int, Kind::MutRef, true);
            self.assign_through(&value);
            self.vars[at].hidden -= 1;
            self.exit(mark);
        } else {
            let mark = self.enter(&format!("for ({key}, {value}) in {}", var.borrowed()), true);
            self.vars[at].frozen += 1;
            self.add(key, Ty::Int, Kind::Ref, false);
            self.add(value, Ty::Int, Kind::Ref, false);
            self.inner(depth);
            self.vars[at].frozen -= 1;
            self.exit(mark);
        }
        Some(())
    }

    /// `let y = loop { .. break y; };`
    fn with_value(&mut self, depth: usize) -> Option<()> {
        let (rounds, name) = (self.fresh("rounds"), self.fresh("last"));
        self.form("let y = loop");
        put!(self, "let mut {rounds} = 0usize;");
        let outer = self.local(rounds.clone(), Ty::Usize, false);
        self.vars[outer].frozen += 1;
        self.open(format!("let {name} = loop {{"));
        let mark = self.vars.len();
        let times = self.times;
        // It counts for moves; nothing that is written within breaks without a value.
        self.loops.push(Loop { label: None, can_continue: false, block: false });
        self.times *= 3;
        put!(self, "{rounds} += 1;");
        self.forked();
        if self.random.percent(30) {
            self.ordinary();
        }
        let value = self.whole(Ty::Int, 1);
        put!(self, "if {rounds} > 2 {{ break {value}; }}");
        if depth < 3 {
            self.forked();
        }
        self.times = times;
        self.loops.pop();
        self.leave(mark);
        self.close("};");
        self.vars[outer].frozen -= 1;
        self.local(name, Ty::Int, false);
        Some(())
    }

    fn bounded(&mut self, name: String, bound: Bound) {
        let at = self.local(name, Ty::Usize, false);
        self.vars[at].bound = bound;
    }
}
