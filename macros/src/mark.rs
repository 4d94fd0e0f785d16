//! The plain marks: `#[cpu_bound]`, `#[io_bound]`, `#[r#unsafe]` and `#[sequential]`.
//!
//! A marked function becomes a constant of its name, whose type (an empty struct, also of its name) carries
//! the mark and derefs to a function pointer, so `f(x)` stays an ordinary call. The function itself moves
//! into an anonymous constant beside them, under another name: in its body, the function's name means what it
//! means everywhere else. Where and how a fork runs is the `xfork` crate's part, which sees `Callable::Mark`.
//!
//! A unit struct would be the constant and the type in one, but clippy takes each `f(x);` on its own for the
//! construction of a value that is not used (`no_effect`), and would tell users to remove their calls.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, TokenStreamExt as _, format_ident, quote, quote_spanned};
use syn::Signature;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use crate::code;
use crate::function::Marked;
use crate::parameter::Parameter;
use crate::settings::Version;

/// Where a fork of the function runs.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    Io,
    Cpu,
    InPlace,
}

impl ToTokens for Mark {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(match self {
            Self::Io => quote!(::xfork::__private::Io),
            Self::Cpu => quote!(::xfork::__private::Cpu),
            Self::InPlace => quote!(::xfork::__private::InPlace),
        });
    }
}

/// The items that a marked function becomes.
pub(crate) fn expand(mark: Mark, marked: &Marked) -> TokenStream {
    expand_with(marked, |this, function| callable(mark, marked, &Called::plainly(this, function)))
}

/// As [`expand`]; `callable` implements what forks need, for the type and its function.
pub(crate) fn expand_with(
    marked: &Marked,
    callable: impl FnOnce(&Ident, TokenStream) -> TokenStream,
) -> TokenStream {
    let Marked { attributes, visibility, signature, body, .. } = marked;
    let ident = &signature.ident;
    let conditions = &attributes.conditions;
    let item = &attributes.item;
    let code = &attributes.code;
    let deprecated = &attributes.deprecated;
    // The function may call itself.
    let lenient = (!deprecated.is_empty()).then(|| quote!(#[allow(deprecated)]));

    let renamed = Signature { ident: format_ident!("__xfork_{}", ident), ..signature.clone() };
    let function = &renamed.ident;
    let given = marked.parameters.iter().map(|parameter| &parameter.given);
    let output = &signature.output;
    let pointer = quote!(fn(#(#given),*) #output);
    let callable = callable(ident, quote!(#function));
    let about = format!(
        "The type of [`{name}`](const@{name}), which derefs to a pointer of the function.",
        name = ident.unraw()
    );
    // With the span of `fn`, lints about the item are reported, as they would be about the function; those
    // about the struct would only repeat them.
    let constant = quote_spanned!(signature.fn_token.span=> #visibility const #ident: #ident = #ident {};);

    quote! {
        #(#conditions)*
        #[doc = #about]
        #[allow(non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #visibility struct #ident {}

        #(#conditions)*
        #(#item)*
        #(#deprecated)*
        #[allow(non_upper_case_globals)]
        #constant

        #(#conditions)*
        #lenient
        const _: () = {
            #(#code)*
            #renamed #body

            impl ::core::ops::Deref for #ident {
                type Target = #pointer;

                fn deref(&self) -> &Self::Target {
                    const POINTER: #pointer = #function;
                    &POINTER
                }
            }

            #callable
        };
    }
}

/// A type that can be called.
pub(crate) struct Called<'a> {
    pub(crate) this: &'a Ident,
    /// What is called by it.
    pub(crate) function: TokenStream,
    /// By the name of which type kept results are found.
    pub(crate) named: &'a Ident,
    /// Whether it takes what the function borrows as something lent.
    pub(crate) is_lent: bool,
    /// An expression for what it has beside its mark.
    pub(crate) own: Option<TokenStream>,
}

impl<'a> Called<'a> {
    /// The type of a mark.
    pub(crate) fn plainly(this: &'a Ident, function: TokenStream) -> Self {
        Self { this, function, named: this, is_lent: false, own: None }
    }
}

/// The implementation of `Callable` for a type.
pub(crate) fn callable(mark: Mark, marked: &Marked, called: &Called<'_>) -> TokenStream {
    let Called { this, function, named, is_lent, own } = called;
    let types: Vec<_> = marked.parameters.iter().map(|parameter| parameter.taken(*is_lent)).collect();
    let args = quote!((#(#types,)*));
    let result = marked.output();
    let name = marked.name();
    let slots: Vec<_> = marked.parameters.iter().map(|parameter| &parameter.slot).collect();
    let arguments = marked.parameters.iter().map(|parameter| parameter.argument());
    let limits = marked.settings.limits().map(|limits| {
        quote! {
            fn limits() -> ::xfork::Limits {
                const LIMITS: ::xfork::Limits = #limits;
                LIMITS
            }
        }
    });
    let again = marked.settings.is_tried_again.then(|| again(marked, *is_lent));
    let cost = marked.settings.cost.map(|cost| {
        quote! {
            fn cost() -> ::core::option::Option<f64> {
                ::core::option::Option::Some(#cost)
            }
        }
    });
    let own = own.as_ref().map(|own| {
        quote! {
            fn own() -> ::core::option::Option<&'static ::xfork::__private::Own> {
                #own
            }
        }
    });
    let identity = marked.settings.cache.as_ref().map(|version| identity(version, marked, named));
    let done = quote!(#function(#(#arguments),*));
    let tracked = marked.parameters.iter().find(|parameter| parameter.tracked().is_some());
    let (output, body) = match (tracked, &identity) {
        (Some(parameter), _) => {
            let (slot, tracked) = (&parameter.slot, &parameter.owned);
            let collection = quote!(<#tracked as ::xfork::__private::synchronized::IsTracked>::Collection);
            (
                quote!((#result, ::xfork::__private::synchronized::Changes<#collection>)),
                quote!(#slot.run(|#slot| #done)),
            )
        }
        (None, None) => (result, done),
        (None, Some(_)) => {
            // As the slots: no function can have this name behind its prefix, and the span is met by no variable.
            let out = Ident::new("__xfork_0out", Span::mixed_site());
            let written = marked.parameters.iter().zip(&types).map(|(Parameter { given, slot, .. }, ty)| {
                quote_spanned!(given.span()=> ::xfork::__private::argument::<#ty>(&#slot, #out)?;)
            });
            let span = match &marked.signature.output {
                syn::ReturnType::Default => marked.signature.ident.span(),
                syn::ReturnType::Type(_, result) => result.span(),
            };
            let codec = quote_spanned!(span=> ::xfork::__private::result::<#result>());
            let owned = marked.owned();
            let body = quote! {
                ::xfork::__private::look_up::<#owned, #result>(
                    <Self as ::xfork::__private::Callable<#args>>::identity(),
                    |#out| {
                        #(#written)*
                        ::core::result::Result::Ok(())
                    },
                )
                .or(#codec, || #done)
            };
            (result, body)
        }
    };

    quote! {
        impl ::xfork::__private::Callable<#args> for #this {
            type Output = #output;
            type Mark = #mark;

            fn call(self, (#(#slots,)*): #args) -> Self::Output {
                #body
            }

            fn name() -> &'static str {
                #name
            }

            #limits
            #cost
            #identity
            #own
            #again
        }
    }
}

/// Under which version results are kept.
fn identity(version: &Version, marked: &Marked, named: &Ident) -> TokenStream {
    let identity = match version {
        Version::Said(text) => quote!(of_version::<#named>(::core::option_env!("CARGO_PKG_NAME"), #text)),
        Version::Code => {
            let (signature, body) = (&marked.signature, &marked.body);
            let hash = code::hash(quote!(#signature #body));
            quote!(of_code::<#named>(::core::option_env!("CARGO_PKG_NAME"), #hash))
        }
    };
    quote! {
        fn identity() -> ::core::option::Option<::xfork::__private::Identity> {
            ::core::option::Option::Some(::xfork::__private::Identity::#identity)
        }
    }
}

/// How a call is made once more. A parameter that can't be cloned is an error at that parameter.
fn again(marked: &Marked, is_lent: bool) -> TokenStream {
    let types: Vec<_> = marked.parameters.iter().map(|parameter| parameter.taken(is_lent)).collect();
    let slots: Vec<_> = marked.parameters.iter().map(|parameter| &parameter.slot).collect();
    let clones = marked.parameters.iter().zip(&types).map(|(Parameter { given, slot, .. }, ty)| {
        quote_spanned!(given.span()=> ::xfork::__private::another::<#ty>(#slot))
    });

    quote! {
        fn again() -> ::core::option::Option<::xfork::__private::Again<Self, (#(#types,)*)>> {
            ::core::option::Option::Some(|__xfork_this, (#(#slots,)*)| (*__xfork_this, (#(#clones,)*)))
        }
    }
}
