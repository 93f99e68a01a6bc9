//! Jute: ZooKeeper's binary encoding. Big-endian numbers, length-prefixed text and bytes, with
//! length -1 for null.
//!
//! The reader is total: whatever the bytes are, it answers with a value or an error, and it never
//! allocates more than a small multiple of the bytes that are there.

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::records::{Acl, Id, Stat};

/// Why bytes are not the record that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// They end inside a field.
    #[error("record ends {missing_bytes} bytes early")]
    Truncated {
        /// How many more the field needs.
        missing_bytes: usize,
    },
    /// A length below -1, which stands for null.
    #[error("length {0} is negative")]
    Length(i32),
    /// A null where the operation cannot do without a value.
    #[error("{0} is null")]
    Null(&'static str),
    /// An operation that a multi cannot hold, or reads and writes in one multi.
    #[error("operation {0} has no place in this multi")]
    MultiOperation(i32),
    /// A create of a multi has flags that are no `CreateMode`.
    #[error("create flags {0} are unknown")]
    CreateFlags(i32),
}

/// Fewest bytes of an ACL entry: perms, and two empty texts.
const ACL_BYTES_MIN: usize = 12;

/// Fewest bytes of a text: its length.
const TEXT_BYTES_MIN: usize = 4;

/// Takes fields off the front of a record.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// A jute `int`.
    ///
    /// # Errors
    ///
    /// `Truncated`.
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A jute `long`.
    ///
    /// # Errors
    ///
    /// `Truncated`.
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A jute `boolean`: any byte but 0 is true.
    ///
    /// # Errors
    ///
    /// `Truncated`.
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        self.array().map(|[byte]| byte != 0)
    }

    /// A jute `buffer`.
    ///
    /// # Errors
    ///
    /// `Truncated` or `Length`.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| DecodeError::Length(length))?;
        let Some((head, rest)) = self.rest.split_at_checked(length) else {
            return Err(DecodeError::Truncated { missing_bytes: length - self.rest.len() });
        };
        self.rest = rest;
        Ok(Some(head))
    }

    /// A jute `ustring`. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    ///
    /// `Truncated` or `Length`.
    pub fn text(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.buffer()?.map(text_of_java))
    }

    /// A jute `vector<ustring>`; an entry that is null is an error.
    ///
    /// # Errors
    ///
    /// `Truncated`, `Length` or `Null`.
    pub fn texts(&mut self) -> Result<Option<Vec<String>>, DecodeError> {
        self.vector(TEXT_BYTES_MIN, |reader| {
            let text = reader.text()?.ok_or(DecodeError::Null("text of a list"))?;
            Ok(text.into_owned())
        })
    }

    /// A jute `vector<ACL>`. A null scheme or id reads as the empty one: neither is ever valid.
    ///
    /// # Errors
    ///
    /// `Truncated` or `Length`.
    pub fn acls(&mut self) -> Result<Option<Vec<Acl>>, DecodeError> {
        self.vector(ACL_BYTES_MIN, |reader| {
            let perms = reader.int()?;
            let scheme = reader.text()?.unwrap_or_default().into_owned();
            let id = reader.text()?.unwrap_or_default().into_owned();
            Ok(Acl { perms, id: Id { scheme, id } })
        })
    }

    /// A vector: a count, then that many entries. As in Apache, a count below -1 is an empty one.
    /// `entry_bytes_min` bounds what is allocated for a count that lies.
    fn vector<T>(
        &mut self,
        entry_bytes_min: usize,
        mut entry: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.int()?;
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(0);
        let mut entries = Vec::with_capacity(count.min(self.rest.len() / entry_bytes_min));
        for _ in 0..count {
            entries.push(entry(self)?);
        }
        Ok(Some(entries))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::Truncated { missing_bytes: N - self.rest.len() });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// What was not taken yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Text as Java's `new String(bytes, UTF_8)` gives it. It differs from Rust's lossy text in one
/// case: the bytes that encode a surrogate, all three or the first two, become one U+FFFD. Java
/// clients send every character beyond U+FFFF as two such triples.
fn text_of_java(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = core::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    let mut surrogate_bytes_left = 0;
    let mut rest = bytes;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.valid().is_empty() {
            surrogate_bytes_left = 0;
        }
        rest = rest.get(chunk.valid().len()..).unwrap_or_default();
        if surrogate_bytes_left > 0 {
            surrogate_bytes_left -= 1;
        } else if !chunk.invalid().is_empty() {
            text.push('\u{fffd}');
            surrogate_bytes_left = match rest {
                [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 2,
                [0xed, 0xa0..=0xbf, ..] => 1,
                _ => 0,
            };
        }
        rest = rest.get(chunk.invalid().len()..).unwrap_or_default();
    }
    Cow::Owned(text)
}

/// Appends an `int`.
pub fn put_int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a `long`.
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a `boolean`.
pub fn put_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends the length of a text, of a buffer or of a vector. Lengths come from values that were
/// decoded from frames, or from counts of znodes: they fit.
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    // Saturates instead of wrapping: a frame of so much is refused as a whole by `frame::finish`.
    put_int(out, i32::try_from(length).unwrap_or(i32::MAX));
}

/// Appends a `buffer`.
pub fn put_buffer(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
        None => put_int(out, -1),
    }
}

/// Appends a `ustring`.
pub fn put_text(out: &mut Vec<u8>, text: Option<&str>) {
    put_buffer(out, text.map(str::as_bytes));
}

/// Appends a `vector<ustring>`.
pub fn put_texts(out: &mut Vec<u8>, texts: &[&str]) {
    put_length(out, texts.len());
    for text in texts {
        put_text(out, Some(text));
    }
}

/// Appends a `vector<ACL>`.
pub fn put_acls(out: &mut Vec<u8>, acls: &[Acl]) {
    put_length(out, acls.len());
    for acl in acls {
        put_int(out, acl.perms);
        put_text(out, Some(&acl.id.scheme));
        put_text(out, Some(&acl.id.id));
    }
}

/// Appends a `Stat`.
pub fn put_stat(out: &mut Vec<u8>, stat: &Stat) {
    put_long(out, stat.czxid);
    put_long(out, stat.mzxid);
    put_long(out, stat.ctime);
    put_long(out, stat.mtime);
    put_int(out, stat.version);
    put_int(out, stat.cversion);
    put_int(out, stat.aversion);
    put_long(out, stat.ephemeral_owner);
    put_int(out, stat.data_length);
    put_int(out, stat.num_children);
    put_long(out, stat.pzxid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_differ() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(reader.buffer(), Ok(None));
        assert_eq!(reader.buffer(), Ok(Some(&[][..])));
        assert_eq!(reader.int(), Err(DecodeError::Truncated { missing_bytes: 4 }));
    }

    #[test]
    fn a_field_that_fails_takes_nothing_beyond_its_length() {
        let mut reader = Reader::new(&[0, 0, 0, 9, 1, 2, 3]);
        assert_eq!(reader.buffer(), Err(DecodeError::Truncated { missing_bytes: 6 }));
        assert_eq!(reader.rest(), [1, 2, 3]);
        assert_eq!(reader.long(), Err(DecodeError::Truncated { missing_bytes: 5 }));
    }

    #[test]
    fn only_minus_one_is_a_null_vector() {
        assert_eq!(Reader::new(&(-1_i32).to_be_bytes()).texts(), Ok(None));
        assert_eq!(Reader::new(&(-2_i32).to_be_bytes()).texts(), Ok(Some(Vec::new())));
        assert_eq!(Reader::new(&(-2_i32).to_be_bytes()).buffer(), Err(DecodeError::Length(-2)));
    }

    #[test]
    fn bytes_that_are_not_utf8_become_what_java_makes_of_them() {
        let text = |bytes| text_of_java(bytes).into_owned();
        assert_eq!(text(b"/plain"), "/plain");
        assert_eq!(text(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(text(b"a\xe2\x82b"), "a\u{fffd}b");
        // Two surrogates, as a Java client encodes one character beyond U+FFFF.
        assert_eq!(text(b"\xed\xa0\xbd\xed\xb8\x80!"), "\u{fffd}\u{fffd}!");
        assert_eq!(text(b"\xed\xa0"), "\u{fffd}");
        assert_eq!(text(b"\xed\xa0!\x80"), "\u{fffd}!\u{fffd}");
    }
}
