//! Immutable bytes that every State of the process shares: a znode's path and data.

use core::{borrow::Borrow, fmt, ops::Deref};

use triomphe::ThinArc;

/// Bytes that are decoded once and shared by every State. One pointer wide.
#[derive(Clone)]
pub struct SharedBytes(ThinArc<(), u8>);

impl SharedBytes {
    /// Copies `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice((), bytes))
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.slice
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedBytes {}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// Text that every State shares, such as a znode's path. One pointer wide.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedStr(SharedBytes);

impl SharedStr {
    /// Copies `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(SharedBytes::new(text.as_bytes()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Checked again because the type that would remember it needs unsafe code; the check is
        // far below the cost of the cache miss that brought the bytes.
        core::str::from_utf8(&self.0).expect("made from a str")
    }

    /// The text's bytes: comparing and hashing need no more.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for SharedStr {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for SharedStr {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl core::hash::Hash for SharedStr {
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        self.as_str().hash(hasher);
    }
}

impl PartialOrd for SharedStr {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedStr {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&str> for SharedStr {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
