//! Requests that are encoded once: what differs from one to the next is written over in place.

use crate::wire::{
    jute::{Writer, length},
    records::{self, Acl, op},
};

/// Digits of a counter in a path.
const DIGITS: usize = 10;
/// Znodes in one folder: more siblings than that is not how anybody uses ZooKeeper.
pub(super) const FOLDER_ZNODES: u64 = 1000;

/// A whole frame, and where its counter is.
pub(super) struct Template {
    frame: Vec<u8>,
    digits_at: Option<usize>,
}

impl Template {
    pub(super) fn get(path: &str) -> Self {
        Self::new(op::GET_DATA, &records::path_watch(path, false), None)
    }

    pub(super) fn set(path: &str, value: &[u8]) -> Self {
        Self::new(op::SET_DATA, &records::set_data(path, Some(value), -1), None)
    }

    /// create of `prefix` and ten digits.
    pub(super) fn create(prefix: &str, value: &[u8]) -> Self {
        let path = format!("{prefix}{:0DIGITS$}", 0);
        let body = records::create(&path, Some(value), &Acl::open(), 0);
        // Length of the frame, xid, opcode, length of the path.
        Self::new(op::CREATE, &body, Some(4 + 4 + 4 + 4 + prefix.len()))
    }

    fn new(opcode: i32, body: &[u8], digits_at: Option<usize>) -> Self {
        let payload = Writer::new().int(0).int(opcode).raw(body).into_bytes();
        let mut frame = length(payload.len()).to_be_bytes().to_vec();
        frame.extend_from_slice(&payload);
        Self { frame, digits_at }
    }

    /// Appends the request with its xid and its counter.
    pub(super) fn append(&mut self, xid: i32, counter: u64, output: &mut Vec<u8>) {
        self.frame[4..8].copy_from_slice(&xid.to_be_bytes());
        if let Some(start) = self.digits_at {
            let digits = format!("{counter:0DIGITS$}");
            self.frame[start..start + DIGITS].copy_from_slice(digits.as_bytes());
        }
        output.extend_from_slice(&self.frame);
    }
}

/// What a connection of a fill or of a create load sends: folders as they are needed, and znodes.
pub(super) struct Creates {
    root: String,
    value: Vec<u8>,
    folder: Template,
    znode: Template,
    next: u64,
    folder_is_made: bool,
}

impl Creates {
    pub(super) fn new(root: &str, value: &[u8]) -> Self {
        Self {
            root: root.to_owned(),
            value: value.to_vec(),
            folder: Template::create(&format!("{root}/d"), b""),
            znode: Template::create("/", b""),
            next: 0,
            folder_is_made: false,
        }
    }

    /// Znodes asked for so far, folders not counted.
    pub(super) fn asked(&self) -> u64 {
        self.next
    }

    /// Appends the next request: a folder when the last one is full, a znode otherwise.
    pub(super) fn append(&mut self, xid: i32, output: &mut Vec<u8>) {
        if self.next.is_multiple_of(FOLDER_ZNODES) && !self.folder_is_made {
            let folder = self.next / FOLDER_ZNODES;
            self.folder.append(xid, folder, output);
            let prefix = format!("{}/d{folder:0DIGITS$}/n", self.root);
            self.znode = Template::create(&prefix, &self.value);
            self.folder_is_made = true;
            return;
        }
        self.znode.append(xid, self.next, output);
        self.next += 1;
        self.folder_is_made = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_xid_and_counter_change() {
        let mut template = Template::create("/a/n", b"value");
        let mut first = Vec::new();
        template.append(1, 42, &mut first);
        let path = "/a/n0000000042";
        let body = records::create(path, Some(b"value"), &Acl::open(), 0);
        let payload = Writer::new().int(1).int(op::CREATE).raw(&body).into_bytes();
        assert_eq!(&first[4..], payload);
        assert_eq!(&first[..4], length(payload.len()).to_be_bytes());
    }

    #[test]
    fn a_folder_comes_before_its_first_znode() {
        let mut creates = Creates::new("/r", b"");
        let mut sent = Vec::new();
        (0..FOLDER_ZNODES + 3).for_each(|_| creates.append(1, &mut sent));
        let text = String::from_utf8_lossy(&sent);
        let at = |path: &str| text.find(path).expect("a path that was sent");
        assert!(at("/r/d0000000000") < at("/r/d0000000000/n0000000000"));
        assert!(at("/r/d0000000000/n0000000999") < at("/r/d0000000001"));
        assert!(at("/r/d0000000001") < at("/r/d0000000001/n0000001000"));
        assert_eq!(creates.asked(), FOLDER_ZNODES + 1);
    }
}
