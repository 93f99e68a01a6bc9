//! jute as a client writes and reads it. Written from the protocol's description and apart from
//! the engine's codec on purpose: two independent readers of one format find each other's errors.

use super::Failure;

/// Appends jute values to a buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes so far.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// jute: `int`.
    #[must_use]
    pub fn int(mut self, value: i32) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// jute: `long`.
    #[must_use]
    pub fn long(mut self, value: i64) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// jute: `boolean`.
    #[must_use]
    pub fn boolean(mut self, value: bool) -> Self {
        self.bytes.push(u8::from(value));
        self
    }

    /// jute: `buffer`; `None` is the null buffer, which is not the empty one.
    #[must_use]
    pub fn buffer(self, value: Option<&[u8]>) -> Self {
        match value {
            None => self.int(-1),
            Some(value) => self.int(length(value.len())).raw(value),
        }
    }

    /// jute: `ustring`.
    #[must_use]
    pub fn string(self, value: &str) -> Self {
        self.buffer(Some(value.as_bytes()))
    }

    /// Bytes as they are, for frames that no client would send.
    #[must_use]
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self
    }
}

/// A length as jute writes it.
#[must_use]
pub fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("nothing that this crate sends reaches 2 GiB")
}

/// Takes jute values from the front of a reply.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Failure> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            let missing = count - self.rest.len();
            return Err(format!("the reply ends {missing} bytes early").into());
        };
        self.rest = rest;
        Ok(head)
    }

    /// jute: `int`.
    pub fn int(&mut self) -> Result<i32, Failure> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    /// jute: `long`.
    pub fn long(&mut self) -> Result<i64, Failure> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    /// jute: `boolean`.
    pub fn boolean(&mut self) -> Result<bool, Failure> {
        Ok(self.take(1)? != [0])
    }

    /// jute: `buffer`.
    pub fn buffer(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        Ok(Some(self.take(usize::try_from(length)?)?.to_vec()))
    }

    /// jute: `ustring`.
    pub fn string(&mut self) -> Result<String, Failure> {
        let bytes = self.buffer()?.ok_or("a null string in a reply")?;
        Ok(String::from_utf8(bytes)?)
    }

    /// jute: `vector<ustring>`.
    pub fn strings(&mut self) -> Result<Vec<String>, Failure> {
        let count = self.int()?;
        (0..count).map(|_| self.string()).collect()
    }

    /// Fails unless everything was read: a server must not send more than the record.
    pub fn end(&self) -> Result<(), Failure> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(format!("{} bytes too many in a reply", self.rest.len()).into())
    }
}
