//! Wallets on a real disk: what is made, what is left alone, what is refused.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use dataforge_chain::wallet::{
    Encryption, HotkeyName, KeyFile, KeyKind, Made, Making, Protection, SurveyedWallet, Wallet,
    WalletError, Wallets, Words,
};
use tempfile::TempDir;

/// A folder of wallets, and in it one without keys.
struct World {
    folder: TempDir,
    wallets: Wallets,
    wallet: Wallet,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wallets = Wallets::at(&folder.path().join("wallets"));
        let wallet = wallets.wallet(&"one".parse().unwrap());
        Self { folder, wallets, wallet }
    }

    /// Makes both keys; the coldkey plain, since making a password's key takes seconds.
    fn make(&self) -> Result<Made, WalletError> {
        self.wallet.make(&Making {
            words: Words::Twelve,
            coldkey: Some(Protection::Nothing),
            hotkey: Some(&hot()),
        })
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        mode(&path, 0o600);
        path
    }

    /// Every file and folder of the wallet, by its path within.
    fn files(&self) -> Vec<String> {
        let (mut found, mut folders) = (Vec::new(), vec![self.wallet.folder().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(self.within(&path)),
                }
            }
        }
        found.sort();
        found
    }

    fn within(&self, path: &Path) -> String {
        path.strip_prefix(self.wallet.folder()).unwrap().display().to_string()
    }
}

fn hot() -> HotkeyName {
    "hot".parse().unwrap()
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn mode(_: &Path, _: u32) {}

/// A plain key: the seed of 32 bytes 01.
const KEY: &str = concat!(
    r#"{"publicKey":"0x189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056","#,
    r#""secretSeed":"0x0101010101010101010101010101010101010101010101010101010101010101"}"#
);
const ADDRESS: &str = "5CcyqxXnJucaCnQQvvUg5EPzj1uoNAxACZvzArHw5aVDvgNH";

#[track_caller]
fn refused(path: &Path, reason: &str) -> WalletError {
    let key = KeyFile::read(path).and_then(|file| file.key(None));
    let error = key.err().expect("it must be refused");
    let words = error.to_string();
    assert!(words.contains(reason) && words.contains(path.to_str().unwrap()), "{words}");
    error
}

#[test]
fn keys_are_made_and_read_again() {
    let world = World::new();
    let made = world.make().unwrap();
    assert_eq!(world.files(), ["coldkey", "coldkeypub.txt", "hotkeys/hot", "hotkeys/hotpub.txt"]);
    let (cold, hotkey) = (made.coldkey.unwrap(), made.hotkey.unwrap());
    assert_ne!(cold.account, hotkey.account);
    assert_ne!(cold.mnemonic.phrase(), hotkey.mnemonic.phrase());
    let key = world.wallet.coldkey().unwrap().key(None).unwrap();
    assert_eq!(
        (key.public(), world.wallet.coldkey_account().unwrap()),
        (cold.account, cold.account)
    );
    let file = world.wallet.hotkey(&hot()).unwrap();
    assert_eq!(file.encryption(), Encryption::Plain);
    assert_eq!(file.key(None).unwrap().public(), hotkey.account);
    assert_eq!(world.wallet.hotkey_account(&hot()).unwrap(), hotkey.account);
    let signature = key.sign(b"substrate", b"message");
    let public = schnorrkel::PublicKey::from_bytes(&cold.account.0).unwrap();
    let signature = schnorrkel::Signature::from_bytes(&signature).unwrap();
    assert!(public.verify_simple(b"substrate", b"message", &signature).is_ok());
    assert!(public.verify_simple(b"other", b"message", &signature).is_err());
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    world.make().unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for file in world.files() {
        assert_eq!(mode(&world.wallet.folder().join(&file)), 0o600, "{file}");
    }
    let folders =
        [world.wallets.folder(), world.wallet.folder(), &world.wallet.folder().join("hotkeys")];
    assert_eq!(folders.map(mode), [0o700; 3]);
}

#[test]
fn no_file_is_ever_replaced() {
    for taken in ["coldkey", "coldkeypub.txt", "hotkeys/hot", "hotkeys/hotpub.txt"] {
        let world = World::new();
        let path = world.file(&format!("wallets/one/{taken}"), b"mine");
        let error = world.make().err().unwrap();
        assert!(matches!(&error, WalletError::Exists(exists) if *exists == path), "{error}");
        assert_eq!(world.files(), [taken], "nothing else is written");
        assert_eq!(fs::read(path).unwrap(), b"mine");
    }
}

#[test]
fn of_many_at_once_one_makes_the_wallet() {
    let world = World::new();
    let made: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| world.make())).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap().ok()).collect()
    });
    assert_eq!(made.len(), 1);
    let (cold, hotkey) = (made[0].coldkey.as_ref().unwrap(), made[0].hotkey.as_ref().unwrap());
    let read = world.wallet.coldkey().unwrap().key(None).unwrap();
    assert_eq!(
        (read.public(), world.wallet.coldkey_account().unwrap()),
        (cold.account, cold.account)
    );
    assert_eq!(world.wallet.hotkey_account(&hot()).unwrap(), hotkey.account);
    assert_eq!(world.files().len(), 4);
}

#[test]
fn a_hotkey_is_added_to_a_wallet_and_no_other_key_changes() {
    let world = World::new();
    world.make().unwrap();
    let before = fs::read(world.wallet.coldkey_path()).unwrap();
    let name = "second".parse().unwrap();
    let made = world
        .wallet
        .make(&Making { words: Words::TwentyFour, coldkey: None, hotkey: Some(&name) })
        .unwrap();
    assert!(made.coldkey.is_none());
    assert_eq!(made.hotkey.unwrap().account, world.wallet.hotkey_account(&name).unwrap());
    assert_eq!(fs::read(world.wallet.coldkey_path()).unwrap(), before);
    assert_eq!(world.files().len(), 6);
}

/// The hotkeys' folder leads to where no file can be made.
#[cfg(target_os = "linux")]
#[test]
fn what_fails_half_way_leaves_nothing() {
    let world = World::new();
    fs::create_dir_all(world.wallet.folder()).unwrap();
    std::os::unix::fs::symlink("/proc/self", world.wallet.folder().join("hotkeys")).unwrap();
    let error = world.make().err().unwrap();
    assert!(matches!(error, WalletError::Io { .. }), "{error}");
    assert!(!world.wallet.coldkey_path().exists() && !world.wallet.coldkey_public_path().exists());
    let left: Vec<_> = fs::read_dir(world.wallet.folder()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_never_written_through() {
    let world = World::new();
    let real = world.file("elsewhere/key", KEY.as_bytes());
    let link = world.folder.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let key = KeyFile::read(&link).unwrap().key(None).unwrap();
    assert_eq!(key.public().to_string(), ADDRESS);
    mode(&real, 0o604);
    assert!(matches!(refused(&link, "may be read by others"), WalletError::Open(_)));
    // A link that leads nowhere is a name that is taken.
    fs::create_dir_all(world.wallet.folder()).unwrap();
    let nowhere = world.folder.path().join("nowhere");
    std::os::unix::fs::symlink(&nowhere, world.wallet.coldkey_path()).unwrap();
    assert!(matches!(world.make(), Err(WalletError::Exists(_))));
    assert!(!nowhere.exists());
}

#[cfg(unix)]
#[test]
fn what_others_may_touch_is_not_read() {
    let world = World::new();
    let path = world.file("key", KEY.as_bytes());
    for others in [0o640, 0o620, 0o604, 0o602, 0o601, 0o610] {
        mode(&path, others);
        assert!(matches!(refused(&path, "`chmod 600`"), WalletError::Open(_)));
    }
    for owner in [0o600, 0o400, 0o700] {
        mode(&path, owner);
        assert!(KeyFile::read(&path).is_ok());
    }
}

#[test]
fn what_is_no_file_or_too_large_is_refused() {
    let world = World::new();
    assert!(matches!(refused(world.folder.path(), "is not a file"), WalletError::NotAFile(_)));
    assert!(refused(&world.folder.path().join("none"), "cannot open").is_missing());
    let large = world.file("large", &[b' '; 16 * 1024 + 1]);
    assert!(matches!(refused(&large, "is larger than"), WalletError::TooLarge { .. }));
}

/// Opening a pipe to read it waits for somebody who writes.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_refused_without_waiting() {
    let world = World::new();
    let pipe = world.folder.path().join("pipe");
    let owner = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, owner, 0).unwrap();
    refused(&pipe, "is not a file");
}

#[test]
fn other_encryptions_are_refused_by_name() {
    let world = World::new();
    let check = |bytes: &[u8], encryption, reason| {
        let path = world.file("key", bytes);
        assert_eq!(KeyFile::read(&path).unwrap().encryption(), encryption);
        refused(&path, reason)
    };
    let vault = b"$ANSIBLE_VAULT;1.1;AES256\n3133";
    check(vault, Encryption::Ansible, "is encrypted by Ansible Vault");
    check(b"gAAAAABhX", Encryption::Fernet, "is encrypted by Fernet");
    let error = check(b"$NACL", Encryption::Nacl, "its password is needed");
    assert!(matches!(error, WalletError::Encrypted(_)));
    check(b"$NAC", Encryption::Plain, "is not a key");
    check(b"", Encryption::Plain, "is not a key");
}

/// Whatever becomes of a file's bytes: it is refused, or it is the same key.
#[test]
fn a_damaged_file_is_never_another_key() {
    let world = World::new();
    let made = world.make().unwrap();
    let account = made.coldkey.unwrap().account;
    let bytes = fs::read(world.wallet.coldkey_path()).unwrap();
    let path = Path::new("key");
    let parse = |bytes: &[u8]| dataforge_chain::wallet::Keypair::parse(path, bytes);
    let mut same = 0;
    for at in 0..bytes.len() {
        assert!(parse(&bytes[..at]).is_err(), "{at} bytes are taken");
        for flip in [0x01, 0x20, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Ok(key) = parse(&damaged) {
                assert_eq!(key.public(), account, "at {at}, {flip}");
                same += 1;
            }
        }
    }
    // Letters of other size in hexadecimal digits and in names that are not read.
    assert!(same < bytes.len(), "{same}");
}

fn problems(wallet: &SurveyedWallet) -> Vec<String> {
    let keys = wallet.keys.iter().flat_map(|key| &key.problems);
    wallet.problems.iter().chain(keys).cloned().collect()
}

#[test]
fn a_survey_says_what_is_there_and_what_is_wrong() {
    let world = World::new();
    assert!(world.wallets.survey().unwrap().is_empty());
    let made = world.make().unwrap();
    let public = fs::read(world.wallet.hotkey_public_path(&hot())).unwrap();
    world.file("wallets/watched/coldkeypub.txt", &public);
    world.file("wallets/stray", b"");
    world.file("wallets/.hidden/coldkey", b"");
    world.file("wallets/bad/coldkey", b"$NACL");
    world.file("wallets/bad/hotkeys/garbage", b"garbage");
    world.file("wallets/bad/hotkeys/olderpub.txt", &public);
    let swapped = world.file("wallets/bad/hotkeys/swapped", KEY.as_bytes());
    world.file("wallets/bad/hotkeys/swappedpub.txt", &public);
    let open = world.file("wallets/bad/hotkeys/open", KEY.as_bytes());
    mode(&open, 0o644);
    let found = world.wallets.survey().unwrap();
    let names: Vec<_> = found.iter().map(|wallet| wallet.name.as_str()).collect();
    assert_eq!(names, ["bad", "one", "stray", "watched"]);
    let [bad, one, stray, watched] = &found[..] else { panic!("four wallets") };
    assert_eq!(problems(stray), ["it is not a folder"]);
    assert!(problems(watched).is_empty());
    assert_eq!(watched.keys[0].encryption, None);
    assert_eq!(watched.keys[0].address, Some(made.hotkey.unwrap().account));
    assert_eq!(problems(one).len(), 1, "a coldkey that is not encrypted");
    assert_eq!(one.keys[0].kind, KeyKind::Coldkey);
    let text = problems(bad).join("\n");
    for mention in [
        "coldkeypub.txt",
        "garbage is not a key",
        "only its public half is here",
        "may be read by others",
        "swappedpub.txt is another key's",
    ] {
        assert!(text.contains(mention), "{mention}\n{text}");
    }
    let swapped_key = bad.keys.iter().find(|key| key.path == swapped).unwrap();
    assert_eq!(swapped_key.address.unwrap().to_string(), ADDRESS);
}
