//! The protocol's other half, as a client has it, written without a look at the engine's: encodes
//! requests, decodes replies, and panics on whatever it does not expect.

use std::borrow::Cow;

use ringkeeper_engine::{
    ids::{Xid, Zxid},
    protocol::{
        error_code::ErrorCode,
        records::{Acl, Id, Stat},
        reply::{ClientInfo, MultiResult, Reply},
        request::{Create, CreateVariant, Read, Request, SetWatches, Write},
    },
};

/// Appends fields.
#[derive(Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn int(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn boolean(&mut self, value: bool) -> &mut Self {
        self.0.push(value.into());
        self
    }

    pub(crate) fn buffer(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        self.int(bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap()));
        self.0.extend(bytes.unwrap_or_default());
        self
    }

    fn text(&mut self, text: Option<&str>) -> &mut Self {
        self.buffer(text.map(str::as_bytes))
    }

    fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.int(i32::try_from(texts.len()).unwrap());
        for text in texts {
            self.text(Some(text));
        }
        self
    }

    fn acls(&mut self, acls: Option<&[Acl]>) -> &mut Self {
        self.int(acls.map_or(-1, |acls| i32::try_from(acls.len()).unwrap()));
        for acl in acls.unwrap_or_default() {
            self.int(acl.perms).text(Some(&acl.id.scheme)).text(Some(&acl.id.id));
        }
        self
    }
}

/// A request's opcode.
pub(crate) fn opcode(request: &Request<'_>) -> i32 {
    match request {
        Request::Write(write) => write_opcode(write),
        Request::Read(read) => read_opcode(read),
        Request::SetWatches(watches) => {
            let is_plain = watches.persistent.is_empty() && watches.persistent_recursive.is_empty();
            if is_plain { 101 } else { 105 }
        }
        Request::AddWatch { .. } => 106,
        Request::CheckWatches { .. } => 17,
        Request::RemoveWatches { .. } => 18,
        Request::Sync { .. } => 9,
        Request::Ping => 11,
        Request::Auth { .. } => 100,
        Request::Sasl { .. } => 102,
        Request::WhoAmI => 107,
        Request::CloseSession => -11,
    }
}

fn write_opcode(write: &Write<'_>) -> i32 {
    match write {
        Write::Create(create) => match create.variant {
            CreateVariant::Create => 1,
            CreateVariant::Create2 => 15,
            CreateVariant::Container => 19,
            CreateVariant::Ttl => 21,
        },
        Write::Delete { .. } => 2,
        Write::SetData { .. } => 5,
        Write::SetAcl { .. } => 7,
        Write::Check { .. } => 13,
        Write::Multi(_) => 14,
        Write::Reconfig { .. } => 16,
    }
}

fn read_opcode(read: &Read<'_>) -> i32 {
    match read {
        Read::Exists { .. } => 3,
        Read::GetData { .. } => 4,
        Read::GetAcl { .. } => 6,
        Read::GetChildren { .. } => 8,
        Read::GetChildren2 { .. } => 12,
        Read::GetEphemerals { .. } => 103,
        Read::GetAllChildrenNumber { .. } => 104,
        Read::MultiRead(_) => 22,
    }
}

/// A request as a frame's payload.
pub(crate) fn request_bytes(xid: Xid, request: &Request<'_>) -> Vec<u8> {
    let mut out = Bytes::default();
    out.int(xid.0).int(opcode(request));
    match request {
        Request::Write(write) => put_write(&mut out, write),
        Request::Read(read) => put_read(&mut out, read),
        Request::SetWatches(watches) => put_set_watches(&mut out, opcode(request), watches),
        Request::AddWatch { path, mode } => {
            out.text(path.as_deref()).int(*mode);
        }
        Request::CheckWatches { path, watcher_type }
        | Request::RemoveWatches { path, watcher_type } => {
            out.text(path.as_deref()).int(*watcher_type);
        }
        Request::Sync { path } => {
            out.text(path.as_deref());
        }
        Request::Auth { auth_type, scheme, auth } => {
            out.int(*auth_type).text(scheme.as_deref()).buffer(*auth);
        }
        Request::Sasl { token } => {
            out.buffer(*token);
        }
        Request::Ping | Request::WhoAmI | Request::CloseSession => {}
    }
    out.0
}

fn put_write(out: &mut Bytes, write: &Write<'_>) {
    match write {
        Write::Create(Create { variant, path, data, acl, flags, ttl }) => {
            out.text(path.as_deref()).buffer(*data).acls(acl.as_deref()).int(*flags);
            if *variant == CreateVariant::Ttl {
                out.long(*ttl);
            }
        }
        Write::Delete { path, version } | Write::Check { path, version } => {
            out.text(path.as_deref()).int(*version);
        }
        Write::SetData { path, data, version } => {
            out.text(path.as_deref()).buffer(*data).int(*version);
        }
        Write::SetAcl { path, acl, version } => {
            out.text(path.as_deref()).acls(acl.as_deref()).int(*version);
        }
        Write::Multi(writes) => {
            for write in writes {
                out.int(write_opcode(write)).boolean(false).int(-1);
                put_write(out, write);
            }
            out.int(-1).boolean(true).int(-1);
        }
        Write::Reconfig { joining, leaving, new_members, config_id } => {
            out.text(joining.as_deref()).text(leaving.as_deref()).text(new_members.as_deref());
            out.long(*config_id);
        }
    }
}

fn put_read(out: &mut Bytes, read: &Read<'_>) {
    match read {
        Read::Exists { path, watch }
        | Read::GetData { path, watch }
        | Read::GetChildren { path, watch }
        | Read::GetChildren2 { path, watch } => {
            out.text(Some(path)).boolean(*watch);
        }
        Read::GetAcl { path }
        | Read::GetEphemerals { prefix: path }
        | Read::GetAllChildrenNumber { path } => {
            out.text(Some(path));
        }
        Read::MultiRead(reads) => {
            for read in reads {
                out.int(read_opcode(read)).boolean(false).int(-1);
                put_read(out, read);
            }
            out.int(-1).boolean(true).int(-1);
        }
    }
}

fn put_set_watches(out: &mut Bytes, opcode: i32, watches: &SetWatches) {
    out.long(watches.relative_zxid.0);
    out.texts(&watches.data).texts(&watches.exist).texts(&watches.child);
    if opcode == 105 {
        out.texts(&watches.persistent).texts(&watches.persistent_recursive);
    }
}

/// Takes fields.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        head
    }

    pub(crate) fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    fn count(&mut self) -> usize {
        usize::try_from(self.int()).unwrap()
    }

    pub(crate) fn buffer(&mut self) -> Option<&'a [u8]> {
        match self.int() {
            -1 => None,
            length => Some(self.take(usize::try_from(length).unwrap())),
        }
    }

    fn nullable_text(&mut self) -> Option<&'a str> {
        self.buffer().map(|bytes| str::from_utf8(bytes).unwrap())
    }

    pub(crate) fn text(&mut self) -> &'a str {
        self.nullable_text().unwrap()
    }

    fn texts(&mut self) -> Vec<&'a str> {
        (0..self.count()).map(|_| self.text()).collect()
    }

    fn acls(&mut self) -> Vec<Acl> {
        (0..self.count())
            .map(|_| {
                let perms = self.int();
                let id = Id { scheme: self.text().into(), id: self.text().into() };
                Acl { perms, id }
            })
            .collect()
    }

    fn stat(&mut self) -> Stat {
        Stat {
            czxid: self.long(),
            mzxid: self.long(),
            ctime: self.long(),
            mtime: self.long(),
            version: self.int(),
            cversion: self.int(),
            aversion: self.int(),
            ephemeral_owner: self.long(),
            data_length: self.int(),
            num_children: self.int(),
            pzxid: self.long(),
        }
    }
}

/// A reply's payload as a value.
#[derive(Debug, PartialEq)]
pub(crate) struct DecodedReply<'a> {
    pub(crate) xid: Xid,
    pub(crate) zxid: Zxid,
    pub(crate) outcome: Result<Reply<'a>, ErrorCode>,
}

/// Decodes the reply to a request with `opcode`, to its last byte.
pub(crate) fn decode_reply(opcode: i32, payload: &[u8]) -> DecodedReply<'_> {
    let mut fields = Fields(payload);
    let xid = Xid(fields.int());
    let zxid = Zxid(fields.long());
    let outcome = match fields.int() {
        0 => Ok(body(opcode, &mut fields)),
        code => Err(ErrorCode::from_number(code).unwrap()),
    };
    assert!(fields.0.is_empty(), "{} bytes too many: {outcome:?}", fields.0.len());
    DecodedReply { xid, zxid, outcome }
}

fn body<'a>(opcode: i32, fields: &mut Fields<'a>) -> Reply<'a> {
    match opcode {
        1 => Reply::Created { path: fields.text().into() },
        15 | 19 | 21 => Reply::Created2 { path: fields.text().into(), stat: fields.stat() },
        3 | 5 | 7 => Reply::Stat(fields.stat()),
        4 | 16 => Reply::Data { data: fields.buffer(), stat: fields.stat() },
        6 => Reply::Acl { acl: Cow::Owned(fields.acls()), stat: fields.stat() },
        8 => Reply::Children { names: fields.texts() },
        12 => Reply::Children2 { names: fields.texts(), stat: fields.stat() },
        9 => Reply::Sync { path: fields.nullable_text().map(Cow::Borrowed) },
        103 => Reply::Paths(fields.texts()),
        104 => Reply::Count(fields.int()),
        106 => {
            assert_eq!(fields.int(), 0, "addWatch answers 0");
            Reply::AddWatch
        }
        107 => Reply::WhoAmI(
            (0..fields.count())
                .map(|_| ClientInfo { scheme: fields.text(), user: fields.text() })
                .collect(),
        ),
        14 | 22 => Reply::Multi(multi_results(fields)),
        102 => Reply::Sasl { token: fields.buffer() },
        _ => Reply::Empty,
    }
}

fn multi_results<'a>(fields: &mut Fields<'a>) -> Vec<MultiResult<'a>> {
    let mut results = Vec::new();
    loop {
        let kind = fields.int();
        let done = fields.take(1) == [1];
        let error = fields.int();
        if done {
            assert_eq!((kind, error), (-1, -1), "the end of a multi");
            return results;
        }
        results.push(match kind {
            1 => MultiResult::Created { path: fields.text().into() },
            15 => MultiResult::Created2 { path: fields.text().into(), stat: fields.stat() },
            2 => MultiResult::Deleted,
            5 => MultiResult::DataSet { stat: fields.stat() },
            13 => MultiResult::Checked,
            4 => MultiResult::Data { data: fields.buffer(), stat: fields.stat() },
            8 => MultiResult::Children { names: fields.texts() },
            -1 => {
                assert_eq!(fields.int(), error, "the code is there twice");
                MultiResult::Error(
                    (error != 0).then(|| ErrorCode::from_number(error).expect("a known code")),
                )
            }
            _ => panic!("result type {kind}"),
        });
        assert!(kind == -1 || error == 0, "only an error has a code");
    }
}
