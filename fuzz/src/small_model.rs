//! The shape of a model that fits into a fuzzing input.

use ::safetensors::Dtype;
use ::safetensors::tensor::TensorView;
use dataforge_core::spec::LlamaShape;
use dataforge_graph::llama::{self, Parameter};

/// Its parameters: the embedding has room for a header that is far too long, the others are tiny.
#[must_use]
pub fn parameters() -> Vec<Parameter> {
    let n = |n: u32| std::num::NonZeroU32::new(n).unwrap_or(std::num::NonZeroU32::MIN);
    llama::parameters(&LlamaShape {
        vocabulary: n(300),
        width: n(4),
        layers: n(1),
        heads: n(2),
        kv_heads: n(1),
        hidden: n(2),
        context: n(4),
        rope_base: n(10_000),
        norm_epsilon_nano: n(1000),
        tied_head: true,
    })
}

/// A safetensors file with the parameters, their elements as `elements` says.
#[must_use]
pub fn safetensors(elements: impl Fn(&Parameter) -> Vec<f32>) -> Vec<u8> {
    let bytes = |parameter: &Parameter| -> Vec<u8> {
        elements(parameter).iter().flat_map(|x| x.to_le_bytes()).collect()
    };
    let parts: Vec<_> = parameters().into_iter().map(|p| (bytes(&p), p)).collect();
    let views = parts.iter().map(|(bytes, parameter)| {
        let view = TensorView::new(Dtype::F32, parameter.shape.clone(), bytes);
        (&parameter.name, view.expect("as many elements as the shape has"))
    });
    ::safetensors::serialize(views, None).expect("a map of names")
}
