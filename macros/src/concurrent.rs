//! `#[concurrent]`: a mark whose function a synchronized function forks where it calls it.
//!
//! What it adds to a plain mark is the method that such a call becomes, with the parameters of the function itself: so its
//! arguments are what they are in a serial program.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Result, Token};

use crate::function::{self, Marked};
use crate::mark::{self, Mark};
use crate::parameter::Parameter;
use crate::settings::CACHE;

/// The items that a concurrent function becomes.
pub(crate) fn expand(settings: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let Place { mark, runner, settings } = place.parse2(settings)?;
    let mut marked = function::read(mark, settings, item)?;
    let make = match runner {
        None => quote!(::core::option::Option::None),
        Some(runner) => quote_spanned! {runner.span()=>
            ::core::option::Option::Some(|| -> ::std::sync::Arc<dyn ::xfork::Runner> { #runner })
        },
    };
    marked.own = Some(quote!(::xfork::__private::Own::new(#make)));
    let plain = mark::expand(mark, &marked);
    let Marked { attributes, signature, parameters, .. } = &marked;
    let conditions = &attributes.conditions;
    let this = &signature.ident;
    let output = marked.output();
    let owned = marked.owned();
    let slots: Vec<_> = parameters.iter().map(|parameter| &parameter.slot).collect();
    let given = parameters.iter().map(|Parameter { given, .. }| given);
    let values = parameters.iter().map(|parameter| {
        let (slot, span) = (&parameter.slot, parameter.given.span());
        match parameter.is_borrowed() {
            true => quote_spanned!(span=> ::xfork::__private::synchronized::owned(#slot)),
            false => quote!(#slot),
        }
    });
    let own = quote!(<Self as ::xfork::__private::Callable<#owned>>::own());
    Ok(quote! {
        #plain

        #(#conditions)*
        const _: () = {
            impl ::xfork::__private::synchronized::Concurrent for #this {}

            impl #this {
                /// Waits until all calls of it that were forked before have ended.
                #[allow(dead_code)]
                pub fn wait(&self) {
                    #own.into_iter().for_each(::xfork::__private::Own::wait);
                }

                /// Whether a call of it that was forked has not ended.
                #[allow(dead_code)]
                pub fn in_progress(&self) -> bool {
                    #own.is_some_and(::xfork::__private::Own::is_in_progress)
                }

                #[doc(hidden)]
                #[track_caller]
                #[allow(clippy::too_many_arguments, dead_code)]
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

/// Where a concurrent function runs.
struct Place {
    mark: Mark,
    /// Where the first setting says so: `runner = …`.
    runner: Option<Expr>,
    /// The other settings.
    settings: TokenStream,
}

/// What the first word may say, and the rest.
fn place(input: ParseStream<'_>) -> Result<Place> {
    let ahead = input.fork();
    let Ok(word) = ahead.call(Ident::parse_any) else {
        return Ok(Place { mark: Mark::Cpu, runner: None, settings: input.parse()? });
    };
    let is_alone = ahead.is_empty() || ahead.peek(Token![,]);
    let runner = match word.to_string().as_str() {
        "io" if is_alone => {
            input.call(Ident::parse_any)?;
            None
        }
        "runner" if ahead.peek(Token![=]) => {
            input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            Some(input.parse::<Expr>()?)
        }
        "runner" => {
            return Err(Error::new(
                word.span(),
                "`runner` wants an expression for an `Arc<dyn xfork::Runner>`: `runner = my_runner()`",
            ));
        }
        other if is_alone && other != CACHE => {
            return Err(Error::new(
                word.span(),
                format!(
                    "`{other}` is no place: write `io` for threads, `runner = …` for a runner of your own, and \
                    nothing for worker processes"
                ),
            ));
        }
        _ => return Ok(Place { mark: Mark::Cpu, runner: None, settings: input.parse()? }),
    };
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    // A runner of one's own is given tasks in this process, too.
    Ok(Place { mark: Mark::Io, runner, settings: input.parse()? })
}
