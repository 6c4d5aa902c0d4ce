//! Values and records, as plug-ins handle them.

use std::fmt;

/// An id. Zero stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub u128);

impl Guid {
    /// No id.
    pub const ZERO: Self = Self(0);

    /// Reads the form with hyphens, or 32 digits, letters in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let hyphens = text.match_indices('-').map(|(place, _)| place);
        let is_formed = digits.len() == text.len() || hyphens.eq([8, 13, 18, 23]);
        if digits.len() != 32
            || !is_formed
            || !digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }

    /// Whether it is none.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let (a, rest) = digits.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

/// An exact number: `units` divided by ten to the power of `scale`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// All digits, as a whole number.
    pub units: i128,
    /// How many of them stand behind the point; at most 28.
    pub scale: u8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        if scale == 0 {
            return write!(f, "{}", self.units);
        }
        let digits = format!("{:0width$}", self.units.unsigned_abs(), width = scale + 1);
        let (whole, behind) = digits.split_at(digits.len() - scale);
        let sign = if self.units < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{behind}")
    }
}

/// A record that is pointed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Logical name of its table.
    pub table: String,
    /// Its id.
    pub id: Guid,
    /// What it is called; empty where that was not asked for.
    pub name: String,
}

impl Lookup {
    /// Points to a record.
    pub fn new(table: impl Into<String>, id: Guid) -> Self {
        Self { table: table.into(), id, name: String::new() }
    }
}

/// A value of a column, a parameter or a variable.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i32),
    /// A 64-bit whole number.
    BigInteger(i64),
    /// A floating point number.
    Double(f64),
    /// An exact number.
    Decimal(Decimal),
    /// Money.
    Money(Decimal),
    /// Text.
    Text(String),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    DateTime(i64),
    /// An id.
    Id(Guid),
    /// An option of a choice.
    Choice(i32),
    /// Options of a multi-select choice.
    Choices(Vec<i32>),
    /// A record that is pointed to.
    Lookup(Lookup),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Records: ids that a message answers, and collections.
    Records(Vec<Record>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one of 32 bits.
    pub fn as_integer(&self) -> Option<i32> {
        match self {
            Self::Integer(number) | Self::Choice(number) => Some(*number),
            _ => None,
        }
    }

    /// The yes or no, if it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The id of an id or of a record that is pointed to.
    pub fn as_id(&self) -> Option<Guid> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Lookup(lookup) => Some(lookup.id),
            _ => None,
        }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

macro_rules! from {
    ($($of:ty => $variant:ident),* $(,)?) => {
        $(impl From<$of> for Value {
            fn from(value: $of) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

from!(bool => Boolean, i32 => Integer, i64 => BigInteger, f64 => Double, String => Text, Guid => Id, Lookup => Lookup);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A record of one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Logical name of its table; empty where only ids are handed over.
    pub table: String,
    /// Its id; zero for one that has none yet, or is named by a key.
    pub id: Guid,
    /// Columns and their values.
    pub cells: Vec<(String, Value)>,
    /// The alternate key that names it.
    pub key: Vec<(String, Value)>,
    /// The version that it has, or must have; 0 where it does not matter.
    pub version: u64,
}

impl Record {
    /// A new record of a table.
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), ..Self::default() }
    }

    /// A record that is there already.
    pub fn of(table: impl Into<String>, id: Guid) -> Self {
        Self { table: table.into(), id, ..Self::default() }
    }

    /// Adds a column.
    #[must_use]
    pub fn with(mut self, column: impl Into<String>, value: impl Into<Value>) -> Self {
        self.cells.push((column.into(), value.into()));
        self
    }

    /// Adds a column of the alternate key.
    #[must_use]
    pub fn by(mut self, column: impl Into<String>, value: impl Into<Value>) -> Self {
        self.key.push((column.into(), value.into()));
        self
    }

    /// The value of a column; none where the record does not name it.
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_print() {
        let text = "9a111111-0000-4000-8000-00000000000f";
        let id = Guid::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(Guid::parse(&text.to_uppercase()), Some(id));
        assert_eq!(Guid::parse(&text.replace('-', "")), Some(id));
        for bad in
            ["", "9a111111-0000-4000-8000-00000000000", "9a1111110000-4000-8000-00000000000f-", "x"]
        {
            assert_eq!(Guid::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn decimals_print_all_their_digits() {
        for (units, scale, want) in [
            (0, 0, "0"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (12_345, 2, "123.45"),
            (-120, 1, "-12.0"),
        ] {
            assert_eq!(Decimal { units, scale }.to_string(), want);
        }
    }
}
