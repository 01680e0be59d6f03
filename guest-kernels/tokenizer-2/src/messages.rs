//! Messages as JSON: a list of objects with the string members `role` and `content`, in either
//! order, and no others. Roles and their order are the template's business.

use minijinja::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;

/// A message, its members in the order in which they were written: `tojson` shows it.
pub(crate) struct Message([(String, String); 2]);

impl Message {
    /// What a miner wrote.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, text)| text.as_str())
    }

    /// For a template.
    pub(crate) fn value(&self) -> Value {
        Value::from_pairs(self.0.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }
}

/// The answer, for a template.
pub(crate) fn assistant(reply: &str) -> Value {
    Value::from_pairs([("role", "assistant"), ("content", reply)])
}

/// At least one message.
pub(crate) fn parse(json: &str) -> Result<Vec<Message>, String> {
    let messages: Vec<Message> = serde_json::from_str(json)
        .map_err(|error| format!("the messages are unusable: {error}"))?;
    if messages.is_empty() {
        return Err("there are no messages".to_owned());
    }
    Ok(messages)
}

// By hand, because a derived one takes a list for an object and forgets the order of members.
impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Message;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the string members role and content and no others")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        use serde::de::Error as _;
        let mut members = vec![];
        while let Some(name) = map.next_key::<String>()? {
            if name != "role" && name != "content" {
                return Err(A::Error::unknown_field(&name, &["role", "content"]));
            }
            members.push((name, map.next_value::<String>()?));
        }
        match <[_; 2]>::try_from(members) {
            Ok(members) if members[0].0 != members[1].0 => Ok(Message(members)),
            _ => Err(A::Error::custom("role and content must each be there once")),
        }
    }
}
