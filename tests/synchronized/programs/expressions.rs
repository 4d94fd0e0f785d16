//! Owns expressions: values of each type, indexes and places. Promises that they compile where they are
//! written, change nothing but what `next` counts, keep numbers small, and, in a program without panics, don't panic.

use super::scope::Writer;
use super::types::{Ty, literal};
use super::variables::{Bound, Kind};

/// Without the parentheses that are needed only within an expression.
pub(crate) fn bare(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return text };
    let mut depth = 0;
    for c in inner.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            ',' if depth == 0 => return text,
            _ => 0,
        };
        if depth < 0 {
            return text;
        }
    }
    if depth == 0 { inner } else { text }
}

#[derive(Clone, Copy)]
enum Path {
    Whole,
    Element,
    Cell,
    Part(&'static str),
}

impl Writer {
    pub(crate) fn literal(&mut self, ty: Ty) -> String {
        literal(&mut self.random, ty)
    }

    /// Where a value of this type lies: to be read, or to be assigned. The second part is the variable.
    pub(crate) fn place(&mut self, ty: Ty, write: bool) -> Option<(String, usize)> {
        let mut found = Vec::new();
        for at in self.which(|var| if write { var.writable() } else { var.readable() }) {
            let var = &self.vars[at];
            let row = !var.short && (!write || var.kind != Kind::Ref);
            if var.ty == ty && (if write { var.replaceable() } else { !var.short }) {
                found.push((at, Path::Whole));
            }
            if row && var.ty.element() == Some(ty) {
                found.extend([(at, Path::Element); 3]);
            }
            if row && var.ty == Ty::Grid && ty == Ty::Int {
                found.extend([(at, Path::Cell); 3]);
            }
            if ty == Ty::Int && var.ty == Ty::Point {
                found.extend([(at, Path::Part("x")), (at, Path::Part("y"))]);
            }
            if ty == Ty::Int && var.ty == Ty::Pair {
                found.extend([(at, Path::Part("0")), (at, Path::Part("1"))]);
            }
        }
        if found.is_empty() {
            return None;
        }
        let (at, path) = self.random.pick(&found);
        let name = self.vars[at].name.clone();
        let text = match path {
            Path::Whole if write => self.vars[at].place(),
            Path::Whole if ty.is_copy() => self.vars[at].read(),
            Path::Whole => name,
            Path::Element => {
                // To assign, a `Vec` is borrowed before the index is computed; a slice is not.
                let borrowed = usize::from(write && !self.vars[at].slice);
                self.vars[at].hidden += borrowed;
                let index = self.index(at, write);
                self.vars[at].hidden -= borrowed;
                format!("{name}[{index}]")
            }
            Path::Cell => {
                self.vars[at].hidden += usize::from(write);
                let row = self.index(at, write);
                let column = self.index_below_three(write);
                self.vars[at].hidden -= usize::from(write);
                format!("{name}[{row}][{column}]")
            }
            Path::Part(part) => format!("{name}.{part}"),
        };
        if write {
            let kind = self.vars[at].kind;
            self.form(match (path, kind) {
                (Path::Whole, Kind::MutRef) => "place *r",
                (_, Kind::Field) => "place self.field",
                (Path::Whole, _) => "place x",
                (Path::Element, _) => "place v[i]",
                (Path::Cell, _) => "place grid[i][j]",
                (Path::Part(_), _) => "place point.x",
            });
        }
        Some((text, at))
    }

    pub(crate) fn index(&mut self, at: usize, write: bool) -> String {
        let id = self.vars[at].id;
        let name = self.vars[at].name.clone();
        if let Some(bounded) = self.find(|var| var.bound == Bound::Length(id) && var.readable())
            && self.random.percent(60)
        {
            let i = self.vars[bounded].name.clone();
            // What stands before, where there is something before.
            return if self.random.percent(20) { format!("{i}.saturating_sub(1)") } else { i };
        }
        if self.vars[at].hidden == 0 && self.random.percent(15) {
            let usize = self.value(Ty::Usize, 0);
            return self.random.pick(&[format!("{usize} % {name}.len()"), format!("{name}.len() - 1")]);
        }
        self.index_below_three(write)
    }

    fn index_below_three(&mut self, write: bool) -> String {
        if self.panics && self.random.percent(12) {
            let value = self.value(Ty::Usize, 1);
            return bare(&value).to_string();
        }
        let small = self.find(|var| var.bound == Bound::Small && var.readable());
        match (self.random.below(20), small) {
            (0..12, Some(at)) => self.vars[at].read(),
            (12 | 13, _) => {
                let value = self.value(Ty::Int, 1);
                format!("{value}.rem_euclid(3) as usize")
            }
            (14, _) => {
                let value = self.value(Ty::Usize, 1);
                format!("{value} % 3")
            }
            (15 | 16, _) if write => {
                let counter =
                    self.find(|var| var.ty == Ty::Usize && var.writable() && var.bound == Bound::None);
                let Some(at) = counter else { return "1".into() };
                self.form("index that counts");
                format!("next({}) % 3", self.vars[at].borrowed_mut())
            }
            (17, _) if write => {
                self.form("index that logs");
                format!("tick({})", self.random.below(3))
            }
            (18, _) => match self.place(Ty::Usize, false) {
                Some((place, _)) => format!("{place} % 3"),
                None => "0".into(),
            },
            _ => self.random.below(3).to_string(),
        }
    }

    /// A value, in parentheses where it needs them to be an operand or a receiver.
    pub(crate) fn value(&mut self, ty: Ty, depth: usize) -> String {
        if depth > 0 && self.random.percent(15) {
            let helper = self.pick_function(|f| !f.concurrent && f.result == ty);
            if let Some(helper) = helper {
                self.form("ordinary call in an expression");
                return self.call(&helper, 0);
            }
        }
        let place = if self.random.percent(if ty == Ty::Int { 50 } else { 65 }) {
            self.place(ty, false)
        } else {
            None
        };
        if let Some((text, at)) = place {
            return match text {
                text if ty.is_copy() => text,
                text if text.contains('[') => format!("{text}.clone()"),
                _ => self.vars[at].cloned(),
            };
        }
        let composite = match ty {
            Ty::Int => self.integer(depth),
            Ty::Usize => self.size(depth),
            Ty::Bool if depth > 0 => Some(format!("({})", self.condition())),
            Ty::F64 if depth > 0 => {
                Some(format!("({} * 0.5 + {})", self.value(Ty::F64, 0), self.value(Ty::F64, depth - 1)))
            }
            Ty::Str if depth > 0 => {
                let (format, arguments) = self.shown(2);
                Some(format!("format!(\"{format}\"{arguments})"))
            }
            Ty::Pair if depth > 0 => {
                Some(format!("({}, {})", self.whole(Ty::Int, depth - 1), self.whole(Ty::Int, 0)))
            }
            Ty::Opt if depth > 0 => {
                let vec = self.find(|var| var.ty == Ty::Vec && var.readable());
                match vec {
                    Some(at) if self.random.percent(50) => {
                        Some(format!("{}.last().copied()", self.vars[at].name))
                    }
                    _ => Some(format!("Some({})", self.whole(Ty::Int, depth - 1))),
                }
            }
            Ty::Res if depth > 0 => Some(format!("Ok::<i64, String>({})", self.whole(Ty::Int, depth - 1))),
            Ty::Vec if depth > 0 => Some(format!(
                "vec![{}, {}, {}]",
                self.whole(Ty::Int, 0),
                self.whole(Ty::Int, 0),
                self.whole(Ty::Int, 0)
            )),
            Ty::Point => {
                Some(format!("Point {{ x: {}, y: {} }}", self.whole(Ty::Int, 0), self.whole(Ty::Int, 0)))
            }
            _ => None,
        };
        composite.unwrap_or_else(|| self.literal(ty))
    }

    /// A value that is nothing's operand.
    pub(crate) fn whole(&mut self, ty: Ty, depth: usize) -> String {
        let value = self.value(ty, depth);
        if ty == Ty::Pair { value } else { bare(&value).to_string() }
    }

    fn integer(&mut self, depth: usize) -> Option<String> {
        if depth > 0 && self.random.percent(45) {
            let (a, b) = (self.value(Ty::Int, depth - 1), self.whole(Ty::Int, depth - 1));
            return Some(match self.random.below(5) {
                0 | 1 => format!("({a}.wrapping_add({b}) % 1009)"),
                2 => format!("({a}.wrapping_mul({b}) % 1009)"),
                3 => format!("({a}.wrapping_sub({b}) % 1009)"),
                _ if self.random.percent(50) => format!("{a}.max({b})"),
                _ => format!("(if {} {{ {a} }} else {{ {b} }})", self.condition()),
            });
        }
        if self.random.percent(5) && self.self_is_free(false) {
            self.form("method that reads self");
            return Some("self.sum()".into());
        }
        if self.random.percent(8) {
            // A call that is the whole argument could be forked itself, if it were one of a marked function.
            let is_call = self.random.percent(50);
            self.form(if is_call { "reads the log by a call" } else { "reads the log" });
            return Some(if is_call { "noted()" } else { "(logged() as i64)" }.into());
        }
        let at =
            self.find(|var| var.readable() && (!var.ty.is_copy() || matches!(var.ty, Ty::Usize | Ty::Opt)))?;
        let var = self.vars[at].clone();
        let name = &var.name;
        let n = self.random.below(6);
        Some(match var.ty {
            Ty::Usize => format!("({} as i64)", var.read()),
            Ty::Opt => format!("{}.unwrap_or({n})", var.read()),
            Ty::Res => format!("{name}.clone().unwrap_or({n})"),
            Ty::HashMap | Ty::BTreeMap if n < 4 => format!("{name}.get(&{n}).copied().unwrap_or(-1)"),
            Ty::Deque if n < 3 => format!("{name}.front().copied().unwrap_or({n})"),
            Ty::Set if n < 3 => format!("i64::from({name}.contains(&{n}))"),
            Ty::Vec if n < 2 => format!("({name}.iter().sum::<i64>() % 1009)"),
            Ty::Vec | Ty::Stack if n < 4 => format!("{name}.iter().copied().max().unwrap_or(0)"),
            Ty::Closure => format!("{name}({})", self.random.below(3)),
            _ => format!("({name}.len() as i64)"),
        })
    }

    fn size(&mut self, depth: usize) -> Option<String> {
        if depth > 0 && self.random.percent(30) {
            let (a, b) = (self.value(Ty::Usize, 0), self.value(Ty::Usize, depth - 1));
            return Some(format!("(({a} + {b}) % 60)"));
        }
        let at =
            self.find(|var| var.readable() && !var.ty.is_copy() && !matches!(var.ty, Ty::Closure | Ty::Res))?;
        Some(format!("{}.len()", self.vars[at].name))
    }

    pub(crate) fn condition(&mut self) -> String {
        let n = self.random.below(6);
        let sized = self.find(|var| {
            var.readable() && !var.ty.is_copy() && !matches!(var.ty, Ty::Closure | Ty::Res | Ty::Str)
        });
        match (self.random.below(10), sized) {
            (0, _) => self.value(Ty::Bool, 0),
            (1, Some(at)) => format!("{}.len() > {n}", self.vars[at].name),
            (2, Some(at)) => format!("!{}.is_empty()", self.vars[at].name),
            (3, _) => format!("matches!({}, 2..=9)", self.value(Ty::Int, 0)),
            (4, _) => format!("{} == {}", self.value(Ty::Usize, 0), self.value(Ty::Usize, 0)),
            (5, _) => {
                let opt = self.value(Ty::Opt, 0);
                format!("{opt}.is_some()")
            }
            (6 | 7, _) => format!("{} % {} == 0", self.value(Ty::Int, 0), self.random.between(2, 4)),
            _ => format!(
                "{} {} {}",
                self.value(Ty::Int, 0),
                self.random.pick(&["<", ">", ">="]),
                self.value(Ty::Int, 0)
            ),
        }
    }
}
