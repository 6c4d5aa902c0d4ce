//! `$filter` over definitions: read once, then held against each item.
//!
//! Honoured: eq, ne, and, or, not, parentheses, `contains`, `startswith`, `endswith`; texts, guids,
//! booleans, numbers, null, enumeration members (`…AttributeRequiredLevel'None'`), parameter aliases,
//! paths into complex members (`RequiredLevel/Value`). Names compare exactly.

use crate::fault::{self, Problem};
use model::Uuid;
use query::odata::Options;
use query::odata::lexer::{self, Piece, Token};
use query::odata::limits::FILTER_DEPTH_MAX;
use wire::metadata::{Item, Member};

/// A condition on a definition.
#[derive(Debug)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Equals { path: Vec<String>, literal: Literal, negated: bool },
    Matches { path: Vec<String>, place: Match, text: String },
}

/// Where a text must be found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Match {
    Anywhere,
    Start,
    End,
}

/// What a member is held against.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Number(i64),
    Guid(Uuid),
    Text(String),
}

impl Filter {
    /// Reads a filter.
    pub(super) fn parse(text: &str, options: &Options) -> Result<Self, Problem> {
        let pieces = lexer::pieces(text).map_err(fault::of_query)?;
        let mut parser = Parser { text, options, pieces: &pieces, next: 0, depth: 0 };
        let filter = parser.any()?;
        match parser.peek() {
            Token::End => Ok(filter),
            _ => Err(parser.syntax()),
        }
    }

    /// Tells whether it holds for an item.
    ///
    /// Errors: a name that no type in the item's collection has, or a member that is no plain value.
    pub(super) fn holds(&self, item: &Item<'_>) -> Result<bool, Problem> {
        Ok(match self {
            Self::All(all) => {
                for filter in all {
                    if !filter.holds(item)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Any(any) => {
                for filter in any {
                    if filter.holds(item)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(filter) => !filter.holds(item)?,
            Self::Equals { path, literal, negated } => {
                let member = value(item, path)?;
                equals(&member, literal).ok_or_else(|| not_plain(path))? != *negated
            }
            Self::Matches { path, place, text } => match value(item, path)? {
                Member::Text(value) => {
                    let (value, text) = (model::fold(&value), model::fold(text));
                    match place {
                        Match::Anywhere => value.contains(&*text),
                        Match::Start => value.starts_with(&*text),
                        Match::End => value.ends_with(&*text),
                    }
                }
                Member::Null => false,
                _ => return Err(not_plain(path)),
            },
        })
    }
}

fn not_plain(path: &[String]) -> Problem {
    let what = format!("comparing '{}' in $filter", path.join("/")).into();
    fault::of_query(query::Error::Refused { what })
}

/// The member at a path; null where only other types have it.
fn value<'a>(item: &Item<'a>, path: &[String]) -> Result<Member<'a>, Problem> {
    let unknown = || {
        fault::of_query(query::Error::UnknownColumn {
            table: item.type_name().into(),
            name: path.join("/").into(),
        })
    };
    let Some((first, rest)) = path.split_first() else { return Err(unknown()) };
    let Some(mut member) = item.member(first) else {
        // Selecting tells whether another type of the same collection has it.
        let selected = wire::metadata::write_members(&mut Vec::new(), item, Some(&[first]), &[]);
        return selected.map(|()| Member::Null).map_err(|_| unknown());
    };
    for name in rest {
        member = member.path(name).ok_or_else(unknown)?;
    }
    Ok(member)
}

/// Whether a plain member equals a literal; none when it is no plain value.
fn equals(member: &Member<'_>, literal: &Literal) -> Option<bool> {
    Some(match (member, literal) {
        (Member::Null, literal) => *literal == Literal::Null,
        (_, Literal::Null) => false,
        (Member::Boolean(value), literal) => *literal == Literal::Boolean(*value),
        (Member::Integer(value), literal) => *literal == Literal::Number(*value),
        (Member::Guid(value), Literal::Text(text)) => Uuid::try_parse(text) == Ok(*value),
        (Member::Guid(value), literal) => *literal == Literal::Guid(*value),
        (Member::Text(value), Literal::Text(text)) => **value == **text,
        (Member::Text(value), Literal::Guid(id)) => Uuid::try_parse(value) == Ok(*id),
        (Member::Text(_), _) => false,
        _ => return None,
    })
}

struct Parser<'a> {
    text: &'a str,
    options: &'a Options,
    pieces: &'a [Piece],
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.pieces.get(self.next).map_or(&Token::End, |piece| &piece.token)
    }

    fn syntax(&self) -> Problem {
        let end = self.pieces.last().map_or(0, |piece| piece.position);
        let position = self.pieces.get(self.next).map_or(end, |piece| piece.position);
        fault::of_query(query::Error::Syntax { position, text: self.text.into() })
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(word) if word == keyword);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: char) -> Result<(), Problem> {
        if *self.peek() != Token::Sign(sign) {
            return Err(self.syntax());
        }
        self.next += 1;
        Ok(())
    }

    fn any(&mut self) -> Result<Filter, Problem> {
        let mut any = vec![self.all()?];
        while self.keyword("or") {
            any.push(self.all()?);
        }
        Ok(Filter::Any(any))
    }

    fn all(&mut self) -> Result<Filter, Problem> {
        let mut all = vec![self.one()?];
        while self.keyword("and") {
            all.push(self.one()?);
        }
        Ok(Filter::All(all))
    }

    fn one(&mut self) -> Result<Filter, Problem> {
        if self.depth >= FILTER_DEPTH_MAX {
            return Err(fault::of_query(query::Error::TooDeep));
        }
        self.depth += 1;
        let filter = if self.keyword("not") {
            Filter::Not(Box::new(self.one()?))
        } else if *self.peek() == Token::Sign('(') {
            self.next += 1;
            let inner = self.any()?;
            self.sign(')')?;
            inner
        } else {
            self.condition()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn condition(&mut self) -> Result<Filter, Problem> {
        let path = self.path()?;
        if *self.peek() == Token::Sign('(') {
            let [function] = path.as_slice() else { return Err(self.syntax()) };
            let place = match &**function {
                "contains" => Match::Anywhere,
                "startswith" => Match::Start,
                "endswith" => Match::End,
                _ => {
                    let name = function.as_str().into();
                    return Err(fault::of_query(query::Error::UnknownFunction { name }));
                }
            };
            self.next += 1;
            let path = self.path()?;
            self.sign(',')?;
            let Literal::Text(text) = self.literal()? else { return Err(self.syntax()) };
            self.sign(')')?;
            return Ok(Filter::Matches { path, place, text });
        }
        let negated = match self.peek() {
            Token::Word(word) if word == "eq" => false,
            Token::Word(word) if word == "ne" => true,
            Token::Word(word) if matches!(&**word, "gt" | "ge" | "lt" | "le") => {
                let what = format!("operator '{word}' in $filter of definitions").into();
                return Err(fault::of_query(query::Error::Refused { what }));
            }
            _ => return Err(self.syntax()),
        };
        self.next += 1;
        let literal = self.literal()?;
        Ok(Filter::Equals { path, literal, negated })
    }

    fn path(&mut self) -> Result<Vec<String>, Problem> {
        let mut path = Vec::new();
        loop {
            let Token::Word(name) = self.peek() else { return Err(self.syntax()) };
            path.push(name.clone());
            self.next += 1;
            if *self.peek() != Token::Sign('/') {
                return Ok(path);
            }
            self.next += 1;
        }
    }

    fn literal(&mut self) -> Result<Literal, Problem> {
        let literal = match self.peek() {
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Word(word) => match &**word {
                "null" => Literal::Null,
                "true" => Literal::Boolean(true),
                "false" => Literal::Boolean(false),
                alias if alias.starts_with('@') => self.alias(alias)?,
                bare => {
                    let guid = bare.trim_start_matches('{').trim_end_matches('}');
                    if let Ok(id) = Uuid::try_parse(guid) {
                        Literal::Guid(id)
                    } else if let Ok(number) = bare.parse() {
                        Literal::Number(number)
                    } else {
                        return self.enumeration();
                    }
                }
            },
            _ => return Err(self.syntax()),
        };
        self.next += 1;
        Ok(literal)
    }

    /// `Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned'`
    fn enumeration(&mut self) -> Result<Literal, Problem> {
        self.next += 1;
        let Token::Text(member) = self.peek() else {
            self.next -= 1;
            return Err(self.syntax());
        };
        let literal = Literal::Text(member.clone());
        self.next += 1;
        Ok(literal)
    }

    fn alias(&self, name: &str) -> Result<Literal, Problem> {
        let Some(text) = self.options.get(name) else { return Ok(Literal::Null) };
        if text.starts_with('@') {
            return Err(self.syntax());
        }
        let pieces = lexer::pieces(text).map_err(fault::of_query)?;
        let mut inner = Parser { text, options: self.options, pieces: &pieces, next: 0, depth: 0 };
        let literal = inner.literal()?;
        match inner.peek() {
            Token::End => Ok(literal),
            _ => Err(inner.syntax()),
        }
    }
}
