//! The welcome message of a new installation, with the one-time link for creating the owner's account.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sotto_collector::config::Config;
use sotto_store::{account, db::Databases, private_file};

use crate::failure::Failure;

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
    getrandom::fill(&mut bytes).map_err(|e| Failure::usage(e.to_string()))?;
    let token = const_hex::encode(bytes);
    private_file::write(&path, token.as_bytes())?;
    Ok(Some(token))
}

/// Prints Sotto's address and the first steps.
pub fn announce(config: &Config, part: &str, token: Option<&str>) {
    let url = config.public_url();
    println!("Sotto is running.\n  {part}  {url}/");
    if let Some(token) = token {
        println!("  set up     {url}/setup/{token}   (one-time link: make your account and first site)");
    }
    println!("  health     http://{}/readyz", config.admin_listen);
    println!("  data       {}", absolute(&config.data).display());
}

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
