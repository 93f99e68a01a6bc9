//! The known key that an unknown one was probably meant to be.

/// The nearest of `known`, if one is near enough to have been meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            // A third of the letters wrong is another word.
            *distance <= (wanted.len().min(candidate.len()) / 4).clamp(1, 4)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, left out, replaced, or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut line = Vec::with_capacity(last.len());
        line.push(row + 1);
        for (column, other) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != *other);
            let mut best = replaced.min(last[column + 1] + 1).min(line[column] + 1);
            let is_swap = column > 0 && previous == Some(*other) && right[column - 1] == letter;
            if is_swap {
                best = best.min(before_last[column - 1] + 1);
            }
            line.push(best);
        }
        before_last = std::mem::replace(&mut last, line);
        previous = Some(letter);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_the_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("tickTime", "tickTime"), 0);
        assert_eq!(distance("tikcTime", "tickTime"), 1);
        assert_eq!(distance("tickTimes", "tickTime"), 1);
        assert_eq!(distance("clientport", "client_port"), 1);
    }

    #[test]
    fn finds_what_was_meant() {
        let known = || ["tickTime", "dataDir", "dataLogDir", "maxClientCnxns"].into_iter();
        assert_eq!(nearest("ticktime", known()), Some("tickTime"));
        assert_eq!(nearest("dataLogdri", known()), Some("dataLogDir"));
        assert_eq!(nearest("maxClientConns", known()), Some("maxClientCnxns"));
        assert_eq!(nearest("colour", known()), None);
    }

    proptest! {
        #[test]
        fn is_a_distance(left in "[abc]{0,6}", right in "[abc]{0,6}") {
            let both_ways = (distance(&left, &right), distance(&right, &left));
            prop_assert_eq!(both_ways.0, both_ways.1);
            prop_assert_eq!(both_ways.0 == 0, left == right);
            prop_assert!(both_ways.0 <= left.len().max(right.len()));
        }
    }
}
