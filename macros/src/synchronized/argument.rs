//! Calls whose arguments may be concurrent calls: which of these are forked, and what is written for that.
//!
//! Promises that the other arguments are computed where the statement stands, in the user's order, and that the call is made
//! with them when the result has come.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use std::collections::HashSet;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprCall, Stmt, parse_quote};

use super::form::{bare, candidate};
use super::given::Given;
use super::names::{bound, mentioned};
use super::position::{self, is_local};
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
            let behind = (!candidates.is_empty()).then(|| self.behind_effects());
            let unless_given = self.unless_given(&callee, given);
            let then = position::method_at(call.func.span(), "__xfork_then");
            written = quote! {
                let #callee = __xfork::Callee(&#path);
                #unless_given
                if #callee.__xfork_is_concurrent() {
                    #behind
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
                let is_constant = self.is_constant(&arg);
                position::check_beside(&mut arg, &callee, &self.locals);
                if is_constant {
                    names.push(arg.to_token_stream());
                } else if keeps && !is_untyped(&arg) {
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
        // The others are called before.
        let behind =
            (args.iter().filter(|arg| candidate(arg).is_some()).count() > 1).then(|| self.behind_effects());
        quote! {
            let #callee = __xfork::Callee(&#path);
            if #callee.__xfork_is_concurrent() {
                #behind
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

    /// Whether one of the arguments can't wait for the result beside it: it borrows what may be changed, or gone, by then, or is a unique
    /// reference, which the statement lends and does not give away.
    pub(super) fn needs_its_turn(&self, args: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) -> bool {
        args.iter().any(|arg| match bare(arg) {
            Expr::Reference(_) => true,
            Expr::Path(path) => {
                let variable = path.path.get_ident().and_then(|name| self.find(name));
                variable.is_some_and(|number| self.variables[number].refers)
            }
            Expr::Closure(closure) => self.captures(closure),
            _ => false,
        })
    }

    /// Whether an argument is the same whenever it is computed. It is passed where it is written then, with the type that is expected
    /// there.
    fn is_constant(&self, arg: &Expr) -> bool {
        match bare(arg) {
            Expr::Lit(_) => true,
            Expr::Closure(closure) => !self.captures(closure),
            // A constant, or a function.
            Expr::Path(path) => {
                path.qself.is_none() && !path.path.is_ident("self") && !is_local(&path.path, &self.locals)
            }
            _ => false,
        }
    }

    /// Whether a closure may use variables of the function.
    fn captures(&self, closure: &syn::ExprClosure) -> bool {
        let names = mentioned(&closure.body);
        let own: HashSet<String> =
            closure.inputs.iter().flat_map(bound).map(|(name, _)| name.unraw().to_string()).collect();
        let variables = self.scope.iter().map(|&number| self.variables[number].name());
        variables.chain(["self".to_owned()]).any(|name| names.contains(&name) && !own.contains(&name))
    }
}

/// Whether the type of an expression may be known only by what is expected of it.
fn is_untyped(expr: &Expr) -> bool {
    const GENERIC: [&str; 7] = ["into", "try_into", "parse", "collect", "sum", "product", "default"];
    match bare(expr) {
        Expr::MethodCall(call) => {
            call.turbofish.is_none()
                && (GENERIC.iter().any(|name| call.method == name) || is_untyped(&call.receiver))
        }
        Expr::Call(call) => match bare(&call.func) {
            Expr::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "default"),
            _ => false,
        },
        Expr::Try(tried) => is_untyped(&tried.expr),
        _ => false,
    }
}
