//! Measures where an encoder puts each field, by changing one field at a time. Nobody can forget to
//! keep such a table: it is what the encoder does.

use std::collections::BTreeMap;

/// The layout of a structure, while it is being measured.
pub(crate) struct Layout {
    /// Every field as zero.
    zero: Vec<u8>,
    /// Name, width and encoding with only that field changed.
    changed: Vec<(&'static str, usize, Vec<u8>)>,
    /// What the same bytes always hold.
    constants: Vec<(&'static str, Vec<u8>)>,
    checksum_bytes: usize,
}

impl Layout {
    pub(crate) fn new(zero: &[u8]) -> Self {
        Self { zero: zero.to_vec(), changed: Vec::new(), constants: Vec::new(), checksum_bytes: 0 }
    }

    /// A field of so many bytes, and the structure with only that field changed.
    pub(crate) fn field(mut self, name: &'static str, bytes: usize, changed: &[u8]) -> Self {
        assert_eq!(changed.len(), self.zero.len(), "{name}");
        self.changed.push((name, bytes, changed.to_vec()));
        self
    }

    /// Bytes that are always the same: they stand where no field is, and not as zeros.
    pub(crate) fn constant(mut self, name: &'static str, bytes: &[u8]) -> Self {
        self.constants.push((name, bytes.to_vec()));
        self
    }

    /// A checksum of so many bytes: what changes with every field.
    pub(crate) fn checksum(mut self, bytes: usize) -> Self {
        self.checksum_bytes = bytes;
        self
    }

    /// Offset, width and name of everything, in order. Panics where fields overlap.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let mut places = BTreeMap::new();
        let checksum = self.checksum_start();
        if let Some(start) = checksum {
            places.insert(start, (self.checksum_bytes, "checksum"));
        }
        for (name, bytes, changed) in &self.changed {
            let start = self.start_of(name, *bytes, changed, checksum);
            let before = places.insert(start, (*bytes, name));
            assert!(before.is_none(), "{name} and {before:?} both at {start}");
        }
        let mut rows = Vec::new();
        let mut at = 0;
        for (start, (bytes, name)) in places {
            assert!(at <= start, "{name} at {start} overlaps what ends at {at}");
            self.gap(at, start, &mut rows);
            rows.push((start, bytes, name));
            at = start + bytes;
        }
        self.gap(at, self.zero.len(), &mut rows);
        let row = |(start, bytes, name): (usize, usize, &str)| {
            vec![start.to_string(), bytes.to_string(), name.to_owned()]
        };
        rows.into_iter().map(row).collect()
    }

    /// Where the bytes begin that change with more than one field.
    fn checksum_start(&self) -> Option<usize> {
        let changes = |at: usize| {
            self.changed.iter().filter(|(_, _, changed)| changed[at] != self.zero[at]).count()
        };
        let start = (0..self.zero.len()).find(|at| 1 < changes(*at));
        assert_eq!(start.is_some(), 0 < self.checksum_bytes, "whether there is a checksum");
        start
    }

    fn start_of(&self, name: &str, bytes: usize, changed: &[u8], checksum: Option<usize>) -> usize {
        let is_checksum = |at: usize| {
            checksum.is_some_and(|start| (start..start + self.checksum_bytes).contains(&at))
        };
        let mut differs =
            (0..self.zero.len()).filter(|at| changed[*at] != self.zero[*at] && !is_checksum(*at));
        let start = differs.next().unwrap_or_else(|| panic!("{name} changes nothing"));
        let last = differs.next_back().unwrap_or(start);
        assert!(last < start + bytes, "{name} has bytes {start} to {last}, not {bytes} bytes");
        start
    }

    /// What stands between two fields: constants, and zeros.
    fn gap(&self, start: usize, end: usize, rows: &mut Vec<(usize, usize, &'static str)>) {
        let mut at = start;
        for (name, bytes) in &self.constants {
            if at + bytes.len() <= end && self.zero[at..].starts_with(bytes) {
                rows.push((at, bytes.len(), name));
                at += bytes.len();
            }
        }
        assert!(self.zero[at..end].iter().all(|byte| *byte == 0), "unknown bytes from {at} on");
        if at < end {
            rows.push((at, end - at, "zeros"));
        }
    }
}
