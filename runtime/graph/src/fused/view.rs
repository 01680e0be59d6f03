//! Composing views: how a value lies in the memory of another.

use super::program::View;
use crate::ir::{Value, count};

/// A value that is not in memory itself, read from one that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The value in memory.
    pub(super) base: Value,
    /// Where its lanes are.
    pub(super) view: View,
}

impl Place {
    /// A value that lies in memory as it is, of `lanes` elements.
    pub(super) fn whole(base: Value, lanes: usize) -> Self {
        Self { base, view: View { digits: vec![(lanes, 1)], order: None } }
    }

    /// The transposition of a value of `shape`, or nothing where no view is one.
    pub(super) fn transpose(&self, shape: &[usize], perm: &[usize]) -> Option<Self> {
        let dims = self.dims(shape)?;
        let last_moves = perm.last() != Some(&(shape.len() - 1));
        if self.view.order.is_some() && last_moves {
            return None;
        }
        Some(self.with(perm.iter().flat_map(|p| dims[*p].clone()).collect()))
    }

    /// The value of `shape` repeated along dimensions of size 1 and before the first until it has
    /// the shape `to`, or nothing where no view is that.
    pub(super) fn expand(&self, shape: &[usize], to: &[usize]) -> Option<Self> {
        if count(shape) == count(to) {
            return Some(self.clone());
        }
        let dims = self.dims(shape)?;
        let lead = to.len() - shape.len();
        let repeats = |i: usize| i < lead || shape[i - lead] != to[i];
        if self.view.order.is_some() && repeats(to.len() - 1) {
            return None;
        }
        let digits = to.iter().enumerate().flat_map(|(i, extent)| {
            if repeats(i) { vec![(*extent, 0)] } else { dims[i - lead].clone() }
        });
        Some(self.with(digits.collect()))
    }

    /// The value of `shape` with its last dimension in another order, or nothing where no view is
    /// that.
    pub(super) fn permute_last(&self, shape: &[usize], order: &[usize]) -> Option<Self> {
        let mut dims = self.dims(shape)?;
        let last = dims.pop()?;
        if self.view.order.is_some() || last.len() != 1 {
            return None;
        }
        let outer = merge(dims.into_iter().flatten());
        let digits = outer.into_iter().chain(last).collect();
        Some(Self { base: self.base, view: View { digits, order: Some(order.to_vec()) } })
    }

    fn with(&self, digits: Vec<(usize, usize)>) -> Self {
        let order = self.view.order.clone();
        let digits = match (&order, digits.split_last()) {
            (Some(_), Some((last, outer))) => {
                merge(outer.iter().copied()).into_iter().chain([*last]).collect()
            }
            _ => merge(digits),
        };
        Self { base: self.base, view: View { digits, order } }
    }

    /// The digits of each dimension of `shape`, or nothing where a digit lies across two.
    fn dims(&self, shape: &[usize]) -> Option<Vec<Vec<(usize, usize)>>> {
        let mut digits = self.view.digits.clone();
        let mut dims = Vec::with_capacity(shape.len());
        for extent in shape.iter().rev() {
            let (mut left, mut dim) = (*extent, vec![]);
            while left > 1 {
                let (size, stride) = digits.pop()?;
                if size <= left {
                    dim.push((size, stride));
                    if left % size != 0 {
                        return None;
                    }
                    left /= size;
                } else {
                    if size % left != 0 || (self.view.order.is_some() && dims.is_empty()) {
                        return None;
                    }
                    dim.push((left, stride));
                    digits.push((size / left, stride * left));
                    left = 1;
                }
            }
            dim.reverse();
            dims.push(dim);
        }
        dims.reverse();
        Some(dims)
    }
}

/// Digits with those that run on joined, and those of one value dropped.
fn merge(digits: impl IntoIterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut merged: Vec<(usize, usize)> = vec![];
    for (extent, stride) in digits {
        match merged.last_mut() {
            _ if extent == 1 => {}
            Some((outer, step)) if *step == extent * stride => {
                (*outer, *step) = (*outer * extent, stride)
            }
            _ => merged.push((extent, stride)),
        }
    }
    merged
}
