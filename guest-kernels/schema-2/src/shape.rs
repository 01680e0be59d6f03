//! The four shapes of a row: from its members to the two texts.
//!
//! Each text is checked for its size as soon as it is there, the input before the output is looked
//! at. Letters are counted as the row has them: what a shape adds in a text, such as names of
//! members, roles and the letters of choices, says nothing about the row's script.

use std::mem;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::fault::{Step, at, whole_row};
use crate::scripts::Letters;
use crate::{Fault, Row, Rules, Shape};

type Members = Map<String, Value>;

/// Letters that choices can have.
const CHOICES_MAX: usize = 26;

/// Takes the texts out of rows.
pub(crate) struct Shaper<'a> {
    rules: &'a Rules,
}

impl<'a> Shaper<'a> {
    /// Fails if no row can have both texts where the rules say.
    pub(crate) fn new(rules: &'a Rules) -> Result<Self, String> {
        let same = rules.input == rules.output;
        let unusable = match &rules.shape {
            Shape::Pair => false,
            Shape::Dialogue => !same,
            Shape::Reasoning(steps) => [&rules.input, &rules.output].contains(&steps),
            Shape::Choice(choices) => same || [&rules.input, &rules.output].contains(&choices),
        };
        if rules.text_bytes_max == 0 {
            return Err("text-bytes-max is 0: a text has at least one byte".to_owned());
        }
        match (&rules.shape, unusable) {
            (_, false) => Ok(Self { rules }),
            (Shape::Dialogue, _) => {
                Err("the input and the output of a dialogue are the same member".to_owned())
            }
            _ => Err("two parts of a row have the same member: each takes its own".to_owned()),
        }
    }

    /// The texts of a row that obeys the schema.
    pub(crate) fn take(&self, row: Value, letters: &mut Letters<'_>) -> Result<Row, Fault> {
        let Value::Object(mut members) = row else {
            return Err(whole_row("the row is not an object"));
        };
        match &self.rules.shape {
            Shape::Pair => self.pair(&mut members, letters),
            Shape::Dialogue => self.dialogue(&mut members, letters),
            Shape::Reasoning(steps) => self.reasoning(&mut members, steps, letters),
            Shape::Choice(choices) => self.choice(&mut members, choices, letters),
        }
    }

    fn pair(&self, members: &mut Members, letters: &mut Letters<'_>) -> Result<Row, Fault> {
        let (input_name, output_name) = (self.rules.input.as_str(), self.rules.output.as_str());
        let input = take_text(members, input_name)?;
        // To be taken once more if that is the output's member too.
        let again = (input_name == output_name).then(|| input.clone());
        letters.count(&input);
        let input = self.sized("input", input, &[&input_name])?;
        let output = again.map_or_else(|| take_text(members, output_name), Ok)?;
        letters.count(&output);
        let output = self.sized("output", output, &[&output_name])?;
        Ok(Row { input, output })
    }

    fn dialogue(&self, members: &mut Members, letters: &mut Letters<'_>) -> Result<Row, Fault> {
        let name = self.rules.input.as_str();
        let mut messages = Vec::new();
        let mut turn = Role::User;
        for (place, item) in take_list(members, name)?.into_iter().enumerate() {
            let message = message(item, name, place, turn)?;
            letters.count(&message.content);
            turn = message.role.next();
            messages.push(message);
        }
        let place = messages.len().saturating_sub(1);
        let reply = match messages.pop() {
            None => return Err(at(&[&name], "the list of messages is empty")),
            Some(Message { role: Role::Assistant, content }) => content,
            Some(_) => {
                let reason = "the last message should have the role \"assistant\"";
                return Err(at(&[&name, &place, &"role"], reason));
            }
        };
        let input = serde_json::to_string(&messages)
            .map_err(|error| at(&[&name], format!("the messages make no JSON: {error}")))?;
        Ok(Row {
            input: self.sized("input", input, &[&name])?,
            output: self.sized("output", reply, &[&name, &place, &"content"])?,
        })
    }

    fn reasoning(
        &self,
        members: &mut Members,
        steps: &str,
        letters: &mut Letters<'_>,
    ) -> Result<Row, Fault> {
        let (input_name, output_name) = (self.rules.input.as_str(), self.rules.output.as_str());
        let input = take_text(members, input_name)?;
        let again = (input_name == output_name).then(|| input.clone());
        letters.count(&input);
        let input = self.sized("input", input, &[&input_name])?;
        let list = take_list(members, steps)?;
        if list.is_empty() {
            return Err(at(&[&steps], "the list of steps is empty"));
        }
        let mut output = String::new();
        for (place, step) in list.into_iter().enumerate() {
            let step = text(step, &[&steps, &place])?;
            letters.count(&step);
            output.push_str(&step);
            output.push('\n');
        }
        let last = again.map_or_else(|| take_text(members, output_name), Ok)?;
        letters.count(&last);
        output.push_str(&last);
        Ok(Row { input, output: self.sized("output", output, &[])? })
    }

    fn choice(
        &self,
        members: &mut Members,
        choices: &str,
        letters: &mut Letters<'_>,
    ) -> Result<Row, Fault> {
        let mut input = take_text(members, &self.rules.input)?;
        letters.count(&input);
        let list = take_list(members, choices)?;
        if !(2..=CHOICES_MAX).contains(&list.len()) {
            let reason =
                format!("the list has {} choices: 2 to {CHOICES_MAX} have letters", list.len());
            return Err(at(&[&choices], reason));
        }
        let mut texts: Vec<String> = Vec::with_capacity(list.len());
        for (place, (letter, choice)) in ('A'..='Z').zip(list).enumerate() {
            let choice = text(choice, &[&choices, &place])?;
            if texts.contains(&choice) {
                return Err(at(&[&choices, &place], "the choice stands in the list twice"));
            }
            letters.count(&choice);
            input.extend(['\n', letter, '.', ' ']);
            input.push_str(&choice);
            texts.push(choice);
        }
        let input = self.sized("input", input, &[])?;
        let name = self.rules.output.as_str();
        let right = match take(members, name)? {
            Value::Number(number) => number.as_u64().and_then(|place| usize::try_from(place).ok()),
            _ => None,
        };
        let Some(right) = right.filter(|place| *place < texts.len()) else {
            let reason =
                format!("the value is not the place of a choice, 0 to {}", texts.len() - 1);
            return Err(at(&[&name], reason));
        };
        let output = texts.swap_remove(right);
        letters.count(&output);
        Ok(Row { input, output: self.sized("output", output, &[&choices, &right])? })
    }

    /// The text, if it has neither too few bytes nor too many.
    fn sized(&self, which: &str, text: String, steps: &[&dyn Step]) -> Result<String, Fault> {
        let most = self.rules.text_bytes_max;
        match text.len() {
            0 => Err(at(steps, format!("the {which} is empty"))),
            bytes if bytes > most as usize => {
                Err(at(steps, format!("the {which} has {bytes} bytes, the limit is {most}")))
            }
            _ => Ok(text),
        }
    }
}

/// The value of a member, which is null from then on.
fn take(members: &mut Members, name: &str) -> Result<Value, Fault> {
    match members.get_mut(name) {
        Some(value) => Ok(mem::take(value)),
        None => Err(whole_row(format!("the member {name:?} is missing"))),
    }
}

fn take_text(members: &mut Members, name: &str) -> Result<String, Fault> {
    text(take(members, name)?, &[&name])
}

fn take_list(members: &mut Members, name: &str) -> Result<Vec<Value>, Fault> {
    match take(members, name)? {
        Value::Array(items) => Ok(items),
        _ => Err(at(&[&name], "the value is not a list")),
    }
}

fn text(value: Value, steps: &[&dyn Step]) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(at(steps, "the value is not a string")),
    }
}

/// Who a message is by.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// Whose turn it is after a message.
    fn next(self) -> Self {
        match self {
            Self::System | Self::Assistant => Self::User,
            Self::User => Self::Assistant,
        }
    }
}

/// A message; its members are written in this order.
#[derive(Serialize)]
struct Message {
    role: Role,
    content: String,
}

/// The message at a place of a list, by the one whose turn it is.
fn message(item: Value, list: &str, place: usize, turn: Role) -> Result<Message, Fault> {
    let Value::Object(mut members) = item else {
        return Err(at(&[&list, &place], "the message is not an object"));
    };
    let mut member = |name: &'static str| match members.remove(name) {
        None => Err(at(&[&list, &place], format!("the member {name:?} is missing"))),
        Some(value) => text(value, &[&list, &place, &name]),
    };
    let (role, content) = (member("role")?, member("content")?);
    if let Some(name) = members.keys().next() {
        let reason = "a message has no members but \"role\" and \"content\"";
        return Err(at(&[&list, &place, &name.as_str()], reason));
    }
    let role = match (&*role, turn) {
        ("system", _) if place == 0 => Role::System,
        ("user", Role::User) => Role::User,
        ("assistant", Role::Assistant) => Role::Assistant,
        (_, turn) => {
            let turn = if turn == Role::User { "user" } else { "assistant" };
            return Err(at(&[&list, &place, &"role"], format!("the role should be {turn:?}")));
        }
    };
    Ok(Message { role, content })
}
