//! What is put off and may be seen elsewhere than in its place: a function that is called, a method or an operator that the
//! user has written.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Stmt, parse_quote};

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
