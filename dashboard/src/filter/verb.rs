//! How a filter compares.

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Equal. Several `Is` filters on one field are alternatives, and so are several of [`Self::Has`], [`Self::Starts`] and
    /// [`Self::Like`].
    Is,
    /// Not equal: of several, none.
    Not,
    /// Contains, ignoring case.
    Has,
    /// Does not contain, ignoring case: of several, none.
    Lacks,
    /// Begins with, ignoring case.
    Starts,
    /// Is like a pattern in which `*` stands for anything, as in the pages of goals. Case counts.
    Like,
    /// Is not like a pattern: of several, like none.
    Unlike,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 7] =
        [Self::Is, Self::Not, Self::Has, Self::Lacks, Self::Starts, Self::Like, Self::Unlike];

    /// The name in an address.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Not => "not",
            Self::Has => "has",
            Self::Lacks => "lacks",
            Self::Starts => "starts",
            Self::Like => "like",
            Self::Unlike => "unlike",
        }
    }

    /// What stands between field and value on a command line and in the API.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::Not => "!=",
            Self::Has => "~=",
            Self::Lacks => "!~=",
            Self::Starts => "^=",
            Self::Like => "*=",
            Self::Unlike => "!*=",
        }
    }

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Not => "is not",
            Self::Has => "contains",
            Self::Lacks => "does not contain",
            Self::Starts => "starts with",
            Self::Like => "is like",
            Self::Unlike => "is not like",
        }
    }

    /// For people, of what happened at any time in a visit.
    pub(super) const fn label_of_visit(self) -> &'static str {
        match self {
            Self::Not => "is never",
            Self::Lacks => "never contains",
            Self::Unlike => "is never like",
            Self::Is | Self::Has | Self::Starts | Self::Like => self.label(),
        }
    }

    /// Whether it names whole values, of which people see the label.
    pub(crate) const fn is_of_values(self) -> bool {
        matches!(self, Self::Is | Self::Not)
    }

    /// Whether it holds where no value is as it says.
    pub(crate) const fn is_negative(self) -> bool {
        matches!(self, Self::Not | Self::Lacks | Self::Unlike)
    }

    /// The verb of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }

    /// What stands before the sign at the end of a text, and the verb of the sign.
    pub(super) fn before_sign(text: &str) -> Option<(&str, Self)> {
        let found = Self::ALL.into_iter().filter_map(|verb| Some((text.strip_suffix(verb.sign())?, verb)));
        // "!~=" ends as "~=" and "=" do.
        found.min_by_key(|(before, _)| before.len())
    }
}

/// Names and labels, for the choice of a form.
pub(crate) fn choices() -> Vec<(&'static str, &'static str)> {
    Verb::ALL.map(|verb| (verb.name(), verb.label())).into()
}
