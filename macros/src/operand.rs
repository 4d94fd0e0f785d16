//! `#[derive(Operand)]`, and the bounds that every derive gives to type parameters.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Generics, Result, parse_quote};

use crate::check::Refusals;

/// The implementation of `Operand`.
pub(crate) fn expand(item: &DeriveInput) -> Result<TokenStream> {
    let mut refusals = Refusals::default();
    owned(&item.generics, &mut refusals);
    refusals.finish()?;

    let ident = &item.ident;
    let bounded = bounded(
        &item.generics,
        &quote!(::core::clone::Clone + ::core::marker::Send + ::core::marker::Sync + 'static),
    );
    let (parameters, arguments, conditions) = bounded.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #parameters ::xfork::Operand for #ident #arguments #conditions {}
    })
}

/// Refuses what borrows.
pub(crate) fn owned(generics: &Generics, refusals: &mut Refusals) {
    for lifetime in generics.lifetimes() {
        refusals.at(
            &lifetime.lifetime,
            "a value behind a proxy outlives every borrow; own what it borrows, or implement the trait by hand \
            for `'static`",
        );
    }
}

/// The generics with `bounds` on each type parameter.
pub(crate) fn bounded(generics: &Generics, bounds: &TokenStream) -> Generics {
    let mut bounded = generics.clone();
    let types: Vec<_> = generics.type_params().map(|parameter| &parameter.ident).collect();
    if !types.is_empty() {
        let conditions = bounded.make_where_clause();
        conditions
            .predicates
            .extend(types.into_iter().map(|ident| -> syn::WherePredicate { parse_quote!(#ident: #bounds) }));
    }
    bounded
}
