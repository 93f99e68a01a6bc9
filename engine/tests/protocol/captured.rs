//! Conversations of real clients (`testdata/wire/client-*.hex`): every request decodes to what the
//! transcript beside it says and, written by the naive half, has the same bytes again unless the
//! transcript says `written otherwise`; every reply, decoded by the naive half, encodes to the
//! same bytes again.

use std::{fmt::Write as _, fs, path::Path};

use expect_test::expect_file;
use ringkeeper_engine::{
    ids::Xid,
    protocol::{connect::ConnectRequest, reply, request},
};

use crate::{
    naive::{decode_reply, request_bytes},
    recorded::{connect_response, event, whole_frame},
};

/// One test for each capture.
macro_rules! captures {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            let transcript = transcript($name);
            expect_file![concat!("../../testdata/wire/", $name, ".txt")].assert_eq(&transcript);
        })*
    };
}

captures! {
    c: "client-c",
    curator: "client-curator",
    go: "client-go",
    java_3_3: "client-java-3.3.6",
    java_3_4: "client-java-3.4.10",
    java_3_5: "client-java-3.5.10",
    java_3_9: "client-java-3.9.5",
    kazoo: "client-kazoo",
    node: "client-node",
    rust: "client-rust",
    zkcli: "client-zkcli",
}

/// What one connection has asked and not been told yet.
#[derive(Default)]
struct Conversation {
    out: String,
    has_read_only: Option<bool>,
    is_greeted: bool,
    pending: Vec<(Xid, i32)>,
}

fn transcript(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire");
    let text = fs::read_to_string(folder.join(format!("{name}.hex"))).unwrap();
    let mut conversation = Conversation::default();
    for line in text.lines() {
        match line.split_at_checked(1) {
            Some((">", hex)) => conversation.asked(&whole_frame(hex)),
            Some(("<", hex)) => conversation.told(&whole_frame(hex)),
            _ => {
                let out = std::mem::take(&mut conversation.out) + line + "\n";
                conversation = Conversation { out, ..Conversation::default() };
            }
        }
    }
    conversation.out
}

impl Conversation {
    fn asked(&mut self, frame: &[u8]) {
        let payload = &frame[4..];
        if self.has_read_only.is_none() {
            let request = ConnectRequest::decode(payload).unwrap();
            writeln!(self.out, "> {request:?}").unwrap();
            self.has_read_only = Some(request.read_only.is_some());
            return;
        }
        let (header, request) = request::decode(payload).unwrap();
        let request = request.unwrap();
        writeln!(self.out, "> {} {request:?}", header.xid.0).unwrap();
        if request_bytes(header.xid, &request) != payload {
            writeln!(self.out, "  written otherwise").unwrap();
        }
        self.pending.push((header.xid, header.opcode));
    }

    fn told(&mut self, frame: &[u8]) {
        let payload = &frame[4..];
        let mut again = Vec::new();
        if !self.is_greeted {
            self.is_greeted = true;
            let answer = connect_response(payload, self.has_read_only.expect("somebody asked"));
            writeln!(self.out, "< {answer:?}").unwrap();
            answer.encode(&mut again);
        } else if payload.starts_with(&(-1_i32).to_be_bytes()) {
            let event = event(payload);
            writeln!(self.out, "< {event:?}").unwrap();
            reply::encode_event(&mut again, &event);
        } else {
            let xid = Xid(i32::from_be_bytes(payload[..4].try_into().unwrap()));
            let place = self.pending.iter().position(|(asked, _)| *asked == xid);
            let (_, opcode) = self.pending.remove(place.expect("somebody asked"));
            let decoded = decode_reply(opcode, payload);
            writeln!(self.out, "< {} {} {:?}", xid.0, decoded.zxid, decoded.outcome).unwrap();
            let outcome = decoded.outcome.as_ref().map_err(|code| *code);
            reply::encode(&mut again, xid, decoded.zxid, outcome);
        }
        assert_eq!(again, frame);
    }
}
