//! Owns calls and their arguments, and format strings with theirs. Promises that arguments only read, so that they can
//! stand beside anything that isn't borrowed mutably.

use super::scope::Writer;
use super::types::Ty;
use super::variables::{Function, Kind};

impl Writer {
    /// The inside of a format string and the arguments behind it, about some of the variables in scope.
    pub(crate) fn shown(&mut self, most: usize) -> (String, String) {
        let (mut format, mut arguments) = (String::new(), String::new());
        for _ in 0..1 + self.random.below(most) {
            if !format.is_empty() {
                format.push(' ');
            }
            let found = self.find(|var| var.readable() && var.ty != Ty::Closure);
            match found {
                Some(at) if self.random.percent(60) => {
                    let var = self.vars[at].clone();
                    let plain = matches!(var.ty, Ty::Int | Ty::Usize | Ty::U64 | Ty::Bool | Ty::Str);
                    if var.kind == Kind::Field || var.ty == Ty::HashMap {
                        format.push_str("{:?}");
                        arguments.push_str(&format!(", {}", var.shown()));
                    } else {
                        self.form("captured name in a format string");
                        format.push_str(&format!("{{{}{}}}", var.name, if plain { "" } else { ":?" }));
                    }
                }
                _ => {
                    format.push_str("{}");
                    let value = self.whole(Ty::Int, 0);
                    arguments.push_str(&format!(", {value}"));
                }
            }
        }
        (format, arguments)
    }

    pub(crate) fn pick_function(&mut self, test: impl Fn(&Function) -> bool) -> Option<Function> {
        let found: Vec<_> = self.functions.iter().filter(|f| test(f)).cloned().collect();
        (!found.is_empty()).then(|| self.random.pick(&found))
    }

    pub(crate) fn call(&mut self, function: &Function, depth: usize) -> String {
        let arguments: Vec<_> = function.parameters.iter().map(|ty| self.argument(*ty, depth)).collect();
        format!("{}({})", function.name, arguments.join(", "))
    }

    pub(crate) fn argument(&mut self, ty: Ty, depth: usize) -> String {
        if ty.owned() == ty {
            return self.whole(ty, depth);
        }
        let vec_only = ty == Ty::VecRef;
        let found = self.find(|var| var.readable() && var.ty == ty.owned() && !(vec_only && var.slice));
        match found {
            Some(at) if self.random.percent(80) => {
                let var = self.vars[at].clone();
                match ty {
                    Ty::Slice if !var.short && self.random.percent(30) => {
                        let range = self.random.pick(&["[..]", "[1..]", "[..2]", "[1..=2]"]);
                        format!("&{}{range}", var.name)
                    }
                    _ => var.borrowed(),
                }
            }
            _ => {
                let element = match ty {
                    Ty::Slice | Ty::VecRef => self.find(|var| var.readable() && var.ty == Ty::Grid),
                    Ty::StrRef => self.find(|var| var.readable() && var.ty == Ty::Names),
                    _ => self.find(|var| var.readable() && var.ty == Ty::Pairs),
                };
                match element {
                    Some(at) if !self.vars[at].short => {
                        let index = self.index(at, false);
                        format!("&{}[{index}]", self.vars[at].name)
                    }
                    _ => self.literal(ty),
                }
            }
        }
    }
}
