//! safetensors files with this project's parameter names and `[in, out]` matrices, as f32.

use super::WeightsFileError;
use ::safetensors::{Dtype, SafeTensors};
use dataforge_graph::llama::Parameter;
use std::collections::BTreeMap;

/// Longest header, in bytes: some hundred per tensor, so room for thousands of them. A longer one
/// is refused before it is parsed.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// The header's length, which comes first, as little-endian u64.
const LENGTH_BYTES: usize = 8;

/// Whether a file begins as a safetensors file does: a length, then a JSON object.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.get(LENGTH_BYTES) == Some(&b'{')
}

/// The tensors of `parameters` by name; a file with any other is refused.
pub(super) fn read(
    bytes: &[u8],
    parameters: &[Parameter],
) -> Result<BTreeMap<String, Vec<f32>>, WeightsFileError> {
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    if length > HEADER_BYTES_MAX {
        let reason = format!("its header has {length} bytes, the limit is {HEADER_BYTES_MAX}");
        return Err(WeightsFileError::Header(reason));
    }
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| WeightsFileError::Header(error.to_string()))?;
    let mut names = file.names();
    names.sort_unstable();
    let known = |name: &&str| parameters.iter().any(|parameter| parameter.name == *name);
    if let Some(extra) = names.into_iter().find(|name| !known(name)) {
        return Err(WeightsFileError::member(extra, "the model has no such parameter"));
    }
    let mut tensors = BTreeMap::new();
    for parameter in parameters {
        let data = read_tensor(&file, parameter)
            .map_err(|reason| WeightsFileError::member(parameter.name.as_str(), reason))?;
        tensors.insert(parameter.name.clone(), data);
    }
    Ok(tensors)
}

fn read_tensor(file: &SafeTensors<'_>, parameter: &Parameter) -> Result<Vec<f32>, String> {
    let tensor = file.tensor(&parameter.name).map_err(|_| "is not in the file".to_owned())?;
    if tensor.shape() != parameter.shape {
        return Err(format!(
            "has shape {:?}, the model's is {:?}",
            tensor.shape(),
            parameter.shape
        ));
    }
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("has elements of type {}, F32 was expected", tensor.dtype()));
    }
    Ok(tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::read_weights;
    use super::super::testing::{parameters, refused};
    use super::*;
    use ::safetensors::tensor::TensorView;
    use proptest::prelude::*;

    /// A tensor of a file under construction.
    struct Part {
        name: String,
        dtype: Dtype,
        shape: Vec<usize>,
        bytes: Vec<u8>,
    }

    impl Part {
        fn view(&self) -> (&str, TensorView<'_>) {
            let view = TensorView::new(self.dtype, self.shape.clone(), &self.bytes);
            (&self.name, view.unwrap())
        }
    }

    /// A file with every parameter, all elements ½, after `change`.
    fn file(change: impl FnOnce(&mut Vec<Part>)) -> Vec<u8> {
        let part = |parameter: Parameter| {
            let count = parameter.shape.iter().product();
            let bytes = 0.5f32.to_le_bytes().repeat(count);
            Part { name: parameter.name, dtype: Dtype::F32, shape: parameter.shape, bytes }
        };
        let mut parts: Vec<Part> = parameters().into_iter().map(part).collect();
        change(&mut parts);
        ::safetensors::serialize(parts.iter().map(Part::view), None).unwrap()
    }

    /// As [`file`], with one parameter changed.
    fn with(name: &str, change: impl FnOnce(&mut Part)) -> Vec<u8> {
        file(|parts| change(parts.iter_mut().find(|part| part.name == name).unwrap()))
    }

    #[test]
    fn reads_what_fits() {
        assert!(read_weights(&file(|_| {}), parameters()).is_ok());
    }

    #[test]
    fn names_what_does_not_fit() {
        let renamed = with("layer.0.gate", |part| part.name = "layer.1.gate".into());
        refused(&renamed, "\"layer.1.gate\": the model has no such parameter");
        let missing = file(|parts| parts.retain(|part| part.name != "final_norm"));
        refused(&missing, "\"final_norm\": is not in the file");
        let turned = with("layer.0.gate", |part| part.shape.reverse());
        refused(&turned, "\"layer.0.gate\": has shape [2, 4], the model's is [4, 2]");
        let integers = with("layer.0.up", |part| part.dtype = Dtype::I32);
        refused(&integers, "\"layer.0.up\": has elements of type I32");
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let wrong =
                with("embedding", |part| part.bytes[4..8].copy_from_slice(&wrong.to_le_bytes()));
            refused(&wrong, "\"embedding\" has an element that is not finite");
        }
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let good = file(|_| {});
        let mut long = good.clone();
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        refused(&long, "the limit is 1048576");
        refused(&good[..good.len() - 1], "not a safetensors file");
        refused(&[&good[..], &[0]].concat(), "not a safetensors file");
        refused(&[&3u64.to_le_bytes()[..], b"{{}"].concat(), "not a safetensors file");
        let header = concat!(
            r#"{"embedding":{"dtype":"F32","shape":[18446744073709551615,4],"#,
            r#""data_offsets":[0,4]}}"#
        );
        let huge = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
        refused(&huge, "not a safetensors file");
    }

    proptest! {
        #[test]
        fn no_changed_bytes_make_it_panic(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut file = file(|_| {});
            for (at, to) in changes {
                let at = at.index(file.len());
                file[at] = to;
            }
            let _ = read_weights(&file, parameters());
        }
    }
}
