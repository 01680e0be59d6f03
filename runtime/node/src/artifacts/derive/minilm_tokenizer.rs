//! all-MiniLM-L6-v2's `tokenizer.json` without its padding and truncation: how long a row may be
//! and what fills a batch are the pipeline's business. Everything else is kept byte for byte.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The document's fields in the order in which they are written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    version: &'a RawValue,
    #[serde(deserialize_with = "dropped")]
    truncation: Option<()>,
    #[serde(deserialize_with = "dropped")]
    padding: Option<()>,
    #[serde(borrow)]
    added_tokens: &'a RawValue,
    #[serde(borrow)]
    normalizer: &'a RawValue,
    #[serde(borrow)]
    pre_tokenizer: &'a RawValue,
    #[serde(borrow)]
    post_processor: &'a RawValue,
    #[serde(borrow)]
    decoder: &'a RawValue,
    #[serde(borrow)]
    model: &'a RawValue,
}

/// Whatever is there becomes `null`.
fn dropped<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<()>, D::Error> {
    serde::de::IgnoredAny::deserialize(value).map(|_| None)
}

pub(super) fn derive(source: &[u8]) -> Result<Vec<u8>, String> {
    let document: Document<'_> =
        serde_json::from_slice(source).map_err(|error| error.to_string())?;
    serde_json::to_vec(&document).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_padding_and_truncation_change() {
        let rest = concat!(
            r#""added_tokens":[{"id": 0}],"normalizer":null,"pre_tokenizer":{},"#,
            r#""post_processor":1,"decoder":2,"model":{"vocab":{"b":0,"a":1}}}"#
        );
        let source = format!(
            r#"{{"version":"1.0","truncation":{{"max_length":128}},"padding":{{"pad_id":0}},{rest}"#
        );
        let expect = format!(r#"{{"version":"1.0","truncation":null,"padding":null,{rest}"#);
        assert_eq!(String::from_utf8(derive(source.as_bytes()).unwrap()).unwrap(), expect);
    }

    #[test]
    fn another_document_is_refused() {
        for (source, expect) in [("[]", "invalid length"), ("{}", "version"), (r#"{"x":1}"#, "x")] {
            let error = derive(source.as_bytes()).unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
    }
}
