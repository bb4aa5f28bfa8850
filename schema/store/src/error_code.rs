//! ClickHouse's error codes by number: names and texts change between versions, numbers do not
//! (`ErrorCodes.cpp`).

use std::fmt;

use clickhouse::error::Error;

/// The code of an error returned by ClickHouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// `TABLE_ALREADY_EXISTS`
    pub const TABLE_ALREADY_EXISTS: Self = Self(57);
    /// `UNKNOWN_TABLE`
    pub const UNKNOWN_TABLE: Self = Self(60);
    /// `NO_ELEMENTS_IN_CONFIG`: the server has no `<zookeeper>`.
    pub const NO_ELEMENTS_IN_CONFIG: Self = Self(139);
    /// `MEMORY_LIMIT_EXCEEDED`: of the query, of the user or of the server.
    pub const MEMORY_LIMIT: Self = Self(241);
    /// `TIMEOUT_EXCEEDED`: the query took longer than its user may take.
    pub const TIMEOUT: Self = Self(159);
    /// `NO_ZOOKEEPER`
    pub const NO_ZOOKEEPER: Self = Self(225);

    /// What says that the server has no room at the moment: `TIMEOUT_EXCEEDED`, `TOO_MANY_SIMULTANEOUS_QUERIES` and
    /// `MEMORY_LIMIT_EXCEEDED`.
    pub const BUSY: [Self; 3] = [Self::TIMEOUT, Self(202), Self::MEMORY_LIMIT];

    /// Whether a query was too much at once, for memory or time: parts of it may be asked instead.
    pub fn is_too_much(error: &Error) -> bool {
        matches!(Self::of(error), Some(Self::MEMORY_LIMIT | Self::TIMEOUT))
    }

    /// The code of `error`; `None` if it did not come from ClickHouse (the network, a proxy, an unreadable
    /// response).
    pub fn of(error: &Error) -> Option<Self> {
        // The client passes on the exception's text, which begins with its code.
        let Error::BadResponse(text) = error else { return None };
        let digits = text.strip_prefix("Code: ")?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok().map(Self)
    }

    /// ClickHouse's name of a code that means that the data itself can never be accepted: values that cannot
    /// be parsed, are out of range or violate a constraint.
    ///
    /// Faults of the server or the table are excluded (unknown or read-only tables and columns, memory, disk
    /// space, quotas, too many parts or queries): the same rows are accepted once those are fixed.
    pub fn content_name(self) -> Option<&'static str> {
        CONTENT.iter().find(|(code, _)| *code == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const CONTENT: [(u32, &str); 19] = [
    (6, "CANNOT_PARSE_TEXT"),
    (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
    (33, "CANNOT_READ_ALL_DATA"),
    (38, "CANNOT_PARSE_DATE"),
    (41, "CANNOT_PARSE_DATETIME"),
    (53, "TYPE_MISMATCH"),
    (69, "ARGUMENT_OUT_OF_BOUND"),
    (70, "CANNOT_CONVERT_TYPE"),
    (72, "CANNOT_PARSE_NUMBER"),
    (117, "INCORRECT_DATA"),
    (128, "TOO_LARGE_ARRAY_SIZE"),
    (131, "TOO_LARGE_STRING_SIZE"),
    (190, "SIZES_OF_ARRAYS_DONT_MATCH"),
    (321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"),
    (349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN"),
    (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    (407, "DECIMAL_OVERFLOW"),
    (469, "VIOLATED_CONSTRAINT"),
    (691, "UNKNOWN_ELEMENT_OF_ENUM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_read_from_the_start_of_an_answer_and_from_nothing_else() {
        for (text, code) in [
            ("Code: 60. DB::Exception: Table does not exist. (UNKNOWN_TABLE)", Some(60)),
            ("Code: 117", Some(117)),
            ("Code: 60, e.displayText() = DB::Exception", Some(60)),
            ("Code: 241. DB::Exception: said: Code: 60. (UNKNOWN_TABLE)", Some(241)),
            ("<html>502 Bad Gateway: Code: 33</html>", None),
            ("DB::Exception: (UNKNOWN_TABLE)", None),
            ("Code: 99999999999999999999", None),
            ("Code: -1", None),
            ("Code: ", None),
            ("", None),
        ] {
            let error = Error::BadResponse(text.into());
            assert_eq!(ErrorCode::of(&error), code.map(ErrorCode), "{text:?}");
        }
        for (code, too_much) in [(241, true), (159, true), (202, false), (60, false)] {
            let error = Error::BadResponse(format!("Code: {code}. DB::Exception: it was refused."));
            assert_eq!(ErrorCode::is_too_much(&error), too_much, "{code}");
        }
        assert_eq!(ErrorCode::of(&Error::TimedOut), None);
        assert_eq!(ErrorCode::of(&Error::Network("Code: 33".into())), None);
    }
}
