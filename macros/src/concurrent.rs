//! `#[concurrent]`: a mark whose function a synchronized function forks where it calls it.
//!
//! What it adds to a plain mark is the method that such a call becomes, with the parameters of the function itself: so its
//! arguments are what they are in a serial program. The task of such a call is that of another type, which takes what the function
//! borrows as something lent, and what it changes as a snapshot.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Result, Token};

use crate::check::Changes;
use crate::function::{self, Marked};
use crate::mark::{self, Called, Mark};
use crate::parameter::Parameter;
use crate::settings::CACHE;

/// The items that a concurrent function becomes.
pub(crate) fn expand(settings: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let Place { mark, runner, settings } = place.parse2(settings)?;
    let marked = function::read_changing(Changes::Tracked, mark, settings, item)?;
    let tracked = marked.parameters.iter().find(|parameter| parameter.tracked().is_some());
    if let (Some(parameter), Some(_)) = (tracked, &marked.settings.cache) {
        return Err(Error::new_spanned(
            &parameter.given,
            "the result of a function that changes a `Tracked` argument can't be kept; leave `cache` out, or return what \
            is to be changed",
        ));
    }
    let make = match runner {
        None => quote!(::core::option::Option::None),
        Some(runner) => quote_spanned! {runner.span()=>
            ::core::option::Option::Some(|| -> ::std::sync::Arc<dyn ::xfork::Runner> { #runner })
        },
    };
    let own = quote! {
        static OWN: ::xfork::__private::Own = ::xfork::__private::Own::new(#make);
        ::core::option::Option::Some(&OWN)
    };
    let this = &marked.signature.ident;
    let owned = marked.owned();
    // Forked as any other marked function, it changes nothing; so one that does is not.
    let plain = mark::expand_with(&marked, |this, function| match tracked {
        None => mark::callable(
            mark,
            &marked,
            &Called { own: Some(own.clone()), ..Called::plainly(this, function) },
        ),
        Some(_) => TokenStream::new(),
    });
    let lending = Ident::new("__xfork_lending", Span::mixed_site());
    let lent: Vec<_> = marked.parameters.iter().map(|parameter| parameter.taken(true)).collect();
    let own = match tracked {
        None => quote!(<#this as ::xfork::__private::Callable<#owned>>::own()),
        Some(_) => own,
    };
    let called =
        Called { this: &lending, function: quote!(#this), named: this, is_lent: true, own: Some(own) };
    let callable = mark::callable(mark, &marked, &called);
    let call = call(&marked, tracked, &lending);
    let conditions = &marked.attributes.conditions;
    let is_tracking = tracked.is_some();
    let own = quote!(<#lending as ::xfork::__private::Callable<(#(#lent,)*)>>::own());
    Ok(quote! {
        #plain

        #(#conditions)*
        const _: () = {
            #[allow(unused_imports)]
            use ::xfork::__private::synchronized::methods::*;

            #[allow(non_camel_case_types)]
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            struct #lending;

            #callable

            impl ::xfork::__private::synchronized::Concurrent for #this {
                const TRACKS: bool = #is_tracking;
            }

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

                #call
            }
        };
    })
}

/// What a call of it becomes in a synchronized function.
fn call(marked: &Marked, tracked: Option<&Parameter>, lending: &Ident) -> TokenStream {
    let parameters = &marked.parameters;
    let output = marked.output();
    let slots: Vec<_> = parameters.iter().map(|parameter| &parameter.slot).collect();
    let given = parameters.iter().map(|Parameter { given, .. }| given);
    let lends = Ident::new("__xfork_lends", Span::mixed_site());
    let values: Vec<_> = parameters
        .iter()
        .enumerate()
        .map(|(at, parameter)| {
            let (slot, span) = (&parameter.slot, parameter.given.span());
            match parameter.borrowed() {
                Some(target) => {
                    let lend = quote!(#lends.get(#at).copied().flatten());
                    let is_plain =
                        quote!(::xfork::__private::synchronized::Borrowed(#slot).__xfork_is_plain());
                    quote_spanned! {span=>
                        ::xfork::__private::synchronized::lent::<#target>(#slot, #lend, #is_plain)
                    }
                }
                None => quote!(#slot),
            }
        })
        .collect();
    let head = quote! {
        #[doc(hidden)]
        #[track_caller]
        #[allow(clippy::too_many_arguments, dead_code, unused_variables)]
        pub fn __xfork_call(
            &self,
            #lends: &[::core::option::Option<&::xfork::__private::synchronized::Lend>],
            #(#slots: #given),*
        )
    };
    let Some(tracked) = tracked else {
        return quote! {
            #head -> ::xfork::__private::synchronized::Forked<#output> {
                ::xfork::__private::synchronized::Forked::start(#lending, (#(#values,)*))
            }
        };
    };
    let (changed, collection) = (&tracked.slot, &tracked.owned);
    let others = parameters.iter().zip(&values).filter(|(parameter, _)| parameter.tracked().is_none());
    let kept = others.map(|(Parameter { slot, .. }, value)| quote!(let #slot = #value;));
    // The call may be made again.
    let again = parameters.iter().map(|parameter| {
        let (slot, taken, span) = (&parameter.slot, parameter.taken(true), parameter.given.span());
        match parameter.tracked() {
            Some(_) => quote!(#slot),
            None => quote_spanned!(span=> ::xfork::__private::synchronized::again::<#taken>(&#slot)),
        }
    });
    quote! {
        #head -> ::xfork::__private::synchronized::ForkedInto<
            #output,
            <#collection as ::xfork::__private::synchronized::IsTracked>::Collection,
        > {
            #(#kept)*
            ::xfork::__private::synchronized::ForkedInto::start(
                #lending,
                #changed,
                move |#changed| (#(#again,)*),
            )
        }
    }
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
