//! The metrics kernel: how near answers come to reference texts, by the field's measures.
//!
//! Every score equals that of the reference package to the last bit; `README.md` says which, and
//! where characters are too new for that. It does not average over pairs and knows no rule of
//! what is a good answer. Invariants: a pair's scores depend on that pair alone, and are finite.

mod chrf;
mod common;
mod lcs;
mod python;
mod rouge;
mod squad;

pub use bindings::exports::dataforge::kernel::answers::{Guest, Overlap, Pair, Scores};

dataforge_kernel_sdk::kernel!("metrics" in "../../wit/1.1.0");

/// The kernel; its one function is that of [`Guest`].
pub struct Kernel;

impl Guest for Kernel {
    fn measure(pairs: Vec<Pair>) -> Result<Vec<Scores>, String> {
        Ok(pairs.iter().map(scores).collect())
    }
}

fn scores(Pair { answer, reference }: &Pair) -> Scores {
    let squad = squad::compare(answer, reference);
    let rouge = rouge::compare(answer, reference);
    Scores {
        exact_match: squad.exact_match,
        token_f1: squad.token_f1,
        rouge1: rouge.unigrams,
        rouge2: rouge.bigrams,
        rouge_l: rouge.subsequence,
        chrf: chrf::compare(answer, reference),
    }
}

// Linkers for other targets refuse the names of the exports.
#[cfg(target_arch = "wasm32")]
bindings::export!(Kernel with_types_in bindings);
