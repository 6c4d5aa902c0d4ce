//! Where a row lies: its partition and its id as bytes, in the order of the partition's text.
//!
//! Layout of a row's key in the LSM: the escaped partition, a zero byte, the 16 bytes of the id. Keys of
//! one partition stand together, ascending by id; no partition's keys start with those of another.
//! Invariant: an escaped partition has no zero byte, and escaping keeps the order of texts.

use model::{TableId, Timestamp, Uuid};
use std::borrow::Cow;
use store::elastic::ElasticKey;

/// Bytes of an id.
const ID_BYTES: usize = 16;
/// Bytes of a time and a table before the row's key in the expiry index.
const DUE_BYTES: usize = 12;

/// The partition without zero bytes: U+0000 becomes U+0001 `0`, and U+0001 becomes U+0001 `1`.
pub(crate) fn escape(partition: &str) -> Cow<'_, str> {
    if !partition.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(partition);
    }
    Cow::Owned(partition.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0"))
}

/// The partition that was escaped so; none where nothing escapes to this text.
pub(crate) fn unescape(escaped: &str) -> Option<Cow<'_, str>> {
    if !escaped.contains('\u{1}') {
        return Some(Cow::Borrowed(escaped));
    }
    let mut partition = String::with_capacity(escaped.len());
    let mut rest = escaped.chars();
    while let Some(char) = rest.next() {
        partition.push(match char {
            '\u{1}' => match rest.next()? {
                '0' => '\0',
                '1' => '\u{1}',
                _ => return None,
            },
            char => char,
        });
    }
    Some(Cow::Owned(partition))
}

/// What all keys of a partition start with, and no others.
pub(crate) fn partition_prefix(partition: &str) -> Vec<u8> {
    let escaped = escape(partition);
    let mut bytes = Vec::with_capacity(escaped.len() + 1 + ID_BYTES);
    bytes.extend(escaped.as_bytes());
    bytes.push(0);
    bytes
}

/// The key of a row within its table.
pub(crate) fn row_key(key: &ElasticKey) -> Vec<u8> {
    let mut bytes = partition_prefix(&key.partition);
    bytes.extend(key.id.as_bytes());
    bytes
}

/// What the keys of one partition have in common.
pub(crate) fn partition_of(key: &[u8]) -> &[u8] {
    key.split_last_chunk::<ID_BYTES>().map_or(key, |(partition, _)| partition)
}

/// The id in a row's key.
pub(crate) fn id_of(key: &[u8]) -> Option<Uuid> {
    key.last_chunk::<ID_BYTES>().map(|id| Uuid::from_bytes(*id))
}

/// The partition and the id in a row's key.
pub(crate) fn parts_of(key: &[u8]) -> Option<ElasticKey> {
    let (head, id) = key.split_last_chunk::<ID_BYTES>()?;
    let escaped = std::str::from_utf8(head.strip_suffix(&[0])?).ok()?;
    Some(ElasticKey { partition: unescape(escaped)?.into(), id: Uuid::from_bytes(*id) })
}

/// The key of an entry of the expiry index: when, which table, which row.
pub(crate) fn due_key(at: Timestamp, table: TableId, row: &[u8]) -> Vec<u8> {
    let mut bytes = due_prefix(at).to_vec();
    bytes.extend(table.0.to_be_bytes());
    bytes.extend(row);
    bytes
}

/// What entries of this second start with; earlier ones are smaller.
pub(crate) fn due_prefix(at: Timestamp) -> [u8; 8] {
    // With the sign bit turned over, the order of the bytes is the order of the times.
    (at.0 ^ i64::MIN).to_be_bytes()
}

/// The parts of an entry of the expiry index.
pub(crate) fn due_parts(entry: &[u8]) -> Option<(Timestamp, TableId, &[u8])> {
    let (head, row) = entry.split_at_checked(DUE_BYTES)?;
    let at = i64::from_be_bytes(*head.first_chunk()?) ^ i64::MIN;
    let table = u32::from_be_bytes(*head.last_chunk()?);
    Some((Timestamp(at), TableId(table), row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: &str, id: u128) -> Vec<u8> {
        row_key(&ElasticKey { partition: partition.into(), id: Uuid::from_u128(id) })
    }

    #[test]
    fn keys_order_by_partition_and_then_by_id() {
        let partitions = [
            "", "\0", "\0\0", "\0a", "\u{1}", "\u{1}0", "\u{2}", "a", "a\0", "a\0b", "ab", "b", "é",
        ];
        for left in partitions {
            for right in partitions {
                assert_eq!(
                    key(left, u128::MAX).cmp(&key(right, 0)),
                    left.cmp(right).then(std::cmp::Ordering::Greater),
                    "{left:?} {right:?}"
                );
                let inside = key(left, 0).starts_with(&partition_prefix(right));
                assert_eq!(inside, left == right, "{left:?} in {right:?}");
            }
        }
    }

    #[test]
    fn a_key_gives_its_parts_back() {
        for partition in ["", "\0", "a\0b", "\u{1}", "\u{1}0\u{1}1\0", "é"] {
            let key = key(partition, 42);
            assert_eq!(id_of(&key), Some(Uuid::from_u128(42)));
            let parts = ElasticKey { partition: partition.into(), id: Uuid::from_u128(42) };
            assert_eq!(parts_of(&key), Some(parts));
        }
        assert_eq!(id_of(b"short"), None);
        assert_eq!(parts_of(b"a key of 16 byte"), None);
        for damaged in [&b"a\x012\0"[..], b"a\x01\0", b"\xff\0", b"a"] {
            assert_eq!(parts_of(&[damaged, &[7; ID_BYTES]].concat()), None, "{damaged:?}");
        }
    }

    #[test]
    fn expiry_entries_order_by_time_and_give_their_parts_back() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX].map(Timestamp);
        assert!(times.map(due_prefix).is_sorted());
        for at in times {
            let entry = due_key(at, TableId(7), b"row");
            assert_eq!(due_parts(&entry), Some((at, TableId(7), &b"row"[..])));
        }
        assert_eq!(due_parts(b"short"), None);
    }
}
