//! Tries: how often a task is run in this process until it gives a value, and what each further try is given.
//!
//! A try consumes the function and its arguments, so whoever may try again keeps a copy of them: clones where the types
//! are known to be `Clone`, otherwise the encoded arguments of a task that could travel. Where there is neither, there
//! is one try. Tries in worker processes are not its concern: the program sends the same bytes again.

use crate::callable::Again;
use crate::core::limits::Limits;
use crate::ground::wire::parcel::Parcel;
use std::time::Duration;

/// Where the function and the arguments of a further try come from.
pub(crate) enum Source<F, A> {
    Nowhere,
    Clone(Again<F, A>),
    /// The encoded arguments, and what reads them.
    Decode(Parcel, fn(&Parcel) -> Option<(F, A)>),
}

/// The tries of one task.
pub(crate) struct Tries<F, A> {
    limits: Limits,
    source: Source<F, A>,
    /// How many have begun.
    begun: u32,
    /// Clones for the next.
    kept: Option<(F, A)>,
}

impl<F, A> Tries<F, A> {
    /// The tries that `limits` allow; `source` is asked only if that is more than one.
    pub(crate) fn new(limits: Limits, source: impl FnOnce() -> Source<F, A>) -> Self {
        let source = if limits.retries.unwrap_or(0) > 0 { source() } else { Source::Nowhere };
        Self { limits, source, begun: 0, kept: None }
    }

    /// Begins a try with these, after having kept what the next one needs.
    pub(crate) fn begin(&mut self, function: &F, args: &A) {
        self.begun = self.begun.saturating_add(1);
        if let Source::Clone(again) = &self.source
            && self.is_another_allowed()
        {
            self.kept = Some(again(function, args));
        }
    }

    /// What the next try is run with; `None` if there is none: no try is left, or the task failed before the first.
    pub(crate) fn next(&mut self) -> Option<(F, A)> {
        match &self.source {
            Source::Decode(parcel, decode) if self.begun > 0 && self.is_another_allowed() => decode(parcel),
            _ => self.kept.take(),
        }
    }

    /// How long to wait before the next try.
    pub(crate) fn pause(&self) -> Duration {
        self.limits.pause_before(self.begun)
    }

    /// How many tries there were; one, if the task failed before the first.
    pub(crate) fn count(&self) -> u32 {
        self.begun.max(1)
    }

    /// Whether there may be a try after the one that has begun.
    fn is_another_allowed(&self) -> bool {
        self.begun <= self.limits.retries.unwrap_or(0)
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn again(function: &char, argument: &u32) -> (char, u32) {
        (*function, *argument)
    }

    fn runs(limits: Limits, source: Source<char, u32>) -> u32 {
        let mut tries = Tries::new(limits, || source);
        assert!(tries.next().is_none(), "nothing is tried again that has not been tried");
        let mut work = Some(('f', 7));
        let mut runs = 0;
        while let Some((function, argument)) = work {
            assert_eq!((function, argument), ('f', 7));
            tries.begin(&function, &argument);
            runs += 1;
            work = tries.next();
        }
        assert_eq!(tries.count(), runs);
        runs
    }

    #[test]
    fn there_is_one_try_more_than_there_are_retries() {
        for retries in 0..4 {
            let limits = Limits::new().retries(retries);
            let decode = |parcel: &Parcel| Some(('f', u32::from(parcel.bytes[0])));
            let parcel = Parcel::new(vec![7], Vec::new());
            assert_eq!(runs(limits, Source::Clone(again)), retries + 1);
            assert_eq!(runs(limits, Source::Decode(parcel, decode)), retries + 1);
            assert_eq!(runs(limits, Source::Nowhere), 1);
        }
        assert_eq!(runs(Limits::new(), Source::Clone(again)), 1);
    }

    #[test]
    fn what_cannot_be_read_again_is_not_tried_again() {
        assert_eq!(runs(Limits::new().retries(9), Source::Decode(Parcel::default(), |_| None)), 1);
    }
}
