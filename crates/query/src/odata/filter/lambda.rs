//! Lambdas: `nav/any(o:o/size gt 5)`, `nav/all(…)`, `nav/any()`.
//!
//! A lambda is a condition about rows of another table; inside, every path begins with its range
//! variable, and the row outside cannot be named.
//! Source: query.md A12. Not here: paths (`scope`), what stands inside (`filter`).

use super::Parser;
use crate::odata::lexer::{Piece, Token};
use crate::scope::{Related, Scope};
use crate::{Error, Exists, Filter};

/// What the words of a place are relative to.
pub(super) struct Range {
    /// The range variable of the lambda around; none outside of lambdas.
    pub(super) variable: Option<String>,
    /// Its source.
    pub(super) source: u16,
}

impl Range {
    /// Outside of lambdas: the query's own table.
    pub(super) fn root() -> Self {
        Self { variable: None, source: 0 }
    }
}

impl Parser<'_> {
    /// A path as it was written, relative to where it is: without the range variable.
    pub(super) fn relative<'p>(&self, path: &'p str) -> Result<&'p str, Error> {
        let Some(variable) = &self.range.variable else { return Ok(path) };
        let rest = path.strip_prefix(variable.as_str()).and_then(|rest| rest.strip_prefix('/'));
        rest.ok_or_else(|| {
            Error::refused(format!(
                "`{path}`, which does not begin with range variable `{variable}`, in a lambda"
            ))
        })
    }

    /// What follows `path/any(` or `path/all(`; the path ends with the collection.
    pub(super) fn lambda(&mut self, path: &str, all: bool) -> Result<Filter, Error> {
        let path = self.relative(path)?.to_owned();
        let (to, name) = match path.rsplit_once('/') {
            Some((before, name)) => {
                let mut source = self.range.source;
                for step in before.split('/') {
                    source = self.scope.navigate(source, step)?;
                }
                (source, name)
            }
            None => (self.range.source, path.as_str()),
        };
        let Related { table, from, to, joined } = self.scope.related(to, name)?;
        let mut inside = self.scope.inside(&table)?;
        let source = match joined {
            Some(join) => inside.join(join)?,
            None => 0,
        };
        let filter = if *self.peek() == Token::Sign(')') && !all {
            self.next += 1;
            None
        } else {
            let variable = self.variable()?;
            let filter = self.within(&mut inside, Range { variable: Some(variable), source })?;
            self.sign(')')?;
            Some(filter)
        };
        self.scope.leave(&inside);
        let mut exists = Exists::new(&table, from, to);
        exists.joins = inside.joins;
        exists.filter = filter;
        if all {
            // No row violates the condition.
            exists.filter = exists.filter.map(super::negate);
            exists.negated = true;
        }
        Ok(exists.into())
    }

    /// Reads a filter about other tables, as if nothing stood around it.
    fn within(&mut self, inside: &mut Scope, range: Range) -> Result<Filter, Error> {
        std::mem::swap(self.scope, inside);
        let range = std::mem::replace(&mut self.range, range);
        let (nots, negated) = (self.nots, self.negated);
        (self.nots, self.negated) = (0, false);
        let filter = self.any_of();
        (self.nots, self.negated) = (nots, negated);
        self.range = range;
        std::mem::swap(self.scope, inside);
        filter
    }

    /// `o:`, the beginning of a lambda. What follows may stand in one word with it: `o:o`, `o:5`.
    fn variable(&mut self) -> Result<String, Error> {
        let Token::Word(word) = self.peek().clone() else { return Err(self.syntax()) };
        let (name, rest) = match word.split_once(':') {
            Some((name, rest)) => (name, rest.to_owned()),
            None => match self.peek_after(1).clone() {
                Token::Word(next) => {
                    let Some(rest) = next.strip_prefix(':') else { return Err(self.syntax()) };
                    self.next += 1;
                    (word.as_str(), rest.to_owned())
                }
                _ => return Err(self.syntax()),
            },
        };
        let is_name =
            name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
                && name.chars().all(|part| part.is_alphanumeric() || part == '_');
        if !is_name {
            return Err(self.syntax());
        }
        if rest.is_empty() {
            self.next += 1;
        } else if let Some(Piece { token, .. }) = self.pieces.get_mut(self.next) {
            *token = Token::Word(rest);
        }
        Ok(name.to_owned())
    }
}
