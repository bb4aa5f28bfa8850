//! Self-exclusion: a signed link that a colleague opens once per browser, after which that browser is not
//! counted.
//!
//! No list of addresses is kept. The link leads to a page of the site with `#sotto-exclude=<token>`; the
//! script's module `exclude` has the token verified and, if it is valid, stores a flag in the browser. The
//! script checks that flag before it sends anything.

use std::{fs, io, path::Path};

use sotto_schema::site::Site;
use sotto_store::private_file;

/// Length of a token in characters.
pub const TOKEN_CHARS: usize = 32;

/// Signs and checks the links of an installation.
#[derive(Clone)]
pub struct Excluder {
    key: [u8; 32],
}

impl Excluder {
    /// Uses the installation's key, which is created on first use and kept in `path`.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut key = [0; 32];
        match fs::read(path) {
            Ok(bytes) if bytes.len() == key.len() => key.copy_from_slice(&bytes),
            Ok(_) => {
                let reason =
                    format!("{} is no key; remove it, and links made before stop working", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                getrandom::fill(&mut key).map_err(|e| io::Error::other(e.to_string()))?;
                if !private_file::create(path, &key)? {
                    // Another start made one meanwhile.
                    return Self::open(path);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(Self { key })
    }

    /// The token of a site's link.
    pub fn token(&self, site: &Site) -> String {
        let hash = blake3::keyed_hash(&self.key, site.key.as_bytes());
        hash.to_hex()[..TOKEN_CHARS].to_owned()
    }

    /// The link that excludes the browser in which it is opened; `page` is any page of the site.
    pub fn link(&self, site: &Site, page: &str) -> String {
        let page = page.split('#').next().unwrap_or_default();
        format!("{page}#sotto-exclude={}", self.token(site))
    }

    /// Whether `token` is that of the site.
    pub fn is_good(&self, site: &Site, token: &str) -> bool {
        // Hashes compare in constant time.
        token.len() == TOKEN_CHARS
            && blake3::hash(token.as_bytes()) == blake3::hash(self.token(site).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::policy::Preset;

    #[test]
    fn token_is_good_for_its_site_and_installation_only() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| Excluder::open(&dir.path().join(name)).unwrap();
        let [one, two] =
            ["a.example", "b.example"].map(|h| Site::new("A", &[h], "UTC", Preset::Cnil).unwrap());
        let token = open("key").token(&one);
        assert!(open("key").is_good(&one, &token), "also after a restart");
        for (excluder, site, token, why) in [
            (open("key"), &two, token.as_str(), "another site"),
            (open("other"), &one, &token, "another installation"),
            (open("key"), &one, &token[1..], "one character less"),
            (open("key"), &one, "", "nothing"),
        ] {
            assert!(!excluder.is_good(site, token), "{why}");
        }
    }

    #[test]
    fn link_keeps_the_page_and_its_query() {
        let dir = tempfile::tempdir().unwrap();
        let excluder = Excluder::open(&dir.path().join("key")).unwrap();
        let site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
        let token = excluder.token(&site);
        for page in ["https://a.example/x?y=1", "https://a.example/x?y=1#top"] {
            assert_eq!(excluder.link(&site, page), format!("https://a.example/x?y=1#sotto-exclude={token}"));
        }
    }

    #[test]
    fn damaged_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), b"short").unwrap();
        assert!(Excluder::open(&dir.path().join("key")).is_err());
    }
}
