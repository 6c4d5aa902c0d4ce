//! The pieces of a filter text.
//!
//! A *word* is a run of letters, digits and the signs that occur inside names, numbers, dates and
//! guids; what it means is decided by whoever reads it. Not here: grammar, types.

use crate::Error;
use std::iter::Peekable;
use std::str::Chars;

/// One piece of a filter text.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name, keyword, number, date or guid.
    Word(String),
    /// A text in single quotes, unescaped.
    Text(String),
    /// A text in double quotes, unescaped; only inside `[…]`.
    JsonText(String),
    /// One of `( ) , / = [ ]`.
    Sign(char),
    /// The end of the text.
    End,
}

/// A token and where it starts, in characters.
#[derive(Clone, Debug)]
pub struct Piece {
    pub token: Token,
    pub position: usize,
}

/// Cuts a text into tokens; the last one is [`Token::End`].
pub fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let mut scan = Scan { text, rest: text.chars().peekable(), position: 0 };
    let mut pieces = Vec::new();
    loop {
        while scan.rest.peek().is_some_and(|next| next.is_whitespace()) {
            scan.take();
        }
        let position = scan.position;
        let token = scan.token()?;
        let ended = token == Token::End;
        pieces.push(Piece { token, position });
        if ended {
            return Ok(pieces);
        }
    }
}

struct Scan<'a> {
    text: &'a str,
    rest: Peekable<Chars<'a>>,
    position: usize,
}

impl Scan<'_> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.position += usize::from(next.is_some());
        next
    }

    fn bad(&self) -> Error {
        Error::Syntax { position: self.position, text: self.text.into() }
    }

    fn token(&mut self) -> Result<Token, Error> {
        let Some(next) = self.rest.peek().copied() else { return Ok(Token::End) };
        match next {
            '(' | ')' | ',' | '/' | '=' | '[' | ']' => {
                self.take();
                Ok(Token::Sign(next))
            }
            '\'' => self.quoted(),
            '"' => self.json_quoted(),
            _ if in_word(next) => {
                let mut word = String::new();
                while let Some(part) = self.rest.peek().copied().filter(|part| in_word(*part)) {
                    word.push(part);
                    self.take();
                }
                Ok(Token::Word(word))
            }
            _ => Err(self.bad()),
        }
    }

    /// `'it''s'`
    fn quoted(&mut self) -> Result<Token, Error> {
        self.take();
        let mut text = String::new();
        loop {
            match self.take().ok_or_else(|| self.bad())? {
                '\'' if self.rest.peek() == Some(&'\'') => {
                    self.take();
                    text.push('\'');
                }
                '\'' => return Ok(Token::Text(text)),
                part => text.push(part),
            }
        }
    }

    /// `"say \"so\""`, with the escapes of JSON.
    fn json_quoted(&mut self) -> Result<Token, Error> {
        self.take();
        let mut text = String::new();
        loop {
            match self.take().ok_or_else(|| self.bad())? {
                '"' => return Ok(Token::JsonText(text)),
                '\\' => text.push(self.json_escape()?),
                part => text.push(part),
            }
        }
    }

    fn json_escape(&mut self) -> Result<char, Error> {
        let plain = match self.take().ok_or_else(|| self.bad())? {
            same @ ('"' | '\\' | '/') => same,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.json_character(),
            _ => return Err(self.bad()),
        };
        Ok(plain)
    }

    /// Four hex digits, or twice four for a surrogate pair.
    fn json_character(&mut self) -> Result<char, Error> {
        let first = self.json_unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.bad());
        }
        if self.take() != Some('\\') || self.take() != Some('u') {
            return Err(self.bad());
        }
        let second = self.json_unit()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(self.bad());
        }
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        char::from_u32(code).ok_or_else(|| self.bad())
    }

    fn json_unit(&mut self) -> Result<u32, Error> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.take().and_then(|digit| digit.to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.bad())?;
        }
        Ok(unit)
    }
}

fn in_word(part: char) -> bool {
    part.is_alphanumeric() || matches!(part, '_' | '.' | '-' | ':' | '{' | '}' | '+' | '@' | '*')
}
