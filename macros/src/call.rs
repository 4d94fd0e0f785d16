//! The `fork!` macro: an ordinary call, written as one.
//!
//! It takes a path and its arguments apart and puts `::xfork::fork` before them, with the call's own span, so
//! that the place a fork reports is the line of the call. It does not look inside the arguments. Anything
//! that has no function by itself to fork (a method call, a closure, a block, a macro) is refused.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprCall, Result, Token};

/// A call of a function that has a path.
pub(crate) struct Call(ExprCall);

impl Call {
    /// The call of `::xfork::fork` that stands for it.
    pub(crate) fn expand(&self) -> TokenStream {
        let function = &self.0.func;
        let arguments = self.0.args.iter();
        quote_spanned!(self.0.span()=> ::xfork::fork(#function, (#(#arguments,)*)))
    }
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(
                input.span(),
                "there is no call to fork; write it in the parentheses, as in `fork!(f(a, b))`",
            ));
        }
        let expression: Expr = input.parse()?;
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
        }
        if !input.is_empty() {
            return Err(input.error(
                "`fork!` takes one call; put the arguments in the call's parentheses, or write \
                `fork(f, (a, b))`",
            ));
        }
        call(expression)
    }
}

fn call(expression: Expr) -> Result<Call> {
    let sentence = match expression {
        // An invisible group, which `macro_rules!` puts around a `$e:expr`.
        Expr::Group(group) => return call(*group.expr),
        Expr::Call(plain) => {
            if matches!(path(&plain.func), Expr::Path(_)) {
                return Ok(Call(plain));
            }
            return Err(Error::new_spanned(
                &plain.func,
                "`fork!` takes the call of a function by its name; fork a closure or a computed \
                function as `fork(f, (a, b))`",
            ));
        }
        Expr::MethodCall(call) => {
            return Err(Error::new_spanned(
                &call.method,
                "`fork!` takes the call of a function, not of a method; write a function that \
                takes the receiver as its first parameter",
            ));
        }
        Expr::Closure(_) => "`fork!` takes a call, not a closure; write `fork(|x| …, (x,))`",
        Expr::Block(_) | Expr::Unsafe(_) | Expr::Async(_) | Expr::Const(_) => {
            "`fork!` takes one call, not a block; put the block in a function and fork the call of it"
        }
        Expr::Macro(_) => {
            "`fork!` takes the call of a function, not of a macro; put the macro in a function \
            and fork that"
        }
        Expr::Path(_) => {
            "`fork!` takes a call; add the arguments, as in `f(a, b)`, or write `fork(f, (a, b))`"
        }
        Expr::Try(_) => {
            "a `?` would wait for the result; put it where the result is used, and leave the \
            call alone in `fork!`"
        }
        Expr::Await(_) => "an `.await` would wait for the result; put it after `fork!(…)`",
        _ => "`fork!` takes one plain call, as in `fork!(f(a, b))`; write the rest around it",
    };
    Err(Error::new_spanned(expression, sentence))
}

/// The expression inside the invisible groups that `macro_rules!` puts around a `$f:expr` or `$f:path`.
fn path(function: &Expr) -> &Expr {
    match function {
        Expr::Group(group) => path(&group.expr),
        other => other,
    }
}
