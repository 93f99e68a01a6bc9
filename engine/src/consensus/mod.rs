//! Batched Multi-Paxos as a state machine without I/O.
