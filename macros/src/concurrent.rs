//! `#[concurrent]`: a mark whose function a synchronized function forks where it calls it.
//!
//! What it adds to a plain mark is the method that such a call becomes, with the parameters of the function itself: so its
//! arguments are what they are in a serial program.

use proc_macro2::{TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::Result;
use syn::spanned::Spanned as _;

use crate::function::{self, Marked};
use crate::mark::{self, Mark};
use crate::parameter::Parameter;

/// The items that a concurrent function becomes.
pub(crate) fn expand(settings: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let (mark, settings) = place(settings);
    let marked = function::read(mark, settings, item)?;
    let plain = mark::expand(mark, &marked);
    let Marked { attributes, signature, parameters, .. } = &marked;
    let conditions = &attributes.conditions;
    let this = &signature.ident;
    let output = marked.output();
    let slots: Vec<_> = parameters.iter().map(|parameter| &parameter.slot).collect();
    let given = parameters.iter().map(|Parameter { given, .. }| given);
    let owned = marked.owned();
    let values = parameters.iter().map(|parameter| {
        let (slot, span) = (&parameter.slot, parameter.given.span());
        match parameter.is_borrowed() {
            true => quote_spanned!(span=> ::xfork::__private::synchronized::owned(#slot)),
            false => quote!(#slot),
        }
    });
    Ok(quote! {
        #plain

        #(#conditions)*
        const _: () = {
            impl ::xfork::__private::synchronized::Concurrent for #this {}

            impl #this {
                #[doc(hidden)]
                #[track_caller]
                #[allow(clippy::too_many_arguments)]
                pub fn __xfork_call(
                    &self,
                    #(#slots: #given),*
                ) -> ::xfork::__private::synchronized::Forked<#output> {
                    ::xfork::__private::synchronized::Forked::start::<Self, #owned>(*self, (#(#values,)*))
                }
            }
        };
    })
}

/// Where it runs, which the first word may say, and the other settings.
fn place(settings: TokenStream) -> (Mark, TokenStream) {
    let mut tokens = settings.clone().into_iter();
    match tokens.next() {
        Some(TokenTree::Ident(word)) if word == "io" => {
            let rest: TokenStream = match tokens.next() {
                None => TokenStream::new(),
                Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => tokens.collect(),
                Some(_) => settings,
            };
            (Mark::Io, rest)
        }
        _ => (Mark::Cpu, settings),
    }
}
