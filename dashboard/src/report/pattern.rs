//! Patterns of `LIKE`, of what people type.

/// The pattern of `LIKE` for the path of a page, where `*` stands for anything.
pub(super) fn like(path: &str) -> String {
    literal(path).replace('*', "%")
}

/// The pattern of `LIKE` for a text in which nothing has a meaning.
pub(super) fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
        out
    })
}
