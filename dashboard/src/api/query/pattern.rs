//! Regular expressions of which the meaning can be had exactly: literal text, `.*`, `^`, `$` and `|`, as patterns in which `*`
//! stands for anything ([`crate::filter::Verb::Like`]).

/// What a regular expression may consist of, for messages.
pub(super) const KNOWN: &str =
    "literal text (punctuation with a backslash before it), '.*', '^' at the start, '$' at the end and '|'";

/// The patterns of the alternatives of a regular expression (RE2) that is searched for anywhere in a text; `None` if one of
/// them has none.
pub(super) fn alternatives(expression: &str) -> Option<Vec<String>> {
    let (mut all, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in expression.char_indices() {
        if c == '|' && !escaped {
            all.push(&expression[from..at]);
            from = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    all.push(&expression[from..]);
    all.into_iter().map(one).collect()
}

fn one(expression: &str) -> Option<String> {
    let (from_start, rest) = match expression.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, expression),
    };
    let mut pattern = String::from(if from_start { "" } else { "*" });
    let mut to_end = false;
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' if chars.peek().is_none() => to_end = true,
            '.' if chars.peek() == Some(&'*') => {
                chars.next();
                pattern.push('*');
            }
            // A star would stand for anything, and letters after a backslash are classes.
            '\\' => pattern.push(chars.next().filter(|c| c.is_ascii_punctuation() && *c != '*')?),
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => pattern.push(c),
        }
        // `.*?` is another expression, as are `a*`, `a+`, `a?` and `a{2}`.
        if matches!(chars.peek(), Some('*' | '+' | '?' | '{')) {
            return None;
        }
    }
    if !to_end {
        pattern.push('*');
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expression_is_a_pattern_where_its_meaning_is_the_same() {
        for (expression, expected) in [
            ("^/blog", Some(&["/blog*"][..])),
            ("/blog", Some(&["*/blog*"])),
            ("^/blog/.*/a$", Some(&["/blog/*/a"])),
            (r"\.html$", Some(&["*.html"])),
            ("^/$", Some(&["/"])),
            ("^a$|b", Some(&["a", "*b*"])),
            (r"a\|b", Some(&["*a|b*"])),
            (r"^\^\$$", Some(&["^$"])),
            ("", Some(&["**"])),
            (r"^/user/\d+$", None),
            ("a.b", None),
            ("ab*", None),
            ("ab+", None),
            ("ab?", None),
            ("a.*?b", None),
            ("a{2}", None),
            ("(a|b)", None),
            ("[ab]", None),
            (r"\*", None),
            (r"\bword", None),
            ("a^b", None),
            ("a$b", None),
            (r"a\", None),
        ] {
            let expected = expected.map(|all| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
            assert_eq!(alternatives(expression), expected, "{expression}");
        }
    }
}
