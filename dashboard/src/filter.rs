//! Filters: which hits and visits a report is about. Written `page:is:/pricing` in an address and `page=/pricing` on
//! a command line.
//!
//! Filters on different fields have to hold together. Those on one field with one verb are alternatives, or, where the verb
//! denies, all of them.

use std::fmt;

use sotto_schema::dimension::Dimension;
use sotto_store::goal::{Goal, Kind};

pub(crate) mod field;
pub mod goals;
pub(crate) mod verb;

pub use field::Field;
pub use verb::Verb;

/// How many filters a report may have.
pub const FILTERS_MAX: usize = 20;
/// The longest value of a filter, in bytes.
pub const VALUE_BYTES_MAX: usize = 2_000;

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The field.
    pub field: Field,
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
        "{0:?} is not a filter; write it like country=DE, country!=FR, page~=/blog, page!~=/blog, page^=/blog or 'page*=/blog/*', with one of {list}",
        list = fields()
    )]
    Form(String),
    /// See the message.
    #[error("a report has {FILTERS_MAX} filters at most")]
    Many,
    /// See the message.
    #[error("the site has no goal {0:?}; `sotto goal list` and the page of goals show them")]
    Goal(String),
}

fn fields() -> String {
    let dimensions = Dimension::ALL.into_iter().filter(|d| !d.is_time()).map(Dimension::name);
    dimensions.chain(["visited", "did", "prop:NAME"]).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.field.name(), self.verb.name(), self.value)
    }
}

impl Filter {
    /// A filter; `None` when the field cannot be filtered or the value is too long.
    pub fn new(field: impl Into<Field>, verb: Verb, value: &str) -> Option<Self> {
        let field = field.into();
        let allowed = field.is_allowed() && value.len() <= VALUE_BYTES_MAX;
        allowed.then(|| Self { field, verb, value: value.to_owned() })
    }

    /// The visits that completed a goal.
    pub(crate) fn of_goal(goal: &Goal) -> Option<Self> {
        match goal.kind {
            Kind::Page if goal.pattern.contains('*') => Self::new(Field::Visited, Verb::Like, &goal.pattern),
            Kind::Page => Self::new(Field::Visited, Verb::Is, &goal.pattern),
            Kind::Event => Self::new(Field::Did, Verb::Is, &goal.pattern),
        }
    }

    /// Reads `page:is:/pricing` or `prop:plan:is:pro`.
    pub fn parse(text: &str) -> Option<Self> {
        let after_name = if text.starts_with("prop:") { 1 } else { 0 };
        let (end, _) = text.match_indices(':').nth(after_name)?;
        let (verb, value) = text[end + 1..].split_once(':')?;
        Self::new(Field::from_name(&text[..end])?, Verb::from_name(verb)?, value)
    }

    /// Reads `page=/pricing`, or another sign ([`Verb::sign`]) between field and value.
    pub fn parse_equation(text: &str) -> Option<Self> {
        let equals = text.find('=')?;
        let (field, verb) = Verb::before_sign(&text[..=equals])?;
        let field = field.trim_start();
        // The name of a prop may end in a space.
        let field = if field.starts_with("prop:") { field } else { field.trim_end() };
        Self::new(Field::from_name(field)?, verb, &text[equals + 1..])
    }

    /// In the form that [`Self::parse_equation`] reads.
    pub(crate) fn equation(&self) -> String {
        format!("{}{}{}", self.field.name(), self.verb.sign(), self.value)
    }

    /// Whether everything is as it says, so that it lays down nothing.
    pub fn lays_down_nothing(&self) -> bool {
        match self.verb {
            Verb::Has | Verb::Starts => self.value.is_empty(),
            Verb::Like => !self.value.is_empty() && self.value.chars().all(|c| c == '*'),
            Verb::Is | Verb::Not | Verb::Lacks | Verb::Unlike => false,
        }
    }

    /// Whether it says that of the dimension.
    pub(crate) fn is(&self, field: Dimension, verb: Verb) -> bool {
        self.field == Field::Of(field) && self.verb == verb
    }

    /// The opposite, where there is one.
    pub(crate) fn denied(&self) -> Option<Self> {
        let verb = match self.verb {
            Verb::Is => Verb::Not,
            Verb::Not => Verb::Is,
            Verb::Has => Verb::Lacks,
            Verb::Lacks => Verb::Has,
            Verb::Like => Verb::Unlike,
            Verb::Unlike => Verb::Like,
            Verb::Starts => return None,
        };
        Some(Self { verb, ..self.clone() })
    }

    /// The verb, for people.
    pub(crate) const fn verb_label(&self) -> &'static str {
        match self.field {
            Field::Of(_) => self.verb.label(),
            Field::Visited | Field::Did | Field::Prop(_) => self.verb.label_of_visit(),
        }
    }
}

/// The filters of a report.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filters {
    chosen: Vec<Filter>,
    /// Those that a shared link lays down. What the reader chooses comes on top of them: it is no alternative to them,
    /// and neither removes them nor takes their place.
    fixed: Vec<Filter>,
    /// More of them, each of which has to hold besides: those of one group are alternatives to each other as those that are
    /// chosen are, and to nothing else.
    besides: Vec<Vec<Filter>>,
}

/// A verb, a field, and its values, as sent to ClickHouse.
type Parameter = (Verb, Field, Vec<String>);

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
        Ok(Self { chosen: filters, ..Self::default() })
    }

    /// Reads the filters that a shared link lays down. `None` if one of them is none: what a link was meant to leave out
    /// is never shown because it cannot be read.
    pub(crate) fn fixed(texts: &[String]) -> Option<Self> {
        let fixed = texts.iter().map(|text| Filter::parse(text)).collect::<Option<Vec<_>>>()?;
        Some(Self { fixed, ..Self::default() })
    }

    /// These, on top of what `fixed` lays down.
    #[must_use]
    pub(crate) fn on_top_of(&self, fixed: &Self) -> Self {
        Self { fixed: fixed.fixed.clone(), ..self.clone() }
    }

    /// Adds one, unless it is present or there are [`FILTERS_MAX`] already.
    #[must_use]
    pub fn with(mut self, filter: Filter) -> Self {
        if self.chosen.len() < FILTERS_MAX && !self.chosen.contains(&filter) {
            self.chosen.push(filter);
        }
        self
    }

    /// Adds a group that has to hold besides all others. Who adds bounds how many.
    #[must_use]
    pub(crate) fn besides(mut self, group: Vec<Filter>) -> Self {
        self.besides.push(group);
        self
    }

    /// Removes one.
    #[must_use]
    pub fn without(&self, filter: &Filter) -> Self {
        let chosen = self.chosen.iter().filter(|f| *f != filter).cloned().collect();
        Self { chosen, ..self.clone() }
    }

    /// Without what is chosen of a field; what is fixed stays.
    #[must_use]
    pub(crate) fn without_field(&self, field: &Field) -> Self {
        let chosen = self.chosen.iter().filter(|f| f.field != *field).cloned().collect();
        Self { chosen, ..self.clone() }
    }

    /// Without what is chosen of the props of events; what is fixed stays.
    #[must_use]
    pub(crate) fn without_props(&self) -> Self {
        let chosen = self.chosen.iter().filter(|f| !matches!(f.field, Field::Prop(_))).cloned().collect();
        Self { chosen, ..self.clone() }
    }

    /// In the form the API takes.
    pub(crate) fn equations(&self) -> impl Iterator<Item = String> {
        self.each().map(Filter::equation)
    }

    /// Those of them that are chosen by `keep`. What is fixed stays so: filters that are put together anew from
    /// [`Self::each`] would be alternatives to each other.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Filter) -> bool) -> Self {
        let only = |filters: &[Filter]| filters.iter().filter(|filter| keep(filter)).cloned().collect();
        Self {
            chosen: only(&self.chosen),
            fixed: only(&self.fixed),
            besides: self.besides.iter().map(|group| only(group)).collect(),
        }
    }

    /// Each filter, to be shown or looked at: those that are fixed, then those that are chosen, then groups. For a question about a part of
    /// them, see [`Self::only`].
    pub fn each(&self) -> impl Iterator<Item = &Filter> {
        self.fixed.iter().chain(&self.chosen).chain(self.besides.iter().flatten())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// Fields and their alternatives, by verb, in the order of [`Verb::ALL`]. All of them have to hold: what is fixed, and
    /// what is chosen.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let groups = [&self.fixed, &self.chosen].into_iter().chain(&self.besides);
        groups.flat_map(|filters| parameters(filters)).collect()
    }
}

fn parameters(filters: &[Filter]) -> Vec<Parameter> {
    let mut all: Vec<Parameter> = Vec::new();
    for verb in Verb::ALL {
        for filter in filters.iter().filter(|f| f.verb == verb) {
            match all.iter_mut().find(|(v, field, _)| *v == verb && *field == filter.field) {
                Some((_, _, values)) => values.push(filter.value.clone()),
                None => all.push((verb, filter.field.clone(), vec![filter.value.clone()])),
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
        let field = prop_oneof![
            3 => (0..Dimension::ALL.len()).prop_map(|n| Field::Of(Dimension::ALL[n])),
            1 => Just(Field::Visited),
            1 => Just(Field::Did),
            1 => "\\PC{1,20}".prop_map(Field::Prop),
        ];
        (field, 0..Verb::ALL.len(), "\\PC{0,40}")
            .prop_filter_map("days are no filter", |(field, verb, value)| {
                Filter::new(field, Verb::ALL[verb], &value)
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
    fn equation_has_a_sign_for_each_verb() {
        for (text, expected) in [
            ("country=DE", Some("country:is:DE")),
            ("country!=FR", Some("country:not:FR")),
            ("page~=/blog", Some("page:has:/blog")),
            ("page!~=/blog", Some("page:lacks:/blog")),
            ("page^=/blog", Some("page:starts:/blog")),
            ("page*=/blog/*", Some("page:like:/blog/*")),
            ("page!*=/blog/*", Some("page:unlike:/blog/*")),
            ("visited!=/a", Some("visited:not:/a")),
            ("did=Sign up", Some("did:is:Sign up")),
            ("prop:plan!~=pro=1", Some("prop:plan:lacks:pro=1")),
            ("page=/a?b=c", Some("page:is:/a?b=c")),
            ("source=", Some("source:is:")),
            ("day=2026-01-01", None),
            ("planet=Mars", None),
            ("=DE", None),
            ("country", None),
            (" country = DE", Some("country:is: DE")),
            ("prop: =x", Some("prop: :is:x")),
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
            (Verb::Is, Dimension::Country.into(), vec!["DE".to_owned(), "FR".to_owned()]),
            (Verb::Not, Dimension::Country.into(), vec!["CH".to_owned()]),
            (Verb::Has, Dimension::Page.into(), vec!["blog".to_owned()]),
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
            let expected = [
                (Verb::Is, Dimension::Country.into(), vec!["DE".to_owned()]),
                (Verb::Has, Dimension::Page.into(), vec!["/blog".to_owned()]),
            ];
            assert_eq!(first, expected, "{chosen:?}");
            assert!(!all.is_empty());
            let countries = all.only(|filter| filter.field == Dimension::Country.into()).parameters();
            assert_eq!(countries[0], expected[0], "{chosen:?}: also where a question is about some of them");
        }
    }

    #[test]
    fn filter_that_holds_for_everything_is_told() {
        for (text, nothing) in [
            ("page:has:", true),
            ("page:starts:", true),
            ("visited:like:**", true),
            ("page:like:", false),
            ("page:like:/*", false),
            ("page:is:", false),
            ("page:lacks:", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().lays_down_nothing(), nothing, "{text}");
        }
    }

    #[test]
    fn link_whose_filter_cannot_be_read_has_no_filters_rather_than_fewer() {
        let texts = ["country:is:DE".to_owned(), "planet:is:Mars".to_owned()];
        assert_eq!(Filters::fixed(&texts), None);
    }
}
