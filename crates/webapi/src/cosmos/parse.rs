//! The query language over documents, as far as bulk.md 7.10 asks for it: text to [`Select`].
//!
//! Keywords are case-insensitive, paths are not. Parameters are put in while reading.
//! Not here: what a query means for a document (`evaluate`).
//! Invariant: what is not understood is refused with its place; nesting is bounded.

use serde_json::Value;
use std::collections::HashMap;

/// Parentheses, `not` and the like inside each other, at most.
const DEPTH_MAX: usize = 64;

/// A query.
#[derive(Debug, PartialEq)]
pub(super) struct Select {
    /// Results in all, at most.
    pub(super) top: Option<usize>,
    pub(super) items: Items,
    pub(super) filter: Option<Expr>,
    /// Sort keys; true is descending.
    pub(super) order: Vec<(Expr, bool)>,
}

/// What a result holds.
#[derive(Debug, PartialEq)]
pub(super) enum Items {
    /// `*`: the whole document.
    All,
    /// The number of documents, under this name.
    Count(String),
    /// Values by name.
    Named(Vec<(String, Expr)>),
}

#[derive(Debug, PartialEq)]
pub(super) enum Expr {
    /// Steps below the document.
    Path(Vec<Step>),
    Literal(Value),
    Compare(Box<Expr>, Compare, Box<Expr>),
    /// Flat, however many there are: only what is nested costs stack.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    IsDefined,
    IsNull,
    StartsWith,
    Contains,
    Lower,
    Upper,
}

/// Name, function, number of arguments.
const FUNCTIONS: [(&str, Function, usize); 6] = [
    ("is_defined", Function::IsDefined, 1),
    ("is_null", Function::IsNull, 1),
    ("startswith", Function::StartsWith, 2),
    ("contains", Function::Contains, 2),
    ("lower", Function::Lower, 1),
    ("upper", Function::Upper, 1),
];

/// Words that name neither a document nor a result.
const KEYWORDS: [&str; 17] = [
    "select", "top", "as", "from", "where", "order", "by", "asc", "desc", "and", "or", "not", "in",
    "between", "true", "false", "null",
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Number(Value),
    Text(String),
    Parameter(String),
    Symbol(&'static str),
}

/// Longer ones first.
const SYMBOLS: [&str; 14] =
    ["<=", ">=", "<>", "!=", "<", ">", "=", ",", ".", "(", ")", "*", "[", "]"];

/// Reads a query; `parameters` by name, with their `@`.
///
/// Errors: what is wrong and where, for the caller.
pub(super) fn parse(text: &str, parameters: &HashMap<String, Value>) -> Result<Select, String> {
    let mut this = Parser { tokens: tokens(text)?, next: 0, alias: String::new(), parameters };
    let select = this.select()?;
    match this.tokens.get(this.next) {
        None => Ok(select),
        Some((place, _)) => Err(format!("Syntax error at position {place}.")),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let place = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let is_word = |character: char| character.is_alphanumeric() || character == '_';

        let (token, length) = if let '\'' | '"' = first {
            let (text, length) = quoted(rest, first)
                .ok_or_else(|| format!("The text at position {place} has no end."))?;
            (Token::Text(text), length)
        } else if let Some(name) = rest.strip_prefix('@') {
            let (name, _) = cut(name, is_word);
            (Token::Parameter(format!("@{name}")), name.len() + 1)
        } else if first.is_ascii_digit() || first == '-' {
            let numeric = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '-' | '+');
            let (number, _) = cut(rest, numeric);
            let value = serde_json::from_str(number)
                .map_err(|_| format!("'{number}' at position {place} is no number."))?;
            (Token::Number(value), number.len())
        } else if is_word(first) {
            let (word, _) = cut(rest, is_word);
            (Token::Word(word.to_owned()), word.len())
        } else {
            let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
            let symbol = symbol
                .ok_or_else(|| format!("Unexpected character '{first}' at position {place}."))?;
            (Token::Symbol(symbol), symbol.len())
        };
        tokens.push((place, token));
        rest = rest.split_at(length).1;
    }
}

/// The characters at the start that fit, and the rest.
fn cut(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|one| !fits(one)).unwrap_or(text.len()))
}

/// The text between quotes, and how long it is with them. A backslash escapes one character.
fn quoted(from: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = from.char_indices().skip(1);
    while let Some((place, character)) = characters.next() {
        match character {
            '\\' => match characters.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                other => text.push(other),
            },
            _ if character == quote => return Some((text, place + character.len_utf8())),
            _ => text.push(character),
        }
    }
    None
}

struct Parser<'a> {
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// What the query calls the document.
    alias: String,
    parameters: &'a HashMap<String, Value>,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn fail<T>(&self, wanted: &str) -> Parsed<T> {
        Err(match self.tokens.get(self.next) {
            Some((place, _)) => format!("Syntax error at position {place}: {wanted} is expected."),
            None => format!("The query ends where {wanted} is expected."),
        })
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(known)) if known.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.next += usize::from(is);
        is
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Symbol(known)) if *known == symbol);
        self.next += usize::from(is);
        is
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.symbol(symbol) { Ok(()) } else { self.fail(&format!("'{symbol}'")) }
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.word(word) { Ok(()) } else { self.fail(&format!("'{word}'")) }
    }

    /// A name that is no keyword.
    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Token::Word(word)) if !is_keyword(word) => {
                let word = word.clone();
                self.next += 1;
                Ok(word)
            }
            _ => self.fail("a name"),
        }
    }

    fn select(&mut self) -> Parsed<Select> {
        self.expect_word("select")?;
        let top = match self.word("top") {
            true => Some(self.count()?),
            false => None,
        };
        self.alias = self.alias_ahead()?;
        let items = self.items()?;
        self.expect_word("from")?;
        self.name()?;
        let filter = match self.word("where") {
            true => Some(self.any(0)?),
            false => None,
        };
        let mut order = Vec::new();
        if self.word("order") {
            self.expect_word("by")?;
            loop {
                let path = self.path()?;
                let descending = !self.word("asc") && self.word("desc");
                order.push((path, descending));
                if !self.symbol(",") {
                    break;
                }
            }
        }
        if matches!(items, Items::Count(_)) && (top.is_some() || !order.is_empty()) {
            return Err("A count takes neither TOP nor ORDER BY.".to_owned());
        }
        Ok(Select { top, items, filter, order })
    }

    /// The name behind `from`: paths before it begin with it.
    fn alias_ahead(&self) -> Parsed<String> {
        let from = |(_, token): &(usize, Token)| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("from"));
        let place = self.tokens.iter().position(from);
        match place.and_then(|place| self.tokens.get(place + 1)) {
            Some((_, Token::Word(name))) if !is_keyword(name) => Ok(name.clone()),
            _ => Err("The query does not say FROM what it selects.".to_owned()),
        }
    }

    fn count(&mut self) -> Parsed<usize> {
        match self.peek() {
            Some(Token::Number(number)) if number.is_u64() => {
                let count = number.as_u64().and_then(|count| usize::try_from(count).ok());
                self.next += 1;
                Ok(count.unwrap_or(usize::MAX))
            }
            _ => self.fail("a number"),
        }
    }

    fn items(&mut self) -> Parsed<Items> {
        if self.symbol("*") {
            return Ok(Items::All);
        }
        if self.word("count") {
            self.expect("(")?;
            if self.count()? != 1 {
                return Err("COUNT takes 1 only.".to_owned());
            }
            self.expect(")")?;
            return Ok(Items::Count(self.result_name()?.unwrap_or_else(|| "$1".to_owned())));
        }
        let mut named: Vec<(String, Expr)> = Vec::new();
        loop {
            let value = match self.peek() {
                Some(Token::Word(word)) if *word == self.alias => self.path()?,
                _ => self.literal()?,
            };
            let own = match &value {
                Expr::Path(steps) => steps.iter().rev().find_map(|step| match step {
                    Step::Name(name) => Some(name.clone()),
                    Step::Index(_) => None,
                }),
                _ => None,
            };
            let place = format!("${}", named.len() + 1);
            let name = self.result_name()?.or(own).unwrap_or(place);
            if named.iter().any(|(known, _)| *known == name) {
                return Err(format!("Two results are called '{name}'."));
            }
            named.push((name, value));
            if !self.symbol(",") {
                return Ok(Items::Named(named));
            }
        }
    }

    fn result_name(&mut self) -> Parsed<Option<String>> {
        match self.word("as") {
            true => self.name().map(Some),
            false => Ok(None),
        }
    }

    fn any(&mut self, depth: usize) -> Parsed<Expr> {
        let mut parts = vec![self.all(depth)?];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Or(parts) })
    }

    fn all(&mut self, depth: usize) -> Parsed<Expr> {
        let mut parts = vec![self.negated(depth)?];
        while self.word("and") {
            parts.push(self.negated(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::And(parts) })
    }

    fn negated(&mut self, depth: usize) -> Parsed<Expr> {
        if depth > DEPTH_MAX {
            return Err(format!("The query is nested more than {DEPTH_MAX} levels deep."));
        }
        match self.word("not") {
            true => Ok(Expr::Not(Box::new(self.negated(depth + 1)?))),
            false => self.condition(depth),
        }
    }

    fn condition(&mut self, depth: usize) -> Parsed<Expr> {
        let left = self.operand(depth)?;
        let negated = self.word("not");
        if self.word("in") {
            self.expect("(")?;
            let mut values = vec![self.operand(depth)?];
            while self.symbol(",") {
                values.push(self.operand(depth)?);
            }
            self.expect(")")?;
            return Ok(not_if(negated, Expr::In(Box::new(left), values)));
        }
        if self.word("between") {
            let low = self.operand(depth)?;
            self.expect_word("and")?;
            let high = self.operand(depth)?;
            let between = Expr::Between(Box::new(left), Box::new(low), Box::new(high));
            return Ok(not_if(negated, between));
        }
        if negated {
            return self.fail("'in' or 'between'");
        }
        let compares = [
            ("=", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<>", Compare::NotEqual),
            ("<", Compare::Less),
            ("<=", Compare::LessOrEqual),
            (">", Compare::Greater),
            (">=", Compare::GreaterOrEqual),
        ];
        let compare = compares.into_iter().find(|(symbol, _)| self.symbol(symbol));
        Ok(match compare {
            Some((_, compare)) => {
                Expr::Compare(Box::new(left), compare, Box::new(self.operand(depth)?))
            }
            None => left,
        })
    }

    fn operand(&mut self, depth: usize) -> Parsed<Expr> {
        if self.symbol("(") {
            let inside = self.any(depth + 1)?;
            self.expect(")")?;
            return Ok(inside);
        }
        let Some(Token::Word(word)) = self.peek() else { return self.literal() };
        if *word == self.alias {
            return self.path();
        }
        let called = FUNCTIONS.into_iter().find(|(name, ..)| word.eq_ignore_ascii_case(name));
        let Some((name, function, count)) = called else { return self.literal() };
        self.next += 1;
        self.expect("(")?;
        if depth > DEPTH_MAX {
            return Err(format!("The query is nested more than {DEPTH_MAX} levels deep."));
        }
        let mut arguments = vec![self.operand(depth + 1)?];
        while self.symbol(",") {
            arguments.push(self.operand(depth + 1)?);
        }
        self.expect(")")?;
        if arguments.len() != count {
            return Err(format!("The function '{name}' takes {count} arguments."));
        }
        Ok(Expr::Call(function, arguments))
    }

    fn literal(&mut self) -> Parsed<Expr> {
        let value = match self.peek() {
            Some(Token::Number(number)) => number.clone(),
            Some(Token::Text(text)) => Value::from(text.as_str()),
            Some(Token::Parameter(name)) => match self.parameters.get(name) {
                Some(value) => value.clone(),
                None => return Err(format!("The parameter '{name}' has no value.")),
            },
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return Err(format!("'{word}' is not supported in a query.")),
            },
            _ => return self.fail("a value"),
        };
        self.next += 1;
        Ok(Expr::Literal(value))
    }

    /// `c.props.name.member[0]["x"]`
    fn path(&mut self) -> Parsed<Expr> {
        if self.name()? != self.alias {
            self.next -= 1;
            return self.fail(&format!("'{}'", self.alias));
        }
        let mut steps = Vec::new();
        loop {
            if self.symbol(".") {
                match self.peek() {
                    // Behind a point, a keyword is a name.
                    Some(Token::Word(word)) => steps.push(Step::Name(word.clone())),
                    _ => return self.fail("a name"),
                }
                self.next += 1;
            } else if self.symbol("[") {
                match self.peek() {
                    Some(Token::Text(name)) => {
                        steps.push(Step::Name(name.clone()));
                        self.next += 1;
                    }
                    _ => steps.push(Step::Index(self.count()?)),
                }
                self.expect("]")?;
            } else {
                return Ok(Expr::Path(steps));
            }
        }
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn not_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}
