//! `#[derive(Operand)]`, and the bounds that every derive gives to type parameters.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{DeriveInput, Generics, Ident, Result, parse_quote};

use crate::check::Refusals;

/// The operators that a value on the left of a proxy can have: trait and method.
const OPERATORS: [(&str, &str); 10] = [
    ("Add", "add"),
    ("Sub", "sub"),
    ("Mul", "mul"),
    ("Div", "div"),
    ("Rem", "rem"),
    ("BitAnd", "bitand"),
    ("BitOr", "bitor"),
    ("BitXor", "bitxor"),
    ("Shl", "shl"),
    ("Shr", "shr"),
];

/// The implementation of `Operand`, and those of the operators and comparisons with the value on the left.
///
/// Which of the operators the type has is not known here: each implementation has the plain operator as a condition.
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
    let right = unused("__Right", item);
    let operators = OPERATORS.map(|operator| operator_on_the_left(ident, &bounded, &right, operator));
    let comparisons = comparisons_on_the_left(ident, &bounded, &right);
    Ok(quote! {
        #[automatically_derived]
        impl #parameters ::xfork::Operand for #ident #arguments #conditions {}
        #(#operators)*
        #comparisons
    })
}

/// `value op proxy` and `value op &proxy`, deferred.
fn operator_on_the_left(
    ident: &Ident,
    generics: &Generics,
    right: &Ident,
    (trait_name, method): (&str, &str),
) -> TokenStream {
    let [operator, method] = [trait_name, method].map(|name| Ident::new(name, Span::call_site()));
    let (_, arguments, _) = generics.split_for_impl();
    let mut extended = generics.clone();
    extended.params.push(parse_quote!(#right: ::core::marker::Send + 'static));
    extended
        .make_where_clause()
        .predicates
        .push(parse_quote!(#right: ::xfork::__private::left::#operator<Self>));
    let (parameters, _, conditions) = extended.split_for_impl();

    let proxy = quote!(::xfork::ResultProxy<#right>);
    let forms =
        [(proxy.clone(), quote!(right)), (quote!(&#proxy), quote!(::core::clone::Clone::clone(right)))];
    let implementations = forms.map(|(operand, owned)| {
        quote! {
            #[automatically_derived]
            #[diagnostic::do_not_recommend]
            impl #parameters ::core::ops::#operator<#operand> for #ident #arguments #conditions {
                type Output = ::xfork::ResultProxy<<#right as ::xfork::__private::left::#operator<Self>>::Output>;

                #[track_caller]
                fn #method(self, right: #operand) -> Self::Output {
                    <#right as ::xfork::__private::left::#operator<Self>>::#method(self, #owned)
                }
            }
        }
    });
    quote!(#(#implementations)*)
}

/// `value == proxy`, `value < proxy` and their like, which wait.
fn comparisons_on_the_left(ident: &Ident, generics: &Generics, right: &Ident) -> TokenStream {
    let (_, arguments, _) = generics.split_for_impl();
    let comparisons = [
        ("PartialEq", "eq", quote!(bool)),
        ("PartialOrd", "partial_cmp", quote!(::core::option::Option<::core::cmp::Ordering>)),
    ];
    let implementations = comparisons.map(|(trait_name, method, outcome)| {
        let [comparison, method] = [trait_name, method].map(|name| Ident::new(name, Span::call_site()));
        let mut extended = generics.clone();
        extended.params.push(parse_quote!(#right: ::core::marker::Send + 'static));
        extended
            .make_where_clause()
            .predicates
            .push(parse_quote!(Self: ::core::cmp::#comparison<#right>));
        let (parameters, _, conditions) = extended.split_for_impl();
        quote! {
            #[automatically_derived]
            #[diagnostic::do_not_recommend]
            impl #parameters ::core::cmp::#comparison<::xfork::ResultProxy<#right>> for #ident #arguments #conditions {
                fn #method(&self, right: &::xfork::ResultProxy<#right>) -> #outcome {
                    <Self as ::core::cmp::#comparison<#right>>::#method(self, &**right)
                }
            }
        }
    });
    quote!(#(#implementations)*)
}

/// A name like `name` that `item` has no use for.
fn unused(name: &str, item: &DeriveInput) -> Ident {
    let source = item.to_token_stream().to_string();
    let mut name = name.to_string();
    while source.contains(&name) {
        name.push('_');
    }
    Ident::new(&name, Span::call_site())
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
