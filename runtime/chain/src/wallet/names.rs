//! Names of wallets and hotkeys. Each is one part of a path, and nothing but that.

use std::fmt;
use std::str::FromStr;

/// The most bytes that a name may have: file systems take 255, and `pub.txt` is appended.
const NAME_BYTES_MAX: usize = 64;

/// How the public half of a hotkey ends.
pub(super) const PUBLIC_SUFFIX: &str = "pub.txt";

/// A name cannot be one of a wallet or a hotkey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no name of a wallet or hotkey: {reason}")]
pub struct NameError {
    name: String,
    reason: &'static str,
}

/// Refuses what leads elsewhere, is hidden, or cannot be printed.
fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return Err("it has more than 64 bytes");
    }
    if name.starts_with('.') {
        return Err("it begins with a dot");
    }
    if name.contains(['/', '\\']) {
        return Err("it has a separator of paths");
    }
    if name.contains(char::is_control) {
        return Err("it has a control character");
    }
    if name.trim() != name {
        return Err("it begins or ends with white space");
    }
    Ok(())
}

fn check_hotkey(name: &str) -> Result<(), &'static str> {
    check(name)?;
    match name.ends_with(PUBLIC_SUFFIX) {
        true => Err("pub.txt is for public halves"),
        false => Ok(()),
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident by $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                // What is quoted is bounded: a name may come from anywhere.
                let short = || name.chars().take(NAME_BYTES_MAX).collect();
                $check(name).map_err(|reason| NameError { name: short(), reason })?;
                Ok(Self(name.to_owned()))
            }
        }
    )*};
}

names! {
    /// The name of a wallet: a coldkey and its hotkeys.
    WalletName by check;
    /// The name of a hotkey within its wallet.
    HotkeyName by check_hotkey;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(name: &str, reason: &str) {
        let error = name.parse::<WalletName>().unwrap_err();
        assert_eq!(error.reason, reason, "{name:?}");
        assert_eq!(name.parse::<HotkeyName>().unwrap_err().reason, reason, "{name:?}");
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        refused("", "it is empty");
        for name in [".", "..", ".hidden"] {
            refused(name, "it begins with a dot");
        }
        for name in ["a/b", "/etc", "a/../b", "a\\b"] {
            refused(name, "it has a separator of paths");
        }
        for name in ["a\0", "a\nb", "\u{1b}[31m"] {
            refused(name, "it has a control character");
        }
        refused(" a", "it begins or ends with white space");
        refused(&"a".repeat(65), "it has more than 64 bytes");
        assert_eq!(
            "xpub.txt".parse::<HotkeyName>().unwrap_err().reason,
            "pub.txt is for public halves"
        );
    }

    #[test]
    fn ordinary_names_are_taken() {
        let longest = "a".repeat(64);
        for name in ["default", "validator-1", "my key", "früh", "a..b", &longest] {
            assert_eq!(name.parse::<WalletName>().unwrap().as_str(), name);
            assert_eq!(name.parse::<HotkeyName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_quoted_is_bounded() {
        let error = "a".repeat(100_000).parse::<WalletName>().unwrap_err();
        assert!(error.to_string().len() < 200);
    }
}
