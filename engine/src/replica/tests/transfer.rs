//! The receiver's side of a snapshot.

use proptest::prelude::*;

use super::super::{
    message::{Chunk, PeerMessage, Received},
    transfer::{PULL_AGAIN_MS, PULLS_MAX, SOURCE_SILENT_MS, Transfer},
};
use super::*;
use crate::consensus::message::Offer;

fn voter(id: u16) -> Voter {
    Voter { id: ReplicaId(id), incarnation: Incarnation(u128::from(id)) }
}

fn base(slot: u64) -> Base {
    Base { slot: Slot(slot), hash: u128::from(slot), ..Base::default() }
}

fn offer(slot: u64) -> Offer {
    let config = Arc::new(Config::new(vec![voter(1)]));
    Offer { ballot: Ballot { round: 3, replica: ReplicaId(2) }, base: base(slot), config }
}

fn chunk(slot: u64, number: u32, count: u32) -> Chunk {
    let bytes = [u8::try_from(number).expect("few"), u8::try_from(slot).expect("few")];
    Chunk { slot: Slot(slot), number, is_last: number + 1 == count, bytes: bytes.into() }
}

fn at(ms: u64) -> Instant {
    Instant(0).plus_millis(ms)
}

/// Whom it asks for which chunks.
fn pulls(transfer: &mut Transfer, ms: u64) -> Vec<(u16, u64, u32)> {
    let mut messages = Vec::new();
    transfer.pull(at(ms), &mut messages);
    let pull = |(to, message): (Voter, PeerMessage)| match message {
        PeerMessage::Pull { slot, number } => (to.id.0, slot.0, number),
        other => panic!("no pull: {other:?}"),
    };
    messages.into_iter().map(pull).collect()
}

fn numbers(chunks: &[Chunk]) -> Vec<u32> {
    chunks.iter().map(|chunk| chunk.number).collect()
}

/// The numbers that come out when this chunk arrives.
fn take(transfer: &mut Transfer, ms: u64, chunk: Chunk) -> Vec<u32> {
    let mut chunks = Vec::new();
    transfer.take(chunk, at(ms), &mut chunks);
    numbers(&chunks)
}

fn received(slot: u64, is_sound: bool) -> Received {
    Received { base: base(slot), is_sound }
}

#[test]
fn a_few_are_asked_for_at_a_time_and_come_out_in_order() {
    let mut transfer = Transfer::default();
    transfer.offered(voter(2), offer(9), at(0));
    assert_eq!(pulls(&mut transfer, 0), [(2, 9, 0), (2, 9, 1), (2, 9, 2), (2, 9, 3)]);
    assert_eq!(pulls(&mut transfer, 1), []);
    assert_eq!(take(&mut transfer, 1, chunk(9, 1, 6)), []);
    assert_eq!(pulls(&mut transfer, 1), [], "what waits for a gap counts");
    assert_eq!(take(&mut transfer, 2, chunk(9, 0, 6)), [0, 1]);
    assert_eq!(take(&mut transfer, 2, chunk(9, 0, 6)), [], "once");
    assert_eq!(pulls(&mut transfer, 2), [(2, 9, 4), (2, 9, 5)]);
    assert_eq!(take(&mut transfer, 3, chunk(9, 5, 6)), []);
    assert_eq!(take(&mut transfer, 3, chunk(9, 2, 6)), [2]);
    assert_eq!(pulls(&mut transfer, 3), [], "there is nothing behind the last");
    assert_eq!(take(&mut transfer, 3, chunk(9, 3, 6)), [3]);
    assert_eq!(transfer.finish(&received(9, true)), None, "it is not whole");
    assert_eq!(take(&mut transfer, 3, chunk(9, 4, 6)), [4, 5]);
    assert_eq!(pulls(&mut transfer, PULL_AGAIN_MS * 2), [], "it is whole");
    transfer.closed(ReplicaId(2));
    transfer.offered(voter(3), offer(10), at(SOURCE_SILENT_MS * 2));
    assert_eq!(transfer.progress(), Some((Slot(9), 6)), "the driver is at it");
    assert_eq!(transfer.finish(&received(8, true)), None, "not that one");
    assert_eq!(transfer.finish(&received(9, true)), Some(offer(9)));
    assert_eq!(transfer.finish(&received(9, true)), None);
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let mut transfer = Transfer::default();
    assert_eq!(take(&mut transfer, 0, chunk(9, 0, 2)), []);
    transfer.offered(voter(2), offer(9), at(0));
    assert_eq!(take(&mut transfer, 0, chunk(9, 0, 9)), [], "nothing was asked for");
    assert_eq!(pulls(&mut transfer, 0).len(), 4);
    assert_eq!(take(&mut transfer, 0, chunk(8, 0, 9)), [], "of another snapshot");
    assert_eq!(take(&mut transfer, 0, chunk(9, PULLS_MAX, 9)), [], "too far ahead");
    assert_eq!(take(&mut transfer, 0, chunk(9, 0, 9)), [0]);
}

#[test]
fn what_is_lost_is_asked_for_again() {
    let mut transfer = Transfer::default();
    transfer.offered(voter(2), offer(9), at(0));
    assert_eq!(pulls(&mut transfer, 0).len(), 4);
    assert_eq!(take(&mut transfer, 500, chunk(9, 2, 9)), []);
    assert_eq!(pulls(&mut transfer, 499 + PULL_AGAIN_MS), [], "it is being sent");
    let again = 500 + PULL_AGAIN_MS;
    assert_eq!(pulls(&mut transfer, again), [(2, 9, 0), (2, 9, 1), (2, 9, 3)]);
    assert_eq!(pulls(&mut transfer, again + PULL_AGAIN_MS - 1), []);
    assert_eq!(pulls(&mut transfer, again + PULL_AGAIN_MS).len(), 3);
}

#[test]
fn a_silent_source_is_given_up_and_another_goes_on() {
    let mut transfer = Transfer::default();
    transfer.offered(voter(2), offer(9), at(0));
    assert_eq!(pulls(&mut transfer, 0).len(), 4);
    assert_eq!(take(&mut transfer, 0, chunk(9, 0, 9)), [0]);
    assert_eq!(take(&mut transfer, 0, chunk(9, 2, 9)), []);
    transfer.offered(voter(3), offer(9), at(1));
    assert_eq!(pulls(&mut transfer, 1), [(2, 9, 4)], "it is heard");
    assert_eq!(pulls(&mut transfer, SOURCE_SILENT_MS), []);
    transfer.offered(voter(3), offer(9), at(SOURCE_SILENT_MS));
    let rest = [(3, 9, 1), (3, 9, 3), (3, 9, 4)];
    assert_eq!(pulls(&mut transfer, SOURCE_SILENT_MS), rest);
    assert_eq!(take(&mut transfer, SOURCE_SILENT_MS, chunk(9, 1, 9)), [1, 2]);
}

#[test]
fn a_closed_link_gives_up_its_source() {
    let mut transfer = Transfer::default();
    transfer.offered(voter(2), offer(9), at(0));
    assert_eq!(pulls(&mut transfer, 0).len(), 4);
    transfer.closed(ReplicaId(3));
    transfer.offered(voter(3), offer(10), at(0));
    assert_eq!(transfer.progress(), Some((Slot(9), 0)));
    transfer.closed(ReplicaId(2));
    transfer.offered(voter(3), offer(10), at(1));
    assert_eq!(pulls(&mut transfer, 1)[0], (3, 10, 0), "another slot begins anew");
    assert_eq!(take(&mut transfer, 1, chunk(9, 0, 9)), []);
}

#[test]
fn an_unsound_one_is_forgotten_and_so_is_one_that_is_of_no_use() {
    let mut transfer = Transfer::default();
    transfer.offered(voter(2), offer(9), at(0));
    assert_eq!(pulls(&mut transfer, 0).len(), 4);
    assert_eq!(take(&mut transfer, 0, chunk(9, 0, 1)), [0]);
    assert_eq!(transfer.finish(&received(9, false)), None);
    assert_eq!(transfer.progress(), None);
    transfer.offered(voter(2), offer(9), at(0));
    assert_eq!(pulls(&mut transfer, 0).len(), 4, "it may be offered again");
    transfer.drop_behind(Slot(8));
    assert_eq!(transfer.progress(), Some((Slot(9), 0)));
    transfer.drop_behind(Slot(9));
    assert_eq!(transfer.progress(), None);
}

#[derive(Clone, Debug)]
enum Event {
    /// So many milliseconds pass, and then it asks.
    Pull(u64),
    /// One of the messages under way arrives; it stays under way if it is to arrive again.
    Deliver(prop::sample::Index, bool),
    Lose(prop::sample::Index),
    /// One of three replicas offers a snapshot of one of two slots.
    Offer(u16, u64),
    Close(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..PULL_AGAIN_MS / 2).prop_map(Event::Pull),
        12 => (index(), any::<bool>()).prop_map(|(i, again)| Event::Deliver(i, again)),
        2 => index().prop_map(Event::Lose),
        4 => (2..5_u16, 8..10_u64).prop_map(|(from, slot)| Event::Offer(from, slot)),
        1 => (2..5_u16).prop_map(Event::Close),
    ]
}

/// A receiver, and what its driver has written.
struct Receiver {
    transfer: Transfer,
    ms: u64,
    /// Chunks under way.
    mail: Vec<Chunk>,
    written: Vec<Chunk>,
    count: u32,
}

impl Receiver {
    /// Whoever is asked answers, unless there is no such chunk.
    fn pull(&mut self) {
        for (_, slot, number) in pulls(&mut self.transfer, self.ms) {
            if number < self.count {
                self.mail.push(chunk(slot, number, self.count));
            }
        }
    }

    fn deliver(&mut self, chunk: Chunk) {
        let mut chunks = Vec::new();
        self.transfer.take(chunk, at(self.ms), &mut chunks);
        for chunk in chunks {
            if chunk.number == 0 {
                self.written.clear();
            }
            self.written.push(chunk);
            let slot = self.written[0].slot.0;
            let expected: Vec<u32> = (0..).take(self.written.len()).collect();
            assert_eq!(numbers(&self.written), expected);
            assert!(self.written.iter().all(|chunk| chunk.slot.0 == slot), "of one snapshot");
        }
    }

    fn run(&mut self, event: &Event) {
        match event {
            Event::Pull(ms) => {
                self.ms += ms;
                self.pull();
            }
            Event::Deliver(index, again) if !self.mail.is_empty() => {
                let index = index.index(self.mail.len());
                let chunk = self.mail[index].clone();
                if !again {
                    self.mail.remove(index);
                }
                self.deliver(chunk);
            }
            Event::Lose(index) if !self.mail.is_empty() => {
                self.mail.remove(index.index(self.mail.len()));
            }
            Event::Deliver(..) | Event::Lose(_) => {}
            Event::Offer(from, slot) => {
                self.transfer.offered(voter(*from), offer(*slot), at(self.ms));
            }
            Event::Close(replica) => self.transfer.closed(ReplicaId(*replica)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_chunk_comes_out_once_in_order(
        count in 1..12_u32,
        events in prop::collection::vec(event(), 1..80),
    ) {
        let transfer = Transfer::default();
        let (mail, written) = (Vec::new(), Vec::new());
        let mut receiver = Receiver { transfer, ms: 0, mail, written, count };
        for event in &events {
            receiver.run(event);
        }
        // From here on nothing is lost, and somebody offers.
        for _ in 0..20 {
            receiver.ms += PULL_AGAIN_MS;
            receiver.run(&Event::Offer(4, 9));
            receiver.pull();
            for chunk in core::mem::take(&mut receiver.mail) {
                receiver.deliver(chunk);
            }
        }
        let slot = receiver.written[0].slot.0;
        let expected: Vec<Chunk> = (0..count).map(|number| chunk(slot, number, count)).collect();
        prop_assert_eq!(receiver.written, expected);
        prop_assert_eq!(receiver.transfer.finish(&received(slot, true)), Some(offer(slot)));
    }
}
