//! What is put off and may be seen elsewhere than in its place: a function that is called, a method or an operator that the
//! user has written.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Expr, Stmt, parse_quote, parse_quote_spanned};

use super::site::internal;
use super::walk::Walk;

impl Walk {
    /// Notes whether what changes a place may have effects that are seen elsewhere; that is so unless the type of the place tells.
    pub(super) fn note_effects(&self, number: usize, reached: &TokenStream, by_type: bool) -> TokenStream {
        let session = &self.session;
        if !by_type {
            return quote!(#session.note_effects(true););
        }
        let (receiver, here) = (internal("__xfork_receiver"), internal("__xfork_here"));
        let place = self.variables[number].place();
        quote! {
            let #receiver = __xfork::Receiver::of_some_type();
            if false {
                #receiver.is(&#place, |#here| &#reached);
                ::core::unreachable!();
            }
            #session.note_effects(#receiver.__xfork_has_effects());
        }
    }

    /// Settles everything if something has effects that anybody may see.
    pub(super) fn settle_effects(&mut self, out: &mut Vec<Stmt>) {
        let settle: Option<Stmt> = self.settling_effects().map(|settle| parse_quote!(#settle));
        out.extend(settle);
        self.state.effects = false;
    }

    /// As [`settle_effects`](Self::settle_effects), at the end of a round of the loop of this number.
    pub(super) fn settle_effects_unless_calm(&self, number: usize, out: &mut Vec<Stmt>) {
        let calm = calm(number);
        let settle: Option<Stmt> =
            self.settling_effects().map(|settle| parse_quote!(if !#calm.get() { #settle }));
        out.extend(settle);
    }

    /// Has a loop ask the type of what it runs over whether it is calm; gives its number.
    pub(super) fn ask_calm(&mut self, source: &mut Expr, out: &mut Vec<Stmt>) -> usize {
        let number = self.next_loop();
        let calm = calm(number);
        out.push(parse_quote!(let #calm = ::core::cell::Cell::new(false);));
        *source = parse_quote_spanned!(source.span()=> __xfork::Source(#source).__xfork_is_calm(&#calm));
        number
    }

    /// Settles what an ordinary callee may see.
    pub(super) fn behind_effects(&self) -> TokenStream {
        self.settling_effects().unwrap_or_default()
    }

    fn settling_effects(&self) -> Option<TokenStream> {
        (self.state.effects && !self.state.is_empty()).then(|| {
            let (session, settle) = (&self.session, self.settle_all());
            quote!(if #session.has_effects() { #(#settle)* })
        })
    }
}

fn calm(number: usize) -> Ident {
    internal(&format!("__xfork_calm_{number}"))
}

/// Whether it is a method of collections, which changes them and nothing else. Another one may be of the user's own trait.
pub(super) fn is_of_a_container(method: &Ident) -> bool {
    const METHODS: [&str; 20] = [
        "append",
        "copy_from_slice",
        "clone_from_slice",
        "extend",
        "extend_from_slice",
        "fill",
        "get_or_insert",
        "insert",
        "insert_str",
        "push",
        "push_back",
        "push_front",
        "push_str",
        "remove",
        "replace",
        "resize",
        "rotate_left",
        "rotate_right",
        "swap_remove",
        "truncate",
    ];
    METHODS.iter().any(|name| method == name)
}
