//! What the parentheses of a mark say: a name, what a task may take and costs, and whether its results are kept.
//!
//! It promises that each setting is known, stands once, has a value of its kind and makes sense under its mark; any
//! other is refused at its token, with what is possible. What the limits mean is the `xfork` crate's part: they are
//! handed to its `Limits` as numbers.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Lit, LitInt, LitStr, Result, Token};

use crate::mark::Mark;
use crate::quantity;

/// A setting, and a value for it that is right.
struct Setting {
    name: &'static str,
    example: &'static str,
    read: fn(&mut Settings, ParseStream<'_>, &'static Self) -> Result<()>,
}

static SETTINGS: [Setting; 9] = [
    Setting { name: "name", example: "\"…\"", read: Settings::name },
    Setting { name: "timeout", example: "\"30s\"", read: Settings::time },
    Setting { name: "cpu_time", example: "\"10s\"", read: Settings::time },
    Setting { name: "memory", example: "\"512 MiB\"", read: Settings::memory },
    Setting { name: "retries", example: "2", read: Settings::retries },
    Setting { name: "backoff", example: "\"100ms\"", read: Settings::backoff },
    Setting { name: "priority", example: "3", read: Settings::priority },
    Setting { name: "cost", example: "10.8", read: Settings::cost },
    Setting { name: CACHE, example: "\"2\"", read: Settings::cache },
];

/// The one setting that needs no value.
pub(crate) const CACHE: &str = "cache";

/// By what the version of a function is told whose results are kept.
pub(crate) enum Version {
    /// Its text.
    Code,
    Said(LitStr),
}

/// The settings of one mark.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<LitStr>,
    /// Calls that say the limits, one after the other, to `Limits::new()`.
    limits: TokenStream,
    /// Whether a task may be tried again.
    pub(crate) is_tried_again: bool,
    /// What a call costs, in the unit of its graph.
    pub(crate) cost: Option<f64>,
    /// Whether results are kept.
    pub(crate) cache: Option<Version>,
}

impl Settings {
    /// Reads what stands in the parentheses of `mark`.
    pub(crate) fn read(mark: Mark, tokens: TokenStream) -> Result<Self> {
        let parse = |input: ParseStream<'_>| {
            let mut settings = Self::default();
            let mut seen: Vec<&str> = Vec::new();
            while !input.is_empty() {
                let setting = setting(mark, input, &seen)?;
                seen.push(setting.name);
                (setting.read)(&mut settings, input, setting)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(settings)
        };
        parse.parse2(tokens)
    }

    /// An expression for the limits, if there are any.
    pub(crate) fn limits(&self) -> Option<TokenStream> {
        let limits = &self.limits;
        (!limits.is_empty()).then(|| quote!(::xfork::Limits::new() #limits))
    }

    fn limit(&mut self, setting: &Setting, value: TokenStream) {
        let method = Ident::new(setting.name, Span::call_site());
        self.limits.extend(quote!(.#method(#value)));
    }

    fn name(&mut self, input: ParseStream<'_>, _: &'static Setting) -> Result<()> {
        let name: LitStr =
            input.parse().map_err(|error| Error::new(error.span(), "a name is a string: `name = \"…\"`"))?;
        if name.value().is_empty() {
            return Err(Error::new(
                name.span(),
                "the name is empty; leave it out to use the function's path",
            ));
        }
        self.name = Some(name);
        Ok(())
    }

    fn time(&mut self, input: ParseStream<'_>, setting: &'static Setting) -> Result<()> {
        let (nanoseconds, span) = quantity(input, setting, "s", quantity::nanoseconds)?;
        refuse_zero(nanoseconds, span, setting)?;
        self.limit(setting, quote!(::core::time::Duration::from_nanos(#nanoseconds)));
        Ok(())
    }

    fn backoff(&mut self, input: ParseStream<'_>, setting: &'static Setting) -> Result<()> {
        let (nanoseconds, _) = quantity(input, setting, "s", quantity::nanoseconds)?;
        self.limit(setting, quote!(::core::time::Duration::from_nanos(#nanoseconds)));
        Ok(())
    }

    fn memory(&mut self, input: ParseStream<'_>, setting: &'static Setting) -> Result<()> {
        let (bytes, span) = quantity(input, setting, " MiB", quantity::bytes)?;
        refuse_zero(bytes, span, setting)?;
        self.limit(setting, quote!(#bytes));
        Ok(())
    }

    fn retries(&mut self, input: ParseStream<'_>, setting: &'static Setting) -> Result<()> {
        let value = whole::<u32>(input, "`retries` is how many more times a task is tried: `retries = 2`")?;
        self.is_tried_again = value > 0;
        self.limit(setting, quote!(#value));
        Ok(())
    }

    fn cost(&mut self, input: ParseStream<'_>, _: &'static Setting) -> Result<()> {
        let what = "a cost is a number, in the unit of all costs of a graph: `cost = 10.8`";
        let (value, span) = match input.parse::<Lit>() {
            Ok(Lit::Float(number)) if number.suffix().is_empty() => (number.base10_parse(), number.span()),
            Ok(Lit::Int(number)) if number.suffix().is_empty() => (number.base10_parse(), number.span()),
            Ok(other) => return Err(Error::new(other.span(), what)),
            Err(error) => return Err(Error::new(error.span(), what)),
        };
        let value: f64 = value?;
        if !value.is_finite() {
            return Err(Error::new(span, what));
        }
        self.cost = Some(value);
        Ok(())
    }

    fn cache(&mut self, input: ParseStream<'_>, _: &'static Setting) -> Result<()> {
        if !input.peek(Token![=]) {
            self.cache = Some(Version::Code);
            return Ok(());
        }
        input.parse::<Token![=]>()?;
        let what = "a version is a string: `cache = \"2\"`; `cache` alone means the function's text";
        let version: LitStr = input.parse().map_err(|error| Error::new(error.span(), what))?;
        if version.value().is_empty() {
            return Err(Error::new(
                version.span(),
                "the version is empty; `cache` alone means the function's text",
            ));
        }
        self.cache = Some(Version::Said(version));
        Ok(())
    }

    fn priority(&mut self, input: ParseStream<'_>, setting: &'static Setting) -> Result<()> {
        let what = "a priority is a whole number, the greatest first: `priority = 3` or `priority = -3`";
        let value = whole::<i32>(input, what)?;
        self.limit(setting, quote!(#value));
        Ok(())
    }
}

/// Reads the word before a value, and the `=` behind it.
fn setting(mark: Mark, input: ParseStream<'_>, seen: &[&str]) -> Result<&'static Setting> {
    let key = input.call(Ident::parse_any)?;
    let refuse = |words: String| Err(Error::new(key.span(), words));
    let Some(setting) = SETTINGS.iter().find(|setting| key == setting.name) else {
        let fits = |setting: &&Setting| unfit(mark, setting.name).is_none();
        let names: Vec<_> = SETTINGS.iter().filter(fits).map(|setting| setting.name).collect();
        return refuse(format!("unknown setting `{key}`; the settings are: {}", names.join(", ")));
    };
    if let Some(words) = unfit(mark, setting.name) {
        return refuse(words);
    }
    if seen.contains(&setting.name) {
        return refuse(format!("`{key}` is set twice; leave one"));
    }
    if setting.name == CACHE {
        return Ok(setting);
    }
    if !input.peek(Token![=]) {
        return refuse(format!("`{key}` wants a value: write `{key} = {}`", setting.example));
    }
    input.parse::<Token![=]>()?;
    Ok(setting)
}

/// Why a setting makes no sense under a mark, if so.
fn unfit(mark: Mark, setting: &str) -> Option<String> {
    match (mark, setting) {
        (_, "name" | "cost") | (Mark::Cpu, _) => None,
        (Mark::Io, "cpu_time" | "memory") => {
            let what =
                if setting == "memory" { "an amount of memory" } else { "an amount of processor time" };
            Some(format!(
                "a thread can't be held to {what}; leave `{setting}` out or mark the function `cpu_bound`"
            ))
        }
        (Mark::Io, _) => None,
        (Mark::InPlace, CACHE) => Some(
            "what runs in place is called and not looked up; leave `cache` out or mark the function `cpu_bound` or `io_bound`"
                .to_string(),
        ),
        (Mark::InPlace, _) => Some(format!(
            "nothing limits what runs in place; leave `{setting}` out or mark the function `cpu_bound` or `io_bound`"
        )),
    }
}

/// Reads a string such as `"30s"`. A number alone is given back with `unit`, as it might have been meant.
fn quantity(
    input: ParseStream<'_>,
    setting: &Setting,
    unit: &str,
    read: fn(&str) -> std::result::Result<u64, String>,
) -> Result<(u64, Span)> {
    let Setting { name, example, .. } = setting;
    let (words, span) = match input.parse::<Lit>() {
        Ok(Lit::Str(text)) => match read(&text.value()) {
            Ok(value) => return Ok((value, text.span())),
            Err(words) => (words, text.span()),
        },
        Ok(Lit::Int(number)) => (with_unit(number.base10_digits(), number.suffix(), unit), number.span()),
        Ok(Lit::Float(number)) => (with_unit(number.base10_digits(), number.suffix(), unit), number.span()),
        Ok(other) => (format!("`{name}` wants a string: `{name} = {example}`"), other.span()),
        Err(error) => (format!("`{name}` wants a string: `{name} = {example}`"), error.span()),
    };
    Err(Error::new(span, words))
}

fn with_unit(number: &str, suffix: &str, unit: &str) -> String {
    match suffix {
        "" => format!("give a unit: \"{number}{unit}\""),
        suffix => format!("put it in quotes: \"{number}{suffix}\""),
    }
}

fn refuse_zero(value: u64, span: Span, Setting { name, .. }: &Setting) -> Result<()> {
    if value > 0 {
        return Ok(());
    }
    Err(Error::new(span, format!("no task can do with a `{name}` of zero; leave it out for no limit")))
}

/// Reads a whole number, negative ones where `T` has them.
fn whole<T: std::str::FromStr>(input: ParseStream<'_>, what: &str) -> Result<T> {
    let minus: Option<Token![-]> = input.parse()?;
    let number: LitInt = input.parse().map_err(|error| Error::new(error.span(), what))?;
    let sign = if minus.is_some() { "-" } else { "" };
    let value = format!("{sign}{}", number.base10_digits()).parse().ok();
    value.filter(|_| number.suffix().is_empty()).ok_or_else(|| Error::new(number.span(), what))
}
