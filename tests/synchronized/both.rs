//! One source compiled twice: with the two attributes, and without them.

/// Items, as they are in a module `forked` and without the attributes in a module `serial`.
macro_rules! both {
    ($($item:tt)*) => {
        #[allow(dead_code, reason = "not every module calls every function")]
        mod forked {
            #[allow(unused_imports, reason = "for the items")]
            use super::*;
            $($item)*
        }
        #[allow(dead_code, reason = "not every module calls every function")]
        mod serial {
            #[allow(unused_imports, reason = "for the items")]
            use super::*;
            $crate::both::without! { [] $($item)* }
        }
    };
}

/// Items without the two attributes.
macro_rules! without {
    ([$($done:tt)*]) => { $($done)* };
    ([$($done:tt)*] #[concurrent $($settings:tt)*] $($rest:tt)*) => {
        $crate::both::without! { [$($done)*] $($rest)* }
    };
    ([$($done:tt)*] #[synchronized] $($rest:tt)*) => { $crate::both::without! { [$($done)*] $($rest)* } };
    ([$($done:tt)*] $next:tt $($rest:tt)*) => { $crate::both::without! { [$($done)* $next] $($rest)* } };
}

/// Checks that a call gives the same both ways.
macro_rules! same {
    ($function:ident($($argument:expr),*)) => {
        assert_eq!(forked::$function($($argument),*), serial::$function($($argument),*))
    };
}

pub(crate) use {both, same, without};
