//! The four shapes: what they take out of a row, and where their faults are.

use dataforge_kernel_schema_2::{Rules, Shape};

use crate::{outcome, rules};

fn check(rules: fn() -> Rules, line: &str, expected: &str) {
    assert_eq!(outcome(rules(), line), expected, "{line}");
}

#[test]
fn pairs() {
    let pair = |line, expected| check(rules, line, expected);
    pair(r#"{"output": "b", "input": "a", "x": 1}"#, "a => b");
    pair(r#"{"output": "b"}"#, r#" ! the member "input" is missing"#);
    pair(r#"{"input": "a"}"#, r#" ! the member "output" is missing"#);
    pair(r#"{"input": 1, "output": "b"}"#, "/input ! the value is not a string");
    pair(r#"{"input": "a", "output": null}"#, "/output ! the value is not a string");
    pair(r#"{"input": "", "output": "b"}"#, "/input ! the input is empty");
    pair(r#"{"input": "a", "output": ""}"#, "/output ! the output is empty");
}

#[test]
fn a_pair_may_be_one_member_twice() {
    let one = || Rules { output: "input".to_owned(), ..rules() };
    check(one, r#"{"input": "a\n"}"#, "a\n => a\n");
}

#[test]
fn names_are_escaped_in_pointers() {
    let odd = || Rules { input: "a/b~c".to_owned(), ..rules() };
    check(odd, r#"{"a/b~c": 1}"#, "/a~1b~0c ! the value is not a string");
}

#[test]
fn texts_have_as_many_bytes_as_allowed() {
    let three = || Rules { text_bytes_max: 3, ..rules() };
    check(three, r#"{"input": "aé", "output": "abc"}"#, "aé => abc");
    let long = "/input ! the input has 4 bytes, the limit is 3";
    check(three, r#"{"input": "éé", "output": "abc"}"#, long);
    let long = "/output ! the output has 4 bytes, the limit is 3";
    check(three, r#"{"input": "a", "output": "abcd"}"#, long);
}

fn dialogue() -> Rules {
    let messages = "messages".to_owned();
    Rules { shape: Shape::Dialogue, input: messages.clone(), output: messages, ..rules() }
}

/// A row of messages by the letters of their roles, each with its letter as content.
fn messages(roles: &str) -> String {
    let name = |role| match role {
        's' => "system",
        'u' => "user",
        'a' => "assistant",
        _ => "tool",
    };
    let list: Vec<String> = roles
        .chars()
        .map(|role| format!(r#"{{"content": "{role}", "role": "{}"}}"#, name(role)))
        .collect();
    format!(r#"{{"messages": [{}]}}"#, list.join(", "))
}

#[test]
fn dialogues() {
    let case = |roles, expected: &str| check(dialogue, &messages(roles), expected);
    let user = r#"{"role":"user","content":"u"}"#;
    let system = r#"{"role":"system","content":"s"}"#;
    let assistant = r#"{"role":"assistant","content":"a"}"#;
    case("ua", &format!("[{user}] => a"));
    case("sua", &format!("[{system},{user}] => a"));
    case("uaua", &format!("[{user},{assistant},{user}] => a"));
    case("", "/messages ! the list of messages is empty");
    case("a", r#"/messages/0/role ! the role should be "user""#);
    case("sa", r#"/messages/1/role ! the role should be "user""#);
    case("uu", r#"/messages/1/role ! the role should be "assistant""#);
    case("uas", r#"/messages/2/role ! the role should be "user""#);
    case("uat", r#"/messages/2/role ! the role should be "user""#);
    case("ssua", r#"/messages/1/role ! the role should be "user""#);
    case("s", r#"/messages/0/role ! the last message should have the role "assistant""#);
    case("uau", r#"/messages/2/role ! the last message should have the role "assistant""#);
}

#[test]
fn members_of_messages() {
    let case = |first: &str, expected: &str| {
        let reply = r#"{"role": "assistant", "content": "é\"\n\u0001"}"#;
        check(dialogue, &format!(r#"{{"messages": [{first}, {reply}]}}"#), expected);
    };
    let escaped = r#"[{"role":"user","content":"é\"\n\u0001/"}] => "#.to_owned() + "é\"\n\u{1}";
    case(r#"{"role": "user", "content": "é\"\n\u0001\/"}"#, &escaped);
    case(
        r#"{"role": "user", "content": ""}"#,
        "[{\"role\":\"user\",\"content\":\"\"}] => é\"\n\u{1}",
    );
    case("1", "/messages/0 ! the message is not an object");
    case(r#"{"content": "a"}"#, r#"/messages/0 ! the member "role" is missing"#);
    case(r#"{"role": "user"}"#, r#"/messages/0 ! the member "content" is missing"#);
    case(r#"{"role": 1, "content": "a"}"#, "/messages/0/role ! the value is not a string");
    case(r#"{"role": "user", "content": []}"#, "/messages/0/content ! the value is not a string");
    let other = r#"/messages/0/na~1me ! a message has no members but "role" and "content""#;
    case(r#"{"role": "user", "content": "a", "na/me": "b"}"#, other);
}

#[test]
fn the_texts_of_dialogues_have_sizes() {
    let check = |line: &str, expected: &str| check(dialogue, line, expected);
    check(r#"{"messages": "a"}"#, "/messages ! the value is not a list");
    check("{}", r#" ! the member "messages" is missing"#);
    let long = "x".repeat(101);
    let line = |said: &str, reply: &str| {
        messages("ua")
            .replace(r#""u""#, &format!("{said:?}"))
            .replace(r#""a""#, &format!("{reply:?}"))
    };
    check(&line("u", ""), "/messages/1/content ! the output is empty");
    check(&line("u", &long), "/messages/1/content ! the output has 101 bytes, the limit is 100");
    check(&line(&long, "a"), "/messages ! the input has 131 bytes, the limit is 100");
}

fn reasoning() -> Rules {
    Rules { shape: Shape::Reasoning("steps".to_owned()), ..rules() }
}

#[test]
fn reasonings() {
    let case = |steps: &str, expected: &str| {
        let line = format!(r#"{{"input": "q", "steps": {steps}, "output": "o"}}"#);
        check(reasoning, &line, expected);
    };
    case(r#"["a"]"#, "q => a\no");
    case(r#"["a", "", "b\n"]"#, "q => a\n\nb\n\no");
    case("[]", "/steps ! the list of steps is empty");
    case(r#""a""#, "/steps ! the value is not a list");
    case(r#"["a", 1]"#, "/steps/1 ! the value is not a string");
    check(reasoning, r#"{"input": "q"}"#, r#" ! the member "steps" is missing"#);
    check(reasoning, r#"{"input": "q", "steps": ["a"]}"#, r#" ! the member "output" is missing"#);
    let long = format!(r#"{{"input": "q", "steps": ["{}"], "output": "o"}}"#, "x".repeat(99));
    check(reasoning, &long, " ! the output has 101 bytes, the limit is 100");
}

fn choice() -> Rules {
    Rules { shape: Shape::Choice("choices".to_owned()), ..rules() }
}

#[test]
fn choices() {
    let case = |choices: &str, output: &str, expected: &str| {
        let line = format!(r#"{{"input": "q", "choices": {choices}, "output": {output}}}"#);
        check(choice, &line, expected);
    };
    case(r#"["x", "y"]"#, "0", "q\nA. x\nB. y => x");
    case(r#"["x", "y"]"#, "1", "q\nA. x\nB. y => y");
    let place = "/output ! the value is not the place of a choice, 0 to 1";
    case(r#"["x", "y"]"#, "2", place);
    case(r#"["x", "y"]"#, "-1", place);
    case(r#"["x", "y"]"#, "1.0", place);
    case(r#"["x", "y"]"#, r#""1""#, place);
    case(r#"["x"]"#, "0", "/choices ! the list has 1 choices: 2 to 26 have letters");
    case(r#"["x", "y", "x"]"#, "0", "/choices/2 ! the choice stands in the list twice");
    case(r#"["x", 1]"#, "0", "/choices/1 ! the value is not a string");
    case(r#"["", "y"]"#, "0", "/choices/0 ! the output is empty");
    case(r#"["", "y"]"#, "1", "q\nA. \nB. y => y");
    case(r#"{}"#, "0", "/choices ! the value is not a list");
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let (all, more) = (serde_json::json!(letters), serde_json::json!(vec!["x"; 27]));
    case(&more.to_string(), "0", "/choices ! the list has 27 choices: 2 to 26 have letters");
    case(&all.to_string(), "25", " ! the input has 131 bytes, the limit is 100");
    let roomy = Rules { text_bytes_max: 131, ..choice() };
    let line = format!(r#"{{"input": "q", "choices": {all}, "output": 25}}"#);
    assert!(outcome(roomy, &line).ends_with("\nY. y\nZ. z => z"));
}
