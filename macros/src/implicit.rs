//! The implicit marks: `#[cpu_bound_fork]` and `#[io_bound_fork]`, where the plain call forks.
//!
//! A function has its name as a value only, so the name as a type is free: it becomes an empty enum whose one
//! associated function, `sequential`, has the body. The function of that name takes values or proxies and
//! forks. A call to itself in the body forks too, which is what the mark says.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Ident, Signature, Token};

use crate::function::Marked;
use crate::mark::{Called, Mark, callable};

/// The items that an implicitly marked function becomes.
pub(crate) fn expand(mark: Mark, marked: &Marked) -> TokenStream {
    let Marked { attributes, visibility, signature, body, parameters, .. } = marked;
    let ident = &signature.ident;
    let name = ident.unraw();
    let conditions = &attributes.conditions;
    let item = &attributes.item;
    let code = &attributes.code;
    let deprecated = &attributes.deprecated;
    // The fork calls the function.
    let lenient = (!deprecated.is_empty()).then(|| quote!(#[allow(deprecated)]));

    // With the span of the mark, lints about this function are left to the one that has its name.
    let in_place = Signature {
        fn_token: Token![fn](Span::call_site()),
        ident: Ident::new("sequential", ident.span()),
        ..signature.clone()
    };
    let hushed = respanned(visibility.to_token_stream());
    let in_place = quote!(#hushed #in_place);
    let about_enum =
        format!("The namespace of [`{name}::sequential`], beside the function [`{name}`](fn@{name}).");
    let about_in_place = format!("Calls [`{name}`](fn@{name}) in place, without a fork.");

    let marker = format_ident!("__xfork_{}", ident);
    let callable = callable(mark, marked, &Called::plainly(&marker, quote!(#ident::sequential)));
    let names: Vec<_> = parameters.iter().map(|parameter| &parameter.name).collect();
    let takes = parameters.iter().map(|parameter| {
        let owned = &parameter.owned;
        quote_spanned!(parameter.given.span()=> impl ::xfork::__private::Arg<#owned>)
    });
    let output = marked.output();
    let forks = quote! {
        #[allow(non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        struct #marker;

        #callable

        ::xfork::fork(#marker, (#(#names,)*))
    };
    // With the span of `fn`, lints about the item are reported, as they would be about the function.
    let forking = quote_spanned! {signature.fn_token.span=>
        #visibility fn #ident(#(#names: #takes),*) -> ::xfork::ResultProxy<#output> { #forks }
    };

    quote! {
        #(#conditions)*
        #[doc = #about_enum]
        #[allow(non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #visibility enum #ident {}

        #(#conditions)*
        impl #ident {
            #[doc = #about_in_place]
            #(#deprecated)*
            #(#code)*
            #in_place #body
        }

        #(#conditions)*
        #(#item)*
        #(#deprecated)*
        #lenient
        #[allow(clippy::must_use_candidate)]
        #[track_caller]
        #forking
    }
}

/// The tokens with the span of the mark, also inside the parentheses of a `pub(in path)`.
fn respanned(tokens: TokenStream) -> TokenStream {
    let respan = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), respanned(group.stream())).into();
        }
        token.set_span(Span::call_site());
        token
    };
    tokens.into_iter().map(respan).collect()
}
