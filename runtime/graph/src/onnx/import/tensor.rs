//! Tensors whose elements are known when a model is imported.

use super::error::Problem;
use super::{CONSTANT_ELEMENTS_MAX, RANK_MAX};
use crate::interp::Tensor;
use crate::ir::{Element, Shape};
use crate::onnx::proto::{TensorProto, data_type};

/// Integers up to this magnitude are exact in the f64 that holds them. The two ends of i64, which
/// stand for "as far as it goes", are taken too.
pub(super) const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// A tensor with its elements: f32, integers or truth values, each held as a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What the elements are.
    pub element: Element,
    /// The elements.
    pub tensor: Tensor,
}

impl Known {
    /// Elements of a known type.
    ///
    /// # Errors
    /// [`Problem`] when there are too many.
    pub(super) fn new(element: Element, shape: Shape, data: Vec<f64>) -> Result<Self, Problem> {
        limited(&shape, CONSTANT_ELEMENTS_MAX)?;
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        Ok(Self { element, tensor: Tensor { shape, data } })
    }

    /// f32 elements.
    #[must_use]
    pub fn floats(shape: &[usize], data: &[f32]) -> Self {
        Self { element: Element::F32, tensor: Tensor::from_f32(shape, data) }
    }

    /// Integers below 2^53.
    #[must_use]
    pub fn integers(shape: &[usize], data: &[i64]) -> Self {
        Self { element: Element::I64, tensor: Tensor::from_indices(shape, data) }
    }
}

/// The number of elements of a shape within limits.
pub(super) fn limited(shape: &[usize], max: usize) -> Result<usize, Problem> {
    let too_many = || Problem::Elements { shape: shape.to_vec(), max };
    if shape.len() > RANK_MAX {
        return Err(Problem::Shape(format!(
            "{} dimensions; no more than {RANK_MAX} are supported",
            shape.len()
        )));
    }
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or_else(too_many)?;
    if count > max { Err(too_many()) } else { Ok(count) }
}

/// The dimensions of a tensor in a file.
pub(super) fn dimensions(proto: &TensorProto, max: usize) -> Result<Shape, Problem> {
    let negative = |d: &i64| Problem::Shape(format!("a dimension of size {d}"));
    let shape: Result<Shape, Problem> =
        proto.dims.iter().map(|d| usize::try_from(*d).map_err(|_| negative(d))).collect();
    let shape = shape?;
    limited(&shape, max)?;
    Ok(shape)
}

/// What the elements of a tensor in a file become here.
pub(super) fn element(data_type: i32) -> Result<Element, Problem> {
    match data_type {
        data_type::FLOAT => Ok(Element::F32),
        data_type::INT64 | data_type::INT32 => Ok(Element::I64),
        data_type::BOOL => Ok(Element::Bool),
        other => Err(Problem::Element(type_name(other))),
    }
}

/// The standard's name of an element type.
fn type_name(data_type: i32) -> String {
    const NAMES: [&str; 17] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
    ];
    let name = usize::try_from(data_type).ok().and_then(|i| NAMES.get(i));
    name.map_or_else(|| format!("number {data_type}"), ToString::to_string)
}

/// The f32 elements of a tensor in a file, of any length that `shape` has.
pub(super) fn floats(proto: &TensorProto, count: usize) -> Result<Vec<f32>, Problem> {
    local(proto)?;
    let data: Vec<f32> = if proto.raw_data.is_empty() {
        proto.float_data.clone()
    } else {
        words(&proto.raw_data, f32::from_le_bytes)?
    };
    sized(data, count)
}

/// A tensor in a file, small enough to compute with here.
pub(super) fn known(proto: &TensorProto) -> Result<Known, Problem> {
    let shape = dimensions(proto, CONSTANT_ELEMENTS_MAX)?;
    let count = shape.iter().product();
    let element = element(proto.data_type)?;
    local(proto)?;
    let raw = &proto.raw_data;
    let data: Vec<f64> = match proto.data_type {
        data_type::FLOAT => floats(proto, count)?.into_iter().map(f64::from).collect(),
        data_type::INT64 if raw.is_empty() => integers(&proto.int64_data)?,
        data_type::INT64 => integers(&words(raw, i64::from_le_bytes)?)?,
        data_type::INT32 if !raw.is_empty() => {
            words(raw, i32::from_le_bytes)?.into_iter().map(f64::from).collect()
        }
        data_type::BOOL if !raw.is_empty() => {
            raw.iter().map(|b| f64::from(u8::from(*b != 0))).collect()
        }
        data_type::BOOL => proto.int32_data.iter().map(|b| f64::from(u8::from(*b != 0))).collect(),
        _ => proto.int32_data.iter().map(|i| f64::from(*i)).collect(),
    };
    let data = sized(data, count)?;
    if data.iter().any(|x| x.is_nan()) {
        return Err(Problem::NotFinite);
    }
    Known::new(element, shape, data)
}

/// Refuses tensors whose data lie in another file: what is imported is one file, pinned by digest.
fn local(proto: &TensorProto) -> Result<(), Problem> {
    if proto.data_location == 0 && proto.external_data.is_empty() {
        Ok(())
    } else {
        Err(Problem::Data("its data lie in another file; export with the weights inside"))
    }
}

fn words<const N: usize, T>(raw: &[u8], read: fn([u8; N]) -> T) -> Result<Vec<T>, Problem> {
    let (words, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(Problem::Data("its data are not a whole number of elements"));
    }
    Ok(words.iter().map(|word| read(*word)).collect())
}

fn sized<T>(data: Vec<T>, count: usize) -> Result<Vec<T>, Problem> {
    if data.len() == count {
        Ok(data)
    } else {
        Err(Problem::Data("its data have another number of elements than its shape"))
    }
}

fn integers(data: &[i64]) -> Result<Vec<f64>, Problem> {
    let number = |i: &i64| {
        let x = *i as f64;
        let end = *i == i64::MAX || *i <= i64::MIN + 1;
        if x.abs() <= INTEGER_MAX || end {
            Ok(x)
        } else {
            Err(Problem::Range(format!("the integer {i} is out of range")))
        }
    };
    data.iter().map(number).collect()
}
