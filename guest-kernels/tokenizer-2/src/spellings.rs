//! Spellings of a tokenizer's special tokens in what a miner wrote.
//!
//! It finds more than the tokenizer would: a token that counts only as a word of its own, or not
//! inside another one, is found anywhere. What a template builds out of pieces it cannot see.

use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::BTreeMap;
use tokenizers::{AddedToken, NormalizedString, Normalizer, NormalizerWrapper, Tokenizer};

pub(crate) struct Spellings {
    exact: Needles,
    /// Of tokens that the tokenizer looks for after it has normalised the text.
    normalised: Option<(NormalizerWrapper, Needles)>,
}

/// What to look for, and the token that each of it stands for.
struct Needles {
    automaton: AhoCorasick,
    tokens: Vec<String>,
}

impl Spellings {
    pub(crate) fn of(tokenizer: &Tokenizer) -> Result<Self, String> {
        // By id: which of several is reported must not depend on the order of a hash map.
        let special: BTreeMap<u32, AddedToken> = tokenizer
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, token)| token.special && !token.content.is_empty())
            .collect();
        let exact = Needles::new(special.values().map(|token| (token.content.clone(), token)))?;
        let mut pairs = vec![];
        if let Some(normalizer) = tokenizer.get_normalizer() {
            for token in special.values().filter(|token| token.normalized) {
                pairs.push((normalise(normalizer, &token.content)?, token));
            }
            // What normalises to nothing would be found everywhere.
            pairs.retain(|(needle, _)| !needle.is_empty());
        }
        let normalised = match tokenizer.get_normalizer() {
            Some(normalizer) if !pairs.is_empty() => {
                Some((normalizer.clone(), Needles::new(pairs.into_iter())?))
            }
            _ => None,
        };
        Ok(Self { exact, normalised })
    }

    /// The first special token that the text spells.
    pub(crate) fn find(&self, text: &str) -> Result<Option<&str>, String> {
        if let Some(token) = self.exact.find(text) {
            return Ok(Some(token));
        }
        match &self.normalised {
            Some((normalizer, needles)) => Ok(needles.find(&normalise(normalizer, text)?)),
            None => Ok(None),
        }
    }
}

impl Needles {
    fn new<'t>(pairs: impl Iterator<Item = (String, &'t AddedToken)>) -> Result<Self, String> {
        let (needles, tokens): (Vec<_>, Vec<_>) =
            pairs.map(|(needle, token)| (needle, token.content.clone())).unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(needles)
            .map_err(|error| format!("the tokenizer has too many special tokens: {error}"))?;
        Ok(Self { automaton, tokens })
    }

    fn find(&self, text: &str) -> Option<&str> {
        let found = self.automaton.find(text)?;
        self.tokens.get(found.pattern().as_usize()).map(String::as_str)
    }
}

fn normalise(normalizer: &NormalizerWrapper, text: &str) -> Result<String, String> {
    let mut text = NormalizedString::from(text);
    normalizer
        .normalize(&mut text)
        .map_err(|error| format!("a text cannot be normalised: {error}"))?;
    Ok(text.get().to_owned())
}
