//! Nodes that do not serve: each is named with what is wrong, and ends the program with code 3.

use std::net::TcpListener;

use dataforge_tests::{Answer, Fault, dataforge, faulty_node};

use super::chain;

#[track_caller]
fn check(endpoint: &str, mentions: &[&str]) {
    let answer = chain(endpoint, &["status", "--timeout", "1"]);
    answer.expect(3, &[&[endpoint], mentions].concat());
}

#[test]
fn a_node_that_is_down() {
    // A port that was free a moment ago.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    check(&format!("ws://127.0.0.1:{port}"), &["no node serves", "no connection"]);
}

#[test]
fn a_node_that_is_slow() {
    check(&faulty_node(Fault::Silent), &["no answer to a connection within 1000 ms"]);
}

#[test]
fn a_node_that_speaks_another_protocol() {
    check(&faulty_node(Fault::Http), &["no connection"]);
}

#[test]
fn a_node_that_answers_nonsense() {
    check(&faulty_node(Fault::Says("nonsense")), &["nonsense"]);
    let number = r#"{"jsonrpc":"2.0","id":$id,"result":7}"#;
    check(&faulty_node(Fault::Says(number)), &["nonsense in answer to genesis"]);
    let refuses = r#"{"jsonrpc":"2.0","id":$id,"error":{"code":-32601,"message":"no such thing"}}"#;
    check(&faulty_node(Fault::Says(refuses)), &["no such thing"]);
}

#[test]
fn each_node_is_tried_and_named() {
    let (first, second) = (faulty_node(Fault::Http), faulty_node(Fault::Says("nonsense")));
    let mut command = dataforge();
    command.args(["chain", "--tries", "2", "--timeout", "1", "--endpoint", &first]);
    command.args(["--endpoint", &second, "status"]);
    Answer::of(&mut command).expect(3, &[&first, &second]);
}

#[test]
fn an_address_that_is_none_is_bad_usage() {
    let refused = |endpoint, mention| chain(endpoint, &["status"]).expect(2, &[mention]).code;
    refused("ws://10.0.0.1:9944", "is not encrypted");
    refused("127.0.0.1:9944", "is no address of a node");
    let mut command = dataforge();
    command.args(["chain", "--network", "nowhere", "status"]);
    Answer::of(&mut command).expect(2, &["no network `nowhere`"]);
}
