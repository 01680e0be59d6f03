//! How work is cut into kernel calls, and how the calls are made on several threads.
//!
//! Both are the same for everybody: a call's fuel depends on what is in it, and of several calls
//! that fail, the first in order is the one that is reported.

use crate::error::EvaluateError;
use std::thread::{ScopedJoinHandle, scope};

/// Most bytes handed to one kernel call, beside the rows that a spec allows per call. Part of every
/// verdict, since fuel is counted per call: never change it under one spec format.
const CALL_BYTES_MAX: usize = 4 << 20;

/// Most calls at a time, however many threads there are: each may take all the memory that a spec
/// grants a call.
const AT_ONCE_MAX: usize = 16;

/// How many calls to make at a time with so many threads.
pub(crate) fn at_once(threads: usize) -> usize {
    threads.clamp(1, AT_ONCE_MAX)
}

/// Cuts items into calls of at most `count` items and [`CALL_BYTES_MAX`] bytes, at least one item
/// each.
pub(crate) fn cut<T>(
    items: &[T],
    count: usize,
    bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut total = 0;
        let fits = |item: &&T| {
            total += bytes(item);
            total <= CALL_BYTES_MAX
        };
        let take = rest.iter().take(count).take_while(fits).count().max(1);
        let (call, after) = rest.split_at_checked(take)?;
        rest = after;
        Some(call)
    })
}

/// Makes calls, so many at a time, and gives each with its answer in the order of the calls. Calls
/// behind one that fails may have been made; nobody sees their answers who stops there.
///
/// [`EvaluateError::Cancelled`] takes the place of calls from which on `cancelled` holds.
pub(crate) fn in_order<C: Copy + Send, A: Send>(
    at_once: usize,
    cancelled: impl Fn() -> bool,
    mut calls: impl Iterator<Item = C>,
    make: impl Fn(C) -> A + Sync,
) -> impl Iterator<Item = Result<(C, A), EvaluateError>> {
    std::iter::from_fn(move || {
        let wave: Vec<C> = calls.by_ref().take(at_once).collect();
        (!wave.is_empty()).then(|| match cancelled() {
            true => vec![Err(EvaluateError::Cancelled)],
            false => together(&wave, &make),
        })
    })
    .flatten()
}

/// Makes one call on each of as many threads.
fn together<C: Copy + Send, A: Send>(
    wave: &[C],
    make: &(impl Fn(C) -> A + Sync),
) -> Vec<Result<(C, A), EvaluateError>> {
    if let [only] = wave {
        return vec![Ok((*only, make(*only)))];
    }
    let join = |thread: ScopedJoinHandle<'_, A>| {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    };
    scope(|scope| {
        let start = |&call: &C| (call, scope.spawn(move || make(call)));
        let started: Vec<_> = wave.iter().map(start).collect();
        started.into_iter().map(|(call, thread)| Ok((call, join(thread)))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn calls_are_cut_by_count_and_by_bytes() {
        let sizes = [1, 1, 1, 3 << 20, 2 << 20, 5 << 20, 1];
        let lengths: Vec<usize> = cut(&sizes, 2, |size| *size).map(<[usize]>::len).collect();
        assert_eq!(lengths, [2, 2, 1, 1, 1]);
        assert_eq!(cut(&[] as &[usize], 2, |size| *size).count(), 0);
    }

    #[test]
    fn answers_come_in_the_order_of_the_calls() {
        for at_once in 1..5 {
            let answers: Result<Vec<_>, _> =
                in_order(at_once, || false, 0..10, |call| 10 * call).collect();
            let expected: Vec<_> = (0..10).map(|call| (call, 10 * call)).collect();
            assert_eq!(answers.unwrap(), expected);
        }
    }

    /// Each call waits for two others, so this test ends only if three are made at a time.
    #[test]
    fn calls_are_made_at_a_time() {
        let barrier = Barrier::new(3);
        let made = in_order(3, || false, 0..9, |_| barrier.wait().is_leader());
        assert_eq!(made.filter(|made| made.as_ref().unwrap().1).count(), 3);
    }

    #[test]
    fn no_call_is_made_once_cancelled() {
        let left = std::cell::Cell::new(2);
        let cancelled = || left.replace(left.get() - 1) <= 0;
        let made: Vec<_> = in_order(2, cancelled, 0..9, |call| call).collect();
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 4);
        assert!(matches!(made[4], Err(EvaluateError::Cancelled)));
    }
}
