//! A number for the text of a function, which stays the same when only comments or the layout change.
//!
//! It is the same in every build by one compiler. Another compiler's standard library may hash otherwise, which only means
//! that results are computed anew.

use proc_macro2::{Group, Spacing, TokenStream, TokenTree};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A hash of tokens.
pub(crate) fn hash(tokens: TokenStream) -> u64 {
    let mut hasher = DefaultHasher::new();
    add(tokens, &mut hasher);
    hasher.finish()
}

fn add(tokens: TokenStream, hasher: &mut DefaultHasher) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(sign)
                if sign.as_char() == '#' && tokens.peek().is_some_and(is_documentation) =>
            {
                tokens.next();
            }
            TokenTree::Group(group) => {
                (0, format!("{:?}", group.delimiter())).hash(hasher);
                add(group.stream(), hasher);
                1.hash(hasher);
            }
            TokenTree::Ident(word) => (2, word.to_string()).hash(hasher),
            // `&&` is not `& &`.
            TokenTree::Punct(sign) => (3, sign.as_char(), sign.spacing() == Spacing::Joint).hash(hasher),
            TokenTree::Literal(literal) => (4, literal.to_string()).hash(hasher),
        }
    }
}

/// `[doc = "…"]`, which a comment with three slashes becomes.
fn is_documentation(token: &TokenTree) -> bool {
    let first = |group: &Group| group.stream().into_iter().next();
    matches!(token, TokenTree::Group(group) if matches!(first(group), Some(TokenTree::Ident(word)) if word == "doc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> u64 {
        hash(text.parse().unwrap())
    }

    #[test]
    fn comments_and_layout_do_not_count() {
        let plain = of("fn f(n: u8) -> u8 { let m = n; m + 1 }");
        assert_eq!(plain, of("fn f(n: u8)->u8 {\n    let m = n; // why\n    m + 1\n}"));
        assert_eq!(plain, of("fn f(n: u8) -> u8 { /// about m\n let m = n; m + 1 /* so */ }"));
    }

    #[test]
    fn everything_else_does() {
        let texts = [
            "{ a + b }",
            "{ a - b }",
            "( a + b )",
            "{ a + c }",
            "{ a } + b",
            "{ 1 + b }",
            "{ \"1\" + b }",
            "{ a & &b }",
            "{ a && b }",
            "#[inline] { a + b }",
        ];
        for (at, text) in texts.iter().enumerate() {
            assert!(!texts[..at].iter().any(|other| of(other) == of(text)), "{text}");
        }
    }
}
