//! Little-endian fields of commands and snapshots: both are our own formats, unlike the protocol.
//!
//! Reading is total. A length is compared with what is there before anything is allocated for it.

use alloc::{string::String, vec::Vec};

use crate::protocol::records::{Acl, Id};

/// A command or snapshot that does not say what its writer would have said.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("bytes end inside a field")]
    Truncated,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// A number that stands for nothing.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// Fields that contradict one another.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Reads fields from the front of a slice.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Unknown("flag")),
        }
    }

    /// A length, and as many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.u32()?).map_err(|_| DecodeError::Truncated)?;
        let (head, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Text)
    }

    /// Bytes that may be null.
    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        if self.flag()? { self.bytes().map(Some) } else { Ok(None) }
    }

    pub(super) fn id(&mut self) -> Result<Id, DecodeError> {
        Ok(Id { scheme: String::from(self.text()?), id: String::from(self.text()?) })
    }

    pub(super) fn ids(&mut self) -> Result<Vec<Id>, DecodeError> {
        self.list(Self::id)
    }

    pub(super) fn acl(&mut self) -> Result<Vec<Acl>, DecodeError> {
        self.list(|fields| Ok(Acl { perms: fields.i32()?, id: fields.id()? }))
    }

    /// A count, and as many items.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = usize::try_from(self.u32()?).map_err(|_| DecodeError::Truncated)?;
        // Every item has at least one byte: a count beyond that is refused before it costs memory.
        if count > self.remaining() {
            return Err(DecodeError::Truncated);
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Appends fields to bytes. The pair of [`Fields`].
pub(super) trait Append {
    fn raw(&mut self, bytes: &[u8]);

    fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.raw(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.raw(&value.to_le_bytes());
    }

    fn u128(&mut self, value: u128) {
        self.raw(&value.to_le_bytes());
    }

    fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    fn count(&mut self, value: usize) {
        self.u32(u32::try_from(value).expect("limits.rs keeps every length below 2^32"));
    }

    fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.raw(value);
    }

    fn nullable_bytes(&mut self, value: Option<&[u8]>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.bytes(value);
        }
    }

    fn id(&mut self, id: &Id) {
        self.bytes(id.scheme.as_bytes());
        self.bytes(id.id.as_bytes());
    }

    fn ids(&mut self, ids: &[Id]) {
        self.count(ids.len());
        for id in ids {
            self.id(id);
        }
    }

    fn acl(&mut self, acl: &[Acl]) {
        self.count(acl.len());
        for entry in acl {
            self.i32(entry.perms);
            self.id(&entry.id);
        }
    }
}

impl Append for Vec<u8> {
    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}
