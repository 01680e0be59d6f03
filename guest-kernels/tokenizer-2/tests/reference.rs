//! The chats and templates of this folder, answered as `tools/kernels/chats.py` says that
//! transformers answers them (`answers.jsonl`, which the README tells how to write).

use dataforge_kernel_tokenizer_2::{Chat, ChatOutcome, Guest, Kernel, Template};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(path(name)).expect(name);
    text.lines().map(|line| serde_json::from_str(line).expect(name)).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("ids")
}

#[test]
fn chats_have_the_ids_and_faults_of_the_reference() {
    let tokenizer = fs::read(path("tokenizer.json")).unwrap();
    let tokens = fs::read_to_string(path("templates/tokens.json")).unwrap();
    let tokens: BTreeMap<String, [String; 2]> = serde_json::from_str(&tokens).unwrap();
    let text = |chat: &Value, name: &str| chat[name].as_str().unwrap().to_owned();
    let chats = lines("chats.jsonl");
    let mut answers = lines("answers.jsonl").into_iter();
    for (name, [bos_token, eos_token]) in tokens {
        let jinja = fs::read_to_string(path(&format!("templates/{name}.jinja"))).unwrap();
        let template = Template { jinja, bos_token, eos_token };
        let asked = chats
            .iter()
            .map(|chat| Chat { messages: text(chat, "messages"), reply: text(chat, "reply") })
            .collect();
        let outcomes = Kernel::encode_chats(tokenizer.clone(), template, asked).unwrap();
        assert_eq!(outcomes.len(), chats.len());
        for (number, outcome) in (1..).zip(outcomes) {
            let expected = answers.next().unwrap();
            match (outcome, expected["fault"].as_str()) {
                (ChatOutcome::Ok(found), None) => {
                    assert_eq!(found.prompt, ids(&expected["prompt"]), "{name} {number}");
                    assert_eq!(found.reply, ids(&expected["reply"]), "{name} {number}");
                }
                (ChatOutcome::Fault(reason), Some(expected)) => {
                    assert!(reason.contains(expected), "{name} {number}: {reason}, not {expected}");
                }
                (found, _) => panic!("{name} {number}: {found:?}, not {expected}"),
            }
        }
    }
    assert_eq!(answers.next(), None);
}
