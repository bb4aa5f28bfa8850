//! Which ClickHouse errors mean that a batch will never be accepted as it is.

use std::fmt;

use clickhouse::error::Error;
use sotto_store::error_code::ErrorCode;

/// ClickHouse refuses a batch's content. Its message often contains a value, so only the code and its name
/// are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    code: ErrorCode,
    name: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.name, self.code)
    }
}

impl Refusal {
    /// The refusal in `error`, if it is about the batch's content.
    pub fn of(error: &Error) -> Option<Self> {
        let code = ErrorCode::of(error)?;
        Some(Self { code, name: code.content_name()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_about_the_contents_is_a_refusal() {
        for (text, refused) in [
            ("Code: 469. DB::Exception: Constraint `c` is violated. (VIOLATED_CONSTRAINT)", true),
            ("Code: 33. DB::Exception: Cannot read all data. (CANNOT_READ_ALL_DATA)", true),
            ("Code: 117", true),
            ("Code: 16. DB::Exception: No such column. (NO_SUCH_COLUMN_IN_TABLE)", false),
            ("Code: 60. DB::Exception: Table does not exist. (UNKNOWN_TABLE)", false),
            ("Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED)", false),
            ("Code: 202. DB::Exception: Too many queries. (TOO_MANY_SIMULTANEOUS_QUERIES)", false),
            ("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", false),
            ("Code: 242. DB::Exception: Table is in readonly mode. (TABLE_IS_READ_ONLY)", false),
            ("Code: 243. DB::Exception: Not enough space. (NOT_ENOUGH_SPACE)", false),
            ("Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)", false),
            ("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", false),
            ("<html>502 Bad Gateway: Code: 33</html>", false),
            ("Code: 99999999999999999999", false),
            ("Code: ", false),
            ("", false),
        ] {
            assert_eq!(Refusal::of(&Error::BadResponse(text.into())).is_some(), refused, "{text:?}");
        }
        assert_eq!(Refusal::of(&Error::TimedOut), None);
        assert_eq!(Refusal::of(&Error::Network("Code: 33".into())), None);
    }

    #[test]
    fn refusal_tells_code_and_name_and_no_value() {
        let text =
            "Code: 469. DB::Exception: violated. Column values: path = '/secret'. (VIOLATED_CONSTRAINT)";
        let refusal = Refusal::of(&Error::BadResponse(text.into())).unwrap();
        assert_eq!(refusal.to_string(), "VIOLATED_CONSTRAINT (code 469)");
    }
}
