//! Key files' text: what is read, what is written, and what is refused without quoting it.

use super::*;

/// The key of the seed of 32 bytes 01, as another implementation derives it.
const PUBLIC: &str = "189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056";
const PRIVATE: &str = "0bdd6dbf4edf8925e8c128bc2ddd9ed555e36240ca30ca7633d80e18d177de0d\
                       b17a2a2cf3d4a41a8e4e18cc45c8656d558eceddb0adb46bfa088a5f53bed252";
const SEED: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const ADDRESS: &str = "5CcyqxXnJucaCnQQvvUg5EPzj1uoNAxACZvzArHw5aVDvgNH";

/// What the SDK derives from its documentation's phrase.
const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const OF_PHRASE: &str = concat!(
    r#"{"accountId":"0x46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a","#,
    r#""publicKey":"0x46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a","#,
    r#""privateKey":"0x05d65584630d16cd4af6d0bec10f34bb504a5dcb62dba2122d49f5a663763d0a"#,
    r#"fd190cce74df356432b410bd64682309d6dedb27c76845daf388557cbac3ca34","#,
    r#""secretPhrase":"bottom drive obey lake curtain smoke basket hold race lonely fit walk","#,
    r#""secretSeed":"0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e","#,
    r#""ss58Address":"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV","cryptoType":1}"#
);

fn read(text: &[u8]) -> Result<Keypair, WalletError> {
    keypair(Path::new("key"), text)
}

fn file(members: &str) -> String {
    format!(r#"{{"publicKey":"0x{PUBLIC}",{members}}}"#)
}

#[track_caller]
fn refused(text: &str, reason: &str) {
    let error = read(text.as_bytes()).err().expect("it must be refused").to_string();
    assert!(error.starts_with("key") && error.contains(reason), "{error}");
    for secret in [&PRIVATE[..16], &SEED[..16], "bottom drive"] {
        assert!(!error.contains(secret), "{error}");
    }
}

#[track_caller]
fn taken(members: &str) {
    let key = read(file(members).as_bytes()).map_err(|error| error.to_string());
    assert_eq!(key.map(|key| key.public().to_string()).as_deref(), Ok(ADDRESS), "{members}");
}

#[test]
fn any_secret_is_enough() {
    taken(&format!(r#""privateKey":"0x{PRIVATE}""#));
    taken(&format!(r#""privateKey":"{PRIVATE}","cryptoType":1,"ss58Address":"{ADDRESS}""#));
    taken(&format!(r#""secretSeed":"0x{SEED}","secretPhrase":null,"privateKey":null"#));
    let phrase = OF_PHRASE.replacen(r#""privateKey""#, r#""x""#, 1);
    let phrase = phrase.replacen(r#""secretSeed""#, r#""y""#, 1);
    assert_eq!(
        read(phrase.as_bytes()).unwrap().public().to_string(),
        "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"
    );
}

#[test]
fn what_is_written_is_what_the_sdk_writes() {
    let written = write(&Mnemonic::parse(PHRASE).unwrap()).unwrap();
    assert_eq!(&**written, OF_PHRASE);
    let longest = "abstract ".repeat(23) + "abstract";
    assert!(OF_PHRASE.len() - PHRASE.len() + longest.len() < TEXT_BYTES_MAX);
    let public = AccountId(hex::decode(PUBLIC).unwrap().try_into().unwrap());
    assert_eq!(account(Path::new(""), write_public(&public).as_bytes()).unwrap(), public);
    refused(&write_public(&public), "a public half only");
}

/// Programs differ in which secret counts.
#[test]
fn secrets_of_two_keys_are_refused() {
    let of_phrase = |change: &dyn Fn(String) -> String| change(OF_PHRASE.to_owned());
    let seed = of_phrase(&|text| text.replace("0xfac7959d", "0xfac7959e"));
    refused(&seed, "its secretSeed is another key's");
    let phrase = of_phrase(&|text| {
        let other = Mnemonic::random(super::super::Words::Twelve).unwrap();
        text.replace(PHRASE, other.phrase())
    });
    refused(&phrase, "its secretPhrase is another key's");
    refused(
        &file(&format!(r#""privateKey":"0x{PRIVATE}","secretSeed":"0x{}""#, "02".repeat(32))),
        "its secretSeed is another key's",
    );
}

/// The SDK of version 4 leaves a seed's raw bytes there.
#[test]
fn a_garbled_seed_beside_a_private_key_is_passed_over() {
    let garbled = r#""secretSeed":"0x\u0001\u0001","secretPhrase":"mots français""#;
    taken(&format!(r#""privateKey":"0x{PRIVATE}",{garbled}"#));
    refused(&file(garbled), "its secretSeed is not 32 bytes");
}

#[test]
fn what_cannot_sign_is_refused_without_quoting_it() {
    let private = |private: &str| file(&format!(r#""privateKey":"0x{private}""#));
    refused("", "no JSON object");
    refused("[]", "no JSON object");
    refused(&private(PRIVATE)[..200], "no JSON object");
    refused(r#"{"privateKey":"0x00"}"#, "no JSON object with a publicKey");
    refused(&file(""), "no JSON object");
    refused(&private("zz"), "its privateKey is not 64 bytes");
    refused(&private(&PRIVATE[2..]), "its privateKey is not 64 bytes");
    refused(&private(&"ff".repeat(64)), "");
    refused(&file(r#""privateKey":7"#), "its privateKey is not 64 bytes");
    refused(&private(PRIVATE).replace("189d", "199d"), "not that of its privateKey");
    refused(&private(PRIVATE).replace("189d", "89d"), "its publicKey is not 32 bytes");
    refused(&file(r#""secretPhrase":"legal winner thank""#), "no mnemonic");
    let twice = format!(r#""privateKey":"0x{PRIVATE}","privateKey":"0x{PRIVATE}""#);
    refused(&file(&twice), "no JSON object");
}

#[test]
fn other_schemes_and_addresses_are_refused_by_name() {
    let with = |member: &str| file(&format!(r#""privateKey":"0x{PRIVATE}",{member}"#));
    refused(&with(r#""cryptoType":0"#), "a key of ed25519; only sr25519");
    refused(&with(r#""cryptoType":9"#), "an unknown scheme");
    refused(&with(r#""ss58Address":"5""#), "no address");
    let other = r#""ss58Address":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY""#;
    refused(&with(other), "its ss58Address is not that of its publicKey");
    let polkadot = r#""ss58Address":"15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5""#;
    refused(&with(polkadot), "its prefix is 0, not 42");
}

/// Found by fuzzing: in a member that is not read, any bytes passed for a string.
#[test]
fn a_file_that_is_not_utf_8_is_refused() {
    let mut text = file(&format!(r#""privateKey":"0x{PRIVATE}","other":"5""#)).into_bytes();
    let at = text.windows(3).position(|part| part == b"\"5\"").unwrap();
    text[at + 1] = 0xb5;
    assert!(read(&text).err().unwrap().to_string().contains("not UTF-8"));
}
