//! Query functions: `Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=["1"])`, also behind a
//! path: `nav/Microsoft.Dynamics.CRM.In(…)`, and of a range variable: `o/Microsoft.Dynamics.CRM.In(…)`.
//!
//! What each means is the matter of `operator`. Columns are named by property or by logical name.

use super::{Operand, Parser};
use crate::odata::lexer::Token;
use crate::odata::limits;
use crate::odata::literal::{self, Literal};
use crate::operator::{self, Asked, Operator, Surface};
use crate::{ColumnRef, Error, Filter};

pub(super) const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

/// Plain functions of OData that the service does not have.
const PLAIN_REFUSED: [&str; 23] = [
    "toupper",
    "length",
    "indexof",
    "substring",
    "concat",
    "trim",
    "substringof",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "date",
    "time",
    "now",
    "round",
    "floor",
    "ceiling",
    "cast",
    "isof",
    "any",
    "all",
];

/// The named arguments of a call.
#[derive(Default)]
struct Arguments {
    column: Option<ColumnRef>,
    values: Vec<Literal>,
    /// They came as a list.
    listed: bool,
}

impl Parser<'_> {
    /// What follows `name(`; `source` is where its column is.
    pub(super) fn query_function(&mut self, name: &str, source: u16) -> Result<Filter, Error> {
        let Some(short) = name.strip_prefix(NAMESPACE) else {
            if PLAIN_REFUSED.contains(&name) {
                return Err(Error::refused(format!("function `{name}` in $filter")));
            }
            return Err(Error::UnknownFunction { name: name.into() });
        };
        let operator = operator::find(Surface::Function, short)
            .ok_or_else(|| Error::UnknownFunction { name: name.into() })?;
        if self.nots > 0 {
            return Err(Error::NotBeforeFunction);
        }
        let bad = |why| Error::BadArguments { name: name.into(), why };
        let arguments = self.arguments(name, source)?;
        let column = arguments.column.ok_or_else(|| bad("PropertyName is missing"))?;
        let values = arguments.values;
        match operator {
            Operator::In { .. } | Operator::Choices { .. }
                if !arguments.listed || values.is_empty() =>
            {
                return Err(bad("PropertyValues is missing or empty"));
            }
            // Two comparisons.
            Operator::Between { .. } => self.count_condition()?,
            _ => {}
        }
        let asked = Asked { scope: self.scope, column, name, values };
        asked.bind(operator).map_err(|error| match error {
            Error::ValueCount { .. } => bad("the number of values is another one"),
            other => other,
        })
    }

    fn arguments(&mut self, function: &str, source: u16) -> Result<Arguments, Error> {
        let bad = |why| Error::BadArguments { name: function.into(), why };
        let mut found = Arguments::default();
        loop {
            let Token::Word(name) = self.take() else {
                self.next -= 1;
                return Err(self.syntax());
            };
            self.sign('=')?;
            match &*name {
                "PropertyName" if found.column.is_none() => {
                    found.column = Some(self.property_name(source)?);
                }
                "PropertyValues" if found.values.is_empty() => {
                    found.values = self.list()?;
                    found.listed = true;
                }
                "PropertyValue" | "PropertyValue1" | "PropertyValue2" if !found.listed => {
                    let Operand::Literal(value) = self.operand()? else {
                        return Err(bad("a value is a literal"));
                    };
                    found.values.push(value);
                }
                _ => return Err(bad("an argument has another name, or stands twice")),
            }
            if *self.peek() != Token::Sign(',') {
                self.sign(')')?;
                return Ok(found);
            }
            self.next += 1;
        }
    }

    /// The column, in quotes or bare.
    fn property_name(&mut self, source: u16) -> Result<ColumnRef, Error> {
        let position = self.next;
        let name = match self.take() {
            Token::Text(name) | Token::JsonText(name) => name,
            Token::Word(word) if word.starts_with('@') => match self.alias(&word)? {
                Some(Operand::Literal(Literal::Text(name))) => name,
                Some(Operand::Column(column)) => return Ok(column),
                _ => {
                    self.next = position;
                    return Err(self.syntax());
                }
            },
            Token::Word(word) => {
                let mut path = word;
                while let (Token::Sign('/'), Token::Word(word)) = (self.peek(), self.peek_after(1))
                {
                    path.push('/');
                    path.push_str(word);
                    self.next += 2;
                }
                path
            }
            _ => {
                self.next = position;
                return Err(self.syntax());
            }
        };
        let logical = self.scope.source(source).index_of(name.trim());
        match self.scope.path_from(source, &name) {
            Err(Error::UnknownColumn { .. }) if logical.is_some() => {
                let column = logical.unwrap_or(self.scope.source(source).primary_key);
                Ok(ColumnRef { source, column })
            }
            found => found,
        }
    }

    /// `["a","b"]` or `['a','b']`, or an alias for it.
    fn list(&mut self) -> Result<Vec<Literal>, Error> {
        if let Token::Word(alias) = self.peek() {
            let text = self.options.get(alias).ok_or_else(|| self.syntax())?;
            self.next += 1;
            let mut inner = Parser::new(self.scope, self.options, text)?;
            if !matches!(inner.peek(), Token::Sign('[')) {
                return Err(inner.syntax());
            }
            let values = inner.list()?;
            inner.end()?;
            return Ok(values);
        }
        self.sign('[')?;
        let mut values = Vec::new();
        if *self.peek() == Token::Sign(']') {
            self.next += 1;
            return Ok(values);
        }
        loop {
            let value = literal::of_token(self.peek()).ok_or_else(|| self.syntax())?;
            self.next += 1;
            values.push(value);
            if values.len() > limits::VALUES_MAX {
                return Err(Error::TooManyValues);
            }
            match self.take() {
                Token::Sign(',') => {}
                Token::Sign(']') => return Ok(values),
                _ => {
                    self.next -= 1;
                    return Err(self.syntax());
                }
            }
        }
    }
}
