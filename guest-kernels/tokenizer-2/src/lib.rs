//! The tokenizer kernel of chats: text, and messages by a chat template, to token ids.
//!
//! It does not decide what is encoded or in which order, keeps no vocabulary or template of its
//! own, and knows no clock. Invariants: the ids of a text or chat depend on the tokenizer, the
//! template and that text or chat alone; no message or reply that has ids spells a control token.

mod encoder;
mod json;
mod messages;
mod python;
mod spellings;
mod template;

pub use bindings::exports::dataforge::kernel::tokens::{
    Chat, ChatOutcome, ChatTokens, Guest, Template, TextOutcome,
};
use dataforge_kernel_sdk::bounded;
use encoder::Encoder;
use messages::Message;
use spellings::Spellings;
use std::collections::BTreeMap;
use template::Renderer;

dataforge_kernel_sdk::kernel!("tokenizer" in "../../wit/2.0.0");

/// The kernel.
pub struct Kernel;

impl Guest for Kernel {
    fn encode(tokenizer_json: Vec<u8>, texts: Vec<String>) -> Result<Vec<TextOutcome>, String> {
        let encoder = Encoder::plain(&tokenizer_json).map_err(bounded)?;
        let control = encoder.control(&tokenizer_json)?;
        let outcome = |text: &String| match plain(&encoder, &control, text) {
            Ok(ids) => TextOutcome::Ok(ids),
            Err(reason) => TextOutcome::Fault(bounded(reason)),
        };
        Ok(texts.iter().map(outcome).collect())
    }

    fn encode_chats(
        tokenizer_json: Vec<u8>,
        template: Template,
        chats: Vec<Chat>,
    ) -> Result<Vec<ChatOutcome>, String> {
        let encoder = Encoder::with_control(&tokenizer_json).map_err(bounded)?;
        let spellings = encoder.spellings().map_err(bounded)?;
        let renderer = Renderer::new(template).map_err(bounded)?;
        let outcome = |chat: &Chat| match tokens(&encoder, &spellings, &renderer, chat) {
            Ok(tokens) => ChatOutcome::Ok(tokens),
            Err(reason) => ChatOutcome::Fault(bounded(reason)),
        };
        Ok(chats.iter().map(outcome).collect())
    }
}

/// The ids of a text. A vocabulary may have control tokens among its words, so that a text spells
/// one though no special token is looked for.
fn plain(
    encoder: &Encoder,
    control: &BTreeMap<u32, String>,
    text: &str,
) -> Result<Vec<u32>, String> {
    let ids = encoder.encode(text)?;
    match ids.iter().find_map(|id| control.get(id)) {
        Some(token) => Err(format!("the text spells the control token {token}")),
        None => Ok(ids),
    }
}

fn tokens(
    encoder: &Encoder,
    spellings: &Spellings,
    renderer: &Renderer,
    Chat { messages, reply }: &Chat,
) -> Result<ChatTokens, String> {
    let messages = messages::parse(messages)?;
    for (number, message) in (1..).zip(&messages) {
        for text in message.texts() {
            if let Some(token) = spellings.find(text)? {
                return Err(format!("message {number} spells the control token {token}"));
            }
        }
    }
    if let Some(token) = spellings.find(reply)? {
        return Err(format!("the reply spells the control token {token}"));
    }
    let mut values: Vec<_> = messages.iter().map(Message::value).collect();
    let prompt = renderer.render(&values, true)?;
    values.push(messages::assistant(reply));
    let full = renderer.render(&values, false)?;
    let Some(answer) = full.strip_prefix(&prompt) else {
        return Err("the text with the reply does not begin with the prompt".to_owned());
    };
    Ok(ChatTokens { prompt: encoder.encode(&prompt)?, reply: encoder.encode(answer)? })
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Kernel with_types_in bindings);
