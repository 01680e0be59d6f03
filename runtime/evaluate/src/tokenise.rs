//! Rows as token ids: texts inside the model's template, or chats by a chat template.
//!
//! What does not fit the spec is a fault of its row.

use crate::calls::{self, in_order};
use crate::error::EvaluateError;
use crate::inspect::{Inspector, blame};
use crate::tally::{FaultKind, Tally};
use crate::world::World;
use dataforge_core::dataset::Row;
use dataforge_core::plan::TokenRow;
use dataforge_core::spec::{Piece, Shape};
use dataforge_sandbox::{Chat, ChatTemplate};

/// Prompt and output of one row as token ids, or why it has none.
type Encoded = Result<[Vec<u32>; 2], String>;

/// What the kernel gave for all rows; the inner error is its own, to be blamed on the texts.
type Called = Result<Result<Vec<Encoded>, String>, EvaluateError>;

impl Inspector {
    /// Tokenises rows, if no row has been at fault: what is not accepted need not be trained on.
    pub(crate) fn tokenise_faultless(
        &self,
        world: &dyn World,
        rows: &[(u32, Row)],
        tally: &mut Tally,
    ) -> Result<Vec<TokenRow>, EvaluateError> {
        if tally.first_fault().is_some() {
            return Ok(vec![]);
        }
        self.tokenise_rows(world, rows, tally)
    }

    /// Tokenises rows; of those that do not fit the spec the tally has faults.
    pub(crate) fn tokenise_rows(
        &self,
        world: &dyn World,
        rows: &[(u32, Row)],
        tally: &mut Tally,
    ) -> Result<Vec<TokenRow>, EvaluateError> {
        let pairs: Vec<_> =
            rows.iter().map(|(_, row)| (row.input.as_str(), row.output.as_str())).collect();
        let cancelled = || world.cancelled();
        let tokenised = match self.tokenise(&pairs, &mut tally.fuel, &cancelled)? {
            Ok(tokenised) => tokenised,
            Err(reason) => {
                tally.add(FaultKind::Dataset, 0, "", reason);
                return Ok(vec![]);
            }
        };
        let mut tokens = Vec::with_capacity(rows.len());
        for ((row, _), tokenised) in rows.iter().zip(tokenised) {
            match tokenised {
                Ok(row) => tokens.push(row),
                Err(reason) => tally.add(FaultKind::Tokens, *row, "", reason),
            }
        }
        Ok(tokens)
    }

    /// Pairs of input and output as tokens; the outer error is the kernel's, to be blamed on the
    /// text.
    pub(crate) fn tokenise(
        &self,
        pairs: &[(&str, &str)],
        fuel: &mut u64,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Result<Vec<Result<TokenRow, String>>, String>, EvaluateError> {
        let encoded = match (self.spec.shape(), &self.template) {
            (Shape::Dialogue { bos_token, eos_token, .. }, Some(jinja)) => {
                let template = ChatTemplate { jinja, bos_token, eos_token };
                self.by_template(&template, pairs, fuel, cancelled)?
            }
            _ => self.framed(pairs, fuel, cancelled)?,
        };
        let row = |encoded: Encoded| {
            encoded.and_then(|[prompt, output]| self.token_row(&prompt, &output))
        };
        Ok(encoded.map(|encoded| encoded.into_iter().map(row).collect()))
    }

    /// Inputs are lists of messages.
    fn by_template(
        &self,
        template: &ChatTemplate<'_>,
        pairs: &[(&str, &str)],
        fuel: &mut u64,
        cancelled: &dyn Fn() -> bool,
    ) -> Called {
        let chats: Vec<Chat<'_>> =
            pairs.iter().map(|&(messages, reply)| Chat { messages, reply }).collect();
        let per_call = self.spec.limits.rows_per_call.get() as usize;
        let calls = calls::cut(&chats, per_call, |chat| chat.messages.len() + chat.reply.len());
        let encode =
            |chats: &[Chat<'_>]| self.tokenizer.encode_chats(&self.tokenizer_json, template, chats);
        let mut rows = Vec::with_capacity(chats.len());
        for encoded in in_order(self.calls_at_once, cancelled, calls, encode) {
            match blame(encoded?.1, &self.spec.kernels.tokenizer)? {
                Ok(encoded) => {
                    *fuel += encoded.fuel;
                    let row = encoded.value.into_iter();
                    rows.extend(row.map(|row| row.map(|tokens| [tokens.prompt, tokens.reply])));
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(rows))
    }

    /// Inputs and outputs are texts, each with what the model's template puts around it.
    fn framed(
        &self,
        pairs: &[(&str, &str)],
        fuel: &mut u64,
        cancelled: &dyn Fn() -> bool,
    ) -> Called {
        let model = &self.spec.model;
        let rows: Vec<[Vec<Piece>; 2]> = pairs
            .iter()
            .map(|(input, output)| {
                [
                    framed(&model.before_input, input, &model.after_input),
                    framed(&model.before_output, output, &model.after_output),
                ]
            })
            .collect();
        let texts: Vec<&str> = rows.iter().flatten().flatten().filter_map(Piece::text).collect();
        let per_call = 2 * self.spec.limits.rows_per_call.get() as usize;
        let mut ids = Vec::with_capacity(texts.len());
        let calls = calls::cut(&texts, per_call, |text| text.len());
        let encode = |texts: &[&str]| self.tokenizer.encode(&self.tokenizer_json, texts);
        for encoded in in_order(self.calls_at_once, cancelled, calls, encode) {
            match blame(encoded?.1, &self.spec.kernels.tokenizer)? {
                Ok(encoded) => {
                    *fuel += encoded.fuel;
                    ids.extend(encoded.value);
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(gathered(&rows, ids)))
    }

    fn token_row(&self, prompt: &[u32], output: &[u32]) -> Result<TokenRow, String> {
        let most = self.spec.training.positions.get() as usize + 1;
        let count = prompt.len() + output.len();
        let vocabulary = self.spec.model.llama.vocabulary.get();
        if prompt.is_empty() || output.is_empty() {
            return Err("the input or the output has no tokens".into());
        }
        if count > most {
            return Err(format!("{count} tokens, the spec allows {most}"));
        }
        let slots = self.spec.training.output_tokens.get() as usize;
        if output.len() > slots {
            return Err(format!("{} output tokens, the spec allows {slots}", output.len()));
        }
        // Cutting what does not fit would let unequal lengths spoil a control.
        if self.spec.score.shuffles() && prompt.len() > most - slots {
            let room = most - slots;
            return Err(format!(
                "{} prompt tokens, the spec allows {room} before any output",
                prompt.len()
            ));
        }
        if let Some(id) = prompt.iter().chain(output).find(|id| **id >= vocabulary) {
            return Err(format!("token id {id} is not in the model's vocabulary of {vocabulary}"));
        }
        Ok(TokenRow { ids: [prompt, output].concat(), prompt_tokens: prompt.len() as u32 })
    }
}

/// A field with its template: texts that touch are one text, and none is empty.
fn framed(before: &[Piece], field: &str, after: &[Piece]) -> Vec<Piece> {
    let field = Piece::Text(field.to_owned());
    let mut framed: Vec<Piece> = Vec::new();
    for piece in before.iter().chain([&field]).chain(after) {
        match (framed.last_mut(), piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Some(Piece::Text(so_far)), Piece::Text(text)) => so_far.push_str(text),
            _ => framed.push(piece.clone()),
        }
    }
    framed
}

/// Rows with the ids of their texts, which are those of all rows in order. A row is at fault as
/// soon as one of its texts is.
fn gathered(rows: &[[Vec<Piece>; 2]], ids: Vec<Result<Vec<u32>, String>>) -> Vec<Encoded> {
    let mut ids = ids.into_iter();
    let mut tokens = |piece: &Piece| match piece {
        Piece::Text(_) => ids.next().unwrap_or_else(|| Ok(vec![])),
        Piece::Token(id) => Ok(vec![*id]),
    };
    let mut row = |row: &[Vec<Piece>; 2]| -> Encoded {
        // Of both and to their ends, so that a fault leaves no texts to the next row.
        let [prompt, output] = row
            .each_ref()
            .map(|pieces| pieces.iter().map(&mut tokens).collect::<Vec<Result<_, _>>>());
        let whole = |pieces: Vec<Result<Vec<u32>, String>>| -> Result<Vec<u32>, String> {
            Ok(pieces.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
        };
        Ok([whole(prompt)?, whole(output)?])
    };
    rows.iter().map(&mut row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of a row stay its own when one before it has no ids.
    #[test]
    fn a_text_without_ids_is_the_fault_of_its_row() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let row = || [vec![Piece::Token(1), text("a"), text("b")], vec![text("c")]];
        let refused = "refused".to_owned();
        let texts = [Ok(vec![7]), Err(refused.clone()), Ok(vec![8])];
        let ids = texts.into_iter().chain([Ok(vec![2, 3]), Ok(vec![]), Ok(vec![4])]).collect();
        let expect = [Err(refused), Ok([vec![1, 2, 3], vec![4]])];
        assert_eq!(gathered(&[row(), row()], ids), expect);
    }
}
