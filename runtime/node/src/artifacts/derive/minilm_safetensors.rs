//! all-MiniLM-L6-v2's encoder to safetensors with this project's names and `[in, out]` matrices.
//!
//! Its pooler is left out: sentence embeddings are the mean over tokens, and the file's pooler was
//! never trained for them.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::tensors::{self, Parameter};

/// What is not part of the encoder.
const LEFT_OUT: [&str; 3] = ["embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"];

/// The parts before the first layer: name in the file, name here.
const EMBEDDINGS: [(&str, &str); 5] = [
    ("embeddings.word_embeddings.weight", "word_embedding"),
    ("embeddings.position_embeddings.weight", "position_embedding"),
    ("embeddings.token_type_embeddings.weight", "type_embedding"),
    ("embeddings.LayerNorm.weight", "embedding_norm"),
    ("embeddings.LayerNorm.bias", "embedding_norm_bias"),
];

/// The parts of a layer: name in the file without `weight` or `bias`, name here.
const LAYER: [(&str, &str); 8] = [
    ("attention.self.query", "query"),
    ("attention.self.key", "key"),
    ("attention.self.value", "value"),
    ("attention.output.dense", "attention_output"),
    ("attention.output.LayerNorm", "attention_norm"),
    ("intermediate.dense", "up"),
    ("output.dense", "down"),
    ("output.LayerNorm", "feed_forward_norm"),
];

pub(super) fn derive(source: &[u8]) -> Result<Vec<u8>, String> {
    let file = SafeTensors::deserialize(source).map_err(|error| error.to_string())?;
    let mut names = file.names();
    names.sort_unstable();
    let mut parameters = Vec::new();
    for name in names {
        if LEFT_OUT.contains(&name) {
            continue;
        }
        let ours = our_name(name).ok_or_else(|| format!("tensor {name:?} is unknown"))?;
        let tensor = file.tensor(name).map_err(|error| error.to_string())?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("tensor {name:?} holds {}, not F32", tensor.dtype()));
        }
        parameters.push((ours, parameter(name, &tensor)?));
    }
    if parameters.is_empty() {
        return Err("it holds no tensor".into());
    }
    tensors::write(&parameters)
}

fn our_name(name: &str) -> Option<String> {
    if let Some((_, ours)) = EMBEDDINGS.iter().find(|(theirs, _)| *theirs == name) {
        return Some((*ours).to_owned());
    }
    let (layer, part) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
    let layer: u16 = layer.parse().ok()?;
    let (part, kind) = part.rsplit_once('.')?;
    let (_, ours) = LAYER.iter().find(|(theirs, _)| *theirs == part)?;
    match kind {
        "weight" => Some(format!("layer.{layer}.{ours}")),
        "bias" => Some(format!("layer.{layer}.{ours}_bias")),
        _ => None,
    }
}

fn parameter<'a>(name: &str, tensor: &TensorView<'a>) -> Result<Parameter<'a>, String> {
    let data = tensor.data();
    let unpack =
        move || data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let is_table = EMBEDDINGS.iter().any(|(theirs, _)| *theirs == name);
    match *tensor.shape() {
        [rows, columns] if !is_table => Ok(Parameter::turned([rows, columns], unpack)),
        [_] | [_, _] => Ok(Parameter::plain(tensor.shape(), unpack)),
        _ => Err(format!("tensor {name:?} has {} dimensions", tensor.shape().len())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensors::tests::read;
    use super::*;

    /// A file with one tensor of `dtype` and 24 zero bytes but for the first f32, which is 1.
    fn one(name: &str, dtype: Dtype, shape: &[usize]) -> Vec<u8> {
        let mut data = vec![0; 24];
        data[..4].copy_from_slice(&1f32.to_le_bytes());
        data[4..8].copy_from_slice(&2f32.to_le_bytes());
        let view = TensorView::new(dtype, shape.to_vec(), &data).unwrap();
        safetensors::serialize([(name, view)], None).unwrap()
    }

    #[track_caller]
    fn becomes(name: &str, shape: &[usize], ours: &str, elements: &[f32]) {
        let tensors = read(&derive(&one(name, Dtype::F32, shape)).unwrap());
        assert_eq!((tensors[0].0.as_str(), &tensors[0].2[..]), (ours, elements));
    }

    #[track_caller]
    fn refused(file: &[u8], expect: &str) {
        let error = derive(file).unwrap_err();
        assert!(error.contains(expect), "{error:?} lacks {expect:?}");
    }

    #[test]
    fn names_and_matrices_are_turned() {
        let down = "encoder.layer.5.output.dense.weight";
        becomes(down, &[2, 3], "layer.5.down", &[1.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
        let table = "embeddings.word_embeddings.weight";
        becomes(table, &[2, 3], "word_embedding", &[1.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        let bias = "encoder.layer.0.attention.output.LayerNorm.bias";
        becomes(bias, &[6], "layer.0.attention_norm_bias", &[1.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn another_file_is_refused() {
        refused(b"{}", "header");
        refused(&one("lm_head.weight", Dtype::F32, &[6]), "tensor \"lm_head.weight\" is unknown");
        let query = "encoder.layer.0.attention.self.query.weight";
        refused(&one(query, Dtype::F16, &[12]), "holds F16, not F32");
        refused(&one(query, Dtype::F32, &[1, 2, 3]), "has 3 dimensions");
        refused(&one("pooler.dense.bias", Dtype::F32, &[6]), "no tensor");
    }
}
