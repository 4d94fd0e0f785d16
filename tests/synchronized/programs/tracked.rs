//! Owns functions that change a `Tracked` list by index, and the statements that call them or use such a list. Promises that a
//! list has three elements or more.

use super::scope::{Writer, put};
use super::types::Ty;
use super::variables::Kind;

const LIST: &str = "xfork::Tracked<Vec<i64>>";

/// Functions of one signature, concurrent ones and, for comparison, an ordinary one.
pub(crate) fn changing(writer: &mut Writer) {
    for n in 0..2 + writer.random.below(2) {
        let is_concurrent = n < 2 || writer.random.percent(50);
        if is_concurrent {
            let io = writer.random.percent(75);
            writer.line(if io { "#[xfork::concurrent(io)]" } else { "#[xfork::concurrent]" });
        }
        let name = format!("t{n}");
        writer.open(format!("fn {name}(at: usize, by: i64, list: &mut {LIST}) -> i64 {{"));
        if writer.panics && writer.random.percent(40) {
            put!(writer, "assert!(list[at] % {} != 1, \"{name} of {{by}}\");", writer.random.between(3, 7));
        }
        let lines: &[&str] = match writer.random.below(20) {
            0..5 => &["list[at] = by % 100;", "by % 7"],
            5..9 => &["list[at] = list[at].wrapping_add(by) % 1009;", "list[at]"],
            9..12 => {
                &["let next = list[(at + 1) % 3];", "list.set(at, next.wrapping_sub(by) % 500);", "next"]
            }
            12..15 => &["if list[at] > by { list[2 - at] = by % 90; }", "list.len() as i64"],
            15..17 => &[
                "list[at] = list.iter().fold(1i64, |a, b| a.wrapping_mul(3).wrapping_add(*b) % 1009);",
                "by % 3",
            ],
            17 => &["if list.len() < 9 { list.push(by % 50); }", "list[at]"],
            18 => {
                &["if let Some(value) = list.get_mut(at) { *value ^= 5; }", "list.get(9).map_or(0, |n| *n)"]
            }
            _ => &["list.swap(0, at);", "list[0]"],
        };
        lines.iter().for_each(|line| writer.line(line));
        writer.close("}");
        writer.changing.push((name, is_concurrent));
    }
}

impl Writer {
    /// A call that changes a list; none, and nothing written, if there is none to be changed.
    pub(crate) fn change_list(&mut self) -> Option<()> {
        let at = self.list()?;
        let (name, is_concurrent) = self.random.pick(&self.changing.clone());
        if is_concurrent {
            if self.calls_left < self.times {
                return None;
            }
            self.calls_left -= self.times;
        }
        let list = self.vars[at].clone();
        // The other arguments come before it, and may read it.
        let (index, by) = (self.list_index(), self.whole(Ty::Int, 1));
        let argument = match list.kind {
            Kind::MutRef if self.random.percent(60) => list.name.clone(),
            _ => list.borrowed_mut(),
        };
        let call = format!("{name}({index}, {by}, {argument})");
        let form = match self.random.below(10) {
            0..5 => {
                put!(self, "{call};");
                "f(.., &mut tracked);"
            }
            5..7 => {
                let name = self.name_for(Ty::Int);
                put!(self, "let {name} = {call};");
                // What it shadows is no list.
                self.local(name, Ty::Int, false);
                "let x = f(.., &mut tracked)"
            }
            _ => {
                self.vars[at].hidden += 1;
                let place = self.place(Ty::Int, true);
                self.vars[at].hidden -= 1;
                put!(self, "{} = {call};", place?.0);
                "place = f(.., &mut tracked)"
            }
        };
        if is_concurrent {
            self.form(form);
        }
        Some(())
    }

    /// A statement that uses a list.
    pub(crate) fn use_list(&mut self) -> Option<()> {
        let at = self.list()?;
        let name = self.vars[at].name.clone();
        let index = self.list_index();
        match self.random.below(4) {
            0 => {
                let new = self.fresh("element");
                self.form("tracked[i]");
                put!(self, "let {new} = {name}[{index}];");
                self.local(new, Ty::Int, false);
            }
            1 => {
                let value = self.whole(Ty::Int, 1);
                self.form("tracked[i] = value");
                put!(self, "{name}[{index}] = {value};");
            }
            2 => {
                let function = self.integer_callee();
                if function.result != Ty::Int {
                    return None;
                }
                let call = self.call(&function, 1);
                self.note(&function, "tracked[i] = f(..)");
                put!(self, "{name}[{index}] = {call};");
            }
            _ => {
                let new = self.fresh("all");
                self.form("tracked read as a whole");
                put!(self, "let {new} = {name}.iter().sum::<i64>();");
                self.local(new, Ty::Int, false);
            }
        }
        Some(())
    }

    /// A list that can be changed; a new one if there is none, or now and then.
    fn list(&mut self) -> Option<usize> {
        if self.changing.is_empty() {
            return None;
        }
        let found = self.find(|var| var.ty == Ty::Tracked && var.writable());
        if found.is_some() && self.random.percent(92) {
            return found;
        }
        let (name, value) = (self.fresh("list"), self.literal(Ty::Tracked));
        put!(self, "let mut {name} = {value};");
        Some(self.local(name, Ty::Tracked, true))
    }

    fn list_index(&mut self) -> String {
        match self.find(|var| var.readable() && var.ty == Ty::Usize && var.kind == Kind::Local) {
            Some(at) if self.random.percent(60) => format!("{} % 3", self.vars[at].name),
            _ => self.random.below(3).to_string(),
        }
    }
}
