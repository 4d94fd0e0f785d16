//! The places that results are put into: their variables, what is pending of them, and how a place is reached when its
//! results have come.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use std::collections::BTreeSet;
use syn::ext::IdentExt as _;
use syn::{Expr, Member, UnOp, parse_quote};

use super::form::bare;
use super::names::{Names, mentioned};

/// How the variable of a place is borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It may be changed itself: `&mut x`.
    Itself,
    /// It can't be changed, so what is changed is behind the reference in it: `&mut *x`.
    Behind,
}

/// A variable.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) ident: Ident,
    pub(super) way: Way,
    /// It has a value where it is declared.
    pub(super) is_initialised: bool,
    /// Its name may be that of another one.
    pub(super) is_hidden: bool,
    /// It may be a unique reference, as far as is seen where it is declared.
    pub(super) may_be_unique: bool,
    /// It is a unique reference, as far as is seen where it is declared.
    pub(super) refers: bool,
    /// It is a shared reference, and no other one later.
    pub(super) is_shared: bool,
    /// It may be a `Tracked` collection, or a reference to one.
    pub(super) is_tracked: bool,
    /// Its fields can be borrowed one by one: it is no guard of something.
    pub(super) has_parts: bool,
    /// What it may be a unique reference into.
    pub(super) origins: Names,
    /// How many blocks are around it.
    pub(super) depth: usize,
    /// Whether something is ever put into it later.
    pub(super) is_place: bool,
    /// Its own number, or that of the variable of which it is a field.
    pub(super) whole: usize,
    /// Which of its fields is meant; none for the variable itself.
    pub(super) fields: Vec<Member>,
    /// The numbers of those of its fields that are places themselves.
    pub(super) parts: Vec<usize>,
    /// Its queue.
    pub(super) queue: Ident,
}

impl Variable {
    pub(super) fn new(ident: Ident, is_mut: bool, depth: usize, number: usize) -> Self {
        Self {
            way: if is_mut { Way::Itself } else { Way::Behind },
            queue: Ident::new(&format!("__xfork_queue_{number}"), Span::mixed_site()),
            ident,
            is_initialised: true,
            is_hidden: false,
            may_be_unique: is_mut,
            refers: false,
            is_shared: false,
            is_tracked: false,
            has_parts: false,
            origins: Names::default(),
            depth,
            is_place: false,
            whole: number,
            fields: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// One of its fields, as a place of its own.
    pub(super) fn part(&self, fields: &[Member], number: usize) -> Self {
        let queue = Self::new(self.ident.clone(), false, self.depth, number).queue;
        Self { fields: fields.to_vec(), parts: Vec::new(), is_place: false, queue, ..self.clone() }
    }

    pub(super) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// Its queue is declared where the variable is.
    pub(super) fn declare(&self) -> syn::Stmt {
        let (queue, place) = (&self.queue, self.place());
        let place = quote!(&#place);
        parse_quote! {
            #[allow(unused_mut)]
            let mut #queue = __xfork::Queue::of(#place);
        }
    }

    /// What is pending of it, with the place itself.
    pub(super) fn pending(&self) -> TokenStream {
        let (queue, place) = (&self.queue, self.place());
        quote!(&mut #queue.at(&mut #place))
    }

    /// An expression for the place.
    pub(super) fn place(&self) -> TokenStream {
        let Self { ident, fields, way, .. } = self;
        match way {
            Way::Behind if fields.is_empty() => quote!(*#ident),
            _ => quote!(#ident #(.#fields)*),
        }
    }
}

/// What may be pending at some point of the function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Numbers of variables.
    pub(super) places: BTreeSet<usize>,
    /// Those of them into which something is put that is not a change of a `Tracked` collection.
    pub(super) loose: BTreeSet<usize>,
    /// Those of which something pending may keep something borrowed.
    pub(super) holding: BTreeSet<usize>,
    /// Calls without a place.
    pub(super) alone: bool,
    /// Some with effects that may be seen anywhere.
    pub(super) effects: bool,
}

impl State {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && !self.alone
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.places.extend(&other.places);
        self.loose.extend(&other.loose);
        self.holding.extend(&other.holding);
        self.alone |= other.alone;
        self.effects |= other.effects;
    }
}

/// What a place is part of.
pub(super) struct Root {
    /// The variable: `grid` of `grid.rows[i].cells[j]`.
    pub(super) ident: Ident,
    /// Its fields, up to the first index or `*`: `rows`.
    pub(super) fields: Vec<Member>,
}

/// What a place is part of; `None` if it is reached by calls.
pub(super) fn root(place: &Expr) -> Option<Root> {
    match bare(place) {
        Expr::Path(path) if path.qself.is_none() => {
            Some(Root { ident: path.path.get_ident()?.clone(), fields: Vec::new() })
        }
        Expr::Field(field) => {
            let mut root = root(&field.base)?;
            if is_variable_or_field(&field.base) {
                root.fields.push(field.member.clone());
            }
            Some(root)
        }
        Expr::Index(index) => root(&index.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => root(&unary.expr),
        _ => None,
    }
}

/// Whether the first step from the variable of a place is a field.
pub(super) fn reaches_by_field(place: &Expr) -> bool {
    match bare(place) {
        Expr::Field(field) => is_variable_or_field(&field.base) || reaches_by_field(&field.base),
        Expr::Index(index) => reaches_by_field(&index.expr),
        Expr::Unary(unary) => reaches_by_field(&unary.expr),
        _ => false,
    }
}

/// Whether a place is reached by fields alone.
pub(super) fn is_variable_or_field(place: &Expr) -> bool {
    match bare(place) {
        Expr::Path(_) => true,
        Expr::Field(field) => is_variable_or_field(&field.base),
        _ => false,
    }
}

/// The indexes of a place, the outermost last, and what they mention.
pub(super) fn indexes<'a>(place: &'a Expr, to: &mut Vec<&'a Expr>) {
    match bare(place) {
        Expr::Field(field) => indexes(&field.base, to),
        Expr::Index(index) => {
            indexes(&index.expr, to);
            to.push(&index.index);
        }
        Expr::Unary(unary) => indexes(&unary.expr, to),
        _ => {}
    }
}

/// What the indexes of a place mention.
pub(super) fn mentioned_in_indexes(place: &Expr) -> Names {
    let mut found = Vec::new();
    indexes(place, &mut found);
    let mut names = Names::default();
    found.into_iter().for_each(|index| names.extend(mentioned(index)));
    names
}

/// A place as it is reached later: through `here`, a reference to its variable, with indexes computed before.
pub(super) struct Later {
    /// Computes the indexes.
    pub(super) before: TokenStream,
    pub(super) place: TokenStream,
}

impl Later {
    /// `variable` is what `here` refers to.
    pub(super) fn of(place: &Expr, variable: &Variable, here: &Ident) -> Self {
        let mut before = TokenStream::new();
        let mut count = 0;
        let way = if variable.fields.is_empty() { variable.way } else { Way::Itself };
        let place = rewrite(place, way, variable.fields.len(), here, &mut count, &mut before);
        Self { before, place }
    }
}

/// `fields` of the fields next to the variable are what `here` refers to.
fn rewrite(
    place: &Expr,
    way: Way,
    fields: usize,
    here: &Ident,
    count: &mut usize,
    before: &mut TokenStream,
) -> TokenStream {
    match bare(place) {
        Expr::Field(_) if is_variable_or_field(place) && depth(place) <= fields => quote!((*#here)),
        Expr::Field(field) => {
            let base = rewrite(&field.base, way, fields, here, count, before);
            let member = &field.member;
            quote!(#base.#member)
        }
        Expr::Index(index) => {
            let base = rewrite(&index.expr, way, fields, here, count, before);
            let value = &index.index;
            // A literal is its own value, and its type is found where it is used.
            if let Expr::Lit(literal) = bare(value) {
                return with_brackets(index, &base, literal.to_token_stream());
            }
            let name = Ident::new(&format!("__xfork_index_{count}"), Span::mixed_site());
            *count += 1;
            before.extend(quote!(let #name = #value;));
            with_brackets(index, &base, quote!(#name))
        }
        Expr::Unary(unary) => {
            // Of a variable that is behind a reference, `here` is what its `*` gives.
            if way == Way::Behind && matches!(bare(&unary.expr), Expr::Path(_)) {
                return quote!((*#here));
            }
            let base = rewrite(&unary.expr, way, fields, here, count, before);
            quote!((*#base))
        }
        _ => quote!((*#here)),
    }
}

/// How many fields are between a place that is reached by fields alone and its variable.
fn depth(place: &Expr) -> usize {
    match bare(place) {
        Expr::Field(field) => 1 + depth(&field.base),
        _ => 0,
    }
}

/// The brackets stay the user's: a panic for an index out of bounds names their line.
fn with_brackets(index: &syn::ExprIndex, base: &TokenStream, value: TokenStream) -> TokenStream {
    let span = index.bracket_token.span.join();
    let mut group = proc_macro2::Group::new(proc_macro2::Delimiter::Bracket, value);
    group.set_span(span);
    quote!(#base #group)
}
