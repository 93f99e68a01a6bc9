//! Recorded exchanges (`testdata/wire/*.hex`): every request decodes to what the transcript beside
//! it says, and every reply, decoded by the naive half, encodes to the same bytes again.

use std::{borrow::Cow, fmt::Write as _, fs, path::Path};

use expect_test::{ExpectFile, expect_file};
use ringkeeper_engine::{
    ids::{SessionId, Xid, Zxid},
    protocol::{
        connect::{ConnectRequest, ConnectResponse},
        error_code::ErrorCode,
        frame,
        reply::{self, EventKind, NOT_OFFERED_ZXID, Reply, WatchEvent},
        request::{self, Request, RequestError},
    },
};

use crate::naive::{Fields, decode_reply};

#[test]
fn handshakes() {
    check("handshakes", &expect_file!["../../testdata/wire/handshakes.txt"]);
}

#[test]
fn znodes() {
    check("znodes", &expect_file!["../../testdata/wire/znodes.txt"]);
}

#[test]
fn multis() {
    check("multis", &expect_file!["../../testdata/wire/multis.txt"]);
}

#[test]
fn watches() {
    check("watches", &expect_file!["../../testdata/wire/watches.txt"]);
}

#[test]
fn refused() {
    check("refused", &expect_file!["../../testdata/wire/refused.txt"]);
}

/// What a connection has seen.
enum Expected {
    /// Its first frame.
    Handshake,
    /// The answer to it, with a read-only byte or without.
    HandshakeAnswer { has_read_only: bool },
    /// The reply to a request.
    Reply { opcode: i32, error: Option<RequestError>, echo: Option<String> },
    /// The end, after a frame that is no request.
    Close,
}

fn check(name: &str, transcript: &ExpectFile) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire");
    let text = fs::read_to_string(folder.join(name).with_extension("hex")).unwrap();
    let mut out = String::new();
    let mut expected = Expected::Handshake;
    let mut last_zxid = Zxid::NONE;
    for line in text.lines() {
        match line.split_at_checked(1) {
            Some((">", hex)) => {
                let frame = whole_frame(hex);
                expected = client_frame(&mut out, &expected, &frame);
            }
            Some(("<", hex)) => {
                let frame = whole_frame(hex);
                let again = server_frame(&mut out, &expected, &frame, &mut last_zxid);
                assert_eq!(again, frame, "{line}");
            }
            Some(("=", " closed")) => writeln!(out, "closed").unwrap(),
            Some(("=", _)) => {
                expected = Expected::Handshake;
                last_zxid = Zxid::NONE;
                writeln!(out, "{line}").unwrap();
            }
            Some(_) => writeln!(out, "{line}").unwrap(),
            None => out.push('\n'),
        }
    }
    transcript.assert_eq(&out);
}

/// A line's bytes, which are one frame.
pub(crate) fn whole_frame(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let frame: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let taken = frame::next(&frame, 0xf_ffff).unwrap().expect("a whole frame");
    assert_eq!(taken.consumed_bytes, frame.len());
    frame
}

fn client_frame(out: &mut String, expected: &Expected, frame: &[u8]) -> Expected {
    let payload = &frame[4..];
    if matches!(expected, Expected::Handshake) {
        let request = ConnectRequest::decode(payload).unwrap();
        writeln!(out, "> {request:?}").unwrap();
        return Expected::HandshakeAnswer { has_read_only: request.read_only.is_some() };
    }
    match request::decode(payload) {
        Err(error) => {
            writeln!(out, "> {error:?}").unwrap();
            Expected::Close
        }
        Ok((header, Ok(request))) => {
            writeln!(out, "> {} {request:?}", header.xid.0).unwrap();
            let echo = match request {
                Request::Sync { path } => path.map(Cow::into_owned),
                _ => None,
            };
            Expected::Reply { opcode: header.opcode, error: None, echo }
        }
        Ok((header, Err(error))) => {
            writeln!(out, "> {} {error:?}", header.xid.0).unwrap();
            Expected::Reply { opcode: header.opcode, error: Some(error), echo: None }
        }
    }
}

/// Writes what a server's frame says and returns what our encoder makes of it.
fn server_frame(
    out: &mut String,
    expected: &Expected,
    frame: &[u8],
    last_zxid: &mut Zxid,
) -> Vec<u8> {
    let payload = &frame[4..];
    let mut again = Vec::new();
    match expected {
        Expected::HandshakeAnswer { has_read_only } => {
            let answer = connect_response(payload, *has_read_only);
            writeln!(out, "< {answer:?}").unwrap();
            answer.encode(&mut again);
        }
        Expected::Reply { .. } if payload.starts_with(&(-1_i32).to_be_bytes()) => {
            let event = event(payload);
            writeln!(out, "< {event:?}").unwrap();
            reply::encode_event(&mut again, &event);
        }
        Expected::Reply { opcode: 22, .. } if payload[12..16] == (-5_i32).to_be_bytes() => {
            // Apache leaves what it had of a multiRead's body behind the error. We send no body.
            writeln!(out, "< Err(MarshallingError)").unwrap();
            again.extend(frame);
        }
        Expected::Reply { opcode, error, echo } => {
            let decoded = decode_reply(*opcode, payload);
            writeln!(out, "< {} {} {:?}", decoded.xid.0, decoded.zxid, decoded.outcome).unwrap();
            if let Ok(Reply::Sync { path }) = &decoded.outcome {
                assert_eq!(path.as_deref(), echo.as_deref(), "sync echoes its path");
            }
            check_refusal(*error, decoded.zxid, decoded.outcome.as_ref().err(), *last_zxid);
            *last_zxid = decoded.zxid.max(*last_zxid);
            let outcome = decoded.outcome.as_ref().map_err(|code| *code);
            reply::encode(&mut again, decoded.xid, decoded.zxid, outcome);
        }
        Expected::Handshake | Expected::Close => panic!("nobody asked: {frame:?}"),
    }
    again
}

/// Whether Apache answered as our reading of the request says: with which code, and whether it
/// took a zxid.
fn check_refusal(
    error: Option<RequestError>,
    zxid: Zxid,
    code: Option<&ErrorCode>,
    last_zxid: Zxid,
) {
    let Some(error) = error else {
        return;
    };
    let (code_expected, zxid_expected) = match error {
        RequestError::NotOffered(_) => (ErrorCode::Unimplemented, NOT_OFFERED_ZXID),
        RequestError::Malformed(_) if last_zxid == Zxid::NONE => {
            (ErrorCode::MarshallingError, zxid)
        }
        RequestError::Malformed(_) => (ErrorCode::MarshallingError, last_zxid),
        RequestError::MalformedMulti(_) => (ErrorCode::MarshallingError, last_zxid.plus(1)),
        RequestError::MalformedAuth(_) => panic!("answered instead of closed"),
    };
    assert_eq!((code, zxid), (Some(&code_expected), zxid_expected), "{error:?}");
}

pub(crate) fn connect_response(payload: &[u8], has_read_only: bool) -> ConnectResponse {
    let mut fields = Fields(payload);
    assert_eq!(fields.int(), 0, "protocol version");
    let response = ConnectResponse {
        timeout_ms: fields.int(),
        session: SessionId(fields.long()),
        password: fields.buffer().unwrap().try_into().unwrap(),
        read_only: has_read_only.then(|| fields.0 == [1]),
    };
    assert_eq!(fields.0.len(), usize::from(has_read_only));
    response
}

pub(crate) fn event(payload: &[u8]) -> WatchEvent {
    let mut fields = Fields(payload);
    assert_eq!(Xid(fields.int()), Xid(-1));
    let zxid = Zxid(fields.long());
    assert_eq!(fields.int(), 0, "error");
    let kind = match fields.int() {
        1 => EventKind::Created,
        2 => EventKind::Deleted,
        3 => EventKind::DataChanged,
        4 => EventKind::ChildrenChanged,
        kind => panic!("event {kind}"),
    };
    assert_eq!(fields.int(), 3, "state");
    WatchEvent { kind, path: fields.text().into(), zxid }
}
