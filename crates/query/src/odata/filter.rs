//! `$filter`: read by recursive descent and bound in the same pass.
//!
//! The tree keeps the shape of the text: a chain of `and`s is one [`Filter::And`], parentheses nest.
//! `not` becomes the exact complement ([`negate`]), so that it includes rows with nulls. Literal texts
//! of `contains` and its like are LIKE patterns (`pattern`).
//! Not here: tokens (`lexer`), types of literals (`literal`), query functions (`filter/function`),
//! collections (`filter/lambda`).

mod function;
mod lambda;
pub(crate) mod leaf;
mod several;

use super::lexer::{self, Piece, Token};
use super::literal::{self, Literal};
use super::{Options, limits};
use crate::operator::Place;
use crate::scope::Scope;
use crate::{ColumnRef, Compare, Error, Filter};
use lambda::Range;
use several::Choice;

/// Reads and binds `$filter`; none when it is absent.
pub(super) fn parse(scope: &mut Scope, options: &Options) -> Result<Option<Filter>, Error> {
    let Some(text) = options.get("$filter").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let mut parser = Parser::new(scope, options, text)?;
    let filter = parser.any_of()?;
    parser.end()?;
    Ok(Some(filter))
}

/// The filter that holds for exactly the other rows: negation goes down to the operators.
pub fn negate(filter: Filter) -> Filter {
    match filter {
        Filter::And(all) => Filter::Or(all.into_iter().map(negate).collect()),
        Filter::Or(any) => Filter::And(any.into_iter().map(negate).collect()),
        Filter::Compare { column, compare, value } => {
            let other = Filter::Compare { column, compare: opposite(compare), value };
            match compare {
                Compare::Equal | Compare::NotEqual => other,
                _ => Filter::Or(vec![other, Filter::IsNull { column, negated: false }]),
            }
        }
        Filter::CompareColumns { left, compare, right } => {
            let other = Filter::CompareColumns { left, compare: opposite(compare), right };
            let left = Filter::IsNull { column: left, negated: false };
            let right = Filter::IsNull { column: right, negated: false };
            match compare {
                // Two nulls are neither equal nor not equal.
                Compare::Equal | Compare::NotEqual => {
                    Filter::Or(vec![other, Filter::And(vec![left, right])])
                }
                _ => Filter::Or(vec![other, left, right]),
            }
        }
        Filter::CompareOuter { column, compare, levels, outer, negated } => {
            Filter::CompareOuter { column, compare, levels, outer, negated: !negated }
        }
        Filter::IsNull { column, negated } => Filter::IsNull { column, negated: !negated },
        Filter::In { column, values, negated } => Filter::In { column, values, negated: !negated },
        Filter::Text { column, matches, text, negated } => {
            Filter::Text { column, matches, text, negated: !negated }
        }
        Filter::Like { column, pattern, negated } => {
            Filter::Like { column, pattern, negated: !negated }
        }
        Filter::Ranges { column, bounds, negated } => {
            Filter::Ranges { column, bounds, negated: !negated }
        }
        Filter::Choices { column, values, negated } => {
            Filter::Choices { column, values, negated: !negated }
        }
        Filter::Hierarchy(mut hierarchy) => {
            hierarchy.negated = !hierarchy.negated;
            Filter::Hierarchy(hierarchy)
        }
        Filter::Exists(exists) => exists.negate().into(),
    }
}

fn opposite(compare: Compare) -> Compare {
    match compare {
        Compare::Equal => Compare::NotEqual,
        Compare::NotEqual => Compare::Equal,
        Compare::Greater => Compare::LessOrEqual,
        Compare::GreaterOrEqual => Compare::Less,
        Compare::Less => Compare::GreaterOrEqual,
        Compare::LessOrEqual => Compare::Greater,
    }
}

/// One side of an operator.
enum Operand {
    Column(ColumnRef),
    /// One of these columns, whichever is of the record that is meant.
    Several(Vec<Choice>),
    Literal(Literal),
}

struct Parser<'a> {
    scope: &'a mut Scope,
    options: &'a Options,
    text: &'a str,
    range: Range,
    pieces: Vec<Piece>,
    next: usize,
    depth: usize,
    /// How many `not`s stand around the present place.
    nots: usize,
    /// Their number is odd: the other rows are wanted.
    negated: bool,
    conditions: usize,
}

impl<'a> Parser<'a> {
    fn new(scope: &'a mut Scope, options: &'a Options, text: &'a str) -> Result<Self, Error> {
        let pieces = lexer::pieces(text)?;
        Ok(Self {
            scope,
            options,
            text,
            range: Range::root(),
            pieces,
            next: 0,
            depth: 0,
            nots: 0,
            negated: false,
            conditions: 0,
        })
    }

    fn peek(&self) -> &Token {
        self.peek_after(0)
    }

    fn peek_after(&self, count: usize) -> &Token {
        self.pieces.get(self.next + count).map_or(&Token::End, |piece| &piece.token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn syntax(&self) -> Error {
        let end = self.pieces.last().map_or(0, |piece| piece.position);
        let position = self.pieces.get(self.next).map_or(end, |piece| piece.position);
        Error::Syntax { position, text: self.text.into() }
    }

    fn end(&self) -> Result<(), Error> {
        match self.peek() {
            Token::End => Ok(()),
            Token::Word(word) if matches!(&**word, "add" | "sub" | "mul" | "div" | "mod") => {
                Err(Error::refused(format!("arithmetic `{word}` in $filter")))
            }
            Token::Word(word) if matches!(&**word, "in" | "has") => {
                Err(Error::refused(format!("operator `{word}` in $filter")))
            }
            _ => Err(self.syntax()),
        }
    }

    fn sign(&mut self, sign: char) -> Result<(), Error> {
        if *self.peek() != Token::Sign(sign) {
            return Err(self.syntax());
        }
        self.next += 1;
        Ok(())
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(word) if word == keyword);
        self.next += usize::from(found);
        found
    }

    fn any_of(&mut self) -> Result<Filter, Error> {
        let first = self.all_of()?;
        let mut any = vec![first];
        while self.keyword("or") {
            any.push(self.all_of()?);
        }
        Ok(one_or(any, if self.negated { Filter::And } else { Filter::Or }))
    }

    fn all_of(&mut self) -> Result<Filter, Error> {
        let first = self.negatable()?;
        let mut all = vec![first];
        while self.keyword("and") {
            all.push(self.negatable()?);
        }
        Ok(one_or(all, if self.negated { Filter::Or } else { Filter::And }))
    }

    fn negatable(&mut self) -> Result<Filter, Error> {
        if self.depth >= limits::FILTER_DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        let filter = if self.keyword("not") {
            // Only the last of several counts, so that they cannot make the tree grow.
            self.nots += 1;
            self.negated = !self.negated;
            let inner = self.negatable()?;
            self.negated = !self.negated;
            self.nots -= 1;
            inner
        } else if *self.peek() == Token::Sign('(') {
            self.next += 1;
            let inner = self.any_of()?;
            // What follows a closed group can only be a sign of what is not honoured.
            if *self.peek() != Token::Sign(')') {
                self.end()?;
            }
            self.sign(')')?;
            inner
        } else {
            self.count_condition()?;
            let condition = self.condition()?;
            if self.negated { negate(condition) } else { condition }
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn count_condition(&mut self) -> Result<(), Error> {
        self.conditions += 1;
        if self.conditions > limits::CONDITIONS_MAX {
            return Err(Error::TooManyConditions);
        }
        Ok(())
    }

    fn condition(&mut self) -> Result<Filter, Error> {
        if let (Token::Word(name), Token::Sign('(')) = (self.peek(), self.peek_after(1))
            && name != "tolower"
        {
            let name = name.clone();
            self.next += 2;
            return self.call(&name);
        }
        if let Some(filter) = self.behind_a_path()? {
            return Ok(filter);
        }
        let left = self.operand()?;
        let compare = match self.peek() {
            Token::Word(word) => match &**word {
                "eq" => Compare::Equal,
                "ne" => Compare::NotEqual,
                "gt" => Compare::Greater,
                "ge" => Compare::GreaterOrEqual,
                "lt" => Compare::Less,
                "le" => Compare::LessOrEqual,
                _ => {
                    self.end()?;
                    return Err(self.syntax());
                }
            },
            Token::End | Token::Sign(')') => {
                return Err(match left {
                    Operand::Column(_) | Operand::Several(_) => {
                        Error::refused("a column without operator in $filter")
                    }
                    Operand::Literal(_) => self.syntax(),
                });
            }
            _ => return Err(self.syntax()),
        };
        self.next += 1;
        let right = self.operand()?;
        match (left, right) {
            (Operand::Column(left), Operand::Column(right)) => {
                let sides = (self.scope.column(left), self.scope.column(right));
                leaf::columns(sides, left, compare, right)
            }
            (Operand::Column(column), Operand::Literal(literal)) => {
                self.against(column, compare, literal, leaf::Side::Left)
            }
            (Operand::Literal(literal), Operand::Column(column)) => {
                self.against(column, flipped(compare), literal, leaf::Side::Right)
            }
            (Operand::Several(choices), Operand::Literal(literal)) => {
                several::any_of(&choices, |column| {
                    self.against(column, compare, literal.clone(), leaf::Side::Left)
                })
            }
            (Operand::Literal(literal), Operand::Several(choices)) => {
                several::any_of(&choices, |column| {
                    self.against(column, flipped(compare), literal.clone(), leaf::Side::Right)
                })
            }
            (Operand::Several(_), _) | (_, Operand::Several(_)) => Err(Error::refused(
                "a comparison of a column with one behind a lookup to several tables in $filter",
            )),
            (Operand::Literal(_), Operand::Literal(_)) => {
                Err(Error::refused("a comparison of two literals in $filter"))
            }
        }
    }

    fn against(
        &self,
        column: ColumnRef,
        compare: Compare,
        literal: Literal,
        side: leaf::Side,
    ) -> Result<Filter, Error> {
        let definition = self.scope.column(column);
        let literal = literal.table_named(definition, &self.scope.catalog);
        leaf::compare(definition, column, compare, &literal, side)
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        let position = self.next;
        let token = self.take();
        let operand = match &token {
            Token::Word(name) if name.starts_with('@') => self.alias(name)?,
            Token::Word(word) => self.word(word)?,
            _ => literal::of_token(&token).map(Operand::Literal),
        };
        operand.ok_or_else(|| {
            self.next = position;
            self.syntax()
        })
    }

    /// A literal, a column, or a path to a column.
    fn word(&mut self, word: &str) -> Result<Option<Operand>, Error> {
        if let Some(literal) = literal::of_word(word) {
            return Ok(Some(Operand::Literal(literal)));
        }
        if matches!(word, "eq" | "ne" | "gt" | "ge" | "lt" | "le" | "and" | "or") {
            return Ok(None);
        }
        // Comparison knows no case: the function changes nothing.
        if word == "tolower" && *self.peek() == Token::Sign('(') {
            if self.depth >= limits::FILTER_DEPTH_MAX {
                return Err(Error::TooDeep);
            }
            self.next += 1;
            self.depth += 1;
            let inner = self.operand()?;
            self.depth -= 1;
            self.sign(')')?;
            return Ok(Some(inner));
        }
        if *self.peek() == Token::Sign('/') {
            return self.path(word).map(Some);
        }
        self.column(word).map(Operand::Column).map(Some)
    }

    /// A lambda or a query function behind a path, if the next words are one.
    fn behind_a_path(&mut self) -> Result<Option<Filter>, Error> {
        let Token::Word(first) = self.peek() else { return Ok(None) };
        let mut path = first.clone();
        let mut ahead = 1;
        while let (Token::Sign('/'), Token::Word(word)) =
            (self.peek_after(ahead), self.peek_after(ahead + 1))
        {
            let (word, ends) = (word.clone(), *self.peek_after(ahead + 2) == Token::Sign('('));
            ahead += 2;
            if ends && matches!(&*word, "any" | "all") {
                self.next += ahead + 1;
                return self.lambda(&path, word == "all").map(Some);
            }
            if ends && word.starts_with(function::NAMESPACE) {
                self.next += ahead + 1;
                let mut source = self.range.source;
                let is_variable = self.range.variable.as_ref() == Some(&path);
                let relative = if is_variable { "" } else { self.relative(&path)? };
                for step in relative.split('/').filter(|step| !step.is_empty()) {
                    source = self.scope.navigate(source, step)?;
                }
                return self.query_function(&word, source).map(Some);
            }
            path.push('/');
            path.push_str(&word);
        }
        Ok(None)
    }

    /// The path that begins with this word, the next token being a slash.
    fn path(&mut self, word: &str) -> Result<Operand, Error> {
        let mut path = word.to_owned();
        while let (Token::Sign('/'), Token::Word(word)) = (self.peek(), self.peek_after(1)) {
            path.push('/');
            path.push_str(word);
            self.next += 2;
        }
        if *self.peek() == Token::Sign('/') {
            return Err(self.syntax());
        }
        if *self.peek() == Token::Sign('(') {
            return Err(Error::refused(format!(
                "function `{path}` of a navigation path in $filter"
            )));
        }
        match self.several(&path)? {
            Some(choices) => Ok(Operand::Several(choices)),
            None => self.column(&path).map(Operand::Column),
        }
    }

    fn column(&mut self, path: &str) -> Result<ColumnRef, Error> {
        let relative = self.relative(path)?;
        self.scope.path_from(self.range.source, relative)
    }

    /// `@p`: a literal or a column in an option of that name; null when there is none.
    fn alias(&mut self, name: &str) -> Result<Option<Operand>, Error> {
        let Some(text) = self.options.get(name) else {
            return Ok(Some(Operand::Literal(Literal::Null)));
        };
        let pieces = lexer::pieces(text)?;
        let bad = || Error::Syntax { position: 0, text: text.into() };
        let [piece, Piece { token: Token::End, .. }] = pieces.as_slice() else {
            return Err(bad());
        };
        if let Some(literal) = literal::of_token(&piece.token) {
            return Ok(Some(Operand::Literal(literal)));
        }
        match &piece.token {
            Token::Word(word) if !word.starts_with('@') => {
                self.column(word).map(Operand::Column).map(Some)
            }
            _ => Err(bad()),
        }
    }

    /// What follows `name(`.
    fn call(&mut self, name: &str) -> Result<Filter, Error> {
        let matches = match name {
            "contains" => Place::Anywhere,
            "startswith" => Place::Start,
            "endswith" => Place::End,
            // Inside of a lambda a function hangs on the range variable.
            _ if self.range.variable.is_some() && name.starts_with(function::NAMESPACE) => {
                return Err(Error::refused(format!("function `{name}` without range variable")));
            }
            _ => return self.query_function(name, 0),
        };
        let arguments = |why| Error::BadArguments { name: name.into(), why };
        let first = self.operand()?;
        self.sign(',')?;
        let Operand::Literal(literal) = self.operand()? else {
            return Err(arguments("the second one is a text"));
        };
        self.sign(')')?;
        let matching =
            |column| leaf::matches(self.scope.column(column), column, matches, name, &literal);
        match first {
            Operand::Column(column) => matching(column),
            Operand::Several(choices) => several::any_of(&choices, matching),
            Operand::Literal(_) => Err(arguments("the first one is a column")),
        }
    }
}

fn flipped(compare: Compare) -> Compare {
    match compare {
        Compare::Equal | Compare::NotEqual => compare,
        Compare::Greater => Compare::Less,
        Compare::GreaterOrEqual => Compare::LessOrEqual,
        Compare::Less => Compare::Greater,
        Compare::LessOrEqual => Compare::GreaterOrEqual,
    }
}

/// The only one of a list, or the list as a whole.
fn one_or(mut list: Vec<Filter>, all: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match list.len() {
        1 => list.remove(0),
        _ => all(list),
    }
}
