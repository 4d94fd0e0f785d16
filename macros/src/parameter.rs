//! The owned form of a parameter: what a forked call takes where the function borrows.
//!
//! It promises that for every parameter that [`crate::check`] lets through, passing the owned value (or `&`
//! of it, which coerces) is what the function wants. It goes by how the type is written, as a macro must; for
//! the names that a user's own type may also have (`Path`, `OsStr`, `CStr`) it leaves the choice to
//! `ToOwned`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut;
use syn::{FnArg, Lifetime, Pat, Signature, Type, parse_quote, parse_quote_spanned};

/// One parameter of a function that may be marked.
pub(crate) struct Parameter {
    /// Its type, as the user wrote it.
    pub(crate) given: Type,
    /// The type of the value that a forked call takes for it.
    pub(crate) owned: Type,
    /// The name that the user gave it, where there is one: documentation shows it.
    pub(crate) name: Ident,
    /// A name that nothing of the user's can meet.
    pub(crate) slot: Ident,
    passing: Passing,
}

/// How the function takes what the forked call owns.
#[derive(Clone, Copy)]
enum Passing {
    Value,
    Borrowed,
    /// It changes what comes back.
    Tracked,
}

impl Parameter {
    /// The parameters of a checked signature, in order.
    pub(crate) fn all(signature: &Signature) -> Vec<Self> {
        let typed = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        typed
            .enumerate()
            .map(|(index, typed)| {
                let (owned, passing) = owned_form(&typed.ty);
                let slot = Ident::new(&format!("__xfork_{index}"), Span::mixed_site());
                let name = match &*typed.pat {
                    Pat::Ident(pattern) => pattern.ident.clone(),
                    _ => format_ident!("argument_{}", index + 1),
                };
                Self { given: (*typed.ty).clone(), owned, name, slot, passing }
            })
            .collect()
    }

    /// What the function borrows, where the forked call owns it: the type without the reference.
    pub(crate) fn borrowed(&self) -> Option<&Type> {
        match (self.passing, bare(&self.given)) {
            (Passing::Borrowed, Type::Reference(reference)) => Some(&reference.elem),
            _ => None,
        }
    }

    /// Whether the function changes it, and what it changes travels back; its type, without the reference.
    pub(crate) fn tracked(&self) -> Option<&Type> {
        tracked(&self.given)
    }

    /// The type of what a call takes for it, which may be lent where the function borrows.
    pub(crate) fn taken(&self, is_lent: bool) -> TokenStream {
        let (owned, span) = (&self.owned, self.given.span());
        match self.passing {
            _ if !is_lent => quote!(#owned),
            Passing::Value => quote!(#owned),
            Passing::Borrowed => quote_spanned!(span=> ::xfork::__private::synchronized::Lent<#owned>),
            Passing::Tracked => quote_spanned!(span=> ::xfork::__private::synchronized::SnapshotOf<#owned>),
        }
    }

    /// The argument that passes this parameter's slot to the function.
    pub(crate) fn argument(&self) -> TokenStream {
        let slot = &self.slot;
        match self.passing {
            // A tracked one is a reference already.
            Passing::Value | Passing::Tracked => quote!(#slot),
            Passing::Borrowed => quote!(&#slot),
        }
    }
}

/// The type inside parentheses and the invisible groups that `macro_rules!` puts around a `$t:ty`.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// The type in `&mut Tracked<..>`.
pub(crate) fn tracked(ty: &Type) -> Option<&Type> {
    let Type::Reference(reference) = bare(ty) else { return None };
    let target = bare(&reference.elem);
    let Type::Path(path) = target else { return None };
    let is_tracked = path.path.segments.last().is_some_and(|last| last.ident == "Tracked");
    (reference.mutability.is_some() && is_tracked).then_some(target)
}

fn owned_form(given: &Type) -> (Type, Passing) {
    if let Some(tracked) = tracked(given) {
        return (outliving(tracked), Passing::Tracked);
    }
    match bare(given) {
        Type::Reference(reference) if !is_static(reference.lifetime.as_ref()) => {
            (without_borrow(bare(&reference.elem)), Passing::Borrowed)
        }
        _ => (outliving(given), Passing::Value),
    }
}

/// The owner of a value that is borrowed as `&target`.
fn without_borrow(target: &Type) -> Type {
    let span = target.span();
    match target {
        Type::Slice(slice) => {
            let item = outliving(&slice.elem);
            parse_quote_spanned!(span=> ::std::vec::Vec<#item>)
        }
        Type::Path(path) if path.qself.is_none() => {
            match path.path.segments.last().map(|last| last.ident.unraw().to_string()).as_deref() {
                Some("str") => parse_quote_spanned!(span=> ::std::string::String),
                Some("Path" | "OsStr" | "CStr") => {
                    let to_owned = quote_spanned!(span=> ::std::borrow::ToOwned);
                    parse_quote!(<#target as #to_owned>::Owned)
                }
                _ => outliving(target),
            }
        }
        _ => outliving(target),
    }
}

/// The type with `'static` for each `'_`: a forked call may outlive every borrow of its caller's.
fn outliving(ty: &Type) -> Type {
    let mut ty = ty.clone();
    Outliving.visit_type_mut(&mut ty);
    ty
}

struct Outliving;

impl VisitMut for Outliving {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
    }

    // A `'_` in a function's own signature is its caller's to choose, and stays.
    fn visit_type_bare_fn_mut(&mut self, _: &mut syn::TypeBareFn) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut syn::ParenthesizedGenericArguments) {}
}

pub(crate) fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}
