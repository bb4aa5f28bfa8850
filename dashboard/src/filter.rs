//! Filters: which hits and visits a report is about. Written `page:is:/pricing` in an address and `page=/pricing` on
//! a command line.

use std::fmt;

use sotto_schema::dimension::Dimension;

/// How many filters a report may have.
pub const FILTERS_MAX: usize = 20;
/// The longest value of a filter, in bytes.
pub const VALUE_BYTES_MAX: usize = 2_000;

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Equal. Several `Is` filters on one field are alternatives.
    Is,
    /// Not equal.
    Not,
    /// Contains, ignoring case.
    Has,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 3] = [Self::Is, Self::Not, Self::Has];

    /// The name in an address.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Not => "not",
            Self::Has => "has",
        }
    }

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Not => "is not",
            Self::Has => "contains",
        }
    }

    /// The verb of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The field; never a day or an hour, which the period selects.
    pub field: Dimension,
    /// The comparison.
    pub verb: Verb,
    /// The value to compare with; empty means "none".
    pub value: String,
}

/// Why a filter cannot be understood. The message is shown to people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFilter {
    /// See the message.
    #[error(
        "{0:?} is not a filter; write it like country=DE, country!=FR or page~=/blog, with one of {list}",
        list = fields()
    )]
    Form(String),
    /// See the message.
    #[error("a report has {FILTERS_MAX} filters at most")]
    Many,
}

fn fields() -> String {
    let names: Vec<_> = Dimension::ALL.into_iter().filter(|d| !d.is_time()).map(Dimension::name).collect();
    names.join(", ")
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.field.name(), self.verb.name(), self.value)
    }
}

impl Filter {
    /// A filter; `None` when the field cannot be filtered or the value is too long.
    pub fn new(field: Dimension, verb: Verb, value: &str) -> Option<Self> {
        let allowed = !field.is_time() && value.len() <= VALUE_BYTES_MAX;
        allowed.then(|| Self { field, verb, value: value.to_owned() })
    }

    /// Reads `page:is:/pricing`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let field = Dimension::from_name(parts.next()?)?;
        let verb = Verb::from_name(parts.next()?)?;
        Self::new(field, verb, parts.next()?)
    }

    /// Reads `page=/pricing`, `page!=/pricing` or `page~=/pricing`.
    pub fn parse_equation(text: &str) -> Option<Self> {
        let (left, value) = text.split_once('=')?;
        let (field, verb) = match left.as_bytes().last()? {
            b'!' => (&left[..left.len() - 1], Verb::Not),
            b'~' => (&left[..left.len() - 1], Verb::Has),
            _ => (left, Verb::Is),
        };
        Self::new(Dimension::from_name(field.trim())?, verb, value)
    }
}

/// The filters of a report.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filters {
    chosen: Vec<Filter>,
    /// Those that a shared link lays down. What the reader chooses comes on top of them: it is no alternative to them,
    /// and neither removes them nor takes their place.
    fixed: Vec<Filter>,
}

/// A verb, a field, and the alternatives, as sent to ClickHouse.
type Parameter = (Verb, &'static str, Vec<String>);

impl Filters {
    /// Parses the filters of a URL. Invalid and duplicate filters and those beyond
    /// [`FILTERS_MAX`] are ignored.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        texts.into_iter().filter_map(Filter::parse).fold(Self::default(), |all, f| all.with(f))
    }

    /// Parses the filters of a command line.
    ///
    /// # Errors
    /// The first invalid filter, or too many of them.
    pub fn parse_equations<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownFilter> {
        let mut filters = Vec::new();
        for text in texts {
            if filters.len() == FILTERS_MAX {
                return Err(UnknownFilter::Many);
            }
            let filter = Filter::parse_equation(text);
            filters.push(filter.ok_or_else(|| UnknownFilter::Form(text.to_owned()))?);
        }
        Ok(Self { chosen: filters, fixed: Vec::new() })
    }

    /// Reads the filters that a shared link lays down. `None` if one of them is none: what a link was meant to leave out
    /// is never shown because it cannot be read.
    pub(crate) fn fixed(texts: &[String]) -> Option<Self> {
        let fixed = texts.iter().map(|text| Filter::parse(text)).collect::<Option<Vec<_>>>()?;
        Some(Self { chosen: Vec::new(), fixed })
    }

    /// These, on top of what `fixed` lays down.
    #[must_use]
    pub(crate) fn on_top_of(&self, fixed: &Self) -> Self {
        Self { chosen: self.chosen.clone(), fixed: fixed.fixed.clone() }
    }

    /// Adds one, unless it is present or there are [`FILTERS_MAX`] already.
    #[must_use]
    pub fn with(mut self, filter: Filter) -> Self {
        if self.chosen.len() < FILTERS_MAX && !self.chosen.contains(&filter) {
            self.chosen.push(filter);
        }
        self
    }

    /// Removes one.
    #[must_use]
    pub fn without(&self, filter: &Filter) -> Self {
        let chosen = self.chosen.iter().filter(|f| *f != filter).cloned().collect();
        Self { chosen, fixed: self.fixed.clone() }
    }

    /// In the form the API takes.
    pub(crate) fn equations(&self) -> impl Iterator<Item = String> {
        self.each().map(|f| {
            let sign = match f.verb {
                Verb::Is => "=",
                Verb::Not => "!=",
                Verb::Has => "~=",
            };
            format!("{}{sign}{}", f.field.name(), f.value)
        })
    }

    /// Those of them that are chosen by `keep`. What is fixed stays so: filters that are put together anew from
    /// [`Self::each`] would be alternatives to each other.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Filter) -> bool) -> Self {
        let only = |filters: &[Filter]| filters.iter().filter(|filter| keep(filter)).cloned().collect();
        Self { chosen: only(&self.chosen), fixed: only(&self.fixed) }
    }

    /// Each filter, to be shown or looked at: those that are fixed, then those that are chosen. For a question about a part of
    /// them, see [`Self::only`].
    pub fn each(&self) -> impl Iterator<Item = &Filter> {
        self.fixed.iter().chain(&self.chosen)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty() && self.fixed.is_empty()
    }

    /// Fields and their alternatives, by verb, in the order of [`Verb::ALL`]. All of them have to hold: what is fixed, and
    /// what is chosen.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        [&self.fixed, &self.chosen].into_iter().flat_map(|filters| parameters(filters)).collect()
    }
}

fn parameters(filters: &[Filter]) -> Vec<Parameter> {
    let mut all: Vec<Parameter> = Vec::new();
    for verb in Verb::ALL {
        for filter in filters.iter().filter(|f| f.verb == verb) {
            let name = filter.field.name();
            match all.iter_mut().find(|(v, field, _)| *v == verb && *field == name) {
                Some((_, _, values)) => values.push(filter.value.clone()),
                None => all.push((verb, name, vec![filter.value.clone()])),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_filter() -> impl Strategy<Value = Filter> {
        (0..Dimension::ALL.len(), 0..Verb::ALL.len(), "\\PC{0,40}")
            .prop_filter_map("days are no filter", |(field, verb, value)| {
                Filter::new(Dimension::ALL[field], Verb::ALL[verb], &value)
            })
    }

    proptest! {
        #[test]
        fn written_filter_reads_as_itself(filter in any_filter()) {
            prop_assert_eq!(Filter::parse(&filter.to_string()), Some(filter.clone()));
            let equation = Filters::default().with(filter.clone()).equations().next().unwrap();
            prop_assert_eq!(Filter::parse_equation(&equation), Some(filter));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
            let _ = Filter::parse(&text);
            let _ = Filter::parse_equation(&text);
        }
    }

    #[test]
    fn equation_has_three_verbs() {
        for (text, expected) in [
            ("country=DE", Some("country:is:DE")),
            ("country!=FR", Some("country:not:FR")),
            ("page~=/blog", Some("page:has:/blog")),
            ("page=/a?b=c", Some("page:is:/a?b=c")),
            ("source=", Some("source:is:")),
            ("day=2026-01-01", None),
            ("planet=Mars", None),
            ("=DE", None),
            ("country", None),
        ] {
            assert_eq!(Filter::parse_equation(text).map(|f| f.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn filters_at_the_limit_are_kept_and_one_beyond_is_not() {
        let texts: Vec<String> = (0..=FILTERS_MAX).map(|i| format!("page=/{i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(
            Filters::parse_equations(texts[..FILTERS_MAX].iter().copied()).unwrap().each().count(),
            FILTERS_MAX
        );
        assert_eq!(Filters::parse_equations(texts.iter().copied()), Err(UnknownFilter::Many));
        assert!(Filter::new(Dimension::Page, Verb::Is, &"a".repeat(VALUE_BYTES_MAX)).is_some());
        assert!(Filter::new(Dimension::Page, Verb::Is, &"a".repeat(VALUE_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn values_of_one_field_and_verb_are_alternatives() {
        let filters = Filters::parse(["country:is:DE", "country:is:FR", "country:not:CH", "page:has:blog"]);
        let expected = [
            (Verb::Is, "country", vec!["DE".to_owned(), "FR".to_owned()]),
            (Verb::Not, "country", vec!["CH".to_owned()]),
            (Verb::Has, "page", vec!["blog".to_owned()]),
        ];
        assert_eq!(filters.parameters(), expected);
    }

    fn fixed(texts: &[&str]) -> Filters {
        Filters::fixed(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn filter_that_is_fixed_stays_whatever_is_chosen() {
        let laid_down = fixed(&["country:is:DE", "page:has:/blog"]);
        let many: Vec<String> = (0..FILTERS_MAX).map(|i| format!("page:not:/{i}")).collect();
        for chosen in [
            Filters::default(),
            Filters::parse(["country:is:FR", "page:has:/"]),
            Filters::parse(["country:is:DE"]).without(&Filter::parse("country:is:DE").unwrap()),
            Filters::parse(many.iter().map(String::as_str)),
        ] {
            let all = chosen.on_top_of(&laid_down);
            let all = all.without(&Filter::parse("country:is:DE").unwrap());
            let first: Vec<_> = all.parameters().into_iter().take(2).collect();
            let expected =
                [(Verb::Is, "country", vec!["DE".to_owned()]), (Verb::Has, "page", vec!["/blog".to_owned()])];
            assert_eq!(first, expected, "{chosen:?}");
            assert!(!all.is_empty());
            let countries = all.only(|filter| filter.field == Dimension::Country).parameters();
            assert_eq!(countries[0], expected[0], "{chosen:?}: also where a question is about some of them");
        }
    }

    #[test]
    fn link_whose_filter_cannot_be_read_has_no_filters_rather_than_fewer() {
        let texts = ["country:is:DE".to_owned(), "planet:is:Mars".to_owned()];
        assert_eq!(Filters::fixed(&texts), None);
    }
}
