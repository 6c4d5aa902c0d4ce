//! Bytes that are wrong on purpose, made of bytes that are not.
//!
//! Not here: what the bytes mean. Invariant: a seed gives the same bytes again; what comes out is at most
//! [`BYTES_MAX`] long.

use testkit::draw::Draw;

/// The longest input: a little more than an address may be.
pub const BYTES_MAX: usize = 66_000;

/// Pieces that parsers trip over.
const NASTY: [&[u8]; 44] = [
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\r\n",
    b"\n\n",
    b"'",
    b"''",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"%",
    b"%00",
    b"%ff",
    b"%25",
    b"&",
    b"&#0;",
    b"&#x110000;",
    b"&amp;",
    b"<![CDATA[",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"<!--",
    b"-->",
    b"/",
    b"//",
    b"..",
    b"$",
    b"$1",
    b"@",
    b"@odata.bind",
    b"()",
    b"((((((((((((((((((((((((((((((((",
    b"not not not not not not not not ",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
    b"-9223372036854775808",
    b"1e2147483648",
    b"79228162514264337593543950336",
    b"99999999999999999999999999999999999999999999999999",
    b"00000000-0000-0000-0000-000000000000",
];

/// Changes some bytes. Pieces of `others` are put in between, too.
#[must_use]
pub fn mutate(draw: &mut Draw, mut bytes: Vec<u8>, others: &[Vec<u8>]) -> Vec<u8> {
    for _ in 0..=draw.below(5) {
        change(draw, &mut bytes, others);
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

/// Bytes that mean nothing.
#[must_use]
pub fn noise(draw: &mut Draw) -> Vec<u8> {
    let length = draw.below(200);
    (0..length).map(|_| draw.bits().to_le_bytes()[0]).collect()
}

fn change(draw: &mut Draw, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let (start, end) = range(draw, bytes.len());
    match draw.below(11) {
        0 => drop(bytes.drain(start..end)),
        1 => {
            let piece = bytes[start..end].to_vec();
            insert(bytes, end, &piece);
        }
        2 => {
            let times = 1 << draw.below(9);
            let piece = bytes[start..end].repeat(times);
            insert(bytes, end, &piece);
        }
        3 => {
            // What stands in two places changes them.
            let piece: Vec<u8> = bytes.drain(start..end).collect();
            let place = draw.index(bytes.len() + 1);
            insert(bytes, place, &piece);
        }
        4 | 5 => insert(bytes, start, NASTY[draw.index(NASTY.len())]),
        6 => {
            if let Some(byte) = bytes.get_mut(start) {
                *byte = draw.bits().to_le_bytes()[0];
            }
        }
        7 => bytes.truncate(start),
        8 if !others.is_empty() => {
            let other = &others[draw.index(others.len())];
            let (from, to) = range(draw, other.len());
            let piece = other[from..to].to_vec();
            bytes.splice(start..end, piece);
        }
        9 => {
            // A number becomes another one.
            if let Some(place) = bytes.iter().skip(start).position(u8::is_ascii_digit) {
                let first = start + place;
                let digits = bytes[first..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = ["0", "-1", "4294967296", "9223372036854775808", "1e400"];
                let number = number[draw.index(number.len())].bytes();
                bytes.splice(first..first + digits, number);
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(start) {
                *byte ^= 1 << draw.below(8);
            }
        }
    }
}

fn insert(bytes: &mut Vec<u8>, place: usize, piece: &[u8]) {
    if bytes.len() + piece.len() <= BYTES_MAX {
        bytes.splice(place..place, piece.iter().copied());
    }
}

/// A place and one behind it, more often near than far.
fn range(draw: &mut Draw, length: usize) -> (usize, usize) {
    let start = draw.index(length + 1);
    let most = if draw.below(4) == 0 { length } else { 12 };
    let end = (start + draw.index(most + 1)).min(length);
    (start, end)
}
