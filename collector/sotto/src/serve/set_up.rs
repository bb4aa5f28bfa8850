//! The welcome message of a new installation, with the one-time link for creating the owner's account.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sotto_collector::config::Config;
use sotto_store::{account, db::Databases, private_file};

use crate::{cli::output::say, failure::Failure};

/// File of the one-time set-up link's token.
const SETUP_TOKEN: &str = "setup-token";

/// The token of the one-time set-up link; `None` once an owner exists. It is stored, so a restart prints the
/// same link.
pub async fn token(config: &Config, databases: &Databases) -> Result<Option<String>, Failure> {
    let path = config.data.join(SETUP_TOKEN);
    match account::owner_exists(&databases.writer).await {
        Ok(true) => {
            if path.exists() {
                fs::remove_file(&path)?;
            }
            return Ok(None);
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "cannot check whether an owner exists; no set-up link is printed");
            return Ok(None);
        }
    }
    if let Ok(token) = fs::read_to_string(&path)
        && token.len() == 32
    {
        return Ok(Some(token));
    }
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| Failure::failed(e.to_string()))?;
    let token = const_hex::encode(bytes);
    private_file::write(&path, token.as_bytes())?;
    Ok(Some(token))
}

/// Prints Sotto's address and the first steps.
pub fn announce(config: &Config, part: &str, token: Option<&str>) {
    let url = config.public_url();
    let set_up = token.map_or_else(String::new, |token| {
        format!("  set up     {url}/setup/{token}   (one-time link: make your account and first site)\n")
    });
    // A server does not end because nobody reads its greeting.
    let _unread = say!(
        "Sotto is running.\n  {part}  {url}/\n{set_up}  health     http://{}/readyz\n  data       {}",
        config.admin_listen,
        absolute(&config.data).display()
    );
}

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
