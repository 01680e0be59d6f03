//! Where passwords come from: a file, the environment, or a terminal.
//!
//! Never an argument: those of a running program can be read by others. Nothing here logs, and
//! what was read is wiped when it is no longer needed; the environment itself cannot be.

use crate::context::Context;
use anyhow::{Context as _, anyhow, bail, ensure};
use dataforge_chain::wallet::{Password, WalletError};
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The SDK's variable with a password.
const PASSWORD: &str = "BT_WALLET_PASSWORD";

/// The SDK's variable with the name of a file with one.
const PASSWORD_FILE: &str = "BT_WALLET_PASSWORD_FILE";

/// Longer ones nobody types, and programs need not make.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Ctrl-C ended the wait for a password.
#[derive(Debug, thiserror::Error)]
#[error("no password was given; nothing was done")]
pub(crate) struct Interrupted;

/// The password of what is encrypted already: from `file`, else the environment, else asked for.
pub(crate) fn given(
    context: &Context,
    file: Option<&Path>,
    prompt: &str,
) -> anyhow::Result<Password> {
    match unasked(file)? {
        Some(password) => Ok(Password::new(password)),
        None => Ok(Password::new(asked(context, prompt)?)),
    }
}

/// A password to encrypt under: as [`given`], but asked for twice, since a mistyped one would lock
/// its owner out.
pub(crate) fn chosen(context: &Context, file: Option<&Path>) -> anyhow::Result<Password> {
    let (password, again) = match unasked(file)? {
        Some(password) => (password, None),
        None => {
            let password = asked(context, "A password for the coldkey: ")?;
            (password, Some(asked(context, "The same password again: ")?))
        }
    };
    ensure!(again.is_none_or(|again| *again == *password), "the two passwords differ");
    let password = Password::new(password);
    if !password.is_strong() {
        return Err(WalletError::WeakPassword.into());
    }
    Ok(password)
}

/// The password of a file or the environment, where there is one.
fn unasked(file: Option<&Path>) -> anyhow::Result<Option<Zeroizing<String>>> {
    if let Some(file) = file {
        return read(file).map(Some);
    }
    if let Some(password) = std::env::var_os(PASSWORD).filter(|password| !password.is_empty()) {
        let password = password.into_string();
        return password
            .map(Zeroizing::new)
            .map(Some)
            .map_err(|_| anyhow!("{PASSWORD} is not UTF-8"));
    }
    let file = std::env::var_os(PASSWORD_FILE).filter(|file| !file.is_empty());
    file.map(|file| read(&PathBuf::from(file))).transpose()
}

/// The one line of a file, without white space around it, as the SDK reads it.
fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    private(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 1));
    file.take(PASSWORD_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display();
    ensure!(bytes.len() <= PASSWORD_BYTES_MAX, "{name} has more than {PASSWORD_BYTES_MAX} bytes");
    let text = std::str::from_utf8(&bytes).map_err(|_| anyhow!("{name} is not UTF-8"))?.trim();
    ensure!(!text.is_empty(), "{name} holds no password");
    ensure!(!text.contains(['\n', '\r']), "{name} has more than one line");
    Ok(Zeroizing::new(text.to_owned()))
}

/// A pipe is as private as what writes to it.
#[cfg(unix)]
fn private(path: &Path, file: &File) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().with_context(|| format!("cannot look at {}", path.display()))?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(WalletError::Open(path.to_owned()).into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &Path, _: &File) -> anyhow::Result<()> {
    Ok(())
}

fn asked(context: &Context, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "there is no terminal to ask for a password: --password-file or {PASSWORD} gives one"
        );
    }
    #[cfg(unix)]
    {
        let line = super::terminal::hidden_line(prompt, PASSWORD_BYTES_MAX, context.stop());
        let line = line.context("cannot ask for a password")?.ok_or(Interrupted)?;
        let text = std::str::from_utf8(&line).map_err(|_| anyhow!("the password is not UTF-8"))?;
        ensure!(!text.is_empty(), "no password was given");
        Ok(Zeroizing::new(text.to_owned()))
    }
    #[cfg(not(unix))]
    {
        let _ = (context, prompt);
        bail!("passwords are not asked for on this system: --password-file or {PASSWORD} gives one")
    }
}
