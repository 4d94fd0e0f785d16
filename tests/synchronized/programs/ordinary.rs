//! Owns the statements around the forked ones: those that read or change what may be pending, without a concurrent call
//! of their own.

use super::scope::{Writer, put};
use super::types::Ty;
use super::variables::{Kind, Synchronized};

const DECLARED: [Ty; 19] = [
    Ty::Int,
    Ty::Usize,
    Ty::Usize,
    Ty::Bool,
    Ty::F64,
    Ty::U64,
    Ty::Str,
    Ty::Vec,
    Ty::Vec,
    Ty::Pair,
    Ty::Grid,
    Ty::Names,
    Ty::Floats,
    Ty::Indexes,
    Ty::HashMap,
    Ty::BTreeMap,
    Ty::Set,
    Ty::Deque,
    Ty::Point,
];

impl Writer {
    pub(crate) fn declare(&mut self, ty: Option<Ty>) {
        let ty = ty.unwrap_or_else(|| {
            if self.random.percent(12) {
                self.random.pick(&[Ty::Flags, Ty::Pairs, Ty::Opts, Ty::Opt, Ty::Stack, Ty::Res])
            } else {
                self.random.pick(&DECLARED)
            }
        });
        let value = if self.random.percent(50) { self.literal(ty) } else { self.whole(ty, 1) };
        let name = self.name_for(ty);
        let mutable = self.random.percent(85);
        let typed = if self.random.percent(25) { format!(": {}", ty.text()) } else { String::new() };
        put!(self, "let {}{name}{typed} = {value};", if mutable { "mut " } else { "" });
        self.local(name, ty, mutable);
    }

    pub(crate) fn ordinary(&mut self) {
        for _ in 0..6 {
            if self.try_ordinary().is_some() {
                return;
            }
        }
        self.declare(None);
    }

    /// None, and nothing written, if there is no variable for it.
    fn try_ordinary(&mut self) -> Option<()> {
        if !self.changing.is_empty() && self.random.percent(12) {
            return self.use_list();
        }
        match self.random.below(29) {
            0 => self.declare(None),
            1 => {
                let at = self.find(|var| {
                    var.readable() && !var.ty.is_copy() && !matches!(var.ty, Ty::Closure | Ty::Res)
                })?;
                let name = self.fresh("len");
                self.form("v.len()");
                put!(self, "let {name} = {}.len();", self.vars[at].name.clone());
                self.local(name, Ty::Usize, false);
            }
            2..=5 => {
                let ty = self.random.pick(&[
                    Ty::Int,
                    Ty::Int,
                    Ty::Int,
                    Ty::F64,
                    Ty::Usize,
                    Ty::Bool,
                    Ty::Vec,
                    Ty::Pair,
                ]);
                let (place, _) = self.place(ty, true)?;
                let value = self.whole(ty, 1);
                self.form("place = value");
                put!(self, "{place} = {value};");
            }
            6..=8 => {
                let at = self.find(|var| var.ty == Ty::Int && var.writable())?;
                let var = self.vars[at].clone();
                let value = match self.find(|var| var.ty == Ty::Vec && var.readable() && !var.short) {
                    Some(_) => self.place(Ty::Int, false)?.0,
                    None => self.value(Ty::Int, 1),
                };
                self.form("total = total.wrapping_add(v[i])");
                put!(self, "{} = {}.wrapping_add({value}) % 1009;", var.place(), var.read());
            }
            9 | 10 => {
                let at = self.find(|var| {
                    matches!(var.ty, Ty::Vec | Ty::Names | Ty::Grid) && var.writable() && !var.short
                })?;
                let method = self.random.pick(&[
                    "sort()",
                    "reverse()",
                    "swap(0, 1)",
                    "swap(1, 2)",
                    "rotate_left(1)",
                    "sort_unstable()",
                ]);
                self.form(if method.starts_with("swap") { "v.swap(0, 1)" } else { "v.sort()" });
                put!(self, "{}.{method};", self.vars[at].name.clone());
            }
            11 => {
                let at = self.find(|var| var.ty == Ty::Str && var.writable())?;
                let text = self.vars[at].name.clone();
                // A text that is written into itself would double each time.
                self.vars[at].hidden += 1;
                let value = self.whole(Ty::Int, 0);
                let captured =
                    self.find(|var| var.readable() && var.kind == Kind::Local && var.ty == Ty::Int);
                let captured = captured.map_or(String::new(), |at| format!(" {{{}}}", self.vars[at].name));
                self.vars[at].hidden -= 1;
                self.form("write!(text, ..)");
                put!(self, "write!({text}, \"{{}}{captured}\", {value}).unwrap();");
            }
            12 => {
                let (format, arguments) = self.shown(3);
                let name = self.fresh("line");
                self.form("format!(..)");
                put!(self, "let {name} = format!(\"{format}\"{arguments});");
                self.local(name, Ty::Str, false);
            }
            13 | 14 => {
                let (format, arguments) = self.shown(3);
                self.form("note(&format!(..))");
                put!(self, "note(&format!(\"{format}\"{arguments}));");
            }
            15 => {
                let at = self.find(|var| {
                    var.readable()
                        && var.hidden + var.frozen + var.pinned == 0
                        && var.kind == Kind::Local
                        && var.ty != Ty::Closure
                })?;
                let var = self.vars[at].clone();
                let value = if var.ty.is_copy() { var.read() } else { var.cloned() };
                let mutable = self.random.percent(60);
                self.form("let v = v.clone()");
                put!(self, "let {}{} = {value};", if mutable { "mut " } else { "" }, var.name);
                let new = self.local(var.name, var.ty, mutable);
                self.vars[new].short = var.short;
            }
            16 => {
                let at = self
                    .which(|var| {
                        matches!(var.ty, Ty::Vec | Ty::Names | Ty::Grid | Ty::BTreeMap) && var.readable()
                    })
                    .into_iter()
                    .find(|at| self.movable(&self.vars[*at]))?;
                let var = self.vars[at].clone();
                let name = self.fresh("moved");
                self.form("let w = v");
                put!(self, "let mut {name} = {};", var.name);
                self.vars[at].moved = true;
                let new = self.local(name, var.ty, true);
                self.vars[new].short = var.short;
            }
            17 | 25 | 26 => self.move_and_assign()?,
            18 => {
                let at = self.find(|var| var.ty == Ty::Vec && var.replaceable() && !var.short)?;
                let var = self.vars[at].clone();
                let name = self.fresh("taken");
                self.form("mem::take");
                put!(self, "let {name} = std::mem::take({});", var.borrowed_mut());
                put!(self, "{}.resize(3, {});", var.name, self.random.below(9));
                let new = self.local(name, Ty::Vec, false);
                self.vars[new].short = var.short;
            }
            19 | 27 => self.swap()?,
            20 | 21 | 28 => {
                let result = self.result;
                let helper = self.pick_function(|f| {
                    !f.concurrent && f.result == result && matches!(f.result, Ty::Res | Ty::Opt)
                })?;
                let call = self.call(&helper, 1);
                let name = self.fresh("checked");
                self.form("? on an ordinary call");
                put!(self, "let {name} = {call}?;");
                self.local(name, Ty::Int, false);
            }
            22 => {
                let at = self.find(|var| {
                    matches!(var.ty, Ty::Deque | Ty::HashMap | Ty::BTreeMap | Ty::Set) && var.writable()
                })?;
                let (name, ty) = (self.vars[at].name.clone(), self.vars[at].ty);
                let (key, value) = (self.whole(Ty::Int, 0), self.whole(Ty::Int, 1));
                self.form("collection changed by an ordinary statement");
                let line = match ty {
                    Ty::Deque if self.random.percent(50) => format!("{name}.pop_front();"),
                    Ty::Deque => format!("{name}.push_back({value});"),
                    Ty::Set if self.random.percent(50) => format!("{name}.remove(&({value}));"),
                    Ty::Set => format!("{name}.insert({value});"),
                    _ if self.random.percent(40) => format!("{name}.remove(&({key}));"),
                    _ => format!("{name}.insert({key}, {value});"),
                };
                self.line(line);
            }
            23 => {
                if !self.self_is_free(true) {
                    return None;
                }
                let value = self.whole(Ty::Int, 1);
                self.form("method that changes self");
                put!(self, "self.bump({value});");
            }
            24 => {
                let at = self.find(|var| var.ty == Ty::Vec && var.readable())?;
                let name = self.fresh("first");
                self.form("v.first()");
                put!(
                    self,
                    "let mut {name} = {}.{}().copied().unwrap_or(0);",
                    self.vars[at].name.clone(),
                    self.random.pick(&["first", "last"])
                );
                self.local(name, Ty::Int, true);
            }
            _ => self.call_synchronized()?,
        }
        Some(())
    }

    fn swap(&mut self) -> Option<()> {
        let ty = self.random.pick(&[Ty::Vec, Ty::Int, Ty::Str, Ty::Grid]);
        let both = self.which(|var| var.ty == ty && var.replaceable() && !var.short);
        let (a, b) = (self.vars[*both.first()?].clone(), self.vars[*both.last()?].clone());
        if a.id == b.id {
            let value = self.literal(ty);
            self.form("mem::replace");
            put!(self, "let _ = std::mem::replace({}, {value});", a.borrowed_mut());
        } else {
            self.form("mem::swap");
            put!(self, "std::mem::swap({}, {});", a.borrowed_mut(), b.borrowed_mut());
        }
        Some(())
    }

    /// A call of another synchronized function, which must have finished all of its own by then.
    fn call_synchronized(&mut self) -> Option<()> {
        if self.callable.is_empty() || !self.loops.is_empty() || self.calls_left < 12 {
            return None;
        }
        let Synchronized { name, parameters, result } = self.random.pick(&self.callable);
        let mut arguments = Vec::new();
        let mut used: Vec<usize> = Vec::new();
        for (ty, kind) in parameters {
            // Others may not read what an argument before them has borrowed.
            let argument = if kind == Kind::MutRef {
                let ids = used.clone();
                match self.find(|var| {
                    var.ty == ty.owned()
                        && var.writable()
                        && var.replaceable()
                        && !var.short
                        && !ids.contains(&var.id)
                }) {
                    Some(at) => {
                        used.push(self.vars[at].id);
                        self.vars[at].hidden += 1;
                        self.vars[at].borrowed_mut()
                    }
                    None => format!("&mut {}", self.literal(ty.owned())),
                }
            } else if ty == Ty::Usize {
                "2".into()
            } else {
                self.literal(ty)
            };
            arguments.push(argument);
        }
        for var in &mut self.vars {
            var.hidden -= usize::from(used.contains(&var.id));
        }
        self.calls_left = 0;
        let new = self.fresh("inner");
        self.form("another synchronized function");
        put!(self, "let {new} = {name}({});", arguments.join(", "));
        let at = self.local(new, result, false);
        self.vars[at].short = true;
        Some(())
    }
}
