//! What the marks read: the settings in the attribute's parentheses ([`crate::settings`]) and the function below it.
//!
//! [`read`] promises a [`Marked`] that [`crate::check`] has passed, or all the refusals together. The body is
//! kept as the tokens that the compiler gave, never parsed: what is in it is not our business, and syntax
//! that `syn` does not know yet passes through. [`Attributes`] says where each of the function's own
//! attributes goes, because one function becomes several items.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Meta, Result, Signature, Token, Visibility};

use crate::check::{self, Changes, Refusals};
use crate::mark::Mark;
use crate::parameter::Parameter;
use crate::settings::Settings;

/// A function that may be marked, taken apart.
pub(crate) struct Marked {
    pub(crate) attributes: Attributes,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) settings: Settings,
}

impl Marked {
    /// The function's result, `()` where none is written.
    pub(crate) fn output(&self) -> TokenStream {
        match &self.signature.output {
            syn::ReturnType::Default => quote!(()),
            syn::ReturnType::Type(_, result) => result.to_token_stream(),
        }
    }

    /// The tuple type of the owned arguments: `()`, `(A,)`, `(A, B,)`, ….
    pub(crate) fn owned(&self) -> TokenStream {
        let owned = self.parameters.iter().map(|parameter| &parameter.owned);
        quote!((#(#owned,)*))
    }

    /// An expression for the name that reports give the function.
    pub(crate) fn name(&self) -> TokenStream {
        if let Some(name) = &self.settings.name {
            return name.to_token_stream();
        }
        let name = self.signature.ident.unraw().to_string();
        quote!(::core::concat!(::core::module_path!(), "::", #name))
    }
}

/// Reads a mark's settings and its function, or says everything that keeps it from being marked.
pub(crate) fn read(mark: Mark, settings: TokenStream, item: TokenStream) -> Result<Marked> {
    read_changing(Changes::Nothing, mark, settings, item)
}

/// As [`read`]; the function may change this.
pub(crate) fn read_changing(
    changes: Changes,
    mark: Mark,
    settings: TokenStream,
    item: TokenStream,
) -> Result<Marked> {
    let mut refusals = Refusals::default();
    let settings = refusals.keep(Settings::read(mark, settings));
    let function = refusals.keep(syn::parse2::<Function>(item));
    if let Some(function) = &function {
        check::function(&function.attributes, &function.signature, changes, &mut refusals);
    }
    refusals.finish()?;

    let (Some(settings), Some(Function { attributes, visibility, signature, body })) = (settings, function)
    else {
        unreachable!("what could not be read was refused")
    };
    let parameters = Parameter::all(&signature);
    let attributes = Attributes::sort(attributes)?;
    Ok(Marked { attributes, visibility, signature, body, parameters, settings })
}

/// An item that is a function with a body; any other is refused at its keyword.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if let Some(keyword) = other_item(&input.fork())? {
            return Err(Error::new(
                keyword.span(),
                format!(
                    "only a function can be marked, not `{keyword}`; mark the free function \
                    that does the work"
                ),
            ));
        }
        let signature: Signature = input.parse()?;
        let body = match input.parse::<TokenTree>()? {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => body,
            _ => {
                return Err(Error::new(
                    signature.fn_token.span,
                    "a function without a body can't be marked; mark the free function that \
                    does the work",
                ));
            }
        };
        Ok(Self { attributes, visibility, signature, body })
    }
}

/// The keyword of an item that is not a function: what comes in place of `fn` after `const`, `unsafe`,
/// `extern "C"` and the like, or, for a `const` item or an `extern` block, that word itself.
fn other_item(input: ParseStream<'_>) -> Result<Option<Ident>> {
    const QUALIFIERS: [&str; 6] = ["const", "async", "unsafe", "extern", "safe", "default"];
    const ITEMS: [&str; 11] =
        ["struct", "enum", "union", "impl", "trait", "mod", "static", "type", "use", "macro_rules", "let"];

    let mut first = None;
    loop {
        match input.parse::<TokenTree>()? {
            TokenTree::Ident(word) if word == "fn" => return Ok(None),
            TokenTree::Ident(word) if QUALIFIERS.iter().any(|qualifier| word == qualifier) => {
                first.get_or_insert(word);
            }
            TokenTree::Literal(_) if first.is_some() => {}
            TokenTree::Ident(word) if ITEMS.iter().any(|item| word == item) => return Ok(Some(word)),
            other => {
                return first
                    .map(Some)
                    .ok_or_else(|| Error::new(other.span(), "only a function can be marked"));
            }
        }
    }
}

/// The function's own attributes, each where it means what it meant on the function.
#[derive(Default)]
pub(crate) struct Attributes {
    /// `cfg`: on every item, so that a function that is configured out leaves nothing behind.
    pub(crate) conditions: Vec<Attribute>,
    /// `doc` and lint levels: on the item that has the function's name.
    pub(crate) item: Vec<Attribute>,
    /// What is about the code (`inline`, `track_caller`, …) and lint levels: on the function with the body.
    pub(crate) code: Vec<Attribute>,
    /// `deprecated`: on whatever is called in place of the function.
    pub(crate) deprecated: Vec<Attribute>,
}

impl Attributes {
    fn sort(attributes: Vec<Attribute>) -> Result<Self> {
        let mut sorted = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("cfg_attr") {
                // Each attribute in it has a place of its own, so `cfg_attr(a, b, c)` is read as
                // `cfg_attr(a, b)` and `cfg_attr(a, c)`.
                let metas = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
                let mut metas = metas.into_iter();
                let Some(condition) = metas.next() else { continue };
                for meta in metas {
                    sorted.place(&meta, |meta| syn::parse_quote!(#[cfg_attr(#condition, #meta)]))?;
                }
            } else {
                sorted
                    .place(&attribute.meta, |meta| Attribute { meta: meta.clone(), ..attribute.clone() })?;
            }
        }
        Ok(sorted)
    }

    fn place(&mut self, meta: &Meta, attribute: impl Fn(&Meta) -> Attribute) -> Result<()> {
        let path = meta.path();
        let is_any = |names: &[&str]| names.iter().any(|name| path.is_ident(name));
        if path.is_ident("cfg") {
            self.conditions.push(attribute(meta));
        } else if path.is_ident("doc") {
            self.item.push(attribute(meta));
        } else if path.is_ident("deprecated") {
            self.deprecated.push(attribute(meta));
        } else if is_any(&["allow", "warn", "deny", "forbid"]) {
            self.item.push(attribute(meta));
            self.code.push(attribute(meta));
        } else if path.is_ident("expect") {
            // An expectation that is copied would be unfulfilled in one of the two places.
            let (item, code) = divide(meta)?;
            self.item.extend(item.iter().map(&attribute));
            self.code.extend(code.iter().map(&attribute));
        } else {
            self.code.push(attribute(meta));
        }
        Ok(())
    }
}

/// Divides an `expect` into the lints about a named item and those about code.
fn divide(expectation: &Meta) -> Result<(Option<Meta>, Option<Meta>)> {
    const ABOUT_THE_NAME: [&str; 4] = ["dead_code", "unused", "missing_docs", "unreachable_pub"];

    let list = expectation.require_list()?;
    let lints = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(list.tokens.clone())?;
    let (reason, lints): (Vec<_>, Vec<_>) =
        lints.into_iter().partition(|meta| meta.path().is_ident("reason"));
    let (item, code): (Vec<_>, Vec<_>) =
        lints.into_iter().partition(|meta| ABOUT_THE_NAME.iter().any(|lint| meta.path().is_ident(lint)));
    let expect = |lints: Vec<Meta>| -> Option<Meta> {
        (!lints.is_empty()).then(|| syn::parse_quote!(expect(#(#lints,)* #(#reason,)*)))
    };
    Ok((expect(item), expect(code)))
}
