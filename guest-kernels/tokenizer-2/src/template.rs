//! A chat template, rendered as transformers' `apply_chat_template` renders it.
//!
//! It reads no file and no clock: `include` and `import` are syntax errors, and `strftime_now` is
//! not defined, so that a template that asks whether it is takes its other way, and one that does
//! not ask fails.

use crate::{Template, json, python};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

/// Depth of loops and, five a piece, of macros that call macros. Ten times what published templates
/// have, and it ends before the stack of the sandbox does.
const RECURSION_MAX: usize = 120;

const NAME: &str = "template";

pub(crate) struct Renderer {
    environment: Environment<'static>,
    bos_token: Value,
    eos_token: Value,
}

impl Renderer {
    pub(crate) fn new(template: Template) -> Result<Self, String> {
        let Template { jinja, bos_token, eos_token } = template;
        let unusable = |error: Error| format!("the template cannot be loaded: {error}");
        let mut environment = environment().map_err(unusable)?;
        // As jinja2 does; the engine takes a carriage return for text.
        let source = jinja.replace("\r\n", "\n").replace('\r', "\n");
        let source = without_generation(&source);
        environment.add_template_owned(NAME, source).map_err(unusable)?;
        Ok(Self { environment, bos_token: bos_token.into(), eos_token: eos_token.into() })
    }

    /// The text of messages; `prompt` asks for what the template puts before an answer.
    pub(crate) fn render(&self, messages: &[Value], prompt: bool) -> Result<String, String> {
        let context = context! {
            messages => messages,
            add_generation_prompt => prompt,
            bos_token => &self.bos_token,
            eos_token => &self.eos_token,
            // Always there in transformers, and asked for by `is none`.
            tools => (),
            documents => (),
        };
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(context))
            .map_err(|error| format!("the template fails: {error}"))
    }
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_recursion_limit(RECURSION_MAX);
    environment.set_unknown_method_callback(python::method);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("trim", python::trim);
    environment.add_filter("indent", python::indent);
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_function("raise_exception", raise_exception);
    // Better refused than rendered otherwise: jinja2 spells quotes in HTML with other digits, and
    // has no `debug`.
    environment.remove_filter("e");
    environment.remove_filter("escape");
    environment.remove_global("debug");
    Ok(environment)
}

/// Turns the blocks with which templates mark an answer for training, `generation`, into blocks
/// that only are a scope: this is what they are where nobody asks for the marks.
fn without_generation(source: &str) -> String {
    let (mut out, mut rest) = (String::new(), source);
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start + 2);
        out.push_str(before);
        rest = tag;
        let Some((inside, _)) = tag.split_once("%}") else { continue };
        let name = inside.trim_matches(['-', '+']).trim();
        let scope = match name {
            "generation" => "with",
            "endgeneration" => "endwith",
            _ => continue,
        };
        out.push_str(&inside.replacen(name, scope, 1));
        rest = &tag[inside.len()..];
    }
    out + rest
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}
