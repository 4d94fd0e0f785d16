//! Owns the statements that the attribute forks: those whose right side is one call, of a concurrent function or, for
//! comparison, of an ordinary one in the same place.

use super::scope::{Writer, put};
use super::types::Ty;
use super::variables::Function;

#[derive(Clone, Copy)]
enum Form {
    Let,
    LetTyped,
    LetMut,
    Destructure,
    Assign,
    OpAssign,
    Push,
    Insert,
    AddToSet,
    InsertFirst,
    PushBack,
    PushStack,
    Show,
    Store,
    Alone,
    Collect,
    Question,
    QuestionPlace,
    MoveInto,
}

impl Writer {
    pub(crate) fn callee(&mut self) -> Function {
        let concurrent = self.calls_left >= self.times && self.random.percent(78);
        let found = self.pick_function(|f| f.concurrent == concurrent);
        let function = found.unwrap_or_else(|| self.functions[0].clone());
        self.spend(&function, self.times);
        function
    }

    /// One whose result is an `i64`, where there is one.
    pub(crate) fn integer_callee(&mut self) -> Function {
        let calls = self.calls_left >= self.times && self.random.percent(85);
        let found = self.pick_function(|f| f.result == Ty::Int && f.concurrent == calls);
        let Some(function) = found else { return self.callee() };
        self.spend(&function, self.times);
        function
    }

    pub(crate) fn spend(&mut self, function: &Function, times: usize) {
        if function.concurrent {
            self.calls_left = self.calls_left.saturating_sub(times);
        }
    }

    pub(crate) fn note(&mut self, function: &Function, form: &'static str) {
        if function.concurrent {
            self.form(form);
        }
    }

    pub(crate) fn forked(&mut self) {
        if !self.changing.is_empty() && self.random.percent(30) && self.change_list().is_some() {
            return;
        }
        let function = self.callee();
        for _ in 0..4 {
            let ty = function.result;
            let fails = matches!(ty, Ty::Res | Ty::Opt) && ty == self.result;
            let integer = |weight| if ty == Ty::Int { weight } else { 0 };
            let form = self.random.weighted(&[
                (4, Form::Let),
                (1, Form::LetTyped),
                (2, Form::LetMut),
                (if ty == Ty::Pair { 8 } else { 0 }, Form::Destructure),
                (if ty == Ty::Res { 2 } else { 12 }, Form::Assign),
                (
                    if matches!(ty, Ty::Int | Ty::U64 | Ty::Usize | Ty::Bool | Ty::F64) { 5 } else { 0 },
                    Form::OpAssign,
                ),
                (3, Form::Push),
                (integer(3), Form::Insert),
                (integer(3), Form::AddToSet),
                (integer(2), Form::InsertFirst),
                (integer(2), Form::PushBack),
                (integer(2), Form::PushStack),
                (2, Form::Show),
                (integer(2), Form::Store),
                (1, Form::Alone),
                (4, Form::Collect),
                (if fails { 12 } else { 0 }, Form::Question),
                (if fails { 8 } else { 0 }, Form::QuestionPlace),
                (4, Form::MoveInto),
            ]);
            if self.write(&function, form).is_some() {
                return;
            }
        }
        let call = self.call(&function, 1);
        self.note(&function, "f(..);");
        put!(self, "{call};");
    }

    /// None, and nothing written, if there is no place for it.
    fn write(&mut self, function: &Function, form: Form) -> Option<()> {
        let ty = function.result;
        match form {
            Form::Let | Form::LetTyped | Form::LetMut => {
                let call = self.call(function, 2);
                let name = self.name_for(ty);
                let mutable = matches!(form, Form::LetMut);
                self.note(function, if mutable { "let mut x = f(..)" } else { "let x = f(..)" });
                let typed =
                    if matches!(form, Form::LetTyped) { format!(": {}", ty.text()) } else { String::new() };
                put!(self, "let {}{name}{typed} = {call};", if mutable { "mut " } else { "" });
                self.local(name, ty, mutable);
            }
            Form::Destructure => {
                let call = self.call(function, 2);
                let (a, b) = (self.fresh("low"), self.fresh("high"));
                self.note(function, "let (a, b) = f(..)");
                put!(self, "let ({a}, mut {b}) = {call};");
                self.local(a, Ty::Int, false);
                self.local(b, Ty::Int, true);
            }
            Form::Assign => {
                let (place, _) = self.place(ty, true)?;
                let call = self.call(function, 1);
                self.note(function, "place = f(..)");
                put!(self, "{place} = {call};");
            }
            Form::OpAssign => {
                let (place, _) = self.place(ty, true)?;
                let call = self.call(function, 1);
                let operator = match ty {
                    Ty::F64 => self.random.pick(&["+=", "-="]),
                    Ty::Int => self.random.pick(&["+=", "-=", "^=", "|=", "&="]),
                    _ => self.random.pick(&["^=", "|=", "&="]),
                };
                self.note(function, if operator == "+=" { "place += f(..)" } else { "place op= f(..)" });
                put!(self, "{place} {operator} {call};");
            }
            Form::Push => {
                let container = ty.vec_of()?;
                let row = self
                    .find(|var| container == Ty::Vec && var.ty == Ty::Grid && var.writable() && !var.short);
                if let Some(at) = row
                    && self.random.percent(30)
                {
                    // The row is borrowed before the arguments are computed.
                    self.vars[at].hidden += 1;
                    let call = self.call(function, 1);
                    self.vars[at].hidden -= 1;
                    self.note(function, "grid[i].push(f(..))");
                    let name = self.vars[at].name.clone();
                    put!(self, "{name}[{}].push({call});", self.random.below(3));
                    return Some(());
                }
                let at = self.find(|var| var.ty == container && var.writable() && !var.slice)?;
                let call = self.call(function, 1);
                self.note(function, "v.push(f(..))");
                put!(self, "{}.push({call});", self.vars[at].name.clone());
            }
            Form::Insert => {
                let at = self.find(|var| matches!(var.ty, Ty::HashMap | Ty::BTreeMap) && var.writable())?;
                let (key, call) = (self.whole(Ty::Int, 0), self.call(function, 1));
                self.note(function, "map.insert(k, f(..))");
                put!(self, "{}.insert({key}, {call});", self.vars[at].name.clone());
            }
            Form::AddToSet => {
                let at = self.find_or_declare(Ty::Set)?;
                let call = self.call(function, 1);
                self.note(function, "set.insert(f(..))");
                put!(self, "{}.insert({call});", self.vars[at].name.clone());
            }
            Form::InsertFirst => {
                let at = self.find(|var| var.ty == Ty::Vec && var.writable() && !var.slice)?;
                let call = self.call(function, 1);
                self.note(function, "v.insert(0, f(..))");
                put!(self, "{}.insert({}, {call});", self.vars[at].name.clone(), self.random.below(2));
            }
            Form::PushBack => {
                let at = self.find_or_declare(Ty::Deque)?;
                let call = self.call(function, 1);
                self.note(function, "queue.push_back(f(..))");
                let end = if self.random.percent(70) { "back" } else { "front" };
                put!(self, "{}.push_{end}({call});", self.vars[at].name.clone());
            }
            Form::PushStack => {
                let at = self.find_or_declare(Ty::Stack)?;
                let call = self.call(function, 1);
                self.note(function, "stack.push(f(..))");
                put!(self, "{}.push({call});", self.vars[at].name.clone());
            }
            Form::Show => {
                let at = self.find(|var| var.readable() && var.ty != Ty::Closure && var.ty != Ty::HashMap);
                let first = match at {
                    Some(at) if self.random.percent(40) => self.vars[at].borrowed(),
                    _ => self.whole(Ty::Int, 0),
                };
                let call = self.call(function, 1);
                self.note(function, "show(a, f(..))");
                put!(self, "show({first}, {call});");
            }
            Form::Store => {
                let at = self.find(|var| var.ty == Ty::Vec && var.writable() && !var.short)?;
                let target = self.vars[at].borrowed_mut();
                // The target stays borrowed while the other arguments are computed.
                self.vars[at].hidden += 1;
                let (key, call) = (self.whole(Ty::Usize, 0), self.call(function, 1));
                self.vars[at].hidden -= 1;
                self.note(function, "store(&mut v, i, f(..))");
                put!(self, "store({target}, {key}, {call});");
            }
            Form::Alone => {
                let call = self.call(function, 1);
                self.note(function, "f(..);");
                put!(self, "{call};");
            }
            Form::Collect => {
                let (collect, container, short) = self.collect(function)?;
                let replaced =
                    if short { None } else { self.find(|var| var.ty == container && var.replaceable()) };
                if let Some(at) = replaced
                    && self.random.percent(40)
                {
                    self.note(function, "v = ..collect()");
                    put!(self, "{} = {collect};", self.vars[at].place());
                    return Some(());
                }
                let name = self.name_for(container);
                let mutable = self.random.percent(40);
                let word = if mutable { "let mut" } else { "let" };
                let ty = if self.random.percent(75) { "Vec<_>" } else { container.text() };
                self.note(function, "let v: Vec<_> = ..collect()");
                put!(self, "{word} {name}: {ty} = {collect};");
                let at = self.local(name, container, mutable);
                self.vars[at].short = short;
            }
            Form::Question => {
                let call = self.call(function, 2);
                let name = self.name_for(Ty::Int);
                let mutable = self.random.percent(30);
                self.note(function, "let x = f(..)?");
                put!(self, "let {}{name} = {call}?;", if mutable { "mut " } else { "" });
                self.local(name, Ty::Int, mutable);
            }
            Form::QuestionPlace => {
                let (place, _) = self.place(Ty::Int, true)?;
                let call = self.call(function, 1);
                self.note(function, "place = f(..)?");
                put!(self, "{place} = {call}?;");
            }
            Form::MoveInto => self.move_into(function)?,
        }
        Some(())
    }

    pub(crate) fn find_or_declare(&mut self, ty: Ty) -> Option<usize> {
        let found = self.find(|var| var.ty == ty && var.writable());
        if found.is_some() || self.random.percent(50) {
            return found;
        }
        let (name, value) = (self.fresh(ty.names()[0]), self.literal(ty));
        put!(self, "let mut {name} = {value};");
        Some(self.local(name, ty, true))
    }
}
