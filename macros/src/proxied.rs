//! `#[derive(Proxied)]`: a struct of proxies beside a struct of values, and the ways between them.
//!
//! Fields are written by number where the struct has no names for them, `Out { 0: a, 1: b }`, so that both kinds of
//! struct take the same path. Variables have names that no marked function has, since those are constants, which
//! patterns would compare with.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Index, Member, Result, parse_quote};

use crate::check::Refusals;
use crate::operand::{bounded, owned};

/// The struct of proxies and its implementations.
pub(crate) fn expand(item: &DeriveInput) -> Result<TokenStream> {
    let DeriveInput { vis, ident, generics, .. } = item;
    let fields = fields(item)?;
    let proxies = format_ident!("{}Proxies", ident.unraw(), span = ident.span());

    let members: Vec<Member> = fields.members().collect();
    let labels = members.iter().map(|member| match member {
        Member::Named(name) => name.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    });
    let positions: Vec<Index> = (0..members.len()).map(Index::from).collect();
    let variables: Vec<Ident> = (0..members.len()).map(|n| format_ident!("__xfork_{n}")).collect();

    let held = bounded(generics, &quote!(::core::marker::Send + 'static));
    let shared = bounded(
        generics,
        &quote!(::core::clone::Clone + ::core::marker::Send + ::core::marker::Sync + 'static),
    );
    let (parameters, arguments, held_conditions) = held.split_for_impl();
    let (_, _, shared_conditions) = shared.split_for_impl();
    let definition = definition(item, &proxies, fields, held_conditions);
    let about_join = format!("The deferred [`{}`] of these parts.", ident.unraw());
    let name = proxies.to_string();

    Ok(quote! {
        #definition

        #[automatically_derived]
        impl #parameters ::core::clone::Clone for #proxies #arguments #held_conditions {
            fn clone(&self) -> Self {
                Self { #(#members: ::core::clone::Clone::clone(&self.#members),)* }
            }
        }

        #[automatically_derived]
        impl #parameters ::core::fmt::Debug for #proxies #arguments #held_conditions {
            fn fmt(&self, __xfork_f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Formatter::debug_struct(__xfork_f, #name)
                    #(.field(#labels, &::xfork::ResultProxy::state(&self.#members)))*
                    .finish()
            }
        }

        #[automatically_derived]
        #[allow(dead_code)]
        impl #parameters #proxies #arguments #shared_conditions {
            #[doc = #about_join]
            #[track_caller]
            #vis fn join(self) -> ::xfork::ResultProxy<#ident #arguments> {
                <#ident #arguments as ::xfork::Proxied>::join(self)
            }
        }

        #[automatically_derived]
        impl #parameters ::xfork::Proxied for #ident #arguments #shared_conditions {
            type Proxies = #proxies #arguments;

            #[track_caller]
            fn split(__xfork_whole: ::xfork::ResultProxy<Self>) -> Self::Proxies {
                let __xfork_parts = ::xfork::__private::parts(__xfork_whole, |__xfork_whole: Self| {
                    (#(::xfork::__private::Part::new(__xfork_whole.#members),)*)
                });
                #proxies {
                    #(#members: ::xfork::__private::part(
                        &__xfork_parts,
                        |__xfork_parts| &__xfork_parts.#positions,
                    ),)*
                }
            }

            #[track_caller]
            fn join(__xfork_parts: Self::Proxies) -> ::xfork::ResultProxy<Self> {
                let #proxies { #(#members: #variables,)* } = __xfork_parts;
                ::xfork::__private::join([#(::xfork::__private::needed(&#variables)),*], move || {
                    ::core::result::Result::Ok(Self {
                        #(#members: ::xfork::__private::joined(#variables)?,)*
                    })
                })
            }
        }
    })
}

/// The fields of a struct that can be taken apart.
fn fields(item: &DeriveInput) -> Result<&Fields> {
    let mut refusals = Refusals::default();
    owned(&item.generics, &mut refusals);
    let fields = match &item.data {
        Data::Struct(item) => Some(&item.fields),
        Data::Enum(item) => {
            refusals.at(
                item.enum_token,
                "only a struct can be taken apart; which parts an enum has is not known before its value is: \
                use `ResultProxy::map`",
            );
            None
        }
        Data::Union(item) => {
            refusals.at(item.union_token, "only a struct can be taken apart, not a union");
            None
        }
    };
    if fields.is_some_and(Fields::is_empty) {
        refusals.at(&item.ident, "a struct without fields has no parts; leave out the derive");
    }
    refusals.finish()?;
    Ok(fields.expect("what has no fields was refused"))
}

/// The struct of proxies.
fn definition(
    item: &DeriveInput,
    proxies: &Ident,
    fields: &Fields,
    conditions: impl ToTokens,
) -> TokenStream {
    let DeriveInput { vis, ident, generics, .. } = item;
    let about = format!("A proxy for each field of [`{}`].", ident.unraw());
    let proxied = fields.iter().zip(fields.members()).map(|(field, member)| {
        let Field { vis, ident, ty, colon_token, .. } = field;
        // The blank line makes the summary a paragraph of its own.
        let blank: Attribute = parse_quote!(#[doc = ""]);
        let is_doc = |attribute: &&Attribute| attribute.path().is_ident("doc");
        let docs = std::iter::once(&blank).chain(field.attrs.iter().filter(is_doc));
        let about = format!(
            "The proxy of the field `{}`.",
            match &member {
                Member::Named(name) => name.unraw().to_string(),
                Member::Unnamed(index) => index.index.to_string(),
            }
        );
        quote!(#[doc = #about] #(#docs)* #vis #ident #colon_token ::xfork::ResultProxy<#ty>)
    });
    let body = match fields {
        Fields::Named(_) => quote!(#conditions { #(#proxied,)* }),
        _ => quote!((#(#proxied,)*) #conditions;),
    };
    // What is allowed or expected of the struct is allowed of its copy. Its names have been reported already, and
    // that nobody asks for a part is no fault.
    let is_lenient =
        |attribute: &&Attribute| ["allow", "expect"].iter().any(|level| attribute.path().is_ident(level));
    let lints =
        item.attrs.iter().filter(is_lenient).filter_map(|attribute| attribute.meta.require_list().ok());
    let lints = lints.map(|list| &list.tokens);
    quote! {
        #[doc = #about]
        #(#[allow(#lints)])*
        #[allow(dead_code, nonstandard_style)]
        #vis struct #proxies #generics #body
    }
}
