//! Operators that move elements, and those that compute with shapes.

use super::{Node, Results, axes, axis};
use crate::ir::{Element, Shape, count};
use crate::onnx::import::error::Problem;
use crate::onnx::import::fold::{Binary, Builder, Item, broadcast, wrong};
use crate::onnx::import::tensor::{self, Known, limited};
use crate::onnx::import::{CONSTANT_ELEMENTS_MAX, ELEMENTS_MAX};
use std::rc::Rc;

pub(super) fn constant(_: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let a = &node.attributes;
    let known = if let Some(proto) = a.tensor("value")? {
        tensor::known(proto)?
    } else if let Some(x) = a.optional_float("value_float")? {
        Known::floats(&[], &[x])
    } else if let Some(xs) = a.floats("value_floats")? {
        Known::floats(&[xs.len()], xs)
    } else if let Some(i) = a.optional_integer("value_int")? {
        Known::integers(&[], &[i])
    } else if let Some(is) = a.integers("value_ints")? {
        Known::integers(&[is.len()], is)
    } else {
        return Err(Problem::Attribute("value".into()));
    };
    Ok(vec![Item::Known(Rc::new(known))])
}

/// Sizes known from an operand: none negative.
fn sizes(given: &[i64]) -> Result<Shape, Problem> {
    let size = |d: &i64| usize::try_from(*d).map_err(|_| Problem::Range(format!("a size of {d}")));
    given.iter().map(size).collect()
}

pub(super) fn constant_of_shape(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let shape = sizes(&node.integers(0)?)?;
    let fill = match node.attributes.tensor("value")? {
        Some(proto) => tensor::known(proto)?,
        None => Known::floats(&[1], &[0.0]),
    };
    if fill.tensor.data.len() != 1 {
        return Err(Problem::Attribute("value".into()));
    }
    let count = limited(&shape, CONSTANT_ELEMENTS_MAX)?;
    Ok(vec![b.known(fill.element, shape, vec![fill.tensor.data[0]; count])?])
}

/// Shape and Size: known from the operand's dimensions alone.
pub(super) fn shape(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let shape = b.shape(node.get(0)?);
    if node.proto.op_type == "Size" {
        return Ok(vec![b.known(Element::I64, vec![], vec![count(&shape) as f64])?]);
    }
    let rank = shape.len() as i64;
    let bound = |name: &str, default: i64| -> Result<usize, Problem> {
        let at = node.attributes.integer(name, default)?;
        let at = if at < 0 { at.saturating_add(rank) } else { at };
        Ok(at.clamp(0, rank) as usize)
    };
    let (start, end) = (bound("start", 0)?, bound("end", rank)?);
    let dims: Vec<f64> = shape[start..end.max(start)].iter().map(|d| *d as f64).collect();
    Ok(vec![b.known(Element::I64, vec![dims.len()], dims)?])
}

pub(super) fn range(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let element = node.known(0)?.element;
    let [start, limit, step] = [node.number(0)?, node.number(1)?, node.number(2)?];
    if element == Element::Bool || (1..3).any(|i| node.known(i).is_ok_and(|k| k.element != element))
    {
        return Err(wrong(element));
    }
    let steps = ((limit - start) / step).ceil();
    if step == 0.0 || steps.is_nan() || steps > CONSTANT_ELEMENTS_MAX as f64 {
        return Err(Problem::Range(format!("from {start} to {limit} in steps of {step}")));
    }
    let count = steps.max(0.0) as usize;
    let at = |i: usize| {
        let x = start + i as f64 * step;
        if element == Element::F32 { f64::from(x as f32) } else { x }
    };
    Ok(vec![b.known(element, vec![count], (0..count).map(at).collect())?])
}

pub(super) fn cumulative_sum(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.known(0)?;
    let shape = x.tensor.shape.clone();
    let axis = axis(node.number(1)? as i64, shape.len())?;
    let plain = !node.attributes.flag("exclusive", false)?;
    if x.element != Element::I64 || !plain || node.attributes.flag("reverse", false)? {
        return Err(wrong(x.element));
    }
    let inner = count(&shape[axis + 1..]);
    let mut data = x.tensor.data.clone();
    for at in 0..data.len() {
        if !(at / inner).is_multiple_of(shape[axis]) {
            data[at] += data[at - inner];
        }
    }
    if data.iter().any(|x| x.abs() > tensor::INTEGER_MAX) {
        return Err(Problem::Range("a sum is out of the integers' range".into()));
    }
    Ok(vec![b.known(Element::I64, shape, data)?])
}

/// Sizes of 0 stay the operand's (unless `allowzero`), and −1 is what is left.
pub(super) fn reshape(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let from = b.shape(x);
    let keep = !node.attributes.flag("allowzero", false)?;
    let given = node.integers(1)?;
    let misfit = || Problem::Shape(format!("shape {from:?} cannot become {given:?}"));
    let mut shape = Shape::new();
    let mut rest = None;
    for (i, d) in given.iter().enumerate() {
        shape.push(match d {
            0 if keep => *from.get(i).ok_or_else(misfit)?,
            -1 if rest.is_none() => {
                rest = Some(i);
                1
            }
            d => usize::try_from(*d).map_err(|_| misfit())?,
        });
    }
    if let Some(i) = rest {
        let others = limited(&shape, ELEMENTS_MAX)?;
        shape[i] = count(&from).checked_div(others).ok_or_else(misfit)?;
    }
    Ok(vec![b.reshape(x, &shape)?])
}

pub(super) fn flatten(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let shape = b.shape(x);
    let given = node.attributes.integer("axis", 1)?;
    let at = if given == shape.len() as i64 { shape.len() } else { axis(given, shape.len())? };
    let flat = [count(&shape[..at]), count(&shape[at..])];
    Ok(vec![b.reshape(x, &flat)?])
}

pub(super) fn squeeze(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let shape = b.shape(x);
    let ones = match node.optional_integers(1)? {
        Some(given) => axes(&given, shape.len())?,
        None => (0..shape.len()).filter(|i| shape[*i] == 1).collect(),
    };
    if let Some(i) = ones.iter().find(|i| shape[**i] != 1) {
        return Err(Problem::Shape(format!("dimension {i} of {shape:?} is not 1")));
    }
    let rest: Shape = (0..shape.len()).filter(|i| !ones.contains(i)).map(|i| shape[i]).collect();
    Ok(vec![b.reshape(x, &rest)?])
}

pub(super) fn unsqueeze(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let given = node.integers(1)?;
    let mut shape = b.shape(x);
    for at in axes(&given, shape.len() + given.len())? {
        shape.insert(at, 1);
    }
    Ok(vec![b.reshape(x, &shape)?])
}

pub(super) fn transpose(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let rank = b.shape(x).len();
    let perm: Vec<usize> = match node.attributes.integers("perm")? {
        None => (0..rank).rev().collect(),
        Some(given) => {
            let all = given.len() == rank && axes(given, rank)?.len() == rank;
            let perm = given.iter().map(|p| axis(*p, rank)).collect::<Result<_, _>>()?;
            if !all {
                return Err(Problem::Attribute("perm".into()));
            }
            perm
        }
    };
    Ok(vec![b.transpose(x, &perm)?])
}

pub(super) fn expand(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let shape = broadcast(&b.shape(x), &sizes(&node.integers(1)?)?)?;
    limited(&shape, ELEMENTS_MAX)?;
    Ok(vec![b.expand(x, &shape)?])
}

pub(super) fn tile(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let shape = b.shape(x);
    let repeats = sizes(&node.integers(1)?)?;
    if repeats.len() != shape.len() {
        return Err(Problem::Operand(1));
    }
    let mut result = x.clone();
    for (i, times) in repeats.into_iter().enumerate().filter(|(_, times)| *times != 1) {
        let mut wide = b.shape(&result);
        let size = wide[i];
        wide.insert(i, 1);
        result = b.reshape(&result, &wide)?;
        wide[i] = times;
        limited(&wide, ELEMENTS_MAX)?;
        result = b.expand(&result, &wide)?;
        wide.remove(i);
        wide[i] = size * times;
        result = b.reshape(&result, &wide)?;
    }
    Ok(vec![result])
}

pub(super) fn concat(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let parts = node.all()?;
    let given = node.attributes.optional_integer("axis")?;
    let given = given.ok_or_else(|| Problem::Attribute("axis".into()))?;
    let axis = axis(given, b.shape(&parts[0]).len())?;
    Ok(vec![b.concat(&parts, axis)?])
}

pub(super) fn split(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let shape = b.shape(x);
    let axis = axis(node.attributes.integer("axis", 0)?, shape.len())?;
    let parts = node.proto.output.len();
    let declared = node.attributes.optional_integer("num_outputs")?;
    if declared.is_some_and(|n| n != parts as i64) {
        return Err(Problem::Attribute("num_outputs".into()));
    }
    let sizes = match node.optional_integers(1)? {
        Some(given) => sizes(&given)?,
        None => {
            let size = shape[axis].div_ceil(parts);
            (0..parts).map(|i| size.min(shape[axis].saturating_sub(i * size))).collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size));
    if sizes.len() != parts || total != Some(shape[axis]) {
        return Err(Problem::Shape(format!("{shape:?} cannot be split into {sizes:?}")));
    }
    let mut start = 0;
    let mut results = Vec::new();
    for size in sizes {
        results.push(b.slice(x, axis, start, 1, size)?);
        start += size;
    }
    Ok(results)
}

pub(super) fn slice(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let mut x = node.get(0)?.clone();
    let rank = b.shape(&x).len();
    let (starts, ends) = (node.integers(1)?, node.integers(2)?);
    let given = node.optional_integers(3)?.unwrap_or_else(|| (0i64..).take(starts.len()).collect());
    let steps = node.optional_integers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), given.len(), steps.len()] != [starts.len(); 3] {
        return Err(Problem::Operand(2));
    }
    axes(&given, rank)?;
    for i in 0..starts.len() {
        let axis = axis(given[i], rank)?;
        let indices = progression(starts[i], ends[i], steps[i], b.shape(&x)[axis])?;
        x = take(b, &x, axis, &indices)?;
    }
    Ok(vec![x])
}

/// The indices that a slice of a dimension of `n` elements takes, by NumPy's rules.
fn progression(start: i64, end: i64, step: i64, n: usize) -> Result<Vec<usize>, Problem> {
    let size = n as i64;
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let bound = |at: i64| (if at < 0 { at.saturating_add(size) } else { at }).clamp(low, high);
    let (start, end) = (bound(start), bound(end));
    if step == 0 {
        return Err(Problem::Range("a slice in steps of 0".into()));
    }
    let mut at = start;
    let mut indices = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        indices.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(indices)
}

/// The elements of x along `axis` at known indices, all of them there.
fn take(b: &mut Builder<'_>, x: &Item, axis: usize, indices: &[usize]) -> Result<Item, Problem> {
    let n = b.shape(x)[axis];
    let first = indices.first().copied().unwrap_or(0);
    let step = indices.get(1).map_or(1, |second| second.wrapping_sub(first));
    let even = indices.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] == step);
    if even {
        return if indices.len() == n {
            Ok(x.clone())
        } else {
            b.slice(x, axis, first, step, indices.len())
        };
    }
    let mut ascending = indices.to_vec();
    ascending.sort_unstable();
    if matches!(x, Item::Live(_)) && ascending.iter().copied().eq(0..n) {
        // Way back included, nothing is added up.
        let last = b.shape(x).len() - 1;
        let moved = b.swap(x, axis, last)?;
        let value = b.live_float(&moved)?;
        let permuted = Item::Live(b.g.permute_last(value, indices));
        return b.swap(&permuted, axis, last);
    }
    let ids = indices.iter().map(|i| *i as f64).collect();
    let ids = b.known(Element::I64, vec![indices.len()], ids)?;
    rows(b, x, axis, &ids)
}

pub(super) fn gather(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let (x, ids) = (node.get(0)?, node.get(1)?);
    b.expect(ids, Element::I64)?;
    let shape = b.shape(x);
    let axis = axis(node.attributes.integer("axis", 0)?, shape.len())?;
    let Item::Known(known) = ids else { return Ok(vec![rows(b, x, axis, ids)?]) };
    let n = shape[axis] as f64;
    let front: Vec<f64> =
        known.tensor.data.iter().map(|i| if *i < 0.0 { i + n } else { *i }).collect();
    if let Some(outside) = front.iter().find(|i| !(0.0..n).contains(*i)) {
        return Err(Problem::Range(format!("index {outside} of {n}")));
    }
    let result = [&shape[..axis], &known.tensor.shape, &shape[axis + 1..]].concat();
    limited(&result, ELEMENTS_MAX)?;
    let flat: Vec<usize> = front.iter().map(|i| *i as usize).collect();
    let taken = take(b, x, axis, &flat)?;
    Ok(vec![b.reshape(&taken, &result)?])
}

/// GatherND: parts of x at tuples of indices into its first dimensions.
pub(super) fn gather_tuples(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let (x, ids) = (node.get(0)?, node.get(1)?);
    b.expect(ids, Element::I64)?;
    if node.attributes.integer("batch_dims", 0)? != 0 {
        return Err(Problem::Attribute("batch_dims".into()));
    }
    let (shape, id_shape) = (b.shape(x), b.shape(ids));
    let Some((size, grid)) = id_shape.split_last().filter(|(size, _)| **size <= shape.len()) else {
        return Err(Problem::Shape(format!("{id_shape:?} holds no indices into {shape:?}")));
    };
    let (first, rest) = shape.split_at(*size);
    let matrix = b.reshape(x, &[&[count(first)], rest].concat())?;
    let flat = match ids {
        Item::Known(known) => {
            let mut flat = Vec::with_capacity(count(grid));
            for tuple in known.tensor.data.chunks_exact((*size).max(1)).take(count(grid)) {
                let mut at = 0.0;
                for (i, n) in tuple.iter().zip(first) {
                    let n = *n as f64;
                    let i = if *i < 0.0 { i + n } else { *i };
                    if !(0.0..n).contains(&i) {
                        return Err(Problem::Range(format!("index {i} of {n}")));
                    }
                    at = at * n + i;
                }
                flat.push(at);
            }
            b.known(Element::I64, grid.to_vec(), flat)?
        }
        Item::Live(_) if *size == 1 => b.reshape(ids, grid)?,
        Item::Live(_) => return Err(Problem::NotConstant(1)),
    };
    Ok(vec![rows(b, &matrix, 0, &flat)?])
}

/// Gather: x along `axis` at indices that count from the front.
fn rows(b: &mut Builder<'_>, x: &Item, axis: usize, ids: &Item) -> Result<Item, Problem> {
    let shape = b.shape(x);
    let id_shape = b.shape(ids);
    let result = [&shape[..axis], &id_shape, &shape[axis + 1..]].concat();
    limited(&result, ELEMENTS_MAX)?;
    if let (Item::Known(x), Item::Known(ids)) = (x, ids) {
        let inner = count(&shape[axis + 1..]);
        let page = |p: usize| &x.tensor.data[p * shape[axis] * inner..];
        let pages = 0..count(&shape[..axis]);
        limited(&result, CONSTANT_ELEMENTS_MAX)?;
        let data = pages.flat_map(|p| {
            ids.tensor.data.iter().flat_map(move |i| page(p)[*i as usize * inner..][..inner].iter())
        });
        return b.known(x.element, result, data.copied().collect());
    }
    if b.element(x) == Element::Bool {
        let numbers = b.numbers(x)?;
        let (zero, taken) = (b.scalar(0.0), rows(b, &numbers, axis, ids)?);
        return b.binary(Binary::Less, &zero, &taken);
    }
    b.expect(x, Element::F32)?;
    b.admit(&result)?;
    // As rows of a matrix: [axis, before, after] → [n, d].
    let mut perm: Vec<usize> = (0..shape.len()).collect();
    perm[..=axis].rotate_right(1);
    let first = b.transpose(x, &perm)?;
    let width = count(&shape) / shape[axis];
    let matrix = b.reshape(&first, &[shape[axis], width])?;
    let (table, ids) = (b.live(&matrix)?, b.live(ids)?);
    let ids = b.g.reshape(ids, &id_shape);
    let taken = Item::Live(b.g.gather(table, ids));
    // [ids, before, after] → [before, ids, after].
    let dims = [&id_shape, &shape[..axis], &shape[axis + 1..]].concat();
    let taken = b.reshape(&taken, &dims)?;
    let mut perm: Vec<usize> = (0..dims.len()).collect();
    perm[..id_shape.len() + axis].rotate_left(id_shape.len());
    b.transpose(&taken, &perm)
}

/// One element per row, along the last dimension; whatever is there where all is known.
pub(super) fn gather_elements(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let (x, ids) = (node.get(0)?, node.get(1)?);
    b.expect(ids, Element::I64)?;
    let (shape, id_shape) = (b.shape(x), b.shape(ids));
    let axis = axis(node.attributes.integer("axis", 0)?, shape.len())?;
    if let (Item::Known(x), Item::Known(ids)) = (x, ids) {
        return Ok(vec![known_elements(b, x, ids, axis)?]);
    }
    b.expect(x, Element::F32)?;
    let mut expected = shape.clone();
    expected[axis] = 1;
    if axis + 1 != shape.len() || id_shape != expected {
        return Err(Problem::Shape(format!("one element per row of {shape:?}, not {id_shape:?}")));
    }
    let outside = |i: &f64| !(0.0..shape[axis] as f64).contains(i);
    if ids.tensor().is_some_and(|ids| ids.data.iter().any(outside)) {
        return Err(Problem::Range("an index is out of range".into()));
    }
    let (x, ids) = (b.live(x)?, b.live(ids)?);
    Ok(vec![Item::Live(b.g.take_last(x, ids))])
}

fn known_elements(b: &Builder<'_>, x: &Known, ids: &Known, axis: usize) -> Result<Item, Problem> {
    let (shape, grid) = (&x.tensor.shape, &ids.tensor.shape);
    let fits = |d: usize| d == axis || grid[d] <= shape[d];
    if grid.len() != shape.len() || !(0..grid.len()).all(fits) {
        return Err(Problem::Shape(format!("elements of {shape:?} at indices {grid:?}")));
    }
    let n = shape[axis] as f64;
    let mut data = Vec::with_capacity(ids.tensor.data.len());
    for (place, index) in ids.tensor.data.iter().enumerate() {
        let index = if *index < 0.0 { index + n } else { *index };
        if !(0.0..n).contains(&index) {
            return Err(Problem::Range(format!("index {index} of {n}")));
        }
        let (mut rest, mut stride, mut at) = (place, 1, 0);
        for d in (0..grid.len()).rev() {
            let i = if d == axis { index as usize } else { rest % grid[d] };
            at += i * stride;
            rest /= grid[d];
            stride *= shape[d];
        }
        data.push(x.tensor.data[at]);
    }
    b.known(x.element, grid.clone(), data)
}

/// Trilu: the upper or lower triangle of the last two dimensions, zeros elsewhere.
pub(super) fn triangle(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let shape = b.shape(x);
    let upper = node.attributes.flag("upper", true)?;
    let diagonal = if node.optional(1).is_some() { node.number(1)? } else { 0.0 };
    let [.., rows, columns] = *shape else {
        return Err(Problem::Shape(format!("{shape:?} is no matrix")));
    };
    limited(&[rows, columns], CONSTANT_ELEMENTS_MAX)?;
    let kept = |i: usize| {
        let offset = (i % columns) as f64 - (i / columns) as f64;
        f64::from(u8::from(if upper { offset >= diagonal } else { offset <= diagonal }))
    };
    let mask =
        b.known(Element::Bool, vec![rows, columns], (0..rows * columns).map(kept).collect())?;
    let zero = b.known(b.element(x), vec![1], vec![0.0])?;
    Ok(vec![b.select(&mask, x, &zero)?])
}
