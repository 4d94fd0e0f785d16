//! Owns the calls to or from which whole collections go: `collect()` of a call for each element, variables that are moved
//! or taken away by a call, and those that are assigned again after that.

use super::expressions::bare;
use super::scope::{Writer, put};
use super::types::Ty;
use super::variables::Function;

impl Writer {
    /// A call that takes a variable's value away, or what `mem::take` leaves of it.
    pub(crate) fn move_into(&mut self, function: &Function) -> Option<()> {
        let first = function.parameters.iter().position(|ty| *ty == Ty::Vec || *ty == Ty::Str)?;
        let ty = function.parameters[first];
        let taken = self.find(|var| var.ty == ty && ty == Ty::Vec && var.replaceable() && !var.short);
        let moved = self.which(|var| var.ty == ty).into_iter().find(|at| self.movable(&self.vars[*at]));
        let take = taken.filter(|_| moved.is_none() || self.random.percent(50));
        let at = take.or(moved)?;
        let (name, target) = (self.vars[at].name.clone(), self.vars[at].borrowed_mut());
        // Whatever the order of the arguments, no other reads what is taken.
        self.vars[at].hidden += 1;
        let arguments: Vec<_> = function
            .parameters
            .iter()
            .enumerate()
            .map(|(place, ty)| match (place == first, take) {
                (true, Some(_)) => format!("std::mem::take({target})"),
                (true, None) => name.clone(),
                (false, _) => self.argument(*ty, 0),
            })
            .collect();
        self.vars[at].hidden -= 1;
        let call = format!("{}({})", function.name, arguments.join(", "));
        let new = self.fresh("given");
        put!(self, "let {new} = {call};");
        if take.is_some() {
            self.note(function, "f(mem::take(&mut v))");
            put!(self, "{name}.resize(3, {});", self.random.below(9));
        } else {
            self.note(function, "f(v), moved");
            self.vars[at].moved = true;
        }
        self.local(new, function.result, false);
        Some(())
    }

    /// `xs.iter().map(|x| f(*x)).collect()`, what it gives, and whether that may have fewer than three elements.
    pub(crate) fn collect(&mut self, function: &Function) -> Option<(String, Ty, bool)> {
        let container = function.result.vec_of()?;
        let first = *function.parameters.first()?;
        // Other arguments are beyond the plain form, and rarer.
        if function.parameters.len() > 1 && self.random.percent(40) {
            return None;
        }
        let source = match first {
            Ty::Slice | Ty::VecRef => Ty::Grid,
            Ty::StrRef => Ty::Names,
            Ty::PairRef => Ty::Pairs,
            other => other.vec_of().unwrap_or(Ty::Unit),
        };
        let over = self.find(|var| var.readable() && var.ty == source);
        let ranged = matches!(first, Ty::Int | Ty::Usize | Ty::U64);
        let rest = |writer: &mut Self| -> String {
            function.parameters[1..].iter().map(|ty| format!(", {}", writer.argument(*ty, 0))).collect()
        };
        let (iterator, parameter, argument, short) = match over {
            Some(at) if !ranged || self.random.percent(50) => {
                let name = self.vars[at].name.clone();
                let short = self.vars[at].short;
                let x = self.fresh("x");
                if first.is_copy() && self.random.percent(30) {
                    (format!("{name}.iter().copied()"), x.clone(), x, short)
                } else if first.is_copy() && self.random.percent(15) {
                    (format!("{name}.iter()"), format!("&{x}"), x, short)
                } else {
                    let argument = match first {
                        _ if first.is_copy() => format!("*{x}"),
                        _ if first.owned() != first => x.clone(),
                        _ => format!("{x}.clone()"),
                    };
                    (format!("{name}.iter()"), x, argument, short)
                }
            }
            _ if ranged => {
                let i = self.fresh("i");
                let low = self.random.below(2);
                let bound = self.find(|var| var.readable() && var.ty == Ty::Usize && var.name == "n");
                match bound {
                    Some(_) if first == Ty::Usize && self.random.percent(60) => {
                        ("(0..n)".into(), i.clone(), i, true)
                    }
                    _ => (format!("({low}..{})", low + 3 + self.random.below(2)), i.clone(), i, false),
                }
            }
            _ => return None,
        };
        let rest = rest(self);
        if function.concurrent && self.calls_left < self.times * 4 {
            return None;
        }
        self.spend(function, self.times * 3);
        Some((
            format!("{iterator}.map(|{parameter}| {}({argument}{rest})).collect()", function.name),
            container,
            short,
        ))
    }

    /// Assigns a moved variable again, by a call if there is one for it.
    pub(crate) fn move_and_assign(&mut self) -> Option<()> {
        let found = self
            .which(|var| matches!(var.ty, Ty::Vec | Ty::Str | Ty::Names) && var.mutable && !var.short)
            .into_iter()
            .find(|at| self.movable(&self.vars[*at]));
        let at = match found {
            Some(at) => at,
            None => {
                let ty = self.pick_function(|f| matches!(f.result, Ty::Vec | Ty::Str))?.result;
                self.find_or_declare(ty).filter(|at| self.movable(&self.vars[*at]))?
            }
        };
        let (name, ty) = (self.vars[at].name.clone(), self.vars[at].ty);
        let new = self.fresh("old");
        put!(self, "let {new} = {name};");
        self.vars[at].moved = true;
        self.local(new, ty, false);
        let (calls_left, times) = (self.calls_left, self.times);
        let function = self.pick_function(|f| f.result == ty && (!f.concurrent || calls_left >= times));
        let value = match function {
            Some(function) => {
                self.spend(&function, times);
                self.note(&function, "assigned again after a move");
                self.call(&function, 1)
            }
            None => bare(&self.literal(ty)).to_string(),
        };
        put!(self, "{name} = {value};");
        self.vars[at].moved = false;
        Some(())
    }
}
