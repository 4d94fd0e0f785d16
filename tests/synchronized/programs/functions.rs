//! Owns the functions of a program: concurrent and ordinary ones, which only compute, and the synchronized ones, whose
//! statements are written elsewhere.

use super::random::Random;
use super::scope::{Writer, put};
use super::types::Ty;
use super::variables::{Function, Kind, Synchronized};

pub(crate) fn signature(random: &mut Random, name: String, concurrent: bool, result: Option<Ty>) -> Function {
    let result = result.unwrap_or_else(|| {
        random.weighted(&[
            (40, Ty::Int),
            (12, Ty::Pair),
            (10, Ty::F64),
            (10, Ty::Str),
            (10, Ty::Vec),
            (13, Ty::Res),
            (9, Ty::Opt),
            (6, Ty::Usize),
            (5, Ty::Bool),
            (4, Ty::U64),
        ])
    });
    let parameters = (0..random.weighted(&[(50, 1), (35, 2), (15, 3)]))
        .map(|_| {
            random.weighted(&[
                (40, Ty::Int),
                (12, Ty::Usize),
                (3, Ty::U64),
                (3, Ty::Bool),
                (6, Ty::F64),
                (5, Ty::Str),
                (6, Ty::Vec),
                (4, Ty::Pair),
                (3, Ty::Opt),
                (2, Ty::Res),
                (9, Ty::Slice),
                (7, Ty::StrRef),
                (6, Ty::VecRef),
                (3, Ty::PairRef),
            ])
        })
        .collect();
    Function { name, parameters, result, concurrent }
}

/// One number out of a parameter.
fn digest(name: &str, ty: Ty) -> String {
    match ty {
        Ty::Int => name.to_string(),
        Ty::U64 | Ty::Usize | Ty::Bool => format!("({name} as i64)"),
        Ty::F64 => format!("(({name} * 2.0) as i64)"),
        Ty::Str | Ty::StrRef => format!("{name}.bytes().fold(3i64, |a, b| (a * 7 + i64::from(b)) % 1009)"),
        Ty::Vec | Ty::Slice | Ty::VecRef => {
            format!("{name}.iter().fold(5i64, |a, b| a.wrapping_mul(3).wrapping_add(*b) % 1009)")
        }
        Ty::Pair | Ty::PairRef => format!("{name}.0.wrapping_sub({name}.1)"),
        Ty::Opt => format!("{name}.unwrap_or(-1)"),
        _ => format!("{name}.map_or_else(|error| error.len() as i64, |value| value + 1)"),
    }
}

/// A function that only computes, and panics for some arguments if it should.
pub(crate) fn computing(writer: &mut Writer, function: &Function, panics: bool) {
    let parameters: Vec<_> =
        function.parameters.iter().enumerate().map(|(n, ty)| (format!("p{n}"), *ty)).collect();
    if function.concurrent {
        let io = writer.random.percent(85);
        writer.line(if io { "#[xfork::concurrent(io)]" } else { "#[xfork::concurrent]" });
    }
    let list: Vec<_> = parameters.iter().map(|(name, ty)| format!("{name}: {}", ty.text())).collect();
    writer.open(format!("fn {}({}) -> {} {{", function.name, list.join(", "), function.result.text()));
    let mut sum = format!("{}_i64", writer.random.below(20));
    for (name, ty) in &parameters {
        let factor = writer.random.pick(&[2, 3, 5, 7]);
        sum = format!("{sum}.wrapping_mul({factor}).wrapping_add({})", digest(name, *ty));
    }
    writer.line(format!("let a: i64 = {sum} % 1009;"));
    if panics {
        let (modulus, name) = (writer.random.between(4, 9), &function.name);
        let line = match writer.random.below(4) {
            0 => format!("if a % {modulus} == 3 {{ panic!(\"{name} of {{a}}\"); }}"),
            1 => format!("if a % {modulus} == 2 {{ panic!(\"{name} failed\"); }}"),
            2 => format!("assert!(a % {modulus} != 1, \"{name} doesn't take {{a}}\");"),
            _ => format!("let a = a + [4i64, 6, 9][(a.rem_euclid({modulus}) / 2) as usize];"),
        };
        writer.line(line);
    }
    let (n, at) = (writer.random.between(3, 8), writer.random.below(9));
    let result = match function.result {
        Ty::Int => format!("(a * {n} + {at}) % 500"),
        Ty::U64 => format!("a.unsigned_abs() % {}", n * 8),
        Ty::Usize => format!("a.unsigned_abs() as usize % {n}"),
        Ty::Bool => format!("a % {n} > {}", at / 3),
        Ty::F64 => format!("(a % {}) as f64 * 0.5", n * 9),
        Ty::Str => format!("format!(\"{{a}}-{n}\")"),
        Ty::Vec => format!(
            "vec![a; 3 + a.unsigned_abs() as usize % 2].iter().zip({at}..).map(|(a, b)| a + b).collect()"
        ),
        Ty::Pair => format!("(a % {n}, a / {n})"),
        Ty::Opt => format!("if a % {n} == 1 {{ None }} else {{ Some(a - {at}) }}"),
        _ => format!("if a % {n} == 1 {{ Err(format!(\"{{a}} of {n}\")) }} else {{ Ok(a % 90) }}"),
    };
    writer.line(result);
    writer.close("}");
}

pub(crate) const PARAMETERS: [(Ty, Kind); 17] = [
    (Ty::Vec, Kind::MutRef),
    (Ty::Vec, Kind::MutRef),
    (Ty::Slice, Kind::MutRef),
    (Ty::Grid, Kind::MutRef),
    (Ty::Grid, Kind::MutRef),
    (Ty::HashMap, Kind::MutRef),
    (Ty::BTreeMap, Kind::MutRef),
    (Ty::Names, Kind::MutRef),
    (Ty::Floats, Kind::MutRef),
    (Ty::Int, Kind::MutRef),
    (Ty::Point, Kind::MutRef),
    (Ty::Slice, Kind::Ref),
    (Ty::StrRef, Kind::Ref),
    (Ty::Vec, Kind::Local),
    (Ty::Int, Kind::Local),
    (Ty::Str, Kind::Local),
    (Ty::Indexes, Kind::Local),
];

pub(crate) fn synchronized(writer: &mut Writer, name: String, fields: Option<&[(&str, Ty)]>) -> Synchronized {
    let mut parameters: Vec<_> =
        (0..1 + writer.random.below(3)).map(|_| writer.random.pick(&PARAMETERS)).collect();
    let mut result = writer.random.weighted(&[
        (8, Ty::Unit),
        (14, Ty::Int),
        (26, Ty::Str),
        (14, Ty::Vec),
        (4, Ty::Pair),
        (14, Ty::Res),
        (9, Ty::Opt),
        (4, Ty::Grid),
        (3, Ty::Names),
        (4, Ty::Floats),
    ]);
    // Often one for which a concurrent function is of use, by `?` or by `collect()`.
    if writer.random.percent(40) {
        let results: Vec<_> = writer.functions.iter().filter(|f| f.concurrent).map(|f| f.result).collect();
        result = match writer.random.pick(&results) {
            ty @ (Ty::Res | Ty::Opt) => ty,
            ty => ty.vec_of().unwrap_or(result),
        };
    }
    if !writer.changing.is_empty() && writer.random.percent(40) {
        parameters.push((Ty::Tracked, Kind::MutRef));
    }
    writer.vars.clear();
    (writer.labels, writer.times, writer.result, writer.in_method) = (0, 1, result, fields.is_some());
    let mut list = Vec::new();
    if let Some(fields) = fields {
        list.push("&mut self".to_string());
        for (field, ty) in fields {
            writer.add(format!("self.{field}"), *ty, Kind::Field, true);
        }
    }
    for (ty, kind) in &parameters {
        let base = ty.names()[0];
        let name = writer.fresh(base);
        let mutable = *kind == Kind::MutRef || (*kind == Kind::Local && writer.random.percent(60));
        let (prefix, text) = match kind {
            Kind::MutRef if *ty == Ty::Slice => ("", "&mut [i64]".to_string()),
            Kind::MutRef => ("", format!("&mut {}", ty.text())),
            _ if *kind == Kind::Local && mutable => ("mut ", ty.text().to_string()),
            _ => ("", ty.text().to_string()),
        };
        list.push(format!("{prefix}{name}: {text}"));
        writer.add(name, *ty, *kind, mutable);
    }
    if writer.random.percent(50) {
        list.push("n: usize".into());
        parameters.push((Ty::Usize, Kind::Local));
        let n = writer.local("n", Ty::Usize, false);
        // Loops count on it, and on its name.
        writer.vars[n].frozen += 1;
    }
    let arrow = if result == Ty::Unit { String::new() } else { format!(" -> {}", result.text()) };
    writer.line("#[xfork::synchronized]");
    writer.open(format!("fn {name}({}){arrow} {{", list.join(", ")));
    if result.element().is_some() {
        writer.declare(Some(result));
    }
    for _ in 0..1 + writer.random.below(2) {
        writer.declare(None);
    }
    writer.forked();
    let count = 2 + writer.random.below(5);
    writer.statements(count, 0);
    if result != Ty::Str && writer.random.percent(45) {
        let all = writer.summary();
        writer.form("everything shown at the end");
        put!(writer, "note(&{all});");
    }
    writer.give(false);
    writer.close("}");
    Synchronized { name, parameters, result }
}

impl Writer {
    /// The value of the function: its last expression, or a `return`.
    pub(crate) fn give(&mut self, early: bool) {
        let value = self.given(early);
        match (early, self.result) {
            (true, Ty::Unit) => self.line("return;"),
            (true, _) => put!(self, "return {value};"),
            (false, Ty::Unit) => {}
            (false, _) => self.line(value),
        }
    }

    /// A text of everything that can be read here.
    fn summary(&self) -> String {
        let seen: Vec<_> = self.vars.iter().filter(|var| var.readable() && var.ty != Ty::Closure).collect();
        let formats = vec!["{:?}"; seen.len()].join(" ");
        let shown: String = seen.iter().map(|var| format!(", {}", var.shown())).collect();
        format!("format!(\"{formats}\"{shown})")
    }

    fn given(&mut self, early: bool) -> String {
        let result = self.result;
        if result.element().is_some() && self.random.percent(if early { 75 } else { 45 }) {
            let calls = self.calls_left >= self.times * 4;
            let function =
                self.pick_function(|f| f.result.vec_of() == Some(result) && (calls || !f.concurrent));
            if let Some(function) = function
                && let Some((collect, _, _)) = self.collect(&function)
            {
                if function.concurrent {
                    self.form(if early { "return ..collect()" } else { "..collect() as the value" });
                }
                return collect;
            }
        }
        match result {
            Ty::Str if !early => self.summary(),
            Ty::Res if early && self.random.percent(50) => "Err(format!(\"early\"))".into(),
            Ty::Res => format!("Ok({})", self.whole(Ty::Int, 2)),
            Ty::Opt => format!("Some({})", self.whole(Ty::Int, 2)),
            _ => {
                let moved = self.which(|var| {
                    var.ty == result
                        && var.kind == Kind::Local
                        && var.readable()
                        && var.frozen + var.pinned == 0
                });
                match moved.last() {
                    Some(at) if !result.is_copy() => self.vars[*at].name.clone(),
                    _ => self.whole(result, 2),
                }
            }
        }
    }
}
