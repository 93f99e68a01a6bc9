/* Ringkeeper's consensus, once more: a model for the verifier Spin, written from the rules (R) and
 * invariants (I) of docs/consensus.md and not from the code. `scripts/spin` runs it.
 *
 * Three replicas, each with a memory and a disk that lags behind it, and a network that keeps every
 * message for ever: whoever may receive one may do so now, later, again, or never. So a message is
 * lost, repeated and overtaken without a step for it. Each step of `replica` is atomic.
 *
 * A log is a number, a few bits for each slot: the ballot under which the batch was first proposed,
 * its origin. Zero is no batch. Slot and origin name a batch, since a ballot is led once (checked).
 */

/* Bounds; `scripts/spin` chooses others. */
#ifndef BALLOTS
#define BALLOTS 2 /* ballots, 1 to BALLOTS */
#endif
#ifndef LEADERS
#define LEADERS 2 /* replicas that campaign; ballots are dealt out to them in turn */
#endif
#ifndef BATCHES
#define BATCHES 2 /* batches that a leader appends; the first one begins its epoch */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define owner(b) (((b) + LEADERS - 1) % LEADERS)
#define min(x, y) ((x) < (y) -> (x) : (y))
#define max(x, y) ((x) < (y) -> (y) : (x))
#define median(x, y, z) max(min(x, y), min(max(x, y), z))

/* Logs. */
#if BALLOTS > 3
#define WIDTH 3
#else
#define WIDTH 2
#endif
#if WIDTH * BALLOTS * BATCHES > 15
#define LOG int
#else
#define LOG short
#endif
#define bits(slots) (WIDTH * (slots))
#define at(l, slot) (((l) >> bits((slot) - 1)) & ((1 << WIDTH) - 1))
#define prefix(l, slot) ((l) & ((1 << bits(slot)) - 1))
#define append(l, origin) ((l) | ((origin) << bits(length(l))))
#define has(l, slot) ((l) >> bits((slot) - 1) > 0)
#define length(l) \
  (has(l, 1) + has(l, 2) + has(l, 3) + has(l, 4) + has(l, 5) + has(l, 6))
#define origin(l) ((l) == 0 -> 0 : at(l, length(l)))
#define is_fresher(l, m) \
  (origin(l) > origin(m) || (origin(l) == origin(m) && length(l) > length(m)))
#define alike(l, m, slot) (has(l, slot) && prefix(l, slot) == prefix(m, slot))
/* How many first slots are the same. */
#define common(l, m) \
  (alike(l, m, 1) + alike(l, m, 2) + alike(l, m, 3) + alike(l, m, 4) + alike(l, m, 5) + \
   alike(l, m, 6))

/* The rules that can be broken, as they should be. */
#define is_promise_durable(i) (disk_promised[i] == promised[i])
#define durable(i) common(log[i], disk_log[i])
#define own_vote(i) durable(i)
#define acknowledged(i) min(matched[i], durable(i))
#define is_better(l, m) is_fresher(l, m)
#define is_previous(i, b, slot) (slot == 0 || at(log[i], slot) == at(led[b], slot))
#define may_accept(i, b) (promised[i] <= b)
#define is_decidable(i, slot) (at(log[i], slot) == promised[i])
#define must_cut(i, slot, b) (at(log[i], slot) != at(led[b], slot))
#define known_alike(i) matched[i]
#define may_prepare(i) is_promise_durable(i)
#define fetched_ballot(slot) at(decided_under, slot)
#define remembered(i) disk_promised[i]

/* And broken: `spin -DBROKEN_...`. */
#ifdef BROKEN_LEADER_COUNTS_APPENDED /* R4 */
#undef own_vote
#define own_vote(i) length(log[i])
#endif
#ifdef BROKEN_ACK_NOT_DURABLE /* R2, I6 */
#undef acknowledged
#define acknowledged(i) matched[i]
#endif
#ifdef BROKEN_PREPARE_NOT_DURABLE /* R1 */
#undef may_prepare
#define may_prepare(i) true
#endif
#ifdef BROKEN_LOWER_BALLOT_ACCEPTED /* R1 */
#undef may_accept
#define may_accept(i, b) (promised[i] <= b || role[i] == FOLLOWER)
#endif
#ifdef BROKEN_PROMISE_FORGOTTEN /* R1, I3 */
#undef remembered
#define remembered(i) 0
#endif
#ifdef BROKEN_WHOLE_LOG_COUNTS /* R2: one accepted ballot for the whole log */
#define WHOLE_LOG 1
#else
#define WHOLE_LOG 0
#endif
#ifdef BROKEN_EARLIER_BALLOT_COUNTED /* R4 */
#undef is_decidable
#define is_decidable(i, slot) true
#endif
#ifdef BROKEN_LONGEST_ADOPTED /* R3 */
#undef is_better
#define is_better(l, m) (length(l) > length(m))
#endif
#ifdef BROKEN_OWN_ADOPTED /* R3 */
#undef is_better
#define is_better(l, m) false
#endif
#ifdef BROKEN_PREVIOUS_NOT_CHECKED /* R2 */
#undef is_previous
#define is_previous(i, b, slot) true
#endif
#ifdef BROKEN_CUT_WITHOUT_CONFLICT /* R2 */
#undef must_cut
#define must_cut(i, slot, b) (slot > commit[i] || at(log[i], slot) != at(led[b], slot))
#endif
#ifdef BROKEN_CONFLICT_KEPT /* R2 */
#undef must_cut
#define must_cut(i, slot, b) (at(log[i], slot) == 0)
#endif
#ifdef BROKEN_COMMIT_NOT_MATCHED /* R2 */
#undef known_alike
#define known_alike(i) length(log[i])
#endif
#ifdef BROKEN_FETCH_WITHOUT_PROMISE /* R6 */
#undef fetched_ballot
#define fetched_ballot(slot) 0
#endif
#ifdef BROKEN_FETCH_PROMISES_ORIGIN /* R6: that of the batch, not that of the sender */
#undef fetched_ballot
#define fetched_ballot(slot) at(decided, slot)
#endif

#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2

/* A replica's memory. `matched`: so far a follower's log is known to be that of its ballot. */
byte promised[3], role[3], commit[3], matched[3];
LOG log[3];

/* Its disk. */
byte disk_promised[3];
LOG disk_log[3];

/* The network. A leader's log only grows, so all Accepts of ballot b are the parts of `led[b]`;
 * of its commit slots and of one voter's Accepted only the highest matters. What nobody waits for
 * any more is forgotten. */
bool prepared[BALLOTS + 1];    /* Prepare was sent */
byte granted[3];               /* Promise: a bit for each voter, by candidate, */
LOG granted_log[9];            /* with the voter's log */
byte granted_commit[9];        /* and commit slot, by candidate and voter */
LOG led[BALLOTS + 1];          /* Accept */
byte led_commit[BALLOTS + 1];  /* Commit */
byte accepted[9];              /* Accepted, by leader and voter */

/* What was decided, and the ballot under which that was found: the lowest that a sender of Fetched
 * can have promised. Higher ones are as if the receiver had promised more beforehand. */
LOG decided, decided_under;

/* For the checks: the highest promise that others may know of. And the crashes so far. */
byte told[3];
byte crashes;

hidden byte n, m; /* within a step */

/* I1 and I2. What replica i takes for decided is what everybody takes for decided, and it is in
 * the log of every leader of a higher ballot, whether that leads already or only begins to. */
inline check_decided(i) {
  assert(commit[i] <= length(log[i])); /* I7: what is decided is in the log */
  n = min(commit[i], length(decided));
  assert(prefix(log[i], n) == prefix(decided, n)); /* I1: agreement */
  do
  :: length(decided) < commit[i] ->
    decided = append(decided, at(log[i], length(decided) + 1));
    decided_under = append(decided_under, promised[i])
  :: else -> break
  od;
  n = 1;
  do
  :: n <= BALLOTS ->
    m = 1;
    do
    :: led[n] != 0 && m <= length(decided) ->
      /* I2: every later leader has it */
      assert(at(decided_under, m) >= n || at(led[n], m) == at(decided, m));
      m++
    :: else -> break
    od;
    n++
  :: else -> break
  od;
  n = 0
}

inline tell(i) {
#ifndef ONLY_DECISIONS
  told[i] = promised[i]
#else
  skip
#endif
}

inline step_down(i) {
  role[i] = FOLLOWER;
  granted[i] = 0;
  n = 3 * i;
  do
  :: n < 3 * i + 3 ->
    granted_log[n] = 0; granted_commit[n] = 0; accepted[n] = 0;
    n++
  :: else -> break
  od;
  n = 0
}

/* In memory. What is decided is in every later leader's log. */
inline promise(i, b) {
  promised[i] = b;
  matched[i] = commit[i];
  step_down(i)
}

/* Promise leaves. */
inline grant(i) {
  tell(i);
  m = owner(promised[i]);
  if
  :: m != i && role[m] == CANDIDATE && promised[m] == promised[i] && prepared[promised[i]] &&
     !(granted[m] & (1 << i)) ->
    granted[m] = granted[m] | (1 << i);
    granted_log[3 * m + i] = log[i];
    granted_commit[3 * m + i] = commit[i]
  :: else
  fi
}

/* Accepted leaves, as soon as it is true. */
inline acknowledge(i) {
  m = owner(promised[i]);
  if
  :: m != i && role[m] == LEADER && promised[m] == promised[i] &&
     is_promise_durable(i) && acknowledged(i) > accepted[3 * m + i] ->
    tell(i);
    accepted[3 * m + i] = acknowledged(i)
  :: else
  fi
}

/* Puts a batch into its slot; what was there and behind it is cut off. */
inline store(i, slot, origin) {
  assert(slot > commit[i]); /* R2: never below the commit slot */
  log[i] = append(prefix(log[i], slot - 1), origin)
}

/* Claims a ballot that was not claimed yet, as far as anybody knows. */
inline campaign(i, b) { d_step {
  owner(b) == i && promised[i] < b && !prepared[b] ->
  printf("%d campaigns for ballot %d\n", i, b);
  promise(i, b);
  role[i] = CANDIDATE;
  matched[i] = 0;
  if
  :: may_prepare(i) -> prepared[b] = true
  :: else
  fi
} }

/* Takes Prepare. */
inline take_prepare(i, b) { d_step {
  prepared[b] && owner(b) != i && promised[i] < b ->
  printf("%d takes Prepare of ballot %d\n", i, b);
  promise(i, b);
#if defined(BROKEN_PROMISE_NOT_DURABLE) || defined(BROKEN_PROMISE_NOT_DURABLE_TOLD)
  grant(i)
#endif
} }

/* Begins to lead: own promise and that of j are a quorum. */
inline lead(i, j) { d_step {
  role[i] == CANDIDATE && prepared[promised[i]] && (granted[i] & (1 << j)) ->
  printf("%d leads ballot %d with the promise of %d\n", i, promised[i], j);
  if
  :: is_better(granted_log[3 * i + j], log[i]) ->
    log[i] = granted_log[3 * i + j]
  :: else
  fi;
  commit[i] = max(commit[i], granted_commit[3 * i + j]);
  assert(led[promised[i]] == 0); /* I4: a ballot is led once */
  log[i] = append(log[i], promised[i]);
  step_down(i);
  role[i] = LEADER;
  led[promised[i]] = log[i];
  led_commit[promised[i]] = commit[i];
  check_decided(i)
} }

/* Appends another batch. */
inline propose(i) { d_step {
  role[i] == LEADER &&
  !(length(log[i]) >= BATCHES && at(log[i], length(log[i]) - BATCHES + 1) == promised[i]) ->
  printf("%d appends to slot %d\n", i, length(log[i]) + 1);
  log[i] = append(log[i], promised[i]);
  led[promised[i]] = log[i]
} }

/* Takes Accept: ballot b's batch behind `previous`. More batches at once are as if they came one
 * by one. The last line of the guard: it is news. */
inline take_accept(i, b, previous) { d_step {
  previous < length(led[b]) && owner(b) != i && may_accept(i, b) &&
  previous <= length(log[i]) && is_previous(i, b, previous) &&
  (promised[i] < b || matched[i] <= previous || must_cut(i, previous + 1, b)) ->
  printf("%d takes Accept of ballot %d for slot %d\n", i, b, previous + 1);
  if
  :: promised[i] < b -> promise(i, b)
  :: else
  fi;
  if
  :: must_cut(i, previous + 1, b) -> store(i, previous + 1, at(led[b], previous + 1))
  :: else
  fi;
  matched[i] = max(matched[i], previous + 1);
  if
  :: WHOLE_LOG -> matched[i] = length(log[i])
  :: else
  fi;
  acknowledge(i)
} }

/* Decides what a quorum has durably. */
#define on_quorum(i) \
  median(own_vote(i), accepted[3 * i + (i + 1) % 3], accepted[3 * i + (i + 2) % 3])

inline decide(i) { d_step {
  role[i] == LEADER && on_quorum(i) > commit[i] && is_decidable(i, on_quorum(i)) ->
  commit[i] = on_quorum(i);
  printf("%d decides up to slot %d\n", i, commit[i]);
  led_commit[promised[i]] = commit[i];
  check_decided(i)
} }

/* Takes Commit, as far as the log is known to be the leader's. */
inline take_commit(i) { d_step {
  role[i] == FOLLOWER && commit[i] < min(known_alike(i), led_commit[promised[i]]) ->
  commit[i] = min(known_alike(i), led_commit[promised[i]]);
  printf("%d takes Commit up to slot %d\n", i, commit[i]);
  check_decided(i)
} }

/* Takes Fetched: the next decided batch, from anybody. More at once are as if one by one. */
inline take_fetched(i) { d_step {
  commit[i] < length(decided) ->
  printf("%d takes Fetched slot %d\n", i, commit[i] + 1);
  if
  :: promised[i] < fetched_ballot(commit[i] + 1) -> promise(i, fetched_ballot(commit[i] + 1))
  :: else
  fi;
  if
  :: at(log[i], commit[i] + 1) != at(decided, commit[i] + 1) ->
    assert(role[i] != LEADER); /* I4: a leader's log only grows */
    store(i, commit[i] + 1, at(decided, commit[i] + 1))
  :: else
  fi;
  commit[i]++;
  if
  :: role[i] == FOLLOWER -> matched[i] = max(matched[i], commit[i]); acknowledge(i)
  :: role[i] == LEADER -> led_commit[promised[i]] = commit[i]
  :: else
  fi;
  check_decided(i)
} }

/* The disk takes the next record: the promise, or one batch with the cut before it. What may leave
 * then does. */
inline flush(i) { d_step {
  disk_promised[i] != promised[i] || disk_log[i] != log[i] ->
  if
  :: disk_promised[i] != promised[i] ->
    disk_promised[i] = promised[i];
    printf("disk %d has promise %d\n", i, promised[i]);
    if
    :: role[i] == CANDIDATE -> tell(i); prepared[promised[i]] = true
    :: else -> grant(i)
    fi
  :: else ->
    disk_log[i] = prefix(log[i], min(durable(i) + 1, length(log[i])));
    printf("disk %d has slot %d\n", i, length(disk_log[i]))
  fi;
  acknowledge(i)
} }

/* Loses everything but its disk. The commit slot is not on it. */
inline crash(i) { d_step {
  crashes < CRASHES ->
  crashes++;
  printf("%d crashes\n", i);
  assert(disk_promised[i] >= told[i]); /* I3: what was promised to others stays */
  promised[i] = remembered(i);
  log[i] = disk_log[i];
  commit[i] = 0;
  matched[i] = 0;
  step_down(i)
} }

#define of_ballot(b) \
  :: campaign(_pid, b) \
  :: take_prepare(_pid, b) \
  :: take_accept(_pid, b, 0)

active [3] proctype replica() {
end:
  do
  of_ballot(1)
  of_ballot(2)
  :: take_accept(_pid, 2, 1)
#if BALLOTS > 2
  of_ballot(3)
  :: take_accept(_pid, 3, 1)
  :: take_accept(_pid, 3, 2)
#endif
#if BALLOTS > 3
  of_ballot(4)
  :: take_accept(_pid, 4, 1)
  :: take_accept(_pid, 4, 2)
  :: take_accept(_pid, 4, 3)
#endif
#if BATCHES > 1
  :: take_accept(_pid, 1, 1)
  :: take_accept(_pid, 2, 2)
  :: take_accept(_pid, 2, 3)
#endif
#if BATCHES > 1 && BALLOTS > 2
  :: take_accept(_pid, 3, 3)
  :: take_accept(_pid, 3, 4)
  :: take_accept(_pid, 3, 5)
#endif
#if BATCHES > 2
  :: take_accept(_pid, 1, 2)
  :: take_accept(_pid, 2, 4)
  :: take_accept(_pid, 2, 5)
#endif
#if BALLOTS * BATCHES > 6
#error "more slots need more lines here and in length and common"
#endif
  :: lead(_pid, (_pid + 1) % 3)
  :: lead(_pid, (_pid + 2) % 3)
  :: propose(_pid)
  :: decide(_pid)
  :: take_commit(_pid)
  :: take_fetched(_pid)
  :: flush(_pid)
  :: crash(_pid)
  od
}
