//! Owns random programs in the language of `#[xfork::synchronized]`: concurrent functions, ordinary ones, and synchronized
//! ones whose statements call both. Promises that a seed always gives the same program, that it compiles, ends soon, and
//! depends on nothing but itself; that with and without the attributes it is the same but for their lines; and that
//! `run()` of its module gives all that can be observed of it. It leaves out what the attributes refuse, concurrent calls
//! in places that they leave alone, and side effects of concurrent functions.
//!
//! A program that panics shows only the panic's message and what was finished before: what a function leaves behind
//! half-done isn't compared.

mod borrowed;
mod calls;
mod control;
mod expressions;
mod forked;
mod functions;
mod loops;
mod moved;
mod ordinary;
mod random;
mod scope;
mod tracked;
mod types;
mod variables;

use std::collections::BTreeSet;

use functions::{computing, signature, synchronized};
use random::Random;
use scope::Writer;
use tracked::changing;
use types::{Ty, literal};
use variables::{Function, Kind, Synchronized};

/// A random program.
pub(crate) struct Program {
    /// The text of a module body.
    pub(crate) source: String,
    /// The forms of statements that occur in it, so that a test can say whether all of them were tried.
    pub(crate) forms: BTreeSet<&'static str>,
    /// Whether its functions may panic, or its indexes be out of bounds.
    pub(crate) panics: bool,
}

/// The program of this seed; `attributes` says whether the two attributes are there.
pub(crate) fn program(seed: u64, attributes: bool) -> String {
    Program::new(seed, attributes).source
}

impl Program {
    pub(crate) fn new(seed: u64, attributes: bool) -> Self {
        let mut random = Random::new(seed);
        let panics = random.percent(11);
        let mut writer = Writer::new(random, panics);
        functions_of(&mut writer);
        if writer.random.percent(35) {
            changing(&mut writer);
        }
        let mut table = Vec::new();
        let mut synchronous = Vec::new();
        let method = writer.random.percent(25);
        let count =
            usize::from(!method || writer.random.percent(40)) + usize::from(writer.random.percent(20));
        let calls = 45 / (count + usize::from(method)).max(1);
        for n in 0..count {
            writer.calls_left = calls;
            let function = synchronized(&mut writer, format!("s{n}"), None);
            writer.callable.push(function.clone());
            synchronous.push(function);
        }
        if method {
            writer.form("method");
            writer.calls_left = calls;
            table = table_fields(&mut writer.random);
            let function = write_table(&mut writer, &table);
            synchronous.push(function);
        }
        run(&mut writer, &synchronous, &table);
        let lines: Vec<_> = writer
            .lines
            .iter()
            .filter(|line| attributes || !line.trim_start().starts_with("#[xfork::"))
            .map(String::as_str)
            .collect();
        let body = lines.join("\n");
        Self { source: format!("{}{body}\n", prelude(&body)), forms: writer.forms, panics }
    }
}

fn functions_of(writer: &mut Writer) {
    let concurrent = 1 + writer.random.below(3);
    let helpers = 1 + writer.random.below(2);
    for n in 0..concurrent {
        let result = (n == 0 && writer.random.percent(70)).then_some(Ty::Int);
        let function = signature(&mut writer.random, format!("f{n}"), true, result);
        let panics = writer.panics && writer.random.percent(60);
        computing(writer, &function, panics);
        writer.functions.push(function);
    }
    for n in 0..helpers {
        // Often with the signature of a concurrent one, so that both stand in the same places.
        let mut function = signature(&mut writer.random, String::new(), false, None);
        if writer.random.percent(50) {
            let fails = |f: &Function| matches!(f.result, Ty::Res | Ty::Opt);
            let failing = writer.pick_function(fails);
            function = failing.unwrap_or_else(|| writer.random.pick(&writer.functions.clone()));
        }
        (function.name, function.concurrent) = (format!("h{n}"), false);
        let panics = writer.panics && writer.random.percent(15);
        computing(writer, &function, panics);
        writer.functions.push(function);
    }
}

fn table_fields(random: &mut Random) -> Vec<(&'static str, Ty)> {
    let mut fields = vec![("total", Ty::Int)];
    let others = [
        ("grid", Ty::Grid),
        ("values", Ty::Vec),
        ("names", Ty::Names),
        ("cells", Ty::BTreeMap),
        ("corner", Ty::Point),
        ("queue", Ty::Deque),
        ("mean", Ty::F64),
        ("title", Ty::Str),
    ];
    fields.extend(others.into_iter().filter(|_| random.percent(35)));
    if fields.len() == 1 {
        fields.push(others[0]);
    }
    fields
}

fn write_table(writer: &mut Writer, fields: &[(&'static str, Ty)]) -> Synchronized {
    writer.line("#[derive(Clone, Debug)]");
    writer.open("struct Table {");
    for (name, ty) in fields {
        writer.line(format!("{name}: {},", ty.text()));
    }
    writer.close("}");
    writer.open("impl Table {");
    writer.open("fn sum(&self) -> i64 {");
    let values =
        if fields.iter().any(|field| field.0 == "values") { "self.values.iter().sum::<i64>()" } else { "1" };
    writer.line(format!("self.total.wrapping_mul(3).wrapping_add({values}) % 1009"));
    writer.close("}");
    writer.open("fn bump(&mut self, by: i64) {");
    writer.line("self.total = self.total.wrapping_add(by) % 1009;");
    writer.close("}");
    let function = synchronized(writer, "fill".into(), Some(fields));
    writer.close("}");
    function
}

/// `run`, which calls the synchronized functions and shows what they gave and changed.
fn run(writer: &mut Writer, functions: &[Synchronized], table: &[(&'static str, Ty)]) {
    writer.open("pub fn run() -> String {");
    writer.line("let mut out: Vec<String> = Vec::new();");
    writer.line("LOG.with(|log| log.borrow_mut().clear());");
    for function in functions {
        let method = function.name == "fill";
        writer.open("{");
        let mut arguments = Vec::new();
        let mut shown = vec!["result".to_string()];
        if method {
            let fields: Vec<_> = table
                .iter()
                .map(|(name, ty)| format!("{name}: {}", literal(&mut writer.random, *ty)))
                .collect();
            writer.line(format!("let mut table = Table {{ {} }};", fields.join(", ")));
            shown.push("table".into());
        }
        for (n, (ty, kind)) in function.parameters.iter().enumerate() {
            let value = match ty {
                Ty::Usize => writer.random.between(1, 3).to_string(),
                Ty::Indexes => "vec![2, 0, 1]".into(),
                _ if *kind == Kind::MutRef => literal(&mut writer.random, ty.owned()),
                _ => literal(&mut writer.random, *ty),
            };
            if *kind == Kind::MutRef {
                writer.line(format!("let mut a{n} = {value};"));
                arguments.push(format!("&mut a{n}"));
                shown.push(if *ty == Ty::HashMap { format!("sorted(&a{n})") } else { format!("a{n}") });
            } else {
                arguments.push(value);
            }
        }
        let owner = if method { "table." } else { "" };
        let call = format!("{owner}{}({})", function.name, arguments.join(", "));
        if writer.panics || writer.random.percent(10) {
            writer.open(format!("let result = match catch_unwind(AssertUnwindSafe(|| {call})) {{"));
            writer.line("Ok(result) => result,");
            writer.open("Err(payload) => {");
            writer.line("out.push(message(payload));");
            writer.line("return out.join(\"\\n\");");
            writer.close("}");
            writer.close("};");
        } else {
            writer.line(format!("let result = {call};"));
        }
        let formats = vec!["{:?}"; shown.len()].join(" ");
        writer.line(format!("out.push(format!(\"{formats}\", {}));", shown.join(", ")));
        writer.close("}");
    }
    writer.line("out.push(LOG.with(|log| log.borrow().join(\"; \")));");
    writer.line("out.join(\"\\n\")");
    writer.close("}");
}

/// What the functions of a program use, as far as this one does.
fn prelude(body: &str) -> String {
    let mut text = String::from("use std::cell::RefCell;\n");
    for (word, path) in [
        ("BTreeMap", "std::collections::BTreeMap"),
        ("BTreeSet", "std::collections::BTreeSet"),
        ("HashMap", "std::collections::HashMap"),
        ("VecDeque", "std::collections::VecDeque"),
        ("write!", "std::fmt::Write as _"),
    ] {
        if body.contains(word) || (word == "BTreeMap" && body.contains("sorted(")) {
            text.push_str(&format!("use {path};\n"));
        }
    }
    if body.contains("catch_unwind") {
        text.push_str("use std::panic::{AssertUnwindSafe, catch_unwind};\n");
    }
    text.push_str(
        "thread_local! { static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) }; }\n",
    );
    for (word, line) in [
        (
            "show(",
            "fn show<A: std::fmt::Debug, B: std::fmt::Debug>(a: A, b: B) {\n    \
             LOG.with(|log| log.borrow_mut().push(format!(\"{a:?} {b:?}\")));\n}\n",
        ),
        ("note(", "fn note(line: &str) { LOG.with(|log| log.borrow_mut().push(line.to_string())); }\n"),
        ("logged(", "fn logged() -> usize { LOG.with(|log| log.borrow().len()) }\n"),
        ("noted()", "fn noted() -> i64 { LOG.with(|log| log.borrow().len() as i64) }\n"),
        (
            "tick(",
            "fn tick(at: usize) -> usize {\n    LOG.with(|log| log.borrow_mut().push(format!(\"tick {at}\")));\n    at\n}\n",
        ),
        ("next(", "fn next(counter: &mut usize) -> usize {\n    *counter += 1;\n    *counter\n}\n"),
        (
            "store(",
            "fn store<T: std::fmt::Debug>(v: &mut [i64], at: usize, value: T) {\n    \
             let digits = format!(\"{value:?}\").len() as i64;\n    let len = v.len();\n    v[at % len] += digits;\n}\n",
        ),
        (
            "sorted(",
            "fn sorted(map: &HashMap<i64, i64>) -> BTreeMap<i64, i64> { map.iter().map(|(k, v)| (*k, *v)).collect() }\n",
        ),
        ("Point", "#[derive(Clone, Copy, Debug, PartialEq)]\nstruct Point { x: i64, y: i64 }\n"),
        (
            "message(",
            "fn message(payload: Box<dyn std::any::Any + Send>) -> String {\n    \
             let text = payload.downcast_ref::<String>().cloned();\n    \
             let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string()));\n    \
             format!(\"panic: {}\", text.unwrap_or_default())\n}\n",
        ),
    ] {
        if body.contains(word) {
            text.push_str(line);
        }
    }
    text
}
