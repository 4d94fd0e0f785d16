//! Calls whose arguments may be concurrent calls: which of these are forked, and what is written for that.
//!
//! Promises that the other arguments are computed where the statement stands, in the user's order, and that the call is made
//! with them when the result has come.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprCall, Stmt, parse_quote};

use super::form::{bare, candidate};
use super::given::Given;
use super::position;
use super::site::{ended, internal, path_of};
use super::walk::Walk;

impl Walk {
    /// A statement whose call has one argument that may be a concurrent call.
    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    pub(super) fn one_of(
        &self,
        statement: &TokenStream,
        args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>,
        candidates: &[usize],
        before: &TokenStream,
        note: &TokenStream,
        queue: &Ident,
        whole: &dyn Fn(TokenStream) -> TokenStream,
        out: &mut Vec<Stmt>,
    ) {
        let mut written = statement.clone();
        for &at in candidates.iter().rev() {
            written = self.if_argument(at, args, before, note, queue, whole, false, &written);
        }
        out.push(parse_quote!({ #written }));
    }

    /// `g(.., f(..));`, of which `g` or one of its arguments may be concurrent; `itself` if `g` may, with what that may change.
    pub(super) fn alone(
        &self,
        mut statement: Stmt,
        call: &ExprCall,
        candidates: &[usize],
        itself: Option<Option<&Given>>,
        out: &mut Vec<Stmt>,
    ) {
        let (session, queue) = (&self.session, &self.alone);
        let function = &call.func;
        let note = quote!(#session.note_effects(true););
        let whole = |args: TokenStream| quote_spanned!(call.span()=> #function(#args));
        self.check_statement(&mut statement);
        let (behind, statement) = (self.behind_effects(), ended(&statement));
        let calls = candidates.iter().filter_map(|&at| candidate(&call.args[at])).chain(itself.map(|_| call));
        let forgets: Vec<Stmt> = calls.flat_map(|call| self.forgets_of_call(call)).collect();
        let mut written = quote!(#behind #(#forgets)* #statement);
        let none = TokenStream::new();
        for &at in candidates.iter().rev() {
            written = self.if_argument(at, &call.args, &none, &note, queue, &whole, true, &written);
        }
        if let Some(given) = itself {
            let callee = internal("__xfork_callee");
            let path = path_of(call);
            let forked = self.fork(&callee, call, given);
            let unless_given = self.unless_given(&callee, given);
            let then = position::method_at(call.func.span(), "__xfork_then");
            written = quote! {
                let #callee = __xfork::Callee(&#path);
                #unless_given
                if #callee.__xfork_is_concurrent() {
                    #forked.#then(&#session, &mut #queue, |_, _| {});
                } else {
                    #written
                }
            };
        }
        out.push(parse_quote!({ #written }));
    }

    /// If the argument `at` is a concurrent call, that is forked; else `otherwise`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    fn if_argument(
        &self,
        at: usize,
        args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>,
        before: &TokenStream,
        note: &TokenStream,
        queue: &Ident,
        whole: &dyn Fn(TokenStream) -> TokenStream,
        keeps: bool,
        otherwise: &TokenStream,
    ) -> TokenStream {
        let session = &self.session;
        let (callee, task) = (internal("__xfork_callee"), internal("__xfork_task"));
        let (here, result) = (internal("__xfork_here"), internal("__xfork_result"));
        let call = candidate(&args[at]).expect("a candidate");
        let path = path_of(call);
        let mut computed = TokenStream::new();
        let mut names = Vec::new();
        for (number, arg) in args.iter().enumerate() {
            if number == at {
                let forked = self.fork(&callee, call, None);
                computed.extend(quote!(let #task = #forked;));
                names.push(quote!(#result));
            } else {
                let name = internal(&format!("__xfork_argument_{number}"));
                let mut arg = arg.clone();
                position::check_beside(&mut arg, &callee, &self.locals);
                if keeps {
                    computed.extend(quote! {
                        #[allow(unused_mut)]
                        let mut #name = __xfork::Keep(#arg).__xfork_keep();
                    });
                    names.push(quote!(#name.__xfork_give()));
                } else {
                    computed.extend(quote!(let #name = #arg;));
                    names.push(quote!(#name));
                }
            }
        }
        let whole = whole(quote!(#(#names),*));
        quote! {
            let #callee = __xfork::Callee(&#path);
            if #callee.__xfork_is_concurrent() {
                #before
                #note
                #computed
                #task.__xfork_then(&#session, &mut #queue, move |#here, #result| {
                    let _ = &#here;
                    #[allow(unused_must_use, clippy::let_underscore_untyped)]
                    { #whole; }
                });
            } else {
                #otherwise
            }
        }
    }

    /// Those of the arguments that may be concurrent calls.
    pub(super) fn real(
        &self,
        args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>,
        candidates: Vec<usize>,
    ) -> Vec<usize> {
        // A call that changes a collection is made where it stands.
        let is_real = |&at: &usize| {
            candidate(&args[at]).is_some_and(|call| !self.is_variable(call) && !self.may_change(call))
        };
        candidates.into_iter().filter(is_real).collect()
    }

    /// Whether one of the arguments is a unique reference, which the statement lends and does not give away.
    pub(super) fn gives_unique(&self, args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) -> bool {
        args.iter().any(|arg| match bare(arg) {
            Expr::Path(path) => {
                let variable = path.path.get_ident().and_then(|name| self.find(name));
                variable.is_some_and(|number| self.variables[number].refers)
            }
            _ => false,
        })
    }
}

/// Whether one of the arguments borrows what may be changed, or gone, when a call is made later.
pub(super) fn borrows(args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) -> bool {
    args.iter().any(|arg| matches!(bare(arg), Expr::Reference(_)))
}
