//! Kernels of the WIT world `tokenizer`: text to token ids.
//!
//! The types here mirror `wit/1.0.0/kernel.wit` and `wit/2.0.0/kernel.wit`. Truncation and padding
//! are decided by the caller, on ids, and so are special tokens outside chats.

use wasmtime::component::{Component, ComponentType, Lift, Lower};

use crate::kernel::{Answer, Function, Kernel, check_count, exports, list_bytes};
use crate::message::bounded;
use crate::{KernelLimits, SandboxError};

/// Token ids of a text, or why it has none.
pub type Ids = Result<Vec<u32>, String>;

/// A Hugging Face chat template.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct ChatTemplate<'a> {
    /// The template.
    pub jinja: &'a str,
    /// What its variable `bos_token` holds.
    #[component(name = "bos-token")]
    pub bos_token: &'a str,
    /// What its variable `eos_token` holds.
    #[component(name = "eos-token")]
    pub eos_token: &'a str,
}

/// Messages, and the answer to them.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Chat<'a> {
    /// A JSON list of objects with the string members `role` and `content`.
    pub messages: &'a str,
    /// Content of the message that follows.
    pub reply: &'a str,
}

/// A chat as token ids.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct ChatTokens {
    /// The messages, with what the template puts before an answer.
    pub prompt: Vec<u32>,
    /// The answer, with what the template puts around it.
    pub reply: Vec<u32>,
}

/// A compiled tokenizer kernel.
pub struct TokenizerKernel(Version);

enum Version {
    /// Of which one text without ids fails the whole call, and which knows no chats.
    One(Kernel<EncodeAll>),
    Two {
        encode: Kernel<Encode>,
        chats: Kernel<EncodeChats>,
    },
}

impl TokenizerKernel {
    pub(crate) fn new(component: &Component, limits: KernelLimits) -> Result<Self, SandboxError> {
        if EncodeAll::INTERFACES.iter().any(|name| exports(component, name)) {
            return Ok(Self(Version::One(Kernel::new(component, limits)?)));
        }
        let encode: Kernel<Encode> = Kernel::new(component, limits)?;
        Ok(Self(Version::Two { chats: encode.another()?, encode }))
    }

    /// Encodes texts with the tokenizer that a Hugging Face `tokenizer.json` describes; for each,
    /// in order, its ids or why it has none. A kernel of version 1 fails the call for such a text.
    ///
    /// The errors are those of [`SandboxError`]; a tokenizer that cannot be loaded is
    /// [`SandboxError::Reported`]. The tokenizer is loaded anew by each call, so batches should be
    /// large.
    pub fn encode(
        &self,
        tokenizer_json: &[u8],
        texts: &[&str],
    ) -> Result<Answer<Vec<Ids>>, SandboxError> {
        let bytes = tokenizer_json.len() as u64 + list_bytes(texts.iter().map(|text| text.len()));
        let parameters = (tokenizer_json, texts);
        let (value, fuel): (Vec<_>, _) = match &self.0 {
            Version::One(kernel) => {
                let (ids, fuel) = kernel.call(parameters, texts.len(), bytes)?;
                (ids.into_iter().map(Ok).collect(), fuel)
            }
            Version::Two { encode, .. } => {
                let (outcomes, fuel) = encode.call(parameters, texts.len(), bytes)?;
                let outcome = |outcome| match outcome {
                    TextOutcome::Ok(ids) => Ok(ids),
                    TextOutcome::Fault(reason) => Err(bounded(&reason)),
                };
                (outcomes.into_iter().map(outcome).collect(), fuel)
            }
        };
        check_count("texts", value.len(), texts.len())?;
        Ok(Answer { value, fuel })
    }

    /// Encodes chats by a template; for each, in order, its tokens or why it has none.
    ///
    /// The errors are those of [`SandboxError`]; a tokenizer or template that cannot be loaded is
    /// [`SandboxError::Reported`], and so is any chat to a kernel of version 1.
    pub fn encode_chats(
        &self,
        tokenizer_json: &[u8],
        template: &ChatTemplate<'_>,
        chats: &[Chat<'_>],
    ) -> Result<Answer<Vec<Result<ChatTokens, String>>>, SandboxError> {
        let Version::Two { chats: kernel, .. } = &self.0 else {
            let reason = "a tokenizer kernel of version 1 knows no chats";
            return Err(SandboxError::Reported(reason.to_owned()));
        };
        let texts = [template.jinja, template.bos_token, template.eos_token];
        let bytes = tokenizer_json.len() as u64
            + list_bytes(texts.iter().map(|text| text.len()))
            + list_bytes(chats.iter().map(|chat| 8 + chat.messages.len() + chat.reply.len()));
        let parameters = (tokenizer_json, *template, chats);
        let (outcomes, fuel) = kernel.call(parameters, chats.len(), bytes)?;
        check_count("chats", outcomes.len(), chats.len())?;
        let value = outcomes.into_iter().map(|outcome| match outcome {
            ChatOutcome::Ok(tokens) => Ok(tokens),
            ChatOutcome::Fault(reason) => Err(bounded(&reason)),
        });
        Ok(Answer { value: value.collect(), fuel })
    }
}

pub(crate) enum EncodeAll {}

impl Function for EncodeAll {
    const INTERFACES: &'static [&'static str] = &["dataforge:kernel/tokens@1.0.0"];
    const NAME: &'static str = "encode";
    type Params<'a> = (&'a [u8], &'a [&'a str]);
    type Answer = Vec<Vec<u32>>;
}

pub(crate) enum Encode {}

impl Function for Encode {
    const INTERFACES: &'static [&'static str] = &["dataforge:kernel/tokens@2.0.0"];
    const NAME: &'static str = "encode";
    type Params<'a> = (&'a [u8], &'a [&'a str]);
    type Answer = Vec<TextOutcome>;
}

pub(crate) enum EncodeChats {}

impl Function for EncodeChats {
    const INTERFACES: &'static [&'static str] = &["dataforge:kernel/tokens@2.0.0"];
    const NAME: &'static str = "encode-chats";
    type Params<'a> = (&'a [u8], ChatTemplate<'a>, &'a [Chat<'a>]);
    type Answer = Vec<ChatOutcome>;
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum TextOutcome {
    #[component(name = "ok")]
    Ok(Vec<u32>),
    #[component(name = "fault")]
    Fault(String),
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum ChatOutcome {
    #[component(name = "ok")]
    Ok(ChatTokens),
    #[component(name = "fault")]
    Fault(String),
}
