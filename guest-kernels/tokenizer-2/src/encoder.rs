//! A tokenizer as its file says, less what would make the ids of a text depend on other texts.
//!
//! It adds no special tokens and takes none out. Whether it takes the spelling of one for that
//! token is settled when it is loaded.

use crate::spellings::Spellings;
use serde::Deserialize;
use std::collections::BTreeMap;
use tokenizers::{Model, ModelWrapper, Tokenizer};

pub(crate) struct Encoder(Tokenizer);

impl Encoder {
    /// The spelling of a special token is plain text.
    pub(crate) fn plain(json: &[u8]) -> Result<Self, String> {
        Self::load(json, true)
    }

    /// The spelling of a special token is that token.
    pub(crate) fn with_control(json: &[u8]) -> Result<Self, String> {
        Self::load(json, false)
    }

    fn load(json: &[u8], plain: bool) -> Result<Self, String> {
        let load = || -> tokenizers::Result<Tokenizer> {
            let mut tokenizer = Tokenizer::from_bytes(json)?;
            if samples(tokenizer.get_model()) {
                return Err("it draws ids by chance (dropout, or alpha of Unigram)".into());
            }
            // A tokenizer.json may ask for both, which would change ids by what else is in the
            // batch or drop the end of a text.
            tokenizer.with_padding(None).with_truncation(None)?;
            tokenizer.set_encode_special_tokens(plain);
            Ok(tokenizer)
        };
        load().map(Self).map_err(|error| format!("the tokenizer cannot be loaded: {error}"))
    }

    /// The special tokens by their ids, but for the one that stands for unknown text. `json` is
    /// what this was loaded from.
    pub(crate) fn control(&self, json: &[u8]) -> Result<BTreeMap<u32, String>, String> {
        let special = self.0.get_added_tokens_decoder().into_iter();
        let mut control: BTreeMap<u32, String> = special
            .filter(|(_, token)| token.special)
            .map(|(id, token)| (id, token.content))
            .collect();
        if let Some(id) = unknown(self.0.get_model(), json)? {
            control.remove(&id);
        }
        Ok(control)
    }

    /// The spellings of the special tokens.
    pub(crate) fn spellings(&self) -> Result<Spellings, String> {
        Spellings::of(&self.0)
    }

    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoding = self
            .0
            .encode_fast(text, false)
            .map_err(|error| format!("a text cannot be encoded: {error}"))?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// The id of text that the vocabulary cannot spell.
fn unknown(model: &ModelWrapper, json: &[u8]) -> Result<Option<u32>, String> {
    let token = match model {
        ModelWrapper::BPE(model) => model.unk_token.as_ref(),
        ModelWrapper::WordPiece(model) => Some(&model.unk_token),
        ModelWrapper::WordLevel(model) => Some(&model.unk_token),
        // It has the id and does not tell.
        ModelWrapper::Unigram(_) => {
            let File { model: Unigram { unk_id } } = serde_json::from_slice(json)
                .map_err(|error| format!("the tokenizer cannot be loaded: {error}"))?;
            return Ok(unk_id);
        }
    };
    Ok(token.and_then(|token| model.token_to_id(token)))
}

/// The part of a `tokenizer.json` that says which piece of a Unigram model is unknown text.
#[derive(Deserialize)]
struct File {
    model: Unigram,
}

#[derive(Deserialize)]
struct Unigram {
    unk_id: Option<u32>,
}

/// Whether the ids of one text may differ from call to call, as is wanted in training.
fn samples(model: &ModelWrapper) -> bool {
    match model {
        ModelWrapper::BPE(model) => model.dropout.is_some_and(|dropout| dropout > 0.0),
        ModelWrapper::Unigram(model) => model.alpha.is_some_and(|alpha| alpha > 0.0),
        ModelWrapper::WordPiece(_) | ModelWrapper::WordLevel(_) => false,
    }
}
