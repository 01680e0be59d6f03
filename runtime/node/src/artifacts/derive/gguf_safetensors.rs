//! A llama-family GGUF model to safetensors with this project's names, f32, `[in, out]` matrices.
//!
//! GGUF stores a matrix as `[out, in]` and has the rows of query and key ordered for rotary
//! positions over neighbouring pairs, which is how `dataforge-graph` turns them: rows keep their
//! order. Whether sizes fit a spec's model is checked when the result is read.

use super::gguf::{Gguf, Tensor};
use super::tensors::{self, Parameter};

/// The parts of a layer: name in GGUF, name here.
const LAYER: [(&str, &str); 9] = [
    ("attn_norm", "attention_norm"),
    ("attn_q", "query"),
    ("attn_k", "key"),
    ("attn_v", "value"),
    ("attn_output", "attention_output"),
    ("ffn_norm", "feed_forward_norm"),
    ("ffn_gate", "gate"),
    ("ffn_up", "up"),
    ("ffn_down", "down"),
];

pub(super) fn derive(source: &[u8]) -> Result<Vec<u8>, String> {
    let mut gguf = Gguf::parse(source)?;
    let architecture = gguf.string("general.architecture")?;
    if architecture != "llama" {
        return Err(format!("its architecture is {architecture:?}, known is \"llama\""));
    }
    check_rotation(&gguf)?;
    let layers = gguf.u32("llama.block_count")?;
    let mut take =
        |name: &str| gguf.tensors.remove(name).ok_or_else(|| format!("tensor {name:?} is missing"));

    let mut parts = vec![("embedding".to_owned(), take("token_embd.weight")?)];
    for layer in 0..layers {
        for (theirs, ours) in LAYER {
            let tensor = take(&format!("blk.{layer}.{theirs}.weight"))?;
            parts.push((format!("layer.{layer}.{ours}"), tensor));
        }
    }
    parts.push(("final_norm".to_owned(), take("output_norm.weight")?));
    // Absent where the head is the transposed embedding.
    if let Some(head) = gguf.tensors.remove("output.weight") {
        parts.push(("head".to_owned(), head));
    }
    if let Some(name) = gguf.tensors.keys().next() {
        return Err(format!("tensor {name:?} is not part of a llama-family model"));
    }
    let parameters: Result<Vec<_>, String> =
        parts.iter().map(|(name, tensor)| Ok((name.clone(), parameter(name, tensor)?))).collect();
    tensors::write(&parameters?)
}

/// Rotary positions turn the whole of each head.
fn check_rotation(gguf: &Gguf<'_>) -> Result<(), String> {
    let width = gguf.u32("llama.embedding_length")?;
    let heads = gguf.u32("llama.attention.head_count")?;
    let turned = gguf.u32("llama.rope.dimension_count")?;
    if width.checked_div(heads) == Some(turned) {
        return Ok(());
    }
    Err(format!("it turns {turned} dimensions of {heads} heads in a width of {width}"))
}

fn parameter<'a>(name: &str, tensor: &'a Tensor<'a>) -> Result<Parameter<'a>, String> {
    match *tensor.shape {
        [_] => Ok(Parameter::plain(&tensor.shape, || tensor.unpack())),
        [_, _] if name == "embedding" => Ok(Parameter::plain(&tensor.shape, || tensor.unpack())),
        [rows, columns] => Ok(Parameter::turned([rows, columns], || tensor.unpack())),
        _ => Err(format!("{name} has {} dimensions", tensor.shape.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::gguf::tests::Writer;
    use super::super::tensors::tests::read;
    use super::*;

    /// A model of width 2 and one layer; matrices are `[2, 2]` with elements 1 to 4.
    fn sample() -> Writer {
        let mut writer = Writer::default()
            .string("general.architecture", "llama")
            .u32("llama.block_count", 1)
            .u32("llama.embedding_length", 2)
            .u32("llama.attention.head_count", 1)
            .u32("llama.rope.dimension_count", 2)
            .f32s("token_embd.weight", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            .f32s("output_norm.weight", &[2], &[1.0, 2.0]);
        for (theirs, _) in LAYER {
            let name = format!("blk.0.{theirs}.weight");
            writer = match theirs.ends_with("norm") {
                true => writer.f32s(&name, &[2], &[1.0, 2.0]),
                false => writer.f32s(&name, &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
            };
        }
        writer
    }

    #[track_caller]
    fn refused(writer: &Writer, expect: &str) {
        let error = derive(&writer.file()).unwrap_err();
        assert!(error.contains(expect), "{error:?} lacks {expect:?}");
    }

    #[test]
    fn matrices_are_turned_and_tables_are_not() {
        let tensors = read(&derive(&sample().file()).unwrap());
        assert_eq!(tensors.len(), LAYER.len() + 2);
        let of = |name: &str| tensors.iter().find(|tensor| tensor.0 == name).unwrap();
        assert_eq!(of("embedding").2, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(of("layer.0.query").2, [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(of("layer.0.feed_forward_norm").2, [1.0, 2.0]);
    }

    #[test]
    fn a_head_of_its_own_is_kept() {
        let head = sample().f32s("output.weight", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let tensors = read(&derive(&head.file()).unwrap());
        let head = tensors.iter().find(|tensor| tensor.0 == "head").unwrap();
        assert_eq!((&head.1[..], &head.2[..]), (&[2, 3][..], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0][..]));
    }

    #[test]
    fn another_model_is_refused_by_name() {
        refused(&Writer::default().string("general.architecture", "gpt2"), "\"gpt2\"");
        refused(&Writer::default(), "\"general.architecture\" is not a string");
        let extra = sample().f32s("rope_freqs.weight", &[1], &[1.0]);
        refused(&extra, "tensor \"rope_freqs.weight\" is not part");
        let deeper = Writer::default()
            .string("general.architecture", "llama")
            .u32("llama.block_count", u32::MAX)
            .u32("llama.embedding_length", 2)
            .u32("llama.attention.head_count", 1)
            .u32("llama.rope.dimension_count", 2)
            .f32s("token_embd.weight", &[1, 2], &[1.0, 2.0]);
        refused(&deeper, "tensor \"blk.0.attn_norm.weight\" is missing");
        let partial = Writer::default()
            .string("general.architecture", "llama")
            .u32("llama.embedding_length", 2)
            .u32("llama.attention.head_count", 0)
            .u32("llama.rope.dimension_count", 2);
        refused(&partial, "turns 2 dimensions of 0 heads");
        let cube = sample().f32s("output.weight", &[1, 1, 2], &[1.0, 2.0]);
        refused(&cube, "head has 3 dimensions");
    }
}
