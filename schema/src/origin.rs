//! Whether a request comes from a page of ours: what forms that change something are accepted from.

/// Whether a request comes from a page of ours, by headers that a browser sets and a page cannot. `header` gives the
/// value of a header by its name in lower case.
///
/// `Sec-Fetch-Site` decides where there is one. Browsers send it over HTTPS and to loopback only; elsewhere `Origin` has
/// to name the host that was asked. A request with neither comes from no browser's form.
pub fn is_from_own_page<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> bool {
    if let Some(site) = header("sec-fetch-site") {
        return site == "same-origin";
    }
    let (Some(origin), Some(host)) = (header("origin"), header("host")) else { return false };
    let origin_host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    origin_host == Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_from_own_page_only_if_the_browser_says_so() {
        let host = ("host", "stats.example.org");
        for (headers, own) in [
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("sec-fetch-site", "cross-site"), ("origin", "https://stats.example.org")], false),
            (vec![host, ("sec-fetch-site", "same-site")], false),
            (vec![host, ("sec-fetch-site", "none")], false),
            (vec![host, ("sec-fetch-site", "")], false),
            (vec![host, ("origin", "https://stats.example.org")], true),
            (vec![host, ("origin", "http://stats.example.org")], true),
            (vec![("host", "stats.example.org:8787"), ("origin", "http://stats.example.org:8787")], true),
            (vec![host, ("origin", "http://stats.example.org:8787")], false),
            (vec![host, ("origin", "https://stats.example.org.evil.test")], false),
            (vec![host, ("origin", "stats.example.org")], false),
            (vec![host, ("origin", "null")], false),
            (vec![host], false),
            (vec![("origin", "https://stats.example.org")], false),
            (vec![], false),
        ] {
            let get = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            assert_eq!(is_from_own_page(get), own, "{headers:?}");
        }
    }
}
