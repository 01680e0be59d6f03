//! Wallets by the program: made, listed, used to sign; bad files and passwords named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dataforge_tests::{Answer, Scratch, Short, dataforge};
use serde_json::Value;

use crate::verifying::only_the_owner;

const PASSWORD: &str = "correct horse battery";

/// The key of the seed of 32 bytes 01.
const PUBLIC: &str =
    r#""publicKey":"0x189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056""#;
const SEED: &str =
    r#""secretSeed":"0x0101010101010101010101010101010101010101010101010101010101010101""#;

/// A program that finds no password in the environment.
fn program(mut command: Command) -> Command {
    command.env_remove("BT_WALLET_PASSWORD").env_remove("BT_WALLET_PASSWORD_FILE");
    command
}

/// `dataforge wallet ARGUMENTS` on the wallets of a folder.
fn wallet(scratch: &Scratch, arguments: &str) -> Command {
    let mut command = program(dataforge());
    command.arg("wallet").args(arguments.split_whitespace());
    command.arg("--path").arg(scratch.path("wallets"));
    command
}

fn private(scratch: &Scratch, name: &str, bytes: &str) -> PathBuf {
    let path = scratch.file(name, bytes);
    only_the_owner(&path);
    path
}

/// Signing a proof with this key file answers so.
#[track_caller]
fn sign(short: &Short, key: &Path, password: Option<&str>, code: i32, mentions: &[&str]) {
    let out = short.scratch().path("signed.proof");
    let mut command = program(short.program());
    command.args(["proof", "sign"]).arg(Short::golden_path("short.proof"));
    command.arg("--out").arg(&out).arg("--hotkey").arg(key);
    if let Some(password) = password {
        command.env("BT_WALLET_PASSWORD", password);
    }
    Answer::of(&mut command).expect(code, mentions);
    assert_eq!(out.exists(), code == 0);
}

/// The only test here whose keys are made from passwords, which takes seconds and 512 MiB each.
#[test]
fn an_encrypted_wallet_is_made_shown_and_used() {
    let short = Short::new();
    let scratch = short.scratch();
    let file = private(scratch, "password", &format!("{PASSWORD}\n"));
    let mut new = wallet(scratch, "new --wallet owner --hotkey hot --json");
    let answer = Answer::of(new.arg("--password-file").arg(file));
    let made = answer.expect(0, &[]).json();
    assert_eq!(
        (&made["coldkey"]["encryption"], &made["hotkey"]["encryption"]),
        (&"nacl".into(), &"plain".into())
    );
    assert_eq!(made["coldkey"]["mnemonic"], Value::Null, "no secret is printed unasked");
    let shown = Answer::of(&mut wallet(scratch, "show --json")).expect(0, &[]).json();
    let keys = &shown["wallets"][0]["keys"];
    for (at, key) in ["coldkey", "hotkey"].iter().enumerate() {
        assert_eq!(keys[at]["address"], made[key]["address"], "{key}");
        assert_eq!(keys[at]["encryption"], made[key]["encryption"], "{key}");
    }
    let address = made["coldkey"]["address"].as_str().unwrap();
    Answer::of(&mut wallet(scratch, "show")).expect(0, &["owner", "hot", "NaCl", "plain", address]);
    let [cold, hot] =
        ["coldkey", "hotkey"].map(|key| PathBuf::from(made[key]["path"].as_str().unwrap()));
    sign(&short, &hot, None, 0, &["signed"]);
    fs::remove_file(scratch.path("signed.proof")).unwrap();
    sign(&short, &cold, None, 2, &["no terminal", "--password-file"]);
    sign(&short, &cold, Some("wrong"), 2, &["coldkey", "the password is wrong"]);
    sign(&short, &cold, Some(PASSWORD), 0, &["signed"]);
    scratch.expect_nothing_partial();
}

#[test]
fn a_key_is_never_overwritten() {
    let scratch = Scratch::new();
    let new = "new --unencrypted-coldkey --wallet w";
    let coldkey = private(&scratch, "wallets/w/coldkey", "mine");
    Answer::of(&mut wallet(&scratch, new)).expect(2, &["coldkey exists", "never overwritten"]);
    Answer::of(&mut wallet(&scratch, "new --wallet w --hotkey-only"))
        .expect(0, &["hotkey", "plain"]);
    let before = fs::read(scratch.path("wallets/w/hotkeys/default")).unwrap();
    Answer::of(&mut wallet(&scratch, "new --wallet w --no-coldkey"))
        .expect(2, &["hotkeys/default exists"]);
    assert_eq!(fs::read(scratch.path("wallets/w/hotkeys/default")).unwrap(), before);
    assert_eq!(fs::read(coldkey).unwrap(), b"mine");
    scratch.expect_nothing_partial();
}

#[test]
fn a_coldkey_is_not_written_in_the_clear_unless_that_is_said() {
    let scratch = Scratch::new();
    Answer::of(&mut wallet(&scratch, "new")).expect(2, &["no terminal", "BT_WALLET_PASSWORD"]);
    let short = private(&scratch, "short", "1234567\n");
    Answer::of(wallet(&scratch, "new").arg("--password-file").arg(short))
        .expect(2, &["8 characters"]);
    let lines = private(&scratch, "lines", "correct horse\nbattery staple\n");
    Answer::of(wallet(&scratch, "new").arg("--password-file").arg(lines))
        .expect(2, &["more than one line"]);
    let empty = private(&scratch, "empty", "\n");
    Answer::of(wallet(&scratch, "new").env("BT_WALLET_PASSWORD_FILE", empty))
        .expect(2, &["holds no password"]);
    let open = scratch.file("open", PASSWORD);
    Answer::of(wallet(&scratch, "new").arg("--password-file").arg(open))
        .expect(2, &["read by others"]);
    assert!(!scratch.path("wallets").exists(), "nothing is made");
    Answer::of(&mut wallet(&scratch, "new --unencrypted-coldkey")).expect(0, &["coldkey", "plain"]);
    Answer::of(&mut wallet(&scratch, "show")).expect(1, &["a coldkey that is not encrypted"]);
}

#[test]
fn words_are_shown_when_asked_for_and_go_to_no_file_by_chance() {
    let scratch = Scratch::new();
    let new = "new --unencrypted-coldkey --show-mnemonic --words 24";
    Answer::of(&mut wallet(&scratch, new)).expect(2, &["to a terminal alone", "--json"]);
    assert!(!scratch.path("wallets").exists(), "nothing is made");
    let made = Answer::of(wallet(&scratch, new).args(["--json", "-vv"])).expect(0, &[]).clone();
    let phrase = made.json()["coldkey"]["mnemonic"].as_str().unwrap().to_owned();
    assert_eq!(phrase.split(' ').count(), 24);
    assert!(!made.err.contains(&phrase), "it is logged");
    let file = fs::read_to_string(scratch.path("wallets/default/coldkey")).unwrap();
    assert!(file.contains(&phrase));
}

#[test]
fn names_lead_nowhere_else() {
    let scratch = Scratch::new();
    for name in ["../w", "a/b", ".w", "", "-", &"a".repeat(65)] {
        for option in ["--wallet", "--hotkey"] {
            let mut new = wallet(&scratch, "new --unencrypted-coldkey");
            let answer = Answer::of(new.arg(format!("{option}={name}")));
            match name {
                "-" => answer.expect(0, &[]),
                _ => answer.expect(2, &["no name of a wallet or hotkey"]),
            };
        }
        let _ = fs::remove_dir_all(scratch.path("wallets"));
    }
    assert!(!scratch.path("w").exists());
}

#[test]
fn bad_files_are_named_and_sign_nothing() {
    let short = Short::new();
    let key = format!("{{{PUBLIC},{SEED}}}");
    let check = |name: &str, bytes: &str, reason: &str| {
        let path = private(short.scratch(), name, bytes);
        sign(&short, &path, Some(PASSWORD), 2, &[name, reason]);
    };
    check("truncated", &key[..100], "is not a key: it is no JSON");
    check("sealed-truncated", "$NACL0123456789", "it ends too early");
    check("vault", "$ANSIBLE_VAULT;1.1;AES256", "encrypted by Ansible Vault");
    check("fernet", "gAAAAABabc", "encrypted by Fernet");
    check("other-scheme", &key.replace('}', r#","cryptoType":0}"#), "a key of ed25519");
    check("public-half", &format!("{{{PUBLIC}}}"), "a public half only");
    check("other-public", &key.replace("189d", "199d"), "another key's than its publicKey");
    check("large", &" ".repeat(20_000), "larger than");
    sign(&short, &short.scratch().path("none"), None, 2, &["none", "cannot open"]);
    sign(&short, &short.scratch().path(""), None, 2, &["is not a file"]);
}

#[test]
fn a_listing_says_what_is_wrong() {
    let scratch = Scratch::new();
    Answer::of(&mut wallet(&scratch, "show")).expect(0, &["no wallets in", "wallet new"]);
    private(&scratch, "wallets/w/hotkeys/good", &format!("{{{PUBLIC},{SEED}}}"));
    Answer::of(&mut wallet(&scratch, "show")).expect(0, &["good", "5CcyqxXnJucaCnQQvvUg5EPzj1uo"]);
    private(&scratch, "wallets/w/hotkeys/bad", "{");
    let _ = scratch.file("wallets/w/hotkeys/open", format!("{{{PUBLIC},{SEED}}}"));
    Answer::of(&mut wallet(&scratch, "show"))
        .expect(1, &["w/bad", "is not a key", "w/open", "chmod 600"]);
    let json = Answer::of(&mut wallet(&scratch, "show --json")).expect(1, &[]).json();
    assert!(!json.to_string().contains("0101010101"), "a secret is shown");
    Answer::of(&mut wallet(&scratch, "show --wallet other")).expect(2, &["no wallet other"]);
}

/// Runs `wallet new` at a terminal, which asks for a password.
#[cfg(unix)]
fn asked(scratch: &Scratch) -> dataforge_tests::Terminal {
    let mut terminal = dataforge_tests::Terminal::run(wallet(scratch, "new --wallet owner"));
    terminal.wait_for("A password for the coldkey: ");
    assert!(!terminal.echoes());
    terminal
}

#[cfg(unix)]
#[test]
fn what_is_typed_as_a_password_is_not_shown() {
    let scratch = Scratch::new();
    let mut terminal = asked(&scratch);
    terminal.types(PASSWORD);
    terminal.wait_for("The same password again: ");
    terminal.types("another one");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("the two passwords differ"), "{shown}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("another one"), "{shown}");
    assert!(terminal.echoes(), "the terminal is as it was");
    assert!(!scratch.path("wallets/owner").exists());
}

#[cfg(unix)]
#[test]
fn nobody_has_to_type_a_password() {
    let scratch = Scratch::new();
    let mut terminal = asked(&scratch);
    terminal.interrupt();
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("no password was given; nothing was done"), "{shown}");
    assert!(terminal.echoes(), "the terminal is as it was");
    let mut terminal = asked(&scratch);
    terminal.types("");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("no password was given"), "{shown}");
}
