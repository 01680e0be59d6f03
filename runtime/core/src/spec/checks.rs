//! What a spec of format 2 demands of a dataset beyond its schema.
//!
//! Every rule names the kernel that measures what it bounds, so the lock pins that too. Shares are
//! parts per million; what is measured and how is said by the kernel's page in `guest-kernels/`.

use super::validate::{Check, is_file_name};
use crate::units::{Fuel, Ppm};
use serde::{Deserialize, Serialize};

/// The rules; one that is absent asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// Where the texts of a row stand.
    pub shape: Shape,
    /// What a kernel call may use for each row, beside `limits.fuel_per_call`.
    pub fuel_per_row: Fuel,
    /// Scripts of the letters.
    pub script: Option<ScriptRule>,
    /// Rows that say what earlier ones said.
    pub copies: Option<CopiesRule>,
    /// Rows that say what known documents said.
    pub known: Option<KnownRule>,
    /// How varied the rows are.
    pub variety: Option<VarietyRule>,
    /// A checker: a WASI command under `eval-specs/kernels/`, by file name without `.wasm`, that
    /// sees the rows which every other rule lets pass.
    pub checker: Option<String>,
}

/// How a row says what the model is shown and what it should say. `rows.input` and `rows.output`
/// name the members; `wit/2.0.0/kernel.wit` says how texts are made of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Shape {
    /// Two strings.
    Pair,
    /// Messages by roles; both names are those of the same member. A chat template takes the place
    /// of the model's texts around input and output.
    Dialogue {
        /// File beside the spec with the Jinja template.
        template: String,
        /// What its variable `bos_token` holds.
        bos_token: String,
        /// What its variable `eos_token` holds.
        eos_token: String,
    },
    /// A question, steps, an answer.
    Reasoning {
        /// Member that holds the steps.
        steps: String,
    },
    /// A question, choices, the place of the right one.
    Choice {
        /// Member that holds the choices.
        choices: String,
    },
}

/// A row is at fault when fewer of its letters belong to one of these scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptRule {
    /// Codes of ISO 15924, such as `Latn`.
    pub any_of: Vec<String>,
    /// Least share.
    pub share_min_ppm: Ppm,
}

/// A dataset is at fault when more of its rows are copies or near-copies of earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopiesRule {
    /// Kernel of the world `similarity`.
    pub kernel: String,
    /// Similarity from which a row is a near-copy.
    pub similarity_min_ppm: Ppm,
    /// Most copies and near-copies, as a share of the rows.
    pub share_max_ppm: Ppm,
}

/// A row is at fault when more of its n-grams are in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRule {
    /// Kernel of the world `contamination`.
    pub kernel: String,
    /// File beside the spec with the index (`dataforge index`).
    pub index: String,
    /// Most known n-grams, as a share of the row's.
    pub share_max_ppm: Ppm,
}

/// A dataset is at fault when its rows are less varied, each by its first 2,048 bytes. A spec with
/// this rule takes no more than [`VARIETY_ROWS_MAX`](crate::limits::VARIETY_ROWS_MAX) rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VarietyRule {
    /// Kernel of the world `diversity`.
    pub kernel: String,
    /// Least share of distinct bigrams.
    pub distinct2_min_ppm: Ppm,
    /// Most bytes as a multiple of their bytes after DEFLATE, in millionths.
    pub compression_max_ppm: Ppm,
    /// Most self-similarity.
    pub self_similarity_max_ppm: Ppm,
}

impl Checks {
    /// Kernels that the rules name.
    pub(super) fn kernels(&self) -> impl Iterator<Item = &String> {
        let copies = self.copies.as_ref().map(|rule| &rule.kernel);
        let known = self.known.as_ref().map(|rule| &rule.kernel);
        let variety = self.variety.as_ref().map(|rule| &rule.kernel);
        [copies, known, variety, self.checker.as_ref()].into_iter().flatten()
    }

    /// Files beside the spec that the rules name.
    pub(super) fn files(&self) -> impl Iterator<Item = &String> {
        let template = match &self.shape {
            Shape::Dialogue { template, .. } => Some(template),
            Shape::Pair | Shape::Reasoning { .. } | Shape::Choice { .. } => None,
        };
        template.into_iter().chain(self.known.as_ref().map(|rule| &rule.index))
    }

    pub(super) fn validate(&self) -> Vec<Check> {
        let whole = |share: Ppm| share.0 <= 1_000_000;
        let codes = |rule: &ScriptRule| {
            let code =
                |code: &String| code.len() == 4 && code.bytes().all(|b| b.is_ascii_alphabetic());
            !rule.any_of.is_empty() && rule.any_of.len() <= 16 && rule.any_of.iter().all(code)
        };
        let script = self.script.as_ref();
        let copies = self.copies.as_ref();
        let shares = [
            script.map(|rule| rule.share_min_ppm),
            copies.map(|rule| rule.similarity_min_ppm),
            copies.map(|rule| rule.share_max_ppm),
            self.known.as_ref().map(|rule| rule.share_max_ppm),
            self.variety.as_ref().map(|rule| rule.distinct2_min_ppm),
            self.variety.as_ref().map(|rule| rule.self_similarity_max_ppm),
        ];
        let plain = |name: &String| is_file_name(name);
        vec![
            ("checks", self.kernels().all(plain), "a kernel's name is a plain file name"),
            ("checks", self.files().all(plain), "a plain file name"),
            ("checks", shares.into_iter().flatten().all(whole), "a share is at most 1,000,000"),
            ("checks.script.any_of", script.is_none_or(codes), "1 to 16 codes of four letters"),
        ]
    }
}
