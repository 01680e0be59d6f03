//! JSON text to a value, refusing what two readers could understand differently.
//!
//! RFC 8259 leaves repeated member names to the reader: most keep the last value, some the first. A
//! dataset must mean the same to everybody who recomputes its score, so a repeated name is a fault.
//! `serde_json` keeps its recursion limit, which refuses the 128th level, so nesting cannot exhaust
//! the stack.

use std::fmt;

use dataforge_kernel_sdk::bounded;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Parses exactly one JSON value. The error is one line that says where and why.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    match serde_json::from_str::<Unambiguous>(text) {
        Ok(Unambiguous(value)) => Ok(value),
        // The text is one line of a file whose line numbers the host knows better.
        Err(error) => {
            Err(format!("malformed JSON: {error}").replace(" at line 1 column ", " at column "))
        }
    }
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unambiguous(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            match members.entry(name) {
                Entry::Vacant(member) => {
                    let Unambiguous(value) = access.next_value()?;
                    member.insert(value);
                }
                Entry::Occupied(member) => {
                    let name = bounded(format!("{:?}", member.key()));
                    return Err(A::Error::custom(format_args!("repeated member name {name}")));
                }
            }
        }
        Ok(Value::Object(members))
    }
}
