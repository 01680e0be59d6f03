//! The smallest models and vocabularies that the conversions of artifacts take.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A file under construction, in the format of ggml's `docs/gguf.md`.
#[derive(Default)]
struct Gguf {
    entries: Vec<Vec<u8>>,
    headers: Vec<Vec<u8>>,
    data: Vec<u8>,
}

const ALIGNMENT: usize = 32;

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    fn entry(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.entries.push([&string(key), &kind.to_le_bytes()[..], value].concat());
        self
    }

    fn u32(self, key: &str, value: u32) -> Self {
        self.entry(key, 4, &value.to_le_bytes())
    }

    fn string(self, key: &str, value: &str) -> Self {
        self.entry(key, 8, &string(value))
    }

    fn list(self, key: &str, kind: u32, values: &[Vec<u8>]) -> Self {
        let count = (values.len() as u64).to_le_bytes();
        self.entry(key, 9, &[&kind.to_le_bytes()[..], &count, &values.concat()].concat())
    }

    /// A tensor of zeros with its fastest dimension first, packed as `kind` in so many bytes.
    fn tensor(mut self, name: &str, shape: &[u64], kind: u32, bytes: usize) -> Self {
        let rank = (shape.len() as u32).to_le_bytes();
        let dims: Vec<u8> = shape.iter().flat_map(|d| d.to_le_bytes()).collect();
        let offset = (self.data.len() as u64).to_le_bytes();
        let parts = [&string(name)[..], &rank, &dims, &kind.to_le_bytes(), &offset];
        self.headers.push(parts.concat());
        self.data.resize((self.data.len() + bytes).next_multiple_of(ALIGNMENT), 0);
        self
    }

    fn file(&self) -> Vec<u8> {
        let counts = [self.headers.len() as u64, self.entries.len() as u64];
        let counts: Vec<u8> = counts.iter().flat_map(|n| n.to_le_bytes()).collect();
        let (entries, headers) = (self.entries.concat(), self.headers.concat());
        let mut file = [b"GGUF", &3u32.to_le_bytes()[..], &counts, &entries, &headers].concat();
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        [file, self.data.clone()].concat()
    }
}

/// One layer of width 2, and an embedding in each packing's blocks.
pub(crate) fn model() -> Vec<u8> {
    let mut file = Gguf::default()
        .string("general.architecture", "llama")
        .u32("llama.block_count", 1)
        .u32("llama.embedding_length", 32)
        .u32("llama.attention.head_count", 16)
        .u32("llama.rope.dimension_count", 2)
        .tensor("token_embd.weight", &[32, 3], 8, 34 * 3)
        .tensor("output_norm.weight", &[32], 0, 128)
        .tensor("output.weight", &[32, 3], 3, 20 * 3);
    for part in ["attn_norm", "ffn_norm"] {
        file = file.tensor(&format!("blk.0.{part}.weight"), &[32], 0, 128);
    }
    for part in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] {
        file = file.tensor(&format!("blk.0.{part}.weight"), &[2, 2], 0, 16);
    }
    file.file()
}

/// Four tokens and a merge.
pub(crate) fn tokenizer() -> Vec<u8> {
    let types = [3i32, 1, 1, 1].map(|kind| kind.to_le_bytes().to_vec());
    Gguf::default()
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", "smollm")
        .entry("tokenizer.ggml.add_space_prefix", 7, &[0])
        .entry("tokenizer.ggml.add_bos_token", 7, &[0])
        .list("tokenizer.ggml.tokens", 8, &["<|end|>", "a", "Ġ", "Ġa"].map(string))
        .list("tokenizer.ggml.token_type", 5, &types)
        .list("tokenizer.ggml.merges", 8, &["Ġ a"].map(string))
        .file()
}

/// A table, a matrix and a vector of the encoder.
pub(crate) fn minilm() -> Vec<u8> {
    let parts = [
        ("embeddings.word_embeddings.weight", vec![3, 2]),
        ("encoder.layer.5.output.dense.weight", vec![2, 3]),
        ("encoder.layer.0.attention.output.LayerNorm.bias", vec![6]),
    ];
    let zeros = [0; 24];
    let views = parts.map(|(name, shape)| {
        (name, TensorView::new(Dtype::F32, shape, &zeros).expect("six elements of four bytes"))
    });
    safetensors::serialize(views, None).expect("a map of names")
}
