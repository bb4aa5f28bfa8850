//! What a filter is about.

use std::borrow::Cow;

use sotto_schema::dimension::{CountedBy, Dimension};

/// The longest name of a prop, in bytes.
const PROP_BYTES_MAX: usize = 300;
/// What stands before the name of a prop.
const PROP: &str = "prop";
/// Characters that have a meaning in a filter, which names of props have as `%3A`.
const RESERVED: [char; 7] = ['%', ':', '=', '!', '~', '^', '*'];

/// What a filter is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// A field of hits, or of visits; never a day or an hour, which the period selects.
    Of(Dimension),
    /// A page that was seen at any time in the visit: chooses whole visits.
    Visited,
    /// An event that was sent at any time in the visit: chooses whole visits.
    Did,
    /// A prop of an event that was sent at any time in the visit: chooses whole visits.
    Prop(String),
}

impl From<Dimension> for Field {
    fn from(dimension: Dimension) -> Self {
        Self::Of(dimension)
    }
}

impl Field {
    /// The name in addresses, the API and the command line; of a prop `prop:NAME`.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Of(dimension) => dimension.name().into(),
            Self::Visited => "visited".into(),
            Self::Did => "did".into(),
            Self::Prop(name) => format!("{PROP}:{}", escaped(name)).into(),
        }
    }

    /// The field of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let prop = |name: &str| unescaped(name).map(Self::Prop);
        match name {
            "visited" => Some(Self::Visited),
            "did" => Some(Self::Did),
            name => match name.strip_prefix(PROP).and_then(|rest| rest.strip_prefix(':')) {
                Some(name) => prop(name),
                None => Dimension::from_name(name).map(Self::Of),
            },
        }
        .filter(Self::is_allowed)
    }

    /// For people.
    pub fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Of(dimension) => dimension.label().into(),
            Self::Visited => "Visited page".into(),
            Self::Did => "Event in the visit".into(),
            Self::Prop(name) => format!("Prop {name}").into(),
        }
    }

    /// The dimension, if it is a field of that kind.
    pub const fn dimension(&self) -> Option<Dimension> {
        match self {
            Self::Of(dimension) => Some(*dimension),
            Self::Visited | Self::Did | Self::Prop(_) => None,
        }
    }

    /// Whether it chooses single hits of visits.
    pub(crate) const fn is_of_hits(&self) -> bool {
        match self {
            Self::Of(dimension) => matches!(dimension.counted_by(), CountedBy::Hit { .. }),
            Self::Visited | Self::Did | Self::Prop(_) => false,
        }
    }

    /// Whether there can be a filter on it.
    pub(super) const fn is_allowed(&self) -> bool {
        match self {
            Self::Of(dimension) => !dimension.is_time(),
            Self::Prop(name) => !name.is_empty() && name.len() <= PROP_BYTES_MAX,
            Self::Visited | Self::Did => true,
        }
    }
}

/// Names and labels for the choice of a form; the name of a prop is typed with its value. Props are for members.
pub(crate) fn choices(member: bool) -> Vec<(&'static str, &'static str)> {
    let dimensions = Dimension::ALL.into_iter().filter(|d| !d.is_time()).map(|d| (d.name(), d.label()));
    let visits = [("visited", "Visited page (whole visits)"), ("did", "Event in the visit (whole visits)")];
    let prop = member.then_some((PROP, "Prop of an event, as name=value (whole visits)"));
    dimensions.chain(visits).chain(prop).collect()
}

/// The field that was chosen in a form, and the value: of a prop both are typed, as `plan=pro`.
pub(crate) fn chosen<'v>(name: &str, value: &'v str) -> Option<(Field, &'v str)> {
    if name != PROP {
        return Field::from_name(name).map(|field| (field, value));
    }
    let (name, value) = value.split_once('=')?;
    Some((Field::Prop(name.trim().to_owned()), value.trim())).filter(|(field, _)| field.is_allowed())
}

fn escaped(name: &str) -> String {
    let reserved = |c: char| RESERVED.contains(&c);
    name.chars().map(|c| if reserved(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }).collect()
}

fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        let c = char::from(u8::from_str_radix(code, 16).ok()?);
        out.push(Some(c).filter(|c| RESERVED.contains(c))?);
        out.push_str(rest);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_prop_may_have_any_character() {
        for name in ["plan", "a:b=c", "100%", "x!~", "%3A", "ä*"] {
            let field = Field::Prop(name.into());
            assert_eq!(Field::from_name(&field.name()), Some(field), "{name}");
        }
        for broken in ["prop", "prop:", "prop:%", "prop:%zz", "prop:%41", "prop:%+1", "prop:%ä"] {
            assert_eq!(Field::from_name(broken), None, "{broken}");
        }
    }

    #[test]
    fn prop_is_typed_with_its_value() {
        let prop = Field::Prop("plan".into());
        assert_eq!(chosen("prop", " plan = pro=1 "), Some((prop.clone(), "pro=1")));
        assert_eq!(chosen("prop:plan", "pro"), Some((prop, "pro")));
        assert_eq!(chosen("prop", "plan"), None);
        assert_eq!(chosen("prop", "=pro"), None);
        assert_eq!(chosen("did", "Sign up"), Some((Field::Did, "Sign up")));
    }
}
